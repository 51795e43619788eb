//! `udperf sink` and `udperf echo`, as typed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, ValueHint, value_parser};

use super::measure::{parse_scoped, wait_words};
use super::{
    FamilyArgs, LiveArgs, MetricsArgs, OutputArgs, PORT, XdpArgs, engines, help::under_heading,
};
use crate::engine::table;
use crate::net::GroupJoin;
use crate::net::steer::MAX_SLOTS;
use crate::plan::{DropRule, EngineWord, Pinning, WaitKind};
use crate::unit::{Nanos, Rate, UnitError, parse_buffer, parse_count};

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Local address [default: any, of IPv4 and IPv6]
    #[arg(short = 'B', long, value_name = "ADDR[%DEV]", value_parser = parse_scoped)]
    pub(crate) bind: Option<(IpAddr, Option<String>)>,
    /// Local port; 0: any free one
    #[arg(short = 'p', long, value_name = "N", default_value_t = PORT)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Use this network device only
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) dev: Option<String>,
    /// Requested size of socket buffers; K/M = 1024
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub(crate) socket_buffer: usize,
    /// Threads, each with its own socket at the port; the kernel spreads the clients over them. A
    /// sink has as many receivers for each client
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// Cores of the threads: auto · off · a list such as 1,3
    #[arg(long, value_name = "CORES", default_value = "auto", value_parser = parse_cores)]
    pub(crate) pin: Pinning,
    /// How a thread waits for readiness
    #[arg(long, value_name = "HOW", default_value = "hybrid", value_parser = wait_words())]
    pub(crate) wait: WaitKind,
    /// Run pinned threads with real-time priority (SCHED_FIFO) and locked memory; needs privileges
    ///
    /// Ordinary programs then do not delay these threads. One CPU stays free of them, so that this
    /// host remains reachable. If several clients share a core, one has real-time priority. The
    /// document has the number of real-time threads.
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Count by intervals of this width, at least 250 ms, in the document; 0: off [default: 1 for
    /// servers that last 3 s and more]
    ///
    /// A datagram counts in the interval in which it was read; those of a sink's clients where they
    /// were due, within the width of the client's intervals. With this flag, a line per interval is
    /// printed on standard error: datagrams and rate, and for sink those of no client, sources and
    /// clients.
    #[arg(short = 'i', long, value_name = "DUR", value_parser = parse_interval)]
    pub(crate) interval: Option<Nanos>,
    /// End after this time without a datagram, and for sink without a client
    #[arg(long, value_name = "DUR")]
    pub(crate) idle_timeout: Option<Nanos>,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf sink                                  serve clients on port 7788 until Ctrl-C
  udperf sink --once -q                        serve one client, then end
  udperf sink -p 9999 --idle-timeout 10        count what arrives, end after 10 s of silence
  udperf sink -i 1                             a line per second on standard error
  udperf sink --join 239.1.2.3 --dev eth0
  udperf sink --join 10.0.0.9@232.1.2.3 --join 10.0.0.9@232.1.2.4
  udperf sink --max-clients 4 --max-rate 200k --max-time 60
  UDPERF_KEY=secret udperf sink                serve only clients with this key

A sink that a socket unit of systemd starts serves at the sockets of the unit (sd_listen_fds(3)).

Exit codes: 0 success · 1 could not run · 2 usage · 130 interrupted")]
#[command(mut_args = under_heading)]
pub(crate) struct SinkArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Serve one client only, and end when it leaves
    #[arg(long)]
    pub(crate) once: bool,
    /// Maximum number of simultaneous clients
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u16).range(1..=i64::from(MAX_SLOTS)))]
    pub(crate) max_clients: u16,
    /// Maximum rate that a client may request, in either direction
    #[arg(long, value_name = "RATE")]
    pub(crate) max_rate: Option<Rate>,
    /// Maximum measurement time that a client may request
    #[arg(long, value_name = "DUR")]
    pub(crate) max_time: Option<Nanos>,
    #[command(flatten)]
    pub(crate) xdp: XdpArgs,
    /// Serve only clients with this key [default: UDPERF_KEY, or all clients]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Also receive datagrams of this multicast group, on --dev or the device after %; repeatable
    ///
    /// SOURCE@GROUP receives those of one sender only (source-specific multicast). Datagrams are
    /// counted by source and group, and those of blast --no-peer by sequence number, too: lost,
    /// repeated and reordered.
    #[arg(long = "join", value_name = "[SOURCE@]GROUP[%DEV]", value_parser = parse_group)]
    #[arg(action = ArgAction::Append)]
    pub(crate) join: Vec<GroupJoin>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) files: ServerFileArgs,
    #[command(flatten)]
    pub(crate) metrics: ServerMetricsArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
}

/// Flags of the metrics of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ServerMetricsArgs {
    #[command(flatten)]
    pub(crate) endpoint: MetricsArgs,
    /// Label the metrics of --metrics by the IP address of the client
    ///
    /// The first 256 addresses have a label each; client="other" has the sum of all others. A sink
    /// labels what its sessions counted, not datagrams outside of them.
    #[arg(long = "metrics-clients", requires = "metrics")]
    pub(crate) by_client: bool,
}

/// A multicast group, with its only sender and the device to join it on, if these are given.
fn parse_group(word: &str) -> Result<GroupJoin, String> {
    let (source, group) = match word.split_once('@') {
        Some((source, group)) => (Some(source), group),
        None => (None, word),
    };
    let (group, dev) =
        parse_scoped(group).ok().filter(|(group, _)| group.is_multicast()).ok_or_else(|| {
            format!("invalid multicast group '{group}'; use such as 239.1.2.3 or ff02::7788%eth0")
        })?;
    let is_host =
        |ip: &IpAddr| ip.is_ipv4() == group.is_ipv4() && !ip.is_multicast() && !ip.is_unspecified();
    let source = source.map(|word| {
        word.parse().ok().filter(is_host).ok_or_else(|| {
            format!("invalid source '{word}' of {group}; use the address of a host of that family")
        })
    });
    Ok(GroupJoin { group, source: source.transpose()?, dev })
}

/// The shortest interval of a server: a sink reads its counters that often.
const MIN_INTERVAL: Nanos = Nanos::from_millis(250);

/// Files that a server writes besides its document.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ServerFileArgs {
    /// Write CSV to a file: one row per interval of --interval
    #[arg(long, value_name = "FILE")]
    pub(crate) csv_intervals: Option<PathBuf>,
}

impl ServerFileArgs {
    /// Each of them, by flag.
    pub(crate) fn all(&self) -> [(&'static str, Option<&Path>); 1] {
        [("csv-intervals", self.csv_intervals.as_deref())]
    }
}

fn parse_interval(word: &str) -> Result<Nanos, String> {
    let width: Nanos = word.parse().map_err(|error: UnitError| error.to_string())?;
    match width == Nanos::ZERO || width >= MIN_INTERVAL {
        true => Ok(width),
        false => Err(format!("invalid interval '{word}'; use at least {MIN_INTERVAL}, or 0")),
    }
}

fn parse_cores(word: &str) -> Result<Pinning, String> {
    if let Ok(pin @ (Pinning::Auto | Pinning::Off)) = word.parse() {
        return Ok(pin);
    }
    let rx: Result<Vec<_>, _> = word.split(',').map(|core| core.trim().parse()).collect();
    rx.map(|rx| Pinning::Cores { tx: rx.clone(), rx })
        .map_err(|_| format!("invalid core list '{word}'; use auto, off, or a list such as 1,3"))
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf echo                                  answer on port 7788 until Ctrl-C
  udperf echo -B 127.0.0.1 -p 9999 -e plain    recv_from and send_to, like most servers
  udperf echo --delay 20ms --drop 1%           simulate a worse path
  udperf echo --threads 4 --wait spin -q       at the highest rate
  udperf echo -n 1000 -J                       a thousand datagrams, then the document

Each reply has the bytes of its request, and leaves from the address that the request was sent to.
Two servers that answer all datagrams would answer each other forever (RFC 862 does not prevent
this), so datagrams from port 0, from the port number of this server, and from the ports of echo,
daytime, qotd, chargen and time (7, 13, 17, 19, 37) get no reply, and are counted. Servers on other
ports, such as other udperf servers, can still loop: do not run it on a public address.

Exit codes: 0 success · 1 could not run · 2 usage · 130 interrupted")]
#[command(mut_args = under_heading)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// How to receive and send; the help text comes from the table of engines
    #[arg(short = 'e', long, value_name = "NAME", default_value = "auto")]
    #[arg(help = table::echo_help(), hide_possible_values = true)]
    #[arg(value_parser = engines(|row| row.echo.is_some(), ["auto"]))]
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) engine: EngineWord,
    /// Delay each reply by this time, from the read of its request
    ///
    /// Each thread queues up to 65536 packets and 32 MiB; further packets are dropped and counted.
    #[arg(long, value_name = "DUR")]
    pub(crate) delay: Option<Nanos>,
    /// Drop some requests: 1% (at random, from --seed) · 1/N (exactly every Nth of a thread)
    #[arg(long, value_name = "RULE")]
    pub(crate) drop: Option<DropRule>,
    /// Seed of the random drops of --drop
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// End after this many datagrams; those read together with the last one are answered, too
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// End after this time: seconds, or 500ms, 2m
    #[arg(short = 't', long, value_name = "DUR")]
    pub(crate) time: Option<Nanos>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) files: ServerFileArgs,
    #[command(flatten)]
    pub(crate) metrics: ServerMetricsArgs,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
}
