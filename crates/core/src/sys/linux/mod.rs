//! The contract of [`super`] on Linux.

mod clocks;
mod cmsg;
mod counters;
pub mod device;
mod error_queue;
mod ethtool;
pub mod host;
mod links;
mod mmsg;
mod neighbour;
mod process;
mod qdisc;
mod reply;
mod rtnetlink;
mod socket;
mod stamps;
mod steer;
mod thread;
mod usage;

pub use std::os::fd::AsFd as Handle;

pub use clocks::{boot_id, clock_identity, network_identity};
pub use cmsg::parse_msg;
pub use counters::{backlog_drops, device_drops, ip_counters, stolen_ns, udp_counters};
pub use error_queue::{drain_error_queue, take_queued_refusal, take_refused_peers};
pub use links::stack as device_stack;
pub use mmsg::{RecvBatch, SendBatch};
pub use neighbour::neighbour_unresolved;
pub use process::{end_with_parent, in_group_of_its_own, is_ignored};
pub use qdisc::qdisc_drops;
pub use reply::ReplyBatch;
pub use socket::{
    abstract_name, bind_device, device_index, device_name, disable_recverr, enable_pktinfo,
    forbid_fragments, is_connecting, join_no_group, path_mtu, refusal_of, refuses_offload,
    report_queue_drops, reports_queue_drops, reset_rx_options, set_timestamps, set_traffic_class,
    set_udp_gro, set_udp_segment, socket_drops,
};
pub use stamps::{forget_send_stamps, stamp_sends, take_pending_refusal, take_send_stamp};
pub use steer::{attach_steering, set_reuse_port};
pub use thread::{
    affinity, enter_netns, monotonic_ns, raise_open_files, realtime_ns, set_affinity,
    set_timer_slack_ns, sleep_until_ns, thread_cpu_ns, wait_readable, wait_writable,
};
pub use usage::{InstructionCounter, context_switches};

/// Turns the -1 of a system call into the error behind it, so that no call site does.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
