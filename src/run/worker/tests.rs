use std::sync::atomic::AtomicBool;

use super::*;
use crate::engine::{NullLink, NullTx};
use crate::pace::Due;
use crate::plan::{Machine, Plan, Scenario};
use crate::unit::PacketRate;

fn control() -> Arc<PhaseState> {
    PhaseState::new(Arc::new(AtomicBool::new(false)), 1)
}

#[test]
fn who_is_stopped_does_not_wait_for_a_phase() {
    let control = PhaseState::new(Arc::new(AtomicBool::new(true)), 1);
    let now = Nanos(sys::monotonic_ns());
    assert!(sleep_until_shortly_before(Nanos::NEVER, &control) >= now);
    assert_eq!(sleep_until_shortly_before(now, &control), now);
}

#[test]
fn the_window_ends_when_it_was_planned_to() {
    let second = Nanos::from_millis(1_000);
    let (preempted, early) = (Nanos::from_millis(1_300), Nanos::from_millis(400));
    let even = WorkerLoad::Even(PacketRate::from_pps(100.0).unwrap());
    let [time, count] = [Limit::Time(second), Limit::Count(50)];
    for (limit, load, last, stopped, expected) in [
        // However late the thread got to know.
        (time, WorkerLoad::FlatOut, preempted, false, second),
        (time, even, preempted, false, second),
        (time, even, early, true, early),
        (time, even, preempted, true, second),
        // A count flat out has no plan, and one on a schedule ends with its last period.
        (count, WorkerLoad::FlatOut, preempted, false, preempted),
        (count, even, preempted, false, Nanos::from_millis(500)),
        (count, even, early, true, early),
    ] {
        let plan = Plan::new(Scenario::default(), &Machine::default()).unwrap();
        let share = plan.tx_shares(&plan.cells[0], load).remove(0);
        let tx = NullTx::new(NullLink::new(1), 0, share.common.size);
        let mut job = SendJob::new(&share, &tx);
        let phase = Phase { epoch: Nanos::ZERO, tag: 2, limit, load, control: control() };
        let planned = job.start(&share, &phase);
        let half = job.half(last, planned, stopped);
        assert_eq!(half.end, expected, "{limit:?} {load:?} {stopped}");
    }
}

#[test]
fn a_schedule_that_missed_slots_ends_with_its_last_one() {
    let load = WorkerLoad::Even(PacketRate::from_pps(100.0).unwrap());
    let plan = Plan::new(Scenario::default(), &Machine::default()).unwrap();
    let share = plan.tx_shares(&plan.cells[0], load).remove(0);
    let tx = NullTx::new(NullLink::new(1), 0, share.common.size);
    let mut job = SendJob::new(&share, &tx);
    let limit = Limit::Count(3);
    let phase = Phase { epoch: Nanos::ZERO, tag: 2, limit, load, control: control() };
    let planned = job.start(&share, &phase);
    // Late by so much that slots 0 to 5 are missed or overdue.
    let mut now = Nanos::from_millis(60);
    while let Due::Now(count) = job.pace.due(now, 8) {
        job.pace.advance(count as u64, 0);
        now += Nanos::from_millis(10);
    }
    let last = job.pace.scheduled().map(Scheduled::latest).unwrap();
    assert!(last > planned, "{last} {planned}");
    assert_eq!(job.half(now, planned, false).end, last);
}

#[test]
fn a_sender_that_is_late_to_end_moves_no_window() {
    let second = Nanos::from_millis(1_000);
    let control = PhaseState::until(Arc::new(AtomicBool::new(false)), 2, second);
    assert_eq!((control.window_end(), control.ended()), (second, false));
    for (worker, finished) in [(0, 1_300), (1, 1_001)] {
        control.sender_finished(Nanos::from_millis(finished));
        control.sender_done(worker, second, 5);
    }
    assert_eq!((control.window_end(), control.ended()), (second, true));
    // Silence before that says nothing.
    assert_eq!(control.senders_ended(), Nanos::from_millis(1_300));
}
