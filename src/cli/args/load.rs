//! `udperf load` and `udperf ping`, as typed.

use clap::Args;

use super::{CellArgs, RequestArgs};
use crate::unit::Nanos;

/// The maximum of `--outstanding`: a quarter of the largest table. Arbitrary.
const MOST: i64 = 1_000_000;

/// Send requests to any UDP server at a fixed rate, match its replies, and measure latency from the
/// due time of each request.
#[derive(Debug, Args)]
#[command(after_long_help = LOAD_EXAMPLES)]
#[command(mut_args = |arg| super::help::of_command("load", arg))]
#[command(override_usage = "udperf load [OPTIONS] --preset <NAME> <TARGET>\n       udperf load \
    [OPTIONS] --text|--hex|--lines|--file|--pcap <REQUESTS> <TARGET>")]
pub(crate) struct LoadArgs {
    /// The server: HOST:PORT, IPv6 addresses in brackets; with --preset, HOST for its usual port
    ///
    /// If a name has several addresses, the first one that does not refuse datagrams is used. A
    /// silent address does not refuse: if it is wrong, give another address, or choose with -4 or
    /// -6.
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Closed loop: at most N requests in flight
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    pub(crate) outstanding: Option<u32>,
    #[command(flatten)]
    pub(crate) exchange: ExchangeArgs,
    #[command(flatten)]
    pub(crate) requests: RequestArgs,
}

/// Measure round-trip time to a UDP echo server: `udperf echo`, `udperf sink`, or any other.
#[derive(Debug, Args)]
#[command(after_long_help = PING_EXAMPLES)]
#[command(mut_args = |arg| super::help::of_command("ping", arg))]
pub(crate) struct PingArgs {
    /// The echo server: HOST or HOST:PORT (7788 without), IPv6 addresses in brackets
    ///
    /// If a name has several addresses, the first one that does not refuse datagrams is used. A
    /// silent address does not refuse: if it is wrong, give another address, or choose with -4 or
    /// -6.
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Maximum number of requests in flight [default: 1; with --rate: any number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST))]
    pub(crate) outstanding: Option<u32>,
    #[command(flatten)]
    pub(crate) exchange: ExchangeArgs,
}

/// Options common to all request/response commands.
#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// Time to wait for a response before it counts as a timeout
    #[arg(long, value_name = "DUR", default_value = "1s")]
    pub(crate) timeout: Nanos,
    /// Send to addresses outside loopback, private and link-local ranges; needs a rate, or with
    /// --pace recorded a --count
    #[arg(long)]
    pub(crate) allow_public: bool,
    #[command(flatten)]
    pub(crate) cells: CellArgs,
}

/// Shown below the long help of load.
const LOAD_EXAMPLES: &str = "\
Examples:
  udperf load 127.0.0.1:53 --preset dns --name www.example.test -r 50k -t 5
  udperf load ns1.lab:53 --preset dns --names queries.txt -r 10k,50k,100k
  udperf load 127.0.0.1:53 --preset dns --name example.test --random-subdomain 8 -r max
  udperf load 127.0.0.1:123 --preset ntp --outstanding 100
  udperf load 127.0.0.1:11211 --preset memcached-udp --key hello -r 20k -P 8
  udperf load game7:27015 --hex 'ffffffff54 536f7572636520456e67696e6520517565727900' --match any
  udperf load 127.0.0.1:9000 --text 'get {id} {choice:a|b|c}' -r 5k --pace poisson
  udperf load 127.0.0.1:53 --pcap queries.pcap --match dns --pace recorded

Exit codes: 0 success · 1 could not run · 2 usage · 3 a --fail-if held · 5 invalid ·
130 interrupted";

/// Shown below the long help of ping.
const PING_EXAMPLES: &str = "\
Examples:
  udperf ping lab7                             one at a time for 10 s, to `udperf echo` there
  udperf ping lab7 --wait spin -n 100000       neither end sleeps
  udperf ping lab7 -l 64,1472 -r 1k            on schedule: no slow reply hides another
  udperf ping 192.168.1.7:7 -t 2               a server of the echo protocol (RFC 862)

Exit codes: 0 success · 1 could not run · 2 usage · 3 a --fail-if held · 5 invalid ·
130 interrupted";
