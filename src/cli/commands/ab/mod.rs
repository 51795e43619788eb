//! `udperf ab`: two settings, measured in turns, then compared.

mod arms;
mod child;
mod setup;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::compare::{exit, metrics, noise_target, read_noise, rules, write, write_noise};
use super::measure::{head, stop_gently};
use crate::cli::args::AbArgs;
use crate::cli::error::{CliError, CliResult, Exit, usage};
use crate::cli::output::{OutputTarget, Outputs, pretty, warn_stderr};
use crate::cli::progress::ProgressLine;
use crate::compare::stats::block_order;
use crate::compare::{self, Comparison, Learned, RunFacts, SideRuns};
use crate::document::Report;
use crate::host::{self, Depth};
use crate::report::checks::warning_codes;
use crate::run::{Observer, Progress};
use arms::{AbSide, sides};
use setup::{Setup, SetupState};

pub(crate) fn run(args: &AbArgs) -> CliResult {
    let started_at = SystemTime::now();
    let sides = sides(args)?;
    let metrics = metrics(&args.verdict)?;
    let outputs = Outputs::check::<Comparison>(&args.output.common, &args.output.files())?;
    args.keep.as_deref().map_or(Ok(()), create_folders)?;
    let noise_file = args.verdict.noise.as_deref();
    let known = read_noise(noise_file, true)?;
    let is_alike = sides[0].is_like(&sides[1]);
    if is_alike {
        noise_target(noise_file)?;
    }
    let stop = stop_gently()?;
    let head = head("ab", started_at, &host::survey(Depth::Quick));
    let setups = [sides[0].setup()?, sides[1].setup()?];
    let mut run = AbRun { sides, setups, reports: Default::default(), keep: args.keep.clone() };
    let is_complete = run.measure(args, &stop)?;
    let [a, b]: [Vec<&Report>; 2] = run.reports.each_ref().map(|runs| runs.iter().collect());
    if a.is_empty() || b.is_empty() {
        return Ok(Exit::Interrupted);
    }
    let [from_a, from_b] = run.sides.each_ref().map(AbSide::words);
    let mut comparison = compare::compare(RunFacts {
        head,
        base: SideRuns { from: &from_a, reports: &a },
        new: SideRuns { from: &from_b, reports: &b },
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
        any_scenario: true,
        noise: known.as_ref().map(|(profile, from)| (profile, from.as_str())),
    })?;
    if !is_complete {
        let message = format!(
            "interrupted after {} of {} runs of A and {} of B; they have no result",
            a.len(),
            args.trials,
            b.len(),
        );
        comparison.warnings.insert(0, warning_codes::INTERRUPTED.warning(message));
    }
    let mut stored = Ok(None);
    // The spread of invalid runs is not noise.
    if is_complete && is_alike && comparison.invalid.is_empty() {
        let all: Vec<&Report> = a.iter().chain(&b).copied().collect();
        let mut profile = known.map(|(profile, _)| profile).unwrap_or_default();
        let floors = profile.learn(&all, &metrics, &comparison.head.started_at);
        stored = write_noise(noise_file, &profile);
        let kept_in = stored.as_ref().ok().cloned().flatten();
        comparison.learned = Some(Learned { kept_in, floors });
        comparison.warnings.retain(|warning| warning.code != "noise_unknown");
    }
    write(&comparison, &outputs, &args.verdict)?;
    // A profile that cannot be written does not hide the verdict.
    stored?;
    Ok(if is_complete { exit(&comparison, &args.verdict) } else { Exit::Interrupted })
}

struct AbRun {
    sides: [AbSide; 2],
    setups: [Option<Setup>; 2],
    reports: [Vec<Report>; 2],
    keep: Option<PathBuf>,
}

impl AbRun {
    /// Runs both sides interleaved; returns whether all runs were made.
    fn measure(&mut self, args: &AbArgs, stop: &AtomicBool) -> CliResult<bool> {
        let warm = block_order(args.warm, args.seed.wrapping_add(1));
        let order = block_order(args.trials, args.seed);
        let all = warm.len() + order.len();
        let mut line = ProgressLine::new(args.output.common.quiet);
        for (done, &at) in warm.iter().chain(&order).enumerate() {
            let id = self.sides[at].name;
            line.progress(Progress { id, done, of: all, cell_takes: None });
            let Some(report) = self.measure_once(at, stop)? else { return Ok(false) };
            if done >= warm.len() {
                if let Some(folder) = &self.keep {
                    let name = format!("{:03}.json", self.reports[at].len() + 1);
                    let path = folder.join(id.to_ascii_lowercase()).join(name);
                    OutputTarget::check("keep", &path)?.write(&pretty(&report))?;
                }
                self.reports[at].push(report);
            }
        }
        Ok(true)
    }

    fn measure_once(&self, at: usize, stop: &AtomicBool) -> CliResult<Option<Report>> {
        let is_stopped = || stop.load(Ordering::Relaxed);
        if is_stopped() {
            return Ok(None);
        }
        let setup = match self.setups[at].as_ref().map(|setup| setup.apply(stop)).transpose() {
            Err(_) if is_stopped() => return Ok(None),
            setup => setup?,
        };
        let AbSide { name: side, program, args, .. } = &self.sides[at];
        let number = self.reports[at].len() + 1;
        let report =
            child::run(program, args, stop).map_err(|why| CliError::Arm { side, number, why });
        let undone = setup.map_or(Ok(()), SetupState::undo);
        if let (Err(_), Err(error)) = (&report, &undone) {
            warn_stderr(&error.to_string());
        }
        let report = report?;
        undone.map(|()| report)
    }
}

fn create_folders(folder: &Path) -> CliResult<()> {
    for path in ["a", "b"].map(|side| folder.join(side)) {
        let failed = |source| CliError::File { flag: "keep", path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        if std::fs::read_dir(&path).map_err(failed)?.next().is_some() {
            let path = path.display();
            return usage(format!("--keep {path}: the folder is not empty; use a new one"));
        }
    }
    Ok(())
}
