//! The operating system interface on Linux.

mod bpf;
mod calls;
mod cmsg;
pub mod device;
mod error_queue;
mod ethernet;
mod ethtool;
mod event_fd;
mod mmsg;
mod network;
mod qdisc;
mod realtime_calls;
mod reply;
mod rtnetlink;
mod single;
mod socket;
mod stall;
#[cfg(test)]
mod testing;
mod thread;
mod txtime;
mod xsk;

pub use std::os::fd::AsFd as Handle;

pub use bpf::{XdpFilter, xdp_abilities};
pub use cmsg::parse_msg;
pub use error_queue::*;
pub use ethernet::ethernet_path;
pub use event_fd::EventFd;
pub use mmsg::{RecvBatch, SendBatch};
pub use network::{device_stack, neighbour_unresolved, next_hop};
pub use qdisc::{qdisc_drops, qdiscs};
pub use realtime_calls::{lock_memory, realtime_limits, set_realtime};
pub use reply::ReplyBatch;
pub use single::{recv_from, send, send_to};
pub use socket::*;
pub use stall::ThreadStall;
pub use thread::*;
pub use txtime::{ahead_of_monotonic_ns, enable_departures, set_pacing_rate};
pub use xsk::{RingCounter, XskRx, XskSend, XskTx, open_xsk, xsk_stride};

fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

/// Tries again every millisecond while `open` fails because what it needs is in use, for at most
/// this long.
fn wait_while<T, E>(
    most_ms: u64,
    is_busy: impl Fn(&E) -> bool,
    open: impl Fn() -> Result<T, E>,
) -> Result<T, E> {
    let until = monotonic_ns() + most_ms * 1_000_000;
    loop {
        match open() {
            Err(error) if is_busy(&error) && monotonic_ns() < until => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}
