//! The usage of a worker.

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// How often a thread left its CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::ContextSwitches` describes the fields")]
pub struct ThreadSwitches {
    pub voluntary: u64,
    pub involuntary: u64,
}

/// Instructions retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// How many.
    pub count: u64,
    /// Whether those in the kernel are among them.
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
    pub context_switches: Option<ThreadSwitches>,
    /// Instructions retired; `None` where the CPU has no counter for us.
    pub instructions: Option<Instructions>,
}

impl ThreadSwitches {
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
    fn only_what_is_known_of_both_adds_up() {
        let usage = |cpu, voluntary, with_kernel| Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(ThreadSwitches { voluntary, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu, with_kernel }),
        };
        let one = usage(100, 4, true);
        let sum = one.plus(usage(50, 1, true));
        assert_eq!(sum.cpu, Some(Nanos(150)));
        let switches = ThreadSwitches { voluntary: 5, involuntary: 2 };
        assert_eq!(sum.context_switches, Some(switches));
        assert_eq!(sum.instructions, Some(Instructions { count: 150, with_kernel: true }));
        assert_eq!(one.plus(Usage::default()), Usage::default());
        let sum = one.plus(usage(50, 1, false));
        assert_eq!((sum.cpu, sum.instructions), (Some(Nanos(150)), None), "user is not the kernel");
        let wild = usage(u64::MAX, u64::MAX, true);
        assert_eq!(one.plus(wild), Usage::default());
        assert_eq!(wild.context_switches.unwrap().all(), None);
    }
}
