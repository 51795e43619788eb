//! What a thread costs: nothing is known here.

use crate::sys::SwitchCounts;

/// Unknown here.
#[must_use]
pub fn context_switches() -> Option<SwitchCounts> {
    None
}

/// There is none here.
#[derive(Debug)]
pub struct InstructionCounter;

impl InstructionCounter {
    /// There is none here.
    #[must_use]
    pub fn of_this_thread() -> Option<Self> {
        None
    }

    /// Nothing is counted here.
    #[must_use]
    pub const fn with_kernel(&self) -> bool {
        false
    }

    /// Unknown here.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        None
    }
}
