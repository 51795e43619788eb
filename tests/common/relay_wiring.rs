//! The sockets of a relay.
#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use mio::{Interest, Poll, Token, Waker};
use udperf::sys;

use super::Way;

/// Asked for with SO_RCVBUFFORCE: 80,000 datagrams of 64 bytes. Arbitrary.
const BUFFER: usize = 64 << 20;

/// The sockets.
pub struct Wiring {
    pub poll: Poll,
    pub front: UdpSocket,
    sink: SocketAddr,
    /// A source of the client's side, and its socket towards the sink.
    pub sources: Vec<(SocketAddr, UdpSocket)>,
    known: HashMap<SocketAddr, usize>,
}

/// The token of the socket that clients send to; sources have their indices.
pub const FRONT: Token = Token(usize::MAX);

/// The token of who wants the relay to end.
pub const WAKER: Token = Token(usize::MAX - 1);

/// A socket with as much room as this process may have.
fn roomy(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(at)?;
    let size = libc::c_int::try_from(BUFFER).unwrap();
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE, libc::SO_RCVBUF, libc::SO_SNDBUF] {
        let len = libc::socklen_t::try_from(size_of_val(&size)).unwrap();
        let value = std::ptr::from_ref(&size).cast();
        // What is forced needs root; what is asked for afterwards would shrink it again.
        if matches!(option, libc::SO_RCVBUF | libc::SO_SNDBUF) && is_root() {
            continue;
        }
        // SAFETY: `value` points to `len` readable bytes; the socket is open.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) };
    }
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket))
}

pub fn is_root() -> bool {
    // SAFETY: geteuid(2) takes nothing and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

impl Wiring {
    pub fn new(at: SocketAddr, sink: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut front = roomy(at)?;
        poll.registry().register(&mut front, FRONT, Interest::READABLE)?;
        Ok(Self { poll, front, sink, sources: Vec::new(), known: HashMap::new() })
    }

    pub fn told(&self) -> io::Result<(SocketAddr, Waker)> {
        Ok((self.front.local_addr()?, Waker::new(self.poll.registry(), WAKER)?))
    }

    /// The number of this source; its socket is made where it is new.
    pub fn source(&mut self, from: SocketAddr) -> io::Result<usize> {
        if let Some(known) = self.known.get(&from) {
            return Ok(*known);
        }
        let any: IpAddr = match self.sink {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut socket = roomy(SocketAddr::new(any, 0))?;
        socket.connect(self.sink)?;
        let number = self.sources.len();
        self.poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
        self.sources.push((from, socket));
        self.known.insert(from, number);
        Ok(number)
    }

    /// Passes it on; whether the system took it.
    pub fn pass(&self, way: Way, source: usize, bytes: &[u8]) -> bool {
        let (client, upstream) = &self.sources[source];
        loop {
            let sent = match way {
                Way::Forward => upstream.send(bytes),
                Way::Back => self.front.send_to(bytes, *client),
            };
            match sent {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::yield_now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    pub fn drops(&self) -> u64 {
        let all = self.sources.iter().map(|(_, socket)| socket).chain([&self.front]);
        all.map(|socket| u64::from(sys::socket_drops(socket).unwrap_or(0))).sum()
    }
}
