//! The contract of [`super`] on Linux.

mod clocks;
mod cmsg;
mod counters;
pub mod device;
mod error_queue;
mod ethtool;
mod file;
pub mod host;
mod links;
mod mmsg;
mod neighbour;
mod qdisc;
mod reply;
mod rtnetlink;
mod socket;
mod stamps;
mod thread;
mod usage;

pub use std::os::fd::AsFd as Handle;

pub use clocks::*;
pub use cmsg::parse_msg;
pub use counters::*;
pub use error_queue::*;
pub use file::*;
pub use links::stack as device_stack;
pub use mmsg::{RecvBatch, SendBatch};
pub use neighbour::neighbour_unresolved;
pub use qdisc::qdisc_drops;
pub use reply::ReplyBatch;
pub use socket::*;
pub use stamps::*;
pub use thread::*;
pub use usage::*;

/// Turns the -1 of a system call into the error behind it, so that no call site does.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
