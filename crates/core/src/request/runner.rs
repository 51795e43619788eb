//! Runs cells of requests against a target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{RequestSpec, RunIds};
use crate::host::counters::CounterSnapshot;
use crate::host::{ServerProcesses, UsageRecorder};
use crate::measure::{CellResult, RxResult, Topology, TxResult};
use crate::plan::{EXCHANGE_LIFETIME, Limit, Plan, PlannedCell, Scenario, WorkerLoad};
use crate::request::worker::run_request_worker;
use crate::run::RunError;
use crate::run::cell::{PhaseOrder, run_phase};
use crate::run::live::LiveCell;
use crate::run::session::{CellRunner, DirectionResult, StartRule, Tick};
use crate::run::worker_pool::WorkerPool;
use crate::unit::{Nanos, PayloadSize};

/// Sends requests to a target.
#[derive(Debug)]
pub struct RequestRunner {
    target: SocketAddr,
    specs: Vec<(PayloadSize, RequestSpec)>,
    is_here: bool,
    answered: bool,
    ids: Arc<RunIds>,
    server: Option<ServerProcesses>,
}

impl RequestRunner {
    /// A runner for this target; `is_here`: it is on this host. `ids` are those of the run.
    pub const fn new(
        target: SocketAddr,
        specs: Vec<(PayloadSize, RequestSpec)>,
        is_here: bool,
        ids: Arc<RunIds>,
    ) -> Self {
        Self { target, specs, is_here, answered: false, ids, server: None }
    }

    /// Observes these processes of the server in each cell.
    pub fn observe(&mut self, server: Option<ServerProcesses>) {
        self.server = server;
    }
}

impl CellRunner for RequestRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        let found = self.specs.iter().find(|(size, _)| *size == cell.size);
        let Some((_, spec)) = found else { return Ok(Vec::new()) };
        let streams = plan.streams(load);
        let mut pool = WorkerPool::new(streams, plan.scenario.ports);
        let first_ids = self.ids.begin(streams.into());
        for mut config in plan.request_configs(cell, load) {
            config.tx.abort_on_unreachable &= !self.answered;
            let ids = (Arc::clone(&self.ids), first_ids);
            let (target, spec, ports) = (self.target, spec.clone(), pool.ports());
            let name = format!("udperf-ask-{}", config.tx.common.worker);
            pool.add_pair(name, move |channel| {
                run_request_worker(&config, target, ports, spec, ids, channel)
            })?;
        }
        let warmup = plan.scenario.warmup;
        let mut warmed = None;
        if warmup > Nanos::ZERO {
            let order = PhaseOrder { tag: 0, limit: Limit::Time(warmup), load, interval: None };
            warmed = Some(run_phase(&pool, order, [None; 2], stop, tick, start)?);
        }
        let Scenario { bind, ip, .. } = &plan.scenario;
        let counters = CounterSnapshot::begin_towards(self.target, *bind, ip.dev.as_deref());
        let Scenario { limit, interval, .. } = plan.scenario;
        let order = PhaseOrder { tag: 0, limit, load, interval };
        let counters_of = [None, Some(&counters)];
        let window = limit.latest_end();
        let mut server = self.server.as_ref().map(|server| UsageRecorder::begin(server, window));
        let mut tick = |live: Option<LiveCell<'_>>| {
            let ended = live.map(|live| live.ended());
            server.iter_mut().for_each(|server| server.observe(ended));
            tick(live);
        };
        let counts = run_phase(&pool, order, counters_of, stop, &mut tick, start)?;
        let delta = counters.end();
        let (tx, rx) = pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        [tx.intervals, rx.intervals] = counts.intervals;
        let last_number = self.ids.numbers();
        delta.into_both(&mut tx, &mut rx);
        self.answered |= rx.tally.received > 0;
        let mut result = of_ends(tx, rx, spec.matching.expects_reply(), self.is_here);
        result.server = server.map(|server| Box::new(server.end()));
        let [_, drops] = counts.drops;
        let at_end = result.rx.kernel.with_rings(result.tx.kernel.rings);
        result.rx.drop_readings = drops.into_readings(at_end);
        let mut sent_by_flow = counts.sent_by_flow;
        if let Some(warmed) = warmed {
            result.warmup = (warmed.sent, warmed.sent.saturating_sub(warmed.received));
            sent_by_flow.iter_mut().zip(warmed.sent_by_flow).for_each(|(sum, sent)| *sum += sent);
        }
        if let (Some(exchange), Some(asking)) = (&mut result.rx.exchange, &plan.scenario.asking) {
            let sent = result.tx.tally.sent;
            exchange.repeated_labels =
                asking.labels.map(|labels| last_number.saturating_sub(labels).min(sent));
            let time = plan.scenario.warmup + result.tx.end;
            let reused = |bits| reused_message_ids(&sent_by_flow, bits, time).min(sent);
            exchange.reused_message_ids = asking.message_id_bits.map(reused);
        }
        Ok(vec![DirectionResult { direction: None, result, error: None }])
    }
}

/// The result of both ends. Without replies, the outcome of the requests is unknown.
fn of_ends(tx: TxResult, rx: RxResult, expects_reply: bool, is_here: bool) -> CellResult {
    match (expects_reply, is_here) {
        (true, true) => CellResult::of(tx, Some(rx), Topology::SameNetns),
        (true, false) => CellResult::of(tx, Some(rx), Topology::Remote),
        (false, _) => {
            let mut result = CellResult::of(tx, None, Topology::Remote);
            result.rx.exchange = rx.exchange;
            result
        }
    }
}

/// Number of evenly spread requests whose message id the port had used within its lifetime.
fn reused_message_ids(sent_by_flow: &[u64], bits: u32, time: Nanos) -> u64 {
    let ids = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
    let lifetimes = (time.as_secs_f64() / EXCHANGE_LIFETIME.as_secs_f64()).max(1.0);
    let is_too_fast = |sent: &&u64| **sent as f64 / lifetimes > ids as f64;
    sent_by_flow.iter().filter(is_too_fast).map(|sent| sent - ids).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_message_ids_reused_within_their_lifetime() {
        for (sent, seconds, reused) in [
            (&[65_540, 65_536, 70_000, 3][..], 10, 4 + 4_464),
            // 240 per second: each id repeats after 273 s.
            (&[240_000], 1_000, 0),
            (&[300_000], 1_000, 300_000 - 65_536),
        ] {
            let time = Nanos::from_millis(seconds * 1_000);
            assert_eq!(reused_message_ids(sent, 16, time), reused, "{sent:?}");
        }
    }
}
