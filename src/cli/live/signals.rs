//! Signals that stop, continue or abort the program while the view has the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGCONT, SIGQUIT, SIGTSTP};
use signal_hook::{flag, low_level};

use crate::sys;

/// What a signal asks the view for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveSignal {
    /// To give the terminal back, and stop.
    Stop,
    /// To take the terminal again, which others have used since.
    Continue,
    /// To give the terminal back, and abort.
    Abort,
}

/// The latest of the signals that stop and continue, as a number.
const NONE: usize = 0;
const STOP: usize = 1;
const CONTINUE: usize = 2;

/// The signals of a view; after it was dropped, they act as without it.
#[derive(Debug)]
pub(super) struct LiveSignals {
    is_over: Arc<AtomicBool>,
    aborts: Arc<AtomicBool>,
    /// One number, as each makes the other void.
    latest: Arc<AtomicUsize>,
}

impl LiveSignals {
    /// Handles the signals from now on, but those that are ignored.
    pub(super) fn register() -> io::Result<Self> {
        let new = Self { is_over: Arc::default(), aborts: Arc::default(), latest: Arc::default() };
        for signal in [SIGQUIT, SIGCONT, SIGTSTP] {
            if sys::is_ignored(signal) {
                continue;
            }
            flag::register_conditional_default(signal, Arc::clone(&new.is_over))?;
            match signal {
                SIGQUIT => flag::register(signal, Arc::clone(&new.aborts))?,
                SIGCONT => flag::register_usize(signal, Arc::clone(&new.latest), CONTINUE)?,
                _ => flag::register_usize(signal, Arc::clone(&new.latest), STOP)?,
            };
        }
        Ok(new)
    }

    /// The signal received since the last time; of those that stop and continue, the latest.
    pub(super) fn take(&self) -> Option<LiveSignal> {
        if self.aborts.swap(false, Ordering::Relaxed) {
            return Some(LiveSignal::Abort);
        }
        match self.latest.swap(NONE, Ordering::SeqCst) {
            STOP => Some(LiveSignal::Stop),
            CONTINUE => Some(LiveSignal::Continue),
            _ => None,
        }
    }

    /// Does what the signal does to a program that does not handle it; after a stop, returns when
    /// the program is continued.
    pub(super) fn act(&self, signal: LiveSignal) {
        let _ = match signal {
            LiveSignal::Stop => low_level::emulate_default_handler(SIGTSTP),
            LiveSignal::Abort => low_level::emulate_default_handler(SIGQUIT),
            LiveSignal::Continue => Ok(()),
        };
        // The terminal is taken next, whatever continued the program. A signal to stop that came
        // since stays.
        let _ = self.latest.compare_exchange(CONTINUE, NONE, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl Drop for LiveSignals {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
