//! Socket options.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ports::Ports;

/// Default SO_SNDBUF and SO_RCVBUF in bytes. Arbitrary: a few milliseconds of small datagrams.
const BUFFER: usize = 4 << 20;

/// Options of a UDP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Local address; port 0 takes an ephemeral one.
    pub bind: SocketAddr,
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
    /// Local ports to choose from, in place of that of `bind`.
    pub ports: Option<Ports>,
    /// The multicast group to join: on `dev`, else on the device of `bind` (IPv4), else on the one
    /// that the system chooses. `bind` is that group, or unspecified.
    pub join: Option<IpAddr>,
    /// The device to join on, if other datagrams may arrive on any device.
    pub join_dev: Option<String>,
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
            buffer: BUFFER,
            dscp: None,
            ttl: None,
            df: false,
            dev: None,
            ports: None,
            join: None,
            join_dev: None,
            multicast: false,
            broadcast: false,
            only_v6: false,
        }
    }
}
