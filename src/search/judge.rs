//! Evaluates the goals of a cell, and whether the cell tested them.

use super::{TrialCounts, TrialOutcome};
use crate::document::{Cell, InvalidReason, StallSum, TrialFigures, TrialVerdict};
use crate::report::Condition;
use crate::report::checks::validity::{invalid_cell, missed_share, tested_nothing};
use crate::search::disturbance::{cost_of_stalls, fails_by_lag, fails_undisturbed};
use crate::unit::{grouped, show_nanos};

/// Minimum share of the requested rate that a generator must send. Arbitrary: far below it, no even
/// schedule keeps its rate.
const MIN_SENT: f64 = 0.98;
/// Maximum share of a trial that workers may stall, and of its datagrams in flight during stalls.
/// Arbitrary: as that of missed slots; it moves a 99th percentile.
const MAX_STALLED: f64 = 0.01;
/// Maximum share of the schedule that stalls may explain. Arbitrary: as much as [`MIN_SENT`] allows
/// without stalls.
const MAX_STALL_ALLOWANCE: f64 = 0.02;
/// Maximum share of replies dropped by the sockets of udperf, and of sends refused by the path,
/// before they limit the rate. Arbitrary: the loss of the default goal.
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
    let is_untested = invalid.iter().any(tested_nothing);
    let seconds = cell.elapsed_ns as f64 / 1e9;
    let nothing_arrived = cell.ledger.received == Some(0) && cell.ledger.sent > 0;
    // The path refused the rate, whatever the goals say.
    let not_taken = not_taken(cell, rate_pps, max_missed);
    // Without arrivals there is no latency, so its goals fail.
    let holds = |goal: &Condition| goal.holds_in(cell).or_else(|| nothing_arrived.then_some(false));
    let results: Vec<_> = goals.iter().map(holds).collect();
    let fails = not_taken.is_some() || is_untested || results.contains(&Some(false));
    let unknown = results.iter().position(Option::is_none).filter(|_| !fails);
    let held = if fails { Some(false) } else { unknown.is_none().then_some(true) };
    let latency = cell.latency.as_ref();
    // A stalled receiver pushes back as well.
    let by_path = not_taken.is_some_and(|missing| missing > cost_of_stalls(cell, rate_pps));
    let fails_undisturbed =
        || nothing_arrived || is_untested || by_path || fails_undisturbed(cell, rate_pps, goals);
    let generator_limited = generator_limited(cell, rate_pps, max_missed);
    let reasons = reasons(cell, &invalid, not_taken, goals, generator_limited);
    TrialOutcome {
        held,
        unknown: unknown.map(|at| goals[at].to_string()),
        fails_undisturbed: fails && fails_undisturbed(),
        generator_limited: generator_limited || fails_by_lag(cell, rate_pps, goals),
        stalled: stalled(cell),
        invalid_because: invalid.into_iter().map(|reason| reason.code).collect(),
        reasons,
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

/// Why a trial did not pass, if it did not: most important first.
fn reasons(
    cell: &Cell,
    invalid: &[InvalidReason],
    not_taken: Option<f64>,
    goals: &[Condition],
    generator_limited: bool,
) -> Vec<String> {
    // Without the remedy, which concerns a single run.
    let cause = |one: &InvalidReason| one.message.split(';').next().unwrap_or_default().to_owned();
    let mut reasons: Vec<_> = invalid.iter().map(cause).collect();
    reasons.extend(
        not_taken.map(|missing| {
            format!("the path refused {} datagrams", grouped(missing.round() as u64))
        }),
    );
    reasons.extend(goals.iter().filter_map(|goal| goal.miss_in(cell)));
    // Missed slots say so already.
    if generator_limited && invalid.is_empty() {
        reasons.push("the generator was too slow, or lost replies".to_owned());
    }
    if stalled(cell) {
        reasons.push(format!("workers stalled for {}", show_nanos(stalled_ns(cell))));
    }
    reasons
}

fn share(part: Option<u64>, of: u64) -> Option<f64> {
    part.filter(|_| of > 0).map(|part| part as f64 / of as f64)
}

/// Whether the system refused datagrams, so that the generator is not to blame.
fn is_pushed_back(cell: &Cell) -> bool {
    let refused = &cell.ledger.refused;
    let refused = refused.would_block.saturating_add(refused.no_buffers);
    share(Some(refused), cell.ledger.attempted).is_some_and(|share| share > BAD_SHARE)
}

/// How many due datagrams the path refused; `None` if enough were sent.
fn not_taken(cell: &Cell, rate_pps: f64, max_missed: f64) -> Option<f64> {
    // Other paces vary in number: the slots that were scheduled were due.
    let scheduled = cell.schedule.as_ref().map(|schedule| schedule.scheduled as f64);
    let due = due_evenly(cell, rate_pps).or(scheduled);
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

/// How long workers of the side that stalled longer did so, in ns.
fn stalled_ns(cell: &Cell) -> u64 {
    let total = |sum: &StallSum| sum.total_ns;
    total(&cell.stalls.tx).max(cell.stalls.rx.as_ref().map_or(0, total))
}

/// Whether workers stalled long enough to matter.
pub(super) fn stalled(cell: &Cell) -> bool {
    let stalled = stalled_ns(cell);
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1));
    let outside = cell.latency.as_ref().and_then(|latency| latency.outside_stalls.as_ref());
    let in_flight = outside
        .and_then(|one| share(Some(one.overlapped), one.overlapped.saturating_add(one.count)));
    stalled as f64 > time as f64 * MAX_STALLED || in_flight.is_some_and(|share| share > MAX_STALLED)
}

/// The verdict of a trial and what it counts as; `disturbed` equal trials were disturbed before.
pub(super) fn judge(
    outcome: &TrialOutcome,
    disturbed: usize,
) -> (TrialVerdict, Option<TrialCounts>) {
    let held = outcome.held == Some(true);
    match (held, outcome.generator_limited, outcome.stalled) {
        // Late datagrams form bursts, which may be lost where evenly spaced datagrams are not.
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
    use crate::report::fixture;

    type Judged = (TrialVerdict, Option<TrialCounts>);

    const FAIL: Judged = (TrialVerdict::Fail, Some(TrialCounts::Failed));
    const PASS: Judged = (TrialVerdict::Pass, Some(TrialCounts::Held));
    const DISTURBED: Judged = (TrialVerdict::Disturbed, None);

    fn outcome(cell: &Cell, goals: &str, max_missed: f64) -> TrialOutcome {
        let goals: Vec<_> = goals.split_whitespace().map(|goal| goal.parse().unwrap()).collect();
        super::outcome(cell, 100e3, &goals, max_missed)
    }

    /// A cell that held 100 kpps for half a second, edited.
    fn cell(edit: impl FnOnce(&mut Cell)) -> Cell {
        let mut cell = fixture::cell("plain", 64, "100k", 100e3);
        edit(&mut cell);
        cell
    }

    fn judged(edit: impl FnOnce(&mut Cell), goals: &str) -> TrialOutcome {
        outcome(&cell(edit), goals, MAX_MISSED)
    }

    fn stall(ms: u64) -> StallSum {
        StallSum { count: 1, total_ns: ms * 1_000_000, max_ns: ms * 1_000_000 }
    }

    fn miss(cell: &mut Cell) {
        let schedule = cell.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (50_000, 600);
    }

    #[test]
    fn all_goals_have_to_hold() {
        let no_loss_figure = |cell: &mut Cell| cell.ledger.lost = None;
        let silent = |cell: &mut Cell| (cell.latency, cell.ledger.received) = (None, Some(0));
        type Edit = fn(&mut Cell);
        let cases: [(Edit, &str, Option<bool>, Option<&str>); 6] = [
            (|_| {}, "loss<=0.1% p99<=1ms", Some(true), None),
            (|_| {}, "loss<=0.1% p99<=1us", Some(false), None),
            (no_loss_figure, "p99<=1ms loss<=0.1%", None, Some("loss<=0.1%")),
            // A failed goal decides, whatever else is unknown.
            (no_loss_figure, "p99<=1us loss<=0.1%", Some(false), None),
            (|cell| cell.latency = None, "p99<=1s", None, Some("p99<=1s")),
            (silent, "p99<=1s", Some(false), None),
        ];
        for (edit, goals, held, unknown) in cases {
            let result = judged(edit, goals);
            assert_eq!((result.held, result.unknown.as_deref()), (held, unknown), "{goals}");
        }
        // Latency below the clock offset bound: at most 154.9 µs.
        let far = |cell: &mut Cell| fixture::two_clocks(cell, 80_000);
        for goal in ["p99<=1ms", "p99<155us", "p99_with_loss<=155us", "latency.p50_ns<=1ms"] {
            assert_eq!(judged(far, goal).held, Some(true), "{goal}");
        }
        assert_eq!(["p99<=154us", "p99<=79us"].map(|goal| judged(far, goal).held), [None; 2]);
    }

    #[test]
    fn reasons_name_the_goal_and_by_how_much_it_failed() {
        let loses = |cell: &mut Cell| fixture::lose(cell, 5_000);
        let reasons = judged(loses, "loss<=2.5% p99<=1s received>=50000").reasons;
        assert_eq!(
            reasons,
            ["loss<=2.5%: 10%, 7.5% too much", "received>=50000: 45000, 5000 too little"]
        );
        let silent = judged(|cell| fixture::lose(cell, 50_000), "p99<=1s").reasons;
        assert_eq!(silent[0], "none of 50,000 datagrams arrived");
        let late = |cell: &mut Cell| {
            cell.stalls.tx = stall(10);
            miss(cell);
        };
        let late = judged(late, "loss<=0").reasons;
        assert_eq!(
            late[0],
            "600 of 50,000 datagrams (1.2%) were missed, more than --max-missed 1%"
        );
        assert_eq!(late.last().unwrap(), "workers stalled for 10.0 ms");
        let refused = |cell: &mut Cell| {
            (cell.ledger.sent, cell.ledger.refused.would_block) = (48_000, 2_000);
        };
        assert_eq!(judged(refused, "sent>=0").reasons, ["the path refused 2,000 datagrams"]);
        let slow = judged(|cell| cell.ledger.attempted = 48_000, "sent>=0").reasons;
        assert_eq!(slow, ["the generator was too slow, or lost replies"]);
        assert!(judged(|_| {}, "loss<=0 p99<=1s").reasons.is_empty());
        // The figure is infinite, and so is the difference.
        let infinite = judged(loses, "p99_with_loss<=1s").reasons;
        assert_eq!(infinite, ["p99_with_loss<=1s: infinite: it falls among lost datagrams"]);
    }

    #[test]
    fn invalid_trials_never_pass() {
        // A goal about sending does not test the target.
        let result = judged(|cell| fixture::lose(cell, 50_000), "sent>=0");
        assert_eq!((result.held, result.fails_undisturbed), (Some(false), true));
        assert_eq!(result.invalid_because, ["nothing_arrived"]);
        assert_eq!(judge(&result, 0), FAIL);
        // A stall explains the missed slots, but the rate was not tested.
        let late = cell(|cell| {
            cell.stalls.tx = stall(10);
            miss(cell);
        });
        let result = outcome(&late, "loss<=0", MAX_MISSED);
        assert!(result.held == Some(true) && result.generator_limited);
        assert_eq!(result.invalid_because, ["schedule_missed"]);
        assert_eq!(judge(&result, 0), DISTURBED);
        let result = outcome(&late, "loss<=0", 0.02);
        assert_eq!((result.generator_limited, result.invalid_because.len()), (false, 0));
        assert_eq!(judge(&result, 0), PASS);
    }

    #[test]
    fn generator_is_limited_if_nothing_else_explains_fewer_datagrams() {
        // 10 ms of half a second are 2 %, and explain no more than that.
        for (attempted, stall_ms, pace, would_block, expected) in [
            (50_000, 0, "even", 0, false),
            (48_000, 0, "even", 0, true),
            (49_500, 0, "even", 0, false),
            (48_100, 10, "even", 0, false),
            (47_900, 10, "even", 0, true),
            (47_000, 40, "even", 0, true),
            (48_000, 0, "poisson", 0, false),
            (48_000, 0, "even", 100, false),
        ] {
            let edit = |cell: &mut Cell| {
                (cell.ledger.attempted, cell.stalls.tx) = (attempted, stall(stall_ms));
                (cell.ledger.refused.would_block, cell.pace) = (would_block, Some(pace.to_owned()));
            };
            let result = judged(edit, "");
            assert_eq!(result.generator_limited, expected, "{attempted} {stall_ms} {pace}");
            assert_eq!(result.stalled, stall_ms > 5, "{stall_ms}");
        }
        assert!(judged(miss, "").generator_limited);
    }

    #[test]
    fn a_path_that_refuses_datagrams_fails_whatever_the_goals_say() {
        let refused = |sent: u64, would_block: u64, rx_stall: Option<StallSum>| {
            let edit = |cell: &mut Cell| {
                (cell.ledger.sent, cell.ledger.refused.would_block) = (sent, would_block);
                cell.stalls.rx = rx_stall;
            };
            judged(edit, "loss<=0")
        };
        let result = refused(48_000, 2_000, None);
        let flags = (result.held, result.fails_undisturbed, result.generator_limited);
        assert_eq!(flags, (Some(false), true, false));
        assert_eq!((judge(&result, 0), result.sent_pps), (FAIL, 96e3));
        // A stalled receiver pushed back: the trial is repeated.
        let result = refused(48_000, 2_000, Some(stall(12)));
        assert_eq!((result.held, result.fails_undisturbed), (Some(false), false));
        assert_eq!(judge(&result, 0), DISTURBED);
        // Refused occasionally, but sent later.
        assert_eq!(refused(49_900, 100, None).held, Some(true));
        // The path pushed back until slots were missed.
        let late = |cell: &mut Cell| {
            cell.ledger.refused.no_buffers = 100;
            miss(cell);
        };
        let result = judged(late, "");
        assert_eq!((result.held, result.generator_limited), (Some(false), false));
    }

    #[test]
    fn disturbed_trials_count_after_repeats() {
        let result = judged(|cell| cell.stalls.tx = stall(6), "p99<=1us");
        assert_eq!((result.held, result.stalled), (Some(false), true));
        let limited = Some(TrialCounts::Limited);
        for ([held, fails_undisturbed, generator_limited, stalled], repeats, expected) in [
            ([false, true, false, true], 0, FAIL),
            // Not at once if the generator was late, too.
            ([false, true, true, true], 0, DISTURBED),
            ([false, true, true, true], 1, FAIL),
            ([false, false, false, true], 0, DISTURBED),
            ([false, false, false, true], 4, (TrialVerdict::Disturbed, FAIL.1)),
            ([false, false, true, true], 4, (TrialVerdict::Disturbed, limited)),
            ([true, false, false, true], 0, PASS),
            ([true, false, true, false], 0, (TrialVerdict::GeneratorLimited, limited)),
            ([true, false, true, true], 0, DISTURBED),
        ] {
            let held = Some(held);
            let flags = TrialOutcome { held, fails_undisturbed, ..result.clone() };
            let outcome = TrialOutcome { generator_limited, stalled, ..flags };
            assert_eq!(judge(&outcome, repeats), expected);
        }
    }
}
