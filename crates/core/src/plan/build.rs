//! Builds a plan from a scenario.

use std::net::SocketAddr;

use super::engines::{EngineWord, MissingEngine};
use super::error::{MAX_BATCH, MAX_CELLS, PlanError};
use super::place::{Machine, Placement, crowded, place};
use super::ports::{MOST_PORTS, streams};
use super::scenario::{Limit, RequestOptions, Scenario};
use super::worker_config::{RequestConfig, RxConfig, TxConfig, WorkerConfig, WorkerLoad};
use crate::engine::EnginePair;
use crate::plan::options::{PaceKind, PaceShape, Route, TimestampKind, WaitKind};
use crate::unit::{MAX_PPS, Nanos, PacketRate, PayloadSize, Rate};

/// The longest warm-up or measurement; a third of what 48 bits of nanoseconds hold on the wire.
pub const LONGEST: Nanos = Nanos::from_millis(24 * 3_600 * 1_000);

/// The shortest measurement; arbitrary, shorter ones see little but the start.
const SHORTEST: Nanos = Nanos::from_millis(1);

/// The rate of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CellRate {
    /// No schedule.
    Max,
    /// This schedule, all workers together.
    Paced(WorkerLoad),
    /// This share of what `max` delivered for the same size and engine.
    OfMax(f64),
}

/// One measurement to make.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCell {
    /// `plain/64/max`: engine, payload, rate as asked; the same for all trials.
    pub id: String,
    /// Which repeat, from 0.
    pub trial: u32,
    /// How to send and receive.
    pub engine: EnginePair,
    /// The payload.
    pub size: PayloadSize,
    /// The rate.
    pub rate: CellRate,
    /// Not asked for, but needed to know what `max` is.
    pub calibration: bool,
}

/// A benchmark, fully decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What was asked.
    pub scenario: Scenario,
    /// Cores of the senders; `None`: not pinned.
    pub tx_cores: Vec<Option<usize>>,
    /// Cores of the receivers.
    pub rx_cores: Vec<Option<usize>>,
    /// How workers wait: not by spinning where that would keep another from running.
    pub wait: WaitKind,
    /// All cells in running order: trials outermost, so that drifts of the machine hit all alike.
    pub cells: Vec<PlannedCell>,
    /// Engines that `auto` or `all` would have taken, and that cannot be had here.
    pub left_out: Vec<MissingEngine>,
}

impl Plan {
    /// Decides everything that `machine` allows to be decided.
    pub fn new(scenario: Scenario, machine: &Machine) -> Result<Self, PlanError> {
        check(&scenario)?;
        let Placement { tx: tx_cores, rx: rx_cores } = place(&scenario, machine)?;
        let wait = match scenario.wait {
            WaitKind::Hybrid if crowded(&scenario, &tx_cores, &rx_cores, machine) => {
                WaitKind::Epoll
            }
            asked => asked,
        };
        let cells = cells(&scenario, &engines(&scenario, machine)?)?;
        let open = |word: &EngineWord| matches!(word, EngineWord::Auto | EngineWord::All);
        let chosen_here = scenario.engines.iter().any(open);
        let left_out = if chosen_here { machine.missing.clone() } else { Vec::new() };
        Ok(Self { scenario, tx_cores, rx_cores, wait, cells, left_out })
    }

    /// The configurations of a cell's receivers.
    pub fn rx_configs(&self, cell: &PlannedCell) -> Vec<RxConfig> {
        let stamps = self.scenario.timestamps == TimestampKind::Kernel;
        (0..usize::from(self.scenario.threads))
            .map(|worker| {
                let streams = self.scenario.streams;
                let mut common = self.common(cell, worker, self.rx_cores[worker], streams);
                if self.scenario.route == Route::Local {
                    common.bind.set_ip(self.scenario.to.unwrap_or(self.scenario.bind));
                    common.netns.clone_from(&self.scenario.to_netns);
                }
                RxConfig { common, engine: cell.engine.rx, stamps, across: false, of: 1 }
            })
            .collect()
    }

    /// The configurations of a cell's senders, once its load is known.
    pub fn tx_configs(&self, cell: &PlannedCell, load: WorkerLoad) -> Vec<TxConfig> {
        let of = usize::from(self.scenario.threads);
        let stamps = self.scenario.timestamps == TimestampKind::Kernel;
        let streams = self.streams(load);
        (0..of)
            .map(|worker| {
                let mut common = self.common(cell, worker, self.tx_cores[worker], streams);
                common.bind.set_port(0);
                TxConfig {
                    common,
                    engine: cell.engine.tx,
                    connect: self.scenario.connect,
                    of,
                    load,
                    seed: self.scenario.seed,
                    abort_on_unreachable: matches!(
                        self.scenario.route,
                        Route::SendOnly | Route::Request
                    ),
                    answers: self.scenario.route == Route::Request,
                    stamps,
                }
            })
            .collect()
    }

    /// The flows of a cell at this load.
    pub fn streams(&self, load: WorkerLoad) -> u16 {
        streams(&self.scenario, load)
    }

    /// The configurations of request workers, once the load of a cell is known.
    pub fn request_configs(&self, cell: &PlannedCell, load: WorkerLoad) -> Vec<RequestConfig> {
        let of = u64::from(self.scenario.threads);
        let pair = |(tx, asking): (TxConfig, &RequestOptions)| {
            let worker = tx.common.worker as u64;
            let part = |all: u64| all / of + u64::from(worker < all % of);
            let window = asking.outstanding.map(|all| part(all.into()));
            RequestConfig { tx, rx: cell.engine.rx, asking: asking.clone(), window }
        };
        let shares = self.tx_configs(cell, load).into_iter();
        shares.filter_map(|share| Some(pair((share, self.scenario.asking.as_ref()?)))).collect()
    }

    fn common(
        &self,
        cell: &PlannedCell,
        worker: usize,
        core: Option<usize>,
        streams: u16,
    ) -> WorkerConfig {
        let scenario = &self.scenario;
        let port = match scenario.port {
            0 => 0,
            first => first + worker as u16,
        };
        let share =
            |worker: usize| (usize::from(streams) * worker / usize::from(scenario.threads)) as u16;
        WorkerConfig {
            worker,
            core,
            wait: self.wait,
            batch: scenario.batch.map(usize::from),
            size: cell.size,
            flows: share(worker)..share(worker + 1),
            bind: SocketAddr::new(scenario.bind, port),
            unix: scenario.unix.as_ref().map(|name| format!("{name}.{worker}")),
            socket_buffer: scenario.socket_buffer,
            ip: scenario.ip.clone(),
            broadcast: scenario.broadcast,
            netns: None,
        }
    }
}

/// Refuses what cannot be, whatever the machine.
fn check(scenario: &Scenario) -> Result<(), PlanError> {
    let Scenario { limit, warmup, streams, threads, trials, port, pace, .. } = *scenario;
    for (flag, value) in
        [("streams", u32::from(streams)), ("threads", u32::from(threads)), ("trials", trials)]
    {
        if value == 0 {
            return Err(PlanError::Zero { flag });
        }
    }
    match limit {
        Limit::Time(asked) if asked < SHORTEST => return Err(PlanError::NoTime { asked }),
        Limit::Time(asked) if asked > LONGEST => {
            return Err(PlanError::TooLong { flag: "time", asked });
        }
        Limit::Count(0) => return Err(PlanError::Zero { flag: "count" }),
        _ => {}
    }
    if warmup > LONGEST {
        return Err(PlanError::TooLong { flag: "warmup", asked: warmup });
    }
    if streams < threads {
        return Err(PlanError::IdleThreads { streams, threads });
    }
    if let Some(outstanding) = scenario.asking.as_ref().and_then(|asking| asking.outstanding)
        && outstanding < u32::from(threads)
    {
        return Err(PlanError::IdleWindow { outstanding, threads });
    }
    if let Some(RequestOptions { outstanding: Some(outstanding), id_bits, spread, .. }) =
        scenario.asking
    {
        let streams = if spread { MOST_PORTS as u16 } else { streams };
        let ids = 1_u64.checked_shl(id_bits).unwrap_or(u64::MAX);
        let ids = ids.saturating_mul(streams.into());
        // The other half is for those that wait to be given up.
        if u64::from(outstanding) > ids / 2 {
            return Err(PlanError::FewIds { outstanding, ids, streams });
        }
    }
    if port != 0 && port.checked_add(threads - 1).is_none() {
        return Err(PlanError::PortRange { port, threads });
    }
    if scenario.batch == Some(0) {
        return Err(PlanError::Zero { flag: "batch" });
    }
    if let Some(asked) = scenario.batch.filter(|&asked| asked > MAX_BATCH) {
        return Err(PlanError::BatchTooLarge { asked });
    }
    let is_null = |word: &EngineWord| *word == EngineWord::Pair(EnginePair::NULL);
    if scenario.route != Route::Local && scenario.engines.iter().any(is_null) {
        return Err(PlanError::NullAcross);
    }
    let engines: usize = scenario.engines.iter().map(EngineWord::pairs).sum();
    let rows = scenario.sizes.len() * engines * scenario.rates.len().max(1);
    let asked = (rows as u64).saturating_mul(u64::from(trials));
    if asked > MAX_CELLS {
        return Err(PlanError::TooManyCells { asked });
    }
    let paced = scenario.rates.iter().any(|rate| *rate != Rate::Max);
    if pace != PaceKind::Even && pace.shape() == PaceShape::AtRate && !paced {
        return Err(PlanError::PaceWithoutRate { pace });
    }
    Ok(())
}

/// The pairs that the words stand for on this machine, each once.
fn engines(scenario: &Scenario, machine: &Machine) -> Result<Vec<EnginePair>, PlanError> {
    let mut engines: Vec<EnginePair> = Vec::new();
    for word in &scenario.engines {
        let pairs = match *word {
            EngineWord::Pair(pair) => {
                if let Some(missing) = machine.lacks(pair) {
                    return Err(PlanError::NoEngine { asked: pair, missing: missing.clone() });
                }
                vec![pair]
            }
            EngineWord::Auto => vec![machine.fastest.unwrap_or(EnginePair::PLAIN)],
            EngineWord::All => {
                EnginePair::matrix().filter(|&pair| machine.lacks(pair).is_none()).collect()
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

/// The product of the lists, trials outermost.
fn cells(scenario: &Scenario, engines: &[EnginePair]) -> Result<Vec<PlannedCell>, PlanError> {
    let mut cells = Vec::new();
    for trial in 0..scenario.trials {
        for &size in &scenario.sizes {
            for &engine in engines {
                let cell =
                    |rate: CellRate, word: &dyn std::fmt::Display, calibration| PlannedCell {
                        id: format!("{engine}/{size}/{word}"),
                        trial,
                        engine,
                        size,
                        rate,
                        calibration,
                    };
                if scenario.pace.shape() == PaceShape::OwnRates {
                    let rate = CellRate::Paced(load(scenario, size, None)?);
                    cells.push(cell(rate, &scenario.pace, false));
                    continue;
                }
                let needs_max = scenario.rates.iter().any(|rate| matches!(rate, Rate::OfMax(_)))
                    && !scenario.rates.contains(&Rate::Max);
                if needs_max && trial == 0 {
                    cells.push(cell(CellRate::Max, &Rate::Max, true));
                }
                // What is relative to max runs after it, whatever the order of the list.
                let mut rates = scenario.rates.clone();
                rates.sort_by_key(|rate| *rate != Rate::Max);
                for asked in rates {
                    let rate = match (asked, asked.at_size(size.mean())) {
                        (_, Err(source)) => return Err(PlanError::Rate { size, source }),
                        (_, Ok(Some(rate))) => CellRate::Paced(load(scenario, size, Some(rate))?),
                        (Rate::OfMax(share), Ok(None)) => CellRate::OfMax(share),
                        (_, Ok(None)) => CellRate::Max,
                    };
                    cells.push(cell(rate, &asked, false));
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
    let at_size = |rate: Rate| match rate.at_size(size.mean()) {
        Ok(Some(rate)) => Ok(rate),
        // The parser of ramps lets only absolute rates through.
        Ok(None) => Err(PlanError::PaceWithoutRate { pace: scenario.pace }),
        Err(source) => Err(PlanError::Rate { size, source }),
    };
    let load = match (scenario.pace, rate) {
        (PaceKind::Ramp(from, to), _) => {
            let (from, to) = (at_size(from)?, at_size(to)?);
            let over = match scenario.limit {
                Limit::Time(time) => time,
                // So many datagrams at the mean rate.
                Limit::Count(count) => {
                    Nanos((count as f64 * 1e9 / f64::midpoint(from.pps(), to.pps())) as u64)
                }
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
        let asked = Nanos((count as f64 * 1e9 / pps) as u64);
        if asked > LONGEST {
            return Err(PlanError::TooLong { flag: "count", asked });
        }
    }
    Ok(load)
}

/// The load of the capture that requests come from.
fn recorded(scenario: &Scenario) -> Result<WorkerLoad, PlanError> {
    let moments_ns = scenario.asking.as_ref().and_then(|asking| asking.recorded);
    let moments_ns = moments_ns.ok_or(PlanError::NotRecorded)?;
    let seconds = moments_ns.last().map_or(1.0, |&ns| (ns as f64 / 1e9).max(1e-6));
    let gaps = moments_ns.len().saturating_sub(1);
    let mean = PacketRate::from_pps((gaps as f64 / seconds).min(MAX_PPS as f64));
    // At least one in a day, and no more than the most there is.
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
