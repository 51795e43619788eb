//! What of a failure a disturbance explains: the rest is the target's, however disturbed the trial
//! was.

use crate::report::Condition;
use crate::report::document::{Cell, Latency, OutsideStalls};

/// Figures that can be told from what a disturbance made of them: names of `report::metric`.
const EXCUSABLE: [&str; 7] = ["p50", "p99", "p99.9", "loss", "lost", "no_reply", "timeouts"];

/// Those of them that are latency; as above.
const LATENCIES: [&str; 3] = ["p50", "p99", "p99.9"];

/// How many datagrams a stall may cost, in what comes due while it lasts: those, and as many that
/// come in a burst after it. Arbitrary.
const COST_OF_STALLS: f64 = 2.0;

/// Whether one of these goals fails in the cell by more than stalls, a late generator and replies
/// that it lost can explain.
pub(super) fn fails_by_itself(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> bool {
    let excused = excused(cell, rate_pps);
    let mut named = goals.iter().filter(|goal| EXCUSABLE.contains(&name(goal).as_str()));
    named.any(|goal| goal.holds_in(&excused) == Some(false))
}

/// Whether nothing fails but latency, and that only because datagrams left late, or workers stood
/// still.
pub(super) fn fails_by_lag(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> bool {
    let excused = excused(cell, rate_pps);
    let mut failed = goals.iter().filter(|goal| goal.holds_in(cell) == Some(false)).peekable();
    let by_lag = |goal: &Condition| {
        LATENCIES.contains(&name(goal).as_str()) && goal.holds_in(&excused) == Some(true)
    };
    failed.peek().is_some() && failed.all(by_lag)
}

/// The figure that a goal is about.
fn name(goal: &Condition) -> String {
    let text = goal.to_string();
    text.split(['<', '>', '=', '!']).next().unwrap_or_default().trim().to_owned()
}

/// The cell without what may be the fault of a disturbance.
fn excused(cell: &Cell, rate_pps: f64) -> Cell {
    let stalls = &cell.stalls;
    let stalled_ns = stalls.tx.total_ns + stalls.rx.as_ref().map_or(0, |rx| rx.total_ns);
    let in_stalls = (stalled_ns as f64 / 1e9 * rate_pps * COST_OF_STALLS) as u64;
    let dropped = cell.exchange.as_ref().and_then(|one| one.own_drops).unwrap_or(0);
    let mut excused = cell.clone();
    excused.ledger.lost = cell.ledger.lost.map(|lost| lost.saturating_sub(in_stalls + dropped));
    if let Some(exchange) = &mut excused.exchange {
        exchange.timeouts = exchange.timeouts.saturating_sub(in_stalls + dropped);
    }
    // From the departure on, no lag of the generator is in it.
    let latency = cell.from_send.as_ref().or(cell.latency.as_ref());
    excused.latency = latency.cloned().map(|latency| match latency.outside_stalls.clone() {
        Some(OutsideStalls { p50_ns, p99_ns, p99_9_ns, .. }) => {
            Latency { p50_ns, p99_ns, p99_9_ns, ..latency }
        }
        None => latency,
    });
    excused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::StallSum;
    use crate::report::fixture;

    fn fails(cell: &Cell, goal: &str) -> bool {
        fails_by_itself(cell, 100e3, &[goal.parse().unwrap()])
    }

    #[test]
    fn what_left_late_is_not_the_targets_latency() {
        let mut cell = fixture::cell("plain", 64, "100k", 100e3);
        let by_lag = |cell: &Cell, goals: &[&str]| {
            let goals: Vec<Condition> = goals.iter().map(|goal| goal.parse().unwrap()).collect();
            fails_by_lag(cell, 100e3, &goals)
        };
        cell.from_send = cell.latency.clone();
        cell.latency.as_mut().unwrap().p99_ns = Some(900_000);
        assert!(by_lag(&cell, &["p99<=200us", "loss<=0"]));
        assert!(!by_lag(&cell, &["p99<=1ms"]));
        assert!(!by_lag(&cell, &["p99<=1us"]));
        fixture::lose(&mut cell, 5_000);
        assert!(!by_lag(&cell, &["p99<=200us", "loss<=0"]));
    }

    #[test]
    fn what_a_stall_explains_is_excused_and_no_more() {
        let mut cell = fixture::cell("plain", 64, "100k", 100e3);
        cell.stalls.tx = StallSum { count: 1, total_ns: 2_000_000, max_ns: 2_000_000 };
        fixture::lose(&mut cell, 400);
        assert!(!fails(&cell, "loss<=0"));
        fixture::lose(&mut cell, 1_000);
        assert!(fails(&cell, "loss<=0.1%"));
        assert!(!fails(&cell, "duplicate>0"));
        let latency = cell.latency.as_mut().unwrap();
        let (p50_ns, p99_ns) = (latency.p50_ns, Some(1_000_000));
        latency.outside_stalls = Some(OutsideStalls {
            count: 49_000,
            overlapped: 1_000,
            p50_ns,
            p99_ns,
            p99_9_ns: p99_ns,
            max_ns: p99_ns,
        });
        latency.p99_ns = Some(9_000_000);
        cell.from_send = None;
        assert!(!fails(&cell, "p99<=2ms") && fails(&cell, "p99<=900us"));
    }
}
