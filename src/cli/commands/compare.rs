//! `udperf compare`: from stored runs to a verdict.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::measure::head;
use crate::cli::args::{CompareArgs, VerdictArgs};
use crate::cli::error::{CliError, CliResult, Exit};
use crate::cli::output::{OutputTarget, Outputs, pretty, shown, warn_stderr};
use crate::compare::noise::{self, NoiseProfile};
use crate::compare::{
    self, Comparison, METRICS, Rules, RunFacts, SideRuns, StepRun, Verdict, store,
};
use crate::host::{self, Depth};
use crate::report::checks::metric::Metric;
use crate::report::format::{RenderOptions, text::style::distinct};

pub(crate) fn run(args: &CompareArgs) -> CliResult {
    let started_at = SystemTime::now();
    let mut outputs = Outputs::check::<Comparison>(&args.output.common, &args.output.files())?;
    outputs.is_repeatable = true;
    let inputs = [Some(&args.base), Some(&args.new), args.verdict.noise.as_ref()];
    outputs.protect(inputs.into_iter().flatten().map(PathBuf::as_path))?;
    let metrics = metrics(&args.verdict);
    let mut load = |path: &Path| load(path, args.output.common.quiet, &mut outputs);
    let (base, new) = (load(&args.base)?, load(&args.new)?);
    let noise = read_noise(args.verdict.noise.as_deref(), false)?;
    let [base_from, new_from] = [&args.base, &args.new].map(|path| shown(path));
    let comparison = compare::compare(RunFacts {
        head: head("compare", &args.output.common, started_at, &host::host_info(Depth::Quick)),
        base: side(&base_from, &base, &of_steps(&base)),
        new: side(&new_from, &new, &of_steps(&new)),
        any_scenario: args.any_scenario,
        noise: noise.as_ref().map(|(profile, from)| (profile, from.as_str())),
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
    })?;
    write(&comparison, &outputs, &args.verdict)?;
    Ok(exit(&comparison, &args.verdict))
}

/// Checks what can be checked before the runs of both sides exist.
pub(crate) fn check(args: &CompareArgs) -> CliResult<()> {
    Outputs::check::<Comparison>(&args.output.common, &args.output.files())?;
    read_noise(args.verdict.noise.as_deref(), false).map(drop)
}

fn load(path: &Path, quiet: bool, outputs: &mut Outputs) -> CliResult<store::Loaded> {
    let mut loaded = store::load_with_steps(path)?;
    outputs.protect(loaded.runs.iter().map(|run| run.path.as_path()))?;
    for (path, why) in loaded.skipped.iter().filter(|_| !quiet) {
        warn_stderr(&format!("skipped {}: {why}", path.display()));
    }
    let mut runs: Vec<store::Stored> = Vec::new();
    for run in std::mem::take(&mut loaded.runs) {
        // A copy does not count as a run.
        if runs.iter().any(|other| other.report == run.report) {
            let path = run.path.display();
            warn_stderr(&format!("{path} is a copy of another run, and is not counted"));
        } else {
            runs.push(run);
        }
    }
    loaded.runs = runs;
    Ok(loaded)
}

fn of_steps(loaded: &store::Loaded) -> Vec<StepRun<'_>> {
    let runs = loaded.runs.iter();
    runs.map(|run| StepRun { step: run.step.as_deref(), report: &run.report }).collect()
}

fn side<'a>(from: &'a str, loaded: &'a store::Loaded, runs: &'a [StepRun<'a>]) -> SideRuns<'a> {
    SideRuns { from, runs, without_run: &loaded.without_run }
}

pub(crate) fn metrics(args: &VerdictArgs) -> Vec<&'static Metric> {
    let requested = distinct(args.metrics.iter().map(|metric| metric.name));
    let names = if requested.is_empty() { METRICS.to_vec() } else { requested };
    names.into_iter().filter_map(Metric::named).collect()
}

pub(crate) fn rules(args: &VerdictArgs) -> Rules {
    Rules { tolerance: args.tolerance, share_floor: args.loss_floor, ..Rules::default() }
}

pub(crate) fn exit(comparison: &Comparison, args: &VerdictArgs) -> Exit {
    match comparison.verdict {
        Verdict::CannotCompare => Exit::Invalid,
        Verdict::Worse => Exit::ConditionHeld,
        Verdict::Undecided if !args.allow_undecided => Exit::Undecided,
        Verdict::Undecided | Verdict::Better | Verdict::Same => Exit::Success,
    }
}

pub(crate) fn write(
    comparison: &Comparison,
    outputs: &Outputs,
    args: &VerdictArgs,
) -> CliResult<()> {
    let is_strict = !args.allow_undecided;
    outputs.write(comparison, &RenderOptions { is_strict, ..RenderOptions::default() })
}

/// The noise profile and its path; `None` if there is none, or `none` was asked for. The default
/// file need not exist, nor one that `is_new`.
pub(crate) fn read_noise(
    option: Option<&Path>,
    is_new: bool,
) -> CliResult<Option<(NoiseProfile, String)>> {
    let Some(path) = noise_path(option) else { return Ok(None) };
    let failed = |why| CliError::Input { flag: "noise", path: path.clone(), why };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && (is_new || option.is_none()) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(format!("{}; measure it with udperf ab", error.kind()))),
        Ok(text) => text,
    };
    let profile: NoiseProfile = serde_json::from_str(&text)
        .map_err(|error| failed(format!("not a noise file of udperf ({error}); remove it")))?;
    let (schema, expected) = (&profile.schema, noise::SCHEMA);
    if schema != expected {
        return Err(failed(format!("its schema is {schema}, not {expected}; remove it")));
    }
    Ok(Some((profile, shown(&path))))
}

pub(crate) fn write_noise(
    option: Option<&Path>,
    profile: &NoiseProfile,
) -> CliResult<Option<String>> {
    let Some((target, path)) = noise_target(option)? else { return Ok(None) };
    target.write(&pretty(profile))?;
    Ok(Some(shown(&path)))
}

/// The file, checked to be writable; creates the folder of the default one.
pub(crate) fn noise_target(option: Option<&Path>) -> CliResult<Option<(OutputTarget, PathBuf)>> {
    let Some(path) = noise_path(option) else { return Ok(None) };
    if let (None, Some(folder)) = (option, path.parent()) {
        let failed = |source| CliError::File { flag: "noise", path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    Ok(Some((OutputTarget::check("noise", &path)?, path)))
}

fn noise_path(option: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = option {
        return (path.as_os_str() != "none").then(|| path.to_owned());
    }
    let folder =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // The XDG Base Directory Specification, 0.8.
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("udperf/noise.json"))
}
