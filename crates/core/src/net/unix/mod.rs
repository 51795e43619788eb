//! AF_UNIX sockets.
//!
//! Their datagrams are not lost: a full queue refuses the send (`net.unix.max_dgram_qlen`), and a
//! connected sender is writable again once there is space (`unix_dgram_poll`, net/unix/af_unix.c).

mod name;
#[cfg(udperf_unix)]
mod socket;
#[cfg(not(udperf_unix))]
#[path = "absent.rs"]
mod socket;

#[cfg(udperf_unix)]
mod stream;

pub use name::UnixName;
pub use socket::{Unix, UnixFile};
#[cfg(not(udperf_unix))]
pub use socket::{connect_unix, listen_unix};
#[cfg(udperf_unix)]
pub use stream::{connect_unix, listen_unix};

use std::io;

/// An AF_UNIX socket that could not be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum UnixError {
    #[error("cannot create an AF_UNIX socket: {source}; raise the limit of open files (ulimit -n)")]
    Create { source: io::Error },
    #[error("--bind unix: this system has no AF_UNIX datagram sockets; use an IP address")]
    Absent,
    #[error(
        "cannot bind unix:{name}: a socket in use has that name; choose another path or stop the \
         other process"
    )]
    InUse { name: UnixName },
    #[error("cannot bind unix:{name}: the file is not a socket; choose another path, or remove it")]
    NoSocket { name: UnixName },
    #[error("cannot bind unix:{name}: {source}; choose another path")]
    Bind { name: UnixName, source: io::Error },
    #[error(
        "cannot connect to unix:{name}: {source}; start the server, e.g. `udperf talk --stream \
         --bind unix:{name}`"
    )]
    NoListener { name: UnixName, source: io::Error },
    #[error("cannot connect to unix:{name}: {source}; do not remove the sockets of a run")]
    Connect { name: UnixName, source: io::Error },
}
