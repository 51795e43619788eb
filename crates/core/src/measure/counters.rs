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
#[expect(missing_docs, reason = "`document::Refused` describes the fields")]
pub struct SendErrorCounts {
    pub would_block: u64,
    pub no_buffers: u64,
    pub unreachable: u64,
    pub too_big: u64,
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

/// Counters of a sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Side` describes other fields")]
pub struct TxTally {
    pub sent: u64,
    /// Packets sent: datagrams, or fewer super-packets.
    pub packets: u64,
    pub bytes: u64,
    pub refused: SendErrorCounts,
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

/// Counters of a receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Ledger` and `document::Packets` describe other fields")]
pub struct RxTally {
    pub arrived: u64,
    /// Packets read: datagrams, or fewer super-packets.
    pub packets: u64,
    pub uncut: u64,
    pub truncated: u64,
    pub no_buffers: u64,
    pub received: u64,
    /// Of those, the ones read by the end of the senders' window; the others are its tail.
    pub read_in_window: u64,
    pub bytes: u64,
    pub duplicate: u64,
    pub late: u64,
    pub reordered: u64,
    pub reorder_extent: u64,
    pub foreign: u64,
    pub corrupt: u64,
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
