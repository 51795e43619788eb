//! Signals that stop, continue or abort the program while the view has the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// The signals of a view; after it was dropped, they act as without it.
#[derive(Debug)]
pub(super) struct LiveSignals {
    is_over: Arc<AtomicBool>,
    /// In the order in which they are looked at.
    received: [(LiveSignal, Arc<AtomicBool>); 3],
}

impl LiveSignals {
    /// Handles the signals from now on, but those that are ignored.
    pub(super) fn register() -> io::Result<Self> {
        let signals = [
            (LiveSignal::Abort, SIGQUIT),
            (LiveSignal::Continue, SIGCONT),
            (LiveSignal::Stop, SIGTSTP),
        ];
        let received = signals.map(|(kind, _)| (kind, Arc::default()));
        let new = Self { is_over: Arc::default(), received };
        for ((_, signal), (_, received)) in signals.into_iter().zip(&new.received) {
            if !sys::is_ignored(signal) {
                flag::register_conditional_default(signal, Arc::clone(&new.is_over))?;
                flag::register(signal, Arc::clone(received))?;
            }
        }
        Ok(new)
    }

    /// The signal received since the last time. One that continues the program makes one that stops
    /// it void, as both come in this order.
    pub(super) fn take(&self) -> Option<LiveSignal> {
        let received = self.received.iter().filter(|(_, is)| is.swap(false, Ordering::Relaxed));
        // All are read, before the first counts.
        received.map(|(signal, _)| *signal).collect::<Vec<_>>().first().copied()
    }

    /// Does what the signal does to a program that does not handle it; after a stop, returns when
    /// the program is continued.
    pub(super) fn act(&self, signal: LiveSignal) {
        let _ = match signal {
            LiveSignal::Stop => low_level::emulate_default_handler(SIGTSTP),
            LiveSignal::Abort => low_level::emulate_default_handler(SIGQUIT),
            LiveSignal::Continue => Ok(()),
        };
        // The terminal is taken next, whatever continued the program.
        let resumed = self.received.iter().filter(|(kind, _)| *kind == LiveSignal::Continue);
        resumed.for_each(|(_, is)| is.store(false, Ordering::Relaxed));
    }
}

impl Drop for LiveSignals {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
