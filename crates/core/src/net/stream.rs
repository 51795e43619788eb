//! TCP and AF_UNIX streams for `talk`; never measured.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use socket2::{Protocol, Socket, Type};

use super::socket::{SocketError, create, local_of};
use crate::sys;

/// The backlog of listeners. Arbitrary: connections are accepted at once.
pub(super) const QUEUE: i32 = 64;

/// A non-blocking connection.
pub trait Stream: Read + Write + Source + Debug + Send {
    /// Shuts down sending.
    fn end(&self) -> io::Result<()>;

    /// Whether it is connected.
    fn connected(&self) -> io::Result<bool>;
}

/// A non-blocking listener.
pub trait Listener: Source + Debug + Send {
    /// The next connection and the address of its peer, if it has one.
    fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<SocketAddr>)>;
}

impl Stream for TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match self.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            other => other.map(|_| true),
        }
    }
}

impl Listener for TcpListener {
    fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
        let (stream, from) = Self::accept(self)?;
        // Typed lines leave at once.
        let _ = stream.set_nodelay(true);
        Ok((Box::new(stream), Some(from)))
    }
}

fn bind(socket: &Socket, addr: SocketAddr) -> Result<(), SocketError> {
    // Ended connections otherwise occupy a port for minutes (TIME_WAIT, RFC 9293).
    #[cfg(unix)]
    let _ = socket.set_reuse_address(true);
    socket.bind(&addr.into()).map_err(|source| SocketError::Bind { addr, source })
}

/// Starts to connect from `from` (`None`: the system chooses). Once the stream is writable,
/// [`Stream::connected`] returns the result.
pub fn connect_tcp(
    from: Option<SocketAddr>,
    to: SocketAddr,
) -> Result<Box<dyn Stream>, SocketError> {
    let socket = create(to, Type::STREAM, Protocol::TCP)?;
    from.map_or(Ok(()), |from| bind(&socket, from))?;
    let _ = socket.set_tcp_nodelay(true);
    let stream = TcpStream::from_std(socket.into());
    match socket2::SockRef::from(&stream).connect(&to.into()) {
        Err(source) if !sys::is_connecting(&source) => {
            let any = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
            Err(SocketError::Connect { from: from.unwrap_or(any), to, source })
        }
        _ => Ok(Box::new(stream)),
    }
}

/// Listens at an address; returns it with the actual port, too.
pub fn listen_tcp(at: SocketAddr) -> Result<(Box<dyn Listener>, SocketAddr), SocketError> {
    let socket = create(at, Type::STREAM, Protocol::TCP)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    bind(&socket, at)?;
    socket.listen(QUEUE).map_err(|source| SocketError::Bind { addr: at, source })?;
    let local = local_of(&socket, at);
    Ok((Box::new(TcpListener::from_std(socket.into())), local))
}
