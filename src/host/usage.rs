//! What a worker costs: its CPU time, its context switches and its instructions, read before and
//! after the window, never in between.

use crate::measure::{Instructions, ThreadSwitches, Usage};
use crate::sys::{self, InstructionCounter};
use crate::unit::Nanos;

/// Reads what the thread that opened it has cost. Made before the start barrier: a counter of
/// instructions takes a system call to open.
#[derive(Debug, Default)]
pub struct Meter {
    instructions: Option<InstructionCounter>,
}

/// What a thread has cost so far.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    cpu_ns: Option<u64>,
    switches: Option<sys::SwitchCounts>,
    instructions: Option<u64>,
}

impl Meter {
    /// The meter of the calling thread. [`Self::default`] is one without a counter of
    /// instructions.
    #[must_use]
    pub fn of_this_thread() -> Self {
        Self { instructions: InstructionCounter::of_this_thread() }
    }

    /// Reads it, in the thread that it is of: up to three system calls, no allocation.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading {
            switches: sys::context_switches(),
            instructions: self.instructions.as_ref().and_then(InstructionCounter::read),
            cpu_ns: sys::thread_cpu_ns(),
        }
    }

    /// What was spent between two readings.
    #[must_use]
    pub fn between(&self, then: Reading, now: Reading) -> Usage {
        let with_kernel = self.instructions.as_ref().map(InstructionCounter::with_kernel);
        let counted = now.instructions.zip(then.instructions).zip(with_kernel);
        Usage {
            cpu: now.cpu_ns.zip(then.cpu_ns).map(|(now, then)| Nanos(now - then)),
            context_switches: now.switches.zip(then.switches).map(|(now, then)| ThreadSwitches {
                voluntary: now.voluntary - then.voluntary,
                involuntary: now.involuntary - then.involuntary,
            }),
            instructions: counted
                .map(|((now, then), with_kernel)| Instructions { count: now - then, with_kernel }),
        }
    }
}
