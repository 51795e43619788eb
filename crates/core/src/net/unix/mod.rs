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

pub use name::UnixName;
pub use socket::{Unix, UnixFile};
#[cfg(udperf_unix)]
mod stream;
#[cfg(not(udperf_unix))]
#[path = "no_stream.rs"]
mod stream;
pub use stream::{connect_unix, listen_unix};

use std::io;

/// An AF_UNIX socket that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UnixError {
    /// socket(2) failed.
    #[error("cannot create an AF_UNIX socket: {source}; raise the limit of open files (ulimit -n)")]
    Create {
        /// The system's error.
        source: io::Error,
    },
    /// The system does not support them.
    #[error("--bind unix: this system has no AF_UNIX datagram sockets; use an IP address")]
    Absent,
    /// A socket is bound to the name.
    #[error(
        "cannot bind unix:{name}: a socket in use has that name; choose another path or stop the \
         other process"
    )]
    InUse {
        /// As requested.
        name: UnixName,
    },
    /// The file is not a socket.
    #[error("cannot bind unix:{name}: the file is not a socket; choose another path, or remove it")]
    NoSocket {
        /// As requested.
        name: UnixName,
    },
    /// bind(2) failed.
    #[error("cannot bind unix:{name}: {source}; choose another path")]
    Bind {
        /// As requested.
        name: UnixName,
        /// The system's error.
        source: io::Error,
    },
    /// connect(2) failed, to a listener for streams.
    #[error(
        "cannot connect to unix:{name}: {source}; start the server, e.g. `udperf talk --stream \
         --bind unix:{name}`"
    )]
    NoListener {
        /// The listener's.
        name: UnixName,
        /// The system's error.
        source: io::Error,
    },
    /// connect(2) failed.
    #[error("cannot connect to unix:{name}: {source}; do not remove the sockets of a run")]
    Connect {
        /// The peer's.
        name: UnixName,
        /// The system's error.
        source: io::Error,
    },
}
