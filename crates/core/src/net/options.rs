//! Socket options and ranges of local ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Default SO_SNDBUF and SO_RCVBUF in bytes. Arbitrary: a few milliseconds of small datagrams.
const BUFFER: usize = 4 << 20;

/// Options of a UDP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Local address; port 0 takes an ephemeral one.
    pub bind: SocketAddr,
    /// Whether `bind` is one of several sources, which may be an address that this host does not
    /// have if the system allows that.
    pub is_source: bool,
    /// Requested SO_SNDBUF and SO_RCVBUF in bytes.
    pub buffer: usize,
    /// Differentiated services code point.
    pub dscp: Option<u8>,
    /// Time to live, or hop limit.
    pub ttl: Option<u8>,
    /// Whether fragments are forbidden.
    pub df: bool,
    /// The device to use.
    pub dev: Option<String>,
    /// Local ports to choose from, instead of the port of `bind`.
    pub ports: Option<Ports>,
    /// The multicast groups to join; the socket gets datagrams of no other group. `bind` is the
    /// only one, or unspecified.
    pub joins: Vec<GroupJoin>,
    /// Whether to send to multicast groups: on `dev`, else on the device of `bind` (IPv4), with
    /// `ttl` as hop limit, and to receivers on this host, too.
    pub multicast: bool,
    /// Whether to send to broadcast addresses.
    pub broadcast: bool,
    /// Whether an IPv6 socket does not accept IPv4.
    pub only_v6: bool,
}

impl Default for Options {
    /// Any IPv4 address, an ephemeral port, and 4 MiB of buffer each way.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            is_source: false,
            buffer: BUFFER,
            dscp: None,
            ttl: None,
            df: false,
            dev: None,
            ports: None,
            joins: Vec::new(),
            multicast: false,
            broadcast: false,
            only_v6: false,
        }
    }
}

/// A multicast group to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupJoin {
    /// The group.
    pub group: IpAddr,
    /// The only sender whose datagrams are received; `None`: any.
    pub source: Option<IpAddr>,
    /// The device to join on; `None`: that of the socket, else that of its address (IPv4), else
    /// the one that the system chooses.
    pub dev: Option<String>,
}

/// A range of local ports, used in turn. Clones share the position.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(super) range: RangeInclusive<u16>,
    next: Arc<AtomicU32>,
}

impl Ports {
    /// The ports of the range except port 0.
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { range, next: Arc::default() }
    }

    /// The ports to try, each once, from the current position.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = u16> {
        let first = u32::from(*self.range.start()).max(1);
        let len = (u32::from(*self.range.end()) + 1).saturating_sub(first);
        // Below 2¹⁶ + 2¹⁶.
        (0..len).map(move |_| (first + self.next.fetch_add(1, Ordering::Relaxed) % len) as u16)
    }
}

impl PartialEq for Ports {
    fn eq(&self, other: &Self) -> bool {
        self.range == other.range
    }
}

impl Eq for Ports {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Udp;

    #[test]
    fn uses_each_free_port_of_a_range_once() {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = Options { bind, buffer: 65_536, ..Options::default() };
        let occupied = Udp::open(&options).unwrap();
        let port = occupied.local.port();
        let ports = Some(Ports::new(port.saturating_sub(20)..=port.saturating_add(20)));
        let options = Options { ports, ..options };
        let open = |_| Udp::open(&options.clone()).ok();
        let mut sockets: Vec<_> = (0..=41).map_while(open).collect();
        let found: std::collections::BTreeSet<_> =
            sockets.iter().map(|udp| udp.local.port()).collect();
        assert!(!found.is_empty() && found.len() == sockets.len() && !found.contains(&port));
        let freed = sockets.pop().unwrap().local.port();
        assert_eq!(Udp::open(&options).unwrap().local.port(), freed);
        assert!(Ports::new(0..=0).in_turn().next().is_none());
    }
}
