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
pub mod stable;
mod types;
mod unreachable;

pub use signals::stop_on_signals;
pub use types::{
    Address, CgroupFiles, CgroupThrottling, CpuTime, DeviceDrops, Instruction, InterruptLine,
    IpSnmp, LoadAverage, LocalAddr, NetLink, RecvMessage, RecvMetadata, Reply, Request, SendError,
    SwitchCounts, UdpSnmp,
};
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
