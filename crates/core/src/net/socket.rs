//! UDP sockets with requested and granted options.

mod error;

pub use error::{SocketError, message_of};

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::multicast::{join, send_multicast};
use super::options::Options;
use crate::sys;

/// A bound, non-blocking UDP socket with its granted buffers.
#[derive(Debug)]
pub struct Udp {
    /// The socket.
    pub socket: UdpSocket,
    /// Its local address with the actual port.
    pub local: SocketAddr,
    /// Granted SO_SNDBUF in bytes: limited by `net.core.wmem_max`, and doubled by the kernel.
    pub send_buffer: Option<usize>,
    /// SO_RCVBUF as granted, likewise.
    pub receive_buffer: Option<usize>,
}

impl Udp {
    /// Opens and binds a socket with options.
    pub fn open(options: &Options) -> Result<Self, SocketError> {
        let socket = prepare(options)?;
        bind(&socket, options)?;
        Ok(Self::of(socket, options.bind))
    }

    /// Wraps a socket that is bound to `addr`.
    pub(super) fn of(socket: Socket, addr: SocketAddr) -> Self {
        let local = socket.local_addr().ok().and_then(|local| local.as_socket()).unwrap_or(addr);
        let (send_buffer, receive_buffer) =
            (socket.send_buffer_size().ok(), socket.recv_buffer_size().ok());
        let socket = UdpSocket::from_std(socket.into());
        Self { socket, local, send_buffer, receive_buffer }
    }

    /// Opens `count` sockets that share one address and port; the kernel distributes datagrams by a
    /// hash of source and destination (SO_REUSEPORT, socket(7)). Fails if any other socket has the
    /// port. `dual`: a socket at `[::]` accepts IPv4, too.
    pub fn open_shared(
        options: &Options,
        count: usize,
        dual: bool,
    ) -> Result<Vec<Self>, SocketError> {
        let one = |options: &Options| {
            let socket = prepare(options)?;
            if options.bind.is_ipv6() {
                let source = |source| SocketError::Create { source };
                socket.set_only_v6(!dual).map_err(source)?;
                if dual {
                    // Error reports are enabled per family.
                    let _ = sys::report_queue_drops(&socket, false);
                }
            }
            Ok(socket)
        };
        let first = one(options)?;
        bind(&first, options)?;
        let addr = first.local_addr().ok().and_then(|local| local.as_socket());
        let addr = addr.unwrap_or(options.bind);
        let joined = |source| SocketError::Join { addr, source };
        if count > 1 {
            // Only after bind(2), so that no other process shares the port.
            sys::set_reuse_port(&first).map_err(joined)?;
        }
        let mut all = vec![Self::of(first, addr)];
        for _ in 1..count {
            let next = one(options)?;
            let bound = sys::set_reuse_port(&next).and_then(|()| next.bind(&addr.into()));
            bound.map_err(joined)?;
            all.push(Self::of(next, addr));
        }
        Ok(all)
    }

    /// Another handle of the same socket.
    pub fn duplicate(&self) -> Result<Self, SocketError> {
        let copy = SockRef::from(&self.socket).try_clone();
        Ok(Self::of(copy.map_err(|source| SocketError::Create { source })?, self.local))
    }

    /// Makes the kernel report drops of queueing disciplines as errors, as for all sockets but
    /// those of a [`super::Group`]. ICMP errors then fill the receive buffer until they are read.
    pub fn report_queue_drops(&self) -> Result<(), SocketError> {
        queue_drops(&self.socket, self.local)
    }

    /// Connects to the peer, which saves a route look-up for each send.
    pub fn connect(&self, to: SocketAddr) -> Result<(), SocketError> {
        let from = self.local;
        self.socket.connect(to).map_err(|source| SocketError::Connect { from, to, source })
    }
}

/// A socket with its options, not yet bound.
pub(super) fn prepare(options: &Options) -> Result<Socket, SocketError> {
    let domain = Domain::for_address(options.bind);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
        .map_err(|source| SocketError::Create { source })?;
    // The kernel may grant less; the granted size is read back after bind(2).
    let _ = socket.set_send_buffer_size(options.buffer);
    let _ = socket.set_recv_buffer_size(options.buffer);
    set_options(&socket, options)?;
    socket.set_nonblocking(true).map_err(|source| SocketError::Create { source })?;
    Ok(socket)
}

/// Binds the socket, to the next free port of a range if there is one.
pub(super) fn bind(socket: &Socket, options: &Options) -> Result<(), SocketError> {
    let mut addr = options.bind;
    let Some(ports) = &options.ports else {
        return socket.bind(&addr.into()).map_err(|source| SocketError::Bind { addr, source });
    };
    for port in ports.in_turn() {
        addr.set_port(port);
        match socket.bind(&addr.into()) {
            Ok(()) => return Ok(()),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(SocketError::Bind { addr, source }),
        }
    }
    Err(SocketError::Ports { ip: addr.ip(), range: ports.range() })
}

/// Makes the kernel report drops of queueing disciplines.
fn queue_drops(socket: &impl sys::Handle, addr: SocketAddr) -> Result<(), SocketError> {
    let (option, flag, hint) = ("IP_RECVERR", "IPv6", ", or use a kernel of 2.2 or later");
    sys::report_queue_drops(socket, addr.is_ipv6()).map_err(|source| SocketError::Option {
        option,
        flag,
        hint,
        addr,
        source,
    })
}

/// Sets the options other than buffers.
fn set_options(socket: &Socket, options: &Options) -> Result<(), SocketError> {
    let addr = options.bind;
    let ipv6 = addr.is_ipv6();
    let refused =
        |option, flag, hint| move |source| SocketError::Option { option, flag, hint, addr, source };
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
        sys::bind_device(socket, dev).map_err(refused(
            "the device",
            "--dev",
            ", or name a device that `ip link` lists",
        ))?;
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
    if let Some(group) = options.join {
        join(socket, options, group).map_err(refused("the multicast group", "--join", hint))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(bind: &str) -> Options {
        let bind = bind.parse().unwrap();
        Options { bind, buffer: 65_536, dscp: Some(46), ttl: Some(3), ..Options::default() }
    }

    #[test]
    fn port_and_buffers_are_read_back() {
        let udp = Udp::open(&options("127.0.0.1:0")).unwrap();
        assert_ne!(udp.local.port(), 0);
        assert!(udp.receive_buffer.unwrap() >= 65_536);
    }

    #[test]
    fn errors_say_what_to_do() {
        let first = Udp::open(&options("127.0.0.1:0")).unwrap();
        let error = Udp::open(&options(&first.local.to_string())).unwrap_err().to_string();
        let port = first.local;
        let expected = "address in use; choose another --port or stop the other process";
        assert_eq!(error, format!("cannot bind {port}: {expected}"));
        let error = Udp::open(&options("192.0.2.1:0")).unwrap_err().to_string();
        assert!(error.contains("not an address of this host"), "{error}");
    }
}
