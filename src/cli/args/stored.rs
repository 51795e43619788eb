//! `udperf compare`, `ab` and `report`, as typed.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::{OutputArgs, RunOutputArgs, output::parse_share};
use crate::report::checks::metric::{Better, Metric, hint, list};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf bench --trials 10 -J > before.json      ten runs of each cell
  udperf bench --trials 10 -J > after.json       the same, after the change
  udperf compare before.json after.json          better, same, worse, or undecided
  udperf compare --allow-undecided --tolerance 5% main/ pr/

Changes over time count as part of the effect here; udperf ab interleaves the runs instead.

Exit codes: 0 success · 1 could not read · 2 usage · 3 worse in a cell · 4 undecided (0 with
--allow-undecided) · 5 cannot compare: runs of either side are invalid")]
pub(crate) struct CompareArgs {
    /// Runs to compare with: documents written by -J, or folders of these; documents of run by step
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

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf ab --a '-e plain' --b '-e batch' -- bench -l 64 -r max -t 300ms
  udperf ab --b '-w 64K' -- bench -l 1472 -e plain
  udperf ab --setup-b 'sysctl -w net.core.busy_poll=50' -- load 192.168.1.7:53 --preset dns \
      --name a.example
  udperf ab --bin-a ./old/udperf --bin-b ./new/udperf -- bench -l 64 -e plain
  udperf ab --trials 20 -- bench -l 64 -e plain      A/A: the noise floor of this machine

A and B differ only in the given flags, programs and commands. Without any of these, both are equal:
their difference is stored as the noise floor (A/A) of this machine and these cells, and compare and
ab treat smaller changes as noise from then on.

Exit codes: 0 success · 1 could not run · 2 usage · 3 B is worse in a cell · 4 undecided (0 with
--allow-undecided) · 5 cannot compare: runs of A or B are invalid · 130 interrupted, after the
verdict on the finished runs")]
pub(crate) struct AbArgs {
    /// Flags of A, in addition to those of the command: --a '--engine plain'
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    #[arg(hide_default_value = true)]
    pub(crate) a: String,
    /// Flags of B, the judged setting
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    #[arg(hide_default_value = true)]
    pub(crate) b: String,
    /// The udperf that runs A [default: this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin_a: Option<PathBuf>,
    /// The udperf that runs B
    #[arg(long, value_name = "PATH")]
    pub(crate) bin_b: Option<PathBuf>,
    /// A command for sh(1) before each run of A; undone after each
    ///
    /// sysctl settings are restored automatically, to their values before the first run. Any other
    /// command needs --undo-a.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) setup_a: Option<String>,
    /// The same for B
    #[arg(long, value_name = "COMMAND")]
    pub(crate) setup_b: Option<String>,
    /// The command that undoes --setup-a; true(1) if nothing needs undoing
    #[arg(long, value_name = "COMMAND", requires = "setup_a")]
    pub(crate) undo_a: Option<String>,
    /// The command that undoes --setup-b
    #[arg(long, value_name = "COMMAND", requires = "setup_b")]
    pub(crate) undo_b: Option<String>,
    /// Runs of A, and of B
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) trials: u32,
    /// Runs of each before these, not counted
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) warm: u32,
    /// Seed of the order of runs
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Keep all documents: DIR/a/001.json, DIR/b/001.json …
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verdict: VerdictArgs,
    #[command(flatten)]
    pub(crate) output: VerdictOutput,
    /// The command that both run: bench, blast, load or ping, and its flags
    #[arg(last = true, required = true, value_name = "COMMAND", allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

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
    #[arg(value_parser = parse_compared_metric)]
    pub(crate) metrics: Vec<&'static Metric>,
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
    pub(crate) fn files(&self) -> [(&'static str, Option<&Path>); 4] {
        [
            ("markdown", self.markdown.as_deref()),
            ("junit", self.junit.as_deref()),
            ("benchmark", self.benchmark.as_deref()),
            ("bmf", self.bmf.as_deref()),
        ]
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf report run.json                            the same text as when it was measured
  udperf report run.json --html page.html           a page with charts
  udperf report run.json --markdown                 for a merge request
  udperf report run.json -q --fail-if 'loss>0.1%'   check other conditions
  udperf report results --history --cell 64/max     the hot path over time

Exit codes: 0 success · 1 could not read · 2 usage · 3 a --fail-if held · 5 invalid")]
#[command(mut_args = |arg| if arg.get_id() == "labels" { arg.hide(true) } else { arg })]
pub(crate) struct ReportArgs {
    /// Documents written by -J, or folders of these: each *.json in them and below
    ///
    /// A single document of compare, ab, search, sink, echo, doctor or selftest is shown too, as
    /// text, JSON and a page (--html); verdicts also as Markdown, searches also as CSV. That of run
    /// has all of these, and JUnit.
    ///
    /// In a folder, other JSON is skipped; a damaged udperf document is an error.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// History of cells from run to run, newest last, with other changes
    ///
    /// A point is the median over the trials of a run. Runs are comparable if kind, settings and
    /// host are the same; a new kernel or udperf on the same host is shown next to the run. --csv
    /// writes one row per point, --html one chart per cell.
    #[arg(long, conflicts_with_all = ["json", "hdr", "hgrm", "fail_if"])]
    pub(crate) history: bool,
    /// The metric to follow, by its name in --fail-if [default: rx_pps flat out, p50 and p99 at a
    /// rate]
    ///
    /// Repeatable.
    #[arg(long, value_name = "NAME", action = ArgAction::Append, requires = "history")]
    #[arg(value_parser = parse_metric)]
    pub(crate) metric: Vec<&'static Metric>,
    /// The cells to follow: a part of their id, or with * and ? a pattern for all of it:
    /// 'plain/*/max'
    ///
    /// Repeatable.
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append, requires = "history")]
    pub(crate) cell: Vec<String>,
    #[command(flatten)]
    pub(crate) output: RunOutputArgs,
}

fn parse_metric(word: &str) -> Result<&'static Metric, String> {
    Metric::named(word.trim())
        .ok_or_else(|| format!("unknown metric; {}use one of {}", hint(word), list()))
}

fn parse_compared_metric(word: &str) -> Result<&'static Metric, String> {
    let metric = parse_metric(word)?;
    match metric.better {
        Better::Neither => Err("it is neither better nor worse; choose another".to_owned()),
        _ => Ok(metric),
    }
}
