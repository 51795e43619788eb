//! `udperf bench`: sender and receiver in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use crate::cli::args::BenchArgs;
use crate::cli::commands::measure;
use crate::cli::commands::measure::{Job, RunOutput, Start};
use crate::cli::error::{CliError, Exit};
use crate::cli::scenario;
use crate::run::LocalRunner;

pub(crate) fn run(args: &BenchArgs) -> Result<Exit, CliError> {
    measure::run(&args.cells.output, |stop| measure(args, stop))
}

pub(crate) fn measure(args: &BenchArgs, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let started_at = SystemTime::now();
    let mut scenario = scenario::bench(args)?;
    let mut start = Start::on_this_host("bench", args.cells.output.common.quiet, stop, started_at);
    let to = SocketAddr::new(scenario.to.unwrap_or(scenario.bind), scenario.port);
    let towards = scenario.unix.is_none().then_some(to);
    scenario::without_ip(&scenario, &mut start.machine);
    let left_out = scenario::resolve_defaults(&mut scenario, &args.cells, &start.machine);
    let mut job = Job::new(start, scenario, LocalRunner::default(), towards);
    job.left_out = left_out;
    measure::measure(job, |_report, _runner| {})
}
