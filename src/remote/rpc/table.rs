//! The server's sessions, for some time those that ended, and the cookies that open them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::remote::protocol::{COOKIE_LEN, Tagger};
use crate::unit::Nanos;

/// The most ended sessions remembered against replays. Arbitrary: at most, new ones wait 10 s.
const ENDED: usize = 1_024;
/// The number of those that any host may have, however few are free; arbitrary.
const LEAST_SHARE: usize = 8;
/// How long a session in a phase may be silent. Arbitrary: longer than a router takes to restart.
pub const MAX_KEPT: Nanos = Nanos::from_millis(60_000);

/// A session whose client has proved its address.
#[derive(Debug)]
pub(super) struct RpcSession {
    pub(super) from: SocketAddr,
    nonce: u64,
    pub(super) received_at: Nanos,
    /// The end of a phase, until when it may be silent, within [`MAX_KEPT`].
    pub(super) kept_until: Nanos,
    /// The number of its last request; 0 before the first.
    pub(super) number: u32,
    /// The answer to that; `None` while it is in progress.
    pub(super) answer: Option<Vec<u8>>,
    pub(super) noted: u32,
}

impl RpcSession {
    fn silent_since(&self) -> Nanos {
        self.received_at.max(self.kept_until.min(self.received_at + MAX_KEPT))
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) open: BTreeMap<u64, RpcSession>,
    /// Open and ended sessions, so that a repeated Open has no effect.
    pub(super) by_client: HashMap<(SocketAddr, u64), u64>,
    /// Ended sessions, in the order in which they may be forgotten.
    pub(super) ended: VecDeque<(Nanos, SocketAddr, u64)>,
    /// The number of open and ended sessions of each host.
    by_host: HashMap<u128, usize>,
    /// Closed sessions that the application still runs.
    pub(super) closing: usize,
}

impl Table {
    /// Whether this client must wait: `sessions` are open, or twice as many are open or closing, or
    /// its host has as many as are free (a dynamic threshold: Choudhury and Hahne, 1998), so that
    /// no host excludes all others.
    pub(super) fn is_full(&self, sessions: usize, from: &SocketAddr) -> bool {
        let host_count = self.by_host.get(&host(from)).copied().unwrap_or_default();
        let left = ENDED.saturating_sub(self.ended.len());
        self.open.len() >= sessions
            || self.open.len() + self.closing >= sessions.saturating_mul(2)
            || left == 0
            || host_count >= left.max(LEAST_SHARE)
    }

    pub(super) fn insert(&mut self, id: u64, from: SocketAddr, nonce: u64, now: Nanos) {
        let (received_at, kept_until, answer) = (now, now, Some(Vec::new()));
        let session =
            RpcSession { from, nonce, received_at, kept_until, number: 0, answer, noted: 0 };
        self.open.insert(id, session);
        self.by_client.insert((from, nonce), id);
        *self.by_host.entry(host(&from)).or_default() += 1;
    }

    /// Ends a session and remembers it until its cookies are invalid.
    pub(super) fn remove(&mut self, id: u64, now: Nanos) -> Option<SocketAddr> {
        let session = self.open.remove(&id)?;
        self.ended.push_back((now + COOKIE_LIFE, session.from, session.nonce));
        Some(session.from)
    }

    pub(super) fn forget(&mut self, now: Nanos) {
        while let Some(&(until, from, nonce)) = self.ended.front()
            && until <= now
        {
            self.ended.pop_front();
            self.by_client.remove(&(from, nonce));
            if let Entry::Occupied(mut host_count) = self.by_host.entry(host(&from)) {
                *host_count.get_mut() -= 1;
                if *host_count.get() == 0 {
                    host_count.remove();
                }
            }
        }
    }

    pub(super) fn silent(&self, idle: Nanos, now: Nanos) -> Vec<u64> {
        let silent = |session: &RpcSession| now >= session.silent_since() + idle;
        self.open.iter().filter(|(_, session)| silent(session)).map(|(id, _)| *id).collect()
    }

    pub(super) fn deadline(&self, idle: Nanos) -> Option<Nanos> {
        let silent = self.open.values().map(|session| session.silent_since() + idle).min();
        let forgotten = self.ended.front().map(|(until, ..)| *until);
        silent.into_iter().chain(forgotten).min()
    }
}

/// A cookie is valid for this time to twice as long. Arbitrary: some tries on a lossy path.
const BUCKET: Nanos = Nanos::from_millis(5_000);
/// After this time, a cookie is invalid. From [`BUCKET`].
const COOKIE_LIFE: Nanos = Nanos(2 * BUCKET.0);
/// Separates cookies from ids. Arbitrary.
const COOKIE: &[u8] = b"cookie";
/// As above.
const SESSION: &[u8] = b"session";

/// The host of an address: for IPv6 its 64-bit prefix, all of which it may use (RFC 4291 §2.5.4).
fn host(address: &SocketAddr) -> u128 {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

#[derive(Debug)]
pub(super) struct CookieIssuer {
    tagger: Tagger,
    issued: u64,
}

impl CookieIssuer {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { tagger: Tagger::new(secret), issued: 0 }
    }

    pub(super) fn cookie(&self, from: &SocketAddr, nonce: u64, now: Nanos) -> [u8; COOKIE_LEN] {
        self.tagger.tag(&[&Self::claim(from, nonce, bucket(now))])
    }

    pub(super) fn is_valid(
        &self,
        cookie: &[u8; COOKIE_LEN],
        from: &SocketAddr,
        nonce: u64,
        now: Nanos,
    ) -> bool {
        let bucket = bucket(now);
        let valid = |bucket| self.tagger.verify(&[&Self::claim(from, nonce, bucket)], cookie);
        valid(bucket) || bucket.checked_sub(1).is_some_and(valid)
    }

    /// A new id that cannot be guessed.
    pub(super) fn session(&mut self) -> u64 {
        self.issued += 1;
        let tag = self.tagger.tag(&[SESSION, &self.issued.to_be_bytes()]);
        u64::from_be_bytes(std::array::from_fn(|at| tag[at]))
    }

    /// The input of a cookie. The address is last, because its length varies.
    fn claim(from: &SocketAddr, nonce: u64, bucket: u64) -> Vec<u8> {
        let from = from.to_string();
        [COOKIE, &bucket.to_be_bytes(), &nonce.to_be_bytes(), from.as_bytes()].concat()
    }
}

const fn bucket(now: Nanos) -> u64 {
    now.0 / BUCKET.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    /// Opens and ends sessions of a host until it must wait; returns their number.
    fn fill(table: &mut Table, host: u8) -> usize {
        let mut opened = 0;
        while !table.is_full(64, &from(host, opened)) {
            let id = u64::from(host) << 32 | u64::from(opened);
            table.insert(id, from(host, opened), id, Nanos::ZERO);
            table.remove(id, Nanos::ZERO);
            opened += 1;
        }
        opened.into()
    }

    #[test]
    fn no_host_excludes_the_others() {
        let mut table = Table::default();
        assert_eq!((fill(&mut table, 1), table.ended.len()), (ENDED / 2, ENDED / 2));
        // Each next host gets half of what is free; the sixth still gets some.
        for host in 2..=6 {
            assert!(fill(&mut table, host) >= LEAST_SHARE, "{host}");
        }
        assert!(table.is_full(64, &from(1, 1)));
        table.forget(COOKIE_LIFE);
        assert!(table.by_host.is_empty() && table.by_client.is_empty());
        assert!(!table.is_full(64, &from(1, 1)));
    }

    #[test]
    fn a_session_in_a_phase_outlasts_an_outage() {
        let mut table = Table::default();
        let second = |count: u64| Nanos::from_millis(count * 1_000);
        let idle = second(10);
        table.insert(7, from(1, 1), 7, second(1));
        // A phase of a day does not keep it for as long.
        for (kept_until, ends) in
            [(0, second(11)), (30, second(40)), (86_400, second(11) + MAX_KEPT)]
        {
            table.open.get_mut(&7).unwrap().kept_until = second(kept_until);
            assert_eq!(table.deadline(idle), Some(ends));
            assert!(table.silent(idle, ends - Nanos(1)).is_empty());
            assert_eq!(table.silent(idle, ends), [7]);
        }
    }

    #[test]
    fn closing_sessions_count() {
        let mut table = Table::default();
        (0..3).for_each(|id| table.insert(id, from(1, 1), id, Nanos::ZERO));
        assert!(table.is_full(3, &from(2, 1)) && !table.is_full(4, &from(2, 1)));
        table.closing = 5;
        assert!(table.is_full(4, &from(2, 1)));
        table.closing = 4;
        assert!(!table.is_full(4, &from(2, 1)));
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_cookie_is_valid_only_for_its_peer_nonce_and_time() {
        let issuer = CookieIssuer::new(&[1; 32]);
        let (peer, now) = (address("192.0.2.1:9"), Nanos::from_millis(12_345));
        let cookie = issuer.cookie(&peer, 5, now);
        let is_valid =
            |peer: &str, nonce, now| issuer.is_valid(&cookie, &address(peer), nonce, now);
        assert!(is_valid("192.0.2.1:9", 5, now) && is_valid("192.0.2.1:9", 5, now + BUCKET));
        assert!(!is_valid("192.0.2.1:9", 5, now + COOKIE_LIFE));
        assert!(!is_valid("192.0.2.1:9", 5, now - BUCKET), "it is of the future");
        assert!(!is_valid("192.0.2.1:9", 6, now));
        assert!(!is_valid("192.0.2.1:10", 5, now) && !is_valid("192.0.2.2:9", 5, now));
        assert!(!is_valid("[::ffff:192.0.2.1]:9", 5, now));
        assert!(!CookieIssuer::new(&[2; 32]).is_valid(&cookie, &peer, 5, now));
        assert!(issuer.is_valid(&issuer.cookie(&peer, 5, Nanos::ZERO), &peer, 5, Nanos::ZERO));
        let [mut one, mut two] = [1, 2].map(|secret| CookieIssuer::new(&[secret; 32]));
        let id = one.session();
        assert!(id != one.session() && id != two.session());
        let link = |link| CookieIssuer::claim(&address(link), 0, 0);
        assert_ne!(link("[fe80::1%1]:5"), link("[fe80::1%2]:5"));
    }

    #[test]
    fn a_host_is_an_ipv4_address_or_an_ipv6_prefix() {
        assert_eq!(host(&address("[2001:db8::1]:1")), host(&address("[2001:db8::ffff:0:0:2]:9")));
        assert_ne!(host(&address("[2001:db8::1]:1")), host(&address("[2001:db8:0:1::1]:1")));
        assert_eq!(host(&address("[::ffff:192.0.2.1]:1")), host(&address("192.0.2.1:2")));
        assert_ne!(host(&address("192.0.2.1:1")), host(&address("192.0.2.2:1")));
    }
}
