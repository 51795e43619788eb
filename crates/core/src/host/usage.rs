//! Usage of a worker: CPU time, context switches and instructions, read only before and after the
//! window.

use crate::measure::{Instructions, ThreadSwitches, Usage};
use crate::sys::{self, InstructionCounter};
use crate::unit::Nanos;

/// Measures the usage of its thread. Create it before the start barrier: it makes system calls.
#[derive(Debug, Default)]
pub struct Meter {
    instructions: Option<InstructionCounter>,
}

/// The usage of a thread so far.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    cpu_ns: Option<u64>,
    switches: Option<sys::SwitchCounts>,
    instructions: Option<u64>,
}

impl Meter {
    /// The meter of the calling thread; [`Self::default`] has no instruction counter.
    pub fn of_this_thread() -> Self {
        Self { instructions: InstructionCounter::of_this_thread() }
    }

    /// Reads the usage, in the same thread: up to three system calls, no allocation.
    pub fn read(&self) -> Reading {
        Reading {
            switches: sys::context_switches(),
            instructions: self.instructions.as_ref().and_then(InstructionCounter::read),
            cpu_ns: sys::thread_cpu_ns(),
        }
    }

    /// The usage between two readings.
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
