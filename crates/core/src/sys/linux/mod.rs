//! The operating system interface on Linux.

mod cmsg;
pub mod device;
mod error_queue;
mod ethtool;
mod mmsg;
mod network;
mod reply;
mod rtnetlink;
mod socket;
mod stall;
mod thread;

pub use std::os::fd::AsFd as Handle;

pub use cmsg::parse_msg;
pub use error_queue::*;
pub use mmsg::{RecvBatch, SendBatch};
pub use network::{device_stack, neighbour_unresolved, next_hop, qdisc_drops};
pub use reply::ReplyBatch;
pub use socket::*;
pub use stall::ThreadStall;
pub use thread::*;

fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
