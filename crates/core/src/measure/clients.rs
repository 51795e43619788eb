//! Counts the addresses that datagrams came from, in a table of fixed size.

use std::net::{IpAddr, SocketAddr};

use crate::unit::hash_u64;

/// Maximum number of addresses counted; of the rest only their existence is known. Arbitrary: as
/// many as a sink lists.
const MOST: usize = 4_096;
/// Slots for those: twice as many, so that the second probe finds one on average (Knuth, The Art of
/// Computer Programming, 6.4: linear probing).
const PLACES: usize = 2 * MOST;

/// The addresses that were seen, by hashes of 63 bits: two of all that are counted collide in one
/// of 2⁴⁰ runs.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Hashes; 0: a free slot.
    seen: Box<[u64]>,
    count: usize,
    more: bool,
    /// The latest one, which is mostly the next one, too.
    last: Option<SocketAddr>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { seen: vec![0; PLACES].into_boxed_slice(), count: 0, more: false, last: None }
    }
}

impl Clients {
    /// Counts an address.
    #[inline]
    pub fn note(&mut self, from: SocketAddr) {
        if self.last != Some(from) {
            self.last = Some(from);
            self.add(hash(from));
        }
    }

    fn add(&mut self, hash: u64) {
        let mut at = hash as usize % PLACES;
        while self.seen[at] != 0 {
            if self.seen[at] == hash {
                return;
            }
            at = (at + 1) % PLACES;
        }
        if self.count == MOST {
            self.more = true;
            return;
        }
        self.seen[at] = hash;
        self.count += 1;
    }

    /// How many there were, as far as they are counted.
    pub const fn count(&self) -> u64 {
        self.count as u64
    }

    /// Whether there were more.
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        other.seen.iter().filter(|&&hash| hash != 0).for_each(|&hash| self.add(hash));
        self.more |= other.more;
    }
}

/// Never 0. An address of IPv4 is the same in the form in which IPv6 has it.
#[inline]
const fn hash(from: SocketAddr) -> u64 {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let low = hash_u64(ip as u64 ^ hash_u64(from.port() as u64 + 1));
    hash_u64((ip >> 64) as u64 ^ low) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn each_counts_once_and_the_table_is_bounded() {
        let mut clients = Clients::default();
        for port in [1, 1, 2, 1, 2, 3] {
            clients.note(from(port));
        }
        clients.note("[::ffff:192.0.2.1]:3".parse().unwrap());
        assert_eq!((clients.count(), clients.more()), (3, false));
        clients.note("[2001:db8::1]:3".parse().unwrap());
        clients.note("192.0.2.2:3".parse().unwrap());
        assert_eq!(clients.count(), 5);
        for port in 1..=MOST as u16 + 9 {
            clients.note(from(port));
        }
        assert_eq!((clients.count(), clients.more()), (MOST as u64, true));
    }

    #[test]
    fn workers_count_a_common_one_once() {
        let (mut one, mut other) = (Clients::default(), Clients::default());
        (1..=10).for_each(|port| one.note(from(port)));
        (8..=12).for_each(|port| other.note(from(port)));
        one.merge(&other);
        assert_eq!((one.count(), one.more()), (12, false));
    }
}
