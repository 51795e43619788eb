//! The types of the contract, the same on every system.

use std::net::{IpAddr, SocketAddr};

use super::Unreachable;

/// What is wanted of received datagrams beside their payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecvMetadata {
    /// The length of the segments of a super-packet (`set_udp_gro`).
    pub segments: bool,
    /// When the kernel took it from the device (`set_timestamps`).
    pub stamps: bool,
    /// Which address of this host it was sent to (`enable_pktinfo`).
    pub local: bool,
}

/// One received message.
#[derive(Debug, Clone, Copy)]
pub struct RecvMessage<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, the last one maybe shorter.
    pub payload: &'a [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// Whether the payload or what came beside it was cut off for want of room.
    pub truncated: bool,
    /// When the kernel took it from the device, by `realtime_ns`.
    pub stamp_ns: Option<u64>,
    /// Where an answer should leave from, where the socket is bound to any address.
    pub local: Option<LocalAddr>,
    /// Whether it was sent to a multicast group or to a broadcast address, as far as `local` was
    /// asked for.
    pub to_many: bool,
}

/// The address of this host that a datagram was sent to, and that its answer should leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddr {
    /// The address.
    pub ip: IpAddr,
    /// The number of the device, where the address means nothing without; otherwise 0.
    pub device: u32,
}

/// One received message, to be answered.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, the last one maybe shorter.
    pub payload: &'a mut [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// Whether the payload was cut off for want of room.
    pub truncated: bool,
    /// Who sent it; `None` where it is of a family that we do not know.
    pub from: Option<SocketAddr>,
    /// Where the answer should leave from; `None`: from where the socket is bound.
    pub local: Option<LocalAddr>,
    /// Whether it was sent to a multicast group or to a broadcast address: others got it, too. As
    /// far as `RecvBatch` was asked for `local`; nobody else tells.
    pub to_many: bool,
}

/// One message to an address of its own.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Its bytes: one datagram, or several of `segment` bytes each, the last one maybe shorter,
    /// which the kernel is to cut.
    pub payload: &'a [u8],
    /// Bytes of a datagram; at least 1.
    pub segment: usize,
    /// Where to.
    pub to: SocketAddr,
    /// Where from; `None`: from where the socket is bound.
    pub local: Option<LocalAddr>,
}

impl Reply<'_> {
    /// How many datagrams it is.
    #[inline]
    pub const fn datagrams(&self) -> usize {
        let len = self.payload.len();
        if len > self.segment { len.div_ceil(self.segment) } else { 1 }
    }
}

/// One instruction of a classic BPF program, as `struct sock_filter` of
/// `include/uapi/linux/filter.h` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions a jump skips where its condition holds.
    pub if_true: u8,
    /// How many it skips otherwise.
    pub if_false: u8,
    /// Its operand.
    pub operand: u32,
}

/// Why a send failed, in the terms of the ledger.
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
    /// A signal came; try again.
    Interrupted,
    /// The kernel refused a later message of a batch, and kept the reason to itself (sendmmsg(2)).
    Untold,
    /// Any other error, by its number.
    Other(i32),
}

impl SendError {
    /// Why the destination is unreachable, if that is the reason.
    pub const fn unreachable(self) -> Option<Unreachable> {
        if let Self::Unreachable(why) = self { Some(why) } else { None }
    }
}

/// UDP counters of this network namespace since boot, IPv4 and IPv6 added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UdpSnmp {
    /// InDatagrams.
    pub in_datagrams: u64,
    /// NoPorts.
    pub no_ports: u64,
    /// OutDatagrams.
    pub out_datagrams: u64,
    /// RcvbufErrors.
    pub rcvbuf_errors: u64,
    /// InCsumErrors.
    pub in_csum_errors: u64,
    /// SndbufErrors.
    pub sndbuf_errors: u64,
}

/// Drops in the IP layer of this network namespace since boot, IPv4 and IPv6 added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IpSnmp {
    /// Received and discarded: InHdrErrors, InAddrErrors, InDiscards, InNoRoutes and
    /// IPReversePathFilter.
    pub in_discards: u64,
    /// Datagrams not reassembled: ReasmFails, and those in reassembly at this moment.
    pub reassembly: u64,
    /// Of ReasmFails, fragments dropped for lack of room: ReasmFails less ReasmTimeout.
    pub reassembly_no_room: u64,
    /// OutDiscards.
    pub out_discards: u64,
    /// OutNoRoutes.
    pub out_no_routes: u64,
    /// FragFails.
    pub frag_fails: u64,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetLink {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
}

/// Packets that devices dropped since they were made, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceDrops {
    /// Received ones.
    pub rx: u64,
    /// Ones to send.
    pub tx: u64,
    /// Packets sent by the device that sent most: packets of a device also pass the devices below
    /// it.
    pub sent: u64,
}

impl DeviceDrops {
    /// Both directions.
    pub const fn sum(self) -> u64 {
        self.rx + self.tx
    }
}

/// CPU time since boot, all CPUs added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// All of it, idle or not.
    pub total_ns: u64,
    /// What the hypervisor gave to others although we had work.
    pub stolen_ns: u64,
}

/// How often a thread left its CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchCounts {
    /// To wait for something.
    pub voluntary: u64,
    /// Because others wanted it, or its time was up.
    pub involuntary: u64,
}

/// What the control groups of a process allow it, as version 2 of them words it: `max` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupFiles {
    /// Microseconds of CPU time, and in how many: `200000 100000` is two CPUs.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
    /// CPUs it may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// CPU throttling of a control group since it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupThrottling {
    /// The folder of the group.
    pub group: String,
    /// The quota as `cpu.max` words it.
    pub cpu_max: String,
    /// Periods in which it was used up.
    pub times: u64,
    /// How long the group was stopped, all CPUs together.
    pub time_ns: u64,
}

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The device's name.
    pub device: String,
    /// The address.
    pub ip: IpAddr,
    /// The number of the device, where the address means nothing without; otherwise 0.
    pub scope: u32,
}

/// An interrupt of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptLine {
    /// Its number.
    pub number: u32,
    /// What the driver calls it.
    pub name: Option<String>,
    /// The CPUs that may take it, such as `0-3,8`.
    pub cpus: String,
}

/// How busy a machine is, all CPUs and everybody's processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadAverage {
    /// Threads that wanted a CPU, mean over about the last minute.
    pub one_minute: f64,
    /// Threads that want a CPU right now, the one that asks among them.
    pub runnable: u64,
}
