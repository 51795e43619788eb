//! Flags of commands that give verdicts.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::OutputArgs;
use super::output::parse_share;

/// Verdict between stored runs.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// Runs to compare with: documents that -J wrote, or folders of such
    #[arg(value_name = "BASE")]
    pub(crate) base: PathBuf,
    /// Runs to judge
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Compare although something else was asked of them
    #[arg(long)]
    pub(crate) any_scenario: bool,
    #[command(flatten)]
    pub(crate) verdict: VerdictArgs,
    #[command(flatten)]
    pub(crate) output: VerdictOutput,
}

/// What counts as a difference.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Verdict")]
pub(crate) struct VerdictArgs {
    /// Changes up to this do not matter: 2%, or a share such as 0.02
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = parse_share)]
    pub(crate) tolerance: f64,
    /// Changes of loss up to this do not matter, however sure they are
    #[arg(long, value_name = "SHARE", default_value = "0.01%", value_parser = parse_share)]
    pub(crate) loss_floor: f64,
    /// Compare these alone; repeatable, or a list: rx_pps, loss, no_reply, p50, p99, and all others
    /// that --fail-if takes [default: those, and costs a datagram: system calls, context switches,
    /// CPU time, instructions]
    ///
    /// Latency is compared in the paced cells, rates in the flat-out ones, the rest in all.
    #[arg(long = "metric", value_name = "NAME", value_delimiter = ',', action = ArgAction::Append)]
    pub(crate) metrics: Vec<String>,
    /// End with exit code 0 instead of 4 if the result is undecided
    #[arg(long)]
    pub(crate) allow_undecided: bool,
    /// End with exit code 4 if the result is undecided; the default
    #[arg(long, hide = true, conflicts_with = "allow_undecided")]
    pub(crate) strict: bool,
    /// Where the noise of this machine is kept, or none [default: udperf/noise.json in
    /// $XDG_STATE_HOME or ~/.local/state]
    ///
    /// udperf ab without --a and --b learns it: runs that are all alike show what this machine
    /// reports without a change. Smaller changes are treated as noise.
    #[arg(long, value_name = "FILE|none")]
    pub(crate) noise: Option<PathBuf>,
}

/// How a verdict is given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct VerdictOutput {
    #[command(flatten)]
    pub(crate) common: OutputArgs,
    /// The verdict as Markdown, for a merge request: to standard output instead of text, or with
    /// =FILE beside it
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-")]
    pub(crate) markdown: Option<PathBuf>,
    /// The verdict as JUnit, to a file: a suite a cell, a case a figure
    ///
    /// Worse and undecided count as failures; with --allow-undecided, undecided counts as skipped,
    /// with the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// What NEW, or B, came to, for github-action-benchmark: PREFIX-bigger.json and
    /// PREFIX-smaller.json
    ///
    /// The one for its tool customBiggerIsBetter, the other for customSmallerIsBetter. One that
    /// would be empty, which it takes for an error, is not written.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) benchmark: Option<PathBuf>,
    /// What NEW, or B, came to, in the Bencher Metric Format, to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) bmf: Option<PathBuf>,
}

impl VerdictOutput {
    /// The files asked for, each with its flag, beside JSON.
    pub(crate) fn files(&self) -> [(&'static str, Option<&Path>); 4] {
        [
            ("markdown", self.markdown.as_deref()),
            ("junit", self.junit.as_deref()),
            ("benchmark", self.benchmark.as_deref()),
            ("bmf", self.bmf.as_deref()),
        ]
    }
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf bench --trials 10 -J > before.json      ten runs of each cell
  udperf bench --trials 10 -J > after.json       the same, after the change
  udperf compare before.json after.json          better, same, worse, or undecided
  udperf compare --allow-undecided --tolerance 5% main/ pr/

What changes with time counts as the effect here; udperf ab takes turns.

Exit codes: 0 well · 1 could not read · 2 usage · 3 worse in a cell · 4 undecided (0 with
--allow-undecided) · 5 cannot compare: runs of either side are invalid";
