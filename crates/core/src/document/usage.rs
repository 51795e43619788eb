//! The cost of datagrams.

use serde::{Deserialize, Serialize};

/// Context switches of workers in the senders' window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContextSwitches {
    /// The thread waited.
    pub voluntary: u64,
    /// The thread was preempted.
    pub involuntary: u64,
}

/// The cost of a datagram, both sides together. On a shared machine, these figures are more
/// reliable than rates. Per datagram received, counted once; with requests, per request answered;
/// if the receiver is unknown, the sender's cost per datagram sent. The receiver's cost up to the
/// end of the senders' window counts, per datagram received by then. `null` if a side does not
/// report it, or without such a datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PerDatagram {
    /// System calls that moved, or tried to move, datagrams.
    pub syscalls: Option<f64>,
    /// Context switches, voluntary or not.
    pub context_switches: Option<f64>,
    /// CPU time in ns.
    pub cpu_ns: Option<f64>,
    /// Instructions retired; `null` also if the sides count different ones (`instructions_kind`).
    pub instructions: Option<f64>,
}
