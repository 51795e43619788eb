//! One cell on one host: warm-up, drain, measure, drain, collect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::RunError;
use super::dispatch::{NULL_TAG, ProvidedSocket};
use super::phase::Phase;
use super::session::{CellRunner, DirectionResult};
use crate::host::counters::CounterSnapshot;
use crate::host::device::name_towards;
use crate::measure::{CellResult, Topology};
use crate::net::{NetError, Unix, UnixFile, UnixName};
use crate::plan::{Limit, Plan, PlannedCell, RxKind, Scenario, WorkerLoad};
use crate::run::phase::PhaseState;
use crate::run::worker_pool::WorkerPool;
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
        tick: &mut dyn FnMut(),
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
            warmed = phase(&pool, tags[0], Limit::Time(warmup), load, stop, tick)?;
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
        phase(&pool, tags[1], plan.scenario.limit, load, stop, tick)?;
        let delta = snapshot.end();
        let delta_there = snapshot_there.map(|snapshot| snapshot.end());
        let (tx, rx) = pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        let mut ends = Topology::SameNetns;
        if let Some(there) = delta_there {
            ends = Topology::SameHost;
            delta.into_tx(&mut tx);
            there.into_rx(&mut rx);
        } else {
            delta.into_rx(&mut rx);
        }
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

/// Runs all workers through a phase; returns the numbers of datagrams sent and received.
fn phase(
    pool: &WorkerPool,
    tag: u16,
    limit: Limit,
    load: WorkerLoad,
    stop: &Arc<AtomicBool>,
    tick: &mut dyn FnMut(),
) -> Result<(u64, u64), RunError> {
    let window_end = match limit {
        Limit::Time(time) => time,
        Limit::Count(_) => Nanos::NEVER,
    };
    let control = PhaseState::until(Arc::clone(stop), pool.senders(), window_end);
    let epoch = Nanos(sys::monotonic_ns()) + pool.lead();
    let phase = Phase { epoch, tag, limit, load, control };
    pool.begin_receivers(&phase);
    pool.begin_senders(&phase);
    let mut running = pool.running();
    pool.await_end(&mut running, tick)?;
    Ok((running.sent, running.received))
}
