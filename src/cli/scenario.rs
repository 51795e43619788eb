//! From arguments to scenarios.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::args::{
    BenchArgs, BlastArgs, CellArgs, CellCommand, FamilyArgs, Local, NO_UNIX, ServerArgs,
};
use super::error::{CliError, CliResult, usage};
use super::sources;
use super::target::{any, here, is_of_this_host, named, public_address_error};
use crate::net::{Options, Udp};
use crate::plan::{
    EngineKind, EnginePair, EngineWord, IpOptions, Limit, Machine, MissingEngine,
    NARROWEST_INTERVAL, PaceBy, Pinning, PlanError, Route, RxKind, Scenario, Sources, TxKind,
};
use crate::report::format::text::style::distinct;
use crate::unit::{Nanos, PayloadSize, Rate};

pub(crate) fn bench(args: &BenchArgs) -> CliResult<Scenario> {
    let bind = match &args.cells.bind {
        Some(Local::Unix(name)) => {
            let BenchArgs { port, to, cells, .. } = args;
            only_ip(cells, [("--port", *port != 0), ("--to", to.is_some())])?;
            let base = Scenario { unix: Some(name.to_string()), ..Scenario::default() };
            return scenario(&args.cells, base);
        }
        Some(Local::Ip(bind, _)) => Some(*bind),
        None => args.cells.source.as_ref().map(Sources::first),
    };
    let to = args.to.as_ref().map(|to| receivers(args, to, bind)).transpose()?;
    let bind = local(&args.cells, bind, to)?;
    if args.to_netns.is_none() {
        sources::check(&args.cells, to.unwrap_or(bind), true)?;
    }
    let (to_netns, port) = (args.to_netns.clone(), args.port);
    scenario(&args.cells, Scenario { bind, to, to_netns, port, ..Scenario::default() })
}

/// From this process to another; `target`: that one in words.
pub(crate) fn pairs(args: &BenchArgs, target: String) -> CliResult<Scenario> {
    scenario(&args.cells, Scenario { route: Route::Forward, target, ..Scenario::default() })
}

fn receivers(args: &BenchArgs, to: &str, bind: Option<IpAddr>) -> CliResult<IpAddr> {
    if let Ok(literal) = to.parse() {
        return Ok(literal);
    }
    here(to, bind.map_or(args.cells.family, FamilyArgs::of), args.to_netns.is_some())
}

pub(crate) fn blast(args: &BlastArgs, target: SocketAddr) -> CliResult<Scenario> {
    let cells = &args.cells;
    let route = match (args.reverse, args.bidir, args.no_peer) {
        (true, ..) => Route::Reverse,
        (_, true, _) => Route::Both,
        (.., true) => Route::SendOnly,
        _ => Route::Forward,
    };
    let has_ip_options = cells.dscp.is_some() || cells.ttl.is_some() || cells.df;
    if matches!(route, Route::Reverse | Route::Both) && has_ip_options {
        return usage(
            "--dscp, --ttl and --df are for datagrams of this end, but the sink sends; omit them",
        );
    }
    if matches!(route, Route::Reverse | Route::Both) && cells.source.is_some() {
        return usage("--source is for datagrams of this end, but the sink sends; omit it");
    }
    // Without a report from the peer, plain is what most servers receive.
    let plain = EngineWord::Pair(EnginePair::PLAIN);
    let base = Scenario {
        route,
        target: named(&args.target, target),
        sizes: vec![PayloadSize::Fixed(SIZE)],
        engines: vec![if args.no_peer { plain } else { EngineWord::Auto }],
        rates: vec![Rate::Max],
        bind: bind_for(cells, target)?,
        broadcast: args.broadcast,
        by_hash: args.by_hash,
        ..elsewhere()
    };
    let scenario = scenario(cells, base)?;
    refuse(args, &scenario, target.ip()).map(|()| scenario)
}

fn refuse(args: &BlastArgs, scenario: &Scenario, target: IpAddr) -> CliResult<()> {
    let why = if target == Ipv4Addr::BROADCAST && !args.broadcast {
        "it is a broadcast address; use --broadcast to send there".to_owned()
    } else if (target.is_multicast() || args.broadcast) && !args.no_peer {
        "a multicast or broadcast address is not a sink; use --no-peer, and see the counters of \
         the sinks"
            .to_owned()
    } else if let Some(why) = public_address_error(target, args.allow_public, &scenario.rates) {
        why
    } else {
        return Ok(());
    };
    Err(CliError::Target { target: args.target.clone(), why })
}

pub(crate) fn bind_for(cells: &CellArgs, target: SocketAddr) -> CliResult<IpAddr> {
    let bind = match &cells.bind {
        Some(Local::Ip(bind, _)) => *bind,
        Some(Local::Unix(name)) => return usage(format!("--bind unix:{name}: {NO_UNIX}")),
        None => {
            sources::check(cells, target.ip(), is_of_this_host(target))?;
            any(target.ip())
        }
    };
    if bind.is_ipv4() != target.is_ipv4() {
        return usage(format!(
            "--bind {bind} and the target {target} have different address families; omit one"
        ));
    }
    Ok(bind)
}

/// Defaults common to all targets on other hosts.
pub(crate) fn elsewhere() -> Scenario {
    Scenario { limit: Limit::Time(TIME), warmup: WARMUP, ..Scenario::default() }
}

/// Payload in bytes, time and warm-up between two hosts, by default; as the contract of the command
/// line has them.
pub(crate) const SIZE: u16 = 64;
pub(crate) const TIME: Nanos = Nanos::from_millis(10_000);
const WARMUP: Nanos = Nanos::from_millis(200);

/// The longest time that a cell takes beyond its window, without set-up: the warm-up, and the wait
/// for late responses.
pub(crate) fn beyond_window(command: &CellCommand) -> Nanos {
    let (base, timeout) = match command {
        CellCommand::Bench(_) => (Scenario::default().warmup, Nanos::ZERO),
        CellCommand::Blast(_) => (WARMUP, Nanos::ZERO),
        CellCommand::Load(args) => (WARMUP, args.exchange.timeout),
        CellCommand::Ping(args) => (WARMUP, args.timeout),
    };
    command.cells().warmup.unwrap_or(base) + timeout
}

/// The interval of cells that take [`INTERVALS_FROM`] or more, and of servers; both as the contract
/// has them.
pub(crate) const INTERVAL: Nanos = Nanos::from_millis(1_000);
pub(crate) const INTERVALS_FROM: Nanos = Nanos::from_millis(3_000);

/// Intervals of a cell in the full-screen view. Arbitrary: enough to see it move.
const LIVE_INTERVALS: u64 = 20;
/// The interval there if a count decides. Arbitrary: as often as it is drawn.
const LIVE_INTERVAL: Nanos = Nanos::from_millis(250);

/// The width of intervals; `None`: no intervals.
fn interval(args: &CellArgs, limit: Limit) -> CliResult<Option<Nanos>> {
    let (requested, time, is_live) = (args.interval, limit.time(), args.telemetry.live.live);
    let is_needed = args.telemetry.is_some() || args.output.csv_intervals.is_some();
    match requested {
        None if is_live => {
            let width = time.map_or(LIVE_INTERVAL, |time| Nanos(time.0 / LIVE_INTERVALS));
            Ok(Some(width.clamp(NARROWEST_INTERVAL, INTERVAL)))
        }
        None if is_needed => {
            Ok(Some(time.map_or(INTERVAL, |time| time.min(INTERVAL)).max(NARROWEST_INTERVAL)))
        }
        None => Ok(time.filter(|time| *time >= INTERVALS_FROM).map(|_| INTERVAL)),
        Some(Nanos::ZERO) if is_needed => usage(
            "--events, --metrics, --live and --csv-intervals need intervals; omit --interval 0",
        ),
        Some(Nanos::ZERO) => Ok(None),
        Some(width) if width < NARROWEST_INTERVAL => usage(format!(
            "--interval {width} is too short; use {NARROWEST_INTERVAL} or more, or 0 for none"
        )),
        Some(width) if time.is_some_and(|time| width > time) => {
            usage(format!("--interval {width} is longer than a cell; use at most its --time"))
        }
        Some(width) => Ok(Some(width)),
    }
}

/// Intervals of staggered processes are merged, so they must begin together.
fn stagger(requested: Nanos, interval: Option<Nanos>) -> CliResult<Nanos> {
    match interval.filter(|width| !requested.0.is_multiple_of(width.0.max(1))) {
        Some(width) => usage(format!(
            "--start-stagger {requested} is no multiple of --interval {width}; use one, or \
             --interval 0"
        )),
        None => Ok(requested),
    }
}

pub(crate) fn scenario(args: &CellArgs, base: Scenario) -> CliResult<Scenario> {
    refuse_repeats(args)?;
    let sizes = distinct(args.sizes.concat());
    let time = args.time.map_or(base.limit, Limit::Time);
    let scope = match &args.bind {
        Some(Local::Ip(_, scope)) => scope.as_deref(),
        _ => None,
    };
    let dev = one_device(scope, args.dev.as_deref())?;
    let limit = args.count.map_or(time, Limit::Count);
    let interval = interval(args, limit)?;
    let sources = args.source.as_ref().map_or(1, |sources| sources.count() as u16);
    let start_stagger = stagger(args.start_stagger.unwrap_or_default(), interval)?;
    Ok(Scenario {
        sizes: if sizes.is_empty() { base.sizes } else { sizes },
        engines: if args.engines.is_empty() {
            default_engines(args, base.engines)
        } else {
            args.engines.clone()
        },
        rates: rates(args, base.rates)?,
        pace: args.pace,
        pace_by: args.pace_by,
        limit,
        warmup: args.warmup.unwrap_or(base.warmup),
        interval,
        start_stagger,
        trials: args.trials,
        streams: args.streams.unwrap_or_else(|| args.threads.max(sources)),
        sources: args.source.clone(),
        threads: args.threads,
        pin: args.pin.clone(),
        wait: args.wait,
        realtime: args.realtime,
        batch: args.batch,
        timestamps: args.timestamps,
        socket_buffer: args.socket_buffer,
        connect: args.connect,
        ip: IpOptions { dscp: args.dscp, ttl: args.ttl, df: args.df, dev },
        xdp: args.xdp.settings(),
        ports: args.port_range,
        seed: args.seed.unwrap_or(base.seed),
        ..base
    })
}

/// The default engines; with --pace-by, those that can give each datagram its own departure time.
fn default_engines(args: &CellArgs, mut engines: Vec<EngineWord>) -> Vec<EngineWord> {
    if args.pace_by != PaceBy::User {
        engines.retain(|word| matches!(word, EngineWord::Pair(pair) if pair.tx != TxKind::Gso));
    }
    if engines.is_empty() { vec![EngineWord::Pair(EnginePair::BATCH)] } else { engines }
}

pub(crate) fn one_device(scope: Option<&str>, dev: Option<&str>) -> CliResult<Option<String>> {
    match (scope, dev) {
        (Some(scope), Some(dev)) if scope != dev => {
            usage(format!("--bind names device {scope}, --dev names {dev}; omit one of them"))
        }
        (scope, dev) => Ok(scope.or(dev).map(str::to_owned)),
    }
}

/// Removes from the default engines those that this machine lacks, and returns them.
pub(crate) fn resolve_defaults(
    scenario: &mut Scenario,
    args: &CellArgs,
    machine: &Machine,
) -> Vec<MissingEngine> {
    let mut left_out = Vec::new();
    // Without plain no run is possible, and the run says why.
    if args.engines.is_empty() && machine.lacks(EnginePair::PLAIN).is_none() {
        scenario.engines.retain(|word| {
            let EngineWord::Pair(pair) = word else { return true };
            let missing = machine.lacks(*pair);
            left_out.extend(missing.filter(|missing| !left_out.contains(*missing)).cloned());
            missing.is_none()
        });
    }
    left_out
}

/// Marks offload and xdp as missing with AF_UNIX: they are features of UDP and of devices.
pub(crate) fn without_ip(scenario: &Scenario, machine: &mut Machine) {
    if scenario.unix.is_some() {
        let offload = [TxKind::Gso.word(), RxKind::Gro.word()].map(|word| (word, "super-packets"));
        for (engine, lacks) in offload.into_iter().chain([(TxKind::Xdp.word(), "frames")]) {
            machine.missing.retain(|missing| missing.engine != engine);
            let why = format!("AF_UNIX has no {lacks}");
            machine.missing.push(MissingEngine { engine: engine.to_owned(), why });
        }
    }
}

fn only_ip(cells: &CellArgs, more: [(&'static str, bool); 2]) -> CliResult<()> {
    let flags = [
        ("-4", cells.family.ipv4),
        ("-6", cells.family.ipv6),
        ("--port-range", cells.port_range.is_some()),
        ("--dscp", cells.dscp.is_some()),
        ("--ttl", cells.ttl.is_some()),
        ("--df", cells.df),
        ("--dev", cells.dev.is_some()),
        // Only a connected sender can wait for space in its receiver's queue.
        ("--connect off", !cells.connect),
    ];
    match more.into_iter().chain(flags).find(|(_, is_given)| *is_given) {
        Some((flag, _)) => usage(format!(
            "{flag} is not supported with AF_UNIX sockets; remove {flag} or use an IP address"
        )),
        None => Ok(()),
    }
}

fn rates(args: &CellArgs, default: Vec<Rate>) -> CliResult<Vec<Rate>> {
    let requested: Vec<_> = args.rates.iter().copied().chain(args.bits).collect();
    match (args.pace.has_own_rates(), requested.is_empty()) {
        (true, false) => Err(PlanError::RampWithRate { pace: args.pace }.into()),
        (false, true) => Ok(default),
        _ => Ok(requested),
    }
}

/// The address of the senders of `bench`, and of its receivers if `to` names no other.
fn local(args: &CellArgs, bind: Option<IpAddr>, to: Option<IpAddr>) -> CliResult<IpAddr> {
    let own = if args.source.is_some() { "--source" } else { "--bind" };
    let flags = [(own, bind), ("--to", to)];
    for (flag, addr) in flags.into_iter().filter_map(|(flag, addr)| Some((flag, addr?))) {
        if addr.is_multicast() || addr == Ipv4Addr::BROADCAST {
            return usage(format!(
                "{flag} {addr} is not a host address, and bench sends to its own host only; \
                 choose one that `ip addr` lists"
            ));
        }
        if !args.family.has(addr) {
            let family = if args.family.ipv6 { 6 } else { 4 };
            return usage(format!("-{family} and {flag} {addr} contradict each other; omit one"));
        }
    }
    match (bind, to) {
        (Some(bind), Some(to)) if bind.is_ipv4() != to.is_ipv4() => {
            usage(format!("{own} {bind} and --to {to} have different address families; choose one"))
        }
        (Some(bind), _) => Ok(bind),
        // Any local address that leads there.
        (None, Some(to)) => Ok(any(to)),
        (None, None) if args.family.ipv6 => Ok(Ipv6Addr::LOCALHOST.into()),
        (None, None) => Ok(Ipv4Addr::LOCALHOST.into()),
    }
}

/// The addresses where a server listens, and its device. Without an address and a family, IPv6 is
/// omitted where this host lacks it.
pub(crate) fn listen(args: &ServerArgs) -> CliResult<(Vec<IpAddr>, Option<String>)> {
    let bind = args.bind.as_ref().map(|(addr, _)| *addr);
    let scope = args.bind.as_ref().and_then(|(_, dev)| dev.as_deref());
    let addrs = available(listen_at(bind, args.family)?);
    Ok((addrs, one_device(scope, args.dev.as_deref())?))
}

/// Without IPv6, if there are other addresses and this host lacks it.
pub(crate) fn available(mut addrs: Vec<IpAddr>) -> Vec<IpAddr> {
    if addrs.len() > 1 {
        let socket =
            |addr| Options { bind: SocketAddr::new(addr, 0), buffer: 0, ..Options::default() };
        addrs.retain(|addr| addr.is_ipv4() || Udp::open(&socket(*addr)).is_ok());
    }
    addrs
}

/// The cores of a server's threads, in turn; the first core of this host is for a sender.
pub(crate) fn server_cores(args: &ServerArgs, machine: &Machine) -> Vec<usize> {
    match &args.pin {
        Pinning::Off => Vec::new(),
        Pinning::Auto => {
            let mut cores = machine.cpus.clone();
            cores.rotate_left(machine.cpus.len().min(1));
            cores
        }
        Pinning::Cores { rx, .. } => rx.clone(),
    }
}

pub(crate) fn listen_at(bind: Option<IpAddr>, family: FamilyArgs) -> CliResult<Vec<IpAddr>> {
    let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    match bind {
        Some(addr) if !family.has(addr) => {
            usage(format!("--bind {addr} is not of the requested family; omit -4 or -6"))
        }
        Some(addr) => Ok(vec![addr]),
        None => Ok(any.into_iter().filter(|addr| family.has(*addr)).collect()),
    }
}

/// Refuses duplicate values: two cells would have the same id.
pub(crate) fn refuse_repeats(args: &CellArgs) -> CliResult<()> {
    fn repeated<T: PartialEq + fmt::Display>(flag: &str, list: &[T]) -> CliResult<()> {
        match list.iter().enumerate().find(|(at, word)| list[..*at].contains(word)) {
            Some((_, word)) => usage(format!(
                "{flag} {word} is given twice; list it once, and repeat all cells with --trials 2"
            )),
            None => Ok(()),
        }
    }
    let sizes: Vec<_> = args.sizes.iter().filter(|range| range.len() == 1).flatten().collect();
    repeated("--rate", &args.rates)?;
    repeated("--size", &sizes)?;
    repeated("--engine", &args.engines)
}

#[cfg(test)]
mod tests;
