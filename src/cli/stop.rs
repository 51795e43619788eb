//! Signals that end a run.

use std::sync::{Arc, atomic::AtomicBool};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::error::{CliError, CliResult, Exit};
use crate::sys;

/// Whether a signal asked the run to end.
pub(crate) type StopFlag = Arc<AtomicBool>;

/// A flag that any ending signal sets; it never ends the program, which has state to restore.
pub(crate) fn stop_gently() -> CliResult<StopFlag> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    let all = [SIGINT, SIGTERM, SIGHUP, signal_hook::consts::SIGQUIT];
    #[cfg(not(unix))]
    let all = [SIGINT, SIGTERM];
    for signal in all {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(CliError::Signals)?;
    }
    Ok(stop)
}

/// A flag that the first signal sets; another one after half a second ends the program at once.
pub(crate) fn stop_on_signals() -> CliResult<StopFlag> {
    #[cfg(unix)]
    let (all, keep) = ([SIGINT, SIGTERM, SIGHUP], [SIGHUP]);
    #[cfg(not(unix))]
    let (all, keep) = ([SIGINT, SIGTERM], []);
    sys::stop_on_signals(&all, &keep, Exit::Interrupted as i32).map_err(CliError::Signals)
}
