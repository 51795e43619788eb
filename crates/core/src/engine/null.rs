//! No system call at all: the sender counts datagrams, and the receiver makes as many. What is left
//! is the cost of udperf itself per datagram, the limit of every engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mio::net::UdpSocket;

use super::arena::Arena;
use super::{Pull, Push, Rx, Tx};
use crate::sys::SendError;
use crate::unit::{Nanos, PayloadSize};

/// Datagrams per push or pull: as many as a GSO super-packet has segments.
const BATCH: usize = 64;

/// Maximum datagrams on their way. Arbitrary: more than a batch, and quickly drained.
const UNDER_WAY: u64 = 1 << 16;

/// Looks at a full link before a refusal. Arbitrary: a running receiver needs a few thousand.
const LOOKS: u32 = 1 << 20;

/// The state shared by both null engines: the number of datagrams of each flow, and bytes 4 to 11
/// of the latest one, which begin with its intended time.
#[derive(Debug)]
pub struct NullLink {
    flows: Vec<Flow>,
    under_way: u64,
}

/// One flow of a link, on cache lines of its own: 128 bytes, for x86-64 fetches them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Flow {
    sent: AtomicU64,
    word: AtomicU64,
    made: Made,
}

/// The receiver's side of a flow, on a cache line that only it writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Made(AtomicU64);

impl NullLink {
    /// A link with this number of flows.
    pub fn new(flows: usize) -> Arc<Self> {
        Self::with_room(flows, UNDER_WAY)
    }

    /// A link that takes everything, for measuring one end alone.
    pub fn unbounded(flows: usize) -> Arc<Self> {
        Self::with_room(flows, u64::MAX)
    }

    fn with_room(flows: usize, under_way: u64) -> Arc<Self> {
        Arc::new(Self { flows: (0..flows).map(|_| Flow::default()).collect(), under_way })
    }

    /// Resets an unused link for the next phase.
    pub fn reset(&self) {
        for flow in &self.flows {
            flow.sent.store(0, Ordering::Relaxed);
            flow.word.store(0, Ordering::Relaxed);
            flow.made.0.store(0, Ordering::Relaxed);
        }
    }
}

/// Counts datagrams as sent.
#[derive(Debug)]
pub struct NullTx {
    link: Arc<NullLink>,
    first_flow: usize,
    arena: Arena,
    sockets: [UdpSocket; 0],
}

impl NullTx {
    /// Takes datagrams of this size on the flows of `link` from `first_flow` on.
    // cold: set-up
    pub fn new(link: Arc<NullLink>, first_flow: usize, size: PayloadSize) -> Self {
        Self { link, first_flow, arena: Arena::new(size.largest(), BATCH), sockets: [] }
    }
}

impl Tx for NullTx {
    type Socket = UdpSocket;

    fn batch(&self, _paced: bool) -> usize {
        self.arena.len()
    }

    arena_slots!();

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let flow = &self.link.flows[self.first_flow + flow];
        let full = || {
            first_sequence.saturating_sub(flow.made.0.load(Ordering::Relaxed)) > self.link.under_way
        };
        if full() && (0..LOOKS).all(|_| full()) {
            let error = Some(SendError::WouldBlock);
            return Push { refused: 1, error, ..Push::default() };
        }
        let last = self.arena.slots().nth(count - 1);
        let word = last.and_then(|slot| slot.get(4..12)).and_then(|bytes| bytes.try_into().ok());
        if let Some(word) = word {
            flow.word.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        flow.sent.store(first_sequence + count as u64, Ordering::Release);
        Push { sent: count, packets: count as u64, ..Push::default() }
    }
}

/// Makes the datagrams that were taken, by `stamp(slot, flow, sequence, word)`.
#[derive(Debug)]
pub struct NullRx<S> {
    link: Arc<NullLink>,
    first_flow: usize,
    made: Vec<u64>,
    next_flow: usize,
    size: PayloadSize,
    arena: Arena,
    first_sequence: u64,
    pulled: usize,
    stamp: S,
}

impl<S: FnMut(&mut [u8], usize, u64, u64)> NullRx<S> {
    /// Makes datagrams of this size on `flows` flows of `link` from `first_flow` on.
    // cold: set-up
    pub fn new(
        link: Arc<NullLink>,
        first_flow: usize,
        flows: usize,
        size: PayloadSize,
        stamp: S,
    ) -> Self {
        let (arena, made) = (Arena::new(size.largest(), BATCH), vec![0; flows]);
        let (next_flow, first_sequence, pulled) = (0, 0, 0);
        Self { link, first_flow, made, next_flow, size, arena, first_sequence, pulled, stamp }
    }
}

impl<S: FnMut(&mut [u8], usize, u64, u64)> Rx for NullRx<S> {
    type Socket = UdpSocket;

    #[inline]
    fn pull(&mut self) -> Pull {
        let at = self.next_flow;
        self.next_flow = (at + 1) % self.made.len();
        let flow = &self.link.flows[self.first_flow + at];
        let sent = flow.sent.load(Ordering::Acquire);
        let slots = self.arena.len();
        let (first, word) = (self.made[at], flow.word.load(Ordering::Relaxed));
        self.pulled = usize::try_from(sent - first).unwrap_or(slots).min(slots);
        for (slot, sequence) in self.arena.slots_mut().take(self.pulled).zip(first..) {
            (self.stamp)(slot, self.first_flow + at, sequence, word);
        }
        self.first_sequence = first;
        self.made[at] += self.pulled as u64;
        flow.made.0.store(self.made[at], Ordering::Relaxed);
        let (datagrams, packets) = (self.pulled, self.pulled as u64);
        Pull { datagrams, packets, drained: datagrams < slots, ..Pull::default() }
    }

    fn restart(&mut self) {
        self.made.fill(0);
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        let slots = self.arena.slots().take(self.pulled);
        for (slot, sequence) in slots.zip(self.first_sequence..) {
            visit(&slot[..self.size.at(sequence)], None);
        }
    }
}
