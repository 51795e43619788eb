//! Errors of sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::sys;

/// A socket that could not be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum SocketError {
    #[error("cannot create a UDP socket: {source}; raise the limit of open files (ulimit -n)")]
    Create { source: io::Error },
    #[error("cannot bind {addr}: {}; {}", reason(.source), bind_hint(.source))]
    Bind { addr: SocketAddr, source: io::Error },
    #[error(
        "cannot bind {ip}: no port of {}-{} is free; give a wider range, or fewer --streams",
        range.start(), range.end()
    )]
    Ports { ip: IpAddr, range: RangeInclusive<u16> },
    #[error(
        "cannot add a socket to those on {addr}: {}; serve fewer sessions at once, or use fewer \
         --threads", reason(.source)
    )]
    Join { addr: SocketAddr, source: io::Error },
    #[error(
        "all {slots} sessions that {addr} can hold are taken; wait until one ends, or start \
         another server at another --port"
    )]
    Slots { addr: SocketAddr, slots: u16 },
    #[error(
        "cannot connect {from} to {to}: {}; {}", connect_reason(.source), connect_hint(.source)
    )]
    Connect { from: SocketAddr, to: SocketAddr, source: io::Error },
    #[error("cannot set {option} on {addr}: {}; remove {flag}{hint}", reason(.source))]
    Option {
        option: &'static str,
        flag: &'static str,
        hint: &'static str,
        addr: SocketAddr,
        source: io::Error,
    },
}

/// Why connect(2) failed.
fn connect_reason(error: &io::Error) -> String {
    let unreachable = sys::send_error_of(error).unreachable();
    unreachable.map_or_else(|| reason(error), |why| why.to_string())
}

/// The system's message in lower case, without the error number.
pub fn message_of(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Why a socket call failed.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "not an address of this host".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        _ => message_of(error),
    }
}

/// What to do after a failed connect.
fn connect_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        // The error of connect(2) for broadcast addresses.
        io::ErrorKind::PermissionDenied => "for a broadcast address, use --broadcast",
        _ if sys::send_error_of(error).unreachable().is_some() => {
            "check the address and the routes (ip route get ADDRESS)"
        }
        _ => "check the addresses",
    }
}

/// What to do after a failed bind.
fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "choose another --port or stop the other process",
        io::ErrorKind::AddrNotAvailable => "choose a --bind (or --to) address that `ip addr` lists",
        io::ErrorKind::PermissionDenied => "choose a --port of 1024 or above",
        _ => "choose another --bind or --port",
    }
}
