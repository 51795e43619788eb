//! The server's sessions, and for a while those that ended.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

use crate::remote::rpc::cookie::{AddressBytes, COOKIE_LIFE};
use crate::unit::Nanos;

/// Ended sessions that are remembered. Arbitrary: with more, new ones wait, at most 10 s, rather
/// than that a recorded message could open one a second time.
const ENDED: usize = 1_024;

/// How many of those any host may have, however little room is left; arbitrary.
const LEAST_SHARE: usize = 8;

/// How long a silent session in a phase is kept beyond its idle time. Arbitrary: longer than a link
/// or a router takes to restart, and short enough to free the resources of a vanished client.
pub const KEPT_MOST: Nanos = Nanos::from_millis(60_000);

/// What a session's last request has come to.
#[derive(Debug)]
pub(super) enum Work {
    Idle,
    AtIt,
    Answered(Vec<u8>),
}

/// A session whose client has proved its address.
#[derive(Debug)]
pub(super) struct RpcSession<A> {
    pub(super) from: A,
    nonce: u64,
    pub(super) heard: Nanos,
    /// Until when silence is expected, because of a phase or an outage.
    kept_until: Nanos,
    /// Number of the last request taken.
    pub(super) taken: u32,
    pub(super) work: Work,
    /// Number of the last note applied.
    pub(super) noted: u32,
}

impl<A> RpcSession<A> {
    /// When its silence begins to count.
    fn counts_from(&self) -> Nanos {
        self.heard.max(self.kept_until.min(self.heard + KEPT_MOST))
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Table<A> {
    open: BTreeMap<u64, RpcSession<A>>,
    /// Open ones and ended ones, so that a repeated Open starts nothing anew.
    by_client: HashMap<(A, u64), u64>,
    /// When each may be forgotten, in that order.
    ended: VecDeque<(Nanos, A, u64)>,
    /// How many open and ended ones each host has.
    by_host: HashMap<u128, usize>,
    /// Sessions that are closed, while the application still has work with them.
    leaving: usize,
}

impl<A: Copy + Eq + Hash + AddressBytes> Table<A> {
    pub(super) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            by_client: HashMap::new(),
            ended: VecDeque::new(),
            by_host: HashMap::new(),
            leaving: 0,
        }
    }

    pub(super) fn set_leaving(&mut self, leaving: usize) {
        self.leaving = leaving;
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Entries kept for ended sessions.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Whether there is no room for one more of this client: where so many are open, or where as
    /// many more are not done with yet; and where its host has as many as are left for all others
    /// (a dynamic threshold: Choudhury and Hahne, 1998), so that no one host keeps out the rest.
    pub(super) fn is_full(&self, sessions: usize, from: &A) -> bool {
        let of_host = self.by_host.get(&from.host()).copied().unwrap_or_default();
        let left = ENDED.saturating_sub(self.ended.len());
        self.open.len() >= sessions
            || self.open.len() + self.leaving >= sessions.saturating_mul(2)
            || left == 0
            || of_host >= left.max(LEAST_SHARE)
    }

    /// The session of this client and nonce, open or ended.
    pub(super) fn of_client(&self, from: A, nonce: u64) -> Option<u64> {
        self.by_client.get(&(from, nonce)).copied()
    }

    pub(super) fn get(&mut self, id: u64) -> Option<&mut RpcSession<A>> {
        self.open.get_mut(&id)
    }

    /// When this one's client was heard last.
    pub(super) fn heard(&self, id: u64) -> Option<Nanos> {
        self.open.get(&id).map(|session| session.heard)
    }

    pub(super) fn insert(&mut self, id: u64, from: A, nonce: u64, now: Nanos) {
        let session = RpcSession {
            from,
            nonce,
            heard: now,
            kept_until: now,
            taken: 0,
            work: Work::Idle,
            noted: 0,
        };
        self.open.insert(id, session);
        self.by_client.insert((from, nonce), id);
        *self.by_host.entry(from.host()).or_default() += 1;
    }

    /// Keeps a session that is silent until this moment, within [`KEPT_MOST`].
    pub(super) fn keep(&mut self, id: u64, until: Nanos) {
        if let Some(session) = self.open.get_mut(&id) {
            session.kept_until = until;
        }
    }

    /// Ends a session; until no cookie of its time is good any more it can't be opened again.
    pub(super) fn remove(&mut self, id: u64, now: Nanos) -> Option<A> {
        let session = self.open.remove(&id)?;
        self.ended.push_back((now + COOKIE_LIFE, session.from, session.nonce));
        Some(session.from)
    }

    /// Forgets what ended long ago.
    pub(super) fn forget(&mut self, now: Nanos) {
        while let Some(&(until, from, nonce)) = self.ended.front()
            && until <= now
        {
            self.ended.pop_front();
            self.by_client.remove(&(from, nonce));
            if let Entry::Occupied(mut of_host) = self.by_host.entry(from.host()) {
                *of_host.get_mut() -= 1;
                if *of_host.get() == 0 {
                    of_host.remove();
                }
            }
        }
    }

    /// Sessions that have been silent for so long.
    pub(super) fn silent(&self, idle: Nanos, now: Nanos) -> Vec<u64> {
        let silent = |session: &RpcSession<A>| now >= session.counts_from() + idle;
        self.open.iter().filter(|(_, session)| silent(session)).map(|(id, _)| *id).collect()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// When something of the above happens next.
    pub(super) fn deadline(&self, idle: Nanos) -> Option<Nanos> {
        let silent = self.open.values().map(|session| session.counts_from() + idle).min();
        let forgotten = self.ended.front().map(|(until, ..)| *until);
        silent.into_iter().chain(forgotten).min()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    /// Opens and ends sessions of this host until there is no room; how many there were.
    fn fill(table: &mut Table<SocketAddr>, host: u8) -> usize {
        let rooms = (0..).take_while(|&id| {
            let from = from(host, id as u16);
            let room = !table.is_full(64, &from);
            if room {
                let id = u64::from(host) << 32 | id;
                table.insert(id, from, id, Nanos::ZERO);
                table.remove(id, Nanos::ZERO);
            }
            room
        });
        rooms.count()
    }

    #[test]
    fn no_host_keeps_out_the_others_by_coming_and_going() {
        let mut table = Table::new();
        let first = fill(&mut table, 1);
        assert_eq!((first, table.ended()), (ENDED / 2, ENDED / 2));
        // Each of the next ones has half of what is left, and the sixth still has some.
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
        let mut table = Table::new();
        let second = |count: u64| Nanos::from_millis(count * 1_000);
        table.insert(7, from(1, 1), 7, second(1));
        let idle = second(10);
        assert_eq!(table.silent(idle, second(11)), [7]);
        table.keep(7, second(30));
        assert_eq!(table.deadline(idle), Some(second(40)));
        assert!(table.silent(idle, second(39)).is_empty());
        assert_eq!(table.silent(idle, second(40)), [7]);
        // A phase of a day does not keep it for as long.
        table.keep(7, second(86_400));
        assert_eq!(table.silent(idle, second(11) + KEPT_MOST), [7]);
        table.keep(7, Nanos::ZERO);
        assert_eq!(table.silent(idle, second(11)), [7]);
    }

    #[test]
    fn what_is_not_done_with_counts() {
        let mut table = Table::new();
        (0..3).for_each(|id| table.insert(id, from(1, 1), id, Nanos::ZERO));
        assert!(table.is_full(3, &from(2, 1)) && !table.is_full(4, &from(2, 1)));
        table.set_leaving(5);
        assert!(table.is_full(4, &from(2, 1)));
        table.set_leaving(4);
        assert!(!table.is_full(4, &from(2, 1)));
    }

    #[test]
    fn a_host_has_many_addresses() {
        let host = |addr: &str| addr.parse::<SocketAddr>().unwrap().host();
        assert_eq!(host("[2001:db8::1]:1"), host("[2001:db8::ffff:0:0:2]:9"));
        assert_ne!(host("[2001:db8::1]:1"), host("[2001:db8:0:1::1]:1"));
        assert_eq!(host("[::ffff:192.0.2.1]:1"), host("192.0.2.1:2"));
        assert_ne!(host("192.0.2.1:1"), host("192.0.2.2:1"));
    }
}
