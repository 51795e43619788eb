//! AF_UNIX datagram sockets: what carries datagrams on one host without IP.
//!
//! They lose nothing: a full queue refuses the send (`net.unix.max_dgram_qlen`), and a connected
//! sender is writable again once there is room (`unix_dgram_poll`, net/unix/af_unix.c).

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

/// An AF_UNIX socket that could not be had as asked.
#[derive(Debug, thiserror::Error)]
pub enum UnixError {
    /// socket(2) failed.
    #[error("cannot create an AF_UNIX socket: {source}; raise the limit of open files (ulimit -n)")]
    Create {
        /// What the system says.
        source: io::Error,
    },
    /// There are none on this system.
    #[error("--bind unix: this system has no AF_UNIX datagram sockets; leave it away")]
    Absent,
    /// Somebody has bound the name.
    #[error(
        "cannot bind unix:{name}: a living socket has that name; choose another path or stop the \
         other process"
    )]
    Living {
        /// As asked.
        name: UnixName,
    },
    /// What has the name is no socket.
    #[error(
        "cannot bind unix:{name}: that is a file, and no socket; choose another path, or remove it"
    )]
    NoSocket {
        /// As asked.
        name: UnixName,
    },
    /// bind(2) failed.
    #[error("cannot bind unix:{name}: {source}; choose another path")]
    Bind {
        /// As asked.
        name: UnixName,
        /// What the system says.
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
        /// What the system says.
        source: io::Error,
    },
    /// connect(2) failed.
    #[error("cannot connect to unix:{name}: {source}; leave the sockets of a run in their place")]
    Connect {
        /// The peer's.
        name: UnixName,
        /// What the system says.
        source: io::Error,
    },
}
