//! `udperf selftest`: whether the reports are true on this host.

use std::time::SystemTime;

use super::measure::head;
use crate::cli::args::SelftestArgs;
use crate::cli::error::{CliError, CliResult, Exit, usage};
use crate::cli::output::Outputs;
use crate::cli::progress::ProgressLine;
use crate::cli::stop::stop_on_signals;
use crate::document::SelftestDocument;
use crate::host::{self, Depth};
use crate::report::format::RenderOptions;
use crate::run::{Observer, Progress};
use crate::selftest::{self, DeliberateFault, SelftestOptions};

pub(crate) fn run(args: &SelftestArgs) -> CliResult {
    let started_at = SystemTime::now();
    let outputs = Outputs::check::<SelftestDocument>(&args.output, &[])?;
    if let Some(why) = args.netns.then(selftest::netns_unavailable).flatten() {
        return Err(CliError::Failed(format!("--netns: {why}")));
    }
    let fault = args.fault.as_deref().and_then(DeliberateFault::named);
    if let Some(word) = args.fault.as_deref().filter(|_| !args.netns && needs_netns(fault)) {
        return usage(format!("--fault {word}: only --netns makes this check; add it"));
    }
    let stop = stop_on_signals()?;
    let facts = host::host_info(Depth::Quick);
    let head = head("selftest", &args.output, started_at, &facts);
    let options = SelftestOptions { quick: args.quick, netns: args.netns, seed: args.seed, fault };
    let mut line = ProgressLine::new(args.output.quiet);
    let mut progress = |id: &str, done, of| {
        line.progress(Progress { id, done, of, cell_takes: None, live: None });
    };
    let (document, error) = selftest::run(options, head, &facts, &stop, &mut progress);
    drop(line);
    outputs.write(&document, &RenderOptions::default())?;
    match (document.failed().next(), error) {
        _ if document.interrupted => Ok(Exit::Interrupted),
        (Some(_), _) => Ok(Exit::ConditionHeld),
        (None, Some(error)) => Err(CliError::Failed(format!("a check could not run: {error}"))),
        (None, None) => Ok(Exit::Success),
    }
}

/// Whether the check of this fault is one of --netns.
fn needs_netns(fault: Option<DeliberateFault>) -> bool {
    fault.is_some_and(DeliberateFault::needs_netns)
}
