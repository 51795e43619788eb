//! Doubts that come from how flows, and those who received them, fared beside each other.

use super::CellContext;
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes;

/// Flows of which nothing arrived, although they sent.
pub(super) fn starved(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let flows = cell.flows.as_ref()?;
    // Nothing at all is another matter, and other warnings say why.
    (flows.starved > 0 && flows.received.max > 0).then(|| {
        let message = format!(
            "{} of {} flows got nothing through; see flows.worst, or use --port-range",
            flows.starved, flows.count
        );
        warning_codes::FLOW_STARVED.warning(message)
    })
}

/// How many times its share a receiver gets before that is said; arbitrary: then it is the limit
/// while others idle.
const SKEWED: u64 = 2;

/// One receiver that got far more than its share where a hash deals out flows.
pub(super) fn skew(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let by_hash = ctx.by_hash && cell.direction.as_deref() == Some("forward");
    let workers = cell.workers.as_ref().filter(|workers| by_hash && workers.len() > 1)?;
    let most = u128::from(*workers.iter().max()?);
    let all: u128 = workers.iter().copied().map(u128::from).sum();
    let share = u128::from(SKEWED) * all;
    (all > 0 && most * workers.len() as u128 >= share).then(|| {
        let message = format!(
            "one of {} receivers got {:.0} % of all datagrams; use more --streams",
            workers.len(),
            100.0 * most as f64 / all as f64
        );
        warning_codes::RECEIVER_SKEW.warning(message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{calm, clean_cell, codes};
    use super::*;
    use crate::document::{FlowSpread, Flows};

    #[test]
    fn a_flow_without_a_datagram_is_named_unless_all_are() {
        let flows = |starved, max| {
            move |cell: &mut Cell| {
                cell.flows = Some(Flows {
                    count: 8,
                    received: FlowSpread { min: 0, p50: 0, max },
                    loss_max: Some(1.0),
                    starved,
                    fairness: None,
                    worst: Vec::new(),
                });
            }
        };
        assert_eq!(codes(flows(0, 9)), [""; 0]);
        assert_eq!(codes(flows(8, 0)), [""; 0]);
        assert_eq!(codes(flows(1, 9)), ["flow_starved"]);
    }

    #[test]
    fn a_receiver_with_twice_its_share_is_skewed() {
        let by_hash = CellContext { by_hash: true, ..calm() };
        let mut cell = clean_cell();
        cell.direction = Some("forward".to_owned());
        let mut told = |workers: &[u64], ctx: &CellContext<'_>| {
            cell.workers = Some(workers.to_vec());
            skew(&cell, ctx).is_some()
        };
        assert!(!told(&[60, 40, 0], &by_hash));
        assert!(told(&[67, 33, 0], &by_hash));
        assert!(told(&[9, 0], &by_hash));
        assert!(!told(&[9], &by_hash) && !told(&[0, 0], &by_hash));
        assert!(!told(&[9, 0], &calm()));
    }
}
