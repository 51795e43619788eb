//! Datagrams by outcome.

use serde::{Deserialize, Serialize};

/// Datagrams by outcome. Counters of the receiving side are `null` if it is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ledger {
    /// Offered to the system: `sent` + `refused`.
    pub attempted: u64,
    /// Accepted by it: `received` + `lost`, if known. A lower bound if the sink sent and was lost
    /// (`peer_lost`).
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
    /// Without the header of udperf.
    pub foreign: Option<u64>,
    /// With the tag of this run, but damaged.
    pub corrupt: Option<u64>,
}

/// Refused datagrams by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Defines the locations where datagrams are lost once: as an enum, and as a count for each.
macro_rules! drop_locations {
    ($($(#[$doc:meta])* $location:ident $(#[$attribute:meta])* $field:ident,)+) => {
        /// A location where datagrams are lost.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DropLocation {
            $($(#[$doc])* $location,)+
        }

        impl DropLocation {
            /// All, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$location),+];

            /// Its name in the document.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$location => stringify!($field),)+
                }
            }
        }

        /// Lost datagrams by place; `null` if this system does not count them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct LostAt {
            $($(#[$doc])* $(#[$attribute])* pub $field: Option<u64>,)+
        }

        impl LostAt {
            /// All places by their names.
            pub fn places(&self) -> [(&'static str, Option<u64>); DropLocation::ALL.len()] {
                [$((stringify!($field), self.$field)),+]
            }

            /// The count of a location.
            pub const fn at_mut(&mut self, location: DropLocation) -> &mut Option<u64> {
                match location {
                    $(DropLocation::$location => &mut self.$field,)+
                }
            }
        }
    };
}

drop_locations! {
    /// The receiving socket's buffer was full.
    ReceiveBuffer receive_buffer,
    /// A CPU's backlog was full (`net.core.netdev_max_backlog`), of either host.
    Backlog backlog,
    /// An interface of the receiver dropped them.
    Device device,
    /// A queueing discipline of the sender dropped them.
    Qdisc qdisc,
    /// An interface of the sender dropped them; a veth(4) pair also counts drops of its peer.
    TxDevice tx_device,
    /// The checksum was wrong.
    Checksum checksum,
    /// The port was not bound.
    NoPort no_port,
    /// The IP layer of the receiver discarded them: wrong headers or addresses, no route to the
    /// sender (reverse path filter). Older documents lack this field and the three below.
    RxIp #[serde(default)] rx_ip,
    /// Datagrams with a missing fragment.
    Reassembly #[serde(default)] reassembly,
    /// The IP layer of the sender discarded them, and did not refuse them.
    TxIp #[serde(default)] tx_ip,
    /// Not sent: the next hop did not answer address resolution (ARP, neighbour discovery).
    Neighbour #[serde(default)] neighbour,
    /// At a ring of the engine `xdp` (`XDP_STATISTICS`), or at a queue between threads, which
    /// udperf counts: the ring of the receiver was full or had no free memory, the queue to the
    /// thread of a request was full, or the kernel rejected a frame of the sender. `null` without
    /// this engine. Older documents lack this field.
    XdpRing #[serde(default)] xdp_ring,
}
