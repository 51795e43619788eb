//! `udperf ab`: two settings, measured in turns, then compared.

mod process;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use clap::{CommandFactory, Parser};

use super::compare::{exit, metrics, noise_target, read_noise, rules, write, write_noise};
use super::load::has_no_rate;
use super::measure::head;
use crate::cli::args::{self, AbArgs, CellCommand, Cli, Command, hide_in_text};
use crate::cli::error::{CliError, CliResult, Exit, usage};
use crate::cli::output::{OutputTarget, Outputs, pretty, warn_stderr};
use crate::cli::progress::ProgressLine;
use crate::cli::stop::stop_gently;
use crate::compare::stats::block_order;
use crate::compare::store::reason;
use crate::compare::{self, Comparison, Learned, RunFacts, SideRuns, StepRun};
use crate::document::Report;
use crate::host::{self, Depth};
use crate::report::checks::warning_codes;
use crate::report::read::WITH_CELLS;
use crate::run::{Observer, Progress};
use process::{Setup, SetupState, measure_in_child};

pub(crate) fn run(args: &AbArgs) -> CliResult {
    let started_at = SystemTime::now();
    let sides = sides(args)?;
    let metrics = metrics(&args.verdict);
    let outputs = Outputs::check::<Comparison>(&args.output.common, &args.output.files())?;
    args.keep.as_deref().map_or(Ok(()), create_folders)?;
    let noise_file = args.verdict.noise.as_deref();
    let known = read_noise(noise_file, true)?;
    let is_alike = sides[0].is_like(&sides[1]);
    if is_alike {
        noise_target(noise_file)?;
    }
    let stop = stop_gently()?;
    let head = head("ab", &args.output.common, started_at, &host::host_info(Depth::Quick));
    let setups = [sides[0].setup()?, sides[1].setup()?];
    let mut run = AbRun { sides, setups, reports: Default::default(), keep: args.keep.clone() };
    let is_complete = run.measure(args, &stop)?;
    let [a, b] = run.reports.each_ref().map(StepRun::all);
    let without_run = &BTreeSet::new();
    if a.is_empty() || b.is_empty() {
        return Ok(Exit::Interrupted);
    }
    let [from_a, from_b] = run.sides.each_ref().map(AbSide::words);
    let mut comparison = compare::compare(RunFacts {
        head,
        base: SideRuns { from: &from_a, runs: &a, without_run },
        new: SideRuns { from: &from_b, runs: &b, without_run },
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
        any_scenario: true,
        noise: known.as_ref().map(|(profile, from)| (profile, from.as_str())),
    })?;
    if !is_complete {
        let message = format!(
            "interrupted after {} of {} runs of A and {} of B, so there is no result; repeat it",
            a.len(),
            args.trials,
            b.len(),
        );
        comparison.warnings.insert(0, warning_codes::INTERRUPTED.warning(message));
    }
    let mut stored = Ok(None);
    // The spread of invalid runs is not noise.
    if is_complete && is_alike && comparison.invalid.is_empty() {
        let all: Vec<&Report> = a.iter().chain(&b).map(|run| run.report).collect();
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

/// Checks what can be checked before anything is sent.
pub(crate) fn check(args: &AbArgs) -> CliResult<()> {
    Outputs::check::<Comparison>(&args.output.common, &args.output.files())?;
    let sides = sides(args)?;
    sides.iter().try_for_each(|side| side.setup().map(drop))
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
            line.progress(Progress { id, done, of: all, cell_takes: None, live: None });
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
        let report = measure_in_child(program, args, stop)
            .map_err(|why| CliError::Failed(format!("run {number} of {side}: {why}")));
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

#[derive(Debug, Clone, PartialEq, Eq)]
struct AbSide {
    name: &'static str,
    program: PathBuf,
    is_other: bool,
    args: Vec<String>,
    flags: String,
    setup: Option<(String, Option<String>)>,
}

fn sides(args: &AbArgs) -> CliResult<[AbSide; 2]> {
    let word = args.command.first().map_or("", String::as_str);
    if !WITH_CELLS.contains(&word) {
        let names = WITH_CELLS.join(", ");
        return usage(format!("ab cannot run '{word}'; name one of {names} after --"));
    }
    let failed = |path: &Path, why: String| {
        let path = path.display();
        CliError::Failed(format!("cannot run {path}: {why}; give the path of a udperf"))
    };
    let own = std::env::current_exe();
    let own = own.map_err(|error| failed(Path::new("udperf"), error.to_string()))?;
    let side = |name: &'static str, flags: &String, program: &Option<PathBuf>, setup| {
        let lower = name.to_ascii_lowercase();
        let Some(words) = shlex::split(flags) else {
            return usage(format!("--{lower} '{flags}' has an unclosed quote; close it"));
        };
        let is_other = program.is_some();
        let path = program.as_ref().unwrap_or(&own);
        // An absolute path: children would look for a bare name in PATH.
        let program = path.canonicalize().map_err(|error| failed(path, reason(&error)))?;
        let side = AbSide {
            name,
            is_other,
            program,
            args: with_rate(args.command.iter().chain(&words).cloned().collect()),
            flags: flags.clone(),
            setup,
        };
        side.check()?;
        match twice(&args.command, &words) {
            Some(flag) => usage(format!(
                "{flag} is in the command and in --{lower}: it would have both values; omit it \
                 after --, and name it in --a and --b"
            )),
            None => Ok(side),
        }
    };
    let setup_a = args.setup_a.clone().map(|setup| (setup, args.undo_a.clone()));
    let setup_b = args.setup_b.clone().map(|setup| (setup, args.undo_b.clone()));
    Ok([side("A", &args.a, &args.bin_a, setup_a)?, side("B", &args.b, &args.bin_b, setup_b)?])
}

/// The words of a run. Both settings get the same load: `load` without a rate has 1k, as it would
/// choose another one in each run.
fn with_rate(mut words: Vec<String>) -> Vec<String> {
    let cli = Cli::try_parse_from(["udperf"].into_iter().chain(words.iter().map(String::as_str)));
    if let Ok(Cli { command: Command::Measure(CellCommand::Load(args)), .. }) = cli
        && args.requests.probe != Some(true)
        && has_no_rate(&args.exchange)
    {
        words.extend(["--rate", "1k"].map(str::to_owned));
    }
    words
}

/// The first flag of a side that the command has, too: a list would grow, not be replaced.
fn twice(command: &[String], side: &[String]) -> Option<String> {
    let program = Cli::command();
    let known = program.find_subcommand(command.first()?)?;
    let flag = |word: &String| {
        let rest = word.strip_prefix('-')?;
        let mut args = known.get_arguments().filter(|arg| !arg.is_positional());
        let arg = args.find(|arg| match rest.strip_prefix('-') {
            Some(long) => arg.get_long() == long.split('=').next(),
            None => rest.starts_with(|short| arg.get_short() == Some(short)),
        });
        arg.map(|arg| arg.get_id().clone())
    };
    let of_command: Vec<_> = command.iter().filter_map(flag).collect();
    side.iter().find(|word| flag(word).is_some_and(|id| of_command.contains(&id))).cloned()
}

impl AbSide {
    /// Whether both sides are equal, so that they differ by noise only.
    fn is_like(&self, other: &Self) -> bool {
        self.program == other.program && self.args == other.args && self.setup == other.setup
    }

    fn words(&self) -> String {
        let mut words = Vec::new();
        if self.is_other {
            words.push(self.program.display().to_string());
        }
        words.extend((!self.flags.is_empty()).then(|| hide_in_text(self.flags.clone())));
        words.extend(self.setup.as_ref().map(|(setup, _)| format!("after '{setup}'")));
        if words.is_empty() { "as it is".to_owned() } else { words.join(" ") }
    }

    fn setup(&self) -> CliResult<Option<Setup>> {
        let Some((command, undo)) = &self.setup else { return Ok(None) };
        Setup::new(self.name, command, undo.as_deref()).map(Some)
    }

    /// Refuses what this program does not understand; another program may understand more.
    fn check(&self) -> CliResult<()> {
        let words = ["udperf"].into_iter().chain(self.args.iter().map(String::as_str));
        let cli = match Cli::try_parse_from(words) {
            Ok(cli) => cli,
            Err(_) if self.is_other => return Ok(()),
            Err(error) => {
                let (name, command, text) = (self.name, &self.args[0], args::reason(&error));
                return usage(format!("{name}: {text}; see udperf {command} --help"));
            }
        };
        let Command::Measure(command) = &cli.command else { return Ok(()) };
        let cells = command.cells();
        let output = &cells.output;
        if output.common.json.is_some()
            || output.common.html.is_some()
            || output.files().iter().any(|(_, file)| file.is_some())
            || output.is_gated()
            || output.common.quiet
            || cells.telemetry.is_some()
            || cells.trials != 1
        {
            return usage(
                "--trials, --fail-if, -q, -J, --metrics, --live and files are for single runs; \
                 omit them and give ab its own --trials, -q, -J and --html",
            );
        }
        Ok(())
    }
}
