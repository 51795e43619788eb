//! Names of AF_UNIX sockets that no file system knows.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;

/// The name of a socket in the abstract namespace (unix(7)), without the zero byte that it begins
/// with; `None` for one that has a path or no name.
#[must_use]
pub fn abstract_name(addr: &SocketAddr) -> Option<&[u8]> {
    addr.as_abstract_name()
}
