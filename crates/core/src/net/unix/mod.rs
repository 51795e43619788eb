//! AF_UNIX sockets.
//!
//! Their datagrams are never lost: a full queue refuses the send (`net.unix.max_dgram_qlen`), and a
//! connected sender is writable again once there is space (`unix_dgram_poll`, net/unix/af_unix.c).

#[cfg(udperf_unix)]
mod socket;
#[cfg(not(udperf_unix))]
#[path = "absent.rs"]
mod socket;

pub use socket::{Unix, UnixFile, connect_unix, listen_unix};

use std::path::PathBuf;
use std::{fmt, io};

/// An AF_UNIX socket that could not be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum UnixError {
    #[error("cannot create an AF_UNIX socket: {source}; raise the limit of open files (ulimit -n)")]
    Create {
        #[from]
        source: io::Error,
    },
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

/// The prefix of abstract names, as in `ss` and socat.
const ABSTRACT: char = '@';

/// Where an AF_UNIX socket is bound (unix(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnixName {
    /// A file, created by bind(2).
    File(PathBuf),
    /// A name without a file, which disappears with its socket; Linux only.
    Abstract(String),
}

impl UnixName {
    /// Parses a path, or `@NAME` (abstract namespace); an empty word gives a unique abstract name.
    pub fn new(word: &str) -> Self {
        match word.strip_prefix(ABSTRACT) {
            Some(name) => Self::Abstract(name.to_owned()),
            None if word.is_empty() => Self::Abstract(format!("udperf-{}", std::process::id())),
            None => Self::File(PathBuf::from(word)),
        }
    }

    /// The path for the system: an abstract name starts with a zero byte.
    #[cfg(udperf_unix)]
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Abstract(name) => PathBuf::from(format!("\0{name}")),
        }
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "{ABSTRACT}{name}"),
        }
    }
}
