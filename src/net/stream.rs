//! Streams, of TCP and AF_UNIX: for what is said by hand, never for what is measured.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use super::socket::SocketError;
use crate::sys;

/// Connections that may wait to be accepted. Arbitrary: they are accepted at once.
pub(super) const QUEUE: i32 = 64;

/// A connection that does not block.
pub trait Stream: Read + Write + Source + Debug + Send {
    /// Tells the other end that no more will come.
    ///
    /// # Errors
    /// What shutdown(2) says.
    fn end(&self) -> io::Result<()>;

    /// Whether it is connected by now.
    ///
    /// # Errors
    /// Why it never will be, as connect(2) has it.
    fn connected(&self) -> io::Result<bool>;
}

/// What takes connections, and does not block.
pub trait Listener: Source + Debug + Send {
    /// The next connection, and who made it, where that has an address.
    ///
    /// # Errors
    /// What accept(2) says.
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
        // What is typed shall leave at once.
        let _ = stream.set_nodelay(true);
        Ok((Box::new(stream), Some(from)))
    }
}

fn create(addr: SocketAddr) -> Result<Socket, SocketError> {
    let create = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    create().map_err(|source: io::Error| SocketError::Create { source })
}

fn bind(socket: &Socket, addr: SocketAddr) -> Result<(), SocketError> {
    // Connections that have ended keep a port for minutes otherwise (TIME_WAIT, RFC 9293).
    #[cfg(unix)]
    let _ = socket.set_reuse_address(true);
    socket.bind(&addr.into()).map_err(|source| SocketError::Bind { addr, source })
}

/// Begins to connect from `from`, or from where the system chooses; [`Stream::connected`] tells
/// what became of it, when the stream is writable.
///
/// # Errors
/// [`SocketError`].
pub fn connect_tcp(
    from: Option<SocketAddr>,
    to: SocketAddr,
) -> Result<Box<dyn Stream>, SocketError> {
    let socket = create(to)?;
    from.map_or(Ok(()), |from| bind(&socket, from))?;
    // What is typed shall leave at once.
    let _ = socket.set_tcp_nodelay(true);
    let stream = TcpStream::from_std(socket.into());
    match socket2::SockRef::from(&stream).connect(&to.into()) {
        Err(source) if !sys::is_connecting(&source) => {
            let from = from.unwrap_or_else(|| any_like(to));
            Err(SocketError::Connect { from, to, source })
        }
        _ => Ok(Box::new(stream)),
    }
}

/// Any address of the same family.
fn any_like(addr: SocketAddr) -> SocketAddr {
    if addr.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() }
}

/// Listens at an address; and the address, with the port it really has.
///
/// # Errors
/// [`SocketError`].
pub fn listen_tcp(at: SocketAddr) -> Result<(Box<dyn Listener>, SocketAddr), SocketError> {
    let socket = create(at)?;
    if at.is_ipv6() {
        socket.set_only_v6(true).map_err(|source| SocketError::Create { source })?;
    }
    bind(&socket, at)?;
    socket.listen(QUEUE).map_err(|source| SocketError::Bind { addr: at, source })?;
    let local = socket.local_addr().ok().and_then(|local| local.as_socket()).unwrap_or(at);
    Ok((Box::new(TcpListener::from_std(socket.into())), local))
}
