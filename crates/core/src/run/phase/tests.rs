use super::*;

#[test]
fn senders_are_read_after_receivers() {
    let mut sides = Vec::new();
    let read = receivers_first(|side| {
        sides.push(side);
        side
    });
    assert_eq!((sides, read), (vec![1, 0], [0, 1]));
}

#[test]
fn an_unknown_path_is_given_time() {
    let control = PhaseState::new(Arc::default(), 2);
    assert_eq!(control.quiet(None), QUIET_AT_FIRST);
    // What one receiver measured is known to the other.
    assert_eq!(control.quiet(Some(100_000_000)), Nanos::from_millis(400));
    assert!(control.quiet(None) < QUIET_AT_FIRST);
    assert_eq!(control.quiet(None), control.quiet(Some(3)));
    assert_eq!(control.quiet(Some(u64::MAX)), QUIET_MOST);
    let across = PhaseState::across(Arc::default(), 1, Nanos::NEVER, Nanos::ZERO);
    assert_eq!(across.quiet(None), QUIET_AT_FIRST);
    assert_eq!(across.quiet(Some(0)), QUIET_ACROSS);
}

#[test]
fn a_stopped_worker_does_not_wait_for_a_phase() {
    let control = PhaseState::new(Arc::new(AtomicBool::new(true)), 1);
    let now = Nanos(sys::monotonic_ns());
    assert!(sleep_until_before(Nanos::NEVER, WAKE_AHEAD, &control) >= now);
    assert_eq!(sleep_until_before(now, WAKE_AHEAD, &control), now);
}

#[test]
fn a_late_sender_does_not_move_the_window() {
    let second = Nanos::from_millis(1_000);
    let control = PhaseState::until(Arc::default(), 2, second);
    assert_eq!((control.window_end(), control.ended()), (second, false));
    for (worker, finished) in [(0, 1_300), (1, 1_001)] {
        control.sender_finished(Nanos::from_millis(finished));
        control.sender_done(worker, second, 5);
    }
    assert_eq!((control.window_end(), control.ended()), (second, true));
    // Silence before that does not count.
    assert_eq!(control.senders_ended(), Nanos::from_millis(1_300));
}
