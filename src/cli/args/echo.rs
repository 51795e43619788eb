//! `udperf echo`, as typed.

use clap::Args;

use super::{OutputArgs, SocketArgs, Wait};
use crate::cli::args::remote::parse_cores;
use crate::engine::table;
use crate::plan::{DropRule, EngineWord, Pinning};
use crate::unit::{Nanos, parse_count};

/// Return each datagram to its sender, for tests of clients.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_args = super::help::under_heading)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// How to receive and send; the help text comes from the table of engines
    #[arg(short = 'e', long, value_name = "NAME", default_value = "auto")]
    #[arg(help = table::echo_help())]
    pub(crate) engine: EngineWord,
    /// Threads, each with its own socket at the port; the kernel spreads the clients over them
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: u16,
    /// Cores of the threads: auto · off · a list such as 1,3
    #[arg(long, value_name = "CORES", default_value = "auto", value_parser = parse_cores)]
    pub(crate) pin: Pinning,
    /// How a thread waits for readiness
    #[arg(long, value_name = "HOW", default_value = "hybrid")]
    pub(crate) wait: Wait,
    /// Delay each reply by this time, from the read of its request
    ///
    /// Each thread queues up to 65536 packets and 32 MiB; further packets are dropped and counted.
    #[arg(long, value_name = "DUR")]
    pub(crate) delay: Option<Nanos>,
    /// Drop some requests: 1% (at random, from --seed) · 1/N (exactly every Nth of a thread)
    #[arg(long, value_name = "RULE")]
    pub(crate) drop: Option<DropRule>,
    /// Seed of the random drops of --drop
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End after this many datagrams; those read together with the last one are answered, too
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// End after this time: seconds, or 500ms, 2m
    #[arg(short = 't', long, value_name = "DUR")]
    pub(crate) time: Option<Nanos>,
    /// End after this time without a datagram
    #[arg(long, value_name = "DUR")]
    pub(crate) idle_timeout: Option<Nanos>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Shown below the long help of echo.
const EXAMPLES: &str = "\
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

Exit codes: 0 success · 1 could not run · 2 usage · 130 interrupted";
