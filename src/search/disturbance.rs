//! Separates failures that disturbances explain from those of the target.

use crate::document::{Bounded, Cell, Latency, OutsideStalls, bounded};
use crate::report::Condition;
use crate::report::format::hdr;

/// The share of latency above which lag makes such a goal fail. Arbitrary: the larger part.
const LAG_SHARE: f64 = 0.5;
/// How many datagrams a stall may cost, as a multiple of those due while it lasts: those, and as
/// many in the burst after it. Arbitrary.
const COST_OF_STALLS: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoalKind {
    /// A latency with a counterpart from the send, or outside stalls.
    Latency,
    /// A latency from the schedule, which includes the generator's lag.
    FromSchedule,
    /// The generator's punctuality, which no target affects.
    Generator,
    /// Loss, which stalls may cause.
    Loss,
    Other,
}

impl GoalKind {
    fn of(goal: &Condition) -> Self {
        let text = goal.to_string();
        let name = text.split(['<', '>', '=', '!']).next().unwrap_or_default().trim();
        let within = |path: &str| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // Names of `report::metric`, then paths in a cell.
        match name {
            "min" | "mean" | "p50" | "p90" | "p99" | "p99.9" | "p99.99" | "max"
            | "p99_with_loss" => Self::Latency,
            "lag_p99" | "gap_p99" | "missed" => Self::Generator,
            "loss" | "lost" | "no_reply" | "timeouts" => Self::Loss,
            _ if within("latency") => Self::Latency,
            _ if within("to_socket") || within("legs.total") => Self::FromSchedule,
            _ if within("schedule") || within("legs.lag") => Self::Generator,
            _ => Self::Other,
        }
    }
}

/// Whether a goal fails by more than stalls, a late generator and its lost replies can explain.
pub(super) fn fails_undisturbed(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> bool {
    let undisturbed = undisturbed(cell, rate_pps);
    let result =
        |goal: &&Condition| matches!(GoalKind::of(goal), GoalKind::Latency | GoalKind::Loss);
    goals.iter().filter(result).any(|goal| goal.holds_in(&undisturbed) == Some(false))
}

/// Whether only latency fails because of lag or stalls, or only the generator's punctuality.
pub(super) fn fails_by_lag(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> bool {
    let undisturbed = undisturbed(cell, rate_pps);
    let mut failed = goals.iter().filter(|goal| goal.holds_in(cell) == Some(false)).peekable();
    let by_lag = |goal: &Condition| match GoalKind::of(goal) {
        GoalKind::Latency => goal.holds_in(&undisturbed) == Some(true),
        GoalKind::FromSchedule => is_mostly_lag(cell),
        GoalKind::Generator => true,
        GoalKind::Loss | GoalKind::Other => false,
    };
    failed.peek().is_some() && failed.all(by_lag)
}

/// Whether the 99th percentile of latency is mostly lag of the generator.
fn is_mostly_lag(cell: &Cell) -> bool {
    let lag = cell.schedule.as_ref().and_then(|schedule| schedule.lag.p99_ns);
    let latency = cell.latency.as_ref().and_then(|latency| latency.p99_ns);
    lag.zip(latency).is_some_and(|(lag, latency)| lag as f64 > latency as f64 * LAG_SHARE)
}

/// How many datagrams stalls may have cost at this rate.
pub(super) fn cost_of_stalls(cell: &Cell, rate_pps: f64) -> f64 {
    let stalls = &cell.stalls;
    let stalled_ns =
        stalls.tx.total_ns.saturating_add(stalls.rx.as_ref().map_or(0, |rx| rx.total_ns));
    // A stalled worker affects only its share of the rate.
    let stalled_ns = stalled_ns / cell.threads.max(1);
    stalled_ns as f64 / 1e9 * rate_pps * COST_OF_STALLS
}

/// The cell without what disturbances may have caused.
fn undisturbed(cell: &Cell, rate_pps: f64) -> Cell {
    let in_stalls = cost_of_stalls(cell, rate_pps) as u64;
    let dropped = cell.exchange.as_ref().and_then(|one| one.own_drops).unwrap_or(0);
    let disturbed = in_stalls.saturating_add(dropped);
    let mut undisturbed = cell.clone();
    undisturbed.ledger.lost = cell.ledger.lost.map(|lost| lost.saturating_sub(disturbed));
    if let Some(exchange) = &mut undisturbed.exchange {
        exchange.timeouts = exchange.timeouts.saturating_sub(disturbed);
    }
    // Latency from the send excludes the generator's lag and missed slots.
    if let Some(from_send) = &cell.from_send {
        undisturbed.latency = Some(from_send.clone());
        if let Some(schedule) = &mut undisturbed.schedule {
            schedule.missed = 0;
        }
    }
    let lost = undisturbed.ledger.lost.unwrap_or(0);
    let outside = cell.latency.as_ref().and_then(|latency| latency.outside_stalls.as_ref());
    if let (Some(outside), Some(latency)) = (outside, &mut undisturbed.latency) {
        without_stalls(latency, outside, lost);
    }
    undisturbed
}

/// Lowers each figure to its value outside stalls, or to its lower bound if that is unknown.
fn without_stalls(latency: &mut Latency, outside: &OutsideStalls, lost: u64) {
    let OutsideStalls { count, overlapped, p50_ns, p99_ns, p99_9_ns, .. } = *outside;
    // The samples in stalls are unknown; the bound takes them as the slowest of all.
    let all = count.saturating_add(overlapped).max(1) as f64;
    let histogram = hdr::read(latency).ok();
    let bound_ns = latency.bound_ns;
    let at_least = |share: f64, of: u64| -> Bounded {
        let quantile = (share * of as f64).ceil() / all;
        let within = histogram.as_ref().filter(|_| quantile <= 1.0);
        bounded(within.map(|within| within.value_at_quantile(quantile)), bound_ns)
    };
    let least = |figure: &mut Option<u64>, limit: &mut Option<u64>, other: Bounded| {
        (*figure, *limit) = match (*figure, other.0) {
            (Some(ns), Some(other)) => (Some(ns.min(other)), None),
            _ => (None, [*limit, other.1].into_iter().flatten().min()),
        };
    };
    let (mut limits, others) = (latency.limits(), outside.limits(bound_ns));
    least(&mut latency.p50_ns, &mut limits.p50_ns, (p50_ns, others.p50_ns));
    least(&mut latency.p99_ns, &mut limits.p99_ns, (p99_ns, others.p99_ns));
    least(&mut latency.p99_9_ns, &mut limits.p99_9_ns, (p99_9_ns, others.p99_9_ns));
    if histogram.is_some() {
        least(&mut latency.p90_ns, &mut limits.p90_ns, at_least(0.9, count));
        least(&mut latency.p99_99_ns, &mut limits.p99_99_ns, at_least(0.9999, count));
        (latency.p99_with_loss_ns, limits.p99_with_loss_ns) =
            at_least(0.99, count.saturating_add(lost));
    }
    // Each sample in a stall took the maximum at most.
    if let (Some(mean_ns), Some(max_ns)) = (latency.mean_ns, latency.max_ns) {
        let sum = u128::from(mean_ns) * u128::from(count.saturating_add(overlapped));
        let rest = sum.saturating_sub(u128::from(overlapped) * u128::from(max_ns));
        let rest_ns = u64::try_from(rest / u128::from(count.max(1))).unwrap_or(u64::MAX);
        let of_rest = bounded(Some(rest_ns), bound_ns);
        least(&mut latency.mean_ns, &mut limits.mean_ns, of_rest);
    }
    let max = outside.max(bound_ns);
    if max != (None, None) {
        least(&mut latency.max_ns, &mut limits.max_ns, max);
    }
    latency.upper_limits = (bound_ns > 0).then_some(limits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::StallSum;
    use crate::report::fixture;

    fn goals(text: &str) -> Vec<Condition> {
        text.split(' ').map(|goal| goal.parse().unwrap()).collect()
    }

    fn fails(cell: &Cell, text: &str) -> bool {
        fails_undisturbed(cell, 100e3, &goals(text))
    }

    fn by_lag(cell: &Cell, text: &str) -> bool {
        fails_by_lag(cell, 100e3, &goals(text))
    }

    fn cell() -> Cell {
        fixture::cell("plain", 64, "100k", 100e3)
    }

    #[test]
    fn lag_explains_latency_but_no_loss() {
        let mut cell = cell();
        cell.from_send = cell.latency.clone();
        cell.latency.as_mut().unwrap().p99_ns = Some(900_000);
        assert!(by_lag(&cell, "p99<=200us loss<=0"));
        assert!(!by_lag(&cell, "p99<=1ms"), "it holds");
        assert!(!by_lag(&cell, "p99<=1us"), "it fails from the send as well");
        fixture::lose(&mut cell, 5_000);
        assert!(!by_lag(&cell, "p99<=200us loss<=0"));
    }

    #[test]
    fn lag_explains_every_latency_goal() {
        // Only the generator was late.
        let mut late = cell();
        let latency = late.latency.as_mut().unwrap();
        let Latency { min_ns, mean_ns, max_ns, p50_ns, p90_ns, .. } = latency;
        for figure in [min_ns, mean_ns, max_ns, p50_ns, p90_ns] {
            *figure = Some(9_000_000);
        }
        (latency.p99_ns, latency.p99_9_ns) = (Some(9_000_000), Some(9_000_000));
        (latency.p99_99_ns, latency.p99_with_loss_ns) = (Some(9_000_000), None);
        late.to_socket = late.latency.clone();
        let schedule = late.schedule.as_mut().unwrap();
        (schedule.missed, schedule.lag.p99_ns) = (600, Some(8_900_000));
        let figures = "min mean p50 p90 p99 p99.9 p99.99 max p99_with_loss latency.p99_ns \
                       latency.mean_ns to_socket.p99_ns lag_p99 schedule.missed";
        for figure in figures.split(' ') {
            let limit = if figure == "schedule.missed" { "0" } else { "1ms" };
            let goal = format!("{figure}<={limit}");
            assert_eq!(goals(&goal)[0].holds_in(&late), Some(false), "{figure}");
            assert_eq!((by_lag(&late, &goal), fails(&late, &goal)), (true, false), "{figure}");
        }
        // Latency from the send exceeds this limit as well.
        for figure in ["mean", "p90", "p99.99", "max", "p99_with_loss", "latency.p99_ns"] {
            let goal = format!("{figure}<=2us");
            assert_eq!((by_lag(&late, &goal), fails(&late, &goal)), (false, true), "{figure}");
        }
        late.schedule.as_mut().unwrap().lag.p99_ns = Some(1_000);
        assert!(!by_lag(&late, "to_socket.p99_ns<=1ms"));
    }

    #[test]
    fn stalls_explain_loss_of_their_duration() {
        let mut cell = cell();
        cell.stalls.tx = StallSum { count: 1, total_ns: 2_000_000, max_ns: 2_000_000 };
        for (lost, threads, goal, expected) in [
            (400, 1, "loss<=0", false),
            (1_000, 1, "loss<=0.1%", true),
            (1_000, 1, "duplicate>0", false),
            (300, 1, "loss<=0", false),
            // A stall of one thread of four explains a quarter.
            (300, 4, "loss<=0", true),
        ] {
            fixture::lose(&mut cell, lost);
            cell.threads = threads;
            assert_eq!(fails(&cell, goal), expected, "{lost} {threads} {goal}");
        }
    }

    #[test]
    fn stalls_explain_latency_of_overlapped_datagrams() {
        let stalled = |overlapped: u64| {
            let mut cell = cell();
            fixture::stall(&mut cell, 2_000_000);
            for latency in [&mut cell.latency, &mut cell.from_send].into_iter().flatten() {
                (latency.max_ns, latency.p99_99_ns) = (Some(2_000_000), Some(2_000_000));
            }
            let outside = cell.latency.as_mut().unwrap().outside_stalls.as_mut().unwrap();
            (outside.count, outside.overlapped) = (50_000 - overlapped, overlapped);
            cell
        };
        for (overlapped, goal, expected) in [
            (1_000, "p99.99<=1ms", false),
            (1_000, "max<=1ms", false),
            (1_000, "p99_with_loss<=50us", false),
            (1_000, "p99_with_loss<=10us", true),
            // Nine tenths were slower than a few stalled ones explain.
            (1_000, "p90<=10us", true),
            (10, "mean<=1us", true),
            (30_000, "p90<=10us", false),
        ] {
            assert_eq!(fails(&stalled(overlapped), goal), expected, "{overlapped} {goal}");
        }
        let mut slow = stalled(1_000);
        slow.from_send = None;
        let latency = slow.latency.as_mut().unwrap();
        latency.p99_ns = Some(9_000_000);
        latency.outside_stalls.as_mut().unwrap().p99_ns = Some(1_000_000);
        assert!(!fails(&slow, "p99<=2ms") && fails(&slow, "p99<=900us"));
    }
}
