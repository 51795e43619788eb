//! Flags of commands that measure cells.

use std::net::IpAddr;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, ValueHint};

use super::network::parse_sources;
use super::{
    Completed, FamilyArgs, NO_UNIX, RunOutputArgs, TelemetryArgs, XdpArgs, engines, on_off, words,
};
use crate::engine::table;
use crate::net::UnixName;
use crate::plan::TimestampKind::{self, Kernel, User};
use crate::plan::{EngineWord, PaceBy, PaceKind, Pinning, Sources, WaitKind};
use crate::sys;
use crate::unit::{Nanos, PayloadSize, Rate, parse_buffer, parse_count, parse_sizes};

#[derive(Debug, Args)]
pub(crate) struct CellArgs {
    /// Payload bytes: 64,1472 · 64..1024*2 (doubling) · 64..256+64 · rfc2544 · imix; K = 1024
    #[arg(short = 'l', long = "size", value_name = "LIST", value_delimiter = ',')]
    #[arg(value_parser = sizes(), hide_possible_values = true, value_hint = ValueHint::Other)]
    pub(crate) sizes: Vec<Vec<PayloadSize>>,
    /// Engines to measure; the help text comes from the table of engines.
    #[arg(short = 'e', long = "engine", value_name = "LIST", value_delimiter = ',')]
    #[arg(help = table::help(), long_help = table::long_help(), hide_possible_values = true)]
    #[arg(value_parser = engines(|row| row.pair().is_some(), ["gso/batch", "auto", "all"]))]
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) engines: Vec<EngineWord>,
    /// Measure each cell for this long: seconds, or 500ms, 2m
    #[arg(short = 't', long, value_name = "DUR", conflicts_with = "count")]
    pub(crate) time: Option<Nanos>,
    /// Measure exactly this many datagrams, not counting the warm-up; K/M/G = 1000
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// Send for this long before measuring; not counted; 0: no warm-up
    #[arg(long, value_name = "DUR")]
    pub(crate) warmup: Option<Nanos>,
    /// Report each part of a cell of this width; 0: off [default: 1 for cells of 3 s and more]
    ///
    /// A datagram counts in the interval in which it was due, whenever it arrives, so that the
    /// intervals add up to the cell. With --events, --metrics
    /// or --csv-intervals, shorter cells are one interval.
    /// With this flag where standard error is no terminal, and with -v, a line per interval is
    /// printed on standard error as it ends.
    #[arg(short = 'i', long, value_name = "DUR")]
    pub(crate) interval: Option<Nanos>,
    /// Rates: max · 100k (datagrams/s) · 1Gbit (payload bits/s) · 50% (of what max delivered)
    ///
    /// The sum of all flows. K/M/G = 1000. --pace ramp and recorded define their own rates.
    #[arg(short = 'r', long = "rate", value_name = "LIST", value_delimiter = ',')]
    pub(crate) rates: Vec<Rate>,
    /// Bit rate in the notation of iperf3: -b 1G is --rate 1Gbit
    #[arg(short = 'b', value_name = "BITS", conflicts_with = "rates", value_parser = parse_bits)]
    pub(crate) bits: Option<Rate>,
    /// Arrival pattern: even · burst:N · poisson · ramp:FROM..TO (rates) · recorded
    /// (load --pcap)
    #[arg(long, value_name = "PACE", default_value = "even")]
    pub(crate) pace: PaceKind,
    /// What releases datagrams: user (udperf) · txtime or fq (the kernel)
    ///
    /// txtime gives each datagram its due time (SO_TXTIME), and the kernel holds it until then. The
    /// device needs the queueing discipline fq or etf. fq limits each flow to its rate
    /// (SO_MAX_PACING_RATE), and needs --pace even and the queueing discipline fq. Both work with
    /// the sending engines plain and batch. Latency counts from the due time. The lag of the
    /// schedule is measured when udperf passes the datagram to the kernel.
    #[arg(long, value_name = "WHO", default_value = "user", hide_possible_values = true)]
    #[arg(value_parser = words([
        ("user", "", PaceBy::User), ("txtime", "", PaceBy::Txtime), ("fq", "", PaceBy::Fq),
    ]))]
    pub(crate) pace_by: PaceBy,
    /// Flows, each with its own source port
    #[arg(short = 'P', long, value_name = "N")]
    pub(crate) streams: Option<u16>,
    /// Sender threads, and as many receiver threads; load and ping use one thread for both
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: u16,
    /// Cores: auto (distinct physical ones) · off · TX:RX such as 0:1 or 0,2:1,3
    #[arg(long, value_name = "CORES", default_value = "auto")]
    pub(crate) pin: Pinning,
    /// How a worker waits for readiness, and a paced sender for its next datagram
    #[arg(long, value_name = "HOW", default_value = "hybrid", value_parser = wait_words())]
    pub(crate) wait: WaitKind,
    /// Run pinned workers with real-time priority (SCHED_FIFO) and locked memory; needs privileges
    ///
    /// Ordinary programs then do not delay these workers. One CPU stays free of them, so that this
    /// host remains reachable: if workers need all CPUs, the last receiver has normal priority. The
    /// report has the number of real-time workers.
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Maximum datagrams per system call, for engines that batch [default: depends on the engine]
    ///
    /// gro reads at least one whole super-packet, and uring receives about 32 per call.
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<u16>,
    /// Source of timestamps: user (udperf) · kernel (kernel timestamps in addition)
    ///
    /// kernel splits the latency of every datagram at the receiver's kernel, and that of a sample
    /// into parts that add up: schedule lag, system call, path, wait in the socket. The sample has
    /// at most 1000 datagrams per second and sender.
    #[arg(long, value_name = "WHO", default_value = "user", hide_possible_values = true)]
    #[arg(value_parser = words([("user", "", User), ("kernel", "", Kernel)]))]
    pub(crate) timestamps: TimestampKind,
    /// Requested socket buffer size; K/M = 1024. The report has the granted size
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub(crate) socket_buffer: usize,
    /// Connect the sending sockets (send), or not (send_to)
    #[arg(long, value_name = "ON|OFF", default_value = "on", hide_possible_values = true)]
    #[arg(value_parser = on_off(), action = ArgAction::Set)]
    pub(crate) connect: bool,
    /// Local address; bench also takes unix:PATH
    ///
    /// ADDR%DEV uses that device only, as --dev does; fe80::/10 addresses need a device.
    ///
    /// unix:PATH sends by AF_UNIX datagram sockets instead, to show the cost of the IP stack.
    /// Receivers are bound to PATH.0, PATH.1 …, which are removed at the end; unix:@NAME makes no
    /// files, and unix: generates a name. No datagram is lost: a full queue
    /// (net.unix.max_dgram_qlen datagrams) refuses them.
    #[arg(short = 'B', long, value_name = "ADDR[%DEV]", value_parser = parse_local)]
    pub(crate) bind: Option<Local>,
    /// Local addresses of flows, in turn: 127.0.1.1,127.0.1.2 or 127.0.1.0/24
    ///
    /// The server then sees many clients. Flow N has the address N modulo their number; without
    /// --streams, each address has at least one flow. A network stands for its host addresses. All
    /// of 127.0.0.0/8 works without set-up. Other addresses must belong to this host, or be private
    /// and routed to it; sending from the latter takes root with IPv4 (IP_TRANSPARENT), but not
    /// with IPv6. bench receives at the first address, unless --to names another.
    #[arg(long, value_name = "LIST", value_parser = parse_sources, conflicts_with = "bind")]
    pub(crate) source: Option<Sources>,
    /// Local ports of flows, such as 20000-29999 [default: any free ports]
    #[arg(long, value_name = "A-B", value_parser = parse_ports)]
    pub(crate) port_range: Option<(u16, u16)>,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Repeat every cell N times, interleaved; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) trials: u32,
    /// Differentiated services code point: 0 to 63, or ef, cs0…cs7, af11…af43
    #[arg(long, value_name = "DSCP", value_parser = parse_dscp)]
    pub(crate) dscp: Option<u8>,
    /// Time to live, or hop limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) ttl: Option<u8>,
    /// Forbid fragmentation: datagrams larger than the path MTU are refused
    #[arg(long)]
    pub(crate) df: bool,
    /// Use this network device only
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) dev: Option<String>,
    #[command(flatten)]
    pub(crate) xdp: XdpArgs,
    /// Seed of payload fill, Poisson gaps, first ids and random labels
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Under mpirun or srun: each process runs alone, and makes its own report
    #[arg(long)]
    pub(crate) single: bool,
    /// Under mpirun or srun: rates, --count and --outstanding are those of each process
    ///
    /// Without it, they are those of the whole run, and every process has an exact share.
    #[arg(long, conflicts_with = "single")]
    pub(crate) per_rank: bool,
    /// Under mpirun or srun: each process starts this much later than the one before it
    #[arg(long, value_name = "DUR", conflicts_with = "single")]
    pub(crate) start_stagger: Option<Nanos>,
    #[command(flatten)]
    pub(crate) output: RunOutputArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Sizes; shells complete those of `udperf bench` without arguments, and the named lists.
fn sizes() -> impl TypedValueParser<Value = Vec<PayloadSize>> {
    let words = vec!["64", "512", "1472", "8972", "rfc2544", "imix"];
    Completed { parser: parse_sizes, words }
}

pub(super) fn wait_words() -> impl TypedValueParser<Value = WaitKind> {
    words([
        ("spin", "Never sleep: fastest, uses the whole core", WaitKind::Spin),
        ("hybrid", "Spin for about the cost of a wake-up (100 µs), then sleep", WaitKind::Hybrid),
        ("epoll", "Sleep whenever idle, like most servers", WaitKind::Epoll),
    ])
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// An address of this host, and the name of its device if one was given.
    Ip(IpAddr, Option<String>),
    /// A name of AF_UNIX sockets.
    Unix(UnixName),
}

/// An IP address with or without a device, or `unix:` and a name.
pub(super) fn parse_local(word: &str) -> Result<Local, String> {
    match word.strip_prefix("unix:") {
        Some(name) => Ok(Local::Unix(UnixName::new(name))),
        None => parse_scoped(word).map(|(addr, dev)| Local::Ip(addr, dev)),
    }
}

/// `ADDR` or `ADDR%DEV`, the device by name or, as RFC 4007 allows, by number.
pub(super) fn parse_scoped(word: &str) -> Result<(IpAddr, Option<String>), String> {
    if word.starts_with("unix:") {
        return Err(NO_UNIX.to_owned());
    }
    let (addr, dev) = word.split_once('%').map_or((word, None), |(addr, dev)| (addr, Some(dev)));
    let Ok(addr) = addr.parse() else {
        return Err(format!("'{word}' is not an IP address; use ADDR or ADDR%DEV"));
    };
    let dev = match dev.map(|dev| (dev, dev.parse())) {
        Some(("", _)) => return Err(format!("'{word}' has no device after %; use ADDR%DEV")),
        Some((_, Ok(index))) => Some(
            sys::device_name(index)
                .ok_or_else(|| format!("'{word}': no device has number {index}"))?,
        ),
        Some((dev, Err(_))) => Some(dev.to_owned()),
        None => None,
    };
    Ok((addr, dev))
}

/// A bit rate in the notation of iperf3: the unit is optional.
fn parse_bits(word: &str) -> Result<Rate, String> {
    if word == "0" {
        return Err("use --rate max to send without a limit".to_owned());
    }
    if let Some((rate, burst)) = word.split_once('/') {
        return Err(format!("use --rate {rate}bit --pace burst:{burst} to send in bursts"));
    }
    let lower = word.to_ascii_lowercase();
    let has_unit = lower.ends_with("bit") || lower.ends_with("bps");
    let rate = if has_unit { word.parse() } else { format!("{word}bit").parse() };
    rate.map_err(|error: crate::unit::UnitError| error.to_string())
}

fn parse_ports(word: &str) -> Result<(u16, u16), String> {
    let ends = word.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    ends.filter(|(first, last)| (1..=*last).contains(first))
        .ok_or_else(|| format!("invalid port range '{word}'; use such as 20000-29999"))
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
        format!("invalid DSCP '{word}'; use 0 to 63, ef, cs0 to cs7 or af11 to af43")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: PartialEq>(
        parse: fn(&str) -> Result<T, String>,
        valid: &[(&str, T)],
        invalid: &str,
    ) {
        for (word, value) in valid {
            assert!(parse(word).is_ok_and(|parsed| parsed == *value), "{word}");
        }
        invalid.split(' ').for_each(|word| assert!(parse(word).is_err(), "{word}"));
    }

    #[test]
    fn parses_words() {
        let dscp = [("ef", 46), ("CS1", 8), ("af41", 34), ("af23", 22), ("0", 0), ("63", 63)];
        check(parse_dscp, &dscp, "64 cs8 af44 af5 é ");
        check(parse_bits, &[("1G", Rate::Bits(1e9)), ("10Mbit", Rate::Bits(1e7))], "50%");
        let ports = [("20000-29999", (20_000, 29_999)), ("7-7", (7, 7))];
        check(parse_ports, &ports, "7 0-9 9-8 1-65536 a-b ");
        let ip = |ip: &str, dev: Option<&str>| Local::Ip(ip.parse().unwrap(), dev.map(Into::into));
        let valid = [
            ("::1", ip("::1", None)),
            ("fe80::1%eth0", ip("fe80::1", Some("eth0"))),
            ("10.0.0.1%eth0", ip("10.0.0.1", Some("eth0"))),
            ("unix:a:b", Local::Unix(UnixName::new("a:b"))),
        ];
        check(parse_local, &valid, "::1% %eth0 localhost unix");
        if let Ok(lo) = sys::device_index("lo") {
            let scoped = format!("::1%{lo}");
            check(parse_local, &[(&scoped, ip("::1", Some("lo")))], "::1%4000000000");
        }
    }
}
