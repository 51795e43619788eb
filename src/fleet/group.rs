//! The processes of a run on several hosts, and messages between them.

use super::FleetError;

/// Processes that were started together, each with a rank.
pub trait ProcessGroup {
    /// The number of this process, from 0.
    fn rank(&self) -> u16;

    /// How many processes there are.
    fn size(&self) -> u16;

    /// Sends a message; returns once its bytes are no longer needed.
    fn send(&self, to: u16, message: &[u8]) -> Result<(), FleetError>;

    /// Receives the next message of this process. Sleeps between looks, so that it takes no CPU
    /// from a measurement; `is_over` is asked now and then whether to give up.
    fn receive(&self, from: u16, is_over: &dyn Fn() -> bool) -> Result<Vec<u8>, FleetError>;

    /// The same without sleeping, for exchanges whose delay is measured.
    fn receive_at_once(&self, from: u16, is_over: &dyn Fn() -> bool)
    -> Result<Vec<u8>, FleetError>;

    /// Ends all processes at once with this exit code.
    fn abort(&self, code: i32);
}
