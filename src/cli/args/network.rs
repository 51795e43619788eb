//! Networks by prefix, and lists of addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::plan::Sources;

/// Maximum number of sources: as many as flows.
const MOST_SOURCES: usize = u16::MAX as usize;

/// All addresses with the same first bits, such as 10.9.0.0/16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    pub(crate) fn has(self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let differing: u128 = own ^ other;
        differing.checked_shr(width - self.bits).unwrap_or(0) == 0
    }

    /// Its host addresses, the first `most`: without those of the network and broadcast (IPv4,
    /// except RFC 3021) or of the subnet's routers (IPv6, RFC 4291 section 2.6.1, except RFC 6164).
    fn hosts(self, most: usize) -> Vec<IpAddr> {
        let (own, width) = match self.address {
            IpAddr::V4(own) => (own.to_bits().into(), 32),
            IpAddr::V6(own) => (own.to_bits(), 128),
        };
        let hosts: u128 = u128::MAX.checked_shr(128 - (width - self.bits)).unwrap_or(0);
        let (first, last) = (own & !hosts, own | hosts);
        let (skipped, kept) = match (hosts, width) {
            (0 | 1, _) => (0, 0),
            (_, 32) => (1, 1),
            _ => (1, 0),
        };
        let all = (first + skipped..=last - kept).take(most);
        all.map(|bits| match self.address {
            IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
        })
        .collect()
    }
}

/// Addresses and networks, separated by commas: host addresses of one family, each once.
pub(super) fn parse_sources(word: &str) -> Result<Sources, String> {
    let mut all = Vec::new();
    for item in word.split(',').map(str::trim) {
        // One more shows that there are too many.
        let most = MOST_SOURCES + 1 - all.len();
        let added = match item.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if item.contains('/') => item.parse::<Network>()?.hosts(most),
            Err(_) => {
                return Err(format!(
                    "'{item}' is not an IP address or network; use such as \
                                    127.0.1.1,127.0.1.2 or 127.0.1.0/24"
                ));
            }
        };
        all.extend(added);
        if all.len() > MOST_SOURCES {
            return Err(format!(
                "more than {MOST_SOURCES} addresses; use fewer, or a network such as /16 or /112"
            ));
        }
    }
    let mut known = HashSet::new();
    for address in &all {
        let is_broadcast =
            matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || *v4 == LOOPBACK_BROADCAST);
        let why = if address.is_multicast() || address.is_unspecified() || is_broadcast {
            "is not the address of a host; omit it"
        } else if address.is_ipv4() != all[0].is_ipv4() {
            "is of another family than the first address; use one family"
        } else if !known.insert(address) {
            "is given twice; list it once"
        } else {
            continue;
        };
        return Err(format!("{address} {why}"));
    }
    Sources::new(word, &all).ok_or_else(|| "no address; use such as 127.0.1.0/24".to_owned())
}

/// The broadcast address of lo; RFC 1122 section 3.2.1.3 reserves 127.0.0.0/8 for it.
const LOOPBACK_BROADCAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 255);

impl FromStr for Network {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let parsed = word.split_once('/').and_then(|(address, bits)| {
            let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
            (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, bits })
        });
        parsed.ok_or_else(|| format!("'{word}' is not a network; use such as 10.9.0.0/16"))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_addresses_of_their_prefix() {
        for (network, address, is_in) in [
            ("10.9.0.0/16", "10.9.255.1", true),
            ("10.9.0.0/16", "10.10.0.1", false),
            ("10.9.1.2/16", "10.9.7.7", true),
            ("10.9.1.2/32", "10.9.1.3", false),
            ("0.0.0.0/0", "192.168.0.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fd00::1", true),
            ("fd00:1::/32", "fd00:1:2::3", true),
            ("fd00:1::/32", "fd00:2::1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.has(address.parse().unwrap()), is_in, "{address} in {network}");
            assert_eq!(parsed.to_string(), network);
        }
        for word in ["", "10.9.0.0", "10.9.0.0/33", "::/129", "10.9/16", "10.9.0.0/", "lab/8"] {
            assert!(word.parse::<Network>().is_err(), "{word}");
        }
    }

    #[test]
    fn sources_are_the_hosts_of_lists_and_networks() {
        for (word, count, first, last) in [
            ("127.0.1.0/24", 254, "127.0.1.1", "127.0.1.254"),
            ("127.0.1.77/30", 2, "127.0.1.77", "127.0.1.78"),
            ("10.0.0.0/31", 2, "10.0.0.0", "10.0.0.1"),
            ("10.0.0.7/32", 1, "10.0.0.7", "10.0.0.7"),
            ("127.0.1.1, 127.0.2.0/30", 3, "127.0.1.1", "127.0.2.2"),
            ("127.1.0.0/16", 65_534, "127.1.0.1", "127.1.255.254"),
            ("fd00::/112", 65_535, "fd00::1", "fd00::ffff"),
            ("fd00::2/127", 2, "fd00::2", "fd00::3"),
            ("::1", 1, "::1", "::1"),
        ] {
            let sources = parse_sources(word).unwrap();
            let all: Vec<_> = sources.addresses().map(|address| address.to_string()).collect();
            let found = (sources.count(), all[0].as_str(), all[all.len() - 1].as_str());
            assert_eq!(found, (count, first, last), "{word}");
            assert_eq!(sources.to_string(), word);
        }
        for (word, why) in [
            ("", "'' is not an IP address"),
            ("127.0.1.1,", "'' is not an IP address"),
            ("lo", "'lo' is not an IP address"),
            ("127.0.1.0/33", "is not a network"),
            ("127.0.0.0/8", "more than 65535 addresses"),
            ("127.1.0.0/16,127.2.0.0/16", "more than 65535 addresses"),
            ("::/0", "more than 65535 addresses"),
            ("127.0.1.1,::1", "::1 is of another family"),
            ("127.0.1.0/30,127.0.1.2", "127.0.1.2 is given twice"),
            ("0.0.0.0", "0.0.0.0 is not the address of a host"),
            ("239.1.1.1", "239.1.1.1 is not"),
            ("255.255.255.255", "255.255.255.255 is not"),
            ("127.255.255.255", "127.255.255.255 is not"),
            ("::", ":: is not"),
            ("ff02::1", "ff02::1 is not"),
        ] {
            let error = parse_sources(word).unwrap_err();
            assert!(error.contains(why), "{word}: {error}");
        }
    }
}
