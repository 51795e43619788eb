//! Counters of the kernel.

use serde::{Deserialize, Serialize};

/// Counters of the kernel over the measured part: the source of `lost_at`, and a cross-check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kernel {
    /// Dropped at udperf's receiving sockets.
    pub socket_drops: Option<u64>,
    /// UDP datagrams read, network namespace of the receivers, as below unless stated otherwise.
    pub in_datagrams: Option<u64>,
    /// UDP datagrams sent, the senders' network namespace.
    pub out_datagrams: Option<u64>,
    /// Dropped at full receive buffers, network namespace.
    pub rcvbuf_errors: Option<u64>,
    /// Not sent at full send buffers, the senders' network namespace.
    pub sndbuf_errors: Option<u64>,
    /// To unbound ports, network namespace.
    pub no_ports: Option<u64>,
    /// With a wrong checksum, network namespace.
    pub in_csum_errors: Option<u64>,
    /// Dropped at full CPU backlogs, whole host; of two hosts, on both.
    pub backlog_drops: Option<u64>,
    /// Dropped by interfaces on receive: by that towards the peer and the devices below it, or, if
    /// unknown, by all of the network namespace.
    pub device_drops: Option<u64>,
    /// Dropped by the same kind of interfaces on transmit, at the senders.
    pub tx_device_drops: Option<u64>,
    /// Dropped by their queueing disciplines, at the senders; includes `refused.no_buffers`.
    pub qdisc_drops: Option<u64>,
    /// Received and discarded by the IP layer (InHdrErrors, InAddrErrors, InDiscards, InNoRoutes,
    /// IPReversePathFilter), network namespace. Older documents lack this field and all below.
    #[serde(default)]
    pub ip_in_discards: Option<u64>,
    /// Datagrams with missing fragments (ReasmFails, and incomplete ones at the end), network
    /// namespace. Fragments dropped at the memory limit count one by one.
    #[serde(default)]
    pub reassembly_failures: Option<u64>,
    /// Discarded by the IP layer on transmit (OutDiscards) at the senders; includes refused sends.
    #[serde(default)]
    pub ip_out_discards: Option<u64>,
    /// Not sent without a route (OutNoRoutes), the senders' network namespace.
    #[serde(default)]
    pub ip_out_no_routes: Option<u64>,
    /// Failed fragmentations (FragFails), the senders' network namespace.
    #[serde(default)]
    pub fragmentation_failures: Option<u64>,
    /// Whether the next hop did not answer address resolution at the start or end of the measured
    /// part, at the senders. `null` if both ends are in one network namespace.
    #[serde(default)]
    pub neighbour_unresolved: Option<bool>,
}
