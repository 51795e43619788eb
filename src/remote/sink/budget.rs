//! Limits of all sessions of a sink together.

use std::sync::{Arc, Mutex};

use crate::remote::lock;
use crate::remote::protocol::spec::CellSpec;

/// The most sequence windows of all receivers, 8 KiB each where datagrams arrive out of order, and
/// the most senders. Arbitrary: four times the most of one client, so 512 MiB, and more than any
/// host has cores.
const LIMITS: Cost = [65_536, 1_024];
/// What the limits count, and the option that lowers a cell's cost.
const NAMES: [(&str, &str); 2] = [("sequence windows", "--streams"), ("senders", "--threads")];

type Cost = [usize; 2];

#[derive(Debug)]
pub(super) struct Budget(Mutex<Cost>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(LIMITS))
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
        // In turn, each flow has one receiver; by a hash, each receiver may get any flow.
        let windows = usize::from(spec.streams) * if spec.by_hash { receivers } else { 1 };
        let cost = [
            if spec.forward { windows } else { 0 },
            if spec.reverse { spec.threads.into() } else { 0 },
        ];
        let mut left = lock(&self.0);
        for (at, (resource, flag)) in NAMES.into_iter().enumerate() {
            if cost[at] > left[at] {
                return Err(format!(
                    "the limit for all clients of the sink is {} {resource}, {} are free, and \
                     this cell needs {}; use fewer {flag}, or wait for the other clients",
                    LIMITS[at], left[at], cost[at]
                ));
            }
        }
        *left = std::array::from_fn(|at| left[at] - cost[at]);
        Ok(BudgetLease { budget: Arc::clone(self), cost })
    }
}

impl Drop for BudgetLease {
    fn drop(&mut self) {
        let mut left = lock(&self.budget.0);
        *left = std::array::from_fn(|at| left[at] + self.cost[at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(streams: u16, threads: u16, forward: bool) -> CellSpec {
        CellSpec { forward, reverse: !forward, streams, threads, ..CellSpec::example() }
    }

    #[test]
    fn the_budget_is_a_limit_and_leases_return_to_it() {
        let budget = Arc::new(Budget::default());
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
        assert_eq!(*lock(&budget.0), LIMITS);
    }
}
