//! Where `udperf sink` listens.

use std::net::SocketAddr;

use crate::cli::args::{PORT, ServerArgs, SinkArgs};
use crate::cli::error::{CliResult, usage};
use crate::cli::scenario::listen;
use crate::cli::target::check_joins;
use crate::net::{Options, Udp};
use crate::run::RunError;

/// The sockets of a sink; `passed`: addresses of sockets that were passed to this process.
pub(super) fn sink_sockets(args: &SinkArgs, passed: &[SocketAddr]) -> CliResult<Vec<Options>> {
    if !passed.is_empty() {
        let ServerArgs { bind, port, family, dev, socket_buffer: buffer, .. } = &args.server;
        let is_asked = bind.is_some() || dev.is_some() || family.ipv4 || family.ipv6;
        if is_asked || *port != PORT || !args.join.is_empty() {
            return usage(
                "the service manager has bound the sockets, so -B, -p, -4, -6, --dev and --join \
                 have no effect; omit them, and set the addresses in the socket unit",
            );
        }
        let socket = |bind: &SocketAddr| Options { bind: *bind, buffer: *buffer, ..<_>::default() };
        return Ok(passed.iter().map(socket).collect());
    }
    let (addrs, dev) = listen(&args.server)?;
    check_joins(&args.join, &addrs)?;
    let mut port = args.server.port;
    let mut sockets = Vec::new();
    for addr in addrs {
        let options = Options {
            bind: SocketAddr::new(addr, port),
            buffer: args.server.socket_buffer,
            dev: dev.clone(),
            joins: args
                .join
                .iter()
                .filter(|one| one.group.is_ipv4() == addr.is_ipv4())
                .cloned()
                .collect(),
            ..Options::default()
        };
        if port == 0 && args.server.bind.is_none() {
            // The port that the first family got, for both.
            let probe = Udp::open(&Options { joins: Vec::new(), ..options.clone() });
            port = probe.map_err(RunError::from)?.local.port();
        }
        sockets.push(Options { bind: SocketAddr::new(addr, port), ..options });
    }
    Ok(sockets)
}
