use std::sync::Arc;

use super::*;
use crate::engine::{NullLink, NullTx};
use crate::pace::Due;
use crate::plan::{Machine, Plan, Scenario};
use crate::sys::UnreachableErrno::{ConnRefused, NetUnreach};
use crate::unit::PacketRate;

/// A sender that has begun a phase, its planned end, and the state of the phase.
fn sender(load: WorkerLoad, limit: Limit) -> (SendJob, Nanos, Arc<PhaseState>) {
    let plan = Plan::new(Scenario::default(), &Machine::default()).unwrap();
    let config = plan.tx_configs(&plan.cells[0], load).remove(0);
    let mut job = SendJob::new(&config, &NullTx::new(NullLink::new(1), 0, config.common.size));
    let control = PhaseState::new(Arc::default(), 1);
    let phase = Phase { epoch: Nanos::ZERO, tag: 2, limit, load, control: Arc::clone(&control) };
    let planned_end = job.start(&config, &phase);
    (job, planned_end, control)
}

#[test]
fn the_window_ends_as_planned() {
    let second = Nanos::from_millis(1_000);
    let (preempted, early) = (Nanos::from_millis(1_300), Nanos::from_millis(400));
    let even = WorkerLoad::Even(PacketRate::from_pps(100.0).unwrap());
    let [time, count] = [Limit::Time(second), Limit::Count(50)];
    for (limit, load, last, stopped, expected) in [
        // However late the thread noticed.
        (time, WorkerLoad::FlatOut, preempted, false, second),
        (time, even, preempted, false, second),
        (time, even, early, true, early),
        (time, even, preempted, true, second),
        // A count flat out has no plan, and one on a schedule ends with its last period.
        (count, WorkerLoad::FlatOut, preempted, false, preempted),
        (count, even, preempted, false, Nanos::from_millis(500)),
        (count, even, early, true, early),
    ] {
        let (mut job, planned, _) = sender(load, limit);
        let result = job.phase_result(last, planned, stopped);
        assert_eq!(result.end, expected, "{limit:?} {load:?} {stopped}");
    }
}

#[test]
fn a_schedule_that_missed_slots_ends_with_its_last_one() {
    let load = WorkerLoad::Even(PacketRate::from_pps(100.0).unwrap());
    let (mut job, planned, _) = sender(load, Limit::Count(3));
    // Late by so much that slots 0 to 5 are missed or overdue.
    let mut now = Nanos::from_millis(60);
    while let Due::Now(count) = job.pace.due(now, 8) {
        job.pace.advance(count as u64, 0);
        now += Nanos::from_millis(10);
    }
    let last = job.pace.scheduled().map(Scheduled::latest).unwrap();
    assert!(last > planned, "{last} {planned}");
    assert_eq!(job.phase_result(now, planned, false).end, last);
}

#[test]
fn the_kernel_gets_datagrams_ahead_of_their_time() {
    let rate = |pps| PacketRate::from_pps(pps).unwrap();
    let even = |pps| WorkerLoad::Even(rate(pps));
    assert_eq!(lead(even(1e3), 1), LONGEST_LEAD);
    for (load, of, us) in [
        (even(1e6), 1, 50),
        (even(1e6), 2, 100),
        // As many datagrams, and not as many bursts.
        (WorkerLoad::Burst(rate(1e6), 64), 1, 50),
    ] {
        assert_eq!(lead(load, of), Nanos(us * 1_000), "{load:?} {of}");
    }
    let (mut job, ..) = sender(even(1e3), Limit::Count(9));
    assert_eq!(job.due(Nanos::ZERO, 8), Due::Now(1));
    job.lead = Nanos::from_millis(2);
    job.pace = pace(even(1e3), LONGEST, 9, Part { index: 0, of: 1 }).with_lead(job.lead);
    job.departure_epoch_ns = 7;
    assert_eq!(job.due(Nanos::ZERO, 8), Due::Now(3));
    let due = job.pace.intended(2, Nanos::ZERO);
    assert_eq!(job.departure_ns(due), 7 + 2_000_000);
    job.pace.advance(3, 0);
    // Half of the lead before the earliest moment that it may be handed over.
    assert_eq!(job.due(Nanos::ZERO, 8), Due::At(Nanos::from_millis(2)));
}

/// Gives errors at so many ms to a sender with a count; whether it gave up, and was unreachable.
fn gave_up(errors: &[(u64, SendError)], is_answered: bool) -> (bool, bool) {
    let (mut job, _, control) = sender(WorkerLoad::FlatOut, Limit::Count(9));
    if is_answered {
        control.note_target_reached();
    }
    for (ms, error) in errors {
        job.note_refusal(*error, 1, Nanos::from_millis(*ms), &control);
    }
    (job.stuck, job.unreachable)
}

#[test]
fn only_a_target_that_was_never_reached_is_unreachable() {
    let closed = SendError::Unreachable(Unreachable::returned(ConnRefused));
    let no_route = SendError::Unreachable(Unreachable::returned(NetUnreach));
    let full = SendError::NoBuffers;
    for (errors, is_answered, expected) in [
        (&[(0, no_route), (2_001, no_route)][..], false, (true, true)),
        // Each kind is a row of its own.
        (&[(0, closed), (2_001, full)], false, (false, false)),
        (&[(0, closed), (1, full), (2_002, full)], false, (true, false)),
        (&[(0, full), (2_001, full)], false, (true, false)),
        (&[(0, no_route), (2_001, no_route)], true, (true, false)),
        (&[(0, no_route), (1_999, no_route)], false, (false, false)),
    ] {
        assert_eq!(gave_up(errors, is_answered), expected, "{errors:?} {is_answered}");
    }
}
