//! Names of AF_UNIX sockets.

use std::fmt;
use std::path::PathBuf;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_shown_alike() {
        for word in ["/tmp/a", "a.sock", "@a", "@"] {
            assert_eq!(UnixName::new(word).to_string(), word);
        }
        let own = UnixName::new("").to_string();
        assert_eq!(own, format!("@udperf-{}", std::process::id()));
    }
}
