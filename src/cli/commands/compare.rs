//! `udperf compare`: from stored runs to a verdict.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::args::{CompareArgs, VerdictArgs, VerdictOutput};
use crate::cli::document::head;
use crate::cli::error::{CliError, Exit};
use crate::cli::noise;
use crate::cli::output::{Outputs, warn_stderr};
use crate::compare;
use crate::compare::{Comparison, METRICS, Rules, SideRuns, Verdict, store};
use crate::document::Report;
use crate::host;
use crate::host::Depth;
use crate::report::checks::metric::Metric;
use crate::report::format::RenderOptions;

pub(crate) fn run(args: &CompareArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let mut outputs = outputs(&args.output)?;
    let inputs = [Some(&args.base), Some(&args.new), args.verdict.noise.as_ref()];
    outputs.spare(inputs.into_iter().flatten().map(PathBuf::as_path))?;
    let metrics = metrics(&args.verdict)?;
    let mut load = |path: &Path| load(path, &args.output, &mut outputs);
    let (base, new) = (load(&args.base)?, load(&args.new)?);
    let noise = noise::read(args.verdict.noise.as_deref())?;
    let shown = |path: &Path| path.display().to_string();
    let (base_from, new_from) = (shown(&args.base), shown(&args.new));
    let (base, new): (Vec<&Report>, Vec<&Report>) = (base.iter().collect(), new.iter().collect());
    let comparison = compare::compare(compare::RunFacts {
        head: head("compare", started_at, &host::survey(Depth::Quick)),
        base: SideRuns { from: &base_from, reports: &base },
        new: SideRuns { from: &new_from, reports: &new },
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
        any_scenario: args.any_scenario,
        noise: noise.as_ref().map(|(book, from)| (book, from.as_str())),
    })?;
    write(&comparison, &outputs, &args.verdict)?;
    Ok(exit(&comparison, &args.verdict))
}

fn load(
    path: &Path,
    output: &VerdictOutput,
    outputs: &mut Outputs,
) -> Result<Vec<Report>, CliError> {
    let store::Loaded { runs, skipped } = store::load(path)?;
    outputs.spare(runs.iter().map(|run| run.path.as_path()))?;
    if !output.common.quiet {
        for (path, why) in skipped {
            warn_stderr(&format!("skipped {}: {why}", path.display()));
        }
    }
    let mut reports: Vec<Report> = Vec::new();
    for store::Stored { path, report } in runs {
        // A copy does not count as a run.
        if reports.contains(&report) {
            warn_stderr(&format!(
                "{} is a copy of another run, and is not counted",
                path.display()
            ));
        } else {
            reports.push(report);
        }
    }
    Ok(reports)
}

pub(crate) fn metrics(args: &VerdictArgs) -> Result<Vec<&'static Metric>, CliError> {
    let named = |name: &str| {
        Metric::named(name.trim()).ok_or_else(|| {
            let list = crate::report::checks::metric::list();
            CliError::Contradiction(format!("--metric '{name}': unknown metric; use one of {list}"))
        })
    };
    if args.metrics.is_empty() {
        return METRICS.into_iter().map(named).collect();
    }
    let mut metrics: Vec<&'static Metric> = Vec::new();
    for name in &args.metrics {
        let metric = named(name)?;
        if metric.better == crate::report::checks::metric::Better::Neither {
            let why = format!("--metric {name} is neither better nor worse; choose another");
            return Err(CliError::Contradiction(why));
        }
        if !metrics.iter().any(|known| known.name == metric.name) {
            metrics.push(metric);
        }
    }
    Ok(metrics)
}

pub(crate) fn rules(args: &VerdictArgs) -> Rules {
    Rules { tolerance: args.tolerance, share_floor: args.loss_floor, ..Rules::default() }
}

pub(crate) fn exit(comparison: &Comparison, args: &VerdictArgs) -> Exit {
    match comparison.verdict {
        Verdict::CannotCompare => Exit::Invalid,
        Verdict::Worse => Exit::ConditionHeld,
        Verdict::Undecided if !args.allow_undecided => Exit::Undecided,
        Verdict::Undecided | Verdict::Better | Verdict::Same => Exit::Well,
    }
}

pub(crate) fn outputs(output: &VerdictOutput) -> Result<Outputs, CliError> {
    Outputs::check::<Comparison>(&output.common, &output.files())
}

pub(crate) fn write(
    comparison: &Comparison,
    outputs: &Outputs,
    args: &VerdictArgs,
) -> Result<(), CliError> {
    let is_strict = !args.allow_undecided;
    outputs.write(comparison, &RenderOptions { is_strict, ..RenderOptions::default() })
}
