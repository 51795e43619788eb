//! Where datagrams come from, and go to.

use std::fmt;
use std::net::SocketAddr;

/// Bytes of the longest name of an AF_UNIX socket; `sun_path`, unix(7).
const LONGEST_NAME: usize = 108;

/// The path of an AF_UNIX socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketName {
    bytes: [u8; LONGEST_NAME],
    len: u8,
}

impl SocketName {
    /// This path, if a socket can have it.
    #[must_use]
    pub fn new(path: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST_NAME];
        bytes.get_mut(..path.len())?.copy_from_slice(path.as_bytes());
        Some(Self { bytes, len: path.len() as u8 })
    }

    /// The path with zeroes behind it, as unix(7) has it: longer than any IP address.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; LONGEST_NAME] {
        &self.bytes
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        let path = self.bytes.get(..self.len.into()).unwrap_or_default();
        std::str::from_utf8(path).unwrap_or_default()
    }
}

/// Where a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At an address and a port.
    Ip(SocketAddr),
    /// In this host's file system.
    Unix(SocketName),
}

impl From<SocketAddr> for Place {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            // It may be a stranger's, and is shown on terminals.
            Self::Unix(name) => write!(f, "unix:{}", name.path().escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_told_apart() {
        let name = |path: &str| SocketName::new(path).unwrap();
        assert_eq!(name("/tmp/a").path(), "/tmp/a");
        assert_ne!(name("/tmp/a"), name("/tmp/ab"));
        assert_eq!(Place::Unix(name("/tmp/a")).to_string(), "unix:/tmp/a");
        assert_eq!(Place::Unix(name("a\u{1b}[2J")).to_string(), "unix:a\\u{1b}[2J");
        assert!(SocketName::new(&"a".repeat(108)).is_some());
        assert_eq!(Place::Unix(name("a\u{1b}[2J")).to_string(), "unix:a\\u{1b}[2J");
        assert!(SocketName::new(&"a".repeat(109)).is_none());
    }
}
