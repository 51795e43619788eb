//! The hot loops over scripted engines and a clock turned by hand: what is refused, repeated, mixed
//! up or foreign is counted exactly.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::Interest;
use mio::net::UdpSocket;
use proptest::prelude::*;
use udperf::clock::{Clock, ManualClock};
use udperf::engine::{Pull, Push, Rx, Tx};
use udperf::host::Meter;
use udperf::net::Waiter;
use udperf::plan::{Limit, Machine, Pinning, Plan, Scenario, TxConfig, WaitKind, WorkerLoad};
use udperf::run::{
    Drops, Phase, PhaseState, ReceiveJob, ReceiveProbe, SendJob, SenderBounds, receive, send,
};
use udperf::sys::SendError;
use udperf::unit::{Nanos, PacketRate, PayloadSize, Rate};
use udperf::wire::{self, Header, decode_lag, decode_own};

const SIZE: PayloadSize = PayloadSize::Fixed(32);
const TAG: u16 = 0xA5A5;

fn share(load: WorkerLoad, streams: u16) -> TxConfig {
    let scenario = Scenario {
        sizes: vec![SIZE],
        rates: vec![Rate::Max],
        streams,
        pin: Pinning::Off,
        wait: WaitKind::Spin,
        ..Scenario::default()
    };
    let plan = Plan::new(scenario, &Machine::default()).unwrap();
    plan.tx_configs(&plan.cells[0], load).remove(0)
}

/// Sends into a list, refusing by a script: each number is how many are taken before one refusal.
struct Scripted {
    arena: Vec<u8>,
    script: Vec<u8>,
    step: usize,
    batch: usize,
    /// What left: flow, header, lag.
    left: Vec<(usize, Header, u64)>,
    refusals: u64,
}

impl Tx for Scripted {
    type Socket = UdpSocket;

    fn batch(&self, _paced: bool) -> usize {
        self.batch
    }

    fn lease(&mut self, want: usize) -> &mut [u8] {
        let len = want.min(self.batch) * self.stride();
        &mut self.arena[..len]
    }

    fn stride(&self) -> usize {
        64
    }

    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let taken = usize::from(self.script[self.step % self.script.len()]);
        self.step += 1;
        let sent = taken.min(count);
        for (i, slot) in self.arena.chunks_exact(64).take(sent).enumerate() {
            let header = decode_own(slot, TAG).unwrap();
            assert_eq!(header.sequence, first_sequence + i as u64);
            self.left.push((flow, header, decode_lag(&slot[..32]).unwrap()));
        }
        let refused = (sent < count).then_some(SendError::NoBuffers);
        self.refusals += u64::from(refused.is_some());
        let (packets, error) = (sent as u64, refused);
        let refused = usize::from(error.is_some());
        Push { sent, packets, refused, error, syscalls: 1 }
    }
}

/// Runs the send loop over the script; each clock reading takes `step_ns`.
fn run_send(
    load: WorkerLoad,
    streams: u16,
    limit: Limit,
    script: &[u8],
    step_ns: u64,
) -> (Scripted, SendJob, Nanos) {
    let share = share(load, streams);
    let (arena, script) = (vec![0; 64 * 8], script.to_vec());
    let mut tx = Scripted { arena, script, step: 0, batch: 8, left: vec![], refusals: 0 };
    let mut job = SendJob::new(&share, &tx);
    job.clock = Clock::Manual(ManualClock::stepping(step_ns));
    let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
    let phase = Phase { epoch: Nanos::ZERO, tag: TAG, limit, load, control: Arc::clone(&control) };
    job.start(&share, &phase);
    let mut waiter = Waiter::new(Waiter::SPIN, Interest::WRITABLE).unwrap();
    let end = send(&mut tx, &mut job, &mut waiter, &control);
    (tx, job, end)
}

proptest! {
    #![proptest_config(crate::cases::cases())]
    #[test]
    fn a_refused_datagram_gives_its_number_back(
        script in prop::collection::vec(0_u8..9, 1..12).prop_filter("sends at all", |s| s.iter().any(|&n| n > 0)),
        streams in 1_u16..4,
        count in 1_u64..500,
        step_ns in 1_u64..5_000,
        paced in any::<bool>(),
    ) {
        let load = if paced { WorkerLoad::Even(PacketRate::from_pps(1e6).unwrap()) } else { WorkerLoad::FlatOut };
        let (tx, job, _) = run_send(load, streams, Limit::Count(count), &script, step_ns);
        prop_assert_eq!(job.tally.sent, count);
        prop_assert_eq!(tx.left.len() as u64, count);
        prop_assert_eq!(job.tally.refused.total(), tx.refusals);
        prop_assert_eq!(job.tally.bytes, 32 * count);
        prop_assert!(!job.stuck);
        // Each slot that came up was sent, refused or missed: none is gone otherwise.
        if let Some(scheduled) = job.pace.scheduled() {
            let slots: std::collections::BTreeSet<_> = tx.left.iter().map(|l| l.1.intended_ns).collect();
            prop_assert_eq!(slots.len() as u64, count, "each has a slot of its own");
            prop_assert!(slots.iter().all(|ns| *ns <= scheduled.latest().0));
            let skipped = scheduled.latest().0 / 1_000 + 1 - count;
            prop_assert_eq!(skipped, tx.refusals + scheduled.missed());
        }
        // Each flow counts from 0 without a gap.
        for flow in 0..usize::from(streams) {
            let numbers: Vec<_> = tx.left.iter().filter(|l| l.0 == flow).map(|l| l.1.sequence).collect();
            prop_assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
        }
        if let Some(scheduled) = job.pace.scheduled() {
            prop_assert_eq!(scheduled.scheduled(), count + tx.refusals + scheduled.missed());
        }
    }

    #[test]
    fn what_leaves_carries_its_slot_and_its_lag(step_ns in 1_u64..200_000, pps in 1_000_u32..1_000_000) {
        let load = WorkerLoad::Even(PacketRate::from_pps(f64::from(pps)).unwrap());
        let limit = Limit::Time(Nanos::from_millis(3));
        let (tx, job, end) = run_send(load, 1, limit, &[8], step_ns);
        let scheduled = job.pace.scheduled().unwrap();
        prop_assert_eq!(scheduled.scheduled(), (u64::from(pps) * 3).div_ceil(1_000));
        prop_assert_eq!(tx.left.len() as u64, scheduled.scheduled() - scheduled.missed());
        let timing = job.timing.as_ref().unwrap();
        prop_assert_eq!(timing.lag.count(), tx.left.len() as u64);
        prop_assert_eq!(timing.gap.count(), (tx.left.len() as u64).saturating_sub(1));
        let mut before = None;
        for (_, header, lag) in &tx.left {
            // On the grid, in order, never before its time nor after the end.
            let slot = (header.intended_ns * u64::from(pps)).div_ceil(1_000_000_000);
            prop_assert_eq!(slot * 1_000_000_000 / u64::from(pps), header.intended_ns);
            prop_assert!(before < Some(header.intended_ns));
            prop_assert!(header.intended_ns + lag <= end.0 + lag / 1_024);
            before = Some(header.intended_ns);
        }
    }
}

#[test]
fn a_count_that_cannot_be_reached_is_given_up() {
    let (tx, job, _) = run_send(WorkerLoad::FlatOut, 1, Limit::Count(5), &[0], 1_000_000);
    assert!(job.stuck);
    assert_eq!(tx.left.len(), 0);
    assert_eq!(job.tally.refused.no_buffers, tx.refusals);
}

/// Delivers a list, so many to a pull.
struct Delivered {
    datagrams: Vec<Vec<u8>>,
    at: usize,
    pulled: usize,
    batch: usize,
}

impl Rx for Delivered {
    type Socket = UdpSocket;

    fn pull(&mut self) -> Pull {
        self.at += self.pulled;
        self.pulled = self.batch.min(self.datagrams.len() - self.at);
        let (datagrams, packets) = (self.pulled, self.pulled as u64);
        Pull { datagrams, packets, syscalls: 1, drained: datagrams < self.batch, ..Pull::default() }
    }

    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        let pulled = &self.datagrams[self.at..self.at + self.pulled];
        pulled.iter().for_each(|datagram| visit(datagram, None));
    }
}

fn datagram(flow: u16, sequence: u64) -> Vec<u8> {
    let mut payload = vec![0; 32];
    wire::encode(Header { tag: TAG, flow, sequence, intended_ns: 0 }, &mut payload);
    wire::encode_lag(0, &mut payload);
    payload
}

fn run_receive(datagrams: Vec<Vec<u8>>, flows: usize, batch: usize, sent: u64) -> ReceiveProbe {
    let mut rx = Delivered { datagrams, at: 0, pulled: 0, batch };
    let mut probe = ReceiveProbe::new(0, flows, SIZE);
    probe.start(TAG - 1, false, Nanos::ZERO);
    probe.start(TAG, false, Nanos::ZERO);
    let clock = Clock::Manual(ManualClock::stepping(10_000));
    let mut job = ReceiveJob {
        clock,
        epoch: Nanos::ZERO,
        worker: 0,
        drops: Drops::default(),
        rings: None,
        meter: Meter::default(),
        at_close: None,
    };
    let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
    control.sender_done(0, Nanos(1), sent);
    let mut waiter = Waiter::new(Waiter::SPIN, Interest::READABLE).unwrap();
    receive(&mut rx, &mut job, &mut probe, &mut waiter, &control);
    probe
}

proptest! {
    #![proptest_config(crate::cases::cases())]
    #[test]
    fn every_arrival_has_one_fate(
        plan in prop::collection::vec((0_u16..3, 0_u64..300, 0_u8..12), 0..400),
        batch in 1_usize..20,
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let (mut duplicate, mut foreign, mut corrupt, mut late) = (0, 0, 0, 0);
        let datagrams: Vec<_> = plan.iter().map(|&(flow, sequence, kind)| {
            let mut payload = datagram(flow, sequence);
            match kind {
                0 => { payload[0] ^= 0xFF; foreign += 1; }
                1 => { payload.truncate(9); foreign += 1; }
                2 => { payload.push(0); corrupt += 1; }
                3 => { payload[2] ^= 0x40; corrupt += 1; }
                4 => { payload[10 + sequence as usize % 6] ^= 1; corrupt += 1; }
                5 => { payload[1] = (TAG - 1) as u8; late += 1; }
                _ => duplicate += u64::from(!seen.insert((flow, sequence))),
            }
            payload
        }).collect();
        let sent = 900;
        let probe = run_receive(datagrams, 3, batch, sent);
        let tally = probe.tally;
        prop_assert_eq!(tally.arrived, plan.len() as u64);
        prop_assert_eq!(tally.received, seen.len() as u64);
        prop_assert_eq!(tally.duplicate, duplicate);
        prop_assert_eq!(tally.foreign, foreign);
        prop_assert_eq!(tally.corrupt, corrupt);
        prop_assert_eq!(tally.late, late);
        prop_assert_eq!(probe.latency.from_schedule.count(), tally.received);
        prop_assert!(tally.batch_max <= batch as u64);
    }
}

#[test]
fn what_is_read_behind_the_window_is_its_tail() {
    // The first pull is at moment 0, within the senders' window of 1 ns; all others come after it.
    let probe = run_receive((0..50).map(|sequence| datagram(0, sequence)).collect(), 1, 4, 50);
    assert_eq!((probe.tally.received, probe.tally.read_in_window), (50, 4));
    // So are its calls.
    assert_eq!(probe.tally.syscalls_in_window, 1);
    assert!(probe.tally.syscalls >= 13, "{}", probe.tally.syscalls);
}

#[test]
fn gaps_of_arrivals_are_those_at_the_socket_where_it_has_timestamps() {
    let us = Nanos::from_micros;
    for (paced, waited_us, expected) in [
        (true, [None; 3], (2, Some(10_000), Some(20_000))),
        (true, [Some(0), Some(4), Some(0)], (2, Some(6_000), Some(24_000))),
        (false, [None; 3], (0, None, None)),
    ] {
        let mut probe = ReceiveProbe::new(0, 1, SIZE);
        // What one phase counts is gone in the next.
        for _ in 0..2 {
            probe.start(TAG, paced, Nanos::ZERO);
            for (sequence, (at_us, waited_us)) in
                [1_000, 1_010, 1_030].into_iter().zip(waited_us).enumerate()
            {
                let mut payload = vec![0; 32];
                let sequence = sequence as u64;
                wire::encode(Header { tag: TAG, flow: 0, sequence, intended_ns: 7 }, &mut payload);
                probe.datagram(&payload, us(at_us), waited_us.map(us));
                probe.pull_ends();
            }
        }
        let gap = &probe.latency.gap;
        assert_eq!((gap.count(), gap.min_ns(), gap.max_ns()), expected);
    }
}

/// One second into a phase: what a probe makes of these numbers of one flow, of which the sender
/// has sent `sent` in all, within `bounds`.
fn probe_numbers(numbers: &[u64], sent: u64, bounds: Option<SenderBounds>) -> ReceiveProbe {
    let now = Nanos::from_millis(1_000);
    let mut probe = ReceiveProbe::new(0, 1, SIZE);
    probe.bounds = bounds.unwrap_or_default();
    probe.start(TAG, false, Nanos::ZERO);
    for &sequence in numbers {
        let mut payload = vec![0; 32];
        let intended_ns = now.0 - 1_000;
        wire::encode(Header { tag: TAG, flow: 0, sequence, intended_ns }, &mut payload);
        probe.pulled(&Pull { datagrams: 1, packets: 1, ..Pull::default() }, now, Nanos::ZERO);
        probe.datagram(&payload, now, None);
        probe.pull_ends();
    }
    let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
    control.sender_done(0, now, sent);
    probe.finish(&control, 0);
    let tally = &probe.tally;
    assert_eq!(tally.arrived, tally.received + tally.duplicate + tally.late + tally.corrupt);
    assert_eq!(probe.latency.from_schedule.count(), tally.received);
    assert_eq!(probe.counts_by_flow().0, [tally.received]);
    probe
}

/// Received, repeated, corrupt, and out of order or late.
fn counts(probe: &ReceiveProbe) -> [u64; 4] {
    let tally = &probe.tally;
    [tally.received, tally.duplicate, tally.corrupt, tally.reordered + tally.late]
}

#[test]
fn a_number_far_ahead_is_believed_once_a_later_one_confirms_it() {
    let far = 1 << 20;
    let of = |numbers: &[u64], sent| counts(&probe_numbers(numbers, sent, None));
    assert_eq!(of(&[0, 1, 2, far, 3, 4, 5], 6), [6, 0, 1, 0], "the flow goes on before it");
    assert_eq!(of(&[0, 1, 2, far, far + 1, far + 2], far + 3), [6, 0, 0, 0], "and behind it");
    assert_eq!(of(&[0, 1, 3, far, 2, far + 5], far + 6), [6, 0, 0, 1], "2 says nothing of it");
    assert_eq!(
        of(&[0, 1, 2, far, far - 3, far + 1], far + 2),
        [6, 0, 0, 1],
        "one it overtook, too"
    );
    assert_eq!(of(&[0, 1, 2, far], far + 1), [4, 0, 0, 0], "the last one that was sent");
    assert_eq!(of(&[0, 1, 2, far], far), [3, 0, 1, 0], "more than were sent");
    assert_eq!(of(&[0, far, far, 1, 2], 3), [3, 0, 2, 0]);
    assert_eq!(of(&[0, far, far, far + 1], far + 2), [3, 1, 0, 0]);
    assert_eq!(of(&[0, far, 5 * far, 1], 2), [2, 0, 2, 0], "one far ahead confirms no other");
    assert_eq!(of(&[0, far, 5 * far, 5 * far + 1], 5 * far + 2), [3, 0, 1, 0]);
}

#[test]
fn a_number_that_no_sender_can_have_reached_is_corrupt() {
    let rate = PacketRate::from_pps(200.0).unwrap();
    let within = |limit, load| Some(SenderBounds::new(limit, load));
    let count = within(Limit::Count(10), WorkerLoad::FlatOut);
    assert_eq!(counts(&probe_numbers(&[0, 10, 1, 9], 10, count)), [3, 0, 1, 0]);
    // 200 are due within a second.
    let paced = within(Limit::Time(Nanos::from_millis(3_000)), WorkerLoad::Even(rate));
    assert_eq!(counts(&probe_numbers(&[0, 199, 600, 1], 600, paced)), [3, 0, 1, 1]);
    // None is due after the end.
    let ended = within(Limit::Time(Nanos::from_millis(900)), WorkerLoad::Even(rate));
    assert_eq!(counts(&probe_numbers(&[0, 1], 180, ended)), [0, 0, 2, 0]);
    // Faster than any sender.
    assert_eq!(counts(&probe_numbers(&[0, 1 << 40, (1 << 40) + 1, 1], 2, None)), [2, 0, 2, 0]);
}

#[test]
fn bytes_that_are_all_ones_continue_no_row() {
    let mut probe = ReceiveProbe::new(0, 1, SIZE);
    probe.start(TAG, false, Nanos::ZERO);
    for payload in [datagram(0, 0), datagram(0, 1)] {
        probe.datagram(&payload, Nanos(5), None);
    }
    probe.pull_ends();
    probe.datagram(&[0xFF; 32], Nanos(5), None);
    probe.pull_ends();
    assert_eq!((probe.tally.received, probe.tally.foreign), (2, 1));
}
