//! Sockets that share a port, and the program that steers datagrams among them.

use std::io;
use std::os::fd::AsFd;

use super::socket::{set, set_int};
use crate::sys::Instruction;

/// Lets this socket share its port with others of this user (`SO_REUSEPORT`, socket(7)). On a bound
/// socket, it lets later ones join. ENOPROTOOPT before Linux 3.9.
pub fn set_reuse_port(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
}

/// Makes `program` choose the socket of each datagram to the shared port
/// (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)), replacing an earlier one. It sees the payload from
/// offset 0; it returns a socket's number in order of bind(2); a load beyond the end returns 0.
/// EINVAL for an invalid program, or before another socket has joined; ENOPROTOOPT before Linux
/// 4.5.
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
    // It points to `len` instructions, which outlive the call; the kernel copies them.
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}
