//! Warnings about flows and receivers.

use super::CellContext;
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes as codes;

pub(super) fn starved(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let flows = cell.flows.as_ref()?;
    // Nothing at all is another matter, and other warnings say why.
    (flows.starved > 0 && flows.received.max > 0).then(|| {
        let message = format!(
            "{} of {} flows received no datagrams; see flows.worst, or use --port-range",
            flows.starved, flows.count
        );
        codes::FLOW_STARVED.warning(message)
    })
}

/// A receiver with this many times its share is reported. Arbitrary: the others idle while it is
/// the limit.
const SKEWED: u64 = 2;

/// One receiver that got far more than its share if a hash assigns flows.
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
        codes::RECEIVER_SKEW.warning(message)
    })
}
