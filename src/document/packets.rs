//! What the kernel handled as one, and what was tried out before the run.

use serde::{Deserialize, Serialize};

/// Packets of a cell: what the kernel handles as one, a datagram or a super-packet of several
/// (`UDP_SEGMENT`, `UDP_GRO`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Packets {
    /// What it took from the senders.
    pub sent: u64,
    /// What it handed to the receivers; `null`, as all that receivers count, where nothing is known
    /// of them.
    pub received: Option<u64>,
    /// Datagrams that were received in super-packets of several: where the sender made those, they
    /// were never cut, and are no measure of what single datagrams cost.
    pub uncut: Option<u64>,
    /// Datagrams in a super-packet of the senders, at the start; `null` where they make none.
    pub segments_at_first: Option<u64>,
    /// The same at the end: less where the kernel or a device refused as many; 1: none any more.
    pub segments_at_last: Option<u64>,
    /// Packets that were cut off for want of room, payload or control messages.
    pub truncated: Option<u64>,
    /// How often io_uring found no buffer provided (ENOBUFS): no loss by itself, for what arrived
    /// meanwhile waited in the socket.
    pub no_buffers: Option<u64>,
}

/// What `auto` came to stand for, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Choice {
    /// What was asked: `auto`.
    pub asked: String,
    /// The engines chosen, as cells' ids name them.
    pub engine: String,
    /// Payload of the trials in bytes.
    pub size: u64,
    /// Length of each in ns.
    pub trial_ns: u64,
    /// What was tried, fastest first.
    pub trials: Vec<Tried>,
    /// Pairs that were tried and left out, and why; fastest first. Absent in older documents.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What could not be tried.
    pub failed: Vec<Failed>,
}

/// Engines that could not be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failed {
    /// The engines.
    pub engine: String,
    /// Why not.
    pub why: String,
}

/// Engines that were tried and that `auto` does not take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The engines.
    pub engine: String,
    /// Datagrams delivered a second.
    pub pps: f64,
    /// Why they are left out.
    pub why: String,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tried {
    /// The engines.
    pub engine: String,
    /// Datagrams delivered a second.
    pub pps: f64,
}
