//! The command line as it is typed. Only spelling is checked here; meaning is in `cli/scenario.rs`.

mod ab;
mod bench;
mod compare;
mod echo;
mod help;
mod load;
mod measure;
mod output;
mod parse;
mod remote;
mod report;
mod requests;
mod search;
mod shell;
mod socket;
mod talk;

pub(crate) use crate::cli::args::load::{ExchangeArgs, LoadArgs, PingArgs};
pub(crate) use crate::cli::args::measure::CellArgs;
pub(crate) use crate::cli::args::measure::Local;
pub(crate) use crate::cli::args::remote::{BlastArgs, MulticastGroup, SinkArgs, SpreadKind};
pub(crate) use ab::AbArgs;
pub(crate) use bench::{BenchArgs, DoctorArgs};
pub(crate) use compare::{CompareArgs, VerdictArgs, VerdictOutput};
pub(crate) use echo::EchoArgs;
pub(crate) use output::{ColorWhen, OutputArgs, RunOutputArgs};
pub(crate) use parse::parse;
pub(crate) use report::ReportArgs;
pub(crate) use requests::{PresetArgs, PresetWord, RequestArgs, SourceArgs, Turn};
pub(crate) use search::SearchArgs;
pub(crate) use shell::{CompletionsArgs, ExplainArgs, ManArgs, SchemaArgs, SchemaOf};
pub(crate) use socket::SocketArgs;
pub(crate) use talk::Here;
pub(crate) use talk::TalkArgs;

use clap::{Parser, Subcommand, ValueEnum};

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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure the UDP send/recvfrom hot path of this host: rate, loss and latency by payload size
    ///
    /// Without flags, it measures four payload sizes, each flat out for rate and loss, then at half
    /// that rate for latency: flat out, latency mostly shows the depth of the receive queue.
    Bench(Box<BenchArgs>),
    /// Measure rate, loss and latency between two hosts: send to a sink, or receive from it
    ///
    /// All traffic uses one UDP port: start `udperf sink` on the other host. The report shows where
    /// each datagram was lost at either end; losses that neither end explains happened in the
    /// network between them. One-way latency is reported with the error bound of the two clocks.
    Blast(Box<BlastArgs>),
    /// Receive on a fixed port: serve blast, and count all other datagrams
    ///
    /// Until a client has proved that it owns its address, the sink only answers its requests. It
    /// never sends to other addresses.
    Sink(Box<SinkArgs>),
    /// Send requests to any UDP server at a fixed rate and match its responses
    ///
    /// An open loop by default: requests leave on schedule, independent of the server, so the
    /// delays of a slow server are visible. A request without a reply within --timeout is a
    /// timeout, and counts in p99 with loss. With --outstanding N, a closed loop as in dnsperf and
    /// wrk: at most N requests are in flight, so a slow server gets fewer.
    Load(Box<LoadArgs>),
    /// Measure round-trip time to a UDP echo server
    ///
    /// Closed loop by default: one request at a time, as fast as replies arrive. With --rate, open
    /// loop, and latency counts from the due time of each request. Round trips are never halved.
    Ping(Box<PingArgs>),
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

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// The source of arrival times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Timestamps {
    /// udperf, when it was read
    User,
    /// The kernel too, when it arrived from the device
    Kernel,
}

/// How a worker waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// Never sleep: fastest, uses the whole core
    Spin,
    /// Spin for about the cost of a wake-up (100 µs), then sleep
    Hybrid,
    /// Sleep whenever idle, like most servers
    Epoll,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
