//! Pins threads to cores.

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
/// for the thread, which belongs to the NUMA node of the core that touches it first.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_reads_its_core_back() {
        std::thread::spawn(|| {
            let Some(&core) = sys::affinity().as_deref().and_then(<[usize]>::first) else {
                eprintln!("SKIPPED: this system does not report thread affinity");
                return;
            };
            pin_to(core).unwrap();
            assert_eq!(sys::affinity(), Some(vec![core]));
            assert!(matches!(pin_to(1_000), Err(PinError::Refused { core: 1_000 })));
        })
        .join()
        .unwrap();
    }
}
