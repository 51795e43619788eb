//! What the server can check without having kept anything: cookies; and ids that nobody can guess.

use std::net::{IpAddr, SocketAddr};

use crate::remote::protocol::{COOKIE_LEN, Tagger};
use crate::unit::Nanos;

/// How long a cookie is good: at least this, and at most twice this. Arbitrary: some tries of a
/// client on a path that loses half.
const BUCKET: Nanos = Nanos::from_millis(5_000);

/// After so long no cookie is good any more that was made before. From [`BUCKET`].
pub(super) const COOKIE_LIFE: Nanos = Nanos(2 * BUCKET.0);

/// Sets codes of cookies apart from those of ids. Arbitrary.
const COOKIE: &[u8] = b"cookie";

/// As above.
const SESSION: &[u8] = b"session";

/// An address as bytes that no other address has.
pub trait AddressBytes {
    /// Puts them at the end of `into`.
    fn address_bytes(&self, into: &mut Vec<u8>);

    /// Whose it is, whatever the port: of IPv6 the first 64 bits, for whoever has one address has
    /// all behind those (RFC 4291, section 2.5.4).
    fn host(&self) -> u128;
}

impl AddressBytes for SocketAddr {
    fn address_bytes(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.port().to_be_bytes());
        match self.ip() {
            IpAddr::V4(ip) => into.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => into.extend_from_slice(&ip.octets()),
        }
        // A link-local address is another one on another link.
        if let Self::V6(address) = self {
            into.extend_from_slice(&address.scope_id().to_be_bytes());
        }
    }

    fn host(&self) -> u128 {
        match self.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(v4) => v4.to_ipv6_mapped().to_bits(),
                None => ip.to_bits() >> 64 << 64,
            },
        }
    }
}

/// The server's secret, at work.
#[derive(Debug)]
pub(super) struct CookieIssuer {
    tagger: Tagger,
    minted: u64,
}

impl CookieIssuer {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self { tagger: Tagger::new(secret), minted: 0 }
    }

    /// A cookie for this peer and this nonce, from now on.
    pub(super) fn cookie(
        &self,
        from: &impl AddressBytes,
        nonce: u64,
        now: Nanos,
    ) -> [u8; COOKIE_LEN] {
        self.tagger.tag(&[&Self::claim(from, nonce, bucket(now))])
    }

    /// Whether this is a cookie of ours for this peer and this nonce, and not too old.
    pub(super) fn is_good(
        &self,
        cookie: &[u8; COOKIE_LEN],
        from: &impl AddressBytes,
        nonce: u64,
        now: Nanos,
    ) -> bool {
        let bucket = bucket(now);
        let good = |bucket| self.tagger.verify(&[&Self::claim(from, nonce, bucket)], cookie);
        good(bucket) || bucket.checked_sub(1).is_some_and(good)
    }

    /// An id that is new and cannot be foretold; never 0.
    pub(super) fn session(&mut self) -> u64 {
        loop {
            self.minted += 1;
            let tag = self.tagger.tag(&[SESSION, &self.minted.to_be_bytes()]);
            let (first, _) = tag.split_first_chunk().unwrap_or((&[0; 8], &[]));
            let id = u64::from_be_bytes(*first);
            if id != 0 {
                return id;
            }
        }
    }

    /// What a cookie stands for. Only the address varies in length, and it comes last.
    fn claim(from: &impl AddressBytes, nonce: u64, bucket: u64) -> Vec<u8> {
        let mut claim = COOKIE.to_vec();
        claim.extend_from_slice(&bucket.to_be_bytes());
        claim.extend_from_slice(&nonce.to_be_bytes());
        from.address_bytes(&mut claim);
        claim
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
    fn a_cookie_is_good_for_its_peer_nonce_and_time_alone() {
        let mint = CookieIssuer::new(&[1; 32]);
        let (peer, now) = (address("192.0.2.1:9"), Nanos::from_millis(12_345));
        let cookie = mint.cookie(&peer, 5, now);
        assert!(mint.is_good(&cookie, &peer, 5, now));
        assert!(mint.is_good(&cookie, &peer, 5, now + BUCKET));
        assert!(!mint.is_good(&cookie, &peer, 5, now + COOKIE_LIFE));
        assert!(!mint.is_good(&cookie, &peer, 6, now));
        assert!(!mint.is_good(&cookie, &address("192.0.2.1:10"), 5, now));
        assert!(!mint.is_good(&cookie, &address("192.0.2.2:9"), 5, now));
        assert!(!CookieIssuer::new(&[2; 32]).is_good(&cookie, &peer, 5, now));
        assert!(!mint.is_good(&mint.cookie(&peer, 5, now + BUCKET), &peer, 5, now));
    }

    #[test]
    fn the_first_moment_of_all_has_cookies_too() {
        let (mint, peer) = (CookieIssuer::new(&[1; 32]), address("[2001:db8::1]:9"));
        assert!(mint.is_good(&mint.cookie(&peer, 5, Nanos::ZERO), &peer, 5, Nanos::ZERO));
    }

    #[test]
    fn addresses_differ_in_every_part() {
        let all =
            ["1.2.3.4:5", "1.2.3.4:6", "[::ffff:1.2.3.4]:5", "[fe80::1%1]:5", "[fe80::1%2]:5"];
        let mut bytes: Vec<_> = all
            .iter()
            .map(|text| {
                let mut bytes = Vec::new();
                address(text).address_bytes(&mut bytes);
                bytes
            })
            .collect();
        bytes.sort();
        bytes.dedup();
        assert_eq!(bytes.len(), all.len());
    }

    #[test]
    fn ids_do_not_repeat_and_depend_on_the_secret() {
        let ids = |secret| {
            let mut mint = CookieIssuer::new(&[secret; 32]);
            (0..1_000).map(|_| mint.session()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(ids(1).len(), 1_000);
        assert!(ids(1).is_disjoint(&ids(2)));
    }
}
