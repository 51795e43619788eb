//! `udperf bench`, `blast`, `load` and `ping`, as typed.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Subcommand, value_parser};

use super::{CellArgs, Network, RequestArgs, help::of_command, words};
use crate::fleet::Pairing;
use crate::unit::Nanos;

#[derive(Debug, Subcommand)]
pub(crate) enum CellCommand {
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
    /// Send requests to any UDP server and match its responses: capacity, latency, errors
    ///
    /// Without --rate, it finds the capacity of the server first, then measures 50 % and 80 % of
    /// it; the report begins with the capacity, p99, and the limit: server, generator or path.
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
    #[command(after_long_help = format!("\
Examples:
  udperf ping lab7                             one at a time for 10 s, to `udperf echo` there
  udperf ping lab7 --wait spin -n 100000       neither end sleeps
  udperf ping lab7 -l 64,1472 -r 1k            on schedule: no slow reply hides another
  udperf ping 192.168.1.7:7 -t 2               a server of the echo protocol (RFC 862)\
{EXIT_CODES}"))]
    #[command(mut_args = |arg| of_command("ping", arg))]
    Ping(Box<ExchangeArgs>),
}

impl CellCommand {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Bench(_) => "bench",
            Self::Blast(_) => "blast",
            Self::Load(_) => "load",
            Self::Ping(_) => "ping",
        }
    }

    pub(crate) const fn cells(&self) -> &CellArgs {
        match self {
            Self::Bench(args) => &args.cells,
            Self::Blast(args) => &args.cells,
            Self::Load(args) => &args.exchange.cells,
            Self::Ping(args) => &args.cells,
        }
    }

    pub(crate) const fn cells_mut(&mut self) -> &mut CellArgs {
        match self {
            Self::Bench(args) => &mut args.cells,
            Self::Blast(args) => &mut args.cells,
            Self::Load(args) => &mut args.exchange.cells,
            Self::Ping(args) => &mut args.cells,
        }
    }

    pub(crate) const fn is_public(&self) -> bool {
        match self {
            Self::Bench(_) => false,
            Self::Blast(args) => args.allow_public,
            Self::Load(args) => args.exchange.allow_public,
            Self::Ping(args) => args.allow_public,
        }
    }

    pub(crate) fn inputs(&self) -> Vec<&Path> {
        match self {
            Self::Blast(args) => args.key_file.as_deref().into_iter().collect(),
            Self::Load(args) => args.requests.files().map(|(_, path)| path).collect(),
            Self::Bench(_) | Self::Ping(_) => Vec::new(),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  udperf bench                              sizes 64 to 8972, three engines, in 15 s
  udperf bench -l rfc2544 -t 2 --trials 5   the frames of RFC 2544, medians of five
  udperf bench -l 64 -r 100k,200k -t 5      latency at fixed rates
  udperf bench -l 64 -r 50k --pace poisson  independent arrivals
  udperf bench -B 10.9.0.1 --to 10.9.0.2 --to-netns B
  udperf bench -P 8 --threads 2 --pin 0,1:2,3
  mpirun -np 4 --bind-to none udperf bench --pairs --net 10.9.0.0/16
  udperf bench -q --fail-if 'loss>0.1%' --fail-if 'rx_pps<200k' -J > run.json{EXIT_CODES}"))]
#[command(mut_args = |arg| of_command("bench", arg))]
pub(crate) struct BenchArgs {
    /// Port of the receiver, or with --threads of the first one; 0: any free one
    #[arg(short = 'p', long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Address of the receivers, or a name of this host [default: the address of --bind]
    ///
    /// If a name has several addresses, the first one of this host is used; -4 and -6 select the
    /// family. Senders then use any local address, unless --bind is given.
    #[arg(long, value_name = "HOST")]
    pub(crate) to: Option<String>,
    /// Put the receivers into this network namespace, by its name or path; needs root
    ///
    /// Datagrams then cross the devices between the two namespaces, such as a veth pair. Traffic
    /// between two addresses of one namespace always runs over lo.
    #[arg(long, value_name = "NAME|PATH", requires = "to", value_parser = parse_netns)]
    pub(crate) to_netns: Option<PathBuf>,
    /// Under mpirun or srun: each even rank sends to the next odd one
    ///
    /// Rates and counts are those of all senders together. The report has the sums of all pairs,
    /// and a line per pair. The number of processes must be even.
    #[arg(long, group = "pairing", conflicts_with_all = BOTH_ENDS)]
    pub(crate) pairs: bool,
    /// Under mpirun or srun: all ranks send to the last one
    #[arg(long, group = "pairing", conflicts_with_all = BOTH_ENDS)]
    pub(crate) incast: bool,
    /// With --pairs or --incast: the network between the hosts, such as 10.9.0.0/16
    ///
    /// Without it, senders try the addresses of their receiver in turn: loopback in one network
    /// namespace, otherwise those that are private (RFC 1918, RFC 4193 and the like).
    #[arg(long, value_name = "CIDR", requires = "pairing")]
    pub(crate) net: Option<Network>,
    #[command(flatten)]
    pub(crate) cells: CellArgs,
}

/// Flags of runs with both ends in one process.
const BOTH_ENDS: [&str; 4] = ["to", "to_netns", "bind", "single"];

impl BenchArgs {
    /// Which process sends to which; `None`: each measures within itself.
    pub(crate) fn pairing(&self) -> Option<Pairing> {
        match (self.pairs, self.incast) {
            (true, _) => Some(Pairing::Pairs),
            (_, true) => Some(Pairing::Incast),
            _ => None,
        }
    }
}

/// Where `ip netns` keeps its namespaces; ip-netns(8).
const NAMED_NETNS: &str = "/run/netns";

fn parse_netns(word: &str) -> Result<PathBuf, String> {
    match word {
        "" | "." | ".." => Err(format!("invalid network namespace '{word}'; use a name or a path")),
        path if path.contains('/') => Ok(PathBuf::from(path)),
        name => Ok(Path::new(NAMED_NETNS).join(name)),
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  udperf blast 192.168.1.7                     64 bytes, flat out, 10 s
  udperf blast lab7 -l 64,1472 -r 100k -t 5    two sizes at a rate: loss and one-way latency
  udperf blast lab7 --reverse -e all           the sink sends, by every engine
  udperf blast lab7 --bidir -r 50k             both ways at once
  udperf blast lab7 -P 10000 --port-range 20000-40000 -r 200k
  udperf blast 192.168.1.7:9 --no-peer -b 100M
  udperf blast 239.1.2.3 --no-peer -r 1k --dev eth0 --ttl 1{EXIT_CODES}"))]
#[command(mut_args = |arg| of_command("blast", arg))]
pub(crate) struct BlastArgs {
    /// The sink: HOST or HOST:PORT (7788 without), IPv6 addresses in brackets
    ///
    /// If a name has several addresses, the first one where a sink answers is used; with --no-peer,
    /// the first one that does not refuse datagrams. A silent address does not refuse: if it is
    /// wrong, give another address, or choose with -4 or -6.
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The sink sends, and this end receives
    #[arg(short = 'R', long, conflicts_with_all = ["bidir", "no_peer"])]
    pub(crate) reverse: bool,
    /// Both ends send at once; each direction is reported separately
    #[arg(long, conflicts_with = "no_peer")]
    pub(crate) bidir: bool,
    /// The target is not a udperf sink: report the sending side only
    #[arg(long)]
    pub(crate) no_peer: bool,
    /// How flows are assigned to the sink's --threads: turn (in turn) · hash (of the source, like
    /// SO_REUSEPORT)
    #[arg(long = "spread", value_name = "HOW", default_value = "turn", action = ArgAction::Set)]
    #[arg(hide_possible_values = true)]
    #[arg(value_parser = words([("turn", "", false), ("hash", "", true)]))]
    pub(crate) by_hash: bool,
    /// Send to addresses outside loopback, private and link-local ranges; needs a rate
    #[arg(long)]
    pub(crate) allow_public: bool,
    /// Send to a broadcast address; with --no-peer
    #[arg(long)]
    pub(crate) broadcast: bool,
    /// Shared key for mutual authentication [default: UDPERF_KEY, or none]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Local port of the control messages; 0: any free one
    #[arg(short = 'p', long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) cells: CellArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  udperf load 127.0.0.1:53 --preset dns --name www.example.test          # capacity first
  udperf load ns1.lab:53 --preset dns --names queries.txt -r 10k,50k,100k
  udperf load 127.0.0.1:53 --preset dns --name example.test --random-subdomain 8 -r max
  udperf load 127.0.0.1:53 --preset dns --name a.test --source 127.0.1.0/24 --server-unit nsd
  udperf load 127.0.0.1:123 --preset ntp --outstanding 100
  udperf load 127.0.0.1:11211 --preset memcached-udp --key hello -r 20k -P 8
  udperf load game7 --preset a2s -r 1k
  udperf load 127.0.0.1:9000 --text 'get {{id}} {{choice:a|b|c}}' --error miss=prefix:END -r 5k
  udperf load 127.0.0.1:9000 --text 'HELLO {{id}}' --then 'GET {{id}} {{reply@17:4}}' -r 5k
  udperf load 127.0.0.1:53 --pcap queries.pcap --match dns --pace recorded{EXIT_CODES}"))]
#[command(mut_args = |arg| of_command("load", arg))]
#[command(override_usage = "udperf load [OPTIONS] --preset <NAME> <TARGET>\n       udperf load \
    [OPTIONS] --text|--hex|--lines|--file|--pcap <REQUESTS> <TARGET>")]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) exchange: ExchangeArgs,
    #[command(flatten)]
    pub(crate) requests: RequestArgs,
}

/// The maximum of `--outstanding`: a quarter of the largest table. Arbitrary.
const MAX_OUTSTANDING: i64 = 1_000_000;

#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// The server: HOST or HOST:PORT, IPv6 addresses in brackets
    ///
    /// If a name has several addresses, the first one that does not refuse datagrams is used. A
    /// silent address does not refuse: if it is wrong, give another address, or choose with -4 or
    /// -6.
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Closed loop: at most N requests in flight
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=MAX_OUTSTANDING))]
    pub(crate) outstanding: Option<u32>,
    /// Time to wait for a response before it counts as a timeout
    #[arg(long, value_name = "DUR", default_value = "1s")]
    pub(crate) timeout: Nanos,
    /// Report CPU time, memory and drops of these processes of this host, which are the server
    ///
    /// Processes that they have started count, too. Each cell and interval has CPU time, threads,
    /// resident memory, context switches, and the drops at their sockets on the target's port. To
    /// read the drops takes root or the user of the processes.
    #[arg(long, value_name = "PID", value_delimiter = ',', help_heading = "Server")]
    #[arg(conflicts_with = "server_unit")]
    pub(crate) server_pid: Vec<u32>,
    /// Like --server-pid, for all processes of this systemd unit
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub(crate) server_unit: Option<String>,
    /// Send to addresses outside loopback, private and link-local ranges; needs a rate, or with
    /// --pace recorded a --count
    #[arg(long)]
    pub(crate) allow_public: bool,
    #[command(flatten)]
    pub(crate) cells: CellArgs,
}

/// The last part of the long help of each of these.
const EXIT_CODES: &str = "

Exit codes: 0 success · 1 could not run · 2 usage · 3 a --fail-if held · 5 invalid ·
130 interrupted";
