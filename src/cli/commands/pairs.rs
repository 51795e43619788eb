//! `udperf bench --pairs` and `--incast`: from one process of a launcher to another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use super::blast::{add_missing, add_sink};
use super::measure::{self, MeasureContext, RunInput, RunOutput};
use crate::cli::args::BenchArgs;
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::fleet::Fleet;
use crate::cli::requests::random;
use crate::cli::scenario::{self, available, listen_at};
use crate::cli::target::{any, in_turn, is_near};
use crate::fleet::{self, MemberOrders, Pairing, ReceivingMember};
use crate::host::{self, Depth, device::is_ours};
use crate::net::{Options, PassedSockets};
use crate::plan::{Machine, Member, Pinning, WaitKind};
use crate::remote::client::RemoteRunner;
use crate::remote::sink::{SinkEvent, SinkOptions, serve};
use crate::report;
use crate::run::RunError;
use crate::sys;

/// Serves the senders of this process until the leader closes the command.
pub(crate) fn receive(args: &BenchArgs, orders: &MemberOrders, member: Member) -> CliResult<()> {
    let facts = host::host_info(Depth::Quick);
    let options = sink_options(args, orders.size(), member, &host::machine(&facts))?;
    let stop = AtomicBool::new(false);
    let (sender, listening) = mpsc::channel();
    thread::scope(|scope| {
        let sink = scope.spawn(|| {
            let sender = sender;
            serve(&options, &facts, &stop, &mut |event| {
                if let SinkEvent::Listening(at) = event {
                    // If it fails, the receiving end has ended.
                    let _ = sender.send(at);
                }
            })
        });
        let at: Vec<_> = listening.iter().take(options.sockets.len()).collect();
        let followed = match at.len() < options.sockets.len() {
            // The sink has failed, and its error follows.
            true => Ok(()),
            false => fleet::listen(orders, addresses(args, &at)),
        };
        stop.store(true, Ordering::Relaxed);
        let served = sink.join().map_err(|_| RunError::Panicked { id: "sink".to_owned() })?;
        served?;
        Ok(followed?)
    })
}

fn sink_options(
    args: &BenchArgs,
    processes: u16,
    member: Member,
    machine: &Machine,
) -> CliResult<SinkOptions> {
    let cells = &args.cells;
    let workers = usize::from(cells.threads);
    let (dev, buffer) = (&cells.dev, cells.socket_buffer);
    let socket = |addr| {
        let bind = SocketAddr::new(addr, args.port);
        Options { bind, buffer, dev: dev.clone(), ..Options::default() }
    };
    let cores = match &cells.pin {
        Pinning::Off => Vec::new(),
        Pinning::Cores { rx, .. } => rx.clone(),
        Pinning::Auto => {
            let mut cores = machine.cpus.clone();
            // The sink gives out its second core first: that of the first worker of this process.
            let first = (usize::from(member.local_rank) * workers).max(1);
            let all = cores.len().max(1);
            cores.rotate_left((first - 1) % all);
            cores
        }
    };
    let is_crowded = workers * usize::from(member.local_of) > machine.cpus.len().max(1);
    Ok(SinkOptions {
        sockets: available(listen_at(None, cells.family)?).into_iter().map(socket).collect(),
        passed: PassedSockets::default(),
        threads: cells.threads,
        sessions: processes.into(),
        max_rate: None,
        max_time: None,
        once: false,
        idle: None,
        interval: None,
        wait: match cells.wait {
            // Spinning would keep another process from running.
            WaitKind::Hybrid if is_crowded => WaitKind::Epoll,
            wait => wait,
        },
        realtime: cells.realtime,
        xdp: cells.xdp.settings(),
        cores,
        key: None,
        secret: random()?,
    })
}

/// Where others reach the sockets that listen here.
fn addresses(args: &BenchArgs, listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let address = |(dev, own): (String, SocketAddr)| {
        let is_meant = args.net.is_none_or(|net| net.has(own.ip()))
            && args.cells.dev.as_ref().is_none_or(|asked| *asked == dev);
        // Link-local addresses are of a device, whose number differs by host.
        let is_link_local = matches!(own, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local());
        let socket = listening.iter().find(|socket| socket.is_ipv4() == own.is_ipv4())?;
        (is_meant && !is_link_local).then(|| SocketAddr::new(own.ip(), socket.port()))
    };
    sys::device::addresses().into_iter().filter_map(address).collect()
}

/// Measures the part of a process that sends.
pub(crate) fn measure(
    args: &BenchArgs,
    pairing: Pairing,
    run: RunInput<'_>,
) -> CliResult<RunOutput> {
    let output = send(args, pairing, run);
    if let (Fleet::Leader(fleet), Err(_)) = (run.fleet, &output) {
        // The receivers listen, although there are no cells.
        fleet.leader.borrow().close();
    }
    output
}

fn send(args: &BenchArgs, pairing: Pairing, run: RunInput<'_>) -> CliResult<RunOutput> {
    let (fleet, size) = (run.fleet, run.fleet.size());
    let target = check(pairing, size)?;
    let mut scenario = scenario::pairs(args, target)?;
    let mut context = MeasureContext::new("bench", &args.cells, run)?;
    let receiver = fleet.receiver(pairing, &scenario)?;
    let quiet = args.cells.output.common.quiet;
    let nonce = u64::from_ne_bytes(random()?);
    let open = |target: SocketAddr| {
        let (bind, dev) = (SocketAddr::new(any(target.ip()), 0), args.cells.dev.clone());
        let options = Options { bind, dev, ..Options::default() };
        Ok((target, RemoteRunner::open(target, &options, None, nonce)?))
    };
    let opened = addresses_of(args, &receiver).and_then(|all| in_turn(&all, quiet, open));
    let (target, runner) = opened.map_err(|error| {
        let ReceivingMember { rank, hostname, .. } = &receiver;
        let why = format!("cannot send to rank {rank} on {hostname}: {error}");
        CliError::Failed(format!("{why}; name a network of all hosts with --net"))
    })?;
    scenario.bind = any(target.ip());
    add_missing(&mut context.machine, &runner);
    context.left_out = scenario::resolve_defaults(&mut scenario, &args.cells, &context.machine);
    let requested = scenario.clone();
    measure::measure(context, scenario, runner, Some(target), |report, runner| {
        add_sink(report, runner, &requested);
        report.warnings.extend(report::pairs_over_loopback(report));
    })
}

/// What receives, in words; an error if these processes make no pairs.
fn check(pairing: Pairing, size: u16) -> CliResult<String> {
    match (pairing, size) {
        (Pairing::Pairs, 1) => usage(
            "--pairs measures between processes of a launcher; write such as mpirun -np 2 \
             --bind-to none udperf bench --pairs",
        ),
        (Pairing::Incast, 1) => usage(
            "--incast measures from processes of a launcher to the last; write such as mpirun \
             -np 3 --bind-to none udperf bench --incast",
        ),
        (Pairing::Pairs, _) if size % 2 == 1 => usage(format!(
            "--pairs: an odd number of processes ({size}) makes no pairs; start {} or {}",
            size - 1,
            u32::from(size) + 1
        )),
        (Pairing::Pairs, _) => Ok(format!("odd ranks of {size}")),
        (Pairing::Incast, _) => Ok(format!("rank {} of {size}", size - 1)),
    }
}

/// The addresses of a receiver that this process may send to.
fn addresses_of(args: &BenchArgs, receiver: &ReceivingMember) -> CliResult<Vec<SocketAddr>> {
    let ReceivingMember { network, addresses, .. } = receiver;
    if addresses.is_empty() {
        let net = args.net.map_or_else(String::new, |net| format!(" in {net}"));
        return Err(CliError::Failed(format!("it has no address{net}")));
    }
    let is_same = network.is_some() && *network == sys::network_identity();
    let is_loopback = |address: &&SocketAddr| address.ip().is_loopback();
    if is_same && addresses.iter().any(|address| is_loopback(&address)) && args.net.is_none() {
        return Ok(addresses.iter().filter(is_loopback).copied().collect());
    }
    // What is an address of this host, too, leads here, not there.
    let may = |to: &&SocketAddr| is_same || (is_near(to.ip()) && !is_ours(**to));
    let allowed: Vec<_> = addresses.iter().filter(may).copied().collect();
    if allowed.is_empty() {
        let all = addresses.iter().map(|to| to.ip().to_string()).collect::<Vec<_>>().join(", ");
        let why = format!("it has only public addresses, or such as this host has, too ({all})");
        return Err(CliError::Failed(why));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{CellCommand, Cli, Command};

    fn args(words: &str) -> Box<BenchArgs> {
        let words = ["udperf", "bench"].into_iter().chain(words.split_whitespace());
        let command = Cli::try_parse_from(words).unwrap().command;
        let Command::Measure(CellCommand::Bench(args)) = command else { panic!("bench") };
        args
    }

    #[test]
    fn an_odd_number_of_processes_makes_no_pairs() {
        for (pairing, size, expected) in [
            (Pairing::Pairs, 1, Err("mpirun -np 2 --bind-to none udperf bench --pairs")),
            (Pairing::Incast, 1, Err("mpirun -np 3 --bind-to none udperf bench --incast")),
            (Pairing::Pairs, 3, Err("an odd number of processes (3) makes no pairs; start 2 or 4")),
            (Pairing::Pairs, u16::MAX, Err("start 65534 or 65536")),
            (Pairing::Pairs, 4, Ok("odd ranks of 4")),
            (Pairing::Incast, 3, Ok("rank 2 of 3")),
        ] {
            match (check(pairing, size), expected) {
                (Ok(target), Ok(expected)) => assert_eq!(target, expected),
                (Err(CliError::Usage(error)), Err(part)) => {
                    assert!(error.contains(part), "{error}");
                }
                (other, _) => panic!("{pairing:?} of {size}: {other:?}"),
            }
        }
    }

    #[test]
    fn sends_to_private_and_own_addresses_only() {
        let own = sys::network_identity();
        let elsewhere = Some("another host".to_owned());
        let all = "127.0.0.1:9 192.168.7.7:9 8.8.8.8:9 [fd00::7]:9";
        for (words, network, addresses, expected) in [
            ("--pairs", &elsewhere, all, "192.168.7.7:9 [fd00::7]:9"),
            ("--pairs", &None, all, "192.168.7.7:9 [fd00::7]:9"),
            ("--incast", &own, all, "127.0.0.1:9"),
            // With --net, as the receiver filtered them.
            ("--pairs --net 10.9.0.0/16", &own, "10.9.0.7:9", "10.9.0.7:9"),
        ] {
            let addresses = addresses.split(' ').map(|word| word.parse().unwrap()).collect();
            let (rank, hostname, network) = (1, "lab7".to_owned(), network.clone());
            let receiver = ReceivingMember { rank, hostname, network, addresses };
            let allowed = addresses_of(&args(words), &receiver).unwrap();
            let allowed: Vec<_> = allowed.iter().map(SocketAddr::to_string).collect();
            // Without what the system tells of networks, each process is elsewhere.
            if own.is_some() {
                assert_eq!(allowed.join(" "), expected, "{words} {receiver:?}");
            }
        }
        for (addresses, part) in [
            (vec![], "it has no address in 10.9.0.0/16"),
            (vec!["8.8.8.8:9".parse().unwrap()], "only public addresses"),
            (vec!["127.0.0.1:9".parse().unwrap()], "this host has, too (127.0.0.1)"),
        ] {
            let hostname = "lab7".to_owned();
            let receiver = ReceivingMember { rank: 1, hostname, network: None, addresses };
            let error = addresses_of(&args("--pairs --net 10.9.0.0/16"), &receiver);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn receivers_listen_at_all_addresses_of_the_network() {
        let listening = ["0.0.0.0:7", "[::]:8"].map(|at| at.parse().unwrap());
        let here = |words: &str| addresses(&args(words), &listening);
        if here("--pairs").is_empty() {
            return; // The system lists no addresses.
        }
        assert_eq!(here("--pairs --net 127.0.0.0/8"), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(here("--pairs --net 203.0.113.0/24"), []);
        assert!(here("--pairs").iter().all(|at| at.port() == if at.is_ipv4() { 7 } else { 8 }));
        assert_eq!(addresses(&args("--pairs --net 127.0.0.0/8"), &listening[1..]), []);
        assert_eq!(here("--pairs --dev no-such-dev"), []);
    }
}
