//! Flags of commands that give verdicts.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::OutputArgs;
use super::output::parse_share;

/// Verdict between stored runs.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// Runs to compare with: documents written by -J, or folders of these
    #[arg(value_name = "BASE")]
    pub(crate) base: PathBuf,
    /// Runs to judge
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Compare runs of different scenarios
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
    /// Ignore changes up to this: 2%, or a share such as 0.02
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = parse_share)]
    pub(crate) tolerance: f64,
    /// Ignore changes of loss up to this, even significant ones
    #[arg(long, value_name = "SHARE", default_value = "0.01%", value_parser = parse_share)]
    pub(crate) loss_floor: f64,
    /// Compare only these metrics; repeatable, or a list: rx_pps, loss, no_reply, p50, p99, and all
    /// others that --fail-if takes [default: those, and costs per datagram: system calls, context
    /// switches, CPU time, instructions]
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
    /// File of the noise floor of this machine, or none [default: udperf/noise.json in
    /// $XDG_STATE_HOME or ~/.local/state]
    ///
    /// udperf ab without --a and --b measures it: the differences of equal runs (A/A). Smaller
    /// changes are treated as noise.
    #[arg(long, value_name = "FILE|none")]
    pub(crate) noise: Option<PathBuf>,
}

/// Output of a verdict.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct VerdictOutput {
    #[command(flatten)]
    pub(crate) common: OutputArgs,
    /// The verdict as Markdown, for a merge request: to standard output instead of text, or to FILE
    /// in addition
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-")]
    pub(crate) markdown: Option<PathBuf>,
    /// The verdict as JUnit, to a file: one suite per cell, one case per metric
    ///
    /// Worse and undecided count as failures; with --allow-undecided, undecided counts as skipped,
    /// with the reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// The figures of NEW, or B, for github-action-benchmark: PREFIX-bigger.json and
    /// PREFIX-smaller.json
    ///
    /// The first is for its tool customBiggerIsBetter, the second for customSmallerIsBetter. An
    /// empty one, which the tool treats as an error, is not written.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) benchmark: Option<PathBuf>,
    /// The figures of NEW, or B, in the Bencher Metric Format, to a file
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

Changes over time count as part of the effect here; udperf ab interleaves the runs instead.

Exit codes: 0 success · 1 could not read · 2 usage · 3 worse in a cell · 4 undecided (0 with
--allow-undecided) · 5 cannot compare: runs of either side are invalid";
