//! Sockets that a service manager has bound for this process (`LISTEN_FDS` of sd_listen_fds(3),
//! systemd.socket(5)).

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Socket, Type};

use super::socket::SocketError;
use crate::sys;

/// UDP sockets that this process was started with.
#[derive(Debug, Clone, Default)]
pub struct PassedSockets(Arc<Vec<(SocketAddr, Socket)>>);

impl PassedSockets {
    /// Takes the sockets; none if there are none, or if they were taken before. Fails if one of
    /// them is no UDP socket that is bound to an IP address, or cannot receive from every client.
    pub fn take() -> Result<Self, SocketError> {
        let sockets = sys::passed_sockets();
        let sockets = sockets.map_err(|source| SocketError::PassedCount { source })?;
        let mut taken: Vec<(SocketAddr, Socket)> = Vec::new();
        for (number, socket) in sockets.into_iter().enumerate() {
            let wrong = |(problem, unit)| SocketError::Passed { number: number + 1, problem, unit };
            let addr = usable(&socket).map_err(wrong)?;
            let others = || taken.iter().filter(|(at, _)| *at == addr).map(|(_, other)| other);
            if others().any(|other| sys::is_same_socket(other, &socket)) {
                return Err(wrong(("is passed twice", "each ListenDatagram= once")));
            }
            let shares = |socket: &Socket| sys::has_reuse_port(socket);
            if others().next().is_some() && !others().chain([&socket]).all(shares) {
                return Err(wrong(("hides another one at its address", "ReusePort=yes")));
            }
            taken.push((addr, socket));
        }
        Ok(Self(Arc::new(taken)))
    }

    /// Their addresses, each once.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        let mut addrs: Vec<_> = self.0.iter().map(|(addr, _)| *addr).collect();
        addrs.sort();
        addrs.dedup();
        addrs
    }

    /// Duplicates of the sockets at an address, in the order of bind(2).
    pub fn at(&self, addr: SocketAddr) -> Result<Vec<Socket>, SocketError> {
        let here = self.0.iter().filter(|(at, _)| *at == addr);
        here.map(|(_, socket)| Ok(socket.try_clone()?)).collect()
    }
}

/// The address of a socket that any client can reach; otherwise what is wrong, and what a socket
/// unit must say.
fn usable(socket: &Socket) -> Result<SocketAddr, (&'static str, &'static str)> {
    const ADDRESS: &str = "ListenDatagram=ADDRESS:PORT";
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    let is_udp = socket.r#type().is_ok_and(|kind| kind == Type::DGRAM) && sys::is_udp(socket);
    let addr = local.filter(|_| is_udp).ok_or(("is not a UDP socket", ADDRESS))?;
    match addr {
        _ if addr.port() == 0 => Err(("is not bound to a port", ADDRESS)),
        _ if socket.peer_addr().is_ok() => Err(("is connected to one client", ADDRESS)),
        SocketAddr::V6(_) if !socket.only_v6().unwrap_or(false) => {
            Err(("accepts IPv4, too", "BindIPv6Only=ipv6-only"))
        }
        _ => Ok(addr),
    }
}
