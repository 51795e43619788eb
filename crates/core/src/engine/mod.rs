//! Engines: ways of sending and receiving. Behind the traits [`Tx`] and [`Rx`], the loops handle
//! single datagrams, whatever an engine hands to the kernel at once.
//!
//! A new engine: the checklist in `docs/architecture.md` names the files.

macro_rules! arena_slots {
    () => {
        #[inline]
        fn lease(&mut self, want: usize) -> &mut [u8] {
            self.arena.lease(want)
        }

        #[inline]
        fn stride(&self) -> usize {
            self.arena.stride()
        }

        fn sockets(&mut self) -> &mut [Self::Socket] {
            &mut self.sockets
        }
    };
}

/// Defines methods of engines that this build lacks, which are never called.
#[cfg(not(all(udperf_uring, udperf_xdp)))]
macro_rules! inert {
    ($($name:ident$(<$life:lifetime>)?($($argument:tt)*) $(-> $result:ty)? = $value:expr;)*) => {$(
        fn $name$(<$life>)?($($argument)*) $(-> $result)? {
            $value
        }
    )*};
}

mod arena;
mod batch;
pub mod echo;
#[cfg(test)]
mod fixture;
mod null;
mod offload;
mod pair;
mod plain;
pub mod probe;
mod push;
mod queue_depth;
pub mod table;
#[cfg(udperf_uring)]
mod uring;
#[cfg(not(udperf_uring))]
#[path = "uring/absent.rs"]
mod uring;
#[cfg(udperf_xdp)]
mod xdp;
#[cfg(not(udperf_xdp))]
#[path = "xdp/absent.rs"]
mod xdp;

pub use batch::{BatchRx, BatchTx};
pub use null::{NullLink, NullRx, NullTx};
pub use offload::{GroRx, GsoTx};
pub use pair::EngineError;
pub use plain::{PlainRx, PlainTx, StampedRx};
pub use push::explained;
pub use table::{
    ENGINES, EchoKind, EngineKind, EnginePair, EngineRow, RxKind, TxKind, UnknownEngineId,
};
pub use uring::{IS_BUILT_IN as URING_IS_BUILT_IN, UringEcho, UringRx, UringTx};
pub use xdp::{IS_BUILT_IN as XDP_IS_BUILT_IN, QUEUE_BYTES as XDP_QUEUE_BYTES, XdpRx, XdpTx};

use std::io;
use std::net::SocketAddr;

use crate::net::Datagram;
use crate::sys::{
    self, RecvMessage, RingCounter, SendError, TxClock, UnreachableErrno, XdpGranted, XdpMode,
};
use crate::unit::{Nanos, PayloadSize};

/// Most datagrams in a super-packet: `UDP_MAX_SEGMENTS` of `include/linux/udp.h`, 128 since Linux
/// 6.10. An older kernel takes 64, which the first refusal shows.
const SEGMENTS: usize = 128;

/// Result of one push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Push {
    /// Datagrams sent, the first ones of the lease.
    pub sent: usize,
    /// Packets sent: single datagrams or super-packets.
    pub packets: u64,
    /// Datagrams refused after those sent: one, or all of a super-packet. No later one was tried.
    pub refused: usize,
    pub error: Option<SendError>,
    pub syscalls: u64,
}

/// Result of one pull.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Pull {
    /// Datagrams to visit.
    pub datagrams: usize,
    /// Packets received: single datagrams or super-packets.
    pub packets: u64,
    /// Datagrams among those that came in super-packets of several.
    pub uncut: u64,
    /// Packets whose payload or control messages were truncated.
    pub truncated: u64,
    /// How often no provided buffer was free (ENOBUFS); datagrams then wait in the socket.
    pub no_buffers: u64,
    /// Datagrams with a wrong checksum, if the engine checks them; not to be visited.
    pub corrupt: u64,
    /// Datagrams of other workers that this one received and passed to them; not to be visited.
    pub forwarded: u64,
    pub syscalls: u64,
    /// Calls that failed for another reason than an empty queue.
    pub errors: u64,
    /// Of those, errors that report the peer as unreachable (ICMP).
    pub unreachable: u64,
    /// That of the latest of those.
    pub errno: Option<UnreachableErrno>,
    /// Whether the queue was found empty.
    pub drained: bool,
}

/// How an engine with rings of its own uses a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct XdpOptions {
    /// The device; `None`: that of the route, or of the address.
    pub device: Option<String>,
    /// Where the receive program runs.
    pub mode: XdpMode,
    /// The queues of the device to use; none: all. A sender has one, and receivers share all.
    pub queues: Vec<u32>,
    /// Number of this worker among its kind, and how many there are.
    pub worker: usize,
    pub workers: usize,
    /// The longest payload to receive in bytes, if it may be longer than those to send.
    pub longest_reply: usize,
    /// Datagrams per call or pull; `None`: the default of the engine.
    pub batch: Option<usize>,
    /// Slots for sending, a power of two; `None`: the default of the engine.
    pub tx_slots: Option<u32>,
    /// Frames for receiving, likewise.
    pub rx_frames: Option<u32>,
    /// Whether the receiver never sleeps, and so may run the driver's poll itself.
    pub busy_poll: bool,
    pub ttl: Option<u8>,
    pub dscp: Option<u8>,
}

/// The segments of super-packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments {
    /// Datagrams that one super-packet held at first.
    pub at_first: usize,
    /// Datagrams that one holds now; 1: there are no super-packets any more.
    pub now: usize,
}

/// A way of sending: lease slots, stamp them, push.
pub trait Tx {
    /// What it sends on.
    type Socket: Datagram;

    /// The most datagrams of one push; `paced`: each has its own due time.
    fn batch(&self, paced: bool) -> usize;

    /// Up to `want` slots to stamp, each [`Tx::stride`] bytes apart, filled with payload already.
    fn lease(&mut self, want: usize) -> &mut [u8];

    /// Distance of slots in bytes.
    fn stride(&self) -> usize;

    /// The length of each slot's payload, to be written with it; empty where the size decides.
    fn lens(&mut self) -> &mut [u16] {
        &mut []
    }

    /// Sends the first `count` leased slots on `flow` (dense, from 0), the first of which has this
    /// sequence number: it decides the payload's size.
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push;

    /// The clock of times of departure; `None`: datagrams leave when they are pushed.
    fn departures(&self) -> Option<TxClock> {
        None
    }

    /// Sets when the datagram in this slot departs, on that clock.
    #[inline]
    fn set_departure(&mut self, _slot: usize, _at_ns: u64) {}

    /// Super-packets, if it sends such.
    fn segments(&self) -> Option<Segments> {
        None
    }

    /// Counts datagrams that were sent, but dropped at a ring of the engine; `None`: it has no
    /// ring.
    fn ring_counter(&self) -> Option<RingCounter> {
        None
    }

    /// How it uses queues of a device; `None`: it does not.
    fn granted(&self) -> Option<XdpGranted> {
        None
    }

    /// The sockets by flow, or the one of all, for waiting; none where there are none.
    fn sockets(&mut self) -> &mut [Self::Socket] {
        &mut []
    }
}

/// A way of receiving: pull, visit each, release.
pub trait Rx {
    /// What it receives on.
    type Socket: Datagram;

    /// Receives what there is, up to a batch.
    fn pull(&mut self) -> Pull;

    /// Visits each datagram of the latest pull in order, with its time in the socket, if known.
    fn each(&self, visit: impl FnMut(&[u8], Option<Nanos>));

    /// The sender of the datagram of this index of the latest pull; `None` if it is not known.
    #[inline]
    fn sender(&self, _index: usize) -> Option<SocketAddr> {
        None
    }

    /// Whether each pull has datagrams of all flows, and [`Rx::stream`] distinguishes them.
    fn mixes_streams(&self) -> bool {
        false
    }

    /// The flow of the datagram of this index of the latest pull; `None`: that of the socket.
    #[inline]
    fn stream(&self, _index: usize) -> Option<usize> {
        None
    }

    /// When another worker received the datagram of this index of the latest pull, on the monotonic
    /// clock; `None`: this one did.
    #[inline]
    fn arrived_at(&self, _index: usize) -> Option<Nanos> {
        None
    }

    /// Whether the socket receives, and drops, whole super-packets.
    fn takes_super_packets(&self) -> bool {
        false
    }

    /// Counts datagrams dropped at a ring of the engine; `None`: it has no ring.
    fn ring_counter(&self) -> Option<RingCounter> {
        None
    }

    /// How it uses queues of a device; `None`: it does not.
    fn granted(&self) -> Option<XdpGranted> {
        None
    }

    /// Begins a new phase, in which every flow counts from 0.
    fn restart(&mut self) {}

    /// Notes that this worker needs no more datagrams of the phase; returns whether it may stop,
    /// as no other worker needs those that it receives.
    #[inline]
    fn end_phase(&mut self) -> bool {
        true
    }

    /// Makes other workers wake this one; false if it may not sleep, as datagrams wait.
    #[inline]
    fn prepare_sleep(&mut self) -> bool {
        true
    }

    /// Gives the buffers of the latest pull back.
    fn release(&mut self) {}

    /// Pulls from the socket of this index from now on, if there are several.
    fn turn_to(&mut self, _at: usize) {}

    /// The sockets, for waiting and for their drop counters; none where there are none.
    fn sockets(&mut self) -> &mut [Self::Socket] {
        &mut []
    }
}

/// Where the socket of a flow is: each has its own, or all share the first.
#[inline]
pub const fn place<S>(sockets: &[S], flow: usize) -> usize {
    if flow < sockets.len() { flow } else { 0 }
}

/// The socket of a flow, where there is one.
#[inline]
pub fn socket_of<S>(sockets: &[S], flow: usize) -> Option<&S> {
    sockets.get(place(sockets, flow))
}

#[inline]
fn count<'a>(messages: impl Iterator<Item = RecvMessage<'a>>) -> Pull {
    let mut pull = Pull::default();
    for message in messages {
        let len = message.payload.len();
        // A division costs as much as all the rest of this.
        let datagrams = if len > message.segment { len.div_ceil(message.segment) } else { 1 };
        pull.datagrams += datagrams;
        pull.packets += 1;
        pull.uncut += if datagrams > 1 { datagrams as u64 } else { 0 };
        pull.truncated += u64::from(message.truncated);
    }
    pull
}

impl Pull {
    #[inline]
    fn add_failure(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            self.drained = true;
            return;
        }
        let unreachable = sys::send_error_of(error).unreachable();
        self.errors += u64::from(error.kind() != io::ErrorKind::Interrupted);
        self.unreachable += u64::from(unreachable.is_some());
        self.errno = unreachable.map(|why| why.errno).or(self.errno);
    }
}

// cold: set-up
fn lens(size: PayloadSize, slots: usize) -> Vec<u16> {
    match size {
        PayloadSize::Varied { largest, .. } => vec![largest; slots],
        PayloadSize::Fixed(_) | PayloadSize::Imix => Vec::new(),
    }
}

/// The length of the payload in the slot `at`, the first of which has this sequence number.
#[inline]
fn len_at(lens: &[u16], at: usize, size: PayloadSize, first_sequence: u64) -> usize {
    if lens.is_empty() { size.at(first_sequence + at as u64) } else { usize::from(lens[at]) }
}

/// Time from `stamp_ns` to `now_ns`, both on the calendar clock; 0 if that was set back.
#[inline]
fn waited(stamp_ns: Option<u64>, now_ns: u64) -> Option<Nanos> {
    stamp_ns.map(|stamp_ns| Nanos(now_ns.saturating_sub(stamp_ns)))
}
