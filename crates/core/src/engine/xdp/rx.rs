//! Receiving: frames to the ports of the run from the rings of one or several queues.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;

use super::super::{Pull, Rx, XdpOptions};
use super::forward::Forwarder;
use super::forward_group::ForwardGroup;
use super::frame::{Received, UDP_LEN, parse, sender};
use super::frame_ring::FrameInfo;
use super::queues::{Halves, PortFilter, take_rx};
use super::socket::XdpSocket;
use crate::clock::Clock;
use crate::sys::{PortRule, RingCounter, XdpGranted, XskRx};
use crate::unit::{Nanos, PayloadSize};

/// Default datagrams per pull, as in `batch`, for comparison.
const BATCH: usize = 64;

/// The flow of a datagram to a port without one. There are fewer flows than ports.
const NO_STREAM: u16 = u16::MAX;

/// Receives frames of ports from the rings of its queues.
#[derive(Debug)]
pub struct XdpRx {
    /// First, so that nothing is redirected to sockets that are closed.
    filter: PortFilter,
    queues: Vec<XdpQueue>,
    /// The flows of ports, and the datagrams that other threads received; `None`: there is one
    /// flow.
    forwarder: Option<Forwarder>,
    /// The datagrams of the latest pull.
    items: Vec<Item>,
    batch: usize,
    /// The source that the next pull begins with: a queue of the device, or of another thread.
    turn: usize,
    sockets: Vec<XdpSocket>,
    /// Hold the ports, and receive datagrams that are not redirected.
    _sockets: Vec<UdpSocket>,
    /// Keeps the parts of threads that have not begun.
    _group: Option<Arc<ForwardGroup>>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    source: Source,
    stream: u16,
    /// Where the payload begins in the frame, and its length.
    payload: (usize, usize),
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// A queue; address and length of the frame.
    Queue(usize, (usize, usize)),
    /// Another thread; the index of the frame, and when that thread received it.
    Thread(usize, usize, Nanos),
}

/// One queue to receive from.
#[derive(Debug)]
struct XdpQueue {
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

    /// Receives all datagrams to the ports of these sockets, one for each flow, also those that
    /// arrive at queues of other workers.
    // cold: set-up
    pub fn for_streams(
        sockets: Vec<UdpSocket>,
        size: PayloadSize,
        options: &XdpOptions,
    ) -> io::Result<Self> {
        let locals = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        let first = *locals.first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut rx = Self::open(sockets, first, size, options)?;
        let ports: Vec<_> = locals.iter().map(SocketAddr::port).collect();
        let longest = rx.queues.iter().map(|queue| queue.half.longest_frame()).max();
        let longest = longest.unwrap_or_default();
        let device = rx.filter.device()?;
        let (forwarder, group) = ForwardGroup::join(device, options, longest, &ports)?;
        if let Some(wakeup) = forwarder.wakeup() {
            rx.sockets.push(XdpSocket::of(wakeup)?);
        }
        (rx.forwarder, rx._group) = (Some(forwarder), Some(group));
        for &local in &locals {
            rx.filter.set_port(local, PortRule::All)?;
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
            queues.push(XdpQueue { half, held: 0, _halves: halves });
        }
        let batch = options.batch.unwrap_or(BATCH).max(1);
        let waits_for = queues.iter().map(|queue| XdpSocket::of(&queue.half));
        let waits_for = waits_for.collect::<io::Result<Vec<_>>>()?;
        let mut rx = Self {
            filter,
            queues,
            forwarder: None,
            items: Vec::with_capacity(batch),
            batch,
            turn: 0,
            sockets: waits_for,
            _sockets: sockets,
            _group: None,
        };
        for (socket, &queue) in rx.queues.iter().zip(&numbers) {
            rx.filter.add_socket(queue, &socket.half)?;
        }
        Ok(rx)
    }

    /// Reads the frames of a queue, up to the batch: keeps those of this thread, forwards those of
    /// others, and counts those that hold no intact datagram.
    #[inline]
    fn read(&mut self, at: usize, pull: &mut Pull) {
        let queue = &mut self.queues[at];
        let (arrived, syscalls) = queue.half.arrived();
        let count = arrived.min(self.batch - self.items.len());
        let mut now = None;
        for index in 0..count {
            let frame = queue.half.frame(index);
            let bytes = queue.half.bytes(frame.0, frame.1);
            let Some(Received { payload, is_intact: true }) = parse(bytes) else {
                pull.corrupt += 1;
                continue;
            };
            let mut item = Item {
                source: Source::Queue(at, frame),
                stream: NO_STREAM,
                payload: (payload.start, payload.len()),
            };
            if let Some(forwarder) = &mut self.forwarder
                && let Some((thread, stream)) = forwarder.owner(port(bytes, payload.start))
            {
                if thread != forwarder.thread {
                    let arrived_at = *now.get_or_insert_with(|| Clock::Monotonic.now());
                    let info = FrameInfo { arrived_at, stream, payload: item.payload };
                    forwarder.forward(thread, bytes, info);
                    pull.forwarded += 1;
                    continue;
                }
                item.stream = stream;
            }
            self.items.push(item);
        }
        queue.held = count;
        pull.syscalls += syscalls;
        pull.drained &= count == arrived;
    }

    /// Reads the datagrams that another thread received, up to the batch.
    #[inline]
    fn read_forwarded(&mut self, at: usize, pull: &mut Pull) {
        let Some(forwarder) = &mut self.forwarder else { return };
        let (from, held) = &mut forwarder.from[at];
        let arrived = from.arrived();
        let count = arrived.min(self.batch - self.items.len());
        for index in 0..count {
            let (_, FrameInfo { arrived_at, stream, payload }) = from.frame(index);
            let source = Source::Thread(at, index, arrived_at);
            self.items.push(Item { source, stream, payload });
        }
        *held = count;
        pull.drained &= count == arrived;
    }

    /// `len` bytes of a frame from `at` on.
    #[inline]
    fn bytes(&self, item: &Item, at: usize, len: usize) -> &[u8] {
        match item.source {
            Source::Queue(queue, frame) => self.queues[queue].half.bytes(frame.0 + at, len),
            Source::Thread(..) => self.frame(item).get(at..at + len).unwrap_or_default(),
        }
    }

    #[inline]
    fn frame(&self, item: &Item) -> &[u8] {
        match (item.source, &self.forwarder) {
            (Source::Queue(queue, frame), _) => self.queues[queue].half.bytes(frame.0, frame.1),
            (Source::Thread(from, index, _), Some(forwarder)) => {
                forwarder.from[from].0.frame(index).0
            }
            (Source::Thread(..), None) => &[],
        }
    }
}

/// The destination port of the datagram whose payload begins there: the second field of the UDP
/// header.
#[inline]
fn port(frame: &[u8], payload: usize) -> u16 {
    let field = frame.get(payload - UDP_LEN + 2..).and_then(|rest| rest.first_chunk::<2>());
    field.map_or(0, |port| u16::from_be_bytes(*port))
}

impl Rx for XdpRx {
    type Socket = XdpSocket;

    #[inline]
    fn pull(&mut self) -> Pull {
        self.release();
        let mut pull = Pull { drained: true, ..Pull::default() };
        self.items.clear();
        let queues = self.queues.len();
        let sources = queues + self.forwarder.as_ref().map_or(0, |forwarder| forwarder.from.len());
        for i in 0..sources {
            let at = (self.turn + i) % sources;
            match at.checked_sub(queues) {
                None => self.read(at, &mut pull),
                Some(at) => self.read_forwarded(at, &mut pull),
            }
        }
        self.turn = (self.turn + 1) % sources;
        if let Some(forwarder) = &mut self.forwarder {
            forwarder.end_sleep();
            if pull.forwarded > 0 {
                pull.syscalls += forwarder.publish_and_wake();
            }
        }
        pull.datagrams = self.items.len();
        pull.packets = pull.datagrams as u64;
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for item in &self.items {
            visit(self.bytes(item, item.payload.0, item.payload.1), None);
        }
    }

    fn sender(&self, index: usize) -> Option<SocketAddr> {
        sender(self.frame(self.items.get(index)?))
    }

    fn mixes_streams(&self) -> bool {
        self.forwarder.is_some()
    }

    #[inline]
    fn stream(&self, index: usize) -> Option<usize> {
        let stream = self.items.get(index)?.stream;
        Some(usize::from(stream)).filter(|_| stream != NO_STREAM)
    }

    #[inline]
    fn arrived_at(&self, index: usize) -> Option<Nanos> {
        match self.items.get(index)?.source {
            Source::Queue(..) => None,
            Source::Thread(_, _, arrived_at) => Some(arrived_at),
        }
    }

    #[inline]
    fn release(&mut self) {
        for queue in &mut self.queues {
            if queue.held > 0 {
                queue.half.release(queue.held);
                queue.held = 0;
            }
        }
        self.forwarder.iter_mut().for_each(Forwarder::release);
    }

    fn prepare_sleep(&mut self) -> bool {
        self.forwarder.as_mut().is_none_or(Forwarder::prepare_sleep)
    }

    // cold: between phases
    fn restart(&mut self) {
        self.forwarder.iter_mut().for_each(|forwarder| forwarder.phase += 1);
    }

    fn end_phase(&mut self) -> bool {
        self.forwarder.as_ref().is_none_or(Forwarder::end_phase)
    }

    // cold: between phases
    fn ring_counter(&self) -> Option<RingCounter> {
        let all = self.queues.iter().map(|queue| queue.half.ring_counter());
        let counter = all.reduce(RingCounter::with)?;
        Some(match &self.forwarder {
            Some(forwarder) => counter.and(&forwarder.dropped),
            None => counter,
        })
    }

    // cold: set-up
    fn granted(&self) -> Option<XdpGranted> {
        let all = self.queues.iter().map(|queue| queue.half.granted());
        let all = all.map(|granted| XdpGranted { mode: Some(self.filter.mode()), ..granted });
        all.reduce(XdpGranted::with)
    }

    fn sockets(&mut self) -> &mut [XdpSocket] {
        &mut self.sockets
    }
}
