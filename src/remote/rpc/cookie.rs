//! Cookies, which the server checks without state, and session ids that cannot be guessed.

use std::net::{IpAddr, SocketAddr};

use crate::remote::protocol::{COOKIE_LEN, Tagger};
use crate::unit::Nanos;

/// A cookie is valid for at least this time, and at most twice as long. Arbitrary: some tries on a
/// path that loses half.
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

    /// A new id that cannot be guessed; never 0.
    pub(super) fn session(&mut self) -> u64 {
        loop {
            self.issued += 1;
            let tag = self.tagger.tag(&[SESSION, &self.issued.to_be_bytes()]);
            let (first, _) = tag.split_first_chunk().unwrap_or((&[0; 8], &[]));
            let id = u64::from_be_bytes(*first);
            if id != 0 {
                return id;
            }
        }
    }

    /// The input of a cookie. The address is last, because its length varies.
    fn claim(from: &SocketAddr, nonce: u64, bucket: u64) -> Vec<u8> {
        let mut claim = COOKIE.to_vec();
        claim.extend_from_slice(&bucket.to_be_bytes());
        claim.extend_from_slice(&nonce.to_be_bytes());
        claim.extend_from_slice(&from.port().to_be_bytes());
        match from {
            SocketAddr::V4(from) => claim.extend_from_slice(&from.ip().octets()),
            SocketAddr::V6(from) => {
                claim.extend_from_slice(&from.ip().octets());
                // The same link-local address differs by link.
                claim.extend_from_slice(&from.scope_id().to_be_bytes());
            }
        }
        claim
    }
}

const fn bucket(now: Nanos) -> u64 {
    now.0 / BUCKET.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_cookie_is_valid_only_for_its_peer_nonce_and_time() {
        let issuer = CookieIssuer::new(&[1; 32]);
        let (peer, now) = (address("192.0.2.1:9"), Nanos::from_millis(12_345));
        let cookie = issuer.cookie(&peer, 5, now);
        assert!(issuer.is_valid(&cookie, &peer, 5, now));
        assert!(issuer.is_valid(&cookie, &peer, 5, now + BUCKET));
        assert!(!issuer.is_valid(&cookie, &peer, 5, now + COOKIE_LIFE));
        assert!(!issuer.is_valid(&cookie, &peer, 6, now));
        assert!(!issuer.is_valid(&cookie, &address("192.0.2.1:10"), 5, now));
        assert!(!issuer.is_valid(&cookie, &address("192.0.2.2:9"), 5, now));
        assert!(!CookieIssuer::new(&[2; 32]).is_valid(&cookie, &peer, 5, now));
        assert!(!issuer.is_valid(&issuer.cookie(&peer, 5, now + BUCKET), &peer, 5, now));
        assert!(issuer.is_valid(&issuer.cookie(&peer, 5, Nanos::ZERO), &peer, 5, Nanos::ZERO));
    }

    #[test]
    fn addresses_differ_in_every_part() {
        let all =
            ["1.2.3.4:5", "1.2.3.4:6", "[::ffff:1.2.3.4]:5", "[fe80::1%1]:5", "[fe80::1%2]:5"];
        let claims = all.map(|text| CookieIssuer::claim(&address(text), 0, 0));
        assert_eq!(BTreeSet::from(claims).len(), all.len());
        assert_eq!(host(&address("[2001:db8::1]:1")), host(&address("[2001:db8::ffff:0:0:2]:9")));
        assert_ne!(host(&address("[2001:db8::1]:1")), host(&address("[2001:db8:0:1::1]:1")));
        assert_eq!(host(&address("[::ffff:192.0.2.1]:1")), host(&address("192.0.2.1:2")));
        assert_ne!(host(&address("192.0.2.1:1")), host(&address("192.0.2.2:1")));
    }

    #[test]
    fn ids_do_not_repeat_and_depend_on_the_secret() {
        let ids = |secret| {
            let mut issuer = CookieIssuer::new(&[secret; 32]);
            (0..1_000).map(|_| issuer.session()).collect::<BTreeSet<_>>()
        };
        assert_eq!(ids(1).len(), 1_000);
        assert!(ids(1).is_disjoint(&ids(2)));
    }
}
