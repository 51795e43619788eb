//! Where requests are asked and replies heard: at whoever is at the target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Dialogue;
use crate::measure::{Ends, Harvest, RxHalf, TxHalf};
use crate::plan::{Cell, Limit, Load, Plan, Scenario};
use crate::run::RunError;
use crate::run::control::Control;
use crate::run::counters::Watch;
use crate::run::crew::Crew;
use crate::run::device::name_towards;
use crate::run::session::{Bed, Part};
use crate::run::worker::Phase;
use crate::sys;
use crate::unit::{Nanos, PayloadSize};

/// Whoever is at the target, asked.
#[derive(Debug)]
pub struct Exchanger {
    target: SocketAddr,
    /// What is asked, by the payload of the cell.
    dialogues: Vec<(PayloadSize, Dialogue)>,
    /// Whether the target is on this host, so that its kernel's counters are ours.
    is_here: bool,
    /// Whether it has answered in an earlier cell.
    answered: bool,
}

impl Exchanger {
    /// Asks this target, in cells of each payload what stands beside it; `is_here`: it is on this
    /// host.
    #[must_use]
    pub const fn new(
        target: SocketAddr,
        dialogues: Vec<(PayloadSize, Dialogue)>,
        is_here: bool,
    ) -> Self {
        Self { target, dialogues, is_here, answered: false }
    }
}

impl Bed for Exchanger {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &Cell,
        load: Load,
        stop: &Arc<AtomicBool>,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<Part>, RunError> {
        let asked = self.dialogues.iter().find(|(size, _)| *size == cell.size);
        let Some((_, dialogue)) = asked else { return Ok(Vec::new()) };
        let mut crew = Crew::new(plan.scenario.streams, plan.scenario.ports);
        for mut share in plan.pair_shares(cell, load) {
            share.tx.heeds_unreachable &= !self.answered;
            crew.add_pair(share, self.target, dialogue.clone())?;
        }
        let run = |limit, tick: &mut dyn FnMut()| {
            let control = Control::new(Arc::clone(stop), crew.pairs());
            let epoch = Nanos(sys::monotonic_ns()) + crew.lead();
            // Nothing of ours carries a tag.
            crew.begin_pairs(&Phase { epoch, tag: 0, limit, load, control });
            let mut running = crew.running();
            crew.await_end(&mut running, tick).map(|()| (running.sent, running.received))
        };
        let warmup = plan.scenario.warmup;
        let warmed = if warmup > Nanos::ZERO { run(Limit::Time(warmup), tick)? } else { (0, 0) };
        let Scenario { bind, ip, .. } = &plan.scenario;
        let device = name_towards(self.target, *bind, ip.dev.as_deref());
        let watch = Watch::begin(device.as_deref()).towards(self.target, device.as_deref());
        run(plan.scenario.limit, tick)?;
        let seen = watch.end();
        let (mut tx, mut rx) = crew.collect_pairs(&cell.id)?;
        seen.into_both(&mut tx, &mut rx);
        self.answered |= rx.tally.received > 0;
        let mut harvest = self.harvest(tx, rx, dialogue);
        harvest.warmup = (warmed.0, warmed.0.saturating_sub(warmed.1));
        Ok(vec![Part { direction: None, harvest, error: None }])
    }
}

impl Exchanger {
    /// Both halves together.
    fn harvest(&self, tx: TxHalf, rx: RxHalf, dialogue: &Dialogue) -> Harvest {
        if !dialogue.matching.expects_reply() {
            let exchange = rx.exchange;
            return Harvest { exchange, ..Harvest::of(tx, None, Ends::Across) };
        }
        if !self.is_here {
            return Harvest::of(tx, Some(rx), Ends::Across);
        }
        Harvest::of(tx, Some(rx), Ends::Together)
    }
}
