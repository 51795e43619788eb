//! The operating system: every libc call and every `cfg(target_os)` of this crate.
//!
//! # The contract
//! Each system provides all of these under the same names. One that cannot do a thing has an inert
//! twin, which says `None`, `Unsupported` or nothing at all; code above never asks which it is.
//!
//! | name | gives |
//! | --- | --- |
//! | [`monotonic_ns`] | the monotonic clock |
//! | [`thread_cpu_ns`] | CPU time of the calling thread |
//! | [`context_switches`], [`InstructionCounter`] | what else it costs |
//! | [`sleep_until_ns`], [`set_timer_slack_ns`] | sleeping to a moment, and how exactly |
//! | [`wait_readable`], [`wait_writable`] | sleeping until there is something to do, or a moment |
//! | [`affinity`], [`set_affinity`] | the CPUs the calling thread may run on |
//! | [`end_with_parent`], [`in_group_of_its_own`] | processes that end with this one, or do not |
//! | [`stop_on_signals`], [`is_ignored`] | signals that end a run |
//! | [`raise_open_files`] | room for as many sockets as the system allows |
//! | [`Handle`] | what a socket must have for the calls below |
//! | [`socket_drops`] | what a socket's full receive buffer cost so far |
//! | [`reports_queue_drops`] | whether [`report_queue_drops`] took |
//! | [`report_queue_drops`], [`disable_recverr`], [`forbid_fragments`] | what socket2 lacks |
//! | [`set_traffic_class`], [`bind_device`] | socket options that socket2 has on some systems |
//! | [`drain_error_queue`], [`take_refused_peers`] | how many came back, and of whom |
//! | [`refusal_of`], [`refuses_offload`], [`take_queued_refusal`] | why a send failed |
//! | [`SendBatch`], [`RecvBatch`] | many messages a system call |
//! | [`ReplyBatch`], [`enable_pktinfo`] | answers to whoever sent, from where they were sent to |
//! | [`parse_msg`] | who sent a message, read from what the kernel has written beside it |
//! | [`set_udp_segment`], [`set_udp_gro`] | UDP offload |
//! | [`reset_rx_options`] | a socket as it was before offload and timestamps |
//! | [`join_no_group`] | a socket that gets nothing of groups that others have joined |
//! | [`set_reuse_port`], [`attach_steering`] | sockets that share a port, and who gets what |
//! | [`set_timestamps`], [`realtime_ns`] | the kernel's receive timestamps, and their clock |
//! | [`stamp_sends`], [`take_send_stamp`], [`forget_send_stamps`] | its send timestamps |
//! | [`take_pending_refusal`] | what reading those would make it forget |
//! | [`udp_counters`], [`backlog_drops`], [`device_drops`], [`qdisc_drops`] | kernel counters |
//! | [`ip_counters`] | the same of the IP layer |
//! | [`neighbour_unresolved`] | whether the next hop answers address resolution |
//! | [`device_stack`] | the devices whose counters are about what passes this one |
//! | [`enter_netns`] | another network namespace for the calling thread |
//! | [`boot_id`], [`clock_identity`] | whether two processes read the same monotonic clock |
//! | [`network_identity`] | whether two threads are in the same network namespace |
//! | [`is_connecting`] | what connect(2) says of a socket that does not block |
//! | `abstract_name` | the name of an AF_UNIX socket without a path |
//! | [`device_index`], [`device_name`] | the number of a device, and back |
//! | [`path_mtu`] | the largest packet that goes whole to a peer |
//! | [`stolen_ns`] | CPU time that the hypervisor took |
//! | [`host`] | facts about the machine: names, CPUs, limits, clock source, load, hypervisor |
//! | [`device`] | facts about network devices: addresses, queues, interrupts, offloads |
//!
//! `--cfg udperf_portable` selects the inert twins everywhere, so that they are built and tested.

use std::net::{IpAddr, SocketAddr};

#[cfg(all(target_os = "linux", not(udperf_portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
use linux as imp;

#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
mod other;
#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
use other as imp;

mod signals;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
pub(crate) mod stable;
mod unreachable;

pub use signals::stop_on_signals;
pub use unreachable::{Reporter, Unreachable, UnreachableErrno};

#[cfg(udperf_unix)]
pub use imp::abstract_name;
pub use imp::{
    Handle, InstructionCounter, RecvBatch, ReplyBatch, SendBatch, affinity, attach_steering,
    backlog_drops, bind_device, boot_id, clock_identity, context_switches, device, device_drops,
    device_index, device_name, device_stack, disable_recverr, drain_error_queue, enable_pktinfo,
    end_with_parent, enter_netns, forbid_fragments, forget_send_stamps, host, in_group_of_its_own,
    ip_counters, is_connecting, is_ignored, join_no_group, monotonic_ns, neighbour_unresolved,
    network_identity, parse_msg, path_mtu, qdisc_drops, raise_open_files, realtime_ns, refusal_of,
    refuses_offload, report_queue_drops, reports_queue_drops, reset_rx_options, set_affinity,
    set_reuse_port, set_timer_slack_ns, set_timestamps, set_traffic_class, set_udp_gro,
    set_udp_segment, sleep_until_ns, socket_drops, stamp_sends, stolen_ns, take_pending_refusal,
    take_queued_refusal, take_refused_peers, take_send_stamp, thread_cpu_ns, udp_counters,
    wait_readable, wait_writable,
};

/// What is wanted of received datagrams beside their payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecvMetadata {
    /// The length of the segments of a super-packet ([`set_udp_gro`]).
    pub segments: bool,
    /// When the kernel took it from the device ([`set_timestamps`]).
    pub stamps: bool,
    /// Which address of this host it was sent to ([`enable_pktinfo`]).
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
    /// When the kernel took it from the device, by [`realtime_ns`].
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
    /// far as [`RecvBatch`] was asked for `local`; nobody else tells.
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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
pub struct ContextSwitches {
    /// To wait for something.
    pub voluntary: u64,
    /// Because others wanted it, or its time was up.
    pub involuntary: u64,
}

/// What the control groups of a process allow it, as version 2 of them words it: `max` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Microseconds of CPU time, and in how many: `200000 100000` is two CPUs.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
    /// CPUs it may run on, such as `0-3,8`.
    pub cpus: Option<String>,
}

/// CPU throttling of a control group since it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuThrottling {
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
pub struct Irq {
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
