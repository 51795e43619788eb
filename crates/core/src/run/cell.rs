//! One cell on one host: warm-up, drain, measure, drain, collect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::RunError;
use super::dispatch::{NULL_TAG, ProvidedSocket};
use super::live::{DropReadings, LiveCell, PollSchedule};
use super::phase::Phase;
use super::session::{CellRunner, DirectionResult, StartRule, Tick};
use crate::host::counters::CounterSnapshot;
use crate::host::device::name_towards;
use crate::measure::{CellResult, IntervalSeries, Topology};
use crate::net::{NetError, Unix, UnixFile, UnixName};
use crate::plan::{Limit, Plan, PlannedCell, RxKind, Scenario, WorkerLoad};
use crate::run::phase::PhaseState;
use crate::run::worker_pool::{PhaseProgress, WorkerPool};
use crate::sys;
use crate::unit::{Nanos, hash_u64};

/// Runs both ends in this process.
#[derive(Debug)]
pub struct LocalRunner {
    tag: u16,
}

impl Default for LocalRunner {
    fn default() -> Self {
        // A tag that another run on this host is unlikely to use at the same time.
        let tag = hash_u64(sys::monotonic_ns() ^ u64::from(std::process::id()) << 32) as u16;
        Self { tag }
    }
}

impl CellRunner for LocalRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        // Even and not 0: a cell takes this tag and the next, and zeroes on the wire are no tag.
        self.tag = (self.tag.wrapping_add(2) & !1).max(2);
        // Files of sockets exist to the end of the cell, however it ends.
        let (pool, _files) = set_up(plan, cell, load)?;
        let warmup = plan.scenario.warmup;
        // The null engine makes datagrams of one tag only.
        let null = cell.engine.rx == RxKind::Null;
        let tags = if null { [NULL_TAG, NULL_TAG] } else { [self.tag, self.tag | 1] };
        let mut warmed = (0, 0);
        if warmup > Nanos::ZERO {
            let (limit, interval) = (Limit::Time(warmup), None);
            let order = PhaseOrder { tag: tags[0], limit, load, interval };
            let counts = run_phase(&pool, order, [None; 2], stop, tick, start)?;
            warmed = (counts.sent, counts.received);
        }
        let Scenario { to, bind, port, ip, unix, to_netns, .. } = &plan.scenario;
        let netns = to_netns.as_deref();
        let snapshot_there = netns.map(|netns| CounterSnapshot::begin_in(netns, *to));
        let target = SocketAddr::new(to.unwrap_or(*bind), *port);
        let device = name_towards(target, *bind, ip.dev.as_deref());
        let mut snapshot = CounterSnapshot::begin_maybe(unix.is_some(), device.as_deref());
        if netns.is_some() {
            snapshot = snapshot.towards(target, device.as_deref());
        }
        let Scenario { limit, interval, .. } = plan.scenario;
        // The null engine passes on the due time of its latest datagram only.
        let interval = interval.filter(|_| !null);
        let order = PhaseOrder { tag: tags[1], limit, load, interval };
        let counters = match &snapshot_there {
            Some(there) => [Some(&snapshot), Some(there)],
            None => [None, Some(&snapshot)],
        };
        let counts = run_phase(&pool, order, counters, stop, tick, start)?;
        let delta = snapshot.end();
        let delta_there = snapshot_there.map(|snapshot| snapshot.end());
        let (tx, rx) = pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        [tx.intervals, rx.intervals] = counts.intervals;
        let mut ends = Topology::SameNetns;
        if let Some(there) = delta_there {
            ends = Topology::SameHost;
            delta.into_tx(&mut tx);
            there.into_rx(&mut rx);
        } else {
            delta.into_rx(&mut rx);
        }
        let [tx_drops, rx_drops] = counts.drops;
        if netns.is_some() {
            tx.drop_readings = tx_drops.into_readings(tx.kernel);
        }
        rx.drop_readings = rx_drops.into_readings(rx.kernel);
        let mut result = CellResult::of(tx, Some(rx), ends);
        result.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        Ok(vec![DirectionResult { direction: None, result, error: None }])
    }
}

fn set_up(
    plan: &Plan,
    cell: &PlannedCell,
    load: WorkerLoad,
) -> Result<(WorkerPool, Vec<UnixFile>), RunError> {
    let mut files = Vec::new();
    // Dropped first after an error: its workers release their names before the next cell.
    let mut pool = WorkerPool::new(plan.scenario.streams, plan.scenario.ports);
    let mut addrs = Vec::new();
    for config in plan.rx_configs(cell) {
        // Not in the worker, so that the file is removed in any case.
        let provided = match &config.common.unix {
            Some(name) if config.engine != RxKind::Null => {
                let bound = Unix::bind(&UnixName::new(name), config.common.socket_buffer);
                let (unix, file) = bound.map_err(NetError::from)?;
                files.extend(file);
                Some(ProvidedSocket::Unix(unix))
            }
            _ => None,
        };
        addrs.push(pool.add_receiver(config, provided)?);
    }
    for (config, addr) in plan.tx_configs(cell, load).into_iter().zip(addrs) {
        let to = addr.unwrap_or(config.common.bind);
        pool.add_sender(config, to, None)?;
    }
    Ok((pool, files))
}

/// A phase to run.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are those of `Phase`")]
pub struct PhaseOrder {
    pub tag: u16,
    pub limit: Limit,
    pub load: WorkerLoad,
    /// Width of intervals; `None`: none.
    pub interval: Option<Nanos>,
}

/// The counts of a phase.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct PhaseCounts {
    pub sent: u64,
    pub received: u64,
    pub sent_by_flow: Vec<u64>,
    /// What senders and receivers counted by interval.
    pub intervals: [IntervalSeries; 2],
    /// Drops at the ends of intervals, at the senders and at the receivers, as far as asked for.
    pub drops: [DropReadings; 2],
}

/// Runs all workers of one host through a phase. `counters` of the senders and of the receivers are
/// read at the ends of intervals.
pub fn run_phase(
    pool: &WorkerPool,
    PhaseOrder { tag, limit, load, interval }: PhaseOrder,
    counters: [Option<&CounterSnapshot>; 2],
    stop: &Arc<AtomicBool>,
    tick: Tick<'_>,
    start: &dyn StartRule,
) -> Result<PhaseCounts, RunError> {
    let senders = pool.senders().max(pool.pairs());
    let control = PhaseState::until(Arc::clone(stop), senders, limit.latest_end())
        .with_intervals(interval, limit, load);
    let epoch = start.start_at(Nanos(sys::monotonic_ns()) + pool.lead())?;
    let phase = Phase { epoch, tag, limit, load, control };
    pool.begin_receivers(&phase);
    pool.begin_senders(&phase);
    pool.begin_pairs(&phase);
    let (mut running, mut drops) = (pool.running(), <[DropReadings; 2]>::default());
    let schedule = PollSchedule::new(epoch, phase.control.interval_scale());
    pool.await_end(&mut running, schedule, &mut || {
        let live = LiveCell::new(&phase.control, epoch);
        let ended = live.map(|live| live.ended());
        for side in [0, 1] {
            let rings = || {
                let [own, others] = [side, 1 - side].map(|side| phase.control.ring_drops(side));
                // One reading covers both sides if only one is taken.
                [[own, others.filter(|_| counters[1 - side].is_none())]]
            };
            DropReadings::observe([&mut drops[side]], ended, counters[side], rings);
        }
        tick(live.map(|live| live.with_drops([&drops[0], &drops[1]])));
    })?;
    let PhaseProgress { sent, received, sent_by_flow, .. } = running;
    Ok(PhaseCounts { sent, received, sent_by_flow, intervals: phase.control.intervals(), drops })
}
