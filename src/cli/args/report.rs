//! `udperf report`, as typed.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::RunOutputArgs;
use crate::report::checks::metric::{Metric, list};

/// Shows runs that were kept.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReportArgs {
    /// Documents that -J wrote, or folders of such: each *.json in them and below
    ///
    /// Alone, one of compare, ab, search, sink or echo is shown as well, as text and JSON, verdicts
    /// also as Markdown, and searches as CSV.
    ///
    /// In a folder, JSON of something else is skipped; a document of udperf that is spoilt is an
    /// error wherever it lies.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How cells moved from run to run, newest last, and what else changed meanwhile
    ///
    /// A point is the median over the trials of a run. Runs compare where kind, settings and host
    /// are the same; a new kernel or udperf on the same host is told beside the run. With --csv a
    /// row a point, with --html a chart a cell.
    #[arg(long, conflicts_with_all = ["json", "hdr", "fail_if"])]
    pub(crate) history: bool,
    /// Which figure to follow, by its name in --fail-if [default: rx_pps flat out, p50 and p99 at
    /// a rate]
    ///
    /// Repeatable.
    #[arg(long, value_name = "NAME", action = ArgAction::Append, requires = "history")]
    #[arg(value_parser = parse_metric)]
    pub(crate) metric: Vec<&'static Metric>,
    /// Which cells to follow: a part of their id, or with * and ? all of it: 'plain/*/max'
    ///
    /// Repeatable.
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append, requires = "history")]
    pub(crate) cell: Vec<String>,
    #[command(flatten)]
    pub(crate) output: RunOutputArgs,
}

fn parse_metric(word: &str) -> Result<&'static Metric, String> {
    Metric::named(word).ok_or_else(|| format!("there is no such figure; there are {}", list()))
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf report run.json                            as it was shown when it was measured
  udperf report run.json --html page.html           with a latency curve for each cell
  udperf report run.json --markdown                 for a merge request
  udperf report run.json -q --fail-if 'loss>0.1%'   judged again
  udperf report results --history --cell 64/max     what the hot path did over time

Exit codes: 0 well · 1 could not be read · 2 usage · 3 a --fail-if held · 5 invalid";
