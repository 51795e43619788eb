//! Types that are the same on every system.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Reporter, Unreachable};

/// Metadata to receive with datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecvMetadata {
    /// The segment length of a super-packet (`set_udp_gro`).
    pub segments: bool,
    /// The kernel's receive timestamp (`set_timestamps`).
    pub stamps: bool,
    /// The local destination address (`enable_pktinfo`).
    pub local: bool,
}

/// One received message.
#[derive(Debug, Clone, Copy)]
pub struct RecvMessage<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, the last one maybe shorter.
    pub payload: &'a [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// Whether the payload or the metadata was truncated.
    pub truncated: bool,
    /// When the kernel received it from the device, by `realtime_ns`.
    pub stamp_ns: Option<u64>,
}

/// The scope of an IPv6 address: the number of the device for link-local addresses, otherwise 0.
pub const fn scope_of(addr: &SocketAddr) -> u32 {
    if let SocketAddr::V6(v6) = addr { v6.scope_id() } else { 0 }
}

/// The local destination address of a datagram, from which the reply should leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddr {
    /// The address.
    pub ip: IpAddr,
    /// The number of the device for link-local addresses; otherwise 0.
    pub device: u32,
}

/// One received message to reply to.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, the last one maybe shorter.
    pub payload: &'a mut [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// Whether the payload was truncated.
    pub truncated: bool,
    /// The sender; `None` for an unknown address family.
    pub from: Option<SocketAddr>,
    /// The address to reply from; `None`: that of the socket.
    pub local: Option<LocalAddr>,
    /// Whether it was sent to a multicast or broadcast address; known only with `local`.
    pub to_many: bool,
    /// The multicast group it was sent to, likewise.
    pub group: Option<IpAddr>,
}

/// One message with its own address.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, which the kernel splits.
    pub payload: &'a [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// The destination.
    pub to: SocketAddr,
    /// The source; `None`: the address of the socket.
    pub local: Option<LocalAddr>,
}

impl Reply<'_> {
    /// Number of datagrams.
    #[inline]
    pub const fn datagrams(&self) -> usize {
        let len = self.payload.len();
        if len > self.segment { len.div_ceil(self.segment) } else { 1 }
    }
}

/// One instruction of a classic BPF program: `struct sock_filter` of `include/uapi/linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// Instructions that a jump skips if its condition holds.
    pub if_true: u8,
    /// Instructions that it skips otherwise.
    pub if_false: u8,
    /// Its operand.
    pub operand: u32,
}

/// Why a send failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The socket's send buffer is full.
    WouldBlock,
    /// A queue below the socket is full.
    NoBuffers,
    /// No route, or an ICMP error for an earlier datagram.
    Unreachable(Unreachable),
    /// Too large for the path.
    TooBig,
    /// Interrupted by a signal; try again.
    Interrupted,
    /// The kernel refused a later message of a batch without a reason (sendmmsg(2)).
    Unexplained,
    /// Any other error, by its number.
    Other(i32),
}

impl SendError {
    /// Why the destination is unreachable, if it is.
    pub const fn unreachable(self) -> Option<Unreachable> {
        if let Self::Unreachable(why) = self { Some(why) } else { None }
    }
}

/// An error of an earlier datagram, from the error queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedError {
    /// The destination of the datagram, if known.
    pub to: Option<SocketAddr>,
    /// The error.
    pub error: SendError,
    /// Who reports it.
    pub reporter: Reporter,
    /// For a datagram that was too big, the MTU that would have passed, in bytes.
    pub mtu: Option<u32>,
}

/// The clock of times of departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxClock {
    /// `CLOCK_MONOTONIC`, which fq takes.
    Monotonic,
    /// `CLOCK_TAI`, which etf takes. It releases a datagram up to so many ns before its time.
    Tai {
        /// 0 if the device itself waits for the time.
        early_ns: u32,
    },
}

/// A queueing discipline of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qdisc {
    /// Its kind, such as `fq`.
    pub kind: String,
    /// How many ns before its time an etf releases a packet; `None` for other kinds, and for an etf
    /// with a clock other than `CLOCK_TAI`, or in deadline mode.
    pub etf_early_ns: Option<u32>,
}

/// The next hop of datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Its address: a gateway, or the target itself.
    pub address: IpAddr,
    /// The outgoing device.
    pub device: String,
    /// The state of address resolution, as ip-neighbour(8) names it; `None`: not begun.
    pub state: Option<&'static str>,
}

/// UDP counters of a network namespace since boot by their SNMP names, IPv4 and IPv6 added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`document::Kernel` describes the fields")]
pub struct UdpCounters {
    pub in_datagrams: u64,
    pub no_ports: u64,
    pub out_datagrams: u64,
    pub rcvbuf_errors: u64,
    pub in_csum_errors: u64,
    pub sndbuf_errors: u64,
}

/// Drops in the IP layer of a network namespace since boot, IPv4 and IPv6 added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "`document::Kernel` describes the fields")]
pub struct IpCounters {
    /// InHdrErrors, InAddrErrors, InDiscards, InNoRoutes and IPReversePathFilter.
    pub in_discards: u64,
    /// Datagrams not reassembled: ReasmFails, and those in reassembly now.
    pub reassembly: u64,
    /// Of ReasmFails, fragments dropped for lack of memory: without ReasmTimeout.
    pub reassembly_no_room: u64,
    pub out_discards: u64,
    pub out_no_routes: u64,
    pub frag_fails: u64,
}

/// A network device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetLink {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
}

/// Packets dropped by devices since they were created, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceDrops {
    /// Received packets.
    pub rx: u64,
    /// Packets to send.
    pub tx: u64,
    /// Packets sent by the device that sent most, as they also pass the devices below.
    pub sent: u64,
}

/// CPU time since boot, all CPUs added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// All of it, idle or not.
    pub total_ns: u64,
    /// Taken by the hypervisor while this machine had runnable threads.
    pub stolen_ns: u64,
}

/// Context switches of workers in the senders' window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContextSwitches {
    /// The thread waited.
    pub voluntary: u64,
    /// The thread was preempted.
    pub involuntary: u64,
}

/// What a process has used so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Its number.
    pub pid: u32,
    /// CPU time in ns, in steps of a tick; threads that ended included.
    pub cpu_ns: u64,
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
    /// Its threads.
    pub threads: Vec<ThreadUse>,
}

/// What a thread has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadUse {
    /// Its number.
    pub tid: u32,
    /// CPU time in ns.
    pub cpu_ns: u64,
    /// How often it waited and was preempted.
    pub switches: Option<ContextSwitches>,
}

/// Limits of control groups in the format of version 2: `max` is no limit. Of nested groups the
/// smallest limit counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CgroupLimits {
    /// Microseconds of CPU time, and per how many microseconds: `200000 100000` is two CPUs.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
    /// CPUs it may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// CPU throttling of the measuring process, from the control group that was throttled longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CpuThrottling {
    /// The quota as in `cpu.max`: microseconds of CPU time, and per how many microseconds.
    pub cpu_max: String,
    /// Periods of the run in which the quota was used up (`nr_throttled` of `cpu.stat`).
    pub nr_throttled: u64,
    /// How long the group was stopped meanwhile in ns, all CPUs together (`throttled_usec`).
    pub throttled_ns: u64,
}

/// A network device; unknown values are `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its driver; for a virtual device its kind, e.g. `veth`.
    pub driver: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u64>,
    /// Speed of its link in Mbit/s.
    pub speed_mbit: Option<u64>,
    /// Its root queueing discipline; `mq` has one more for each queue.
    pub qdisc: Option<String>,
    /// Receive queues in use.
    pub rx_queues: Option<u64>,
    /// Send queues in use.
    pub tx_queues: Option<u64>,
    /// CPUs that each receive queue spreads its packets over (RPS), by queue, as the kernel writes
    /// masks; zeroes: it does not.
    pub rps_cpus: Option<Vec<String>>,
    /// CPUs of each send queue (XPS), likewise.
    pub xps_cpus: Option<Vec<String>>,
    /// Its interrupts.
    pub irqs: Option<Vec<Irq>>,
    /// Offloads by the kernel's names, and whether they are on.
    pub offloads: Option<BTreeMap<String, bool>>,
    /// Lengths of its rings in packets: `rx`, `tx`, and their maxima `rx_max`, `tx_max`.
    pub rings: Option<BTreeMap<String, u64>>,
    /// Interrupt coalescing: `rx_usecs`, `rx_frames`, `tx_usecs`, `tx_frames`, and whether it is
    /// adaptive, 1 or 0: `adaptive_rx`, `adaptive_tx`.
    pub coalescing: Option<BTreeMap<String, u64>>,
    /// Channels `rx`, `tx` and `combined`, and their maxima `rx_max` and so on.
    pub channels: Option<BTreeMap<String, u64>>,
}

/// An interrupt of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Irq {
    /// Its number.
    pub number: u32,
    /// Its name in the driver.
    pub name: Option<String>,
    /// The CPUs that may take it, such as `0-3,8`.
    pub cpus: String,
}

/// The load of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadAverage {
    /// Runnable threads, mean over about the last minute.
    pub one_minute: f64,
    /// Threads that are runnable now, including the caller.
    pub runnable: u64,
}

/// What the sockets of one queue of AF_XDP are opened with. Counts are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XskOptions {
    /// Index of the device.
    pub device: u32,
    /// Queue of the device, from 0.
    pub queue: u32,
    /// Slots of the sending half.
    pub tx_slots: u32,
    /// Frames of the receiving half.
    pub rx_frames: u32,
    /// Bytes of a slot before the payload.
    pub slot_headroom: usize,
    /// Bytes of the longest payload.
    pub payload: usize,
    /// Whether to copy frames even if the driver need not.
    pub copy: bool,
    /// Whether the receiver runs the driver's poll itself if its ring is empty and the driver can.
    pub busy_poll: bool,
}
