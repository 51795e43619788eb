//! The full-screen view of `--live`.
//!
//! The coordinating thread hands over what it knows a few times a second, as plain data. A thread
//! of its own draws and reads keys, so that a slow terminal delays nothing.

#[cfg(not(all(unix, feature = "live")))]
mod absent;
#[cfg(all(unix, feature = "live"))]
mod backend;
#[cfg(all(unix, feature = "live"))]
mod cells;
#[cfg(all(unix, feature = "live"))]
mod chart;
#[cfg(all(unix, feature = "live"))]
mod draw;
#[cfg(all(unix, feature = "live"))]
mod model;
#[cfg(all(unix, feature = "live"))]
mod server;
#[cfg(all(unix, feature = "live"))]
mod signals;
#[cfg(all(unix, feature = "live"))]
mod terminal;
#[cfg(all(unix, feature = "live"))]
mod view;

use std::io::{self, IsTerminal};
use std::path::Path;

#[cfg(not(all(unix, feature = "live")))]
pub(crate) use absent::{CellsView, ServerView};
#[cfg(all(unix, feature = "live"))]
pub(crate) use cells::CellsView;
#[cfg(all(unix, feature = "live"))]
pub(crate) use server::ServerView;

use super::args::TelemetryArgs;
use super::error::{CliError, CliResult, usage};

/// Whether this program has the view.
const IS_BUILT_IN: bool = cfg!(all(unix, feature = "live"));

/// Refuses `--live` where it is not built in, or something else is written to its terminal.
pub(crate) fn check(args: &TelemetryArgs) -> CliResult<()> {
    check_built_in(args.live.live)?;
    let events_to_stdout = args.events.as_deref() == Some(Path::new("-"));
    if args.live.live && events_to_stdout && io::stdout().is_terminal() {
        return usage("--live and --events - would both write to the terminal; name a file");
    }
    Ok(())
}

/// Refuses `--live` where it is not built in.
pub(crate) fn check_built_in(is_wanted: bool) -> CliResult<()> {
    match is_wanted && !IS_BUILT_IN {
        true => Err(CliError::Failed(
            "--live: this program was built without the live view; build it on a Unix system with \
             cargo build --release --features live, or omit --live"
                .to_owned(),
        )),
        false => Ok(()),
    }
}
