//! Outages in the document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time in which the target could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// The first error, in ns since the start of the cell's window.
    pub from_ns: u64,
    /// The last one. An error that came back by ICMP tells of an earlier datagram, and a host sends
    /// few of them.
    pub until_ns: u64,
    /// What it was: an errno such as `ENETUNREACH`, or ICMP type and code such as `ICMP 3/3`.
    pub what: String,
    /// Who reported it: an address, or `local`; `null` where the system does not say.
    pub said_by: Option<String>,
    /// For people: `network unreachable (ENETUNREACH, local)`.
    pub message: String,
    /// Datagrams that were refused, and errors that came back for earlier ones.
    pub errors: u64,
}
