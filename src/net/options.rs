//! What is asked of a socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ports::Ports;

/// What is asked for as SO_SNDBUF and SO_RCVBUF where nobody says otherwise, in bytes. Arbitrary: a
/// few milliseconds of small datagrams.
const BUFFER: usize = 4 << 20;

/// What a socket should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Local address; port 0 takes an ephemeral one.
    pub bind: SocketAddr,
    /// SO_SNDBUF and SO_RCVBUF to ask for, in bytes.
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
    /// A multicast group whose datagrams to receive: by `dev`, otherwise by the device of `bind`
    /// (IPv4), otherwise by the one that the system chooses. `bind` is that group, or any address.
    pub join: Option<IpAddr>,
    /// The device to join by, where all else may come by any.
    pub join_dev: Option<String>,
    /// Whether to send to multicast groups: by `dev`, otherwise by the device of `bind` (IPv4),
    /// with `ttl` as hop limit, and to receivers on this host as well.
    pub multicast: bool,
    /// Whether to send to broadcast addresses.
    pub broadcast: bool,
    /// Whether a socket of IPv6 leaves the same port of IPv4 to others.
    pub only_v6: bool,
}

impl Default for Options {
    /// Any IPv4 address, an ephemeral port, 4 MiB of buffer each way, and nothing else.
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
