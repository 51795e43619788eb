//! For tests of engines.

use std::net::{SocketAddr, UdpSocket};

/// An address that refuses datagrams while this socket is open. The socket keeps the port, so that
/// no other test gets it. It is connected to itself, and so takes no other datagrams.
pub(super) fn closed_port() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    socket.connect(at).unwrap();
    (socket, at)
}
