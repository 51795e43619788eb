//! `udperf echo`: the bound responder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use super::sink::has;
use crate::cli::args::{EchoArgs, SocketArgs};
use crate::cli::commands::measure::stop_on_signals;
use crate::cli::document::head;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress::StatusLine;
use crate::cli::scenario;
use crate::document::EchoDocument;
use crate::echo::{EchoEnd, EchoEvent, EchoOptions};
use crate::host;
use crate::host::Depth;
use crate::net::Options;
use crate::plan::{EchoKind, Machine, Pinning, PlanError, WaitKind};
use crate::report;
use crate::report::EchoFacts;
use crate::report::format::RenderOptions;
use crate::unit::Nanos;

/// Maximum delay of an answer. Arbitrary: longer than any client waits.
const LONGEST_DELAY: Nanos = Nanos::from_millis(3_600_000);

pub(crate) fn run(args: &EchoArgs) -> Result<Exit, CliError> {
    let started_at = SystemTime::now();
    let outputs = Outputs::check::<EchoDocument>(&args.output, &[])?;
    let facts = host::survey(Depth::Quick);
    let options = options(args, &host::machine(&facts))?;
    let stop = stop_on_signals()?;
    let mut line = StatusLine::new(args.output.quiet);
    let (tally, end) = crate::echo::echo(&options, &stop, &mut |event| match event {
        // Also when quiet: the port may be ephemeral.
        EchoEvent::Listening(addr, dual) => warn_stderr(&listening(addr, dual)),
        EchoEvent::Tick(received) => line.show(|| format!("{received} datagrams received")),
    })?;
    drop(line);
    let EchoOptions { engine, wait, delay, drop, .. } = options;
    let head = head("echo", started_at, &facts);
    let document = report::echo(head, &tally, EchoFacts { engine, wait, delay, drop });
    outputs.write(&document, &RenderOptions::default())?;
    Ok(if end == EchoEnd::Stopped { Exit::Interrupted } else { Exit::Well })
}

/// The listening addresses; the port comes last.
fn listening(addr: SocketAddr, dual: bool) -> String {
    if dual {
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
        format!("echo on {v4} and {addr}")
    } else {
        format!("echo on {addr}")
    }
}

fn options(args: &EchoArgs, machine: &Machine) -> Result<EchoOptions, CliError> {
    if args.threads == 0 {
        return Err(PlanError::Zero { flag: "threads" }.into());
    }
    if let Some(delay) = args.delay.filter(|delay| *delay > LONGEST_DELAY) {
        return Err(CliError::Contradiction(format!(
            "--delay {delay}: longer than clients wait for a reply; use {LONGEST_DELAY} or less"
        )));
    }
    let (addr, dual) = listen_at(args)?;
    let scope = args.socket.bind.as_ref().and_then(|(_, dev)| dev.as_deref());
    let cores = match &args.pin {
        Pinning::Off => Vec::new(),
        // The first core is for a sender on this host.
        Pinning::Auto => {
            let mut cores = machine.cpus.clone();
            let first = usize::from(!cores.is_empty());
            cores.rotate_left(first);
            cores
        }
        Pinning::Cores { rx, .. } => rx.clone(),
    };
    let crowded = !machine.cpus.is_empty() && usize::from(args.threads) > machine.cpus.len();
    let wait = match scenario::wait(args.wait) {
        // Spinning would keep another worker from running.
        WaitKind::Hybrid if crowded => WaitKind::Epoll,
        wait => wait,
    };
    Ok(EchoOptions {
        socket: Options {
            bind: SocketAddr::new(addr, args.socket.port),
            buffer: args.socket.socket_buffer,
            dev: scenario::one_device(scope, args.socket.dev.as_deref())?,
            ..Options::default()
        },
        dual,
        engine: EchoKind::choose(args.engine, machine)?,
        threads: args.threads,
        cores,
        wait,
        delay: args.delay.filter(|delay| delay.0 > 0),
        drop: args.drop,
        seed: args.seed,
        count: args.count,
        time: args.time,
        idle: args.idle_timeout,
    })
}

/// Where to listen, and whether at both families.
fn listen_at(args: &EchoArgs) -> Result<(IpAddr, bool), CliError> {
    let SocketArgs { bind, ipv4, ipv6, .. } = &args.socket;
    let addrs = scenario::listen_at(bind.as_ref().map(|(addr, _)| *addr), *ipv4, *ipv6)?;
    let dual = addrs.get(1).filter(|v6| has(**v6));
    Ok(dual.map_or((addrs[0], false), |v6| (*v6, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_comes_last() {
        let addr = |word: &str| word.parse().unwrap();
        assert_eq!(listening(addr("[::]:7"), true), "echo on 0.0.0.0:7 and [::]:7");
        assert_eq!(listening(addr("127.0.0.1:9"), false), "echo on 127.0.0.1:9");
    }
}
