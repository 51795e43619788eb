//! Runs cells of requests against a target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{RequestSpec, RunIds};
use crate::host::counters::CounterSnapshot;
use crate::measure::{CellResult, Topology};
use crate::plan::{EXCHANGE_LIFETIME, Limit, Plan, PlannedCell, Scenario, WorkerLoad};
use crate::request::worker::run_request_worker;
use crate::run::RunError;
use crate::run::phase::{Phase, PhaseState};
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::{Nanos, PayloadSize};

/// Sends requests to a target.
#[derive(Debug)]
pub struct RequestRunner {
    target: SocketAddr,
    specs: Vec<(PayloadSize, RequestSpec)>,
    is_here: bool,
    answered: bool,
    ids: Arc<RunIds>,
}

impl RequestRunner {
    /// A runner for this target; `is_here`: it is on this host. `ids` are those of the run.
    pub const fn new(
        target: SocketAddr,
        specs: Vec<(PayloadSize, RequestSpec)>,
        is_here: bool,
        ids: Arc<RunIds>,
    ) -> Self {
        Self { target, specs, is_here, answered: false, ids }
    }
}

impl CellRunner for RequestRunner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
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
        let mut sent_by_flow = vec![0; streams.into()];
        let mut run = |limit, tick: &mut dyn FnMut()| {
            let control = PhaseState::new(Arc::clone(stop), pool.pairs());
            let epoch = Nanos(sys::monotonic_ns()) + pool.lead();
            pool.begin_pairs(&Phase { epoch, tag: 0, limit, load, control });
            let mut running = pool.running();
            pool.await_end(&mut running, tick)?;
            let more = running.sent_by_flow.iter();
            sent_by_flow.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            Ok::<_, RunError>((running.sent, running.received))
        };
        let warmup = plan.scenario.warmup;
        let warmed = if warmup > Nanos::ZERO { run(Limit::Time(warmup), tick)? } else { (0, 0) };
        let Scenario { bind, ip, .. } = &plan.scenario;
        let counters = CounterSnapshot::begin_towards(self.target, *bind, ip.dev.as_deref());
        run(plan.scenario.limit, tick)?;
        let delta = counters.end();
        let (tx, rx) = pool.collect(&cell.id)?;
        let (mut tx, mut rx) = (tx.unwrap_or_default(), rx.unwrap_or_default());
        let last_number = self.ids.numbers();
        delta.into_both(&mut tx, &mut rx);
        self.answered |= rx.tally.received > 0;
        let mut result = match (spec.matching.expects_reply(), self.is_here) {
            (true, true) => CellResult::of(tx, Some(rx), Topology::SameNetns),
            (true, false) => CellResult::of(tx, Some(rx), Topology::Remote),
            (false, _) => {
                let mut result = CellResult::of(tx, None, Topology::Remote);
                result.rx.exchange = rx.exchange;
                result
            }
        };
        result.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        if let (Some(exchange), Some(asking)) = (&mut result.rx.exchange, &plan.scenario.asking) {
            let sent = result.tx.tally.sent;
            exchange.repeated_labels =
                asking.labels.map(|labels| last_number.saturating_sub(labels).min(sent));
            exchange.repeated_labels =
                asking.labels.map(|labels| last_number.saturating_sub(labels).min(sent));
            let time = plan.scenario.warmup + result.tx.end;
            let reused = |bits| reused_message_ids(&sent_by_flow, bits, time).min(sent);
            exchange.reused_message_ids = asking.message_id_bits.map(reused);
        }
        Ok(vec![DirectionResult { direction: None, result, error: None }])
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
