//! The command line as it is typed. Only spelling is checked here; meaning is in `lower.rs`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::plan::{EngineWord, PaceKind, Pinning};
use crate::report::Condition;
use crate::unit::{Nanos, PayloadSize, Rate, parse_buffer, parse_count, parse_sizes};

/// UDP benchmark and load generator: every datagram accounted for, latency counted from the
/// schedule, and doubt said aloud.
#[derive(Debug, Parser)]
#[command(name = "udperf", version, max_term_width = 100, help_expected = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the UDP send/recvfrom hot path of this host: rate, loss and latency by payload size
    Bench(Box<BenchArgs>),
    /// Show what this host can do, what will distort a measurement, and the command that mends it
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the document that -J gives
    Schema,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Who says when a datagram arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Timestamps {
    /// We do, when it was read
    User,
    /// The kernel too, when it took it from the device
    Kernel,
}

/// How a worker waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Never sleep: fastest, takes the whole core
    Spin,
    /// Spin for as long as a wake-up costs (100 µs), then sleep
    Hybrid,
    /// Sleep as soon as there is nothing to do, as most servers
    Epoll,
}

/// Sender and receiver in one process, over loopback by default.
///
/// Without flags it measures four payload sizes, each flat out for rate and loss, then at half that
/// rate for latency: flat out, latency is mostly the depth of the receive queue.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct BenchArgs {
    /// Payload bytes: 64,1472 · 64..1024*2 (doubling) · 64..256+64 · rfc2544 · imix; K = 1024
    #[arg(short = 'l', long = "size", value_name = "LIST", value_delimiter = ',')]
    #[arg(value_parser = parse_sizes, default_value = "64,512,1472,8972")]
    pub sizes: Vec<Vec<PayloadSize>>,

    /// Engines: plain · batch · offload (gso/gro) · uring · null · TX/RX · auto · all [default:
    /// plain,batch,offload]
    ///
    /// plain: one send or recvfrom a datagram. batch: sendmmsg and recvmmsg. gso (sending):
    /// super-packets that the kernel cuts. gro (receiving): super-packets that stay whole. uring:
    /// io_uring. null: no system call, our own ceiling. TX/RX chooses the sides apart, such as
    /// gso/batch. auto: what wins here, by a short trial of each. all: every way of sending with
    /// every way of receiving. Of the default, what this host does
    /// not have is left out.
    #[arg(short = 'e', long = "engine", value_name = "LIST", value_delimiter = ',')]
    pub engines: Vec<EngineWord>,

    /// Measure each cell for this long: seconds, or 500ms, 2m
    #[arg(short = 't', long, value_name = "DUR", default_value = "500ms")]
    #[arg(conflicts_with = "count")]
    pub time: Nanos,

    /// Measure exactly this many datagrams instead, beside the warm-up's; K/M/G = 1000
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count)]
    pub count: Option<u64>,

    /// Send for this long before measuring; drained and not counted; 0: not at all
    #[arg(long, value_name = "DUR", default_value = "100ms")]
    pub warmup: Nanos,

    /// Rates: max · 100k (datagrams/s) · 1Gbit (payload bits/s) · 50% (of what max delivered)
    ///
    /// Of all streams together. K/M/G = 1000. Default: max,50%, shown as one row. With --pace
    /// ramp, which brings its own rates: none.
    #[arg(short = 'r', long = "rate", value_name = "LIST", value_delimiter = ',')]
    pub rates: Vec<Rate>,

    /// A bit rate as iperf3 spells it: -b 1G is --rate 1Gbit
    #[arg(short = 'b', value_name = "BITS", conflicts_with = "rates", value_parser = parse_bits)]
    pub bits: Option<Rate>,

    /// How datagrams follow each other at a rate: even · burst:N · poisson · ramp:FROM..TO (rates)
    #[arg(long, value_name = "PACE", default_value = "even")]
    pub pace: PaceKind,

    /// Flows, each its own source port [default: 1, or as many as --threads]
    #[arg(short = 'P', long, value_name = "N")]
    pub streams: Option<u16>,

    /// Sender threads, and receiver threads, each with its own socket
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: u16,

    /// Cores: auto (distinct physical ones) · off · TX:RX such as 0:1 or 0,2:1,3
    #[arg(long, value_name = "CORES", default_value = "auto")]
    pub pin: Pinning,

    /// How a worker waits for readiness, and a paced sender for its moment
    #[arg(long, value_name = "HOW", default_value = "hybrid")]
    pub wait: Wait,

    /// Datagrams a system call at most, for engines that batch; default: what suits each best
    ///
    /// gro takes at least one super-packet, whatever is in it, and uring receives about 32 a call.
    #[arg(long, value_name = "N")]
    pub batch: Option<u16>,

    /// Who says when a datagram arrived: user (when read) · kernel (also when it left the device)
    #[arg(long, value_name = "WHO", default_value = "user", hide_possible_values = true)]
    pub timestamps: Timestamps,

    /// Socket buffers to ask for; K/M = 1024. The report has what was granted
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub socket_buffer: usize,

    /// Connect the sending sockets (send), or not (send_to)
    #[arg(long, value_name = "ON|OFF", default_value = "on", hide_possible_values = true)]
    pub connect: Switch,

    /// Local address of both ends [default: 127.0.0.1, with -6 ::1]
    #[arg(short = 'B', long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,

    /// Port of the receiver, with --threads of the first one; 0: any free one
    #[arg(short = 'p', long, value_name = "N", default_value_t = 0)]
    pub port: u16,

    /// Use IPv4
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Use IPv6
    #[arg(short = '6')]
    pub ipv6: bool,

    /// Repeat every cell this often, interleaved; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub trials: u32,

    /// Differentiated services code point: 0 to 63, or ef, cs0…cs7, af11…af43
    #[arg(long, value_name = "DSCP", value_parser = parse_dscp)]
    pub dscp: Option<u8>,

    /// Time to live, or hop limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,

    /// Forbid fragments: what exceeds the path's MTU is refused
    #[arg(long)]
    pub df: bool,

    /// Use this network device only
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub dev: Option<String>,

    /// Seed of everything random: payload fill, Poisson gaps
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How the result is given
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How a result is given.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// The document as JSON: to standard output instead of text, or with =FILE beside it
    #[arg(short = 'J', long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-")]
    pub json: Option<PathBuf>,

    /// A row a cell, to a file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// HdrHistogram interval log, an interval a cell, to a file
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,

    /// End with exit code 3 if this holds in any cell: 'loss>0.1%' 'p99>200us' 'rx_pps<200k'
    ///
    /// Repeatable. Latency is judged in the paced cells, and rates in the flat-out ones, where the
    /// run has such; everything else in every cell.
    #[arg(long, value_name = "EXPR", action = ArgAction::Append)]
    pub fail_if: Vec<Condition>,

    /// No progress, and no warnings on standard error
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// When to colour; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

impl OutputArgs {
    /// Whether standard output gets the document instead of text.
    #[must_use]
    pub fn json_to_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(|path| path.as_os_str() == "-")
    }
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The socket buffer that runs will ask for
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub socket_buffer: usize,

    /// Sender threads, and receiver threads, that runs will have
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: u16,

    /// When to colour; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf bench                              sizes 64 to 8972, three engines, in 15 s
  udperf bench -l rfc2544 -t 2 --trials 5   the frames of RFC 2544, medians of five
  udperf bench -l 64 -r 100k,200k -t 5      latency at fixed rates
  udperf bench -l 64 -r 50k --pace poisson  independent arrivals
  udperf bench -P 8 --threads 2 --pin 0,1:2,3
  udperf bench -q --fail-if 'loss>0.1%' --fail-if 'rx_pps<200k' -J > run.json

Exit codes: 0 well · 1 could not run · 2 usage · 3 a --fail-if held · 130 interrupted";

/// A bit rate in iperf3's spelling: the unit may be left away.
fn parse_bits(word: &str) -> Result<Rate, crate::unit::UnitError> {
    let lower = word.to_ascii_lowercase();
    let has_unit = lower.ends_with("bit") || lower.ends_with("bps");
    if has_unit { word.parse() } else { format!("{word}bit").parse() }
}

/// A DSCP by number or by name (RFC 2474, RFC 2597, RFC 3246).
fn parse_dscp(word: &str) -> Result<u8, String> {
    let lower = word.to_ascii_lowercase();
    let digits: Vec<u8> = lower.bytes().skip(2).map(|byte| byte.wrapping_sub(b'0')).collect();
    let value = match (lower.get(..2), digits.as_slice()) {
        (Some("ef"), []) => Some(46),
        (Some("cs"), [class @ 0..=7]) => Some(class * 8),
        (Some("af"), [class @ 1..=4, drop @ 1..=3]) => Some(class * 8 + drop * 2),
        _ => lower.parse().ok().filter(|&value| value < 64),
    };
    value.ok_or_else(|| {
        format!("'{word}' is no DSCP; write 0 to 63, ef, cs0 to cs7 or af11 to af43")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn code_points_have_names() {
        for (word, value) in
            [("ef", 46), ("CS1", 8), ("af41", 34), ("af23", 22), ("0", 0), ("63", 63)]
        {
            assert_eq!(parse_dscp(word), Ok(value), "{word}");
        }
        for word in ["64", "cs8", "af44", "af5", "", "é"] {
            assert!(parse_dscp(word).is_err(), "{word}");
        }
    }

    #[test]
    fn bits_need_no_unit() {
        assert_eq!(parse_bits("1G"), Ok(Rate::Bits(1e9)));
        assert_eq!(parse_bits("10Mbit"), Ok(Rate::Bits(1e7)));
        assert!(parse_bits("50%").is_err());
    }
}
