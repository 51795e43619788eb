//! Sockets of servers: `sink` and `echo`.

use std::net::IpAddr;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::cli::args::measure::parse_scoped;
use crate::unit::parse_buffer;

/// Where to listen, and with which buffers.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// Local address [default: any, of IPv4 and IPv6]
    #[arg(short = 'B', long, value_name = "ADDR[%DEV]", value_parser = parse_scoped)]
    pub(crate) bind: Option<(IpAddr, Option<String>)>,
    /// Local port; 0: any free one
    #[arg(short = 'p', long, value_name = "N", default_value_t = super::PORT)]
    pub(crate) port: u16,
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6')]
    pub(crate) ipv6: bool,
    /// Use this network device only
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) dev: Option<String>,
    /// Requested size of socket buffers; K/M = 1024
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub(crate) socket_buffer: usize,
}
