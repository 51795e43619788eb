//! `udperf ab`: two settings, measured in turns, then compared.

mod arms;
mod child;
mod guard;
mod setup;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::compare::{exit, metrics, outputs, rules, write};
use crate::cli::args::AbArgs;
use crate::cli::commands::measure::stop_gently;
use crate::cli::document::head;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{pretty, warn_stderr};
use crate::cli::{noise, progress};
use crate::compare::order::{Arm, order};
use crate::compare::{self, Learned};
use crate::document::Report;
use crate::host;
use crate::host::Depth;
use crate::report::checks::warning_codes;
use crate::run::{Observer, Progress};
use arms::{AbSide, sides};
use setup::Setup;

pub(crate) fn run(args: &AbArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let sides = sides(args)?;
    let metrics = metrics(&args.verdict)?;
    let outputs = outputs(&args.output)?;
    let keep = args.keep.as_deref().map(Keep::new).transpose()?;
    let known = noise::read_or_begin(args.verdict.noise.as_deref())?;
    let is_alike = sides[0].is_like(&sides[1]);
    if is_alike {
        noise::target(args.verdict.noise.as_deref())?;
    }
    let stop = stop_gently()?;
    let head = head("ab", started_at, &host::survey(Depth::Quick));
    let mut bench = Bench {
        setups: [sides[0].setup()?, sides[1].setup()?],
        sides,
        runs: [Vec::new(), Vec::new()],
        keep,
    };
    let is_complete = bench.measure(args, &stop)?;
    let [a, b]: [Vec<&Report>; 2] = bench.runs.each_ref().map(|runs| runs.iter().collect());
    if a.is_empty() || b.is_empty() {
        return Ok(Exit::Interrupted);
    }
    let [from_a, from_b] = bench.sides.each_ref().map(AbSide::words);
    let mut comparison = compare::compare(compare::RunFacts {
        head,
        base: compare::SideRuns { from: &from_a, reports: &a },
        new: compare::SideRuns { from: &from_b, reports: &b },
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
        any_scenario: true,
        noise: known.as_ref().map(|(book, from)| (book, from.as_str())),
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
    let mut kept = Ok(None);
    // The spread of invalid runs is not noise.
    if is_complete && is_alike && comparison.invalid.is_empty() {
        let all: Vec<&Report> = a.iter().chain(&b).copied().collect();
        let mut book = known.map(|(book, _)| book).unwrap_or_default();
        let floors = book.learn(&all, &metrics, &comparison.head.started_at);
        kept = noise::write(args.verdict.noise.as_deref(), &book);
        let kept_in = kept.as_ref().ok().cloned().flatten();
        comparison.learned = Some(Learned { kept_in, floors });
        comparison.warnings.retain(|warning| warning.code != "noise_unknown");
    }
    write(&comparison, &outputs, &args.verdict)?;
    // A profile that cannot be written does not hide the verdict.
    kept?;
    Ok(if is_complete { exit(&comparison, &args.verdict) } else { Exit::Interrupted })
}

struct Bench {
    sides: [AbSide; 2],
    setups: [Option<Setup>; 2],
    runs: [Vec<Report>; 2],
    keep: Option<Keep>,
}

impl Bench {
    /// Runs both sides interleaved; returns whether all runs were made.
    fn measure(&mut self, args: &AbArgs, stop: &AtomicBool) -> Result<bool, CliError> {
        let warm = order(args.warm, args.seed.wrapping_add(1));
        let order = order(args.trials, args.seed);
        let all = warm.len() + order.len();
        let mut line = progress::ProgressLine::new(args.output.common.quiet);
        for (done, &arm) in warm.iter().chain(&order).enumerate() {
            let at = usize::from(arm == Arm::B);
            let id = self.sides[at].name;
            line.progress(Progress { id, done, of: all, cell_takes: None });
            let Some(report) = self.once(at, stop)? else { return Ok(false) };
            if done >= warm.len() {
                if let Some(keep) = &self.keep {
                    keep.put(id, self.runs[at].len(), &report)?;
                }
                self.runs[at].push(report);
            }
        }
        Ok(true)
    }

    /// One run with its setup; `None` if interrupted.
    fn once(&self, at: usize, stop: &AtomicBool) -> Result<Option<Report>, CliError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let standing = self.setups[at].as_ref().map(|setup| setup.apply(stop)).transpose();
        let standing = match standing {
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
            standing => standing?,
        };
        let report = child::run(&self.sides[at], self.runs[at].len() + 1, stop);
        let undone = standing.map_or(Ok(()), setup::SetupState::undo);
        if let (Err(_), Err(also)) = (&report, &undone) {
            warn_stderr(&also.to_string());
        }
        let report = report?;
        undone?;
        Ok(report)
    }
}

struct Keep {
    folder: PathBuf,
}

impl Keep {
    /// Creates the folders, which must be empty.
    fn new(folder: &Path) -> Result<Self, CliError> {
        for side in ["a", "b"] {
            let path = folder.join(side);
            let fails = |source| CliError::File { flag: "keep", path: path.clone(), source };
            std::fs::create_dir_all(&path).map_err(fails)?;
            if std::fs::read_dir(&path).map_err(fails)?.next().is_some() {
                let why =
                    format!("--keep {}: the folder is not empty; use a new one", path.display());
                return Err(CliError::Contradiction(why));
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn put(&self, side: &str, at: usize, report: &Report) -> Result<(), CliError> {
        let name = format!("{:03}.json", at + 1);
        let path = self.folder.join(side.to_ascii_lowercase()).join(name);
        crate::cli::output::OutputTarget::check("keep", &path)?.write(&pretty(report))
    }
}
