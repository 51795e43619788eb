//! Outages in the document.

use serde::{Deserialize, Serialize};

/// A period in which the target could not be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outage {
    /// The first error, in ns since the start of the cell's window.
    pub from_ns: u64,
    /// The last error, likewise. An ICMP error concerns an earlier datagram, and hosts limit their
    /// rate.
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
