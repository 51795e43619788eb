//! One system call per datagram: a connected `send` against `recvfrom`.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use super::{Delivered, Receive, Transmit, Until, race};

/// Sends between two clock reads. Arbitrary: 24 ns in 64 sends of 4 µs do not show.
const SENDS: u64 = 64;

/// Size of the receive buffer in bytes: larger than any UDP datagram.
const RECEIVE_BYTES: usize = 65_536;

/// Runs the loop.
pub fn run(size: usize, idle: u32, until: Until) -> io::Result<Delivered> {
    let payload = vec![0x55; size];
    // SAFETY: a socket address is plain old data, for which zeroes are a valid value.
    let from = || unsafe { std::mem::zeroed() };
    race(
        until,
        idle,
        |socket| Ok(Tx { socket, payload }),
        move |socket| Ok(Rx { socket, buffer: vec![0xAA; RECEIVE_BYTES], from: from() }),
    )
}

struct Tx {
    socket: UdpSocket,
    payload: Vec<u8>,
}

impl Transmit for Tx {
    fn burst(&mut self, room: u64) -> u64 {
        let (fd, payload, mut sent) = (self.socket.as_raw_fd(), &self.payload, 0);
        for _ in 0..room.min(SENDS) {
            // SAFETY: the pointer and length describe `payload`, which outlives the call.
            let n = unsafe { libc::send(fd, payload.as_ptr().cast(), payload.len(), 0) };
            sent += u64::from(n > 0);
        }
        sent
    }
}

struct Rx {
    socket: UdpSocket,
    buffer: Vec<u8>,
    from: libc::sockaddr_storage,
}

impl Receive for Rx {
    fn pull(&mut self) -> u64 {
        let mut len = size_of_val(&self.from) as libc::socklen_t;
        // SAFETY: buffer and address are writable for the lengths that are passed along.
        let n = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                libc::MSG_DONTWAIT,
                (&raw mut self.from).cast(),
                &raw mut len,
            )
        };
        u64::from(n > 0)
    }
}
