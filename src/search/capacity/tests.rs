use super::*;
use crate::document::{Exchange, Latency, Schedule, Side};
use crate::report::fixture;

/// A server that answers so many requests per second, each after a millisecond, and drops all
/// others; a generator that sends so many.
#[derive(Clone, Copy)]
struct World {
    server: f64,
    generator: f64,
    /// Whether the server answers the first of two requests only.
    is_lossy: bool,
}

impl World {
    fn cell(self, request: ProbeRequest) -> Cell {
        let seconds = request.time.as_secs_f64();
        let (asked, closed) = match request.load {
            ProbeLoad::Closed(window) => (f64::from(window) * 1e3, true),
            ProbeLoad::Open(rate) => (rate, false),
        };
        // A closed loop sends no more than is answered.
        let sent = asked.min(self.generator).min(if closed { self.server } else { f64::MAX });
        let answered = sent.min(self.server);
        let count = |rate: f64| (rate * seconds).round() as u64;
        let mut cell = fixture::cell("plain", 64, "max", 1e3);
        let (requests, matched) = (count(sent), count(answered));
        let matched = if self.is_lossy { requests.div_ceil(2) } else { matched };
        let timeouts = requests - matched;
        cell.exchange = Some(Exchange {
            requests,
            matched,
            timeouts,
            own_drops: Some(0),
            idle_ns: if sent < asked { 0 } else { request.time.0 },
            ..Exchange::default()
        });
        cell.elapsed_ns = request.time.0;
        (cell.ledger.attempted, cell.ledger.sent) = (requests, requests);
        let scheduled = count(asked);
        let missed = scheduled.saturating_sub(requests);
        cell.schedule = (!closed).then(|| Schedule { scheduled, missed, ..Schedule::default() });
        cell.kernel.rcvbuf_errors = Some(timeouts);
        cell.kernel.in_datagrams = Some(2 * matched);
        cell.exchange.as_mut().unwrap().replies = matched;
        cell.rx = Some(Side { datagrams_after_window: Some(count(1.0)), ..Side::default() });
        let (p50_ns, p99_ns) = (Some(1_000_000), Some(2_000_000));
        cell.latency = Some(Latency { p50_ns, p99_ns, ..cell.latency.unwrap() });
        cell
    }

    fn capacity(self) -> Capacity {
        let mut probe = CapacityProbe::new((1, MAX_WINDOW), Nanos::from_millis(1_000));
        let mut elapsed = Nanos::ZERO;
        while let Some(request) = probe.next(elapsed) {
            probe.record(request, &self.cell(request));
            elapsed += request.time;
        }
        probe.finish(elapsed, false)
    }
}

#[test]
fn finds_the_rate_above_which_requests_are_dropped() {
    for server in [700.0, 25e3, 900e3] {
        let found = World { server, generator: 2e6, is_lossy: false }.capacity();
        let (rate, failed) = (found.requests_per_s.unwrap(), found.failed_per_s.unwrap());
        assert!(rate <= server * 1.02 && failed > server, "{server}: {found:?}");
        assert!(failed <= rate * PRECISION * 1.02, "{server}: {found:?}");
        assert_eq!(found.limited_by, Some(CapacityLimit::Server), "{server}: {found:?}");
        assert!(found.evidence.contains("dropped at its full receive buffer"), "{found:?}");
        assert_eq!(found.cut_short_because, None);
        let windows: Vec<_> = found.steps.iter().filter_map(|step| step.outstanding).collect();
        assert!(windows.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{windows:?}");
        // All of the closed loop comes first, and the timeout follows the latency.
        assert!(found.steps[..windows.len()].iter().all(|step| step.outstanding.is_some()));
        assert_eq!(found.steps[0].timeout_ns, 1_000_000_000);
        assert!(found.steps[1..].iter().all(|step| step.timeout_ns == MIN_TIMEOUT.0));
    }
}

#[test]
fn a_server_that_loses_one_request_at_a_time_has_no_capacity() {
    let found = World { server: 20.0, generator: 2e6, is_lossy: true }.capacity();
    assert_eq!(found.requests_per_s, None, "{found:?}");
    assert!(!found.steps[0].held && found.steps.len() > 1, "{found:?}");
    assert!(found.steps[1..].iter().all(|step| step.requests >= 100), "{found:?}");
}

#[test]
fn errors_that_come_with_load_are_no_answers() {
    let world = World { server: 50e3, generator: 2e6, is_lossy: false };
    let found = |usual: f64, above: f64| {
        let mut probe = CapacityProbe::new((1, MAX_WINDOW), MIN_TIMEOUT);
        while let Some(request) = probe.next(Nanos::ZERO) {
            let mut cell = world.cell(request);
            let is_loaded = matches!(request.load, ProbeLoad::Open(rate) if rate > 10e3);
            let share = if is_loaded { above } else { usual };
            let exchange = cell.exchange.as_mut().unwrap();
            let errors = (exchange.matched as f64 * share) as u64;
            exchange.errors = [("busy".to_owned(), errors)].into();
            probe.record(request, &cell);
        }
        probe.finish(Nanos::ZERO, false)
    };
    let busy = found(0.0, 1.0);
    assert!(busy.requests_per_s.unwrap() <= 10e3, "{busy:?}");
    assert_eq!(busy.limited_by, Some(CapacityLimit::Server));
    assert!(busy.evidence.contains("answered with an error"), "{busy:?}");
    // Those of names that do not exist come at each rate.
    assert!(found(1.0, 1.0).requests_per_s.unwrap() > 40e3);
}

#[test]
fn a_stalled_generator_does_not_lower_what_was_answered_before() {
    let mut probe = CapacityProbe::new((1, MAX_WINDOW), MIN_TIMEOUT);
    for (rate, generator) in [(100.0, 1e6), (200.0, 20.0)] {
        let (load, time) = (ProbeLoad::Open(rate), LONGEST_TIME);
        let request = ProbeRequest { load, time, timeout: MIN_TIMEOUT };
        let mut cell = World { server: 1e6, generator, is_lossy: false }.cell(request);
        cell.exchange.as_mut().unwrap().idle_ns = time.0;
        probe.record(request, &Cell { rx: None, ..cell });
    }
    let found = probe.finish(LONGEST_TIME, false);
    assert!(found.steps.iter().all(|step| step.held), "{found:?}");
    assert_eq!(found.steps[1].answered_per_s, Some(20.0), "{found:?}");
    assert_eq!(found.requests_per_s, Some(100.0), "{found:?}");
}

#[test]
fn the_capacity_is_no_more_than_the_rate_that_held() {
    let world = World { server: 20.0, generator: 2e6, is_lossy: false };
    let mut probe = CapacityProbe::new((1, MAX_WINDOW), MIN_TIMEOUT);
    // One request in half a second is more per second than was asked for.
    let load = ProbeLoad::Open(1.5);
    let request = ProbeRequest { load, time: LONGEST_TIME, timeout: MIN_TIMEOUT };
    let cell = Cell { rx: None, ..world.cell(request) };
    probe.record(request, &cell);
    let found = probe.finish(request.time, false);
    assert_eq!(found.steps[0].answered_per_s, Some(2.0), "{found:?}");
    assert_eq!(found.requests_per_s, Some(1.5), "{found:?}");
}

#[test]
fn a_slow_generator_is_the_limit_and_its_rate_a_lower_bound() {
    let found = World { server: f64::MAX, generator: 50e3, is_lossy: false }.capacity();
    assert_eq!(found.limited_by, Some(CapacityLimit::Generator), "{found:?}");
    let rate = found.requests_per_s.unwrap();
    assert!((49e3..=50.1e3).contains(&rate), "{found:?}");
    assert!(found.evidence.contains("udperf sent only 50.0k of 100k requests/s"), "{found:?}");
}

#[test]
fn nothing_answered_is_no_capacity_and_one_step() {
    let found = World { server: 0.0, generator: 1e6, is_lossy: false }.capacity();
    assert_eq!((found.requests_per_s, found.limited_by, found.steps.len()), (None, None, 1));
    assert!(found.evidence.starts_with("no request was answered"), "{found:?}");
}

#[test]
fn a_growing_queue_does_not_hold() {
    let world = World { server: 10e3, generator: 1e6, is_lossy: false };
    let mut probe = CapacityProbe::new((1, 1), Nanos::from_millis(1_000));
    let closed = probe.next(Nanos::ZERO).unwrap();
    probe.record(closed, &world.cell(closed));
    let mut open = probe.next(Nanos::ZERO).unwrap();
    open.load = ProbeLoad::Open(10e3);
    let mut cell = world.cell(open);
    // 3,000 requests, all answered; at a millisecond each, 10 are on the way at the end.
    for (late, held) in [(10, true), (310, true), (311, false)] {
        cell.rx.as_mut().unwrap().datagrams_after_window = Some(late);
        let (step, failure) = probe.judge(open, &cell);
        assert_eq!((step.held, failure.is_none()), (held, held), "{late}");
    }
    assert_eq!(probe.judge(open, &cell).1, Some(Failure::FellBehind));
}

#[test]
fn the_time_of_a_probe_is_bounded() {
    let mut probe = CapacityProbe::new((1, MAX_WINDOW), Nanos::from_millis(1_000));
    let first = probe.next(Nanos::ZERO).unwrap();
    probe.record(first, &World { server: 1e6, generator: 1e6, is_lossy: false }.cell(first));
    assert!(probe.next(PROBE_TIME).is_none());
    let found = probe.finish(PROBE_TIME, false);
    assert_eq!((found.requests_per_s, found.limited_by), (None, None));
    assert_eq!(found.cut_short_because.as_deref(), Some("time"));
}

/// The windows of the closed loop and the first rate of the open loop of a server that answers so
/// many requests in a step, and all that are in flight after it.
fn closed_loop(in_time: u64, p50_ns: u64) -> (Vec<u32>, f64) {
    let mut probe = CapacityProbe::new((1, MAX_WINDOW), Nanos::from_millis(1_000));
    let world = World { server: 100.0, generator: 1e6, is_lossy: false };
    let mut windows = Vec::new();
    loop {
        let request = probe.next(Nanos::ZERO).unwrap();
        let window = match request.load {
            ProbeLoad::Closed(window) => window,
            ProbeLoad::Open(rate) => return (windows, rate),
        };
        windows.push(window);
        let mut cell = world.cell(request);
        let requests = in_time + u64::from(window);
        let exchange = cell.exchange.take().unwrap();
        cell.exchange = Some(Exchange { requests, matched: requests, timeouts: 0, ..exchange });
        cell.rx.as_mut().unwrap().datagrams_after_window = Some(window.into());
        cell.latency.as_mut().unwrap().p50_ns = Some(p50_ns);
        probe.record(request, &cell);
    }
}

#[test]
fn answers_after_the_end_of_a_closed_loop_do_not_raise_its_rate() {
    // 10 in 100 ms, whatever the window.
    assert_eq!(closed_loop(10, 100_000_000), (vec![1, 2, 4], 100.0));
    // A round trip longer than a step: each window answers more.
    let (windows, rate) = closed_loop(0, 500_000_000);
    assert_eq!((windows.len(), rate), (11, f64::from(MAX_WINDOW) * 2.0));
}

#[test]
fn a_probe_without_a_rate_that_held_says_which_one_failed() {
    let mut probe = CapacityProbe::new((1, 1), Nanos::from_millis(1_000));
    let mut request = probe.next(Nanos::ZERO).unwrap();
    let world = World { server: 100.0, generator: 1e6, is_lossy: false };
    probe.record(request, &world.cell(request));
    let evidence = |probe: CapacityProbe| probe.finish(PROBE_TIME, false).evidence;
    let text = "no rate was tried; use --rate to try one";
    assert_eq!(evidence(probe), text);
    let mut probe = CapacityProbe::new((1, 1), Nanos::from_millis(1_000));
    probe.record(request, &world.cell(request));
    request.load = ProbeLoad::Open(5_000.0);
    probe.record(request, &world.cell(request));
    probe.limit = None;
    let text = "5.00k requests/s did not hold, no lower rate was tried; use --rate to try one";
    assert_eq!(evidence(probe), text);
}
