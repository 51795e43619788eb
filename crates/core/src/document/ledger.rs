//! Datagrams by outcome.

use serde::{Deserialize, Serialize};

/// Datagrams by outcome. Counters of the receiving side are `null` if it is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ledger {
    /// Offered to the system: `sent` + `refused`.
    pub attempted: u64,
    /// Accepted by it: `received` + `lost`, if known.
    pub sent: u64,
    /// Refused by it.
    pub refused: Refused,
    /// Sequence numbers that arrived, each once.
    pub received: Option<u64>,
    /// Sequence numbers that did not arrive: `lost_at` + `unaccounted`.
    pub lost: Option<u64>,
    /// Where they were lost.
    pub lost_at: LostAt,
    /// Lost, but in no counter of either host: between hosts, lost by the network. Within one
    /// network namespace, anything but 0 is a bug of udperf.
    pub unaccounted: Option<u64>,
    /// Names in `lost_at` whose count is an estimate: the kernel counted packets of several
    /// datagrams. Older documents lack this field and `shared`.
    #[serde(default)]
    pub estimated: Option<Vec<String>>,
    /// Names in `lost_at` whose count may include other traffic: their counters cover a device,
    /// network namespace or host, and counted more than was missing.
    #[serde(default)]
    pub shared: Option<Vec<String>>,
    /// Datagrams read: `received` + `duplicate` + `late` + `foreign` + `corrupt`.
    pub arrived: Option<u64>,
    /// Sequence numbers that arrived again.
    pub duplicate: Option<u64>,
    /// Too old to distinguish new from repeated.
    pub late: Option<u64>,
    /// Received after a higher number (RFC 4737); part of `received`.
    pub reordered: Option<u64>,
    /// The largest distance of a reordered number to the highest one before.
    pub reorder_extent: Option<u64>,
    /// Without our header.
    pub foreign: Option<u64>,
    /// With our tag, but damaged.
    pub corrupt: Option<u64>,
}

/// Refused datagrams by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refused {
    /// The socket's send buffer was full (EAGAIN).
    pub would_block: u64,
    /// A queue below it was full (ENOBUFS, ENOMEM).
    pub no_buffers: u64,
    /// No route, or an ICMP error for an earlier datagram (ECONNREFUSED and the like).
    pub unreachable: u64,
    /// Larger than the path MTU (EMSGSIZE).
    pub too_big: u64,
    /// Anything else.
    pub other: u64,
}

/// Lost datagrams by place; `null` if this system does not count them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostAt {
    /// The receiving socket's buffer was full.
    pub receive_buffer: Option<u64>,
    /// A CPU's backlog was full (`net.core.netdev_max_backlog`), of either host.
    pub backlog: Option<u64>,
    /// An interface of the receiver dropped them.
    pub device: Option<u64>,
    /// A queueing discipline of the sender dropped them.
    pub qdisc: Option<u64>,
    /// An interface of the sender dropped them; a veth(4) pair also counts drops of its peer.
    pub tx_device: Option<u64>,
    /// The checksum was wrong.
    pub checksum: Option<u64>,
    /// The port was not bound.
    pub no_port: Option<u64>,
    /// The IP layer of the receiver discarded them: wrong headers or addresses, no route to the
    /// sender (reverse path filter). Older documents lack this field and the three below.
    #[serde(default)]
    pub rx_ip: Option<u64>,
    /// Datagrams with a missing fragment.
    #[serde(default)]
    pub reassembly: Option<u64>,
    /// The IP layer of the sender discarded them, and did not refuse them.
    #[serde(default)]
    pub tx_ip: Option<u64>,
    /// The next hop did not answer address resolution (ARP, neighbour discovery), so they never
    /// left the sender.
    #[serde(default)]
    pub neighbour: Option<u64>,
}

impl LostAt {
    /// All places by their names.
    pub fn places(&self) -> [(&'static str, Option<u64>); 11] {
        let Self { receive_buffer, backlog, device, qdisc, tx_device, checksum, .. } = *self;
        let Self { no_port, rx_ip, reassembly, tx_ip, neighbour, .. } = *self;
        [
            ("receive_buffer", receive_buffer),
            ("backlog", backlog),
            ("device", device),
            ("qdisc", qdisc),
            ("tx_device", tx_device),
            ("checksum", checksum),
            ("no_port", no_port),
            ("rx_ip", rx_ip),
            ("reassembly", reassembly),
            ("tx_ip", tx_ip),
            ("neighbour", neighbour),
        ]
    }
}
