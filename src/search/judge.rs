//! What a cell says of its goals, and whether it may say so.

use super::excuse::{fails_by_itself, fails_by_lag};
use super::{Counts, Outcome};
use crate::report::Condition;
use crate::report::document::{Cell, TrialFigures, Verdict};

/// A generator that sent less than this share of what it was asked for, has sent something else.
/// Arbitrary: well below it, no rate of an even schedule is held.
const LEAST_SENT: f64 = 0.98;

/// Slots that may be missed, as a share. Arbitrary: what one stall of a virtual machine costs.
const MOST_MISSED: f64 = 0.01;

/// The part of a trial in which workers may stand still, and of its datagrams that may have been
/// under way meanwhile. Arbitrary; as that of missed slots, and what makes a 99th percentile.
const MOST_STALLED: f64 = 0.01;

/// The share of a trial's time that stalls may take of what was to be sent, before nothing can be
/// said of that rate. Arbitrary: as little as that changes nothing of what the target had to bear
/// in the rest.
const MOST_EXCUSED: f64 = 0.1;

/// Replies that our own sockets may have dropped, and sends that the path may have refused before
/// the path is what holds the generator back, as shares. Arbitrary: the contract's example of a
/// loss that is too much.
const BAD_SHARE: f64 = 0.001;

/// What this cell, asked for at such a rate, says.
#[must_use]
pub fn outcome(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> Outcome {
    let seconds = cell.elapsed_ns as f64 / 1e9;
    let nothing_came = cell.ledger.received == Some(0) && cell.ledger.sent > 0;
    // Of datagrams that did not come, there is no latency: whatever it was to be, it is not.
    let otherwise = nothing_came.then_some(false);
    let holds = |goal: &Condition| goal.holds_in(cell).or(otherwise);
    let all: Vec<_> = goals.iter().map(holds).collect();
    let unknown = all.iter().position(Option::is_none);
    let held =
        if all.contains(&Some(false)) { Some(false) } else { unknown.is_none().then_some(true) };
    let unknown = unknown.filter(|_| held.is_none()).and_then(|at| goals.get(at));
    let latency = cell.latency.as_ref();
    Outcome {
        held,
        unknown: unknown.map(ToString::to_string),
        by_itself: held == Some(false) && (nothing_came || fails_by_itself(cell, rate_pps, goals)),
        short_of: short_of(cell, rate_pps) || fails_by_lag(cell, rate_pps, goals),
        stalled: stalled(cell),
        sent_pps: if seconds > 0.0 { cell.ledger.attempted as f64 / seconds } else { 0.0 },
        figures: TrialFigures {
            delivered_pps: cell.rx.as_ref().and_then(|rx| rx.pps),
            loss: share(cell.ledger.lost, cell.ledger.sent),
            p50_ns: latency.and_then(|latency| latency.p50_ns),
            p99_ns: latency.and_then(|latency| latency.p99_ns),
            goals: goals.iter().map(|goal| goal.shown_in(cell)).collect(),
        },
    }
}

fn share(part: Option<u64>, of: u64) -> Option<f64> {
    part.filter(|_| of > 0).map(|part| part as f64 / of as f64)
}

/// Whether the generator did less than it was asked for, and neither what is below it nor a stall
/// kept it from that.
fn short_of(cell: &Cell, rate_pps: f64) -> bool {
    let attempted = cell.ledger.attempted;
    let refused = &cell.ledger.refused;
    let held_back = share(Some(refused.would_block + refused.no_buffers), attempted);
    if held_back.is_some_and(|share| share > BAD_SHARE) {
        return false;
    }
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1));
    let stood_still = share(Some(cell.stalls.tx.total_ns), time).unwrap_or(0.0).min(MOST_EXCUSED);
    let schedule = cell.schedule.as_ref();
    let missed = schedule.and_then(|one| share(Some(one.missed), one.scheduled));
    let due = rate_pps * cell.elapsed_ns as f64 / 1e9;
    // Other paces do not send the same number each time. Of few, one more or less is none.
    let even = cell.pace.as_deref() == Some("even");
    let fewer = even
        && (attempted as f64) < due * (LEAST_SENT - stood_still)
        && due - attempted as f64 > 2.0;
    let exchange = cell.exchange.as_ref();
    let dropped = exchange.and_then(|one| share(one.own_drops, one.requests));
    fewer
        || missed.is_some_and(|share| share > MOST_MISSED + stood_still)
        || dropped.is_some_and(|share| share > BAD_SHARE)
}

/// Whether workers stood still for long enough to matter.
fn stalled(cell: &Cell) -> bool {
    let total = |sum: &crate::report::document::StallSum| sum.total_ns;
    let stalled = total(&cell.stalls.tx).max(cell.stalls.rx.as_ref().map_or(0, total));
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1));
    let outside = cell.latency.as_ref().and_then(|latency| latency.outside_stalls.as_ref());
    let under_way = outside.and_then(|one| share(Some(one.overlapped), one.overlapped + one.count));
    stalled as f64 > time as f64 * MOST_STALLED
        || under_way.is_some_and(|share| share > MOST_STALLED)
}

/// What a trial is, of which so many alike were disturbed before; and what it counts as.
pub(super) fn judge(outcome: &Outcome, disturbed: usize) -> (Verdict, Option<Counts>) {
    let held = outcome.held == Some(true);
    match (held, outcome.short_of, outcome.stalled) {
        (false, ..) if outcome.by_itself => (Verdict::Fail, Some(Counts::Failed)),
        (true, false, _) => (Verdict::Pass, Some(Counts::Held)),
        (false, false, false) => (Verdict::Fail, Some(Counts::Failed)),
        (true, true, false) => (Verdict::GeneratorLimited, Some(Counts::Limited)),
        // Where it always is like that, it has to count.
        (_, short_of, _) => {
            let counts = if short_of { Counts::Limited } else { Counts::Failed };
            (Verdict::Disturbed, (disturbed >= MOST_DISTURBED).then_some(counts))
        }
    }
}

/// How often a disturbed trial is repeated before it counts. Arbitrary: more than a bad moment
/// takes.
const MOST_DISTURBED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{Schedule, Spread, StallSum};
    use crate::report::fixture;

    fn goals(words: &[&str]) -> Vec<Condition> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    /// A cell that held 100 kpps for half a second.
    fn cell() -> Cell {
        fixture::cell("plain", 64, "100k", 100e3)
    }

    #[test]
    fn all_goals_have_to_hold() {
        let held = |words: &[&str]| outcome(&cell(), 100e3, &goals(words)).held;
        assert_eq!(held(&["loss<=0.1%", "p99<=1ms"]), Some(true));
        assert_eq!(held(&["loss<=0.1%", "p99<=1us"]), Some(false));
        let mut unknown = cell();
        unknown.ledger.lost = None;
        let told = outcome(&unknown, 100e3, &goals(&["p99<=1ms", "loss<=0.1%"]));
        assert_eq!((told.held, told.unknown.as_deref()), (None, Some("loss<=0.1%")));
        // What does not hold, decides whatever else is unknown.
        let told = outcome(&unknown, 100e3, &goals(&["p99<=1us", "loss<=0.1%"]));
        assert_eq!((told.held, told.unknown), (Some(false), None));
    }

    #[test]
    fn where_nothing_came_no_latency_is_good_enough() {
        let mut silent = cell();
        silent.latency = None;
        assert_eq!(outcome(&silent, 100e3, &goals(&["p99<=1s"])).held, None);
        silent.ledger.received = Some(0);
        assert_eq!(outcome(&silent, 100e3, &goals(&["p99<=1s"])).held, Some(false));
    }

    #[test]
    fn a_generator_that_sends_less_is_told_from_a_path_that_takes_less() {
        let short_of = |change: fn(&mut Cell)| {
            let mut cell = cell();
            change(&mut cell);
            outcome(&cell, 100e3, &[]).short_of
        };
        assert!(!short_of(|_| {}));
        assert!(short_of(|cell| cell.ledger.attempted = 48_000));
        assert!(!short_of(|cell| cell.ledger.attempted = 49_500));
        // 10 ms of half a second are 2 %, and explain no more than that.
        let stall = StallSum { count: 1, total_ns: 10_000_000, max_ns: 10_000_000 };
        let stalled = |attempted| {
            let mut cell = cell();
            (cell.ledger.attempted, cell.stalls.tx) = (attempted, stall.clone());
            outcome(&cell, 100e3, &[]).short_of
        };
        assert!(!stalled(48_100) && stalled(47_900));
        assert!(!short_of(|cell| {
            (cell.ledger.attempted, cell.pace) = (48_000, Some("poisson".to_owned()));
        }));
        assert!(short_of(|cell| {
            let (lag, gap) = (Spread::default(), Spread::default());
            let gap_outside_stalls = Spread::default();
            let schedule =
                Schedule { scheduled: 50_000, missed: 600, lag, gap, gap_outside_stalls };
            cell.schedule = Some(schedule);
        }));
        assert!(!short_of(|cell| {
            cell.ledger.attempted = 48_000;
            cell.ledger.refused.would_block = 100;
        }));
    }

    #[test]
    fn what_was_disturbed_is_repeated_and_then_counts() {
        let mut stalled = cell();
        stalled.stalls.tx = StallSum { count: 1, total_ns: 6_000_000, max_ns: 6_000_000 };
        let goals = goals(&["p99<=1us"]);
        let told = outcome(&stalled, 100e3, &goals);
        assert!(told.stalled && told.by_itself);
        assert_eq!(judge(&told, 0), (Verdict::Fail, Some(Counts::Failed)));
        let told = Outcome { by_itself: false, ..told };
        assert_eq!(judge(&told, 0), (Verdict::Disturbed, None));
        assert_eq!(judge(&told, 4), (Verdict::Disturbed, Some(Counts::Failed)));
        let limited = Outcome { short_of: true, ..told.clone() };
        assert_eq!(judge(&limited, 4).1, Some(Counts::Limited));
        let held = Outcome { held: Some(true), ..told };
        assert_eq!(judge(&held, 0), (Verdict::Pass, Some(Counts::Held)));
        let limited = Outcome { short_of: true, stalled: false, ..held };
        assert_eq!(judge(&limited, 0), (Verdict::GeneratorLimited, Some(Counts::Limited)));
    }
}
