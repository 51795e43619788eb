//! Parts of a cell, the clock of the other end, the trials of `auto`, and the file of requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::latency::Leg;
pub use crate::sys::{ContextSwitches, XdpGranted};

/// Packets of a cell: what the kernel handles as one, a datagram or a super-packet of several
/// (`UDP_SEGMENT`, `UDP_GRO`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Packets {
    /// Packets accepted from the senders.
    pub sent: u64,
    /// Packets delivered to the receivers; `null` if unknown, like all counters of receivers.
    pub received: Option<u64>,
    /// Datagrams received in super-packets: if the sender made those, they were never split, and
    /// do not show the cost of single datagrams.
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

/// A period in which the target could not be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outage {
    /// The first error, in ns since the start of the cell's window.
    pub from_ns: u64,
    /// The last error, likewise. ICMP errors concern earlier datagrams, and their rate is limited.
    pub until_ns: u64,
    /// The cause: an errno such as `ENETUNREACH`, or ICMP type and code such as `ICMP 3/3`.
    pub what: String,
    /// Who reported it: an address, or `local`; `null` if the system does not report it.
    pub said_by: Option<String>,
    /// For people: `network unreachable (ENETUNREACH, local)`.
    pub message: String,
    /// Number of refused datagrams and of errors that came back for earlier ones.
    pub errors: u64,
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

/// The other end's clock, from all exchanges of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clock {
    /// Whether both ends read the same clock.
    pub same: bool,
    /// Its offset from this host's clock, in the middle of the run; positive if it is ahead.
    pub offset_ns: i64,
    /// Drift of the offset in ns per second.
    pub drift_ppb: i64,
    /// The offset is known within ± this.
    pub bound_ns: u64,
    /// The fastest exchange of control messages; `null` if none was needed.
    pub min_rtt_ns: Option<u64>,
    /// Number of exchanges used.
    pub samples: u64,
}

impl Clock {
    /// The clock of an end that reads the same clock.
    pub const fn same() -> Self {
        let (offset_ns, drift_ppb, bound_ns) = (0, 0, 0);
        Self { same: true, offset_ns, drift_ppb, bound_ns, min_rtt_ns: None, samples: 0 }
    }
}

/// A comparison of the flows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Flows {
    /// Number of flows.
    pub count: u64,
    /// Datagrams received by flow.
    pub received: FlowSpread,
    /// The largest loss of a flow, 0 to 1; `null` if none sent.
    pub loss_max: Option<f64>,
    /// Flows that sent datagrams, none of which arrived.
    pub starved: u64,
    /// Jain's index of received datagrams: 1 if all flows received the same, 1 / `count` if one
    /// received all (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984); `null` if none did.
    pub fairness: Option<f64>,
    /// The flows with the largest loss, up to 10; only flows with loss.
    pub worst: Vec<FlowCounts>,
}

/// Datagrams per flow, over all flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowSpread {
    /// The fewest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The most.
    pub max: u64,
}

/// One flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlowCounts {
    /// Its number, from 0.
    pub flow: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Sequence numbers received.
    pub received: u64,
}

/// Datagrams of one source address, or of the rest of a long list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceCounts {
    /// The address; `null`: the sum of those beyond the 1,024 worst.
    pub address: Option<String>,
    /// Number of addresses in this row.
    pub sources: u64,
    /// Datagrams or requests sent from there.
    pub sent: u64,
    /// Of those, datagrams received, or requests answered in time; `null` if unknown.
    pub received: Option<u64>,
    /// The others: lost datagrams, or requests without a reply in time; `null` if unknown.
    pub lost: Option<u64>,
    /// Whether chance does not explain its loss, given the loss of all sources.
    pub stands_out: bool,
}

/// Requested and active engines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// Requested sending engine.
    pub tx: String,
    /// Requested receiving engine.
    pub rx: String,
    /// Active sending engine.
    pub tx_active: String,
    /// Active receiving engine; `null` if unknown.
    pub rx_active: Option<String>,
}

/// Outcomes of requests and replies.
///
/// `requests = matched + timeouts`; `replies = matched + duplicate + late +
/// continued + stale + unmatched`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Exchange {
    /// `open`: requests leave on schedule or flat out; `closed`: at most `outstanding` of them are
    /// in flight, so that a slow server gets fewer.
    #[serde(rename = "loop")]
    pub closed_or_open: String,
    /// Maximum requests in flight; `null` in an open loop.
    pub outstanding: Option<u64>,
    /// Whether replies carry no id, so that each answers the oldest request of its port; after a
    /// lost reply, later ones match the wrong request. Older documents lack this field.
    #[serde(default)]
    pub in_order: bool,
    /// Timeout of a request in ns; in an exchange of two requests, that of each.
    pub timeout_ns: u64,
    /// Requests that left.
    pub requests: u64,
    /// Datagrams that came back to the ports they left from.
    pub replies: u64,
    /// Requests that were answered in time, each once.
    pub matched: u64,
    /// Datagrams that match no request.
    pub unmatched: u64,
    /// Replies to requests that were answered before.
    pub duplicate: u64,
    /// Replies to requests that had timed out.
    pub late: u64,
    /// Datagrams of replies in several parts, except the one that completed the reply, replies that
    /// a second request follows, and acknowledgements that precede their reply.
    pub continued: u64,
    /// Of those, acknowledgements without the reply itself (CoAP's empty ACK, RFC 7252 section
    /// 5.2.2; SIP's responses 1xx). Older documents lack this field.
    #[serde(default)]
    pub acknowledged: u64,
    /// Empty acknowledgements sent for confirmable responses of CoAP, which do not count as
    /// requests. Older documents lack this field.
    #[serde(default)]
    pub acknowledgements_sent: u64,
    /// Replies to requests of the warm-up.
    pub stale: u64,
    /// Requests without a reply in time.
    pub timeouts: u64,
    /// Of those, requests whose reply arrived incomplete (memcached). Older documents lack this
    /// field, and have such requests in `matched`.
    #[serde(default)]
    pub incomplete: u64,
    /// Of those, requests given up before their timeout because the run was ended.
    pub given_up: u64,
    /// Slots missed because all ids were in use; part of `schedule.missed`.
    #[serde(default)]
    pub no_room: u64,
    /// Time in ns during which no request could be sent for that reason, summed over threads.
    #[serde(default)]
    pub no_room_ns: u64,
    /// Requests with a random label of an earlier request; `null` without random labels.
    #[serde(default)]
    pub repeated_labels: Option<u64>,
    /// Requests whose message id another request of the same port had less than 247 s before
    /// (CoAP's EXCHANGE_LIFETIME, RFC 7252 section 4.8.2); `null`: requests have no message ids.
    #[serde(default)]
    pub reused_message_ids: Option<u64>,
    /// Matched replies that are errors, by their name in the protocol or in --error; `unexpected`:
    /// no rule of --expect fits. Names after the first 32 count as `other`.
    pub errors: BTreeMap<String, u64>,
    /// ICMP unreachable errors.
    pub unreachable: u64,
    /// Maximum requests in flight; the sum over threads.
    pub in_flight_max: u64,
    /// Maximum number of requests in flight; a further request waits until an id is free.
    pub room: u64,
    /// Replies that udperf's sockets dropped at full buffers: the generator was too slow.
    pub own_drops: Option<u64>,
    /// Datagrams to unbound ports of this host; includes replies from another address or port than
    /// the request was sent to.
    pub elsewhere: Option<u64>,
    /// Idle time of the generator, all threads, in ns.
    pub idle_ns: u64,
    /// The two steps of exchanges with `--then`, a preset such as `a2s`, or `--blocks`, whose
    /// second step has all further requests; empty if each exchange has one request. Older
    /// documents lack this field.
    #[serde(default)]
    pub steps: Vec<ExchangeStep>,
    /// Whether a cell without second requests is invalid, as it is with `--then`. With presets, the
    /// server decides whether there are any. Older documents lack this field.
    #[serde(default)]
    pub requires_second: bool,
}

/// One step of exchanges of two requests. `sent = answered + timeouts` if replies are expected;
/// `steps[0].answered = answers without a second request + steps[1].sent + steps[1].refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExchangeStep {
    /// Requests of this step that left; of the first step, `requests` of the exchange.
    pub sent: u64,
    /// Second requests that were not sent: the system refused them, or too many waited for the
    /// send buffer. If a reply was expected, the exchange is part of its `timeouts`.
    pub refused: u64,
    /// Of those sent, requests with a reply in time; `null`: no reply is expected.
    pub answered: Option<u64>,
    /// Of those sent, requests without a reply in time; `null`: no reply is expected.
    pub timeouts: Option<u64>,
    /// The first step: from the schedule to its reply. The second step: from the read of the first
    /// reply to its own reply. `null` without replies, or if replies carry no id and some are
    /// missing.
    pub latency: Option<Leg>,
}

/// The account of a file of requests: `records = used - reassembled + fragments + Σ left_out`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InputSummary {
    /// `pcap`, `pcapng`, `names` for a file of names of DNS, or `lines`.
    pub format: String,
    /// Link types of a capture by name, such as `ETHERNET`, the first 16; empty for lines.
    pub link_types: Vec<String>,
    /// How many other link types the capture has; 0 in documents of older versions.
    #[serde(default)]
    pub more_link_types: u64,
    /// Packets of a capture; lines of a file that are neither empty nor comments.
    pub records: u64,
    /// Datagrams or lines that are sent.
    pub used: u64,
    /// Of those, datagrams that were reassembled; 0 in documents of older versions.
    #[serde(default)]
    pub reassembled: u64,
    /// The fragments that they were in.
    #[serde(default)]
    pub fragments: u64,
    /// Records that are left out, by cause: of packets `cut_by_snaplen`, `fragment` (others are
    /// missing), `repeated_fragment`, `overlapping_fragment`, `not_udp`, `tunnel`, `other_port`,
    /// `too_large` (for one datagram), `link_type` (not read), `malformed`, `ends_before_id`,
    /// `not_request`; of lines `empty_name`, `bad_name`, `unknown_type`, `bad_subnet`.
    pub left_out: BTreeMap<String, u64>,
    /// Faults in the clock of a capture; `null` for lines.
    pub clock: Option<CaptureClock>,
    /// Notes on the file, one line each.
    pub notes: Vec<String>,
}

/// The times of the packets of a capture that are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CaptureClock {
    /// How often the clock stepped back by over 1 ms; later packets follow at the mean gap.
    pub steps_back: u64,
    /// The largest step back in ns.
    pub largest_step_back_ns: u64,
    /// Packets without a time; each follows at the mean gap.
    pub untimed: u64,
    /// Packets in runs of more than 128 that share one time; each run is spread.
    pub in_standstill: u64,
    /// Mean gap between packets in ns; `null` if all times are equal.
    pub mean_gap_ns: Option<u64>,
}
