//! Entering another network namespace.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

/// A network namespace that could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("cannot enter the network namespace {}: {}", path.display(), reason(.source, path))]
pub struct NetnsError {
    /// Its file.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// Moves only the calling thread into the network namespace of this file.
pub fn enter_netns(path: &Path) -> Result<(), NetnsError> {
    sys::enter_netns(path).map_err(|source| NetnsError { path: path.to_owned(), source })
}

/// The reason and what to do.
fn reason(error: &io::Error, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "not found; create it with `ip netns add {name}`, or give the path of another one to \
             --to-netns, such as /proc/PID/ns/net"
        ),
        io::ErrorKind::PermissionDenied => {
            "not permitted; run as root, or with the capability CAP_SYS_ADMIN".to_owned()
        }
        io::ErrorKind::InvalidInput => {
            "the file is not a network namespace; use one that `ip netns` lists".to_owned()
        }
        io::ErrorKind::Unsupported => "not supported by this system; remove --to-netns".to_owned(),
        _ => format!("{error}; use one that `ip netns` lists"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_is_missing() {
        let error =
            |kind: io::ErrorKind| NetnsError { path: "/run/netns/lab".into(), source: kind.into() };
        let none = error(io::ErrorKind::NotFound).to_string();
        assert!(none.contains("`ip netns add lab`"), "{none}");
        let denied = error(io::ErrorKind::PermissionDenied).to_string();
        assert!(denied.contains("run as root"), "{denied}");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(enter_netns(Path::new("/nonexistent/netns")).is_err());
        assert!(enter_netns(Path::new("/dev/null")).is_err());
    }
}
