//! Engines: ways of sending and receiving, behind one shape each, so that loops and probes see
//! single datagrams only.
//!
//! A new engine: the checklist in `docs/architecture.md` names the files.

mod arena;
mod batch;
pub mod echo;
mod gro;
mod gso;
mod inbox;
mod null;
mod plain;
mod stamped;
#[cfg(udperf_uring)]
mod uring;
#[cfg(not(udperf_uring))]
#[path = "uring/absent.rs"]
mod uring;

pub use batch::{BatchRx, BatchTx};
pub use gro::GroRx;
pub use gso::GsoTx;
pub use null::{NullLink, NullRx, NullTx};
pub use plain::{PlainRx, PlainTx};
pub use stamped::StampedRx;
pub use uring::{IS_BUILT_IN as URING_IS_BUILT_IN, UringEcho, UringRx, UringTx};

use std::io;

use crate::net::Datagram;
use crate::sys::{self, RecvMessage, SendBatch, SendError, UnreachableErrno};
use crate::unit::{Nanos, PayloadSize};

/// Datagrams in a super-packet at most: `UDP_MAX_SEGMENTS` of `include/linux/udp.h`, 128 since
/// Linux 6.10. An older kernel takes 64, which the first refusal finds out.
const SEGMENTS: usize = 128;

/// What one push did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Push {
    /// Datagrams that left, the first ones of the lease.
    pub sent: usize,
    /// What the kernel took as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Datagrams that were refused after the last one that left: one, or all of a super-packet.
    /// Later ones were not tried.
    pub refused: usize,
    /// Why; `None` where none was refused.
    pub error: Option<SendError>,
    /// System calls made.
    pub syscalls: u64,
}

/// What one pull did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pull {
    /// Datagrams to visit.
    pub datagrams: usize,
    /// What the kernel handed over as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Datagrams among those that came in super-packets of several.
    pub uncut: u64,
    /// Packets whose payload or control messages were cut off for want of room.
    pub truncated: u64,
    /// How often the kernel found no buffer provided (ENOBUFS): what arrived meanwhile waited in
    /// the socket, and is not lost by that.
    pub no_buffers: u64,
    /// System calls made.
    pub syscalls: u64,
    /// Calls that failed for another reason than an empty queue.
    pub errors: u64,
    /// Of those, errors that report the peer as unreachable (ICMP).
    pub unreachable: u64,
    /// The error number of the latest of those.
    pub errno: Option<UnreachableErrno>,
    /// Whether the queue was found empty.
    pub drained: bool,
}

/// The segments of super-packets, for engines that send such.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Segments {
    /// Datagrams that one super-packet held at first.
    pub at_first: usize,
    /// Datagrams that one holds now; 1: there are no super-packets any more.
    pub now: usize,
}

/// A way of sending: lease slots, stamp them, push, reclaim.
pub trait Tx {
    /// What it sends on.
    type Socket: Datagram;

    /// The most datagrams that one push takes; `paced`: where each has a moment of its own, and
    /// those that are due at once go together.
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

    /// Super-packets, where this makes such.
    fn segments(&self) -> Option<Segments> {
        None
    }

    /// Takes back slots that have left, where the kernel borrows them.
    fn reclaim(&mut self) {}

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

    /// Shows each datagram of the latest pull, in order of arrival, and how long it had waited in
    /// the socket when it was read, where the kernel tells.
    fn each(&self, visit: impl FnMut(&[u8], Option<Nanos>));

    /// Whether super-packets stay whole up to here, so that the kernel counts what it drops at the
    /// socket in super-packets.
    fn takes_super_packets(&self) -> bool {
        false
    }

    /// Begins a new phase, in which every flow counts from 0.
    fn restart(&mut self) {}

    /// Gives the buffers of the latest pull back.
    fn release(&mut self) {}

    /// Pulls from the socket of this index from now on. Those that know one socket only stay
    /// with it.
    fn turn_to(&mut self, _at: usize) {}

    /// The sockets, for waiting and for their drop counters; none where there are none.
    fn sockets(&mut self) -> &mut [Self::Socket] {
        &mut []
    }
}

/// What sending some messages came to.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Messages that left, the first ones.
    left: usize,
    /// Datagrams of the message that was refused.
    refused: usize,
    /// Why.
    error: Option<SendError>,
    /// System calls made.
    syscalls: u64,
}

/// Sends `count` messages by one sendmmsg(2). `held`: how many datagrams the message of an index
/// holds.
#[inline]
fn send<'a>(
    calls: &mut SendBatch,
    socket: &impl Datagram,
    payloads: impl Iterator<Item = &'a [u8]>,
    count: usize,
    held: impl Fn(usize) -> usize,
) -> Sent {
    match calls.send(socket, payloads) {
        Ok(left) if left == count => Sent { left, syscalls: 1, ..Sent::default() },
        Ok(left) => refused_behind(socket, left, held(left)),
        Err(error) => {
            let error = refusal(&error, socket);
            let refused = if error.is_some() { held(0) } else { 0 };
            Sent { refused, error, syscalls: 1, ..Sent::default() }
        }
    }
}

/// Where the socket of a flow is: each has its own, or all share the first.
#[inline]
pub(crate) const fn place<S>(sockets: &[S], flow: usize) -> usize {
    if flow < sockets.len() { flow } else { 0 }
}

/// The socket of a flow, where there is one.
#[inline]
pub(crate) fn socket_of<S>(sockets: &[S], flow: usize) -> Option<&S> {
    sockets.get(place(sockets, flow))
}

/// A call that fails after its first message keeps the reason to itself (sendmmsg(2)). One that
/// came back from the network is in the socket's queue of errors; one that lasts shows when the
/// caller comes again. Messages after the refused one are not tried here: each refusal takes a slot
/// of the schedule, and later datagrams have to carry the next slot.
// cold: a refusal
fn refused_behind<S: Datagram>(socket: &S, left: usize, refused: usize) -> Sent {
    let error = socket.take_queued_refusal().unwrap_or_else(S::untold);
    Sent { left, refused, error: Some(error), syscalls: 1 }
}

/// Why a first message did not leave. A signal is no reason: nothing was refused, and the caller
/// comes again.
// cold: a refusal
fn refusal(error: &io::Error, socket: &impl Datagram) -> Option<SendError> {
    let error = match sys::refusal_of(error) {
        // Read now, so that a later call does not report it again.
        error @ SendError::Unreachable(_) => explained(error, socket),
        error @ SendError::TooBig => {
            socket.take_queued_refusal();
            error
        }
        error => error,
    };
    (error != SendError::Interrupted).then_some(error)
}

/// Adds the reporter to an error: the ICMP error is in the socket's error queue, which this
/// empties.
// cold: a refusal
pub(crate) fn explained(error: SendError, socket: &impl Datagram) -> SendError {
    let queued = socket.take_queued_refusal();
    let same = |queued: &SendError| {
        let errnos = [error, *queued].map(|one| one.unreachable().map(|why| why.errno));
        errnos[0].is_some() && errnos[0] == errnos[1]
    };
    queued.filter(same).unwrap_or(error)
}

/// Counts what a recvmmsg(2) brought.
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
    /// Adds the counts of a failed receive call.
    #[inline]
    fn add_failure(&mut self, error: &io::Error) {
        let failed = nothing(error);
        self.errors += failed.errors;
        self.unreachable += failed.unreachable;
        self.errno = failed.errno.or(self.errno);
        self.drained |= failed.drained;
    }
}

/// What a receive call that failed did.
#[inline]
fn nothing(error: &io::Error) -> Pull {
    let unreachable = sys::refusal_of(error).unreachable();
    Pull {
        errors: u64::from(!matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        )),
        unreachable: u64::from(unreachable.is_some()),
        errno: unreachable.map(|why| why.errno),
        drained: error.kind() == io::ErrorKind::WouldBlock,
        syscalls: 1,
        ..Pull::default()
    }
}

/// Lengths for so many slots, where each payload has one of its own.
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

/// How long something stamped at `stamp_ns` has waited at `now_ns`, both on the calendar clock;
/// one that was set back meanwhile tells nothing less than zero.
#[inline]
fn waited(stamp_ns: Option<u64>, now_ns: u64) -> Option<Nanos> {
    stamp_ns.map(|stamp_ns| Nanos(now_ns.saturating_sub(stamp_ns)))
}
