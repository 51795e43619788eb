//! Plain counters that a worker owns while it runs, and its usage.

use serde::{Deserialize, Serialize};

use crate::document::ContextSwitches;
pub use crate::document::Refused as SendErrorCounts;
use crate::sys::SendError;
use crate::unit::{Nanos, sum_counts};

impl SendErrorCounts {
    /// Counts datagrams refused by this error.
    #[inline]
    pub fn count(&mut self, error: SendError, datagrams: u64) {
        let count = match error {
            SendError::WouldBlock => &mut self.would_block,
            SendError::NoBuffers => &mut self.no_buffers,
            SendError::Unreachable(_) => &mut self.unreachable,
            SendError::TooBig => &mut self.too_big,
            SendError::Interrupted | SendError::Unexplained | SendError::Other(_) => {
                &mut self.other
            }
        };
        *count += datagrams;
    }

    /// The counts in the order of the fields.
    pub const fn counts(&self) -> [u64; 5] {
        [self.would_block, self.no_buffers, self.unreachable, self.too_big, self.other]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        sum_counts(self.counts())
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
    /// The raw error number of the latest [`SendError::Other`], 0 if there was none.
    pub last_errno: i32,
    /// Of [`SendErrorCounts::other`], those without a reason from the kernel: later datagrams
    /// of a call (sendmmsg(2)). A full queue counted them, where it was one.
    pub unexplained: u64,
}

impl TxTally {
    /// Counts refusals without a reason.
    // cold: after a refusal
    pub fn count_unexplained(&mut self, datagrams: u64) {
        self.refused.count(SendError::Unexplained, datagrams);
        self.unexplained += datagrams;
    }

    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        add_counts!(self, other; sent, packets, bytes, syscalls, unexplained);
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

/// Instructions retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// How many.
    pub count: u64,
    /// Whether they include those in the kernel.
    pub with_kernel: bool,
}

impl Instructions {
    /// The sum; `None` if only one counts the kernel's, or it overflows.
    pub fn plus(self, other: Self) -> Option<Self> {
        let count = self.count.checked_add(other.count)?;
        (self.with_kernel == other.with_kernel).then_some(Self { count, ..self })
    }
}

/// Usage in the measured window; `None` if unknown, also if unknown of one of several workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time.
    pub cpu: Option<Nanos>,
    /// How often they left their CPUs.
    pub context_switches: Option<ContextSwitches>,
    /// Instructions retired; `None` where the CPU has no counter for us.
    pub instructions: Option<Instructions>,
}

impl ContextSwitches {
    /// The sum; `None` if it overflows.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            voluntary: self.voluntary.checked_add(other.voluntary)?,
            involuntary: self.involuntary.checked_add(other.involuntary)?,
        })
    }

    /// Both kinds; `None` if the sum overflows.
    pub const fn all(self) -> Option<u64> {
        self.voluntary.checked_add(self.involuntary)
    }
}

impl Usage {
    /// The usage of a thread since an earlier reading.
    pub fn since(self, earlier: Self) -> Self {
        let switches = self.context_switches.zip(earlier.context_switches);
        let instructions = self.instructions.zip(earlier.instructions);
        Self {
            cpu: self.cpu.zip(earlier.cpu).map(|(now, then)| now.since(then)),
            context_switches: switches.map(|(now, then)| ContextSwitches {
                voluntary: now.voluntary - then.voluntary,
                involuntary: now.involuntary - then.involuntary,
            }),
            instructions: instructions
                .map(|(now, then)| Instructions { count: now.count - then.count, ..now }),
        }
    }

    /// The sum of what is known of both. Another host may report anything: an overflow is unknown.
    pub fn plus(self, other: Self) -> Self {
        let switches = self.context_switches.zip(other.context_switches);
        let instructions = self.instructions.zip(other.instructions);
        Self {
            cpu: self.cpu.zip(other.cpu).and_then(|(a, b)| a.0.checked_add(b.0)).map(Nanos),
            context_switches: switches.and_then(|(a, b)| a.plus(b)),
            instructions: instructions.and_then(|(a, b)| a.plus(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_only_what_both_know() {
        let usage = |cpu, voluntary, with_kernel| Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(ContextSwitches { voluntary, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu, with_kernel }),
        };
        let (one, none) = (usage(100, 4, true), Usage::default());
        let both = Usage {
            context_switches: Some(ContextSwitches { voluntary: 5, involuntary: 2 }),
            ..usage(150, 0, true)
        };
        assert_eq!(one.plus(usage(50, 1, true)), both);
        // Instructions with the kernel's and without make no sum.
        assert_eq!(one.plus(usage(50, 1, false)), Usage { instructions: None, ..both });
        let wild = usage(u64::MAX, u64::MAX, true);
        assert_eq!([one.plus(none), one.plus(wild)], [none; 2]);
        assert_eq!(wild.context_switches.unwrap().all(), None);
    }
}
