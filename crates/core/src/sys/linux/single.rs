//! send(2), sendto(2) and recvfrom(2) of one datagram without headers, without waiting.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::calls;
use super::cmsg::{NO_ADDR, address_of, write_addr};

/// Sends to the peer of a connected socket; returns how many bytes.
#[inline]
pub fn send(socket: &impl AsFd, payload: &[u8]) -> io::Result<usize> {
    let to_peer = (std::ptr::null_mut(), 0);
    // SAFETY: there is no address.
    length(unsafe { calls::sendto(socket.as_fd().as_raw_fd(), payload, to_peer) })
}

/// Sends to this address; returns how many bytes.
#[inline]
pub fn send_to(socket: &impl AsFd, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
    let mut addr = NO_ADDR;
    let len = write_addr(&mut addr, to);
    let to = ((&raw mut addr).cast(), len);
    // SAFETY: the address has this length, and lives during the call.
    length(unsafe { calls::sendto(socket.as_fd().as_raw_fd(), payload, to) })
}

/// Receives one datagram; returns how many bytes of the buffer it fills, and its sender.
#[inline]
pub fn recv_from(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
    // The longest address that the kernel writes for a UDP socket.
    let mut addr = [0; size_of::<libc::sockaddr_in6>()];
    let mut addr_len = size_of_val(&addr) as libc::socklen_t;
    let from = ((&raw mut addr).cast(), &raw mut addr_len);
    let buffer = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: buffer and address have these lengths, and are borrowed mutably during the call.
    let len = length(unsafe { calls::recvfrom(socket.as_fd().as_raw_fd(), buffer, 0, from) })?;
    Ok((len, address_of(&addr)))
}

#[inline]
fn length(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn datagrams_of_both_families_and_errors_are_as_of_std() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(rx) = UdpSocket::bind(bind) else {
                eprintln!("SKIPPED: no {bind}");
                continue;
            };
            let tx = UdpSocket::bind(bind).unwrap();
            let (to, from) = (rx.local_addr().unwrap(), tx.local_addr().unwrap());
            let mut buffer = [0; 4];
            // The socket is a blocking one.
            let empty = recv_from(&rx, &mut buffer).map_err(|error| error.kind());
            assert_eq!(empty, Err(io::ErrorKind::WouldBlock));
            assert_eq!(send_to(&tx, b"to", to).unwrap(), 2);
            let no_peer = send(&tx, b"peer").map_err(|error| error.raw_os_error());
            assert_eq!(no_peer, tx.send(b"peer").map_err(|error| error.raw_os_error()));
            assert!(no_peer.is_err());
            tx.connect(to).unwrap();
            assert_eq!(send(&tx, b"too long").unwrap(), 8);
            assert_eq!(send(&tx, b"").unwrap(), 0);
            for expected in [&b"to"[..], b"too ", b""] {
                let (len, sender) = recv_from(&rx, &mut buffer).unwrap();
                assert_eq!((&buffer[..len], sender), (expected, Some(from)));
            }
            drop(rx);
            // Over loopback the ICMP error is there when send(2) returns.
            assert_eq!(send(&tx, b"anybody?").unwrap(), 8);
            let refused = recv_from(&tx, &mut buffer).map_err(|error| error.kind());
            assert_eq!(refused, Err(io::ErrorKind::ConnectionRefused));
        }
    }
}
