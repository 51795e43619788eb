//! Receiving: frames to the ports of the run from the rings of one or several queues.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Source;
use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::super::{Pull, Rx, XdpOptions};
use super::frame::{Received, UDP_LEN, parse, sender};
use super::queues::{Halves, PortFilter, take_rx};
use crate::net::Datagram;
use crate::sys::{PortRule, RingCounter, SendError, XdpGranted, XskRx};
use crate::unit::{Nanos, PayloadSize};

/// Default datagrams per pull, as in `batch`, for comparison.
const BATCH: usize = 64;

/// The entry of a port without a flow. There are fewer flows than ports.
const NO_STREAM: u16 = u16::MAX;

/// Receives frames of ports from the rings of its queues.
#[derive(Debug)]
pub struct XdpRx {
    /// First, so that nothing is redirected to sockets that are closed.
    filter: PortFilter,
    queues: Vec<XdpSocket>,
    /// The datagrams of the latest pull.
    items: Vec<Item>,
    batch: usize,
    /// The queue that the next pull begins with.
    turn: usize,
    /// The flow of each port, if there are several.
    streams: Vec<u16>,
    /// Hold the ports, and receive datagrams that are not redirected.
    _sockets: Vec<UdpSocket>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    queue: usize,
    /// Address and length of the frame.
    frame: (usize, usize),
    /// Address and length of the payload.
    payload: (usize, usize),
}

/// The AF_XDP socket of one queue, to receive from and to wait for.
#[derive(Debug)]
pub struct XdpSocket {
    half: XskRx,
    /// Frames of the latest pull, not given back yet.
    held: usize,
    /// Keeps the other half of the queue open.
    _halves: Arc<Halves>,
}

impl XdpRx {
    /// Receives the datagrams to the address and port of `socket` that `rule` selects.
    // cold: set-up
    pub fn new(
        socket: UdpSocket,
        local: SocketAddr,
        size: PayloadSize,
        options: &XdpOptions,
        rule: PortRule,
    ) -> io::Result<Self> {
        let mut rx = Self::open(vec![socket], local, size, options)?;
        rx.filter.check_size(local.ip(), size.largest())?;
        rx.filter.set_port(local, rule)?;
        Ok(rx)
    }

    /// Receives all datagrams to the ports of these sockets, one for each flow.
    // cold: set-up
    pub fn for_streams(
        sockets: Vec<UdpSocket>,
        size: PayloadSize,
        options: &XdpOptions,
    ) -> io::Result<Self> {
        let locals = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        let first = *locals.first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut rx = Self::open(sockets, first, size, options)?;
        rx.streams = vec![NO_STREAM; usize::from(u16::MAX) + 1];
        for (stream, local) in (0..).zip(&locals) {
            let entry = &mut rx.streams[usize::from(local.port())];
            if std::mem::replace(entry, stream) != NO_STREAM {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "two source addresses have the same port; use one source address",
                ));
            }
            rx.filter.set_port(*local, PortRule::All)?;
        }
        Ok(rx)
    }

    // cold: set-up
    fn open(
        sockets: Vec<UdpSocket>,
        local: SocketAddr,
        size: PayloadSize,
        options: &XdpOptions,
    ) -> io::Result<Self> {
        let filter = PortFilter::attach(local, options)?;
        let numbers = filter.queues_of(options)?;
        let mut queues = Vec::with_capacity(numbers.len());
        for &queue in &numbers {
            let (half, halves) = take_rx(&filter, options, queue, size.largest())?;
            queues.push(XdpSocket { half, held: 0, _halves: halves });
        }
        let batch = options.batch.unwrap_or(BATCH).max(1);
        let mut rx = Self {
            filter,
            queues,
            items: Vec::with_capacity(batch),
            batch,
            turn: 0,
            streams: Vec::with_capacity(0),
            _sockets: sockets,
        };
        for (socket, &queue) in rx.queues.iter().zip(&numbers) {
            rx.filter.add_socket(queue, &socket.half)?;
        }
        Ok(rx)
    }

    /// Reads the frames of a queue, up to the batch; counts those that hold no intact datagram.
    #[inline]
    fn read(&mut self, at: usize, pull: &mut Pull) {
        let queue = &mut self.queues[at];
        let (arrived, syscalls) = queue.half.arrived();
        let count = arrived.min(self.batch - self.items.len());
        for index in 0..count {
            let frame = queue.half.frame(index);
            match parse(queue.half.bytes(frame.0, frame.1)) {
                Some(Received { payload, is_intact: true }) => {
                    let payload = (frame.0 + payload.start, payload.len());
                    self.items.push(Item { queue: at, frame, payload });
                }
                _ => pull.corrupt += 1,
            }
        }
        queue.held = count;
        pull.syscalls += syscalls;
        pull.drained &= count == arrived;
    }
}

impl Rx for XdpRx {
    type Socket = XdpSocket;

    #[inline]
    fn pull(&mut self) -> Pull {
        self.release();
        let mut pull = Pull { drained: true, ..Pull::default() };
        self.items.clear();
        for i in 0..self.queues.len() {
            let at = (self.turn + i) % self.queues.len();
            self.read(at, &mut pull);
        }
        self.turn = (self.turn + 1) % self.queues.len();
        pull.datagrams = self.items.len();
        pull.packets = pull.datagrams as u64;
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for item in &self.items {
            visit(self.queues[item.queue].half.bytes(item.payload.0, item.payload.1), None);
        }
    }

    fn sender(&self, index: usize) -> Option<SocketAddr> {
        let item = self.items.get(index)?;
        sender(self.queues[item.queue].half.bytes(item.frame.0, item.frame.1))
    }

    fn mixes_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    #[inline]
    fn stream(&self, index: usize) -> Option<usize> {
        let Item { queue, payload, .. } = *self.items.get(index)?;
        // The destination port is the second field of the UDP header before the payload.
        let port = self.queues[queue].half.bytes(payload.0 - UDP_LEN + 2, 2).first_chunk::<2>()?;
        let stream = *self.streams.get(usize::from(u16::from_be_bytes(*port)))?;
        Some(usize::from(stream)).filter(|_| stream != NO_STREAM)
    }

    #[inline]
    fn release(&mut self) {
        for queue in &mut self.queues {
            if queue.held > 0 {
                queue.half.release(queue.held);
                queue.held = 0;
            }
        }
    }

    // cold: between phases
    fn ring_counter(&self) -> Option<RingCounter> {
        let all = self.queues.iter().map(|queue| queue.half.ring_counter());
        all.reduce(RingCounter::with)
    }

    // cold: set-up
    fn granted(&self) -> Option<XdpGranted> {
        let all = self.queues.iter().map(|queue| queue.half.granted());
        let all = all.map(|granted| XdpGranted { mode: Some(self.filter.mode()), ..granted });
        all.reduce(XdpGranted::with)
    }

    fn sockets(&mut self) -> &mut [XdpSocket] {
        &mut self.queues
    }
}

impl std::os::fd::AsFd for XdpSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.half.as_fd()
    }
}

impl Source for XdpSocket {
    fn register(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
        SourceFd(&self.raw()).register(to, token, of)
    }

    fn reregister(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
        SourceFd(&self.raw()).reregister(to, token, of)
    }

    fn deregister(&mut self, from: &Registry) -> io::Result<()> {
        SourceFd(&self.raw()).deregister(from)
    }
}

impl XdpSocket {
    fn raw(&self) -> std::os::fd::RawFd {
        use std::os::fd::{AsFd, AsRawFd};
        self.half.as_fd().as_raw_fd()
    }
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Frames come from the ring, so calls that send or receive are unsupported.
impl Datagram for XdpSocket {
    type Address = SocketAddr;

    fn unreported() -> SendError {
        SendError::Unexplained
    }

    fn ip(to: SocketAddr) -> SocketAddr {
        to
    }

    fn send(&self, _payload: &[u8]) -> io::Result<usize> {
        unsupported()
    }

    fn send_to(&self, _payload: &[u8], _to: SocketAddr) -> io::Result<usize> {
        unsupported()
    }

    fn recv_from(&self, _slot: &mut [u8]) -> io::Result<usize> {
        unsupported()
    }

    fn drain_error_queue(&self) -> Option<SendError> {
        None
    }

    /// Its ring counts: [`Rx::ring_counter`].
    fn drops(&self) -> Option<u32> {
        None
    }
}
