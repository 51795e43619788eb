//! One system call per datagram: a connected `send` against `recvfrom`.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::{Shape, race};

/// Sends between two clock reads. Arbitrary: 24 ns in 64 sends of 4 µs do not show.
const SENDS: usize = 64;
/// Size of the receive buffer in bytes: larger than any UDP datagram.
const RECEIVE_BYTES: usize = 65_536;

/// Runs the loop.
pub fn run(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    race(time, shape.idle, move |socket| Ok(sender(socket, size)), |socket| Ok(receiver(socket)))
}

fn sender(socket: UdpSocket, size: usize) -> impl FnMut() {
    let payload = vec![0x55; size];
    move || {
        for _ in 0..SENDS {
            let _ = socket.send(&payload);
        }
    }
}

fn receiver(socket: UdpSocket) -> impl FnMut() -> u64 {
    let mut buffer = vec![0xAA; RECEIVE_BYTES];
    // SAFETY: a socket address is plain old data, for which zeroes are a valid value.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    move || {
        let mut len = size_of_val(&from) as libc::socklen_t;
        // SAFETY: buffer and address are writable for the lengths that are passed along.
        let n = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                (&raw mut from).cast(),
                &raw mut len,
            )
        };
        u64::from(n > 0)
    }
}
