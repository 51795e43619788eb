//! Flags of output.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ColorChoice};

use crate::report::Condition;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Write the JSON document to standard output instead of text, or to FILE in addition
    #[arg(short = 'J', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with tables and charts to a file: HTML that needs no other file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Keep this label in the document, such as commit=abc; repeatable
    ///
    /// Reports, comparisons and histories show labels. Verdicts do not depend on them.
    #[arg(long = "label", value_name = "KEY=VALUE", action = ArgAction::Append)]
    #[arg(value_parser = parse_pair)]
    pub(crate) labels: Vec<(String, String)>,
    /// No progress, notices or warnings on standard error
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// Show all warnings with their full text; by default the three worst, one line each
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
    /// When to colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

impl OutputArgs {
    /// Whether standard output gets the document instead of text.
    pub(crate) fn json_to_stdout(&self) -> bool {
        self.json.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunOutputArgs {
    #[command(flatten)]
    pub(crate) common: OutputArgs,
    /// Write CSV to a file: one row per cell
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write CSV to a file: one row per interval of --interval
    #[arg(long, value_name = "FILE")]
    pub(crate) csv_intervals: Option<PathBuf>,
    /// Write an HdrHistogram interval log to a file: one interval per cell
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
    /// Write latency by percentile (.hgrm, in ms) for HdrHistogram's plotter: one file per cell
    ///
    /// A single cell goes to FILE. With more, the id of each is added to the name: x.hgrm becomes
    /// x-plain-64-max.hgrm. The trials of a cell are merged.
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<PathBuf>,
    /// Write Markdown to standard output instead of text, or to FILE in addition
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-")]
    pub(crate) markdown: Option<PathBuf>,
    /// End with exit code 3 if this holds in any cell: 'loss>0.1%' 'p99>200us' 'rx_pps<200k'
    ///
    /// Repeatable. Latency is judged in the paced cells, and rates in the flat-out ones, where the
    /// run has such; everything else in every cell.
    #[arg(long, value_name = "EXPR", action = ArgAction::Append)]
    pub(crate) fail_if: Vec<Condition>,
    /// Share of the schedule that may be missed, 0% to 100%; more makes the run invalid [default:
    /// 1%, or that of a stored run]
    ///
    /// The first line of the report says so, and the exit code is 5. One such cell is enough:
    /// use 100% if the highest of several rates is too high on purpose. A run is also invalid if no
    /// datagram was sent or arrived, no request was answered (a late reply is an answer), or the
    /// target was unreachable throughout.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) max_missed: Option<f64>,
    /// Write the result of each --fail-if as JUnit to a file: one suite per cell
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

impl RunOutputArgs {
    pub(crate) fn is_gated(&self) -> bool {
        !self.fail_if.is_empty()
    }

    pub(crate) fn files(&self) -> [(&'static str, Option<&Path>); 6] {
        [
            ("csv", self.csv.as_deref()),
            ("csv-intervals", self.csv_intervals.as_deref()),
            ("hdr", self.hdr.as_deref()),
            ("hgrm", self.hgrm.as_deref()),
            ("markdown", self.markdown.as_deref()),
            ("junit", self.junit.as_deref()),
        ]
    }
}

/// Flags of what is reported while a run goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct TelemetryArgs {
    /// Write events to a file, or to standard output (-) instead of text, while the run goes on
    ///
    /// One JSON object a line: start, cell, interval, warning, result. Datagrams that arrive later
    /// may still add to an interval; the document is final.
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
}

/// Flags of the full-screen view.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LiveArgs {
    /// Show full-screen on the terminal how the run goes; q: end, p: freeze, tab: chart, ?: help
    ///
    /// Drawn on standard error, so that standard output stays free for the report, which follows.
    /// Without --interval, intervals are a twentieth of a cell, and at most 1 s; of
    /// servers 1 s.
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) live: bool,
}

/// Flags of the endpoint of metrics.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct MetricsArgs {
    /// Serve OpenMetrics over HTTP while the run goes on, such as on 127.0.0.1:9100
    ///
    /// Port 0: any free one, which is printed.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_metrics)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Allow --metrics on an address that other hosts can reach
    #[arg(long, requires = "metrics")]
    pub(crate) metrics_public: bool,
}

impl TelemetryArgs {
    pub(crate) const fn is_some(&self) -> bool {
        self.events.is_some() || self.metrics.metrics.is_some() || self.live.live
    }
}

fn parse_metrics(word: &str) -> Result<SocketAddr, String> {
    let invalid = |_| format!("'{word}' is not an address with a port; use such as 127.0.0.1:9100");
    word.parse().map_err(invalid)
}

/// A name and its value.
pub(super) fn parse_pair(word: &str) -> Result<(String, String), String> {
    let pair = word.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    let (name, value) =
        pair.ok_or_else(|| format!("'{word}' has no name before a =; use NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

pub(super) fn parse_share(word: &str) -> Result<f64, String> {
    crate::report::checks::metric::MetricKind::Share
        .read(word)
        .ok_or_else(|| format!("invalid share '{word}'; use a share such as 2% or 0.02"))
}
