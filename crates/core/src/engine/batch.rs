//! Many datagrams a system call: `sendmmsg` and `recvmmsg`.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use super::arena::{Arena, CACHE_LINE};
use super::plain::SLACK;
use super::push::{pushed, send};
use super::queue_depth::QueueDepth;
use super::{Pull, Push, Rx, Tx, count, len_at, lens, place, waited};
use crate::net::{Datagram, MAX_DATAGRAM};
use crate::sys::{self, RecvBatch, RecvMessage, RecvMetadata, SendBatch, TxClock};
use crate::unit::{Nanos, PayloadSize};

/// Default datagrams per call. Measured over loopback, 64 bytes, medians of 6 interleaved runs: 8
/// deliver 333 kpps, 32 336, 64 341, 256 321.
const BATCH: usize = 64;

/// Sends many datagrams by one call.
#[derive(Debug)]
pub struct BatchTx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    size: PayloadSize,
    lens: Vec<u16>,
    arena: Arena,
    calls: SendBatch,
    /// Whether a single datagram leaves by a single call.
    is_adaptive: bool,
    departures: Option<TxClock>,
}

impl<S: Datagram> BatchTx<S> {
    /// Sends on these sockets, one per flow or one for all; to `to`, or connected; at most `batch`
    /// datagrams per call. `fill` writes the payload, once.
    // cold: set-up
    pub fn new(
        sockets: Vec<S>,
        to: Option<S::Address>,
        size: PayloadSize,
        batch: Option<usize>,
        fill: impl Fn(&mut [u8]),
    ) -> Self {
        let mut arena = Arena::new(size.largest(), batch.unwrap_or(BATCH));
        arena.slots_mut().for_each(fill);
        let calls = SendBatch::new(arena.len(), to.map(S::ip));
        let lens = lens(size, arena.len());
        Self { sockets, size, lens, arena, calls, is_adaptive: false, departures: None }
    }

    /// Sends a single datagram by `sendto`, which is faster.
    // cold: set-up
    pub fn adaptive(self) -> Self {
        Self { is_adaptive: true, ..self }
    }

    /// The same, with a time of departure for each datagram on this clock, if there is one.
    // cold: set-up
    #[must_use]
    pub fn departing(self, clock: Option<TxClock>) -> Self {
        match clock {
            Some(_) => Self { calls: self.calls.with_departures(), departures: clock, ..self },
            None => self,
        }
    }
}

impl<S: Datagram> Tx for BatchTx<S> {
    type Socket = S;

    fn batch(&self, _paced: bool) -> usize {
        self.arena.len()
    }

    arena_slots!();

    #[inline]
    fn lens(&mut self) -> &mut [u16] {
        &mut self.lens
    }

    fn departures(&self) -> Option<TxClock> {
        self.departures
    }

    #[inline]
    fn set_departure(&mut self, slot: usize, at_ns: u64) {
        self.calls.set_departure(slot, at_ns);
    }

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let (socket, size, lens) =
            (&self.sockets[place(&self.sockets, flow)], self.size, &self.lens);
        let slots = self.arena.slots().take(count).enumerate();
        let mut payloads = slots.map(|(at, slot)| &slot[..len_at(lens, at, size, first_sequence)]);
        if self.is_adaptive
            && self.departures.is_none()
            && count == 1
            && let Some(payload) = payloads.next()
        {
            return pushed(self.calls.send_one(socket, payload), socket, count, |_| 1);
        }
        send(&mut self.calls, socket, payloads, count, |_| 1)
    }
}

/// Receives many datagrams by one call.
#[derive(Debug)]
pub struct BatchRx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    at: usize,
    inbox: Inbox,
}

impl<S: Datagram> BatchRx<S> {
    /// Receives datagrams of this size, at most `batch` per call. Fails without wanted timestamps.
    // cold: set-up
    pub fn new(
        socket: S,
        size: PayloadSize,
        batch: Option<usize>,
        stamps: bool,
    ) -> io::Result<Self> {
        if stamps {
            sys::set_timestamps(&socket)?;
        }
        let slot_len = size.largest() + SLACK;
        let slots = Arena::fitting(slot_len, batch.unwrap_or(BATCH));
        let inbox = Inbox::new(slots, slot_len, RecvMetadata { stamps, ..RecvMetadata::default() });
        Ok(Self { sockets: vec![socket], at: 0, inbox })
    }

    /// Receives datagrams of any size on several sockets, one at a time; at most `batch` per call,
    /// and by single calls while a queue is shallow; with their senders only if `has_senders`.
    // cold: set-up
    pub fn adaptive(sockets: Vec<S>, batch: Option<usize>, has_senders: bool) -> Self {
        // Staggered by a cache line, so that their beginnings do not evict each other.
        let slot_len = MAX_DATAGRAM.next_multiple_of(CACHE_LINE) + CACHE_LINE;
        let mut inbox = Inbox::new(batch.unwrap_or(BATCH), slot_len, RecvMetadata::default());
        inbox.depth = Some(QueueDepth::default());
        if !has_senders {
            inbox.calls.omit_senders();
        }
        Self { sockets, at: 0, inbox }
    }
}

impl<S: Datagram> Rx for BatchRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        self.inbox.pull(&self.sockets[self.at])
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for (message, waited) in self.inbox.messages() {
            visit(message.payload, waited);
        }
    }

    #[inline]
    fn sender(&self, index: usize) -> Option<SocketAddr> {
        self.inbox.calls.sender(index)
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
    }

    fn sockets(&mut self) -> &mut [S] {
        &mut self.sockets
    }
}

#[derive(Debug)]
pub(super) struct Inbox {
    calls: RecvBatch,
    /// When the latest call returned, on the calendar clock; read where there are timestamps.
    read_ns: Option<u64>,
    /// Chooses the call; `None`: always recvmmsg(2).
    depth: Option<QueueDepth>,
}

impl Inbox {
    // cold: set-up
    pub(super) fn new(slots: usize, slot_len: usize, metadata: RecvMetadata) -> Self {
        let calls = RecvBatch::new(slots, slot_len, metadata);
        Self { calls, read_ns: metadata.stamps.then_some(0), depth: None }
    }

    /// Receives the available datagrams by one call. The socket is only known to be empty after a
    /// call that returns none: recvmmsg(2) also returns fewer messages than asked for where an
    /// error ends it, keeps that error for the next call, and leaves the rest in the queue. An
    /// edge-triggered epoll(7) reports those again only with the next datagram.
    #[inline]
    pub(super) fn pull(&mut self, socket: &impl Datagram) -> Pull {
        let received = match &mut self.depth {
            None => self.calls.recv(socket).map(drop),
            Some(depth) => depth.recv(&mut self.calls, socket),
        };
        if let Err(error) = received {
            let mut pull = Pull { syscalls: 1, ..Pull::default() };
            pull.add_failure(&error);
            return pull;
        }
        self.read_ns = self.read_ns.map(|_| sys::realtime_ns());
        Pull { syscalls: 1, ..count(self.calls.messages()) }
    }

    /// What the latest call brought, in order of arrival, and how long each has waited.
    #[inline]
    pub(super) fn messages(&self) -> impl Iterator<Item = (RecvMessage<'_>, Option<Nanos>)> {
        let read_ns = self.read_ns.unwrap_or(0);
        self.calls.messages().map(move |message| (message, waited(message.stamp_ns, read_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_finds_nothing_proves_the_queue_empty() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let to = socket.local_addr().unwrap();
        let socket = UdpSocket::from_std(socket);
        let mut inbox = Inbox::new(8, 64, RecvMetadata::default());
        if inbox.calls.slots() < 2 {
            return eprintln!("SKIPPED: one message a call");
        }
        for _ in 0..3 {
            socket.send_to(b"datagram", to).unwrap();
        }
        // Fewer than a call takes: an error may have ended it early.
        let pull = inbox.pull(&socket);
        assert_eq!((pull.datagrams, pull.drained), (3, false));
        let pull = inbox.pull(&socket);
        assert_eq!((pull.datagrams, pull.drained, pull.errors), (0, true, 0));
    }

    #[test]
    fn a_datagram_with_a_departure_is_sent() {
        let rx = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        rx.set_nonblocking(true).unwrap();
        let to = rx.local_addr().unwrap();
        for is_enabled in [true, false] {
            let tx = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            if is_enabled && let Err(error) = sys::enable_departures(&tx, TxClock::Monotonic) {
                return eprintln!("SKIPPED: SO_TXTIME: {error}");
            }
            let size = PayloadSize::Fixed(16);
            let tx = BatchTx::new(vec![tx], Some(to), size, Some(3), |_| {});
            let mut tx = tx.departing(Some(TxClock::Monotonic));
            let _ = tx.lease(3);
            (0..3).for_each(|slot| tx.set_departure(slot, 1));
            let push = tx.push(0, 0, 3);
            // Without the option, the kernel refuses such a message.
            assert_eq!(
                (push.sent, push.error.is_none()),
                if is_enabled { (3, true) } else { (0, false) }
            );
            let came = std::iter::from_fn(|| rx.recv(&mut [0; 16]).ok()).count();
            assert_eq!(came, push.sent);
        }
    }

    #[test]
    fn adaptive_halves_take_single_datagrams_one_by_one_and_others_together() {
        let rx = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        rx.set_nonblocking(true).unwrap();
        let to = rx.local_addr().unwrap();
        let tx = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let from = tx.local_addr().unwrap();
        let mut rx = BatchRx::adaptive(vec![UdpSocket::from_std(rx)], Some(8), true);
        if rx.inbox.calls.slots() < 2 {
            return eprintln!("SKIPPED: one message a call");
        }
        let fill = |slot: &mut [u8]| slot.fill(7);
        let mut tx =
            BatchTx::new(vec![tx], Some(to), PayloadSize::Fixed(16), Some(8), fill).adaptive();
        for (count, pulls) in [(1, &[1, 0][..]), (8, &[1, 1, 1, 1, 4, 0]), (1, &[1, 0])] {
            let push = tx.push(0, 0, count);
            assert_eq!((push.sent, push.syscalls, push.error), (count, 1, None));
            for &datagrams in pulls {
                let pull = rx.pull();
                assert_eq!((pull.datagrams, pull.drained), (datagrams, datagrams == 0));
                rx.each(|payload, _| assert_eq!(payload, [7; 16]));
                assert_eq!(rx.sender(0), (datagrams > 0).then_some(from));
            }
        }
    }
}
