//! Sockets that share a port, and the program that steers datagrams among them.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::check;
use super::socket::set_int;
use crate::sys::Instruction;

/// Lets this socket share its port with others of this user that allow it too (`SO_REUSEPORT`,
/// socket(7)). On a socket that is bound already, it lets later ones join.
///
/// # Errors
/// What setsockopt(2) says; ENOPROTOOPT before Linux 3.9.
pub fn set_reuse_port(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Has `program` choose the socket of each datagram to the port that this socket shares
/// (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)), at once in place of an earlier one. It sees the payload
/// from offset 0 on; what it returns is a socket's number, in order of bind(2); a load beyond the
/// end returns 0.
///
/// # Errors
/// What setsockopt(2) says: EINVAL where the program is not valid, or where no other socket has
/// joined yet; ENOPROTOOPT before Linux 4.5.
pub fn attach_steering(socket: &impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let mut filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|one| libc::sock_filter {
            code: one.code,
            jt: one.if_true,
            jf: one.if_false,
            k: one.operand,
        })
        .collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: the pointer and length describe `program`, which points to `len` instructions; both
    // outlive the call, and the kernel copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}
