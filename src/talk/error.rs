//! Errors of conversations, and events at their sockets.

use std::io;
use std::net::SocketAddr;

use super::{PeerAddr, TalkPeer};
use crate::net::{NetError, SocketError, message_of};
use crate::sys;
use crate::unit::Nanos;

/// Bytes of the largest datagram over IPv4: 65,535 less 20 of IP and 8 of UDP (RFC 791, RFC 768).
const MAX_DATAGRAM: usize = 65_507;

/// A conversation that could not start, or ended early.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum TalkError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot wait for sockets: {0}; raise the limit of open files (ulimit -n)")]
    Wait(io::Error),
    #[error(
        "cannot connect to {0}: {why}; check the address, and start the server there, e.g. `udperf \
         talk --tcp --bind ADDR:PORT`",
        why = message_of(.1)
    )]
    Connect(PeerAddr, io::Error),
    #[error(
        "the connection to {0} broke: {why}; check the log of the other end",
        why = message_of(.1)
    )]
    Broken(PeerAddr, io::Error),
    #[error("{to}: {}", send_reason(.to, .source, *.bytes))]
    Send { to: PeerAddr, bytes: usize, source: io::Error },
    #[error("{0}: no reply within {1}; check that a server runs there, or raise --linger")]
    Silent(PeerAddr, Nanos),
    #[error("{0}: the connection was closed without a reply; check the log of the other end")]
    Closed(PeerAddr),
    #[error(
        "standard input has no line to send; provide one, for example: echo hello | udperf talk …"
    )]
    NoLine,
    #[error("{0}")]
    Input(String),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Why a datagram of this size could not be sent, and what to do.
fn send_reason(to: &PeerAddr, error: &io::Error, bytes: usize) -> String {
    match error.kind() {
        _ if bytes > MAX_DATAGRAM || message_of(error) == "message too long" => format!(
            "cannot send {bytes} bytes: more than a datagram can hold there \
             ({MAX_DATAGRAM} over IPv4, less over Unix sockets with small buffers); send them in \
             parts, or over a stream"
        ),
        io::ErrorKind::ConnectionRefused if !matches!(to, PeerAddr::Ip(_)) => {
            "no socket has that name; start the receiver, or check the name".to_owned()
        }
        _ if *to == PeerAddr::Unnamed => {
            format!("{}; give the sender a name with --bind", message_of(error))
        }
        io::ErrorKind::ConnectionRefused => {
            "port unreachable (ICMP); start the receiver, or check the port".to_owned()
        }
        io::ErrorKind::NotFound => "no such socket; check the path".to_owned(),
        _ => {
            // The error may have come back for an earlier datagram.
            let unreachable = sys::send_error_of(error).unreachable().map(|why| why.came_back());
            let why = unreachable.map_or_else(|| message_of(error), |why| why.to_string());
            format!("cannot send {bytes} bytes: {why}; check the address")
        }
    }
}

impl TalkError {
    /// Whether the receiver is absent, which may change.
    pub(super) fn is_absence(&self) -> bool {
        let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        matches!(self, Self::Send { source, .. } if kinds.contains(&source.kind()))
    }
}

pub(super) const fn is_unreachable(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(kind, ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// Opens sockets of the families that this host has; port 0 is that of the first socket.
pub(super) fn open_all<T>(
    addrs: impl IntoIterator<Item = SocketAddr>,
    mut open: impl FnMut(SocketAddr) -> Result<(T, SocketAddr), SocketError>,
) -> Result<Vec<(T, SocketAddr)>, NetError> {
    let (mut opened, mut missing) = (Vec::<(T, SocketAddr)>::new(), None);
    for mut addr in addrs {
        if let (0, Some((_, first))) = (addr.port(), opened.first()) {
            addr.set_port(first.port());
        }
        match open(addr) {
            Ok(socket) => opened.push(socket),
            Err(error) if no_such_family(&error) => missing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    missing.filter(|_| opened.is_empty()).map_or(Ok(opened), |error| Err(error.into()))
}

/// Whether this host has no addresses of the family.
fn no_such_family(error: &SocketError) -> bool {
    match error {
        SocketError::Create { source } => source.kind() == io::ErrorKind::Unsupported,
        SocketError::Bind { addr, source } => {
            addr.is_ipv6() && source.kind() == io::ErrorKind::AddrNotAvailable
        }
        _ => false,
    }
}

/// An event at the sockets.
#[derive(Debug)]
pub(super) enum SocketEvent {
    Connected(TalkPeer),
    Received(TalkPeer, Vec<u8>),
    /// A connection ended: why, if it broke, and how many bytes were not sent.
    Disconnected {
        peer: TalkPeer,
        why: Option<io::Error>,
        unsent: usize,
    },
    /// A send failed, or the network returned an error for it.
    SendFailed(TalkError),
    ConnectFailed(TalkError),
}
