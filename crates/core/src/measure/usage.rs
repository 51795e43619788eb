//! What a worker costs.

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// How often a thread left its CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSwitches {
    /// To wait for something.
    pub voluntary: u64,
    /// Because others wanted it, or its time was up.
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
    /// Both together; `None` where one is with the kernel's and the other without, which make no
    /// sum, or where the sum is too large to be true.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let count = self.count.checked_add(other.count)?;
        (self.with_kernel == other.with_kernel).then_some(Self { count, ..self })
    }
}

/// What workers cost in the measured window. What the system does not tell is `None`; of several
/// workers it is known where it is of all.
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
    /// Both together; `None` where the sum is too large to be true.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            voluntary: self.voluntary.checked_add(other.voluntary)?,
            involuntary: self.involuntary.checked_add(other.involuntary)?,
        })
    }

    /// Of either kind; `None` where the sum is too large to be true.
    #[must_use]
    pub const fn all(self) -> Option<u64> {
        self.voluntary.checked_add(self.involuntary)
    }
}

impl Usage {
    /// That of both together, where both are known. What another host says may be anything, and
    /// what makes no sum is not known.
    #[must_use]
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

    fn usage(cpu: u64, voluntary: u64, with_kernel: bool) -> Usage {
        Usage {
            cpu: Some(Nanos(cpu)),
            context_switches: Some(ThreadSwitches { voluntary, involuntary: 1 }),
            instructions: Some(Instructions { count: cpu * 3, with_kernel }),
        }
    }

    #[test]
    fn what_is_known_of_both_adds_up() {
        let sum = usage(100, 4, true).plus(usage(50, 1, true));
        assert_eq!(sum.cpu, Some(Nanos(150)));
        let switches = ThreadSwitches { voluntary: 5, involuntary: 2 };
        assert_eq!(sum.context_switches, Some(switches));
        assert_eq!(sum.instructions, Some(Instructions { count: 450, with_kernel: true }));
    }

    #[test]
    fn what_is_not_known_of_one_is_not_known_of_both() {
        assert_eq!(usage(100, 4, true).plus(Usage::default()), Usage::default());
        let sum = usage(100, 4, true).plus(usage(50, 1, false));
        assert_eq!(sum.instructions, None, "with the kernel's and without make no sum");
        assert_eq!(sum.cpu, Some(Nanos(150)));
    }

    #[test]
    fn what_is_too_large_to_be_true_is_not_known() {
        let mut wild = usage(1, u64::MAX, true);
        wild.cpu = Some(Nanos(u64::MAX));
        wild.instructions = Some(Instructions { count: u64::MAX, with_kernel: true });
        assert_eq!(usage(100, 4, true).plus(wild), Usage::default());
        assert_eq!(wild.context_switches.unwrap().all(), None);
    }
}
