//! What all sessions of a sink may take together, whatever each of them asks for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::remote::protocol::spec::CellSpec;

/// Windows of flows, of all receivers: 8 KiB each where datagrams come out of order. Arbitrary:
/// four times the most streams of one client, and 512 MiB.
const MOST_WINDOWS: usize = 65_536;

/// Senders. Arbitrary: four times the most of one client, more than any host has cores for.
const MOST_SENDERS: usize = 1_024;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    left: Mutex<Cost>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Mutex::new(Cost { windows: MOST_WINDOWS, senders: MOST_SENDERS }) }
    }
}

/// What a cell needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    windows: usize,
    senders: usize,
}

impl Cost {
    /// By so many receivers: where flows go to them in turn, each has its own; by a hash, any flow
    /// may come to any of them.
    fn of(spec: &CellSpec, receivers: usize) -> Self {
        let streams = usize::from(spec.streams);
        let spread = if spec.by_hash { receivers } else { 1 };
        let (windows, senders) = (streams * spread, usize::from(spec.threads));
        Self {
            windows: if spec.ways.forward { windows } else { 0 },
            senders: if spec.ways.reverse { senders } else { 0 },
        }
    }
}

/// What one cell has taken, which goes back with it.
#[derive(Debug)]
pub(super) struct BudgetLease {
    budget: Arc<Budget>,
    need: Cost,
}

impl Budget {
    /// Takes what a cell needs, or says what is wrong.
    pub(super) fn take(
        self: &Arc<Self>,
        spec: &CellSpec,
        receivers: usize,
    ) -> Result<BudgetLease, String> {
        let need = Cost::of(spec, receivers);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = left.windows.checked_sub(need.windows).ok_or_else(|| {
            format!(
                "{MOST_WINDOWS} windows of streams are the most for all its clients, {} of them \
                 are free, and this needs {}; ask for fewer --streams, or wait for the others",
                left.windows, need.windows
            )
        })?;
        let senders = left.senders.checked_sub(need.senders).ok_or_else(|| {
            format!(
                "{MOST_SENDERS} senders are the most for all its clients, {} of them are free, and \
                 this needs {}; ask for fewer --threads, or wait for the others",
                left.senders, need.senders
            )
        })?;
        *left = Cost { windows, senders };
        Ok(BudgetLease { budget: Arc::clone(self), need })
    }
}

impl Drop for BudgetLease {
    fn drop(&mut self) {
        let mut left = self.budget.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.windows += self.need.windows;
        left.senders += self.need.senders;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{EnginePair, WorkerLoad};
    use crate::remote::protocol::spec::Ways;
    use crate::unit::PayloadSize;

    fn spec(streams: u16, threads: u16, forward: bool) -> CellSpec {
        CellSpec {
            ways: Ways { forward, reverse: !forward },
            engine: EnginePair::PLAIN,
            size: PayloadSize::Fixed(64),
            load: WorkerLoad::FlatOut,
            streams,
            threads,
            neighbours: 2,
            time: None,
            batch: None,
            stamps: false,
            socket_buffer: 65_536,
            seed: 1,
            by_hash: false,
        }
    }

    #[test]
    fn all_together_have_no_more_than_there_is_and_give_it_back() {
        let budget = Arc::new(Budget::default());
        let whole = *budget.left.lock().unwrap();
        let large = spec(16_384, 256, true);
        let mut taken: Vec<_> = (0..4).map(|_| budget.take(&large, 2).unwrap()).collect();
        let why = budget.take(&spec(1, 1, true), 2).unwrap_err();
        assert!(why.contains("--streams") && why.contains("0 of them are free"), "{why}");
        let hashed = CellSpec { by_hash: true, ..spec(8_193, 1, true) };
        taken.pop();
        assert!(budget.take(&hashed, 2).is_err(), "each receiver may get all flows");
        let back = spec(16_384, 256, false);
        let senders: Vec<_> = (0..4).map(|_| budget.take(&back, 2).unwrap()).collect();
        let why = budget.take(&spec(1, 1, false), 2).unwrap_err();
        assert!(why.contains("--threads"), "{why}");
        drop((taken, senders));
        assert_eq!(*budget.left.lock().unwrap(), whole);
    }
}
