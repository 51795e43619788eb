//! Tests of the loop of requests.

use std::net::UdpSocket as StdSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Interest;
use mio::net::UdpSocket;

use super::*;
use crate::engine::{PlainRx, PlainTx, Pull};
use crate::pace::Part;
use crate::payload::{Preset, RequestSource, Spec};
use crate::plan::{
    EnginePair, EngineWord, Limit, Machine, Member, Plan, RequestConfig, RequestOptions, Route,
    Scenario, WorkerLoad,
};
use crate::request::in_flight::{InFlightTable, StreamMap};
use crate::run::LiveCell;
use crate::run::phase::Phase;
use crate::run::send_job::pace;
use crate::run::session::{CellRunner, StartAlone};
use crate::unit::{PacketRate, PayloadSize, Rate};

mod second_requests;

const SIZE: PayloadSize = PayloadSize::Fixed(64);

/// The requests: 64 bytes, with an id of 64 bits.
fn spec() -> RequestSpec {
    let spec = Spec::of(RequestSource::Preset(Preset::Echo { size: 64 }));
    let (requests, matching) = spec.compile(1).unwrap();
    RequestSpec { requests: Arc::new(requests), matching: Arc::new(matching), second: None }
}

/// One worker with so many ports, a timeout of 100 ms, and at most so many requests in flight.
fn plan(streams: u16, outstanding: u32, size: PayloadSize) -> Plan {
    let asking = RequestOptions {
        timeout: Nanos::from_millis(100),
        outstanding: Some(outstanding),
        id_bits: 64,
        ..RequestOptions::default()
    };
    let scenario = Scenario {
        route: Route::Request,
        sizes: vec![size],
        engines: vec![EngineWord::Pair(EnginePair::PLAIN)],
        rates: vec![Rate::Max],
        limit: Limit::Count(20),
        warmup: Nanos::ZERO,
        streams,
        bind: [127, 0, 0, 1].into(),
        asking: Some(asking),
        ..Scenario::default()
    };
    Plan::new(scenario, &Machine::default()).unwrap()
}

/// A worker with slots for so many requests in its first phase, and its sockets.
struct Rig {
    worker: RequestWorker,
    tx: PlainTx,
    rx: PlainRx,
    waiter: Waiter,
    control: Arc<PhaseState>,
    server: StdSocket,
}

fn rig(streams: u16, outstanding: u32, id_bits: u32) -> Rig {
    rig_of(&spec(), SIZE, streams, outstanding, id_bits)
}

fn rig_of(
    spec: &RequestSpec,
    size: PayloadSize,
    streams: u16,
    outstanding: u32,
    id_bits: u32,
) -> Rig {
    let server = StdSocket::bind("127.0.0.1:0").unwrap();
    let bound = || {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let rx_sockets: Vec<_> = (0..streams).map(|_| bound()).collect();
    let clone = |socket: &StdSocket| UdpSocket::from_std(socket.try_clone().unwrap());
    let tx_sockets = rx_sockets.iter().map(clone).collect();
    let rx_sockets = rx_sockets.into_iter().map(UdpSocket::from_std).collect();
    let tx = PlainTx::new(tx_sockets, None, size, |slot: &mut [u8]| slot.fill(0));
    let mut rx = PlainRx::for_any_size(rx_sockets);
    let plan = plan(streams, outstanding, size);
    let config = plan.request_configs(&plan.cells[0], WorkerLoad::FlatOut).remove(0);
    let RequestConfig { tx: config, asking, window, .. } = config;
    let mut job = SendJob::new(&config, &tx);
    let control = PhaseState::new(Arc::default(), 1);
    let (epoch, limit) = (Nanos(crate::sys::monotonic_ns()), plan.scenario.limit);
    let (load, phase_control) = (WorkerLoad::FlatOut, Arc::clone(&control));
    job.start(&config, &Phase { epoch, tag: 0, limit, load, control: phase_control });
    let table =
        Arc::new(InFlightTable::new(StreamMap::new(streams.into(), 1), 1 << id_bits, id_bits));
    let ids = Arc::new(RunIds::new(1, Member::default()));
    let first = ids.begin(streams.into());
    let writer = RequestWriter::new(spec, &table, (ids, first), job.batch);
    let batch = job.batch as u64;
    let capacity = table.capacity();
    let mut matcher =
        ResponseMatcher::new(spec.clone(), table, &asking, first, batch, streams.into());
    matcher.steps = spec
        .second
        .as_deref()
        .cloned()
        .map(|second| Box::new(steps::Steps::new(second, capacity, streams.into(), None)));
    matcher.start(false, 0, Nanos::ZERO);
    let mut waiter = Waiter::new(Waiter::HYBRID, Interest::READABLE).unwrap();
    if streams > 1 {
        waiter.watch(rx.sockets());
    }
    let worker = RequestWorker::new(job, writer, matcher, window, streams.into());
    Rig { worker, tx, rx, waiter, control, server }
}

/// Requests of this text on one port.
fn rig_of_text(text: &str, size: PayloadSize, outstanding: u32) -> Rig {
    let (requests, matching) = Spec::of(RequestSource::Text(text.into())).compile(1).unwrap();
    let (requests, matching) = (Arc::new(requests), Arc::new(matching));
    rig_of(&RequestSpec { requests, matching, second: None }, size, 1, outstanding, 8)
}

impl Rig {
    /// Returns the next request to its sender.
    fn reply(&self) -> Vec<u8> {
        let mut slot = [0; 64];
        let (len, from) = self.server.recv_from(&mut slot).unwrap();
        self.server.send_to(&slot[..len], from).unwrap();
        slot[..len].to_vec()
    }

    fn send_due(&mut self, at_ms: u64) -> Step {
        loop {
            let step = self.worker.send_due(&mut self.tx, &self.control, Nanos::from_millis(at_ms));
            if step != Step::Pushed {
                return step;
            }
        }
    }
}

#[test]
fn distinguishes_a_full_window_from_a_lack_of_ids() {
    // 16 ids, each not reused for 125 ms, and 8 requests at once.
    let mut rig = rig(1, 8, 4);
    rig.send_due(0);
    assert_eq!(rig.worker.matcher.in_flight(), 8);
    for (at_ms, in_flight, no_room_ms) in
        [(101, 8, 0), (110, 8, 0), (126, 8, 25), (190, 8, 25), (202, 4, 25)]
    {
        rig.worker.matcher.expire(Nanos::from_millis(at_ms), true);
        rig.send_due(at_ms);
        let matcher = &rig.worker.matcher;
        let found = (matcher.in_flight(), matcher.exchange.no_room_time);
        assert_eq!(found, (in_flight, Nanos::from_millis(no_room_ms)), "{at_ms}");
    }
}

#[test]
fn reads_queued_replies_before_their_requests_time_out() {
    let mut rig = rig(2, 2, 8);
    rig.send_due(0);
    let mut slot = [0; 64];
    let (len, from) = rig.server.recv_from(&mut slot).unwrap();
    rig.server.send_to(&slot[..len], from).unwrap();
    let now = Nanos::from_millis(200);
    let Rig { worker, rx, waiter, control, .. } = &mut rig;
    assert_eq!(worker.receive(rx, false, control), (false, true), "not polled yet");
    assert!(!worker.has_read_all(rx, waiter, now));
    assert_eq!(worker.receive(rx, false, control), (true, true));
    assert!(worker.has_read_all(rx, waiter, now));
    worker.matcher.expire(now, true);
    assert_eq!((worker.matcher.tally.received, worker.matcher.exchange.timeouts), (1, 1));
    // The read that empties the queue has read all.
    let mut rig = self::rig(MAX_PULLS as u16, 8, 8);
    (0..MAX_PULLS).for_each(|at| rig.worker.ready.mark(at));
    assert_eq!(rig.worker.receive(&mut rig.rx, true, &rig.control), (false, true));
}

#[test]
fn replies_of_others_answer_nothing_and_damaged_ones_are_counted() {
    let mut rig = rig(1, 2, 8);
    rig.send_due(0);
    echo(&rig.server, 2);
    rig.worker.only_from = Some(([127, 0, 0, 9], 9).into());
    assert_eq!(rig.worker.receive(&mut rig.rx, true, &rig.control), (true, true));
    let matcher = &mut rig.worker.matcher;
    matcher.pulled(&Pull { corrupt: 3, ..Pull::default() }, Nanos::ZERO);
    let tally = &matcher.tally;
    assert_eq!((tally.received, tally.foreign, tally.corrupt, tally.arrived), (0, 2, 3, 5));
}

/// Several sockets, the first of which is not empty for so many reads.
struct Endless {
    rx: PlainRx,
    at: usize,
    left: u64,
}

impl Rx for Endless {
    type Socket = UdpSocket;

    fn pull(&mut self) -> Pull {
        if self.at > 0 || self.left == 0 {
            return self.rx.pull();
        }
        self.left -= 1;
        Pull { syscalls: 1, ..Pull::default() }
    }

    fn each(&self, visit: impl FnMut(&[u8], Option<Nanos>)) {
        self.rx.each(visit);
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
        self.rx.turn_to(at);
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        self.rx.sockets()
    }
}

/// Returns so many requests.
fn echo(server: &StdSocket, count: usize) {
    let mut slot = [0; 64];
    for _ in 0..count {
        let (len, from) = server.recv_from(&mut slot).unwrap();
        server.send_to(&slot[..len], from).unwrap();
    }
}

#[test]
fn a_closed_loop_with_all_replies_sends_before_it_reads_again() {
    // With a request in flight, the socket is read until it is empty.
    for (outstanding, is_read_empty) in [(1, false), (2, true)] {
        let mut rig = rig(1, outstanding, 8);
        rig.send_due(0);
        let mut slot = [0; 64];
        let (len, from) = rig.server.recv_from(&mut slot).unwrap();
        assert_eq!(rig.server.send_to(&slot[..len], from).unwrap(), len);
        assert_eq!(rig.worker.receive(&mut rig.rx, true, &rig.control), (true, is_read_empty));
        assert_eq!(rig.worker.matcher.in_flight(), u64::from(outstanding) - 1);
    }
}

#[test]
fn a_closed_loop_of_one_sends_the_requests_that_it_writes_ahead() {
    for (text, outstanding, is_ahead) in [
        ("{id:u64be}{counter:dec}", 1, true),
        ("{id:u64be}{counter:dec}", 2, false),
        ("{id:u64be}{time:ms:dec}", 1, false),
    ] {
        let size = PayloadSize::Varied { mean: 9, largest: 28 };
        let mut rig = rig_of_text(text, size, outstanding);
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for _ in 0..3 {
            rig.send_due(0);
            assert_eq!(rig.worker.writer.has_written_ahead(), is_ahead, "{text}");
            seen.extend((0..outstanding).map(|_| rig.reply()));
            while rig.worker.matcher.in_flight() > 0 {
                rig.worker.receive(&mut rig.rx, true, &rig.control);
            }
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().map(|one| &one[..8]).collect();
        assert_eq!(distinct.len(), seen.len(), "{text}: an id twice");
        let tally = &rig.worker.matcher.tally;
        assert_eq!((tally.received, tally.foreign), (seen.len() as u64, 0), "{text}");
        if text.ends_with("{counter:dec}") {
            let counters = seen.iter().map(|one| String::from_utf8_lossy(&one[8..]));
            assert!(counters.eq((0..seen.len()).map(|n| n.to_string())), "{text}: {seen:?}");
        }
    }
}

#[test]
fn a_closed_loop_with_the_times_of_a_capture_sends_the_packet_that_is_due() {
    static MOMENTS_NS: [u64; 6] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000];
    let mut rig = rig_of_text("{id:u64be}{counter:u8}", PayloadSize::Fixed(9), 1);
    let load = WorkerLoad::Recorded(PacketRate::KILO, &MOMENTS_NS);
    rig.worker.job.pace = pace(load, Nanos::from_millis(10), u64::MAX, Part { index: 0, of: 1 });
    rig.worker.writer.start(0, true);
    let mut sent = Vec::new();
    // Those between are missed, as the first reply comes late.
    for at_ms in [0, 5] {
        rig.send_due(at_ms);
        sent.push(rig.reply());
        while rig.worker.matcher.in_flight() > 0 {
            rig.worker.receive(&mut rig.rx, true, &rig.control);
        }
    }
    assert_eq!(sent.iter().map(|one| one[8]).collect::<Vec<_>>(), [0, 4]);
    let tally = &rig.worker.matcher.tally;
    assert_eq!((tally.received, tally.foreign), (2, 0));
}

#[test]
fn a_socket_that_is_never_empty_starves_no_other() {
    let Rig { mut worker, mut tx, rx, mut waiter, control, server } = rig(3, 1, 8);
    let echo = std::thread::spawn(move || echo(&server, 20));
    // Exhausted only if the others are never read.
    let mut rx = Endless { rx, at: 0, left: 30_000_000 };
    worker.ready.mark(0);
    worker.window = Some(20);
    run_phase(&mut tx, &mut rx, &mut worker, &mut waiter, &control);
    let (sent, received) = (worker.job.tally.sent, worker.matcher.tally.received);
    assert_eq!(sent, 20);
    assert!(rx.left > 0, "{received} answers");
    // The first of three ports has 7 of them.
    assert_eq!(received, 13);
    assert_eq!(worker.matcher.exchange.given_up, 7);
    echo.join().unwrap();
}

/// Another worker received its replies, at this moment, and needs it for so many calls.
struct Forwarded(PlainRx, Nanos, u64);

impl Rx for Forwarded {
    type Socket = UdpSocket;

    fn pull(&mut self) -> Pull {
        self.0.pull()
    }

    fn each(&self, visit: impl FnMut(&[u8], Option<Nanos>)) {
        self.0.each(visit);
    }

    fn arrived_at(&self, _index: usize) -> Option<Nanos> {
        Some(self.1)
    }

    fn end_phase(&mut self) -> bool {
        self.2 -= 1;
        self.2 == 0
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        self.0.sockets()
    }
}

#[test]
fn a_worker_stays_while_others_need_it_and_replies_keep_their_time() {
    let Rig { mut worker, mut tx, rx, mut waiter, control, server } = rig(1, 20, 8);
    worker.window = Some(20);
    let epoch = worker.job.epoch;
    let mut rx = Forwarded(rx, epoch, 3);
    let echo = std::thread::spawn(move || echo(&server, 20));
    run_phase(&mut tx, &mut rx, &mut worker, &mut waiter, &control);
    assert_eq!((worker.matcher.tally.received, rx.2), (20, 0));
    assert_eq!(worker.matcher.latency.from_schedule.max_ns(), Some(0), "they came before");
    echo.join().unwrap();
}

#[test]
fn ids_of_a_failed_cell_are_not_reused() {
    let server = StdSocket::bind("127.0.0.1:0").unwrap();
    let ids = Arc::new(RunIds::new(1, Member::default()));
    let target = server.local_addr().unwrap();
    let mut runner = RequestRunner::new(target, vec![(SIZE, spec())], true, Arc::clone(&ids));
    // Unanswered requests, one after the other, until the pool is dropped.
    let plan = plan(1, 1, SIZE);
    let cell = &plan.cells[0];
    let mut tick = |_: Option<LiveCell<'_>>| panic!("part of the test");
    let stop = Arc::new(AtomicBool::new(false));
    let measure = AssertUnwindSafe(|| {
        runner.measure(&plan, cell, WorkerLoad::FlatOut, &stop, &mut tick, &StartAlone).is_ok()
    });
    assert!(catch_unwind(measure).is_err());
    assert!(!stop.load(Ordering::Relaxed));
    server.set_nonblocking(true).unwrap();
    let sent = std::iter::from_fn(|| server.recv_from(&mut [0; 64]).ok()).count();
    assert!(sent > 0);
    assert_eq!(ids.begin(1).unique(0), sent as u64);
}
