//! Limits of all sessions of a sink together.

use std::sync::{Arc, Mutex, PoisonError};

use crate::remote::protocol::spec::CellSpec;

/// The most sequence windows of all receivers: 8 KiB each where datagrams arrive out of order.
/// Arbitrary: four times the most streams of one client, and 512 MiB.
const MAX_WINDOWS: usize = 65_536;

/// The most senders. Arbitrary: four times the most of one client, more than any host has cores.
const MAX_SENDERS: usize = 1_024;

/// The resources that are still free.
#[derive(Debug)]
pub(super) struct Budget {
    left: Mutex<Cost>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Mutex::new(Cost { windows: MAX_WINDOWS, senders: MAX_SENDERS }) }
    }
}

/// The resources that a cell needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    windows: usize,
    senders: usize,
}

impl Cost {
    /// In turn, each flow has one receiver; by a hash, each receiver may get any flow.
    fn of_cell(spec: &CellSpec, receivers: usize) -> Self {
        let streams = usize::from(spec.streams);
        let spread = if spec.by_hash { receivers } else { 1 };
        let (windows, senders) = (streams * spread, usize::from(spec.threads));
        Self {
            windows: if spec.directions.forward { windows } else { 0 },
            senders: if spec.directions.reverse { senders } else { 0 },
        }
    }
}

/// The resources of one cell; dropping it returns them.
#[derive(Debug)]
pub(super) struct BudgetLease {
    budget: Arc<Budget>,
    cost: Cost,
}

impl Budget {
    /// Reserves the resources of a cell, or returns the reason for refusing it.
    pub(super) fn reserve(
        self: &Arc<Self>,
        spec: &CellSpec,
        receivers: usize,
    ) -> Result<BudgetLease, String> {
        let cost = Cost::of_cell(spec, receivers);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let subtract = |free: usize, need: usize, most: &str, flag: &str| {
            free.checked_sub(need).ok_or_else(|| {
                format!(
                    "the limit for all clients of the sink is {most}, {free} are free, \
                     and this cell needs {need}; use fewer {flag}, or wait for the other clients"
                )
            })
        };
        let most = format!("{MAX_WINDOWS} sequence windows");
        let windows = subtract(left.windows, cost.windows, &most, "--streams")?;
        let most = format!("{MAX_SENDERS} senders");
        let senders = subtract(left.senders, cost.senders, &most, "--threads")?;
        *left = Cost { windows, senders };
        Ok(BudgetLease { budget: Arc::clone(self), cost })
    }
}

impl Drop for BudgetLease {
    fn drop(&mut self) {
        let mut left = self.budget.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.windows += self.cost.windows;
        left.senders += self.cost.senders;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::protocol::spec::Directions;

    fn spec(streams: u16, threads: u16, forward: bool) -> CellSpec {
        let directions = Directions { forward, reverse: !forward };
        CellSpec { directions, streams, threads, ..CellSpec::example() }
    }

    #[test]
    fn the_budget_is_a_limit_and_leases_return_to_it() {
        let budget = Arc::new(Budget::default());
        let whole = *budget.left.lock().unwrap();
        let large = spec(16_384, 256, true);
        let mut leases: Vec<_> = (0..4).map(|_| budget.reserve(&large, 2).unwrap()).collect();
        let why = budget.reserve(&spec(1, 1, true), 2).unwrap_err();
        assert!(why.contains("--streams") && why.contains("0 are free"), "{why}");
        let hashed = CellSpec { by_hash: true, ..spec(8_193, 1, true) };
        leases.pop();
        assert!(budget.reserve(&hashed, 2).is_err(), "each receiver may get all flows");
        let reverse = spec(16_384, 256, false);
        let senders: Vec<_> = (0..4).map(|_| budget.reserve(&reverse, 2).unwrap()).collect();
        let why = budget.reserve(&spec(1, 1, false), 2).unwrap_err();
        assert!(why.contains("--threads"), "{why}");
        drop((leases, senders));
        assert_eq!(*budget.left.lock().unwrap(), whole);
    }
}
