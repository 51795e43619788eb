//! `udperf blast` and `udperf sink`, as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::{CellArgs, OutputArgs, SocketArgs, Wait};
use crate::plan::Pinning;
use crate::unit::{Nanos, Rate};

/// Send to a sink on another host or receive from it, and report both ends.
#[derive(Debug, Args)]
#[command(after_long_help = BLAST_EXAMPLES)]
#[command(mut_args = |arg| super::help::of_command("blast", arg))]
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
    #[arg(long, value_name = "HOW", default_value = "turn", hide_possible_values = true)]
    pub(crate) spread: SpreadKind,
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

/// How flows are assigned to receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SpreadKind {
    /// In turn
    Turn,
    /// By a hash of the source address and port
    Hash,
}

/// Receive on a fixed port: serve any number of `udperf blast`, and count all other datagrams.
#[derive(Debug, Args)]
#[command(after_long_help = SINK_EXAMPLES)]
#[command(mut_args = super::help::under_heading)]
pub(crate) struct SinkArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Receiver threads of each client, and listeners, each with its own socket at the port
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: u16,
    /// Cores of listeners and receivers: auto · off · a list such as 1,3
    #[arg(long, value_name = "CORES", default_value = "auto", value_parser = parse_cores)]
    pub(crate) pin: Pinning,
    /// How a worker waits for readiness
    #[arg(long, value_name = "HOW", default_value = "hybrid")]
    pub(crate) wait: Wait,
    /// Serve one client only, and end when it leaves
    #[arg(long)]
    pub(crate) once: bool,
    /// End after this time without a client and without a datagram
    #[arg(long, value_name = "DUR")]
    pub(crate) idle_timeout: Option<Nanos>,
    /// Maximum number of simultaneous clients
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) max_clients: u16,
    /// Maximum rate that a client may request, in either direction
    #[arg(long, value_name = "RATE")]
    pub(crate) max_rate: Option<Rate>,
    /// Maximum measurement time that a client may request
    #[arg(long, value_name = "DUR")]
    pub(crate) max_time: Option<Nanos>,
    /// Serve only clients with this key [default: UDPERF_KEY, or all clients]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Also receive datagrams of this multicast group, on --dev or the device after %
    #[arg(long, value_name = "GROUP[%DEV]", value_parser = parse_group)]
    pub(crate) join: Option<MulticastGroup>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A multicast group, and the device to join it on, if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MulticastGroup {
    /// Its address.
    pub(crate) addr: IpAddr,
    /// The device.
    pub(crate) dev: Option<String>,
}

/// A multicast group.
fn parse_group(word: &str) -> Result<MulticastGroup, String> {
    let (addr, dev) = word.split_once('%').map_or((word, None), |(addr, dev)| (addr, Some(dev)));
    let group = addr.parse::<IpAddr>().ok().filter(IpAddr::is_multicast);
    let dev = dev.map(str::to_owned);
    let addr = group.filter(|_| dev.as_deref() != Some("")).ok_or_else(|| {
        format!("invalid multicast group '{word}'; use such as 239.1.2.3 or ff02::7788%eth0")
    })?;
    Ok(MulticastGroup { addr, dev })
}

/// Cores of receivers only.
pub(super) fn parse_cores(word: &str) -> Result<Pinning, String> {
    match word {
        "auto" => Ok(Pinning::Auto),
        "off" => Ok(Pinning::Off),
        list => {
            let rx: Option<Vec<_>> = list.split(',').map(|core| core.trim().parse().ok()).collect();
            rx.map(|rx| Pinning::Cores { tx: rx.clone(), rx }).ok_or_else(|| {
                format!("invalid core list '{word}'; use auto, off, or a list such as 1,3")
            })
        }
    }
}

/// Shown below the long help of blast.
const BLAST_EXAMPLES: &str = "\
Examples:
  udperf blast 192.168.1.7                     64 bytes, flat out, 10 s
  udperf blast lab7 -l 64,1472 -r 100k -t 5    two sizes at a rate: loss and one-way latency
  udperf blast lab7 --reverse -e all           the sink sends, by every engine
  udperf blast lab7 --bidir -r 50k             both ways at once
  udperf blast lab7 -P 10000 --port-range 20000-40000 -r 200k
  udperf blast 192.168.1.7:9 --no-peer -b 100M
  udperf blast 239.1.2.3 --no-peer -r 1k --dev eth0 --ttl 1

Exit codes: 0 success · 1 could not run · 2 usage · 3 a --fail-if held · 5 invalid ·
130 interrupted";

/// Shown below the long help of sink.
const SINK_EXAMPLES: &str = "\
Examples:
  udperf sink                                  serve clients on port 7788 until Ctrl-C
  udperf sink --once -q                        serve one client, then end
  udperf sink -p 9999 --idle-timeout 10        count what arrives, end after 10 s of silence
  udperf sink --join 239.1.2.3 --dev eth0
  udperf sink --max-clients 4 --max-rate 200k --max-time 60
  UDPERF_KEY=secret udperf sink                serve only clients with this key

Exit codes: 0 success · 1 could not run · 2 usage · 130 interrupted";
