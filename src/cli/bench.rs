//! `udperf bench`: both ends in this process.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::args::BenchArgs;
use super::cells::{self, Files, Job, stop_on_signals};
use super::error::{CliError, Exit};
use super::lower;
use crate::run::{self, Depth, OneHost};

/// Measures this host.
pub(crate) fn run(args: &BenchArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let mut scenario = lower::bench(args)?;
    let output = &args.cells.output;
    let files = Files::check(output)?;
    // The survey asks for this thread's cores, so it comes before anything is pinned.
    let mut facts = run::survey(Depth::Quick);
    let to = SocketAddr::new(scenario.to.unwrap_or(scenario.bind), scenario.port);
    let way = || run::device_towards(to, scenario.bind, scenario.ip.dev.as_deref());
    facts.device = if scenario.unix.is_none() { way() } else { None };
    let mut machine = run::machine(&facts);
    lower::without_ip(&scenario, &mut machine);
    let left_out = lower::settle_for(&mut scenario, &args.cells, &machine);
    let (stop, bed) = (stop_on_signals()?, OneHost::default());
    let kind = "bench";
    let job =
        Job { kind, scenario, machine, facts, left_out, bed, output, files, stop, started_at };
    cells::run(job, |_report, _bed| {})
}
