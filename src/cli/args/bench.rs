//! `udperf bench` and `udperf doctor`, as typed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CellArgs, ColorWhen};
use crate::unit::parse_buffer;

/// Sender and receiver in one process, over loopback by default.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_args = |arg| super::help::of_command("bench", arg))]
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
    #[command(flatten)]
    pub(crate) cells: CellArgs,
}

/// Where `ip netns` keeps its namespaces; ip-netns(8).
const NAMED_NETNS: &str = "/run/netns";

/// The file of a network namespace, given by name or path.
fn parse_netns(word: &str) -> Result<PathBuf, String> {
    match word {
        "" | "." | ".." => Err(format!("invalid network namespace '{word}'; use a name or a path")),
        path if path.contains('/') => Ok(PathBuf::from(path)),
        name => Ok(Path::new(NAMED_NETNS).join(name)),
    }
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Socket buffer size that runs will request
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub(crate) socket_buffer: usize,
    /// Sender threads, and receiver threads, that runs will have
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: u16,
    /// When to colour; NO_COLOR is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf bench                              sizes 64 to 8972, three engines, in 15 s
  udperf bench -l rfc2544 -t 2 --trials 5   the frames of RFC 2544, medians of five
  udperf bench -l 64 -r 100k,200k -t 5      latency at fixed rates
  udperf bench -l 64 -r 50k --pace poisson  independent arrivals
  udperf bench -B 10.9.0.1 --to 10.9.0.2 --to-netns B
  udperf bench -P 8 --threads 2 --pin 0,1:2,3
  udperf bench -q --fail-if 'loss>0.1%' --fail-if 'rx_pps<200k' -J > run.json

Exit codes: 0 success · 1 could not run · 2 usage · 3 a --fail-if held · 5 invalid ·
130 interrupted";
