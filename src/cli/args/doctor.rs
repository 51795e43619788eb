//! `udperf doctor`, as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::measure::parse_scoped;
use super::{FamilyArgs, OutputArgs, PresetWord};
use crate::unit::parse_buffer;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf doctor                          this host
  udperf doctor 10.0.0.7                 the path to a sink there
  udperf doctor ns1.lab:53 --dev eth1    the path to any UDP server; port 53: does DNS answer?
  udperf doctor lab7:5353 --preset dns   the same for a DNS server at another port
  udperf doctor lab7 -J | jq .path.mtu

Exit codes: 0 success, whatever the checks found · 1 could not run · 2 usage")]
pub(crate) struct DoctorArgs {
    /// Check the path to this server instead of this host: HOST or HOST:PORT, IPv6 addresses in
    /// brackets [default port: 7788, or that of --preset]
    ///
    /// udperf sends a few dozen datagrams within 3 s, at most 100 per second: pings, which a sink
    /// or an echo server answers, and longer ones to find the path MTU. Other servers may log them
    /// as invalid requests. At the usual port of a protocol, doctor first sends three of its
    /// requests: 53 and 5300 dns (the name servers of the root), 123 ntp, 161 snmp-get (sysUpTime),
    /// 443 quic-vn, 3478 stun, 5060 sip-options, 5683 coap, 19132 bedrock-ping.
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Local address of the datagrams to TARGET [default: that of the route]
    #[arg(short = 'B', long, value_name = "ADDR[%DEV]", value_parser = parse_scoped)]
    #[arg(requires = "target")]
    pub(crate) bind: Option<(IpAddr, Option<String>)>,
    /// Use this network device only
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    #[arg(requires = "target")]
    pub(crate) dev: Option<String>,
    /// Send to a TARGET outside loopback, private and link-local ranges
    #[arg(long, requires = "target")]
    pub(crate) allow_public: bool,
    /// First send three requests of this protocol, at any port: dns, ntp, snmp-get, quic-vn, stun,
    /// sip-options, coap or bedrock-ping [default: by the port]
    #[arg(long, value_name = "NAME", hide_possible_values = true, requires = "target")]
    pub(crate) preset: Option<PresetWord>,
    /// The key of a sink that requires one [default: UDPERF_KEY, or none]
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) key_file: Option<PathBuf>,
    /// Socket buffer size that runs will request
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M", conflicts_with = "target")]
    pub(crate) socket_buffer: usize,
    /// Sender threads, and receiver threads, that runs will have
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "target")]
    pub(crate) threads: u16,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
