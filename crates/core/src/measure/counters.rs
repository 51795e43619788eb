//! Plain counters that a worker owns while it runs.

use serde::{Deserialize, Serialize};

use crate::unit::sum_counts;

/// Why a datagram did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// EAGAIN: the socket's send buffer was full.
    WouldBlock,
    /// ENOBUFS or ENOMEM: a queue below the socket was full.
    NoBuffers,
    /// ECONNREFUSED and its like: an ICMP error came back for an earlier datagram, or no route.
    Unreachable,
    /// EMSGSIZE: larger than the path takes without fragments.
    TooBig,
    /// Anything else.
    Other,
}

/// Failed sends by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendErrorCounts {
    /// The socket's send buffer was full (EAGAIN).
    pub would_block: u64,
    /// A queue below the socket was full (ENOBUFS, ENOMEM).
    pub no_buffers: u64,
    /// An ICMP error came back for an earlier datagram, or no route (ECONNREFUSED, E…UNREACH).
    pub unreachable: u64,
    /// Larger than the path takes without fragments (EMSGSIZE).
    pub too_big: u64,
    /// Any other error.
    pub other: u64,
}

impl SendErrorCounts {
    /// Counts so many.
    #[inline]
    pub fn count(&mut self, refusal: SendErrorKind, datagrams: u64) {
        match refusal {
            SendErrorKind::WouldBlock => self.would_block += datagrams,
            SendErrorKind::NoBuffers => self.no_buffers += datagrams,
            SendErrorKind::Unreachable => self.unreachable += datagrams,
            SendErrorKind::TooBig => self.too_big += datagrams,
            SendErrorKind::Other => self.other += datagrams,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { would_block, no_buffers, unreachable, too_big, other } = *self;
        sum_counts([would_block, no_buffers, unreachable, too_big, other])
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; would_block, no_buffers, unreachable, too_big, other);
    }
}

/// What a sender counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxTally {
    /// Datagrams the system took.
    pub sent: u64,
    /// What it took as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Their payload in bytes.
    pub bytes: u64,
    /// Datagrams the system did not take; each gave its sequence number back.
    pub refused: SendErrorCounts,
    /// System calls that sent, or tried to.
    pub syscalls: u64,
    /// The raw error number behind the latest [`SendErrorKind::Other`], 0 where there was none.
    pub last_errno: i32,
    /// Of [`SendErrorCounts::other`], those without a reason from the kernel: later datagrams
    /// of a call (sendmmsg(2)). A full queue counted them, where it was one.
    pub untold: u64,
}

impl TxTally {
    /// Counts refusals whose reason stays unknown.
    // cold: behind a refusal
    pub fn count_untold(&mut self, datagrams: u64) {
        self.refused.count(SendErrorKind::Other, datagrams);
        self.untold += datagrams;
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; sent, packets, bytes, syscalls, untold);
        self.refused.merge(&other.refused);
        if other.last_errno != 0 {
            self.last_errno = other.last_errno;
        }
    }
}

/// What a receiver counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RxTally {
    /// Datagrams read, whatever they were.
    pub arrived: u64,
    /// What was read as one: as many as datagrams, or fewer super-packets.
    pub packets: u64,
    /// Datagrams that were read in super-packets of several.
    pub uncut: u64,
    /// Packets that were cut off for want of room, payload or control messages.
    pub truncated: u64,
    /// How often the kernel found no buffer provided.
    pub no_buffers: u64,
    /// Datagrams of ours, each sequence number once.
    pub received: u64,
    /// Of those, the ones read by the end of the senders' window; the others are its tail.
    pub read_in_window: u64,
    /// Payload of `received` in bytes.
    pub bytes: u64,
    /// Sequence numbers seen before.
    pub duplicate: u64,
    /// Ours, but too old to tell whether new or repeated.
    pub late: u64,
    /// Received after a higher number (RFC 4737).
    pub reordered: u64,
    /// The largest distance to the highest number before, in sequence numbers.
    pub reorder_extent: u64,
    /// Not ours.
    pub foreign: u64,
    /// Ours by the tag, but not by the rest.
    pub corrupt: u64,
    /// System calls that received, or tried to.
    pub syscalls: u64,
    /// Of those, the ones up to the end of the senders' window.
    pub syscalls_in_window: u64,
    /// Receive calls that failed for another reason than an empty queue.
    pub errors: u64,
    /// Most datagrams that shared one read time.
    pub batch_max: u64,
}

impl RxTally {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; arrived, packets, uncut, truncated, no_buffers, received);
        add_counts!(self, other; read_in_window, bytes, duplicate, late, reordered, foreign);
        add_counts!(self, other; corrupt, syscalls, syscalls_in_window, errors);
        self.reorder_extent = self.reorder_extent.max(other.reorder_extent);
        self.batch_max = self.batch_max.max(other.batch_max);
    }
}
