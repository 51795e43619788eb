//! AF_UNIX datagram sockets with their files, and stream sockets.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use mio::net::{UnixDatagram, UnixListener, UnixStream};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::{UnixError, UnixName};
use crate::net::Datagram;
use crate::net::stream::{Listener, QUEUE, Stream};
use crate::sys::{self, SendError};

/// A non-blocking AF_UNIX datagram socket with its granted buffer.
#[derive(Debug)]
pub struct Unix {
    /// The socket.
    pub socket: UnixDatagram,
    /// SO_SNDBUF as granted, in bytes; it also limits the size of a datagram.
    pub send_buffer: Option<usize>,
}

/// The file of a bound socket, removed on drop.
#[derive(Debug)]
pub struct UnixFile(PathBuf);

impl Drop for UnixFile {
    fn drop(&mut self) {
        // Another process may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

impl Unix {
    /// Binds a socket to this name, replacing one whose process has ended; returns its file, too.
    pub fn bind(name: &UnixName, buffer: usize) -> Result<(Self, Option<UnixFile>), UnixError> {
        let socket = create_datagram(buffer)?;
        let file = Self::bind_socket(&socket, name)?;
        Ok((Self::of(socket), file))
    }

    fn bind_socket(socket: &Socket, name: &UnixName) -> Result<Option<UnixFile>, UnixError> {
        let refused = |source| UnixError::Bind { name: name.clone(), source };
        let path = name.path();
        let addr = SockAddr::unix(&path).map_err(refused)?;
        let mut bound = socket.bind(&addr);
        if matches!(&bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
            remove_stale_file(name, &path, &addr)?;
            bound = socket.bind(&addr);
        }
        bound.map_err(refused)?;
        Ok(matches!(name, UnixName::File(_)).then_some(UnixFile(path)))
    }

    /// Connects an unnamed socket to this name.
    pub fn connect(name: &UnixName, buffer: usize) -> Result<Self, UnixError> {
        let socket = create_datagram(buffer)?;
        connect(&socket, name)
            .map_err(|source| UnixError::Connect { name: name.clone(), source })?;
        Ok(Self::of(socket))
    }

    /// Receives a datagram; returns its length and the name of its sender.
    pub fn recv_from(&self, slot: &mut [u8]) -> io::Result<(usize, Option<UnixName>)> {
        let (len, from) = self.socket.recv_from(slot)?;
        let file = from.as_pathname().map(|path| UnixName::File(path.to_owned()));
        let in_abstract = || {
            let name = sys::abstract_name(&from)?;
            Some(UnixName::Abstract(String::from_utf8_lossy(name).into_owned()))
        };
        Ok((len, file.or_else(in_abstract)))
    }

    /// Sends to the socket of this name.
    pub fn send_to(&self, payload: &[u8], to: &UnixName) -> io::Result<usize> {
        let addr = SockAddr::unix(to.path())?;
        SockRef::from(&self.socket).send_to(payload, &addr)
    }

    fn of(socket: Socket) -> Self {
        let send_buffer = socket.send_buffer_size().ok();
        Self { socket: UnixDatagram::from_std(socket.into()), send_buffer }
    }
}

fn connect(socket: &Socket, name: &UnixName) -> io::Result<()> {
    socket.connect(&SockAddr::unix(name.path())?)
}

fn create(kind: Type) -> Result<Socket, UnixError> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn create_datagram(buffer: usize) -> Result<Socket, UnixError> {
    let socket = create(Type::DGRAM)?;
    // The kernel may grant less; the granted size is read back.
    let _ = socket.set_send_buffer_size(buffer);
    Ok(socket)
}

/// Removes the file of a socket that no process has open, and no other file. An abstract name
/// disappears with its socket, so it is in use.
fn remove_stale_file(name: &UnixName, path: &Path, addr: &SockAddr) -> Result<(), UnixError> {
    let in_use = || UnixError::InUse { name: name.clone() };
    if matches!(name, UnixName::Abstract(_)) {
        return Err(in_use());
    }
    let refused = |source| UnixError::Bind { name: name.clone(), source };
    // connect(2) returns the same error for other files.
    if !fs::symlink_metadata(path).map_err(refused)?.file_type().is_socket() {
        return Err(UnixError::NoSocket { name: name.clone() });
    }
    match create(Type::DGRAM)?.connect(addr) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(refused(error)),
        // A socket of another type (EPROTOTYPE) is in use, too.
        _ => Err(in_use()),
    }
}

impl Datagram for UnixDatagram {
    /// None: senders are connected, as only those can wait for space (`unix_dgram_poll`).
    type Address = Infallible;

    /// A full queue: other errors repeat.
    fn unreported() -> SendError {
        SendError::WouldBlock
    }

    fn ip(to: Infallible) -> SocketAddr {
        match to {}
    }

    #[inline]
    fn send(&self, payload: &[u8]) -> io::Result<usize> {
        Self::send(self, payload)
    }

    fn send_to(&self, _payload: &[u8], to: Infallible) -> io::Result<usize> {
        match to {}
    }

    #[inline]
    fn recv_from(&self, slot: &mut [u8]) -> io::Result<usize> {
        Self::recv_from(self, slot).map(|(received, _from)| received)
    }

    /// AF_UNIX has no error queue: MSG_ERRQUEUE would read datagrams.
    fn drain_error_queue(&self) -> Option<SendError> {
        None
    }
}

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
    fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
        let (stream, _from) = Self::accept(self)?;
        Ok((Box::new(stream), None))
    }
}

/// Connects to the listener of this name, without waiting.
pub fn connect_unix(name: &UnixName) -> Result<Box<dyn Stream>, UnixError> {
    let socket = create(Type::STREAM)?;
    connect(&socket, name)
        .map_err(|source| UnixError::NoListener { name: name.clone(), source })?;
    Ok(Box::new(UnixStream::from_std(socket.into())))
}

/// Listens at this name, replacing a socket whose process has ended; returns its file, too.
pub fn listen_unix(name: &UnixName) -> Result<(Box<dyn Listener>, Option<UnixFile>), UnixError> {
    let socket = create(Type::STREAM)?;
    let file = Unix::bind_socket(&socket, name)?;
    socket.listen(QUEUE).map_err(|source| UnixError::Bind { name: name.clone(), source })?;
    Ok((Box::new(UnixListener::from_std(socket.into())), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_stale_datagram_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let name = |name: &str| UnixName::File(folder.path().join(name));
        let bind = |name: &UnixName| Unix::bind(name, 65_536).map(drop);
        let (first, file) = Unix::bind(&name("a"), 65_536).unwrap();
        assert!(matches!(bind(&name("a")), Err(UnixError::InUse { .. })));
        drop(first);
        assert!(name("a").path().exists());
        std::mem::forget(file);
        bind(&name("a")).unwrap();
        assert!(!name("a").path().exists(), "dropping the file removes it");
        let _listener = std::os::unix::net::UnixListener::bind(name("stream").path()).unwrap();
        assert!(matches!(bind(&name("stream")), Err(UnixError::InUse { .. })));
        assert!(matches!(bind(&name(&"a".repeat(200))), Err(UnixError::Bind { .. })));
    }

    #[test]
    fn names_read_as_they_are_shown() {
        for word in ["/tmp/a", "a.sock", "@a", "@"] {
            assert_eq!(UnixName::new(word).to_string(), word);
        }
        let own = format!("@udperf-{}", std::process::id());
        assert_eq!(UnixName::new("").to_string(), own);
    }
}
