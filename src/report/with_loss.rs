//! What 99 of a hundred datagrams took at most, with the lost ones as infinitely slow.

use super::document::Cell;

/// That figure of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithLoss {
    /// In ns.
    Known(u64),
    /// It falls among the lost.
    Infinite,
    /// It is below the bound that latency is known within, in ns.
    Below(u64),
}

/// It, from the schedule; `None` where there is no latency. The document has `null` for two
/// reasons, and they must not be taken for each other: one is the worst, the other the best.
pub(super) fn p99_with_loss(cell: &Cell) -> Option<WithLoss> {
    let latency = cell.latency.as_ref()?;
    if let Some(ns) = latency.p99_with_loss_ns {
        return Some(WithLoss::Known(ns));
    }
    // With loss it is no smaller than without: what is shown without is not withheld with it.
    if latency.p99_ns.is_some() {
        return Some(WithLoss::Infinite);
    }
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let all = latency.count + cell.ledger.lost.unwrap_or(0) + missed;
    let among_lost = (all as f64 * 0.99).ceil() > latency.count as f64;
    Some(if among_lost { WithLoss::Infinite } else { WithLoss::Below(latency.bound_ns) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_two_reasons_for_nothing_are_told_apart() {
        let mut cell = fixture::cell("plain", 64, "50%", 135e3);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Known(74_943)));
        fixture::two_clocks(&mut cell, 80_000);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Below(80_000)));
        cell.ledger.lost = Some(600);
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Below(80_000)));
        cell.schedule.as_mut().unwrap().missed = 200;
        assert_eq!(p99_with_loss(&cell), Some(WithLoss::Infinite));
        cell.latency = None;
        assert_eq!(p99_with_loss(&cell), None);
    }
}
