//! `udperf compare`: from stored runs to a verdict.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::args::{CompareArgs, VerdictArgs, VerdictOutput};
use crate::cli::document::{now, tool};
use crate::cli::error::{CliError, Exit};
use crate::cli::noise;
use crate::cli::output::{Targets, color, pretty, print, tame, warn_stderr, width};
use crate::compare;
use crate::compare::formats::benchmark::BetterDirection;
use crate::compare::{Comparison, METRICS, Rules, SideRuns, Verdict, formats, store};
use crate::document::{Host, Report};
use crate::host;
use crate::host::Depth;
use crate::report::checks::metric::Metric;
use crate::report::format::text::Style;

/// Compares.
pub(crate) fn run(args: &CompareArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let faces = Faces::check(&args.output)?;
    let metrics = metrics(&args.verdict)?;
    let (base, new) = (load(&args.base, &args.output)?, load(&args.new, &args.output)?);
    let noise = noise::read(args.verdict.noise.as_deref())?;
    let shown = |path: &Path| path.display().to_string();
    let (base_from, new_from) = (shown(&args.base), shown(&args.new));
    let (base, new): (Vec<&Report>, Vec<&Report>) = (base.iter().collect(), new.iter().collect());
    let comparison = compare::compare(compare::RunFacts {
        kind: "compare",
        tool: tool(),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        started_at: now(started_at),
        host: host(),
        base: SideRuns { from: &base_from, reports: &base },
        new: SideRuns { from: &new_from, reports: &new },
        rules: &rules(&args.verdict),
        metrics: &metrics,
        named: !args.verdict.metrics.is_empty(),
        any_scenario: args.any_scenario,
        noise: noise.as_ref().map(|(book, from)| (book, from.as_str())),
    })?;
    faces.show(&comparison, &args.output, &args.verdict)?;
    Ok(exit(&comparison, &args.verdict))
}

/// This host, for the document.
pub(crate) fn host() -> Host {
    crate::report::host(&host::survey(Depth::Quick))
}

/// All runs there; what is skipped is said.
fn load(path: &Path, output: &VerdictOutput) -> Result<Vec<Report>, CliError> {
    let store::Loaded { runs, skipped } = store::load(path)?;
    if !output.quiet {
        for (path, why) in skipped {
            warn_stderr(&format!("skipped {}: {why}", path.display()));
        }
    }
    let mut reports: Vec<Report> = Vec::new();
    for store::Stored { path, report } in runs {
        // A copy is no other run.
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

/// What is compared.
pub(crate) fn metrics(args: &VerdictArgs) -> Result<Vec<&'static Metric>, CliError> {
    let named = |name: &str| {
        Metric::named(name.trim()).ok_or_else(|| {
            let list = crate::report::checks::metric::list();
            CliError::Contradiction(format!("--metric '{name}': there is none; there are {list}"))
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

/// What counts as a difference.
pub(crate) fn rules(args: &VerdictArgs) -> Rules {
    Rules { tolerance: args.tolerance, share_floor: args.loss_floor, ..Rules::default() }
}

/// How to end.
pub(crate) fn exit(comparison: &Comparison, args: &VerdictArgs) -> Exit {
    match comparison.verdict {
        Verdict::CannotCompare => Exit::Invalid,
        Verdict::Worse => Exit::ConditionHeld,
        Verdict::Undecided if !args.allow_undecided => Exit::Undecided,
        Verdict::Undecided | Verdict::Better | Verdict::Same => Exit::Well,
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// The document.
    Json,
    /// The verdict, for a merge request.
    Markdown,
    /// The verdict, for a CI server.
    Junit,
    /// The new figures, for github-action-benchmark.
    Benchmark(BetterDirection),
    /// The new figures, for Bencher.
    Bmf,
}

/// The files that a verdict was asked to be written to.
pub(crate) struct Faces(Targets<Form>);

impl Faces {
    /// Finds out whether all can be written, before anything is measured or read.
    pub(crate) fn check(output: &VerdictOutput) -> Result<Self, CliError> {
        if output.json_to_stdout() && output.markdown_to_stdout() {
            let why = "--json and --markdown cannot both go to standard output; give one =FILE";
            return Err(CliError::Contradiction(why.to_owned()));
        }
        let json = output.json.as_deref().filter(|_| !output.json_to_stdout());
        let markdown = output.markdown.as_deref().filter(|_| !output.markdown_to_stdout());
        let [bigger, smaller] =
            [BetterDirection::Bigger, BetterDirection::Smaller].map(|direction| {
                let path = output.benchmark.as_ref().map(|prefix| {
                    let mut path = prefix.clone().into_os_string();
                    path.push(format!("-{}.json", direction.word()));
                    PathBuf::from(path)
                });
                (direction, path)
            });
        let asked = [
            (Form::Json, "json", json),
            (Form::Markdown, "markdown", markdown),
            (Form::Junit, "junit", output.junit.as_deref()),
            (Form::Benchmark(bigger.0), "benchmark", bigger.1.as_deref()),
            (Form::Benchmark(smaller.0), "benchmark", smaller.1.as_deref()),
            (Form::Bmf, "bmf", output.bmf.as_deref()),
        ];
        Targets::check(&asked).map(Self)
    }

    /// Shows the verdict, and writes the files.
    pub(crate) fn show(
        &self,
        comparison: &Comparison,
        output: &VerdictOutput,
        verdict: &VerdictArgs,
    ) -> Result<(), CliError> {
        let shown = if output.json_to_stdout() {
            print(&pretty(comparison))
        } else if output.markdown_to_stdout() {
            print(&formats::markdown::render(comparison))
        } else {
            let style = Style { color: color(output.color), width: width(), verbose: false };
            print(&tame(&compare::text::render(comparison, style)))
        };
        self.0.write(|form| {
            Ok(match form {
                Form::Json => Some(pretty(comparison)),
                Form::Markdown => Some(formats::markdown::render(comparison)),
                Form::Junit => Some(formats::junit::render(comparison, !verdict.allow_undecided)),
                Form::Benchmark(direction) => formats::benchmark::render(comparison, direction),
                Form::Bmf => Some(formats::bmf::render(comparison)),
            })
        })?;
        shown.map(|_| ())
    }
}
