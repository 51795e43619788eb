//! Packets of the kernel, and the trials of `auto`.

use serde::{Deserialize, Serialize};

/// Packets of a cell: what the kernel handles as one, a datagram or a super-packet of several
/// (`UDP_SEGMENT`, `UDP_GRO`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Packets {
    /// Packets accepted from the senders.
    pub sent: u64,
    /// Packets delivered to the receivers; `null` if unknown, like all counters of receivers.
    pub received: Option<u64>,
    /// Datagrams received in super-packets: if the sender made those, they were never segmented,
    /// and do not show the cost of single datagrams.
    pub uncut: Option<u64>,
    /// Datagrams in a super-packet of the senders, at the start; `null` without super-packets.
    pub segments_at_first: Option<u64>,
    /// The same at the end: less if the kernel or a device refused larger ones.
    pub segments_at_last: Option<u64>,
    /// Packets whose payload or control messages were truncated.
    pub truncated: Option<u64>,
    /// How often io_uring had no provided buffer (ENOBUFS); datagrams then wait in the socket.
    pub no_buffers: Option<u64>,
}

/// The selection of `auto`, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// The request: `auto`.
    pub asked: String,
    /// The selected engines, as in cell ids.
    pub engine: String,
    /// Payload of the trials in bytes.
    pub size: u64,
    /// Length of each in ns.
    pub trial_ns: u64,
    /// Tried engines, fastest first.
    pub trials: Vec<Tried>,
    /// Tried engines that were left out, and why; fastest first. Absent in older documents.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Engines that could not be tried.
    pub failed: Vec<Failed>,
}

/// Engines that could not be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failed {
    /// The engines.
    pub engine: String,
    /// Why not.
    pub why: String,
}

/// Tried engines that `auto` does not select.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The engines.
    pub engine: String,
    /// Datagrams delivered per second.
    pub pps: f64,
    /// Why they are left out.
    pub why: String,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tried {
    /// The engines.
    pub engine: String,
    /// Datagrams delivered per second.
    pub pps: f64,
}
