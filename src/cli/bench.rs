//! `udperf bench`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::{BenchArgs, OutputArgs};
use super::error::{CliError, Exit};
use super::output::{Target, color, pretty, print, width};
use super::{lower, progress};
use crate::plan::Plan;
use crate::report::document::{Report, SCHEMA, Tool};
use crate::report::{CellFacts, cell};
use crate::run;

/// Measures, reports, and says how to end.
pub(crate) fn run(args: &BenchArgs) -> Result<Exit, CliError> {
    let scenario = lower::scenario(args)?;
    let plan = Plan::new(scenario, &crate::plan::Machine { cpus: vec![0, 1], siblings: vec![] })?;
    let stop = stop_on_signals()?;
    let mut line = progress::Line::new(args.output.quiet);
    let outcome = run::run(&plan, &stop, &mut line);
    line.finish();
    let cells: Vec<_> = outcome
        .measured
        .iter()
        .map(|m| {
            cell(CellFacts {
                scenario: &plan.scenario,
                cell: &m.cell,
                load: m.load,
                harvest: &m.harvest,
            })
        })
        .collect();
    print(&pretty(&cells))?;
    match outcome.error {
        Some(e) => Err(e.into()),
        None => Ok(if outcome.interrupted { Exit::Interrupted } else { Exit::Well }),
    }
}

/// A flag that the first SIGINT or SIGTERM sets; the second one ends the program at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(CliError::Signals)?;
    }
    Ok(stop)
}
