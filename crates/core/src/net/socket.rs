//! UDP sockets with requested and granted options.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use mio::net::UdpSocket;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use super::options::{GroupJoin, Options};
use crate::sys;

/// Minimum memory of a queued datagram in bytes: a `struct sk_buff`.
const MIN_TRUESIZE: usize = 232;

/// Maximum number of datagrams in a receive buffer of this granted size.
pub const fn max_queued(buffer: usize) -> usize {
    buffer / MIN_TRUESIZE + 1
}

/// A bound, non-blocking UDP socket with its granted buffers.
#[derive(Debug)]
pub struct Udp {
    /// The socket.
    pub socket: UdpSocket,
    /// Its local address with the actual port.
    pub local: SocketAddr,
    /// Granted SO_SNDBUF in bytes: limited by `net.core.wmem_max`, and doubled by the kernel.
    pub send_buffer: Option<usize>,
    /// Granted SO_RCVBUF in bytes, likewise.
    pub receive_buffer: Option<usize>,
}

impl Udp {
    /// Opens and binds a socket with options.
    pub fn open(options: &Options) -> Result<Self, SocketError> {
        let socket = prepare(options)?;
        bind(&socket, options)?;
        Ok(Self::of(socket, options.bind))
    }

    pub(super) fn of(socket: Socket, addr: SocketAddr) -> Self {
        Self {
            local: local_of(&socket, addr),
            send_buffer: socket.send_buffer_size().ok(),
            receive_buffer: socket.recv_buffer_size().ok(),
            socket: UdpSocket::from_std(socket.into()),
        }
    }

    /// Opens `count` sockets that share one address and port; the kernel distributes datagrams by a
    /// hash of source and destination (SO_REUSEPORT, socket(7)). Fails if any other socket has the
    /// port. `dual`: a socket at `[::]` accepts IPv4, too.
    pub fn open_shared(
        options: &Options,
        count: usize,
        dual: bool,
    ) -> Result<Vec<Self>, SocketError> {
        let one = || {
            let socket = prepare(options)?;
            if options.bind.is_ipv6() {
                socket.set_only_v6(!dual)?;
                if dual {
                    // Error reports are enabled per family.
                    let _ = sys::report_queue_drops(&socket, false);
                }
            }
            Ok::<_, SocketError>(socket)
        };
        let first = one()?;
        bind(&first, options)?;
        let addr = local_of(&first, options.bind);
        let joined = |source| SocketError::Join { addr, source };
        if count > 1 {
            // Only after bind(2), so that no other process shares the port.
            sys::set_reuse_port(&first).map_err(joined)?;
        }
        let mut all = vec![Self::of(first, addr)];
        for _ in 1..count {
            let next = one()?;
            bind_shared(&next, addr)?;
            all.push(Self::of(next, addr));
        }
        Ok(all)
    }

    /// Another handle of the same socket.
    pub fn duplicate(&self) -> Result<Self, SocketError> {
        Ok(Self::of(SockRef::from(&self.socket).try_clone()?, self.local))
    }

    /// Makes the kernel report drops of queueing disciplines as errors, as for all sockets but
    /// those of a [`super::Group`]. ICMP errors then fill the receive buffer until they are read.
    pub fn report_queue_drops(&self) -> Result<(), SocketError> {
        queue_drops(&self.socket, self.local)
    }

    /// Connects to the peer, which saves a route look-up for each send. Discards what others have
    /// sent to the port before, which the kernel keeps.
    pub fn connect(&self, to: SocketAddr) -> Result<(), SocketError> {
        let from = self.local;
        self.socket.connect(to).map_err(|source| SocketError::Connect { from, to, source })?;
        drain(&SockRef::from(&self.socket), self.receive_buffer.unwrap_or(usize::MAX));
        Ok(())
    }
}

/// Discards queued datagrams, at most as many as `buffer` bytes hold, as peers may still send.
pub(super) fn drain(socket: &Socket, buffer: usize) {
    for _ in 0..max_queued(buffer) {
        // The rest of the datagram is discarded.
        let read = socket.recv(&mut [std::mem::MaybeUninit::uninit()]);
        // Other errors concern earlier sends and are reported once.
        if read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            break;
        }
    }
    sys::drain_error_queue(socket);
}

pub(super) fn local_of(socket: &Socket, addr: SocketAddr) -> SocketAddr {
    socket.local_addr().ok().and_then(|local| local.as_socket()).unwrap_or(addr)
}

pub(super) fn create(
    addr: SocketAddr,
    kind: Type,
    protocol: Protocol,
) -> Result<Socket, SocketError> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(super) fn prepare(options: &Options) -> Result<Socket, SocketError> {
    let socket = create(options.bind, Type::DGRAM, Protocol::UDP)?;
    prepare_created(&socket, options)?;
    Ok(socket)
}

/// Sets the options of a socket that another process may have created.
pub(super) fn prepare_created(socket: &Socket, options: &Options) -> Result<(), SocketError> {
    // The kernel may grant less; the granted size is read back after bind(2).
    let _ = socket.set_send_buffer_size(options.buffer);
    let _ = socket.set_recv_buffer_size(options.buffer);
    set_options(socket, options)
}

pub(super) fn bind_shared(socket: &Socket, addr: SocketAddr) -> Result<(), SocketError> {
    let bound = sys::set_reuse_port(socket).and_then(|()| socket.bind(&addr.into()));
    bound.map_err(|source| SocketError::Join { addr, source })
}

/// Binds the socket, to the next free port of a range if there is one.
pub(super) fn bind(socket: &Socket, options: &Options) -> Result<(), SocketError> {
    let mut addr = options.bind;
    let Some(ports) = &options.ports else {
        return bind_to(socket, addr, options).map_err(|source| failed(addr, options, source));
    };
    for port in ports.in_turn() {
        addr.set_port(port);
        match bind_to(socket, addr, options) {
            Ok(()) => return Ok(()),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(failed(addr, options, source)),
        }
    }
    Err(SocketError::Ports { ip: addr.ip(), range: ports.range.clone() })
}

/// Binds the socket; a source also to an address that this host does not have, where allowed.
fn bind_to(socket: &Socket, addr: SocketAddr, options: &Options) -> io::Result<()> {
    let is_foreign = |error: &io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
    match socket.bind(&addr.into()) {
        Err(error) if options.is_source && is_foreign(&error) => {
            sys::allow_foreign_bind(socket, addr.is_ipv6()).map_err(|_| error)?;
            socket.bind(&addr.into())
        }
        bound => bound,
    }
}

fn failed(addr: SocketAddr, options: &Options, source: io::Error) -> SocketError {
    let not_here = source.kind() == io::ErrorKind::AddrNotAvailable;
    match options.is_source && not_here {
        true => SocketError::Source { ip: addr.ip() },
        false => SocketError::Bind { addr, source },
    }
}

fn queue_drops(socket: &impl sys::Handle, addr: SocketAddr) -> Result<(), SocketError> {
    sys::report_queue_drops(socket, addr.is_ipv6()).map_err(|source| SocketError::Option {
        option: "IP_RECVERR".to_owned(),
        flag: "IPv6",
        hint: ", or use a kernel of 2.2 or later",
        addr,
        source,
    })
}

fn set_options(socket: &Socket, options: &Options) -> Result<(), SocketError> {
    let addr = options.bind;
    let ipv6 = addr.is_ipv6();
    let refused = |option: &str, flag, hint| {
        let option = option.to_owned();
        move |source| SocketError::Option { option, flag, hint, addr, source }
    };
    queue_drops(socket, addr)?;
    if let Some(dscp) = options.dscp {
        // The two low bits of the field are ECN's (RFC 3168).
        let tos = u32::from(dscp) << 2;
        let result =
            if ipv6 { sys::set_traffic_class(socket, tos) } else { socket.set_tos_v4(tos) };
        result.map_err(refused("the DSCP", "--dscp", ""))?;
    }
    if let Some(ttl) = options.ttl {
        let ttl = u32::from(ttl);
        let result = if ipv6 { socket.set_unicast_hops_v6(ttl) } else { socket.set_ttl_v4(ttl) };
        result.map_err(refused("the TTL", "--ttl", ""))?;
    }
    if options.df {
        sys::forbid_fragments(socket, ipv6).map_err(refused("don't fragment", "--df", ""))?;
    }
    if let Some(dev) = &options.dev {
        let hint = ", or name a device that `ip link` lists";
        let option = format!("the device {dev}");
        sys::bind_device(socket, dev).map_err(refused(&option, "--dev", hint))?;
    }
    if options.only_v6 && ipv6 {
        socket.set_only_v6(true).map_err(refused("IPV6_V6ONLY", "IPv6", ""))?;
    }
    if options.broadcast {
        socket.set_broadcast(true).map_err(refused("SO_BROADCAST", "--broadcast", ""))?;
    }
    let hint = ", or choose a device by --dev";
    if options.multicast {
        send_multicast(socket, options).map_err(refused("multicast", "--multicast", hint))?;
    }
    if !options.joins.is_empty() {
        sys::join_no_group(socket, ipv6);
    }
    for one in &options.joins {
        join(socket, options, one).map_err(refused("the multicast group", "--join", hint))?;
    }
    Ok(())
}

fn device_index(device: Option<&String>) -> io::Result<u32> {
    device.map_or(Ok(0), |device| sys::device_index(device))
}

/// The IPv4 address that selects the device: the bound one, unless it is unspecified or a group.
fn device_address(options: &Options) -> Ipv4Addr {
    match options.bind.ip() {
        IpAddr::V4(ip) if !ip.is_multicast() => ip,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

/// Sends multicast on the requested device. An IPv4 socket bound to a device needs no interface.
fn send_multicast(socket: &Socket, options: &Options) -> io::Result<()> {
    let ttl = options.ttl.map(u32::from);
    if options.bind.is_ipv6() {
        socket.set_multicast_if_v6(device_index(options.dev.as_ref())?)?;
        socket.set_multicast_loop_v6(true)?;
        return ttl.map_or(Ok(()), |ttl| socket.set_multicast_hops_v6(ttl));
    }
    if options.dev.is_none() {
        socket.set_multicast_if_v4(&device_address(options))?;
    }
    socket.set_multicast_loop_v4(true)?;
    ttl.map_or(Ok(()), |ttl| socket.set_multicast_ttl_v4(ttl))
}

fn join(socket: &Socket, options: &Options, join: &GroupJoin) -> io::Result<()> {
    let dev = join.dev.as_ref().or(options.dev.as_ref());
    if let Some(source) = join.source {
        return sys::join_source_group(socket, join.group, source, device_index(dev)?);
    }
    match join.group {
        IpAddr::V6(group) => socket.join_multicast_v6(&group, device_index(dev)?),
        IpAddr::V4(group) if dev.is_none() => {
            socket.join_multicast_v4(&group, &device_address(options))
        }
        IpAddr::V4(group) => {
            let by = InterfaceIndexOrAddress::Index(device_index(dev)?);
            socket.join_multicast_v4_n(&group, &by)
        }
    }
}

/// A socket that could not be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum SocketError {
    #[error("socket {number} of the service manager {problem}; write {unit} in its socket unit")]
    Passed { number: usize, problem: &'static str, unit: &'static str },
    #[error(
        "cannot take the sockets of the service manager: {source}; LISTEN_FDS must be the number \
         of open sockets from file 3 on, or unset LISTEN_PID"
    )]
    PassedCount { source: io::Error },
    #[error("cannot create a UDP socket: {source}; raise the limit of open files (ulimit -n)")]
    Create {
        #[from]
        source: io::Error,
    },
    #[error("cannot bind {addr}: {}; {}", reason(.source), bind_hint(.source))]
    Bind { addr: SocketAddr, source: io::Error },
    #[error(
        "--source {ip} is not an address of this host; add it (ip addr add {ip} dev DEVICE), or \
         send from it as root (CAP_NET_ADMIN or CAP_NET_RAW)"
    )]
    Source { ip: IpAddr },
    #[error(
        "cannot bind {ip}: no port of {}-{} is free; give a wider range, or fewer --streams",
        range.start(), range.end()
    )]
    Ports { ip: IpAddr, range: RangeInclusive<u16> },
    #[error(
        "cannot add a socket to those on {addr}: {}; serve fewer sessions at once, or use fewer \
         --threads", reason(.source)
    )]
    Join { addr: SocketAddr, source: io::Error },
    #[error(
        "all {slots} sessions that {addr} can hold are taken; wait until one ends, or start \
         another server at another --port"
    )]
    Slots { addr: SocketAddr, slots: u16 },
    #[error(
        "cannot connect {from} to {to}: {}; {}", connect_reason(.source), connect_hint(.source)
    )]
    Connect { from: SocketAddr, to: SocketAddr, source: io::Error },
    #[error("cannot set {option} on {addr}: {}; remove {flag}{hint}", reason(.source))]
    Option {
        option: String,
        flag: &'static str,
        hint: &'static str,
        addr: SocketAddr,
        source: io::Error,
    },
}

fn connect_reason(error: &io::Error) -> String {
    let unreachable = sys::send_error_of(error).unreachable();
    unreachable.map_or_else(|| reason(error), |why| why.to_string())
}

/// The system's message in lower case, without the error number.
pub fn message_of(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "not an address of this host".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        _ => message_of(error),
    }
}

fn connect_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        // The error of connect(2) for broadcast addresses.
        io::ErrorKind::PermissionDenied => "for a broadcast address, use --broadcast",
        _ if sys::send_error_of(error).unreachable().is_some() => {
            "check the address and the routes (ip route get ADDRESS)"
        }
        _ => "check the addresses",
    }
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "choose another --port or stop the other process",
        io::ErrorKind::AddrNotAvailable => "choose a --bind (or --to) address that `ip addr` lists",
        io::ErrorKind::PermissionDenied => "choose a --port of 1024 or above",
        _ => "choose another --bind or --port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_socket_has_nothing_of_others() {
        let bind = "127.0.0.1:0".parse().unwrap();
        let [peer, other] = [bind; 2].map(|at| std::net::UdpSocket::bind(at).unwrap());
        let udp = Udp::open(&Options { bind, ..Options::default() }).unwrap();
        assert_eq!([&b""[..], b"2"].map(|bytes| other.send_to(bytes, udp.local).unwrap()), [0, 1]);
        udp.connect(peer.local_addr().unwrap()).unwrap();
        let read = || udp.socket.recv(&mut [0; 16]).map_err(|error| error.kind());
        assert_eq!(read(), Err(io::ErrorKind::WouldBlock));
        peer.send_to(b"of the peer", udp.local).unwrap();
        assert_eq!(read(), Ok(11));
    }
}
