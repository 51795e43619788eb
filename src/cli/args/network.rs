//! Networks by prefix.

use std::net::IpAddr;
use std::str::FromStr;

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
}

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
}
