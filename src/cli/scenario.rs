//! From what was typed to what was meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::args::{
    BenchArgs, BlastArgs, CellArgs, Local, NO_UNIX, SpreadKind, Switch, Timestamps, Wait,
};
use super::error::CliError;
use super::target::{Family, here, named};
use crate::plan::{
    EngineKind, EnginePair, EngineWord, IpOptions, Limit, Machine, MissingEngine, PaceShape, Route,
    RxKind, Scenario, TimestampKind, TxKind, WaitKind,
};
use crate::report::format::text::style::distinct;
use crate::unit::{Nanos, PayloadSize, Rate};

pub(crate) fn bench(args: &BenchArgs) -> Result<Scenario, CliError> {
    let bind = match &args.cells.bind {
        Some(Local::Unix(name)) => {
            let BenchArgs { port, to, to_netns: _, cells } = args;
            only_ip(cells, [("--port", *port != 0), ("--to", to.is_some())])?;
            let base = Scenario { unix: Some(name.to_string()), ..Scenario::default() };
            return scenario(&args.cells, base);
        }
        Some(Local::Ip(bind, _)) => Some(*bind),
        None => None,
    };
    let (to, to_netns) = (receivers(args, bind)?, args.to_netns.clone());
    let bind = local(&args.cells, bind, to)?;
    let base = Scenario { bind, to, to_netns, port: args.port, ..Scenario::default() };
    scenario(&args.cells, base)
}

/// The address of `bench --to`: the first one of this host in the requested family.
fn receivers(args: &BenchArgs, bind: Option<IpAddr>) -> Result<Option<IpAddr>, CliError> {
    let Some(to) = &args.to else { return Ok(None) };
    if let Ok(literal) = to.parse() {
        return Ok(Some(literal));
    }
    let family = match bind {
        Some(bind) => Family::of(bind.is_ipv4(), bind.is_ipv6()),
        None => Family::of(args.cells.ipv4, args.cells.ipv6),
    };
    here(to, family, args.to_netns.is_some()).map(Some)
}

/// What `blast` is to measure, from a local address of the family of `target`.
pub(crate) fn blast(args: &BlastArgs, target: SocketAddr) -> Result<Scenario, CliError> {
    let bind = bind_for(&args.cells, target)?;
    let route = match (args.reverse, args.bidir, args.no_peer) {
        (true, ..) => Route::Reverse,
        (_, true, _) => Route::Both,
        (.., true) => Route::SendOnly,
        _ => Route::Forward,
    };
    let asked = [args.cells.dscp.is_some(), args.cells.ttl.is_some(), args.cells.df];
    if matches!(route, Route::Reverse | Route::Both) && asked.contains(&true) {
        let why = "--dscp, --ttl and --df are for what this end sends, and here the sink sends; \
                   omit them";
        return Err(CliError::Contradiction(why.to_owned()));
    }
    let by_hash = args.spread == SpreadKind::Hash;
    let broadcast = args.broadcast;
    let target = named(&args.target, target);
    let base = Scenario { route, by_hash, broadcast, bind, target, ..to_sink(args) };
    scenario(&args.cells, base)
}

/// The local address for datagrams to this target.
pub(crate) fn bind_for(cells: &CellArgs, target: SocketAddr) -> Result<IpAddr, CliError> {
    let bind = match &cells.bind {
        Some(Local::Ip(bind, _)) => *bind,
        Some(Local::Unix(name)) => {
            return Err(CliError::Contradiction(format!("--bind unix:{name}: {NO_UNIX}")));
        }
        None => any(target.ip()),
    };
    if bind.is_ipv4() != target.is_ipv4() {
        let why = format!(
            "--bind {bind} and the target {target} have different address families; omit one"
        );
        return Err(CliError::Contradiction(why));
    }
    Ok(bind)
}

/// The default cells.
fn to_sink(args: &BlastArgs) -> Scenario {
    Scenario {
        target: args.target.clone(),
        sizes: vec![PayloadSize::Fixed(SIZE)],
        // Without a report from the peer, plain is what most servers receive.
        engines: vec![if args.no_peer {
            EngineWord::Pair(EnginePair::PLAIN)
        } else {
            EngineWord::Auto
        }],
        rates: vec![Rate::Max],
        ..elsewhere()
    }
}

/// Defaults common to all targets on other hosts.
pub(crate) fn elsewhere() -> Scenario {
    Scenario { limit: Limit::Time(TIME), warmup: WARMUP, ..Scenario::default() }
}

/// Payload in bytes, time and warm-up between two hosts, by default. As the
/// contract of the command line has it; arbitrary.
pub(crate) const SIZE: u16 = 64;
pub(crate) const TIME: Nanos = Nanos::from_millis(10_000);
const WARMUP: Nanos = Nanos::from_millis(200);

pub(crate) fn scenario(args: &CellArgs, base: Scenario) -> Result<Scenario, CliError> {
    refuse_repeats(args)?;
    let sizes = distinct(args.sizes.concat());
    let time = args.time.map_or(base.limit, Limit::Time);
    Ok(Scenario {
        sizes: if sizes.is_empty() { base.sizes } else { sizes },
        engines: if args.engines.is_empty() { base.engines } else { args.engines.clone() },
        rates: rates(args, base.rates)?,
        pace: args.pace,
        limit: args.count.map_or(time, Limit::Count),
        warmup: args.warmup.unwrap_or(base.warmup),
        trials: args.trials,
        streams: args.streams.unwrap_or_else(|| args.threads.max(1)),
        threads: args.threads,
        pin: args.pin.clone(),
        wait: wait(args.wait),
        batch: args.batch,
        timestamps: match args.timestamps {
            Timestamps::User => TimestampKind::User,
            Timestamps::Kernel => TimestampKind::Kernel,
        },
        socket_buffer: args.socket_buffer,
        connect: args.connect == Switch::On,
        ip: IpOptions { dscp: args.dscp, ttl: args.ttl, df: args.df, dev: device(args)? },
        ports: args.port_range,
        seed: args.seed.unwrap_or(base.seed),
        ..base
    })
}

fn device(args: &CellArgs) -> Result<Option<String>, CliError> {
    let scope = match &args.bind {
        Some(Local::Ip(_, scope)) => scope.as_deref(),
        _ => None,
    };
    one_device(scope, args.dev.as_deref())
}

/// The device of `--bind ADDR%DEV` or `--dev DEV`, which must not differ.
pub(crate) fn one_device(
    scope: Option<&str>,
    dev: Option<&str>,
) -> Result<Option<String>, CliError> {
    match (scope, dev) {
        (Some(scope), Some(dev)) if scope != dev => Err(CliError::Contradiction(format!(
            "--bind names device {scope}, --dev names {dev}; omit one of them"
        ))),
        (scope, dev) => Ok(scope.or(dev).map(str::to_owned)),
    }
}

pub(crate) const fn wait(asked: Wait) -> WaitKind {
    match asked {
        Wait::Spin => WaitKind::Spin,
        Wait::Hybrid => WaitKind::Hybrid,
        Wait::Epoll => WaitKind::Epoll,
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

/// Marks offload as missing with AF_UNIX: it is a feature of UDP.
pub(crate) fn without_ip(scenario: &Scenario, machine: &mut Machine) {
    if scenario.unix.is_some() {
        let offload = [TxKind::Gso.word(), RxKind::Gro.word()];
        machine.missing.retain(|missing| !offload.contains(&missing.engine.as_str()));
        machine.missing.extend(offload.map(|engine| MissingEngine {
            engine: engine.to_owned(),
            why: "AF_UNIX has no super-packets".to_owned(),
        }));
    }
}

/// Refuses flags that only IP has.
fn only_ip<const N: usize>(
    cells: &CellArgs,
    more: [(&'static str, bool); N],
) -> Result<(), CliError> {
    let flags = [
        ("-4", cells.ipv4),
        ("-6", cells.ipv6),
        ("--port-range", cells.port_range.is_some()),
        ("--dscp", cells.dscp.is_some()),
        ("--ttl", cells.ttl.is_some()),
        ("--df", cells.df),
        ("--dev", cells.dev.is_some()),
        // Only a connected sender can wait for room in its receiver's queue.
        ("--connect off", cells.connect == Switch::Off),
    ];
    match more.into_iter().chain(flags).find(|(_, given)| *given) {
        Some((flag, _)) => Err(CliError::Contradiction(format!(
            "{flag} is not supported with AF_UNIX sockets; remove {flag} or use an IP address"
        ))),
        None => Ok(()),
    }
}

fn rates(args: &CellArgs, default: Vec<Rate>) -> Result<Vec<Rate>, CliError> {
    let asked: Vec<_> = args.rates.iter().copied().chain(args.bits).collect();
    match args.pace.shape() {
        PaceShape::OwnRates if !asked.is_empty() => {
            Err(crate::plan::PlanError::RampWithRate { pace: args.pace }.into())
        }
        PaceShape::OwnRates => Ok(asked),
        PaceShape::AtRate if asked.is_empty() => Ok(default),
        PaceShape::AtRate => Ok(asked),
    }
}

/// The address of the senders of `bench`, and of its receivers if `to` names no other.
fn local(args: &CellArgs, bind: Option<IpAddr>, to: Option<IpAddr>) -> Result<IpAddr, CliError> {
    let nobody = |addr: IpAddr| addr.is_multicast() || addr == Ipv4Addr::BROADCAST;
    let named = [("--bind", bind), ("--to", to)];
    let named = named.into_iter().filter_map(|(flag, addr)| Some((flag, addr?)));
    for (flag, addr) in named {
        if nobody(addr) {
            return Err(CliError::Contradiction(format!(
                "{flag} {addr} is not a host address, and bench sends to its own host only; \
                 choose one that `ip addr` lists"
            )));
        }
        if args.ipv6 && addr.is_ipv4() || args.ipv4 && addr.is_ipv6() {
            let family = if args.ipv6 { 6 } else { 4 };
            let why = format!("-{family} and {flag} {addr} contradict each other; omit one");
            return Err(CliError::Contradiction(why));
        }
    }
    match (bind, to) {
        (Some(bind), Some(to)) if bind.is_ipv4() != to.is_ipv4() => {
            let why =
                format!("--bind {bind} and --to {to} have different address families; choose one");
            Err(CliError::Contradiction(why))
        }
        (Some(bind), _) => Ok(bind),
        // Whatever address leads there.
        (None, Some(to)) => Ok(any(to)),
        (None, None) if args.ipv6 => Ok(Ipv6Addr::LOCALHOST.into()),
        (None, None) => Ok(Ipv4Addr::LOCALHOST.into()),
    }
}

/// Where to listen: at the address asked for, or at any of the families asked for.
pub(crate) fn listen_at(
    bind: Option<IpAddr>,
    ipv4: bool,
    ipv6: bool,
) -> Result<Vec<IpAddr>, CliError> {
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let of_family = |addr: &IpAddr| !(ipv4 && addr.is_ipv6() || ipv6 && addr.is_ipv4());
    match bind {
        Some(addr) if !of_family(&addr) => {
            let why = format!("--bind {addr} is not of the requested family; omit -4 or -6");
            Err(CliError::Contradiction(why))
        }
        Some(addr) => Ok(vec![addr]),
        None => Ok(any.into_iter().filter(of_family).collect()),
    }
}

/// Any address, of the family of this one.
pub(crate) fn any(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Refuses duplicate values: two cells would have the same id.
pub(crate) fn refuse_repeats(args: &CellArgs) -> Result<(), CliError> {
    fn repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
        list.iter().enumerate().find(|(at, word)| list[..*at].contains(word)).map(|(_, word)| word)
    }
    let sizes: Vec<_> = args.sizes.iter().filter(|range| range.len() == 1).flatten().collect();
    let rate = repeated(&args.rates).map(|rate| ("--rate", rate.to_string()));
    let size = || repeated(&sizes).map(|size| ("--size", size.to_string()));
    let engine = || repeated(&args.engines).map(|engine| ("--engine", engine.to_string()));
    match rate.or_else(size).or_else(engine) {
        Some((flag, word)) => Err(CliError::Contradiction(format!(
            "{flag} {word} is given twice; list it once, and repeat all cells with --trials 2"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
