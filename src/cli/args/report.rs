//! `udperf report`, as typed.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::RunOutputArgs;
use crate::report::checks::metric::{Metric, list};

/// Shows stored runs.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// Documents written by -J, or folders of these: each *.json in them and below
    ///
    /// A single document of compare, ab, search, sink or echo is shown too, as text and JSON;
    /// verdicts also as Markdown, searches also as CSV.
    ///
    /// In a folder, other JSON is skipped; a damaged udperf document is an error.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// History of cells from run to run, newest last, with other changes
    ///
    /// A point is the median over the trials of a run. Runs are comparable if kind, settings and
    /// host are the same; a new kernel or udperf on the same host is shown next to the run. --csv
    /// writes one row per point, --html one chart per cell.
    #[arg(long, conflicts_with_all = ["json", "hdr", "fail_if"])]
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
    Metric::named(word).ok_or_else(|| format!("unknown metric; use one of {}", list()))
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf report run.json                            the same text as when it was measured
  udperf report run.json --html page.html           with a latency curve for each cell
  udperf report run.json --markdown                 for a merge request
  udperf report run.json -q --fail-if 'loss>0.1%'   check other conditions
  udperf report results --history --cell 64/max     the hot path over time

Exit codes: 0 success · 1 could not read · 2 usage · 3 a --fail-if held · 5 invalid";
