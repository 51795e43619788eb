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

/// What a datagram cost, both sides together: figures that hold on a machine shared with others,
/// where rates do not. For each datagram that was received, counted once; of requests, for each
/// that was answered; where nothing is known of the receiver, of the sender alone, for each that
/// was sent. What the receiver did up to the end of the senders' window counts, for each datagram
/// that it had by then. `null` where one of the sides does not tell, or there was no such datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PerDatagram {
    /// System calls that moved, or tried to move, datagrams.
    pub syscalls: Option<f64>,
    /// Context switches, voluntary or not.
    pub context_switches: Option<f64>,
    /// CPU time in ns.
    pub cpu_ns: Option<f64>,
    /// Instructions retired; `null` also where the sides count different ones
    /// (`instructions_kind`).
    pub instructions: Option<f64>,
}
