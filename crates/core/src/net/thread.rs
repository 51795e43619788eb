//! Placement of threads on cores and in network namespaces.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

/// The timer slack of paced senders in ns; 1 is the minimum of the kernel (prctl(2)).
pub const TIMER_SLACK_NS: u64 = 1;

/// A thread that could not be pinned.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum PinError {
    #[error(
        "cannot pin a thread to core {core}: the system refused; choose other cores with --pin, or \
         use --pin off"
    )]
    Refused { core: usize },
    #[error("pinned a thread to core {core}, but the system runs it on {mask:?}; use --pin off")]
    Ignored { core: usize, mask: Vec<usize> },
}

/// Pins the calling thread to `core` and checks its affinity mask. Call it before allocating memory
/// for the thread, which belongs to the NUMA node of the core that accesses it first.
pub fn pin_to(core: usize) -> Result<(), PinError> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(PinError::Refused { core });
    }
    match sys::affinity() {
        Some(mask) if mask != [core] => Err(PinError::Ignored { core, mask }),
        // Some systems cannot report the mask.
        _ => Ok(()),
    }
}

/// A network namespace that could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("cannot enter the network namespace {}: {}", path.display(), netns_reason(.source, path))]
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

fn netns_reason(error: &io::Error, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = match error.kind() {
        io::ErrorKind::NotFound => {
            return format!(
                "not found; create it with `ip netns add {name}`, or give the path of another one \
                 to --to-netns, such as /proc/PID/ns/net"
            );
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; run as root, or with the capability CAP_SYS_ADMIN"
        }
        io::ErrorKind::InvalidInput => {
            "the file is not a network namespace; use one that `ip netns` lists"
        }
        io::ErrorKind::Unsupported => "not supported by this system; remove --to-netns",
        _ => return format!("{error}; use one that `ip netns` lists"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_thread_reports_its_core() {
        let pinned = std::thread::spawn(|| {
            let Some(&core) = sys::affinity().as_deref().and_then(<[usize]>::first) else {
                return eprintln!("SKIPPED: this system does not report thread affinity");
            };
            pin_to(core).unwrap();
            assert_eq!(sys::affinity(), Some(vec![core]));
            assert!(matches!(pin_to(1_000), Err(PinError::Refused { core: 1_000 })));
        });
        pinned.join().unwrap();
    }
}
