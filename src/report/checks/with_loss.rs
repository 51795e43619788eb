//! The 99th percentile of latency that counts lost datagrams as infinitely slow.

use crate::document::{Cell, Latency};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithLoss {
    Known(u64),
    /// It falls among lost datagrams.
    Infinite,
    /// It is below the bound; its upper limit in ns.
    Below(u64),
}

/// From the schedule; distinguishes the two reasons of `null` in the document.
pub(crate) fn p99_with_loss(cell: &Cell) -> Option<WithLoss> {
    let latency = cell.latency.as_ref()?;
    if let Some(ns) = latency.p99_with_loss_ns {
        return Some(WithLoss::Known(ns));
    }
    // With loss it is no smaller than without: what is shown without is not withheld with it.
    if latency.p99_ns.is_some() || exceeds(cell, latency, 0.99) {
        return Some(WithLoss::Infinite);
    }
    Some(WithLoss::Below(latency.limits().p99_with_loss_ns?))
}

/// Whether the percentile falls among lost or missed datagrams; `None` without latency.
pub(crate) fn is_infinite(cell: &Cell, quantile: f64) -> Option<bool> {
    cell.latency.as_ref().map(|latency| exceeds(cell, latency, quantile))
}

fn exceeds(cell: &Cell, latency: &Latency, quantile: f64) -> bool {
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let never = cell.ledger.lost.unwrap_or(0).saturating_add(missed);
    let all = latency.count.saturating_add(never);
    (all as f64 * quantile).ceil() > latency.count as f64
}

/// Marks a percentile of received datagrams that is infinite with loss; empty if it is not.
pub(crate) fn of_received(cell: &Cell, quantile: f64) -> &'static str {
    match is_infinite(cell, quantile) {
        Some(true) => " (of received; infinite with loss)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_two_reasons_of_null_are_distinguished() {
        let mut cell = fixture::cell("plain", 64, "50%", 135e3);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Known(74_943)));
        fixture::two_clocks(&mut cell, 80_000);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Below(154_943)));
        cell.ledger.lost = Some(600);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Below(154_943)));
        // A document without limits: it is less than twice the bound.
        let limits = cell.latency.as_mut().unwrap().upper_limits.take();
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Below(160_000)));
        cell.latency.as_mut().unwrap().upper_limits = limits;
        cell.schedule.as_mut().unwrap().missed = 200;
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Infinite));
        cell.latency = None;
        assert_eq!(p99_with_loss(&cell), None);
    }
}
