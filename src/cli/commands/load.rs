//! `udperf load` and `udperf ping`: requests to a server, and its replies.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::cli::args::{ExchangeArgs, LoadArgs, PORT, PingArgs, RequestArgs, Switch, Timestamps};
use crate::cli::commands::blast::nonce;
use crate::cli::commands::measure;
use crate::cli::commands::measure::{Job, RunOutput, Start};
use crate::cli::error::{CliError, Exit};
use crate::cli::output::warn_stderr;
use crate::cli::target::{
    Family, in_turn, is_near, local_to, named, public_address_error, reach, resolve,
};
use crate::cli::{recorded, requests, scenario};
use crate::engine::EngineRow;
use crate::engine::table::words;
use crate::payload::Requests;
use crate::plan::{
    EngineKind, EnginePair, EngineWord, Limit, Machine, PaceKind, RequestOptions, Route, Scenario,
    TxKind,
};
use crate::request::{RequestRunner, RequestSpec, RunIds};
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate};

pub(crate) fn load(args: &LoadArgs) -> Result<Exit, CliError> {
    measure::run(&args.exchange.cells.output, |stop| measure_load(args, stop))
}

pub(crate) fn measure_load(args: &LoadArgs, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let how = RequestCommand {
        kind: "load",
        requests: Some(&args.requests),
        target: &args.target,
        outstanding: args.outstanding,
        exchange: &args.exchange,
        // A closed loop is unlimited by default.
        rate: if args.outstanding.is_some() { Rate::Max } else { Rate::Pps(PacketRate::KILO) },
    };
    measure(&how, stop)
}

pub(crate) fn ping(args: &PingArgs) -> Result<Exit, CliError> {
    measure::run(&args.exchange.cells.output, |stop| measure_ping(args, stop))
}

pub(crate) fn measure_ping(args: &PingArgs, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let open = !args.exchange.cells.rates.is_empty() || args.exchange.cells.bits.is_some();
    let how = RequestCommand {
        kind: "ping",
        requests: None,
        target: &args.target,
        outstanding: args.outstanding.or(if open { None } else { Some(1) }),
        exchange: &args.exchange,
        rate: Rate::Max,
    };
    measure(&how, stop)
}

/// Options of either command.
struct RequestCommand<'a> {
    kind: &'static str,
    requests: Option<&'a RequestArgs>,
    target: &'a str,
    outstanding: Option<u32>,
    exchange: &'a ExchangeArgs,
    /// The default rate.
    rate: Rate,
}

/// Ids of all requests of this process: the steps of a search are one run.
fn run_ids(seed: Option<u64>) -> Result<&'static Arc<RunIds>, CliError> {
    static RUN: OnceLock<Arc<RunIds>> = OnceLock::new();
    let seed = seed.map_or_else(|| nonce().map(|drawn| drawn & SEED_MASK), Ok)?;
    Ok(RUN.get_or_init(|| Arc::new(RunIds::new(seed))))
}

/// Bits of a drawn seed: as many as every JSON parser preserves (RFC 8259 section 6).
const SEED_MASK: u64 = (1 << 53) - 1;

fn measure(how: &RequestCommand<'_>, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
    let started_at = SystemTime::now();
    let family = Family::of(how.exchange.cells.ipv4, how.exchange.cells.ipv6);
    let ids = run_ids(how.exchange.cells.seed)?;
    let asked = request_specs(how, ids.seed())?;
    let targets = resolve(how.target, asked.port.unwrap_or(PORT), family)?;
    let Some((_, first)) = asked.by_size.first() else {
        return Err(CliError::Contradiction("no requests given".to_owned()));
    };
    let quiet = how.exchange.cells.output.common.quiet;
    let start = Start::on_this_host(how.kind, quiet, stop, started_at);
    let (target, scenario) = in_turn(&targets, quiet, |target| {
        let scenario =
            Scenario { seed: ids.seed(), ..scenario(how, target, &asked, &start.machine)? };
        refuse(how, &scenario, target)?;
        reach(&scenario, target, targets.last() != Some(&target))?;
        Ok((target, scenario))
    })?;
    let mut input = requests::file_of(&first.requests);
    if let Some(input) = &mut input {
        if how.exchange.cells.pace == PaceKind::Recorded {
            input.notes.extend(recorded::notes(&first.requests, scenario.limit));
        }
        input.notes.iter().filter(|_| !quiet).for_each(|note| warn_stderr(note));
    }
    let is_here =
        target.ip().is_loopback() || local_to(target).is_some_and(|local| local == target.ip());
    let matching = Arc::clone(&first.matching);
    let name = |code| matching.code_name(code);
    let runner = RequestRunner::new(target, asked.by_size, is_here, Arc::clone(ids));
    let mut job = Job::new(start, scenario, runner, Some(target));
    job.code_name = Some(&name);
    measure::measure(job, |report, _runner| report.input = input)
}

#[derive(Default)]
struct Asked {
    requests: String,
    /// The match rule in words.
    replies: String,
    /// The default port of the protocol.
    port: Option<u16>,
    by_size: Vec<(PayloadSize, RequestSpec)>,
}

fn request_specs(how: &RequestCommand<'_>, seed: u64) -> Result<Asked, CliError> {
    let mut sizes = how.exchange.cells.sizes.concat();
    let fixed = |size: &PayloadSize| match size {
        PayloadSize::Fixed(size) => Ok(usize::from(*size)),
        _ => Err(only("--size imix")),
    };
    let compiled = match how.requests {
        Some(args) => {
            let sizes = sizes.iter().map(fixed).collect::<Result<Vec<_>, _>>()?;
            requests::compile(args, &sizes, seed)?
        }
        None => {
            if sizes.is_empty() {
                sizes.push(PayloadSize::Fixed(scenario::SIZE));
            }
            let pings = sizes.iter().map(|size| requests::ping(fixed(size)?, seed));
            pings.collect::<Result<Vec<_>, _>>()?
        }
    };
    let mut asked = Asked::default();
    for (spec, requests, matching) in compiled {
        let size = payload_of(&requests);
        if asked.by_size.iter().any(|(other, _)| *other == size) {
            continue;
        }
        // The first size describes the requests; cells list the sizes.
        if asked.by_size.is_empty() {
            (asked.requests, asked.replies) = (spec.to_string(), matching.to_string());
            asked.port = spec.port();
        } else if let Some((what, _)) = asked.requests.split_once(" of ") {
            asked.requests = what.to_owned();
        }
        let spec = RequestSpec { requests: Arc::new(requests), matching: Arc::new(matching) };
        asked.by_size.push((size, spec));
    }
    Ok(asked)
}

/// Bits that distinguish requests of one socket; 64 if order does.
fn id_bits(spec: &RequestSpec) -> u32 {
    let by_id = spec.matching.expects_reply() && !spec.matching.by_order();
    if by_id { spec.requests.id_bits() } else { u64::BITS }
}

fn payload_of(requests: &Requests) -> PayloadSize {
    let largest = u16::try_from(requests.largest()).unwrap_or(u16::MAX);
    match requests.same_len() {
        Some(_) => PayloadSize::Fixed(largest),
        None => PayloadSize::Varied { mean: requests.mean_len().round() as u16, largest },
    }
}

fn scenario(
    how: &RequestCommand<'_>,
    target: SocketAddr,
    asked: &Asked,
    machine: &Machine,
) -> Result<Scenario, CliError> {
    if how.exchange.cells.timestamps == Timestamps::Kernel {
        return Err(only("--timestamps kernel"));
    }
    if how.exchange.cells.connect == Switch::Off {
        return Err(only("--connect off"));
    }
    if how.exchange.timeout == Nanos::ZERO {
        let why = "--timeout 0 is too short; use such as 1s or 50ms";
        return Err(CliError::Contradiction(why.to_owned()));
    }
    let hears = |(_, one): &(PayloadSize, RequestSpec)| one.matching.expects_reply();
    if how.outstanding.is_some() && !asked.by_size.iter().any(hears) {
        let why = "--outstanding needs replies, but none are expected; use --rate";
        return Err(CliError::Contradiction(why.to_owned()));
    }
    let recorded = match (how.exchange.cells.pace, asked.by_size.first(), how.requests) {
        (PaceKind::Recorded, Some((_, one)), Some(args)) => {
            recorded::moments(&one.requests, &requests::from(args))?
        }
        _ => None,
    };
    let sizes = || asked.by_size.iter().map(|(size, _)| *size).collect();
    let request_specs = || asked.by_size.iter().map(|(_, one)| one);
    let base = Scenario {
        route: Route::Request,
        target: named(how.target, target),
        sizes: sizes(),
        engines: vec![EngineWord::Auto],
        rates: vec![how.rate],
        bind: scenario::bind_for(&how.exchange.cells, target)?,
        asking: Some(RequestOptions {
            requests: asked.requests.clone(),
            replies: asked.replies.clone(),
            timeout: how.exchange.timeout,
            outstanding: how.outstanding,
            in_order: asked.by_size.iter().any(|(_, one)| one.matching.by_order()),
            recorded,
            id_bits: asked.by_size.iter().map(|(_, one)| id_bits(one)).min().unwrap_or(0),
            spread: how.exchange.cells.streams.is_none(),
            message_id_bits: request_specs().find_map(|one| one.requests.message_id_bits()),
            labels: how.requests.and_then(|args| args.preset.random_subdomain).map(labels),
        }),
        ..scenario::elsewhere()
    };
    // By default, a capture is sent once.
    let base = match &base.asking {
        Some(RequestOptions { recorded: Some(moments), .. }) => {
            Scenario { limit: Limit::Count(moments.len() as u64), ..base }
        }
        _ => base,
    };
    let mut scenario = scenario::scenario(&how.exchange.cells, base)?;
    scenario.sizes = sizes();
    scenario.engines = engines(&scenario.engines, how.kind, &scenario.sizes, machine)?;
    Ok(scenario)
}

/// Number of distinct labels of this length, saturating at 64 bits.
fn labels(letters: usize) -> u64 {
    26_u64.saturating_pow(u32::try_from(letters).unwrap_or(u32::MAX))
}

/// The engines; `auto` is decided without a trial, which would be unrequested traffic.
fn engines(
    asked: &[EngineWord],
    kind: &str,
    sizes: &[PayloadSize],
    machine: &Machine,
) -> Result<Vec<EngineWord>, CliError> {
    let alike = sizes.iter().all(|size| matches!(size, PayloadSize::Fixed(_)));
    // An empty payload cannot form a super-packet.
    let cuttable = sizes.iter().all(|size| matches!(size, PayloadSize::Fixed(1..)));
    // The fewest system calls per datagram, which the server still receives as one.
    let here = EngineRow::ranked(|row| {
        let pair = row.auto.filter(|pair| row.requests && (cuttable || pair.tx != TxKind::Gso));
        pair.is_some_and(|pair| machine.lacks(pair).is_none())
    });
    let fastest = here.first().and_then(|row| row.auto).filter(|_| kind != "ping");
    let auto = fastest.unwrap_or(EnginePair::PLAIN);
    let decide = |word: &EngineWord| match *word {
        EngineWord::Auto => Ok(EngineWord::Pair(auto)),
        EngineWord::Pair(pair) if pair.tx == TxKind::Gso && !alike => {
            Err(CliError::Contradiction(format!(
                "--engine {pair}: super-packets hold datagrams of one length, and these requests \
                 have several; use batch"
            )))
        }
        EngineWord::Pair(pair) if pair.tx.row().requests && pair.rx.row().requests => {
            Ok(EngineWord::Pair(pair))
        }
        _ => Err(CliError::Contradiction(format!(
            "--engine {word}: {kind} sends by {}, and receives by {}; name one of these, or auto",
            words(|row| row.requests && row.tx.is_some()),
            words(|row| row.requests && row.rx.is_some()),
        ))),
    };
    asked.iter().map(decide).collect()
}

fn only(flag: &str) -> CliError {
    CliError::Contradiction(format!("{flag} is for bench and blast; omit it"))
}

fn refuse(
    how: &RequestCommand<'_>,
    scenario: &Scenario,
    target: SocketAddr,
) -> Result<(), CliError> {
    // An IPv4 group behind an IPv6 address is a group.
    let ip = target.ip().to_canonical();
    let cells = &how.exchange.cells;
    // A capture has a rate that nobody here chose, and a time bounds no rate: a count has to bound
    // what it sends.
    let is_bounded = match cells.pace {
        PaceKind::Ramp { .. } => true,
        PaceKind::Recorded => cells.count.is_some(),
        _ => !cells.rates.is_empty() || cells.bits.is_some(),
    };
    let why = if ip.is_multicast() || ip == std::net::Ipv4Addr::BROADCAST {
        "a multicast or broadcast address is not a server; use the address of one host".to_owned()
    } else if let Some(why) = public_address_error(ip, how.exchange.allow_public, &scenario.rates) {
        why
    } else if !is_near(ip) && !is_bounded && cells.pace == PaceKind::Recorded {
        "traffic to a public address needs a bound: use --count (--time does not bound the rate of \
         a capture), or --pace even with a --rate"
            .to_owned()
    } else if !is_near(ip) && !is_bounded {
        "traffic to a public address needs a rate; add --rate".to_owned()
    } else {
        return Ok(());
    };
    Err(CliError::Target { target: how.target.to_owned(), why })
}
