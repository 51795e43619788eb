//! Signals that end a run: the first one requests an end with a report, a later one ends at once.
#![allow(unsafe_code)]

use std::io;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use signal_hook::low_level;

use super::{is_ignored, monotonic_ns};

/// Signals within this time in ns count as one: timeout(1) signals its child and then its process
/// group. Arbitrary: less than a user waits before pressing Ctrl-C again.
const SAME_NS: u64 = 500_000_000;

/// Sets the returned flag at the first of these signals. A signal at least half a second after the
/// first one ends the process at once, with this exit code. A signal that the process was started
/// to ignore, as nohup(1) does with SIGHUP, stays ignored if it is among `keep`.
pub fn stop_on_signals(signals: &[i32], keep: &[i32], exit: i32) -> io::Result<Arc<AtomicBool>> {
    let (stop, first_ns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // The clock is set up before a handler reads it.
    let _ = monotonic_ns();
    for &signal in signals {
        if keep.contains(&signal) && is_ignored(signal) {
            continue;
        }
        let (stop, first_ns) = (Arc::clone(&stop), Arc::clone(&first_ns));
        let act = move || {
            let now_ns = monotonic_ns().max(1);
            let before = first_ns.compare_exchange(0, now_ns, Ordering::AcqRel, Ordering::Acquire);
            if before.is_err_and(|first_ns| now_ns.saturating_sub(first_ns) >= SAME_NS) {
                low_level::exit(exit);
            }
            stop.store(true, Ordering::Relaxed);
        };
        // SAFETY: the action reads the monotonic clock, touches atomics and may call _exit(2), all
        // of which are safe in a signal handler (signal-safety(7)).
        unsafe { low_level::register(signal, act)? };
    }
    Ok(stop)
}

/// Asks a process to end, as Ctrl-C does. Where there are no signals, it ends at once.
pub fn interrupt(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    {
        // The id of a process that was not waited for is its own, and below 2^22 (proc(5)).
        let id = child.id() as libc::pid_t;
        // SAFETY: kill(2) touches no memory.
        match unsafe { libc::kill(id, libc::SIGINT) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
    #[cfg(not(unix))]
    child.kill()
}
