//! `--realtime`: checks permission, and documents the workers that got it.

use std::collections::BTreeSet;

use crate::cli::args::ServerArgs;
use crate::cli::error::CliResult;
use crate::document::Realtime;
use crate::net::{REALTIME_PRIORITY, locked_bytes, prepare_realtime, realtime_workers};
use crate::plan::{Machine, PlanError};
use crate::run::RunError;

/// Locks the memory of this process if real time is `requested` and permitted.
pub(super) fn start(requested: bool) -> CliResult<()> {
    if requested {
        prepare_realtime().map_err(|error| RunError::Net(error.into()))?;
    }
    Ok(())
}

/// With `--realtime`, checks that it is possible, and locks the memory of this process.
pub(super) fn start_server(args: &ServerArgs, cores: &[usize], machine: &Machine) -> CliResult<()> {
    check(args, cores, machine)?;
    start(args.realtime)
}

/// Checks that the threads of a server can run in real time, each on a core of its own.
fn check(args: &ServerArgs, cores: &[usize], machine: &Machine) -> CliResult<()> {
    if !args.realtime {
        return Ok(());
    }
    let cpus = machine.cpus.len();
    let error = match cores.iter().collect::<BTreeSet<_>>().len() {
        0 => PlanError::RealtimeUnpinned,
        _ if cpus < 2 => PlanError::RealtimeOneCpu,
        distinct if distinct < args.threads.into() => PlanError::RealtimeShared { cpus },
        _ => return Ok(()),
    };
    Err(error.into())
}

/// The real-time workers of this process; `None` if they were not `requested`. `workers`: how many
/// there were; 0: as many as requested it.
pub(super) fn in_document(requested: bool, workers: usize) -> Option<Realtime> {
    let (asked, granted) = realtime_workers();
    requested.then(|| Realtime {
        asked: asked.max(workers) as u64,
        granted: granted as u64,
        priority: REALTIME_PRIORITY.into(),
        locked_bytes: locked_bytes(),
    })
}
