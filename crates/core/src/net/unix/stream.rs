//! AF_UNIX stream sockets.

use std::io;
use std::net::Shutdown;

use mio::net::{UnixListener, UnixStream};
use socket2::{SockAddr, Type};

use super::socket::create;
use super::{Unix, UnixError, UnixFile, UnixName};
use crate::net::stream::{Listener, QUEUE, Stream};

impl Stream for UnixStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    /// Always true.
    fn connected(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Listener for UnixListener {
    /// Clients have no names.
    fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<std::net::SocketAddr>)> {
        let (stream, _from) = Self::accept(self)?;
        Ok((Box::new(stream), None))
    }
}

/// Connects to the listener of this name, without waiting.
pub fn connect_unix(name: &UnixName) -> Result<Box<dyn Stream>, UnixError> {
    let socket = create(Type::STREAM)?;
    let connected = SockAddr::unix(name.path()).and_then(|addr| socket.connect(&addr));
    connected.map_err(|source| UnixError::NoListener { name: name.clone(), source })?;
    Ok(Box::new(UnixStream::from_std(socket.into())))
}

/// Listens at this name, replacing a socket whose process has ended; returns its file, too.
pub fn listen_unix(name: &UnixName) -> Result<(Box<dyn Listener>, Option<UnixFile>), UnixError> {
    let socket = create(Type::STREAM)?;
    let file = Unix::bind_socket(&socket, name)?;
    socket.listen(QUEUE).map_err(|source| UnixError::Bind { name: name.clone(), source })?;
    Ok((Box::new(UnixListener::from_std(socket.into())), file))
}
