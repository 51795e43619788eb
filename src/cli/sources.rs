//! Checks of `--source` against the target.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::args::CellArgs;
use super::error::{CliResult, usage};
use super::target::is_near;
use crate::plan::Sources;

/// The addresses of the target in the family of the sources; all of them if it has none.
pub(crate) fn reachable(cells: &CellArgs, targets: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = cells.source.as_ref().map(Sources::first) else { return targets };
    let same: Vec<_> =
        targets.iter().filter(|to| to.is_ipv4() == first.is_ipv4()).copied().collect();
    if same.is_empty() { targets } else { same }
}

/// Refuses sources from which no datagram can reach the target, or no reply can come back.
pub(crate) fn check(cells: &CellArgs, target: IpAddr, is_here: bool) -> CliResult<()> {
    let Some(sources) = &cells.source else { return Ok(()) };
    let first = sources.first();
    if !cells.family.has(first) {
        let family = if cells.family.ipv6 { 6 } else { 4 };
        return usage(format!("-{family} and --source {first} contradict each other; omit one"));
    }
    if first.is_ipv4() != target.is_ipv4() {
        return usage(format!(
            "--source {first} and the target {target} have different address families; use one"
        ));
    }
    for source in sources.addresses() {
        if target.is_loopback() && !source.is_loopback() {
            return usage(format!(
                "--source {source}: a server on loopback answers to loopback only; use addresses \
                 of 127.0.0.0/8, or another address of the server"
            ));
        }
        if source.is_loopback() && !is_here {
            return usage(format!(
                "--source {source} is a loopback address, which does not leave this host; use \
                 addresses that {target} can answer to"
            ));
        }
        // Replies would go to their owner.
        if !is_near(source) && UdpSocket::bind((source, 0)).is_err() {
            return usage(format!(
                "--source {source} is a public address that this host does not have; use \
                 addresses that `ip addr` lists"
            ));
        }
    }
    Ok(())
}
