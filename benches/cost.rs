//! The cost of udperf per datagram (an iteration): of each part, and in all without system calls.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::flat_out;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mio::Interest;
use udperf::clock::Clock;
use udperf::engine::{NullLink, NullRx, NullTx, Rx, Tx};
use udperf::measure::{LatencyHistograms, Window};
use udperf::net::{Waiter, pin_to};
use udperf::pace::{Arrivals, Due, Pace, Part, Scheduled, Slots, catch_up};
use udperf::plan::{EnginePair, EngineWord, Limit, WorkerLoad};
use udperf::run::{LocalRunner, Phase, PhaseState, ReceiveProbe, SendJob, send};
use udperf::unit::{Nanos, PacketRate, PayloadSize};
use udperf::wire::{self, Header};

const SIZE: PayloadSize = PayloadSize::Fixed(64);

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("part");
    group.throughput(Throughput::Elements(1));
    group.bench_function("clock", |b| b.iter(|| Clock::Monotonic.now()));
    let mut payload = [0_u8; 64];
    let mut sequence = 0_u64;
    group.bench_function("header_encode", |b| {
        b.iter(|| {
            sequence += 1;
            let header = Header { tag: 7, flow: 0, sequence, intended_ns: sequence };
            wire::encode(header, black_box(&mut payload));
            wire::encode_lag(sequence & 0xFFFF, black_box(&mut payload));
        });
    });
    group.bench_function("header_decode", |b| {
        b.iter(|| {
            (wire::decode_own(black_box(&payload), 7), wire::decode_lag(black_box(&payload)))
        });
    });
    let mut window = Window::default();
    let mut next = 0;
    group.bench_function("window", |b| {
        b.iter(|| {
            next += 1;
            black_box(window.arrive(next))
        });
    });
    let mut latency = LatencyHistograms::default();
    let mut ns = 1_u64;
    group.bench_function("histogram", |b| {
        b.iter(|| {
            ns = ns.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            latency.record(black_box(2_000 + (ns >> 52)));
        });
    });
    let rate = PacketRate::from_pps(1e8).unwrap();
    for (name, arrivals) in
        [("even", Arrivals::Even(rate)), ("poisson", Arrivals::Poisson(rate, 1))]
    {
        let slots = Slots::new(arrivals, Part { index: 0, of: 1 });
        let mut pace =
            Pace::Scheduled(Scheduled::new(slots, Nanos::NEVER, u64::MAX, catch_up(Nanos::ZERO)));
        let mut now = Nanos::ZERO;
        group.bench_function(format!("pace_{name}"), |b| {
            b.iter(|| {
                now += Nanos(10);
                if let Due::Now(count) = pace.due(now, 64) {
                    pace.advance(count as u64, 0);
                }
            });
        });
    }
    let mut pace = Pace::FlatOut { end: Nanos::NEVER, to_send: u64::MAX };
    group.bench_function("pace_flat_out", |b| b.iter(|| black_box(pace.due(Nanos(1), 64))));
    group.finish();
}

fn probe(c: &mut Criterion) {
    let mut group = c.benchmark_group("probe");
    group.throughput(Throughput::Elements(1));
    // As from a super-packet: consecutive datagrams with one timestamp, from one pull.
    let mut row = ReceiveProbe::new(0, 1, SIZE);
    row.start(7, false, Nanos::ZERO);
    let (mut packet, mut first) = ([0_u8; 64 * 128], 0_u64);
    group.bench_function("super_packet_of_128", |b| {
        b.iter_custom(|count| {
            let mut took = Duration::ZERO;
            for _ in 0..count.div_ceil(128) {
                for (slot, sequence) in packet.chunks_exact_mut(64).zip(first..) {
                    let header = Header { tag: 7, flow: 0, sequence, intended_ns: first };
                    wire::encode(header, slot);
                }
                let (start, now) = (Instant::now(), Nanos(first + 3_000));
                for payload in black_box(&packet).chunks(64) {
                    row.datagram(payload, now, None);
                }
                row.pull_ends();
                took += start.elapsed();
                first += 128;
            }
            assert_eq!(row.tally.received, first);
            took
        });
    });
    for paced in [false, true] {
        let mut probe = ReceiveProbe::new(0, 1, SIZE);
        probe.start(7, paced, Nanos::ZERO);
        let mut payload = [0_u8; 64];
        let mut sequence = 0_u64;
        group.bench_function(if paced { "paced" } else { "flat_out" }, |b| {
            b.iter(|| {
                let header = Header { tag: 7, flow: 0, sequence, intended_ns: sequence };
                wire::encode(header, &mut payload);
                let now = Nanos(sequence + 3_000 + (sequence & 1_023));
                probe.datagram(black_box(&payload), now, None);
                sequence += 1;
            });
        });
    }
    group.finish();
}

/// The whole send loop into a sink, and the receive side from a source, without system calls.
fn null(c: &mut Criterion) {
    let _ = pin_to(common::cores().0);
    let mut group = c.benchmark_group("null");
    group.throughput(Throughput::Elements(1));
    let scenario = |count| flat_out(EngineWord::Pair(EnginePair::NULL), 64, Limit::Count(count));
    let plan = common::plan(scenario(1)).unwrap();
    group.bench_function("send_loop", |b| {
        b.iter_custom(|count| {
            let share = plan.tx_configs(&plan.cells[0], WorkerLoad::FlatOut).remove(0);
            let link = NullLink::unbounded(1);
            let mut tx = NullTx::new(link, 0, SIZE);
            let mut job = SendJob::new(&share, &tx);
            let mut waiter = Waiter::new(Waiter::SPIN, Interest::WRITABLE).unwrap();
            let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
            let (limit, load) = (Limit::Count(count), WorkerLoad::FlatOut);
            let epoch = job.clock.now();
            let phase = Phase { epoch, tag: 1, limit, load, control: Arc::clone(&control) };
            job.start(&share, &phase);
            let start = Instant::now();
            send(&mut tx, &mut job, &mut waiter, &control);
            let took = start.elapsed();
            assert_eq!(job.tally.sent, count);
            took
        });
    });
    group.bench_function("receive_side", |b| {
        b.iter_custom(|count| {
            let link = NullLink::unbounded(1);
            let mut tx = NullTx::new(Arc::clone(&link), 0, SIZE);
            tx.lease(64);
            tx.push(0, count - 1, 1);
            let mut rx = NullRx::new(link, 0, 1, SIZE, |slot: &mut [u8], _, sequence, _| {
                wire::encode(Header { tag: 7, flow: 0, sequence, intended_ns: 0 }, slot);
            });
            let mut probe = ReceiveProbe::new(0, 1, SIZE);
            probe.start(7, false, Nanos::ZERO);
            let start = Instant::now();
            while probe.tally.received < count {
                let pull = rx.pull();
                let now = Clock::Monotonic.now();
                probe.pulled(&pull, Nanos(2_000 + now.0 % 1_000), Nanos::ZERO);
                rx.each(|payload, _| probe.datagram(payload, Nanos(2_000 + now.0 % 1_000), None));
                probe.pull_ends();
            }
            start.elapsed()
        });
    });
    group.bench_function("run", |b| {
        b.iter_custom(|count| {
            let result = common::measure(scenario(count), &mut LocalRunner::default()).unwrap();
            result.tx.end.to_duration()
        });
    });
    group.finish();
}

criterion_group!(benches, parts, probe, null);
criterion_main!(benches);
