//! The command line as it is typed. Only spelling is checked here; meaning is in `cli/scenario.rs`.

mod doctor;
mod habits;
mod help;
mod measure;
mod network;
mod output;
mod requests;
mod runs;
mod scenario_file;
mod search;
mod secrets;
mod selftest;
mod server;
mod stored;
mod talk;
mod values;
mod xdp;

pub(crate) use doctor::DoctorArgs;
pub(crate) use measure::{CellArgs, Local};
pub(crate) use network::Network;
pub(crate) use output::{LiveArgs, MetricsArgs, OutputArgs, RunOutputArgs, TelemetryArgs};
pub(crate) use requests::{ClientSubnets, PresetArgs, PresetWord, RequestArgs, SecondArgs};
pub(crate) use runs::{BenchArgs, BlastArgs, CellCommand, ExchangeArgs};
pub(crate) use scenario_file::ScenarioArgs;
pub(crate) use search::SearchArgs;
pub(crate) use secrets::{HIDDEN, hide_in_text, hide_secrets, is_secret};
pub(crate) use selftest::SelftestArgs;
pub(crate) use server::{EchoArgs, ServerArgs, ServerFileArgs, SinkArgs};
pub(crate) use stored::{AbArgs, CompareArgs, ReportArgs, VerdictArgs};
pub(crate) use talk::{Here, TalkArgs};
use values::{Completed, engines, on_off, words};
pub(crate) use xdp::XdpArgs;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Arg, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::version;
use crate::report::schema;
use crate::unit::{did_you_mean, nearest};

/// The default port of servers. Arbitrary; from the contract of the command line.
pub(crate) const PORT: u16 = 7_788;

/// Refuses `unix:` where only `bench` and `talk` take it.
pub(crate) const NO_UNIX: &str =
    "this command is not supported with AF_UNIX sockets; use an IP address";

/// UDP benchmark and load generator: accounts for every datagram, measures latency from the
/// schedule, and reports what makes a result uncertain.
#[derive(Debug, Parser)]
#[command(name = "udperf", version, long_version = version::LONG.as_str())]
#[command(max_term_width = 100, help_expected = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// The command to run
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Under mpirun or srun: run in each process, though the command is for one
    #[arg(long, global = true, hide = true, help_heading = "Several hosts")]
    pub(crate) single: bool,
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
    /// Run a scenario file: commands that measure, with conditions, goals and baselines
    ///
    /// udperf checks all steps before the first one runs. Each step prints its report. A table of
    /// all steps follows, with one document and one exit code.
    Run(Box<ScenarioArgs>),
    /// Show what this host supports, what will distort a measurement, and how to fix it
    ///
    /// With TARGET, check the path to a server instead: address, route, neighbour, kind of target,
    /// round-trip time, path MTU, ICMP errors, and the clock of a sink.
    Doctor(Box<DoctorArgs>),
    /// Check that reports are true on this host
    ///
    /// A relay between a sender and a receiver drops, repeats, reorders, damages and delays
    /// datagrams. Each check compares what a report says with what the relay did. All datagrams
    /// stay on this host, and no privileges are needed.
    Selftest(Box<SelftestArgs>),
    /// Test mpirun or srun: hosts, clocks, and how far apart their processes begin
    #[command(after_long_help = "\
Examples:
  mpirun -np 4 --host a:2,b:2 --bind-to none udperf fleet-check
  srun -N 4 --cpu-bind=none udperf fleet-check")]
    FleetCheck {
        /// How often all processes begin together
        #[arg(long, value_name = "N", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rounds: u32,
    },
    /// Explain a warning code, invalid reason, table column, ledger place or exit code
    Explain {
        /// Names as printed, such as stalls, p99.9, receive_buffer or 5 [default: list all]
        #[arg(value_name = "CODE")]
        names: Vec<String>,
    },
    /// Print the JSON Schema of the document that -J writes
    Schema {
        /// The kind of document
        #[arg(value_name = "OF", default_value = "run", value_parser = words([
            ("run", "Document of bench, blast, load and ping", schema::RUN),
            ("comparison", "Document of compare and ab", schema::COMPARISON),
            ("search", "Document of search", schema::SEARCH),
            ("sink", "Document of sink", schema::SINK),
            ("echo", "Document of echo", schema::ECHO),
            ("scenario-result", "Document of run", schema::SCENARIO_RESULT),
            ("scenario-file", "TOML file that run reads", schema::SCENARIO_FILE),
            ("doctor", "Document of doctor", schema::DOCTOR),
            ("selftest", "Document of selftest", schema::SELFTEST),
        ]))]
        schema: &'static str,
    },
    /// Print shell completions
    #[command(after_long_help = "\
Examples:
  udperf completions bash > ~/.local/share/bash-completion/completions/udperf
  udperf completions zsh > \"${fpath[1]}/_udperf\"
  udperf completions fish > ~/.config/fish/completions/udperf.fish")]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print a manual page
    #[command(after_long_help = "\
Examples:
  udperf man | man -l -
  udperf man bench | man -l -
  udperf man --dir ~/.local/share/man/man1")]
    Man {
        /// The page of this command [default: udperf]
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
        /// Write the pages of all commands to this folder: udperf.1, udperf-bench.1 …
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
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

/// Parses the arguments of this process.
pub(crate) fn parse() -> Result<Cli, Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    try_parse(&words)
}

/// Parses these words. If they are wrong as typed, `--flag WORD` is read as `--flag=WORD` for flags
/// with an optional value, the last one first, so that no other argument becomes a file.
fn try_parse(words: &[OsString]) -> Result<Cli, Error> {
    let error = match Cli::try_parse_from(words) {
        Err(error) if error.use_stderr() => error,
        done => return done,
    };
    let mut joined = words.to_vec();
    for at in optional_values(words) {
        let value = joined.remove(at);
        joined[at - 1].push("=");
        joined[at - 1].push(value);
        if let Ok(cli) = Cli::try_parse_from(&joined) {
            return Ok(cli);
        }
    }
    Err(with_hint(error))
}

/// Where words follow a flag with an optional value, and may be that value; the last one first.
fn optional_values(words: &[OsString]) -> Vec<usize> {
    let program = Cli::command();
    let command = words.iter().find_map(|word| program.find_subcommand(word));
    let args = command.into_iter().flat_map(clap::Command::get_arguments);
    let optional = args.filter(|arg| arg.is_require_equals_set()).filter_map(Arg::get_long);
    let flags: Vec<_> = optional.map(|long| format!("--{long}")).collect();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let is_value = |word: &OsString| word == "-" || !word.to_string_lossy().starts_with('-');
    let has_flag = |at: &usize| flags.iter().any(|flag| words[at - 1] == flag.as_str());
    (1..end).rev().filter(has_flag).filter(|at| is_value(&words[*at])).collect()
}

/// The error with advice: for flags of other tools what to use here, for values the nearest word.
pub(crate) fn with_hint(mut error: Error) -> Error {
    use ContextValue::{String, Strings, StyledStrs};
    match (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue)) {
        (Some(String(flag)), _) if error.kind() == ErrorKind::UnknownArgument => {
            if let Some(tip) = habits::pointer(flag) {
                error.remove(ContextKind::SuggestedArg);
                error.insert(ContextKind::Suggested, StyledStrs(vec![tip.into()]));
            }
        }
        (_, Some(String(value))) => {
            let Some(Strings(words)) = error.get(ContextKind::ValidValue) else { return error };
            let near = nearest(value, words.iter().map(std::string::String::as_str));
            let near = near.first().map(|word| String((*word).to_owned()));
            error.remove(ContextKind::SuggestedValue);
            if let Some(word) = near {
                error.insert(ContextKind::SuggestedValue, word);
            }
        }
        _ => {}
    }
    error
}

/// What is wrong with the words that clap refuses, in one line, without its usage.
pub(crate) fn reason(error: &Error) -> String {
    use ContextValue::{String, Strings};
    let text = |kind| match error.get(kind) {
        Some(String(text)) => text.as_str(),
        _ => "",
    };
    if let Some(Strings(words)) = error.get(ContextKind::ValidValue) {
        let (value, arg) = (text(ContextKind::InvalidValue), text(ContextKind::InvalidArg));
        let words: Vec<_> = words.iter().map(std::string::String::as_str).collect();
        let hint = did_you_mean(value, words.iter().copied());
        let words = words.join(", ");
        return format!("invalid value '{value}' for '{arg}'; {hint}use one of {words}");
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim);
    let lines =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parsed(words: &str) -> Result<Command, Error> {
        let words = ["udperf"].into_iter().chain(words.split(' '));
        try_parse(&words.map(Into::into).collect::<Vec<_>>()).map(|cli| cli.command)
    }

    #[test]
    fn optional_values_may_follow_a_space() {
        for (words, json, markdown) in [
            ("bench --json o.json", "o.json", None),
            ("bench --json", "-", None),
            ("bench --json -", "-", None),
            ("bench --json --quiet", "-", None),
            ("bench --json o.json --markdown - -q", "o.json", Some("-")),
            ("blast --json lab7", "-", None),
            ("blast lab7 --json", "-", None),
            ("blast lab7 --json o.json", "o.json", None),
            ("blast --json o.json lab7", "o.json", None),
        ] {
            let Ok(Command::Measure(command)) = parsed(words) else { panic!("{words}") };
            let output = &command.cells().output;
            assert_eq!(output.common.json.as_deref(), Some(Path::new(json)), "{words}");
            assert_eq!(output.markdown.as_deref(), markdown.map(Path::new), "{words}");
        }
        assert!(parsed("bench -J o.json").is_err(), "-J takes no word, as in iperf3");
        assert!(parsed("--json bench").is_err());
        let Ok(Command::Report(args)) = parsed("report --json a.json b.json") else { panic!() };
        assert_eq!(args.files.len(), 2, "neither is overwritten");
    }

    #[test]
    fn a_negative_seed_is_out_of_range() {
        for words in ["selftest", "bench", "echo"] {
            let error = parsed(&format!("{words} --seed -1")).unwrap_err().to_string();
            assert!(error.contains("invalid value '-1' for '--seed <N>'"), "{error}");
        }
    }

    #[test]
    fn flags_of_other_tools_get_a_pointer() {
        for (words, tip) in [
            ("-s", "udperf sink"),
            ("doctor -i 1", "commands that measure"),
            ("blast lab7 --cport 9", "--port-range"),
            ("load lab7 -d q.txt", "--names"),
            ("-u -b 10M", "always uses UDP"),
            ("-c lab7 -u", "udperf blast HOST"),
            ("blast lab7 -u -b 10M", "always uses UDP"),
            ("blast lab7 --bitrate 10M", "--rate"),
            ("blast lab7 --parallel 4", "--streams"),
            ("blast lab7 -Z", "--engine"),
            ("blast lab7 --get-server-output", "both ends"),
            ("blast lab7 --length=64", "--size"),
            ("sink -R", "udperf blast HOST --reverse"),
            ("sink -P 4", "--streams"),
            ("sink -1", "--once"),
            ("load lab7 -Q 100", "--rate"),
            ("blast lab7 -b 0", "--rate max"),
            ("blast lab7 -b 1G/32", "--rate 1Gbit --pace burst:32"),
        ] {
            let error = parsed(words).unwrap_err().to_string();
            assert!(error.contains(tip), "{words}: {error}");
            assert!(!error.contains("similar argument"), "{words}: {error}");
        }
    }
}
