//! Cookies, which the server checks without state, and session ids that cannot be guessed.

use std::net::{IpAddr, SocketAddr};

use crate::remote::protocol::{COOKIE_LEN, Tagger};
use crate::unit::Nanos;

/// A cookie is valid for this time to twice as long. Arbitrary: some tries on a lossy path.
const BUCKET: Nanos = Nanos::from_millis(5_000);
/// After this time, a cookie is invalid. From [`BUCKET`].
pub(super) const COOKIE_LIFE: Nanos = Nanos(2 * BUCKET.0);
/// Separates cookies from ids. Arbitrary.
const COOKIE: &[u8] = b"cookie";
/// As above.
const SESSION: &[u8] = b"session";

/// The host of an address: for IPv6 the first 64 bits, since a host may use all addresses of its
/// prefix (RFC 4291, section 2.5.4).
pub(super) fn host(address: &SocketAddr) -> u128 {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

/// Makes and checks cookies and ids with the server's secret.
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

    /// Whether this is a valid cookie for this peer and nonce.
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
