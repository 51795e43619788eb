//! The command line as it is typed. Only spelling is checked here; meaning is in `cli/scenario.rs`.

mod help;
mod measure;
mod output;
mod parse;
mod requests;
mod runs;
mod search;
mod server;
mod shell;
mod stored;
mod talk;

pub(crate) use measure::{CellArgs, Local};
pub(crate) use output::{OutputArgs, RunOutputArgs};
pub(crate) use parse::parse;
pub(crate) use requests::{PresetArgs, PresetWord, RequestArgs};
pub(crate) use runs::{BenchArgs, BlastArgs, CellCommand, ExchangeArgs, LoadArgs};
pub(crate) use search::SearchArgs;
pub(crate) use server::{EchoArgs, ServerArgs, SinkArgs};
pub(crate) use shell::{CompletionsArgs, DoctorArgs, ExplainArgs, ManArgs, SchemaArgs};
pub(crate) use stored::{AbArgs, CompareArgs, ReportArgs, VerdictArgs};
pub(crate) use talk::{Here, TalkArgs};

use std::net::IpAddr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

/// The default port of servers. Arbitrary; from the contract of the command line.
pub(crate) const PORT: u16 = 7_788;

/// Refuses `unix:` where only `bench` and `talk` take it.
pub(crate) const NO_UNIX: &str =
    "this command is not supported with AF_UNIX sockets; use an IP address";

/// UDP benchmark and load generator: accounts for every datagram, measures latency from the
/// schedule, and reports what makes a result uncertain.
#[derive(Debug, Parser)]
#[command(name = "udperf", version, max_term_width = 100, help_expected = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// The command to run
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Measure(CellCommand),
    /// Receive on a fixed port: serve blast, and count all other datagrams
    ///
    /// Until a client has proved that it owns its address, the sink only answers its requests. It
    /// never sends to other addresses.
    Sink(Box<SinkArgs>),
    /// Find the highest rate at which goals hold, around bench, blast, load or ping
    ///
    /// Separately for each size and engine. The result is between a rate that passed and one that
    /// failed, each in several trials. It says if the target or the generator was the limit.
    Search(Box<SearchArgs>),
    /// Send a datagram by hand and see what comes back: UDP, TCP, Unix sockets; text, hex, files
    ///
    /// Sends each typed line, and shows each received datagram with its time (UTC), sender and
    /// size. With PEER, lines go there from a free port. Without PEER, it listens on a port and
    /// answers the last sender. Binary data is shown as hex.
    ///
    /// At a terminal, lines that begin with / are commands. In a pipe, all lines are data, byte for
    /// byte; received payloads go to standard output, one per line, and their senders to standard
    /// error. Over TCP and Unix streams, lines keep their newlines.
    Talk(Box<TalkArgs>),
    /// Return each datagram to its sender: a server for ping and load
    Echo(Box<EchoArgs>),
    /// Measure two settings in interleaved runs and compare them
    ///
    /// Settings are flags, programs, or commands that run before. Runs the command with A and B, in
    /// random order within pairs, --trials times each, every run in its own process; then compares
    /// B with A like udperf compare.
    Ab(Box<AbArgs>),
    /// Verdict between stored runs: better, same, worse, or undecided
    ///
    /// Each run of a cell counts once, never its datagrams. A verdict takes a test (Mann and
    /// Whitney, corrected for all comparisons) and an interval of the effect that agree, beyond the
    /// tolerance and the noise floor (A/A). Runs of different scenarios are not compared; what
    /// differs between their hosts and programs is listed.
    Compare(Box<CompareArgs>),
    /// Show stored runs as text, Markdown, HTML or CSV, or their history
    Report(Box<ReportArgs>),
    /// Show what this host supports, what will distort a measurement, and how to fix it
    Doctor(DoctorArgs),
    /// Explain a warning code, invalid reason, table column, ledger place or exit code
    Explain(ExplainArgs),
    /// Print the JSON Schema of the document that -J writes
    Schema(SchemaArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Print a manual page
    Man(ManArgs),
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct FamilyArgs {
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6')]
    pub(crate) ipv6: bool,
}

impl FamilyArgs {
    pub(crate) const fn of(addr: IpAddr) -> Self {
        Self { ipv4: addr.is_ipv4(), ipv6: addr.is_ipv6() }
    }

    pub(crate) const fn has(self, addr: IpAddr) -> bool {
        if addr.is_ipv4() { !self.ipv6 } else { !self.ipv4 }
    }
}

/// Parses one of these words, each with its help and its value.
fn words<T: Copy + Send + Sync + 'static, const N: usize>(
    words: [(&'static str, &'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let listed = words.map(|(word, help, _)| match help {
        "" => PossibleValue::new(word),
        help => PossibleValue::new(word).help(help),
    });
    PossibleValuesParser::new(listed).map(move |typed| {
        let found = words.iter().find(|(word, ..)| *word == typed);
        // Other words are refused before.
        found.unwrap_or(&words[0]).2
    })
}

fn on_off() -> impl TypedValueParser<Value = bool> {
    words([("on", "", true), ("off", "", false)])
}
