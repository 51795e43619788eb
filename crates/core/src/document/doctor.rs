//! The document of `doctor`: checks of a host, or of the path to a target.

use serde::{Deserialize, Serialize};

use super::{Clock, Head};

/// What `doctor` found, `kind` `doctor`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorDocument {
    /// The first fields; `kind` is `doctor`.
    #[serde(flatten)]
    pub head: Head,
    /// The checks, in the order of the text: of the host, or with a target of the path.
    pub checks: Vec<DoctorCheck>,
    /// The path to the target; `null` without one.
    pub path: Option<PathFacts>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorCheck {
    /// What was checked.
    pub subject: String,
    /// `good`, `note`, `warn` (distorts figures) or `bad` (makes them worthless).
    pub grade: String,
    /// The finding.
    pub found: String,
    /// The effect on measurements, and what to do; `null` if the finding is good.
    pub effect: Option<String>,
    /// A command that fixes it; `null` if there is none.
    pub fix: Option<String>,
}

impl DoctorCheck {
    /// The same with this effect.
    #[must_use]
    pub fn means(self, effect: impl Into<String>) -> Self {
        Self { effect: Some(effect.into()), ..self }
    }

    /// The same with a command that fixes it.
    #[must_use]
    pub fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// The path to a target, as a few datagrams have shown it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PathFacts {
    /// The address and port that were probed.
    pub address: String,
    /// All other addresses of the target; the first ones were tried before.
    pub other_addresses: Vec<String>,
    /// The source address of datagrams there; `null` without a route.
    pub source: Option<String>,
    /// The outgoing device; `null` if it is unknown.
    pub device: Option<String>,
    /// Its MTU in bytes.
    pub device_mtu: Option<u64>,
    /// The gateway; `null` without one, or if the route is unknown.
    pub gateway: Option<String>,
    /// The state of the next hop's address resolution after the probes, as `ip neigh` names it;
    /// `null` if the kernel has none.
    pub neighbour: Option<String>,
    /// The kind of the target.
    pub target: TargetKind,
    /// The preset whose request it answered, such as `dns`; `null` if it answered none.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Round-trip times of pings, or of requests of `protocol`; `null` if none was answered.
    pub rtt: Option<PathRtt>,
    /// Which sizes arrive.
    pub mtu: PathMtu,
    /// ICMP errors that came back.
    pub icmp: Vec<PathIcmp>,
    /// Why the target cannot be reached, in words; `null` if it is not known to be unreachable.
    pub unreachable: Option<String>,
    /// The clock of a sink; `null` for other targets, and if the sink refused to compare clocks.
    pub clock: Option<Clock>,
    /// Why a sink refused to compare clocks; `null` if it did not.
    pub clock_refused: Option<String>,
    /// Datagrams sent to find this out, without those that compared clocks.
    pub datagrams: u64,
}

/// The kind of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// A `udperf sink`.
    Sink,
    /// A server that returns what it receives.
    Echo,
    /// A server that sends another reply.
    Other,
    /// No reply and no ICMP error.
    #[default]
    Silent,
    /// Its host reports the port as closed.
    Refused,
    /// A network error came back, or a neighbour does not answer.
    Unreachable,
}

/// Round-trip times of pings of 64 bytes, or of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PathRtt {
    /// Pings or requests sent.
    pub sent: u64,
    /// Those answered.
    pub answered: u64,
    /// The shortest time in ns.
    pub min_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// The path MTU: the longest IP packet that arrives without fragmentation, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PathMtu {
    /// The path MTU; `null` if it was not determined.
    pub bytes: Option<u64>,
    /// Whether replies prove it; otherwise ICMP errors report it. `null` without `bytes`.
    pub is_proved: Option<bool>,
    /// The longest packet known to arrive.
    pub at_least: Option<u64>,
    /// The longest packet that may arrive.
    pub at_most: Option<u64>,
    /// Whether longer packets with "don't fragment" were lost without an ICMP error; `null` if it
    /// was not tried, or cannot be known.
    pub vanish: Option<bool>,
    /// Whether a datagram longer than the device's MTU arrived in fragments; `null` if it was not
    /// tried, or cannot be known.
    pub fragments_arrive: Option<bool>,
}

/// ICMP errors of one kind from one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PathIcmp {
    /// Type and code, such as `ICMP 3/4`.
    pub code: String,
    /// Its meaning; `null` if it has no usual one.
    pub meaning: Option<String>,
    /// The host that sent them.
    pub from: Option<String>,
    /// The MTU that the latest one reports, in bytes.
    pub mtu: Option<u64>,
    /// The number of these errors.
    pub count: u64,
}
