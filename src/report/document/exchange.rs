//! Requests and replies in the document.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of requests, and what came back.
///
/// `requests = matched + timeouts`; `replies = matched + duplicate + late +
/// continued + stale + unmatched`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// `open`: requests leave on schedule, or flat out, whatever comes back; `closed`: at most
    /// `outstanding` of them wait at once, so that a slow server is asked less.
    #[serde(rename = "loop")]
    pub closed_or_open: String,
    /// Requests that may wait at once; `null` in an open loop.
    pub outstanding: Option<u64>,
    /// Whether replies carry no id, so that each answers the oldest request of its port: where one
    /// is missing, those behind it are taken for their neighbours.
    /// Documents of before it was told apart are without it.
    #[serde(default)]
    pub in_order: bool,
    /// How long a reply was waited for, in ns.
    pub timeout_ns: u64,
    /// Requests that left.
    pub requests: u64,
    /// Datagrams that came back to the ports they left from.
    pub replies: u64,
    /// Requests that were answered in time, each once.
    pub matched: u64,
    /// Datagrams that answer no request of ours.
    pub unmatched: u64,
    /// Replies to requests that were answered before.
    pub duplicate: u64,
    /// Replies to requests that had timed out.
    pub late: u64,
    /// Datagrams that continue a reply which took more than one.
    pub continued: u64,
    /// Replies to requests of the warm-up.
    pub stale: u64,
    /// Requests without a reply in time.
    pub timeouts: u64,
    /// Of those, given up before their time, because so many were in flight that their ids, or
    /// their places in our table, were needed again.
    pub given_up: u64,
    /// Matched replies that carry an error, by its name in the protocol.
    pub errors: BTreeMap<String, u64>,
    /// How often the network said that nobody is there (ICMP).
    pub unreachable: u64,
    /// The most requests in flight at once; of several threads, each one's most added up.
    pub in_flight_max: u64,
    /// Requests that there are ids and places for at once: one beyond takes the id of the oldest.
    pub room: u64,
    /// Replies that our own sockets dropped for want of buffer: the generator was too slow.
    pub own_drops: Option<u64>,
    /// Datagrams to ports of this host that nobody reads, meanwhile: what a server answers from
    /// another address or port than it was asked at is among them.
    pub elsewhere: Option<u64>,
    /// Time in which the generator had nothing to do, all threads, in ns.
    pub idle_ns: u64,
}
