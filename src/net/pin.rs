//! Placement of threads on cores.

use crate::sys;

/// The timer slack of paced senders in ns; 1 is the least the kernel takes (prctl(2)).
pub(crate) const TIMER_SLACK_NS: u64 = 1;

/// A thread that is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The system refused.
    #[error(
        "cannot pin a thread to core {core}: the system refused; choose other cores with --pin, or \
         use --pin off"
    )]
    Refused {
        /// As asked.
        core: usize,
    },
    /// The system agreed, but the mask reads otherwise.
    #[error("pinned a thread to core {core}, but the system runs it on {mask:?}; use --pin off")]
    Ignored {
        /// As asked.
        core: usize,
        /// As read back.
        mask: Vec<usize>,
    },
}

/// Pins the calling thread to `core`, and reads the mask back. Call it before allocating what the
/// thread works on: memory belongs to the NUMA node of the core that touches it first.
///
/// # Errors
/// [`PinError`], where the thread is not on that core alone afterwards.
pub fn pin_to(core: usize) -> Result<(), PinError> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(PinError::Refused { core });
    }
    match sys::affinity() {
        Some(mask) if mask != [core] => Err(PinError::Ignored { core, mask }),
        // A system without a mask to read has only its word.
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
                eprintln!("SKIPPED: this system does not tell a thread's cores");
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
