//! Evaluates the goals of a cell, and whether the cell tested them.

use super::{TrialCounts, TrialOutcome};
use crate::document::{Cell, TrialFigures, TrialVerdict};
use crate::report::Condition;
use crate::report::checks::validity::{invalid_cell, missed_share, tested_nothing};
use crate::search::disturbance::{cost_of_stalls, fails_by_lag, fails_undisturbed};

/// Minimum share of the requested rate that a generator must send. Arbitrary: far below it, no even
/// schedule keeps its rate.
const MIN_SENT: f64 = 0.98;

/// Maximum share of a trial that workers may stall, and of its datagrams in flight during stalls.
/// Arbitrary: as that of missed slots; it moves a 99th percentile.
const MAX_STALLED: f64 = 0.01;

/// Maximum share of the schedule that stalls may explain. Arbitrary: as much as [`MIN_SENT`] allows
/// without stalls.
const MAX_STALL_ALLOWANCE: f64 = 0.02;

/// Maximum share of replies dropped by our own sockets, and of sends refused by the path, before
/// they limit the rate. Arbitrary: the loss of the default goal.
const BAD_SHARE: f64 = 0.001;

/// Evaluates a cell that ran at this rate. An invalid cell never passes; `max_missed` is the share
/// of its schedule that may be missed, 0 to 1.
pub(crate) fn outcome(
    cell: &Cell,
    rate_pps: f64,
    goals: &[Condition],
    max_missed: f64,
) -> TrialOutcome {
    let invalid = invalid_cell(cell, max_missed);
    let untested = invalid.iter().any(tested_nothing);
    let seconds = cell.elapsed_ns as f64 / 1e9;
    let nothing_came = cell.ledger.received == Some(0) && cell.ledger.sent > 0;
    // Without arrivals there is no latency, so its goals fail.
    let without_arrivals = nothing_came.then_some(false);
    let holds = |goal: &Condition| goal.holds_in(cell).or(without_arrivals);
    let all: Vec<_> = goals.iter().map(holds).collect();
    let unknown = all.iter().position(Option::is_none);
    let held =
        if all.contains(&Some(false)) { Some(false) } else { unknown.is_none().then_some(true) };
    let unknown = unknown.filter(|_| held.is_none()).and_then(|at| goals.get(at));
    let latency = cell.latency.as_ref();
    // The path refused the rate, whatever the goals say.
    let not_taken = not_taken(cell, rate_pps, max_missed);
    let held = if not_taken.is_some() || untested { Some(false) } else { held };
    let unknown = unknown.filter(|_| held.is_none());
    // A stalled receiver pushes back as well.
    let by_path = not_taken.is_some_and(|missing| missing > cost_of_stalls(cell, rate_pps));
    let fails_undisturbed =
        || nothing_came || untested || by_path || fails_undisturbed(cell, rate_pps, goals);
    TrialOutcome {
        held,
        unknown: unknown.map(ToString::to_string),
        fails_undisturbed: held == Some(false) && fails_undisturbed(),
        generator_limited: generator_limited(cell, rate_pps, max_missed)
            || fails_by_lag(cell, rate_pps, goals),
        stalled: stalled(cell),
        invalid_because: invalid.into_iter().map(|reason| reason.code).collect(),
        sent_pps: if seconds > 0.0 { cell.ledger.sent as f64 / seconds } else { 0.0 },
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

/// Whether the system refused datagrams, so that the generator is not to blame.
fn is_pushed_back(cell: &Cell) -> bool {
    let refused = &cell.ledger.refused;
    let pushed_back =
        share(Some(refused.would_block.saturating_add(refused.no_buffers)), cell.ledger.attempted);
    pushed_back.is_some_and(|share| share > BAD_SHARE)
}

/// How many due datagrams the path refused; `None` if enough were sent.
fn not_taken(cell: &Cell, rate_pps: f64, max_missed: f64) -> Option<f64> {
    // Other paces vary in number: the slots that came up were due.
    let came_up = cell.schedule.as_ref().map(|schedule| schedule.scheduled as f64);
    let due = due_evenly(cell, rate_pps).or(came_up);
    let sent = cell.ledger.sent;
    let is_fewer = is_pushed_back(cell) && (is_short(cell, sent, due) || missed(cell, max_missed));
    due.filter(|_| is_fewer).map(|due| (due - sent as f64).max(0.0))
}

/// Whether the generator sent less than requested, and neither the system nor a stall explains it.
fn generator_limited(cell: &Cell, rate_pps: f64, max_missed: f64) -> bool {
    let exchange = cell.exchange.as_ref();
    let dropped = exchange.and_then(|one| share(one.own_drops, one.requests));
    let due = due_evenly(cell, rate_pps);
    let less = || is_short(cell, cell.ledger.attempted, due) || missed(cell, max_missed);
    (!is_pushed_back(cell) && less()) || dropped.is_some_and(|share| share > BAD_SHARE)
}

/// The share of time in which senders stalled, up to [`MAX_STALL_ALLOWANCE`].
fn stall_share(cell: &Cell) -> f64 {
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1));
    share(Some(cell.stalls.tx.total_ns), time).unwrap_or(0.0).min(MAX_STALL_ALLOWANCE)
}

/// Datagrams due at an even pace; `None` for other paces.
fn due_evenly(cell: &Cell, rate_pps: f64) -> Option<f64> {
    let even = cell.pace.as_deref() == Some("even");
    even.then(|| rate_pps * cell.elapsed_ns as f64 / 1e9)
}

/// Whether fewer datagrams than due were sent, by more than stalls explain.
fn is_short(cell: &Cell, datagrams: u64, due: Option<f64>) -> bool {
    let sent = datagrams as f64;
    // A difference of two may be rounding.
    due.is_some_and(|due| sent < due * (MIN_SENT - stall_share(cell)) && due - sent > 2.0)
}

fn missed(cell: &Cell, max_missed: f64) -> bool {
    missed_share(cell).is_some_and(|share| share > max_missed)
}

fn stalled(cell: &Cell) -> bool {
    let total = |sum: &crate::document::StallSum| sum.total_ns;
    let stalled = total(&cell.stalls.tx).max(cell.stalls.rx.as_ref().map_or(0, total));
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1));
    let outside = cell.latency.as_ref().and_then(|latency| latency.outside_stalls.as_ref());
    let under_way = outside
        .and_then(|one| share(Some(one.overlapped), one.overlapped.saturating_add(one.count)));
    stalled as f64 > time as f64 * MAX_STALLED || under_way.is_some_and(|share| share > MAX_STALLED)
}

/// The verdict of a trial and what it counts as; `disturbed` equal trials were disturbed before.
pub(super) fn judge(
    outcome: &TrialOutcome,
    disturbed: usize,
) -> (TrialVerdict, Option<TrialCounts>) {
    let held = outcome.held == Some(true);
    match (held, outcome.generator_limited, outcome.stalled) {
        // Late datagrams form bursts, which may be lost where an even stream is not.
        (false, true, _) if outcome.fails_undisturbed && disturbed == 0 => {
            (TrialVerdict::Disturbed, None)
        }
        (false, ..) if outcome.fails_undisturbed => (TrialVerdict::Fail, Some(TrialCounts::Failed)),
        (true, false, _) => (TrialVerdict::Pass, Some(TrialCounts::Held)),
        (false, false, false) => (TrialVerdict::Fail, Some(TrialCounts::Failed)),
        (true, true, false) => (TrialVerdict::GeneratorLimited, Some(TrialCounts::Limited)),
        // It counts if repeats do not help.
        (_, generator_limited, _) => {
            let counts = if generator_limited { TrialCounts::Limited } else { TrialCounts::Failed };
            (TrialVerdict::Disturbed, (disturbed >= MAX_DISTURBED).then_some(counts))
        }
    }
}

/// Repeats of a disturbed trial before it counts. Arbitrary: longer than a brief disturbance.
const MAX_DISTURBED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MAX_MISSED;
    use crate::document::StallSum;
    use crate::report::fixture;

    fn goals(words: &[&str]) -> Vec<Condition> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    fn outcome(cell: &Cell, rate_pps: f64, goals: &[Condition]) -> TrialOutcome {
        super::outcome(cell, rate_pps, goals, MAX_MISSED)
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
        let result = outcome(&unknown, 100e3, &goals(&["p99<=1ms", "loss<=0.1%"]));
        assert_eq!((result.held, result.unknown.as_deref()), (None, Some("loss<=0.1%")));
        // A failed goal decides, whatever else is unknown.
        let result = outcome(&unknown, 100e3, &goals(&["p99<=1us", "loss<=0.1%"]));
        assert_eq!((result.held, result.unknown), (Some(false), None));
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
    fn an_invalid_trial_never_passes() {
        // A goal about sending does not test the target.
        let mut silent = cell();
        fixture::lose(&mut silent, 50_000);
        let result = outcome(&silent, 100e3, &goals(&["sent>=0"]));
        assert_eq!((result.held, result.fails_undisturbed), (Some(false), true));
        assert_eq!(result.invalid_because, ["nothing_arrived"]);
        assert_eq!(judge(&result, 0), (TrialVerdict::Fail, Some(TrialCounts::Failed)));
        // A stall explains the missed slots, but the rate was not tested.
        let mut late = cell();
        late.stalls.tx = StallSum { count: 1, total_ns: 10_000_000, max_ns: 10_000_000 };
        let schedule = late.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (50_000, 600);
        let result = outcome(&late, 100e3, &goals(&["loss<=0"]));
        assert!(result.held == Some(true) && result.generator_limited);
        assert_eq!(result.invalid_because, ["schedule_missed"]);
        assert_eq!(judge(&result, 0), (TrialVerdict::Disturbed, None));
        let result = super::outcome(&late, 100e3, &goals(&["loss<=0"]), 0.02);
        assert_eq!((result.generator_limited, result.invalid_because.len()), (false, 0));
        assert_eq!(judge(&result, 0), (TrialVerdict::Pass, Some(TrialCounts::Held)));
    }

    #[test]
    fn a_generator_that_sends_less_is_told_from_a_path_that_takes_less() {
        let generator_limited = |change: fn(&mut Cell)| {
            let mut cell = cell();
            change(&mut cell);
            outcome(&cell, 100e3, &[]).generator_limited
        };
        assert!(!generator_limited(|_| {}));
        assert!(generator_limited(|cell| cell.ledger.attempted = 48_000));
        assert!(!generator_limited(|cell| cell.ledger.attempted = 49_500));
        // 10 ms of half a second are 2 %, and explain no more than that.
        let stall = StallSum { count: 1, total_ns: 10_000_000, max_ns: 10_000_000 };
        let stalled = |attempted| {
            let mut cell = cell();
            (cell.ledger.attempted, cell.stalls.tx) = (attempted, stall.clone());
            outcome(&cell, 100e3, &[]).generator_limited
        };
        assert!(!stalled(48_100) && stalled(47_900));
        assert!(!generator_limited(|cell| {
            (cell.ledger.attempted, cell.pace) = (48_000, Some("poisson".to_owned()));
        }));
        assert!(generator_limited(|cell| {
            let schedule = cell.schedule.as_mut().unwrap();
            (schedule.scheduled, schedule.missed) = (50_000, 600);
        }));
        assert!(!generator_limited(|cell| {
            cell.ledger.attempted = 48_000;
            cell.ledger.refused.would_block = 100;
        }));
    }

    #[test]
    fn a_path_that_takes_less_fails_whatever_the_goals_say() {
        let result = |sent, would_block| {
            let mut cell = cell();
            (cell.ledger.sent, cell.ledger.refused.would_block) = (sent, would_block);
            outcome(&cell, 100e3, &goals(&["loss<=0"]))
        };
        let refused = result(48_000, 2_000);
        assert_eq!(
            (refused.held, refused.fails_undisturbed, refused.generator_limited),
            (Some(false), true, false)
        );
        assert_eq!(judge(&refused, 0), (TrialVerdict::Fail, Some(TrialCounts::Failed)));
        assert_eq!(refused.sent_pps, 96e3);
        // A stalled receiver pushed back: the trial is repeated.
        let mut still = cell();
        (still.ledger.sent, still.ledger.refused.would_block) = (48_000, 2_000);
        still.stalls.rx = Some(StallSum { count: 1, total_ns: 12_000_000, max_ns: 12_000_000 });
        let disturbed = outcome(&still, 100e3, &goals(&["loss<=0"]));
        assert_eq!((disturbed.held, disturbed.fails_undisturbed), (Some(false), false));
        assert_eq!(judge(&disturbed, 0), (TrialVerdict::Disturbed, None));
        // Refused occasionally, but sent later.
        assert_eq!(result(49_900, 100).held, Some(true));
        // The path pushed back until slots were missed.
        let mut late = cell();
        late.ledger.refused.no_buffers = 100;
        let schedule = late.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (50_000, 600);
        let result = outcome(&late, 100e3, &[]);
        assert_eq!((result.held, result.generator_limited), (Some(false), false));
    }

    #[test]
    fn stalls_excuse_no_more_than_a_generator_may_miss() {
        let mut still = cell();
        still.stalls.tx = StallSum { count: 1, total_ns: 40_000_000, max_ns: 40_000_000 };
        still.ledger.attempted = 47_000;
        let result = outcome(&still, 100e3, &goals(&["loss<=0"]));
        assert!(result.held == Some(true) && result.generator_limited && result.stalled);
        assert_eq!(judge(&result, 0), (TrialVerdict::Disturbed, None));
    }

    #[test]
    fn where_latency_is_below_what_clocks_tell_it_is_good_enough_or_unknown() {
        let mut far = cell();
        fixture::two_clocks(&mut far, 80_000);
        let result = |goal: &str| outcome(&far, 100e3, &goals(&[goal])).held;
        for goal in ["p99<=1ms", "p99<155us", "p99_with_loss<=155us", "latency.p50_ns<=1ms"] {
            assert_eq!(result(goal), Some(true), "{goal}");
        }
        // It may be as much as 154.9 µs.
        assert_eq!((result("p99<=154us"), result("p99<=79us")), (None, None));
    }

    #[test]
    fn what_was_disturbed_is_repeated_and_then_counts() {
        let mut stalled = cell();
        stalled.stalls.tx = StallSum { count: 1, total_ns: 6_000_000, max_ns: 6_000_000 };
        let goals = goals(&["p99<=1us"]);
        let result = outcome(&stalled, 100e3, &goals);
        assert!(result.stalled && result.fails_undisturbed);
        assert_eq!(judge(&result, 0), (TrialVerdict::Fail, Some(TrialCounts::Failed)));
        // Not at once where the generator was late, too.
        let late = TrialOutcome { generator_limited: true, ..result.clone() };
        assert_eq!(judge(&late, 0), (TrialVerdict::Disturbed, None));
        assert_eq!(judge(&late, 1), (TrialVerdict::Fail, Some(TrialCounts::Failed)));
        let result = TrialOutcome { fails_undisturbed: false, ..result };
        assert_eq!(judge(&result, 0), (TrialVerdict::Disturbed, None));
        assert_eq!(judge(&result, 4), (TrialVerdict::Disturbed, Some(TrialCounts::Failed)));
        let limited = TrialOutcome { generator_limited: true, ..result.clone() };
        assert_eq!(judge(&limited, 4).1, Some(TrialCounts::Limited));
        let held = TrialOutcome { held: Some(true), ..result };
        assert_eq!(judge(&held, 0), (TrialVerdict::Pass, Some(TrialCounts::Held)));
        let limited = TrialOutcome { generator_limited: true, stalled: false, ..held };
        assert_eq!(
            judge(&limited, 0),
            (TrialVerdict::GeneratorLimited, Some(TrialCounts::Limited))
        );
    }
}
