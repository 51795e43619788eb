//! `udperf bench`: both ends in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use crate::cli::args::BenchArgs;
use crate::cli::commands::measure;
use crate::cli::commands::measure::{Job, RunOutput};
use crate::cli::error::{CliError, Exit};
use crate::cli::scenario;
use crate::host;
use crate::host::Depth;
use crate::run::LocalRunner;

/// Measures this host, and says what there is.
pub(crate) fn run(args: &BenchArgs) -> Result<Exit, CliError> {
    measure::run(&args.cells.output, |stop| measure(args, stop))
}

/// Measures this host.
pub(crate) fn measure(args: &BenchArgs, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let started_at = SystemTime::now();
    let mut scenario = scenario::bench(args)?;
    // The survey asks for this thread's cores, so it comes before anything is pinned.
    let mut facts = host::survey(Depth::Quick);
    let to = SocketAddr::new(scenario.to.unwrap_or(scenario.bind), scenario.port);
    let way = || host::device_towards(to, scenario.bind, scenario.ip.dev.as_deref());
    facts.device = if scenario.unix.is_none() { way() } else { None };
    let mut machine = host::machine(&facts);
    scenario::without_ip(&scenario, &mut machine);
    let left_out = scenario::resolve_defaults(&mut scenario, &args.cells, &machine);
    let (kind, bed, code_name, quiet) =
        ("bench", LocalRunner::default(), None, args.cells.output.common.quiet);
    let towards = scenario.unix.is_none().then_some(to);
    let job = Job {
        kind,
        scenario,
        machine,
        facts,
        left_out,
        bed,
        code_name,
        quiet,
        stop,
        started_at,
        towards,
    };
    measure::measure(job, |_report, _bed| {})
}
