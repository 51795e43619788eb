//! Requests and replies in the document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// Timeout of a request in ns.
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
    /// Datagrams of replies in several parts, except the one that completed the reply, and
    /// acknowledgements that precede their reply.
    pub continued: u64,
    /// Of those, acknowledgements without the reply itself (CoAP's empty ACK, RFC 7252 section
    /// 5.2.2). Older documents lack this field.
    #[serde(default)]
    pub acknowledged: u64,
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
    /// Slots of the schedule that were missed because all ids were in use; part of
    /// `schedule.missed`.
    #[serde(default)]
    pub no_room: u64,
    /// Time in ns during which no request could be sent for that reason, summed over threads.
    #[serde(default)]
    pub no_room_ns: u64,
    /// Requests whose random label an earlier request of the run had; `null`: requests have no
    /// random labels.
    #[serde(default)]
    pub repeated_labels: Option<u64>,
    /// Requests whose message id another request of the same port had less than 247 s before
    /// (CoAP's EXCHANGE_LIFETIME, RFC 7252 section 4.8.2); `null`: requests have no message ids.
    #[serde(default)]
    pub reused_message_ids: Option<u64>,
    /// Matched replies that carry an error, by its name in the protocol.
    pub errors: BTreeMap<String, u64>,
    /// ICMP unreachable errors.
    pub unreachable: u64,
    /// Maximum requests in flight; the sum over threads.
    pub in_flight_max: u64,
    /// Maximum number of requests in flight; a further request waits until an id is free.
    pub room: u64,
    /// Replies that our sockets dropped at full buffers: the generator was too slow.
    pub own_drops: Option<u64>,
    /// Datagrams to unbound ports of this host; includes replies from another address or port than
    /// the request was sent to.
    pub elsewhere: Option<u64>,
    /// Idle time of the generator, all threads, in ns.
    pub idle_ns: u64,
}
