//! `udperf load` and `udperf ping`: requests to a server, and its replies.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::capacity;
use super::measure::{self, MeasureContext, RunInput, RunOutput};
use crate::cli::args::{ExchangeArgs, PORT, RequestArgs};
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::fleet::Fleet;
use crate::cli::output::warn_stderr;
use crate::cli::requests::random;
use crate::cli::target::{
    in_turn, is_near, is_of_this_host, named, public_address_error, reach, resolve,
};
use crate::cli::{requests, scenario, sources};
use crate::engine::{EngineRow, table::words};
use crate::host::{ServerId, ServerProcesses};
use crate::payload::{Requests, SecondRequest};
use crate::plan::{
    EngineKind, EnginePair, EngineWord, Limit, Machine, PaceKind, RequestOptions, Route, RxKind,
    Scenario, TimestampKind, TxKind,
};
use crate::request::{RequestRunner, RequestSpec, RunIds};
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate};

/// Ids of all requests of this process: the steps of a search are one run. A drawn seed has the 53
/// bits that every JSON parser preserves (RFC 8259 section 6).
fn run_ids(seed: Option<u64>, fleet: &Fleet) -> CliResult<&'static Arc<RunIds>> {
    static RUN: OnceLock<Arc<RunIds>> = OnceLock::new();
    let seed = fleet
        .seed()
        .or(seed)
        .map_or_else(|| random().map(|drawn| u64::from_ne_bytes(drawn) >> 11), Ok)?;
    Ok(RUN.get_or_init(|| Arc::new(RunIds::new(seed, fleet.member()))))
}

/// Measures `load`, or without request flags `ping`.
pub(crate) fn measure(
    args: &ExchangeArgs,
    requests: Option<&RequestArgs>,
    run: RunInput<'_>,
) -> CliResult<RunOutput> {
    let began = Instant::now();
    let cells = &args.cells;
    let ids = run_ids(cells.seed, run.fleet)?;
    let compiled = compile(args, requests, ids.seed())?;
    let targets = resolve(&args.target, compiled.port.unwrap_or(PORT), cells.family)?;
    let targets = sources::reachable(cells, targets);
    let Some((_, first)) = compiled.by_size.first().cloned() else {
        return usage("no requests given");
    };
    let quiet = cells.output.common.quiet;
    let mut context = MeasureContext::new(compiled.kind, cells, run)?;
    let (target, scenario) = in_turn(&targets, quiet, |target| {
        let scenario = scenario(args, &compiled, target, &context.machine)?;
        let scenario = Scenario { seed: ids.seed(), ..scenario };
        refuse(args, &scenario, target)?;
        reach(&scenario, target, targets.last() != Some(&target))?;
        Ok((target, scenario))
    })?;
    let mut input = first.requests.input.clone();
    if let Some(input) = &mut input {
        if cells.pace == PaceKind::Recorded {
            input.notes.extend(requests::recorded_notes(&first.requests, scenario.limit));
        }
        input.notes.iter().filter(|_| !quiet).for_each(|note| warn_stderr(note));
    }
    if let Some(note) = requests::large_file_note(&first.requests, began.elapsed())
        && !quiet
    {
        warn_stderr(&note);
    }
    let is_here = is_of_this_host(target);
    let name = |code| first.matching.code_name(code);
    context.code_name = Some(&name);
    let probes = probes(args, requests, first.matching.expects_reply(), &scenario, run.fleet)?;
    let server = server(args, target, is_here, run.fleet)?;
    let mut runner = RequestRunner::new(target, compiled.by_size, is_here, Arc::clone(ids));
    runner.observe(server);
    let (mut scenario, mut found) = (scenario, None);
    if probes {
        scenario = capacity::unprobed(scenario);
        context.check(&scenario)?;
        let probed = capacity::probe(scenario, &context.machine, &mut runner, run.stop, quiet)?;
        (scenario, found) = (probed.0, Some(probed.1));
    }
    measure::measure(context, scenario, runner, Some(target), |report, _runner| {
        (report.input, report.capacity) = (input, found);
    })
}

/// Checks what can be checked before anything is sent.
pub(crate) fn check(
    args: &ExchangeArgs,
    requests: Option<&RequestArgs>,
    machine: &Machine,
) -> CliResult<()> {
    let cells = &args.cells;
    if requests.is_some_and(|requests| requests.files().any(|(_, path)| path == Path::new("-"))) {
        // Standard input can be read only once.
        return Ok(());
    }
    let compiled = compile(args, requests, cells.seed.unwrap_or_default())?;
    let targets = resolve(&args.target, compiled.port.unwrap_or(PORT), cells.family)?;
    in_turn(&targets, true, |target| {
        let scenario = scenario(args, &compiled, target, machine)?;
        refuse(args, &scenario, target)?;
        server(args, target, is_of_this_host(target), &Fleet::Alone)?;
        measure::check_plan(scenario, cells, machine)
    })
}

/// The processes of the server, if flags name them.
fn server(
    args: &ExchangeArgs,
    target: SocketAddr,
    is_here: bool,
    fleet: &Fleet,
) -> CliResult<Option<ServerProcesses>> {
    let id = match (&args.server_pid[..], &args.server_unit) {
        ([], None) => return Ok(None),
        ([], Some(unit)) => ServerId::Unit(unit.clone()),
        (pids, _) => ServerId::Pids(pids.to_vec()),
    };
    if !matches!(fleet, Fleet::Alone) {
        return usage("--server-pid and --server-unit are for a single process; omit them");
    }
    Ok(Some(ServerProcesses::find(&id, target, is_here)?))
}

/// Whether flags and requests leave the rate to a capacity probe.
pub(crate) fn has_no_rate(args: &ExchangeArgs) -> bool {
    let cells = &args.cells;
    let is_paced = !cells.rates.is_empty() || cells.bits.is_some() || cells.pace.has_own_rates();
    !is_paced && args.outstanding.is_none()
}

/// Whether to find the capacity before the run.
fn probes(
    args: &ExchangeArgs,
    requests: Option<&RequestArgs>,
    expects_reply: bool,
    scenario: &Scenario,
    fleet: &Fleet,
) -> CliResult<bool> {
    let Some(requested) = requests.map(|requests| requests.probe) else { return Ok(false) };
    let why_not = [
        (!has_no_rate(args), "the rate is given; omit --rate, -b, --outstanding or --pace"),
        (!expects_reply, "no replies are expected; use --rate"),
        (scenario.sizes.len() > 1, "the probe takes one size; give one by --size, or use --rate"),
        (
            scenario.engines.len() > 1,
            "the probe takes one engine; give one by --engine, or use --rate",
        ),
        (!matches!(fleet, Fleet::Alone), "several processes measure; use --rate"),
    ];
    let why_not = why_not.into_iter().find_map(|(is_so, why)| is_so.then_some(why));
    match (requested, why_not) {
        (Some(true), Some(why)) => usage(format!("--probe on: {why}")),
        (Some(is_on), _) => Ok(is_on),
        // A count bounds what is sent.
        (None, _) if args.cells.count.is_some() || !has_no_rate(args) => Ok(false),
        (None, Some(why)) => {
            if !args.cells.output.common.quiet && matches!(fleet, Fleet::Alone | Fleet::Leader(_)) {
                warn_stderr(&format!("no capacity probe, 1k requests/s: {why}"));
            }
            Ok(false)
        }
        (None, None) => Ok(true),
    }
}

#[derive(Default)]
struct CompiledRequests {
    kind: &'static str,
    requests: String,
    replies: String,
    rules: Vec<String>,
    port: Option<u16>,
    /// The times of a capture, if these are its pace.
    recorded: Option<&'static [u64]>,
    labels: Option<u64>,
    /// Whether replies may come from any port of the server.
    follows_port: bool,
    by_size: Vec<(PayloadSize, RequestSpec)>,
}

fn compile(
    args: &ExchangeArgs,
    request_args: Option<&RequestArgs>,
    seed: u64,
) -> CliResult<CompiledRequests> {
    let fixed = |size: &PayloadSize| match size {
        PayloadSize::Fixed(size) => Ok(usize::from(*size)),
        _ => only("--size imix"),
    };
    let sizes = args.cells.sizes.iter().flatten();
    let mut sizes: Vec<_> = sizes.map(fixed).collect::<Result<_, _>>()?;
    let compiled = match request_args {
        Some(request_args) => requests::compile(request_args, &sizes, &args.target, seed)?,
        None => {
            if sizes.is_empty() {
                sizes.push(scenario::SIZE.into());
            }
            let pings = sizes.into_iter().map(|size| requests::ping(size, seed));
            pings.collect::<Result<Vec<_>, _>>()?
        }
    };
    let kind = if request_args.is_some() { "load" } else { "ping" };
    let letters = request_args.and_then(|args| args.preset.random_subdomain);
    let labels = letters.map(|len| 26_u64.saturating_pow(len.try_into().unwrap_or(u32::MAX)));
    let mut all = CompiledRequests { kind, labels, ..CompiledRequests::default() };
    if let (PaceKind::Recorded, Some(args), Some((_, first, _))) =
        (args.cells.pace, request_args, compiled.first())
    {
        all.recorded = requests::recorded_times(first, &requests::from(args))?;
    }
    for (spec, mut requests, mut matching) in compiled {
        let second = spec.compile_second(seed, &mut requests, &mut matching);
        let from = request_args.map_or_else(String::new, requests::from_second);
        let second = second.map_err(|source| CliError::Requests { from, source })?.map(Arc::new);
        all.follows_port |= request_args.is_some_and(|args| requests::follows_port(args, &spec));
        let size = payload_of(&requests);
        if all.by_size.iter().any(|(other, _)| *other == size) {
            continue;
        }
        // The first size describes the requests; cells list the sizes.
        if all.by_size.is_empty() {
            all.replies = SecondRequest::both_matched(&matching, second.as_deref());
            (all.requests, all.rules, all.port) = (spec.to_string(), matching.rules(), spec.port());
        } else if let Some((what, _)) = all.requests.split_once(" of ") {
            all.requests = what.to_owned();
        }
        let (requests, matching) = (Arc::new(requests), Arc::new(matching));
        let spec = RequestSpec { requests, matching, second };
        all.by_size.push((size, spec));
    }
    Ok(all)
}

/// Bits that distinguish requests of one socket; 64 if order does.
fn id_bits(spec: &RequestSpec) -> u32 {
    let by_id = spec.matching.expects_reply() && !spec.matching.by_order();
    if by_id { spec.requests.id_bits } else { u64::BITS }
}

fn payload_of(requests: &Requests) -> PayloadSize {
    let largest = u16::try_from(requests.largest).unwrap_or(u16::MAX);
    match requests.same_len {
        Some(_) => PayloadSize::Fixed(largest),
        None => PayloadSize::Varied { mean: requests.mean_len.round() as u16, largest },
    }
}

fn scenario(
    args: &ExchangeArgs,
    compiled: &CompiledRequests,
    target: SocketAddr,
    machine: &Machine,
) -> CliResult<Scenario> {
    let cells = &args.cells;
    if cells.timestamps == TimestampKind::Kernel {
        return only("--timestamps kernel");
    }
    if !cells.connect {
        return only("--connect off");
    }
    if args.timeout == Nanos::ZERO {
        return usage("--timeout 0 is too short; use such as 1s or 50ms");
    }
    let specs = || compiled.by_size.iter().map(|(_, spec)| spec);
    let seconds = || specs().filter_map(|spec| spec.second.as_ref());
    if args.outstanding.is_some() && !specs().any(|spec| spec.matching.expects_reply()) {
        return usage("--outstanding needs replies, but none are expected; use --rate");
    }
    let is_paced = !cells.rates.is_empty() || cells.bits.is_some();
    // A closed loop is unlimited by default; ping is one.
    let (outstanding, rate) = match (compiled.kind, args.outstanding) {
        ("load", None) => (None, Rate::Pps(PacketRate::KILO)),
        ("ping", None) if !is_paced => (Some(1), Rate::Max),
        (_, outstanding) => (outstanding, Rate::Max),
    };
    let recorded = compiled.recorded;
    let elsewhere = scenario::elsewhere();
    let base = Scenario {
        route: Route::Request,
        target: named(&args.target, target),
        engines: vec![EngineWord::Auto],
        rates: vec![rate],
        // By default, a capture is sent once.
        limit: recorded.map_or(elsewhere.limit, |moments| Limit::Count(moments.len() as u64)),
        bind: scenario::bind_for(cells, target)?,
        asking: Some(RequestOptions {
            requests: compiled.requests.clone(),
            replies: compiled.replies.clone(),
            rules: compiled.rules.clone(),
            timeout: args.timeout,
            outstanding,
            in_order: specs().any(|spec| spec.matching.by_order()),
            recorded,
            id_bits: specs().map(id_bits).min().unwrap_or(0),
            spread: cells.streams.is_none(),
            message_id_bits: specs().find_map(|spec| spec.requests.message_id_bits),
            labels: compiled.labels,
            expects_second_reply: seconds().any(|second| second.expects_reply()),
            requires_second: seconds().any(|second| second.is_required()),
        }),
        ..elsewhere
    };
    let mut scenario = scenario::scenario(cells, base)?;
    scenario.sizes = compiled.by_size.iter().map(|(size, _)| *size).collect();
    scenario.engines = engines(&scenario.engines, compiled.kind, &scenario.sizes, machine)?;
    if compiled.follows_port {
        scenario.connect = false;
        check_follow_port(&scenario.engines)?;
    }
    Ok(scenario)
}

/// Whether all these engines tell from where a reply came.
fn check_follow_port(engines: &[EngineWord]) -> CliResult<()> {
    let keeps_senders =
        |word: &&EngineWord| matches!(word, EngineWord::Pair(pair) if pair.rx == RxKind::Batch);
    match engines.iter().find(|word| !keeps_senders(word)) {
        Some(word) => usage(format!(
            "--engine {word}: replies may come from another port, and only batch reports where \
             they come from; use --engine batch"
        )),
        None => Ok(()),
    }
}

/// The engines; `auto` is decided without a trial, which would be unrequested traffic.
fn engines(
    requested: &[EngineWord],
    kind: &str,
    sizes: &[PayloadSize],
    machine: &Machine,
) -> CliResult<Vec<EngineWord>> {
    let same_length = sizes.iter().all(|size| matches!(size, PayloadSize::Fixed(_)));
    // An empty payload cannot form a super-packet.
    let segmentable = sizes.iter().all(|size| matches!(size, PayloadSize::Fixed(1..)));
    // The fewest system calls per datagram, which the server still receives as one. A ping sends
    // one request at a time, so super-packets would only cost time.
    let segments = segmentable && kind != "ping";
    let here = EngineRow::ranked(|row| {
        let pair = row.auto.filter(|pair| row.requests && (segments || pair.tx != TxKind::Gso));
        pair.is_some_and(|pair| machine.lacks(pair).is_none())
    });
    let auto = here.first().and_then(|row| row.auto).unwrap_or(EnginePair::PLAIN);
    let decide = |word: &EngineWord| match *word {
        EngineWord::Auto => Ok(EngineWord::Pair(auto)),
        EngineWord::Pair(pair) if pair.tx == TxKind::Gso && !same_length => usage(format!(
            "--engine {pair}: super-packets hold datagrams of one length, and these requests have \
             several; use batch"
        )),
        EngineWord::Pair(pair) if pair.tx.row().requests && pair.rx.row().requests => {
            Ok(EngineWord::Pair(pair))
        }
        _ => usage(format!(
            "--engine {word}: {kind} sends by {}, and receives by {}; name one of these, or auto",
            words(|row| row.requests && row.tx.is_some()),
            words(|row| row.requests && row.rx.is_some()),
        )),
    };
    requested.iter().map(decide).collect()
}

fn only<T>(flag: &str) -> CliResult<T> {
    usage(format!("{flag} is for bench and blast; omit it"))
}

fn refuse(args: &ExchangeArgs, scenario: &Scenario, target: SocketAddr) -> CliResult<()> {
    // An IPv4 group behind an IPv6 address is a group.
    let ip = target.ip().to_canonical();
    let cells = &args.cells;
    // The rate of a capture was not chosen here, and a time does not bound it: a count must.
    let is_bounded = match cells.pace {
        PaceKind::Ramp { .. } => true,
        PaceKind::Recorded => cells.count.is_some(),
        _ => !cells.rates.is_empty() || cells.bits.is_some(),
    };
    let why = if ip.is_multicast() || ip == Ipv4Addr::BROADCAST {
        "a multicast or broadcast address is not a server; use the address of one host".to_owned()
    } else if let Some(why) = public_address_error(ip, args.allow_public, &scenario.rates) {
        why
    } else if is_near(ip) || is_bounded {
        return Ok(());
    } else if cells.pace == PaceKind::Recorded {
        "traffic to a public address needs a bound: use --count (--time does not bound the rate of \
         a capture), or --pace even with a --rate"
            .to_owned()
    } else {
        "traffic to a public address needs a rate; add --rate".to_owned()
    };
    Err(CliError::Target { target: args.target.clone(), why })
}
