//! Types for AF_XDP sockets (`Documentation/networking/af_xdp.rst`) that are the same on every
//! system.

use std::fmt;
use std::io;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::NetLink;

/// Queues of a device that the receive program can serve. Arbitrary: NICs have up to a few hundred.
pub const MAX_XDP_QUEUES: u32 = 1_024;

/// Where a program for received packets runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum XdpMode {
    /// In the driver if it supports that, otherwise in the kernel's network stack.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's network stack.
    Generic,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// What the driver of a device can do for the engine `xdp`, as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpSupport {
    /// Whether it runs programs, which may redirect packets.
    pub is_native: bool,
    /// Whether it accesses the frames of AF_XDP sockets itself.
    pub zero_copy: bool,
}

/// How the engine `xdp` of one side used its device, as the kernel granted it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct XdpGranted {
    /// Where the receive program ran: `native` (in the driver) or `generic` (in the kernel's
    /// network stack); `null` for senders, which need no program.
    pub mode: Option<XdpMode>,
    /// The queues of the device, by worker.
    pub queues: Vec<u32>,
    /// Whether the device accessed the frames of every queue itself; otherwise the kernel copied
    /// them.
    pub zero_copy: bool,
    /// Entries of the RX ring of each queue; `null` for senders.
    pub rx_ring: Option<u32>,
    /// Entries of the fill ring of each queue, by which frames return; `null` for senders.
    pub fill_ring: Option<u32>,
    /// Entries of the TX ring of each queue; `null` for receivers.
    pub tx_ring: Option<u32>,
    /// Entries of the completion ring of each queue; `null` for receivers.
    pub completion_ring: Option<u32>,
    /// Whether the kernel tells when it needs a system call (`XDP_USE_NEED_WAKEUP`).
    pub need_wakeup: bool,
    /// Whether receivers ran the driver's poll themselves (`SO_PREFER_BUSY_POLL`); `false` for
    /// senders.
    pub busy_poll: bool,
}

impl XdpGranted {
    /// With the queues of another worker of the same side.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        let least = |one: Option<u32>, other: Option<u32>| Some(one?.min(other?));
        self.mode = self.mode.filter(|mode| other.mode == Some(*mode));
        self.queues.extend(other.queues);
        self.zero_copy &= other.zero_copy;
        self.rx_ring = least(self.rx_ring, other.rx_ring);
        self.fill_ring = least(self.fill_ring, other.fill_ring);
        self.tx_ring = least(self.tx_ring, other.tx_ring);
        self.completion_ring = least(self.completion_ring, other.completion_ring);
        self.need_wakeup &= other.need_wakeup;
        self.busy_poll &= other.busy_poll;
        self
    }
}

/// Which datagrams to a port go to AF_XDP sockets. All others go to ordinary sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRule {
    /// None.
    Pass,
    /// All.
    All,
    /// Those whose payload has at least `shortest` bytes (at least 1), and whose first two bytes,
    /// big-endian, are from `lowest` to `highest` (at least 1) if only the bits of `mask` count.
    #[allow(missing_docs, reason = "described above")]
    Tagged { shortest: u16, mask: u16, lowest: u16, highest: u16 },
}

/// Why the receive program could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// A program of another process is attached, or one of this process in the other mode.
    #[error("another XDP program is attached to the device; end its owner, or use another device")]
    Busy,
    /// The driver cannot run it.
    #[error("the driver has no native XDP, or not with this MTU: {0}; use --xdp-mode generic")]
    NoNative(io::Error),
    /// The process lacks a capability.
    #[error("not permitted to {step}; it needs the capabilities CAP_NET_ADMIN and CAP_BPF")]
    Forbidden {
        /// What failed.
        step: &'static str,
    },
    /// The kernel rejects the program.
    #[error("the kernel rejects the XDP program: {source}\n{log}")]
    Rejected {
        /// The system's error.
        source: io::Error,
        /// The log of the verifier.
        log: String,
    },
    /// This system has no AF_XDP.
    #[error("AF_XDP is not supported by this system")]
    Unsupported,
    /// Any other error.
    #[error("cannot {step}: {source}")]
    Other {
        /// What failed.
        step: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// How Ethernet frames reach a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EthernetPath {
    /// The outgoing device.
    pub device: NetLink,
    /// Its MTU: the largest IP packet in bytes.
    pub mtu: u32,
    /// Its receive queues in use.
    pub rx_queues: u32,
    /// Its transmit queues in use.
    pub tx_queues: u32,
    /// Its MAC address, the source of frames.
    pub source_mac: [u8; 6],
    /// The MAC address of the next hop, the destination of frames.
    pub next_mac: [u8; 6],
    /// The source address of packets.
    pub source: IpAddr,
    /// The next hop: a gateway, or the destination itself.
    pub next_hop: IpAddr,
}

/// Why Ethernet frames cannot reach a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EthernetPathError {
    /// The kernel has none.
    #[error("no route to {to}; see `ip route get {to}`")]
    NoRoute {
        /// The destination.
        to: IpAddr,
    },
    /// The destination is this host.
    #[error(
        "{to} is an address of this host, which loopback reaches without Ethernet; use an address \
         behind another device, such as a veth pair (scripts/netns)"
    )]
    Loopback {
        /// The destination.
        to: IpAddr,
    },
    /// The device is a tunnel, for example.
    #[error(
        "the route to {to} leaves by {device}, which is not an Ethernet device; use another \
         engine, or another device (--dev)"
    )]
    NotEthernet {
        /// The destination.
        to: IpAddr,
        /// The device.
        device: String,
    },
    /// The device adds two tags.
    #[error("{device} is a VLAN in a VLAN; frames can have one tag only")]
    StackedVlans {
        /// The device.
        device: String,
    },
    /// The next hop does not answer.
    #[error(
        "no MAC address of {next_hop} on {device}: it does not answer ARP or neighbour \
         discovery; see `ip neighbour show {next_hop}`"
    )]
    NoNeighbour {
        /// The next hop.
        next_hop: IpAddr,
        /// The device.
        device: String,
    },
    /// There is no device of this name.
    #[error("no network device {device}; see `ip link`")]
    NoDevice {
        /// The name.
        device: String,
    },
    /// This system has no AF_XDP.
    #[error("AF_XDP is not supported by this system")]
    Unsupported,
}

/// Whether the kernel has AF_XDP, and what this process lacks to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XdpAbilities {
    /// Whether the kernel has AF_XDP; `None` if a missing capability hides it.
    pub in_kernel: Option<bool>,
    /// The capabilities that the process lacks, such as `cap_net_admin`.
    pub missing_capabilities: Vec<&'static str>,
    /// The memory in bytes that it may lock (`RLIMIT_MEMLOCK`); `None`: any amount.
    pub lockable_bytes: Option<u64>,
}

/// Capabilities that AF_XDP needs, in the words of setcap(8): raw sockets, programs and their
/// devices, and frames beyond `RLIMIT_MEMLOCK`.
pub const XDP_CAPABILITIES: [&str; 4] = ["cap_net_raw", "cap_net_admin", "cap_bpf", "cap_ipc_lock"];

/// The command that gives a program file the capabilities for AF_XDP.
pub fn setcap_command(program: &str) -> String {
    format!("sudo setcap {}+ep {program}", XDP_CAPABILITIES.join(","))
}
