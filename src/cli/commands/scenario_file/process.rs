//! Runs each step as a process, and reads the document and the error that it leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::file::{Baseline, PlannedStep};
use super::result::{self, Ended};
use crate::cli::args::ScenarioArgs;
use crate::cli::error::{CliError, CliResult, Exit, worst};
use crate::cli::output::{DOCUMENT_OF_STEP, ERROR_OF_STEP, STEP_FOLDER, pretty, warn_stderr};
use crate::cli::stop::StopFlag;
use crate::compare::store;
use crate::scenario_result::{CommandDocument, ScenarioDocument, ScenarioStep, run_of};
use crate::sys;

/// Interval between checks for the end of a step. Arbitrary: seldom enough not to disturb it.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Runner<'a> {
    program: PathBuf,
    /// The folder for documents and errors of steps; removed at the end.
    folder: TempDir,
    /// Flags of `run` that all steps get.
    flags: Vec<String>,
    /// Whether reports of steps go to standard output.
    shows: bool,
    stop: &'a StopFlag,
}

impl<'a> Runner<'a> {
    pub(super) fn new(args: &ScenarioArgs, shows: bool, stop: &'a StopFlag) -> CliResult<Self> {
        let failed = |what: &str, error: io::Error| {
            CliError::Failed(format!("cannot {what}: {error}; see TMPDIR"))
        };
        let program = std::env::current_exe().map_err(|error| failed("find udperf", error))?;
        let folder = tempfile::tempdir().map_err(|error| failed("make a folder", error))?;
        let color = args.output.color.to_string();
        let flags = [
            (args.output.quiet, "--quiet".to_owned()),
            (args.output.verbose, "--verbose".to_owned()),
            (color != "auto", format!("--color={color}")),
        ];
        let flags = flags.into_iter().filter_map(|(is_given, flag)| is_given.then_some(flag));
        Ok(Self { program, folder, flags: flags.collect(), shows, stop })
    }

    /// Runs a step, compares it with its baseline, and fills in the result.
    pub(super) fn step(
        &self,
        earlier: &[ScenarioStep],
        step: &PlannedStep,
        result: &mut ScenarioStep,
    ) -> Exit {
        let number = earlier.len();
        let ended = or_failed(self.run(&number.to_string(), &step.words));
        let mut exits = vec![ended.exit];
        result.result =
            result::of_step(ended.exit, ended.document.as_ref(), ended.error.as_deref());
        result.error = ended.error;
        result.document = ended.document;
        let has_document = matches!(result.document, Some(CommandDocument::Run(_)));
        let has_ended = !matches!(ended.exit, Exit::Interrupted);
        if let Some(baseline) = step.baseline.as_ref().filter(|_| has_document && has_ended) {
            let compared = or_failed(self.compare(earlier, baseline, result));
            exits.push(compared.exit);
            result.result += &format!("; {}", result::of_verdict(&compared));
            if let Some(CommandDocument::Verdict(verdict)) = compared.document {
                result.verdict = Some(verdict);
            }
        }
        let exit = worst(exits);
        result.exit = Some(exit as u8);
        exit
    }

    fn compare(
        &self,
        earlier: &[ScenarioStep],
        baseline: &Baseline,
        result: &ScenarioStep,
    ) -> CliResult<Ended> {
        let number = earlier.len();
        let path = |name: &str| self.folder.path().join(format!("{number}-{name}.json"));
        let mut base = PathBuf::from(&baseline.base);
        if baseline.is_step {
            let Some(document) = run_of(earlier, &baseline.base) else {
                let why = format!("step '{}' has no run", baseline.base);
                return Err(CliError::Failed(why));
            };
            base = path("base");
            write(&base, &pretty(document))?;
        // A document of all steps has the same step.
        } else if let Some(kept) = ScenarioDocument::read(&base).transpose()? {
            base = path("base");
            if let Some(document) = kept.document_of(&result.name) {
                write(&base, &pretty(document))?;
            }
        }
        let new = path("new");
        write(&new, &pretty(&result.document))?;
        let mut words = baseline.flags.clone();
        words.extend([&base, &new].map(|path| path.display().to_string()));
        self.run(&format!("{number}-compare"), &words)
    }

    fn run(&self, name: &str, words: &[String]) -> CliResult<Ended> {
        let folder = self.folder.path().join(name);
        let failed = |error: io::Error| CliError::Failed(format!("cannot run the step: {error}"));
        fs::create_dir(&folder).map_err(failed)?;
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let is_new = |flag: &&String| {
            let name = flag.split('=').next().unwrap_or_default();
            !words[..end].iter().any(|word| word.starts_with(name))
        };
        let mut command = Command::new(&self.program);
        command.args(&words[..1]).args(self.flags.iter().filter(is_new)).args(&words[1..]);
        command.env(STEP_FOLDER, &folder);
        if !self.shows {
            command.stdout(Stdio::null());
        }
        let mut child = sys::end_with_parent(&mut command).spawn().map_err(failed)?;
        let status = self.wait(&mut child).map_err(failed)?;
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let document = read(DOCUMENT_OF_STEP).map(|text| CommandDocument::read(&text)).transpose();
        let error = read(ERROR_OF_STEP);
        let (document, error) = match document {
            Ok(document) => (document, error),
            Err(why) => (None, Some(format!("its document: {why}"))),
        };
        let exit = exit(status);
        let is_silent = document.is_none() && error.is_none() && exit != Exit::Interrupted;
        let error = if is_silent { Some(format!("no document, {status}")) } else { error };
        Ok(Ended { exit, document, error })
    }

    /// Waits for the end of the process. Passes a signal on, once.
    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut is_told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if !is_told && self.stop.load(Ordering::Relaxed) {
                sys::interrupt(child)?;
                is_told = true;
            }
            thread::sleep(LOOK);
        }
    }
}

/// A process that did not start, or left no valid document, failed; later steps still run.
fn or_failed(ended: CliResult<Ended>) -> Ended {
    ended.unwrap_or_else(|error| {
        warn_stderr(&error.to_string());
        Ended { exit: error.exit(), document: None, error: Some(error.to_string()) }
    })
}

/// The exit code; of a process that a signal killed, that of a failure.
fn exit(status: ExitStatus) -> Exit {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.and_then(Exit::of).unwrap_or(Exit::Failed)
}

fn write(path: &Path, text: &str) -> CliResult<()> {
    let failed = |error| CliError::Failed(format!("cannot write {}: {error}", path.display()));
    fs::write(path, text).map_err(failed)
}

/// Refuses a baseline that is neither a run nor a document with a run of this step.
pub(super) fn check_baseline(step: &str, baseline: &Baseline) -> CliResult<()> {
    let path = Path::new(&baseline.base);
    match ScenarioDocument::read(path).transpose()? {
        Some(kept) if kept.document_of(step).is_none() => Err(CliError::Failed(format!(
            "the baseline {} has no run of a step '{step}'; run it there, or omit the baseline",
            path.display()
        ))),
        Some(_) => Ok(()),
        None => Ok(store::load(path).map(drop)?),
    }
}
