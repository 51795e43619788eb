//! Builds a plan from a scenario.

use std::net::SocketAddr;

use super::error::{MAX_BATCH, MAX_CELLS, PlanError};
use super::options::{EngineWord, MissingEngine, PaceBy, PaceKind, Route, TimestampKind, WaitKind};
use super::place::{Machine, Placement, crowded, place, realtime};
use super::ports::streams;
use super::scenario::{
    Limit, RequestConfig, RxConfig, Scenario, TxConfig, WorkerConfig, WorkerLoad,
};
use crate::engine::{EnginePair, RxKind, TxKind};
use crate::unit::{MAX_PPS, Nanos, PacketRate, PayloadSize, Rate};

/// The longest warm-up or measurement; a third of what 48 bits of nanoseconds hold in a header.
pub const LONGEST: Nanos = Nanos::from_millis(24 * 3_600 * 1_000);
/// The narrowest interval: a worker reads its CPU time at the end of each. Arbitrary; the contract
/// of the command line has it.
pub const NARROWEST_INTERVAL: Nanos = Nanos::from_millis(10);
/// The shortest measurement. Arbitrary: shorter ones measure mostly the start.
const SHORTEST: Nanos = Nanos::from_millis(1);

/// The rate of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellRate {
    /// No schedule.
    Max,
    /// This schedule, all workers together.
    Paced(WorkerLoad),
    /// This share of the delivered rate of `max` with the same size and engine.
    OfMax(f64),
}

/// One measurement to make.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct PlannedCell {
    /// `plain/64/max`: engine, payload, rate as requested; the same for all trials.
    pub id: String,
    /// Zero-based number of the repeat.
    pub trial: u32,
    pub engine: EnginePair,
    pub size: PayloadSize,
    pub rate: CellRate,
    /// Whether it was not requested, but measures `max` for other cells.
    pub calibration: bool,
}

/// A benchmark, fully decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The request.
    pub scenario: Scenario,
    /// Cores of the senders; `None`: not pinned.
    pub tx_cores: Vec<Option<usize>>,
    /// Cores of the receivers.
    pub rx_cores: Vec<Option<usize>>,
    /// Which senders run in real time.
    pub tx_realtime: Vec<bool>,
    /// Which receivers run in real time.
    pub rx_realtime: Vec<bool>,
    /// How workers wait: not by spinning where that would delay another.
    pub wait: WaitKind,
    /// All cells in running order: trials outermost, so that drifts of the machine affect all.
    pub cells: Vec<PlannedCell>,
    /// Engines of `auto` or `all` that are not available.
    pub left_out: Vec<MissingEngine>,
}

impl Plan {
    /// Makes all decisions; an error if the scenario is invalid, or not possible on this machine.
    pub fn new(scenario: Scenario, machine: &Machine) -> Result<Self, PlanError> {
        check_scenario(&scenario)?;
        let placement = place(&scenario, machine)?;
        let wait = match scenario.wait {
            WaitKind::Hybrid if crowded(&scenario, &placement, machine) => WaitKind::Epoll,
            requested => requested,
        };
        let engines = engines(&scenario, machine)?;
        check_pace_by(&scenario, &engines)?;
        let cells = cells(&scenario, &engines)?;
        let is_named = |word: &EngineWord| matches!(word, EngineWord::Pair(_));
        let all_named = scenario.engines.iter().all(is_named);
        let left_out = if all_named { Vec::new() } else { machine.missing.clone() };
        let [tx_realtime, rx_realtime] = realtime(&scenario, &placement, machine)?;
        let Placement { tx: tx_cores, rx: rx_cores } = placement;
        Ok(Self { scenario, tx_cores, rx_cores, tx_realtime, rx_realtime, wait, cells, left_out })
    }

    /// The configurations of a cell's receivers.
    pub fn rx_configs(&self, cell: &PlannedCell) -> Vec<RxConfig> {
        let scenario = &self.scenario;
        let stamps = scenario.timestamps == TimestampKind::Kernel;
        let config = |(worker, core)| {
            let mut common = self.common(cell, worker, core, scenario.streams);
            common.realtime = self.rx_realtime[worker];
            if scenario.route == Route::Local {
                common.bind.set_ip(scenario.to.unwrap_or(scenario.bind));
                common.netns.clone_from(&scenario.to_netns);
            }
            if cell.engine.rx == RxKind::Xdp {
                // By queue of the device, which knows no flows.
                common.flows = 0..scenario.streams;
            }
            RxConfig { common, engine: cell.engine.rx, stamps, across: false, of: 1, slot: None }
        };
        self.rx_cores.iter().copied().enumerate().map(config).collect()
    }

    /// The configurations of a cell's senders, once its load is known.
    pub fn tx_configs(&self, cell: &PlannedCell, load: WorkerLoad) -> Vec<TxConfig> {
        let scenario = &self.scenario;
        let streams = self.streams(load);
        let member = scenario.member;
        let config = |(worker, core)| {
            let mut common = self.common(cell, worker, core, streams);
            common.bind.set_port(0);
            common.realtime = self.tx_realtime[worker];
            TxConfig {
                common,
                engine: cell.engine.tx,
                connect: scenario.connect,
                part: worker * usize::from(member.of) + usize::from(member.rank),
                of: usize::from(scenario.threads) * usize::from(member.of),
                load,
                // Without a schedule there are no departures to keep.
                pace_by: match load {
                    WorkerLoad::FlatOut => PaceBy::User,
                    _ => scenario.pace_by,
                },
                seed: scenario.seed,
                abort_on_unreachable: matches!(scenario.route, Route::SendOnly | Route::Request),
                answers: scenario.route == Route::Request,
                stamps: scenario.timestamps == TimestampKind::Kernel,
            }
        };
        self.tx_cores.iter().copied().enumerate().map(config).collect()
    }

    /// The flows of a cell at this load.
    pub fn streams(&self, load: WorkerLoad) -> u16 {
        streams(&self.scenario, load)
    }

    /// The configurations of request workers, once the load of a cell is known.
    pub fn request_configs(&self, cell: &PlannedCell, load: WorkerLoad) -> Vec<RequestConfig> {
        let Some(asking) = &self.scenario.asking else { return Vec::new() };
        let config = |tx: TxConfig| {
            let (index, of) = (tx.part as u64, tx.of as u64);
            let part = |all: u64| all / of + u64::from(index < all % of);
            let window = asking.outstanding.map(|all| part(all.into()));
            RequestConfig { tx, rx: cell.engine.rx, asking: asking.clone(), window }
        };
        self.tx_configs(cell, load).into_iter().map(config).collect()
    }

    fn common(
        &self,
        cell: &PlannedCell,
        worker: usize,
        core: Option<usize>,
        streams: u16,
    ) -> WorkerConfig {
        let scenario = &self.scenario;
        let port = if scenario.port == 0 { 0 } else { scenario.port + worker as u16 };
        let threads = usize::from(scenario.threads);
        let first_flow = |worker: usize| (usize::from(streams) * worker / threads) as u16;
        WorkerConfig {
            worker,
            workers: threads,
            core,
            wait: self.wait,
            realtime: false,
            batch: scenario.batch.map(usize::from),
            size: cell.size,
            flows: first_flow(worker)..first_flow(worker + 1),
            bind: SocketAddr::new(scenario.bind, port),
            sources: scenario.sources.clone(),
            unix: scenario.unix.as_ref().map(|name| format!("{name}.{worker}")),
            socket_buffer: scenario.socket_buffer,
            ip: scenario.ip.clone(),
            xdp: scenario.xdp.clone(),
            broadcast: scenario.broadcast,
            netns: None,
        }
    }
}

fn has_pair(scenario: &Scenario, is_it: fn(&EnginePair) -> bool) -> bool {
    scenario.engines.iter().any(|word| matches!(word, EngineWord::Pair(pair) if is_it(pair)))
}

/// Rejects scenarios that no machine can run, before anything is sent.
pub fn check_scenario(scenario: &Scenario) -> Result<(), PlanError> {
    let Scenario { limit, warmup, streams, threads, trials, port, pace, .. } = *scenario;
    let time = if let Limit::Time(time) = limit { time } else { SHORTEST };
    let outstanding = scenario.asking.as_ref().and_then(|asking| asking.outstanding);
    let batch = scenario.batch.unwrap_or(1);
    let has_null = scenario.engines.contains(&EngineWord::Pair(EnginePair::NULL));
    let has_xdp = has_pair(scenario, |pair| pair.tx == TxKind::Xdp || pair.rx == RxKind::Xdp);
    let is_all = |word: &EngineWord| *word == EngineWord::All;
    let pairs = |word| if is_all(word) { EnginePair::all().count() } else { 1 };
    let engines: usize = scenario.engines.iter().map(pairs).sum();
    let rows = scenario.sizes.len() * engines * scenario.rates.len().max(1);
    let cells = (rows as u64).saturating_mul(trials.into());
    let needs_rate = pace != PaceKind::Even && !pace.has_own_rates();
    let is_paced = scenario.rates.iter().any(|rate| *rate != Rate::Max);
    let errors = [
        (streams == 0, PlanError::Zero { flag: "streams" }),
        (threads == 0, PlanError::Zero { flag: "threads" }),
        (trials == 0, PlanError::Zero { flag: "trials" }),
        (limit == Limit::Count(0), PlanError::Zero { flag: "count" }),
        (batch == 0, PlanError::Zero { flag: "batch" }),
        (time < SHORTEST, PlanError::NoTime { requested: time }),
        (time > LONGEST, PlanError::TooLong { flag: "time", requested: time }),
        (warmup > LONGEST, PlanError::TooLong { flag: "warmup", requested: warmup }),
        (streams < threads, PlanError::IdleThreads { streams, threads }),
        (
            outstanding.is_some_and(|outstanding| outstanding < threads.into()),
            PlanError::IdleWindow { outstanding: outstanding.unwrap_or_default(), threads },
        ),
        (
            port != 0 && port.checked_add(threads.saturating_sub(1)).is_none(),
            PlanError::PortRange { port, threads },
        ),
        (batch > MAX_BATCH, PlanError::BatchTooLarge { requested: batch }),
        (has_null && scenario.route != Route::Local, PlanError::NullAcross),
        (
            scenario.route == Route::Local && scenario.to_netns.is_none() && has_xdp,
            PlanError::XdpOverLoopback,
        ),
        (cells > MAX_CELLS, PlanError::TooManyCells { requested: cells }),
        (needs_rate && !is_paced, PlanError::PaceWithoutRate { pace }),
    ];
    if let Some((_, error)) = errors.into_iter().find(|(is_wrong, _)| *is_wrong) {
        return Err(error);
    }
    if let Some(asking) = &scenario.asking
        && let Some(outstanding) = asking.outstanding
    {
        let (ids, streams) = asking.all_ids(streams);
        // The other half is for those that wait to be given up.
        if u64::from(outstanding) > ids / 2 {
            return Err(PlanError::FewIds { outstanding, ids, streams });
        }
    }
    check_pace_by(scenario, &[])
}

/// Rejects what the kernel cannot pace.
fn check_pace_by(scenario: &Scenario, engines: &[EnginePair]) -> Result<(), PlanError> {
    let by = scenario.pace_by;
    if by == PaceBy::User {
        return Ok(());
    }
    let sends_here = matches!(scenario.route, Route::Local | Route::Forward | Route::SendOnly);
    if !sends_here || scenario.unix.is_some() {
        return Err(PlanError::PaceByRoute { by });
    }
    if by == PaceBy::Fq && scenario.pace != PaceKind::Even {
        return Err(PlanError::PaceByPace);
    }
    if !scenario.pace.has_own_rates() && scenario.rates.iter().all(|rate| *rate == Rate::Max) {
        return Err(PlanError::PaceByWithoutRate { by });
    }
    let has_no_departure = |pair: &&EnginePair| !matches!(pair.tx, TxKind::Plain | TxKind::Batch);
    match engines.iter().find(has_no_departure) {
        Some(&engine) => Err(PlanError::PaceByEngine { by, engine }),
        None => Ok(()),
    }
}

fn engines(scenario: &Scenario, machine: &Machine) -> Result<Vec<EnginePair>, PlanError> {
    let mut engines: Vec<EnginePair> = Vec::new();
    for word in &scenario.engines {
        let pairs = match *word {
            EngineWord::Pair(pair) => vec![machine.require(pair)?],
            EngineWord::Auto => vec![machine.fastest.unwrap_or(EnginePair::PLAIN)],
            EngineWord::All => {
                EnginePair::all().filter(|&pair| machine.lacks(pair).is_none()).collect()
            }
        };
        for pair in pairs {
            if !engines.contains(&pair) {
                engines.push(pair);
            }
        }
    }
    Ok(engines)
}

fn cells(scenario: &Scenario, engines: &[EnginePair]) -> Result<Vec<PlannedCell>, PlanError> {
    // Rates relative to max run after it, whatever the order of the list.
    let mut rates = scenario.rates.clone();
    rates.sort_by_key(|rate| *rate != Rate::Max);
    let is_relative = |rate: &Rate| matches!(rate, Rate::OfMax(_)) && scenario.capacity.is_none();
    let needs_max = rates.iter().any(is_relative) && !rates.contains(&Rate::Max);
    let mut cells = Vec::new();
    for trial in 0..scenario.trials {
        for &size in &scenario.sizes {
            for &engine in engines {
                let mut add = |rate: CellRate, word: &dyn std::fmt::Display, calibration| {
                    let id = format!("{engine}/{size}/{word}");
                    cells.push(PlannedCell { id, trial, engine, size, rate, calibration });
                };
                if scenario.pace.has_own_rates() {
                    add(CellRate::Paced(load(scenario, size, None)?), &scenario.pace, false);
                    continue;
                }
                if needs_max && trial == 0 {
                    add(CellRate::Max, &Rate::Max, true);
                }
                for requested in &rates {
                    let rate = requested.at_size(size.mean());
                    let rate = rate.map_err(|source| PlanError::Rate { size, source })?;
                    let rate = match (requested, rate) {
                        (_, Some(rate)) => CellRate::Paced(load(scenario, size, Some(rate))?),
                        (Rate::OfMax(share), None) => match scenario.capacity {
                            Some(max) => {
                                CellRate::Paced(scenario.load_of_max(size, *share, max.pps())?)
                            }
                            None => CellRate::OfMax(*share),
                        },
                        (_, None) => CellRate::Max,
                    };
                    add(rate, requested, false);
                }
            }
        }
    }
    Ok(cells)
}

/// The load of a cell: at `rate`, or the ramp's own.
fn load(
    scenario: &Scenario,
    size: PayloadSize,
    rate: Option<PacketRate>,
) -> Result<WorkerLoad, PlanError> {
    let wrong = |source| PlanError::Rate { size, source };
    // The parser of ramps accepts only absolute rates.
    let relative = || PlanError::PaceWithoutRate { pace: scenario.pace };
    let at_size = |rate: Rate| rate.at_size(size.mean()).map_err(wrong)?.ok_or_else(relative);
    let load = match (scenario.pace, rate) {
        (PaceKind::Ramp(from, to), _) => {
            let (from, to) = (at_size(from)?, at_size(to)?);
            let over = match scenario.limit {
                Limit::Time(time) => time,
                Limit::Count(count) => time_of(count, f64::midpoint(from.pps(), to.pps())),
            };
            WorkerLoad::Ramp(from, to, over)
        }
        (PaceKind::Even, Some(rate)) => WorkerLoad::Even(rate),
        (PaceKind::Burst(size), Some(rate)) => WorkerLoad::Burst(rate, size),
        (PaceKind::Poisson, Some(rate)) => WorkerLoad::Poisson(rate, scenario.seed),
        (PaceKind::Recorded, _) => recorded(scenario)?,
        (_, None) => WorkerLoad::FlatOut,
    };
    if let (Limit::Count(count), Some(pps)) = (scenario.limit, load.mean_pps()) {
        let requested = time_of(count, pps);
        if requested > LONGEST {
            return Err(PlanError::TooLong { flag: "count", requested });
        }
    }
    Ok(load)
}

fn time_of(count: u64, pps: f64) -> Nanos {
    Nanos((count as f64 * 1e9 / pps) as u64)
}

fn recorded(scenario: &Scenario) -> Result<WorkerLoad, PlanError> {
    let moments_ns = scenario.asking.as_ref().and_then(|asking| asking.recorded);
    let moments_ns = moments_ns.ok_or(PlanError::NotRecorded)?;
    let seconds = moments_ns.last().map_or(1.0, |&ns| (ns as f64 / 1e9).max(1e-6));
    let gaps = moments_ns.len().saturating_sub(1);
    let mean = PacketRate::from_pps((gaps as f64 / seconds).min(MAX_PPS as f64));
    // At least one in a day.
    Ok(WorkerLoad::Recorded(mean.unwrap_or(PacketRate::KILO), moments_ns))
}

impl Scenario {
    /// The load at `share` of a delivered rate; [`PlanError::Rate`] if nothing was delivered.
    pub fn load_of_max(
        &self,
        size: PayloadSize,
        share: f64,
        max_pps: f64,
    ) -> Result<WorkerLoad, PlanError> {
        let rate = PacketRate::from_pps(share * max_pps)
            .map_err(|source| PlanError::Rate { size, source })?;
        load(self, size, Some(rate))
    }
}
