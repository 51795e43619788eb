//! Where requests are asked and replies heard: at whoever is at the target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{RequestSpec, RunIds};
use crate::host::counters::CounterSnapshot;
use crate::host::device::name_towards;
use crate::measure::{CellResult, RxResult, Topology, TxResult};
use crate::plan::{EXCHANGE_LIFETIME, Limit, Plan, PlannedCell, Scenario, WorkerLoad};
use crate::request::worker::run_pair;
use crate::run::RunError;
use crate::run::phase::PhaseState;
use crate::run::session::{CellRunner, DirectionResult};
use crate::run::worker::Phase;
use crate::run::worker_pool::WorkerPool;
use crate::sys;
use crate::unit::{Nanos, PayloadSize};

/// Whoever is at the target, asked.
#[derive(Debug)]
pub struct RequestRunner {
    target: SocketAddr,
    /// What is asked, by the payload of the cell.
    dialogues: Vec<(PayloadSize, RequestSpec)>,
    /// Whether the target is on this host, so that its kernel's counters are ours.
    is_here: bool,
    /// Whether it has answered in an earlier cell.
    answered: bool,
    /// Ids and numbers that are unique in all cells of the run.
    ids: Arc<RunIds>,
}

impl RequestRunner {
    /// Asks this target, in cells of each payload what stands beside it; `is_here`: it is on this
    /// host. `ids` are those of the whole run.
    #[must_use]
    pub const fn new(
        target: SocketAddr,
        dialogues: Vec<(PayloadSize, RequestSpec)>,
        is_here: bool,
        ids: Arc<RunIds>,
    ) -> Self {
        Self { target, dialogues, is_here, answered: false, ids }
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
        let asked = self.dialogues.iter().find(|(size, _)| *size == cell.size);
        let Some((_, dialogue)) = asked else { return Ok(Vec::new()) };
        let streams = plan.streams(load);
        let mut crew = WorkerPool::new(streams, plan.scenario.ports);
        let first_ids = self.ids.begin(streams.into());
        for mut share in plan.pair_shares(cell, load) {
            share.tx.abort_on_unreachable &= !self.answered;
            let ids = (Arc::clone(&self.ids), first_ids);
            let (target, dialogue, ports) = (self.target, dialogue.clone(), crew.ports());
            let name = format!("udperf-ask-{}", share.tx.common.worker);
            crew.add_pair(name, move |line| run_pair(&share, target, ports, dialogue, ids, line))?;
        }
        let mut sent_by_flow = vec![0; streams.into()];
        let mut run = |limit, tick: &mut dyn FnMut()| {
            let control = PhaseState::new(Arc::clone(stop), crew.pairs());
            let epoch = Nanos(sys::monotonic_ns()) + crew.lead();
            // Nothing of ours carries a tag.
            crew.begin_pairs(&Phase { epoch, tag: 0, limit, load, control });
            let mut running = crew.running();
            crew.await_end(&mut running, tick)?;
            let more = running.sent_by_flow.iter();
            sent_by_flow.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            Ok::<_, RunError>((running.sent, running.received))
        };
        let warmup = plan.scenario.warmup;
        let warmed = if warmup > Nanos::ZERO { run(Limit::Time(warmup), tick)? } else { (0, 0) };
        let Scenario { bind, ip, .. } = &plan.scenario;
        let device = name_towards(self.target, *bind, ip.dev.as_deref());
        let watch =
            CounterSnapshot::begin(device.as_deref()).towards(self.target, device.as_deref());
        run(plan.scenario.limit, tick)?;
        let seen = watch.end();
        let (mut tx, mut rx) = crew.collect_pairs(&cell.id)?;
        // All workers have ended.
        let last_number = self.ids.numbers();
        seen.into_both(&mut tx, &mut rx);
        self.answered |= rx.tally.received > 0;
        let mut harvest = self.harvest(tx, rx, dialogue);
        harvest.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        if let (Some(exchange), Some(asking)) = (&mut harvest.exchange, &plan.scenario.asking) {
            let sent = harvest.tx.sent;
            exchange.repeated_labels =
                asking.labels.map(|labels| last_number.saturating_sub(labels).min(sent));
            let time = plan.scenario.warmup + harvest.elapsed;
            exchange.reused_message_ids = asking
                .message_id_bits
                .map(|bits| reused_message_ids(&sent_by_flow, bits, time).min(sent));
        }
        Ok(vec![DirectionResult { direction: None, harvest, error: None }])
    }
}

/// Number of requests sent within `time` whose message id another request of the same port had less
/// than its lifetime before, if each port's requests are evenly spread.
fn reused_message_ids(sent_by_flow: &[u64], bits: u32, time: Nanos) -> u64 {
    let ids = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
    let lifetimes = (time.as_secs_f64() / EXCHANGE_LIFETIME.as_secs_f64()).max(1.0);
    let is_too_fast = |sent: &&u64| **sent as f64 / lifetimes > ids as f64;
    sent_by_flow.iter().filter(is_too_fast).map(|sent| sent - ids).sum()
}

impl RequestRunner {
    /// Both halves together.
    fn harvest(&self, tx: TxResult, rx: RxResult, dialogue: &RequestSpec) -> CellResult {
        if !dialogue.matching.expects_reply() {
            let exchange = rx.exchange;
            return CellResult { exchange, ..CellResult::of(tx, None, Topology::Remote) };
        }
        if !self.is_here {
            return CellResult::of(tx, Some(rx), Topology::Remote);
        }
        CellResult::of(tx, Some(rx), Topology::SameNetns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_reused_within_their_lifetime_alone() {
        let seconds = |seconds: u64| Nanos::from_millis(seconds * 1_000);
        assert_eq!(reused_message_ids(&[65_536, 3], 16, seconds(10)), 0);
        assert_eq!(reused_message_ids(&[65_540, 65_536, 70_000], 16, seconds(10)), 4 + 4_464);
        // 240 a second: each comes again after 273 s.
        assert_eq!(reused_message_ids(&[240_000], 16, seconds(1_000)), 0);
        assert_eq!(reused_message_ids(&[300_000], 16, seconds(1_000)), 300_000 - 65_536);
    }
}
