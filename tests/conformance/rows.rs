//! Datagrams that a probe counts together, as those of a super-packet, are counted as if each had
//! come alone: the same fates, latencies and jitter, whatever is lost, repeated or mixed in.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use udperf::engine::Pull;
use udperf::measure::{OneWay, WINDOW};
use udperf::run::{PhaseState, ReceiveProbe};
use udperf::unit::{Nanos, PayloadSize};
use udperf::wire::{self, Header};

/// The tags of a phase and of the one before; arbitrary.
const TAGS: (u16, u16) = (0xA5A5, 0x5A5A);

/// What a step of a pull sends before it goes on in line.
#[derive(Debug, Clone, Copy)]
enum Oddity {
    None,
    /// So many numbers are left out.
    Loss(u64),
    /// The number so far back, once more, or for the first time.
    Back(u64),
    /// Bytes that are not ours.
    Foreign,
    /// What the phase before has left behind.
    Former,
    /// Our tag, and one byte too many.
    TooLong,
    /// Our tag, and a flow that is not there.
    NoFlow,
    /// Our tag, and a moment to come.
    Early,
    /// Our tag, and a number that nobody has reached.
    Implausible,
    /// So many numbers beyond a window are left out, and the flow goes on behind or before that.
    Far(u64, bool),
    /// Our tag, and a bit behind it flipped.
    Flipped(usize),
}

/// Some datagrams of a flow in line, after something odd.
#[derive(Debug, Clone)]
struct Step {
    flow: u16,
    oddity: Oddity,
    row: u64,
    /// Whether the first of them is marked.
    marked: bool,
    /// How long before the pull they were meant to leave; `None`: when those before were.
    ago_ns: Option<u64>,
    waited: Option<Nanos>,
}

/// What one pull brings, how long after the one before, and whether the sender stood still until
/// so long ago.
type Steps = (u64, Option<u64>, Vec<Step>);

fn steps() -> impl Strategy<Value = Vec<Steps>> {
    let oddity = prop_oneof![
        6 => Just(Oddity::None),
        2 => (1_u64..200).prop_map(Oddity::Loss),
        2 => (1_u64..100).prop_map(Oddity::Back),
        1 => (1_u64..2 * WINDOW).prop_map(Oddity::Back),
        1 => Just(Oddity::Foreign),
        1 => Just(Oddity::Former),
        1 => Just(Oddity::TooLong),
        1 => Just(Oddity::NoFlow),
        1 => Just(Oddity::Early),
        1 => Just(Oddity::Implausible),
        1 => (0_u64..100, any::<bool>()).prop_map(|(count, goes_on)| Oddity::Far(count, goes_on)),
        1 => (16_usize..128).prop_map(Oddity::Flipped),
    ];
    // Within a millisecond nothing is a stall and nothing slow; beyond, both are.
    let ago = prop::option::weighted(0.4, prop_oneof![0_u64..50_000, 0_u64..4_000_000]);
    let waited =
        prop_oneof![4 => Just(None), 1 => Just(Some(Nanos(7))), 1 => Just(Some(Nanos(90)))];
    let step = (0_u16..3, oddity, 0_u64..80, any::<bool>(), ago, waited).prop_map(
        |(flow, oddity, row, marked, ago_ns, waited)| Step {
            flow,
            oddity,
            row,
            marked,
            ago_ns,
            waited,
        },
    );
    let stalled = prop::option::weighted(0.2, 0_u64..3_000_000);
    let gap = prop_oneof![3 => 0_u64..100_000, 1 => 0_u64..5_000_000];
    prop::collection::vec((gap, stalled, prop::collection::vec(step, 0..12)), 1..24)
}

/// Writes what three flows send.
struct Writer {
    size: PayloadSize,
    next: [u64; 3],
    intended_ns: u64,
}

impl Writer {
    fn payload(&self, tag: u16, flow: u16, sequence: u64) -> Vec<u8> {
        let mut payload = vec![0; self.size.at(sequence)];
        wire::encode(Header { tag, flow, sequence, intended_ns: self.intended_ns }, &mut payload);
        wire::encode_lag(300, &mut payload);
        payload
    }

    /// The datagrams of a step that is read at `now`.
    fn write(&mut self, step: &Step, now: Nanos) -> Vec<Vec<u8>> {
        let (flow, before) = (usize::from(step.flow), self.intended_ns);
        self.intended_ns = step.ago_ns.map_or(before, |ago| now.0.saturating_sub(ago));
        let at = self.next[flow];
        let mut written = match step.oddity {
            Oddity::None => vec![],
            Oddity::Loss(count) => {
                self.next[flow] += count;
                vec![]
            }
            Oddity::Back(count) => {
                vec![self.payload(TAGS.0, step.flow, at.saturating_sub(count))]
            }
            Oddity::Foreign => vec![vec![1, 2, 3]],
            Oddity::Former => vec![self.payload(TAGS.1, step.flow, at)],
            Oddity::TooLong => vec![[self.payload(TAGS.0, step.flow, at), vec![0]].concat()],
            Oddity::NoFlow => vec![self.payload(TAGS.0, 3, at)],
            Oddity::Early => {
                let at_once = std::mem::replace(&mut self.intended_ns, now.0 + 1_000_000);
                let early = self.payload(TAGS.0, step.flow, at);
                self.intended_ns = at_once;
                vec![early]
            }
            Oddity::Far(count, true) => {
                self.next[flow] += WINDOW + count;
                vec![]
            }
            Oddity::Far(count, false) => vec![self.payload(TAGS.0, step.flow, at + WINDOW + count)],
            Oddity::Flipped(bit) => {
                let mut payload = self.payload(TAGS.0, step.flow, at);
                payload[bit / 8] ^= 1 << (bit % 8);
                vec![payload]
            }
            Oddity::Implausible => vec![self.payload(TAGS.0, step.flow, at + (1 << 40))],
        };
        let row = self.next[flow]..self.next[flow] + step.row;
        self.next[flow] = row.end;
        let before = written.len();
        written.extend(row.map(|sequence| self.payload(TAGS.0, step.flow, sequence)));
        if let Some(first) = written.get_mut(before).filter(|_| step.marked) {
            wire::mark(first);
        }
        written
    }
}

/// All figures of a probe but for the buckets.
fn figures(probe: &ReceiveProbe) -> impl PartialEq + std::fmt::Debug {
    let OneWay { from_schedule, from_send, in_stall, to_socket, in_socket, gap, bound: _ } =
        &probe.latency;
    let exact = [from_schedule, from_send, in_stall, to_socket, in_socket, gap].map(|latency| {
        let clamped = Some(latency.clamped());
        [latency.min_ns(), latency.max_ns(), latency.mean_ns(), latency.stdev_ns(), clamped]
    });
    let jitters: Vec<_> = probe.jitters().collect();
    (probe.tally, exact, jitters, probe.stall.stalls(), probe.samples.clone())
}

/// All buckets of a probe's histograms.
fn buckets(probe: &ReceiveProbe) -> impl PartialEq + std::fmt::Debug {
    let OneWay { from_schedule, from_send, in_stall, to_socket, in_socket, gap, bound: _ } =
        &probe.latency;
    [from_schedule, from_send, in_stall, to_socket, in_socket, gap].map(|latency| {
        let all = latency.histogram().iter_recorded();
        all.map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect::<Vec<_>>()
    })
}

proptest! {
    #![proptest_config(crate::cases::cases())]
    #[test]
    fn datagrams_counted_together_are_datagrams_counted_one_by_one(
        pulls in steps(),
        size in prop_oneof![
            3 => Just(PayloadSize::Fixed(16)),
            3 => Just(PayloadSize::Fixed(40)),
            1 => Just(PayloadSize::Imix),
        ],
        paced in prop::bool::weighted(0.2),
        close_at in 0_usize..24,
    ) {
        let mut probes = [(); 2].map(|()| ReceiveProbe::new(0, 3, size).sampling());
        let control = PhaseState::new(Arc::new(AtomicBool::new(false)), 1);
        let mut writer = Writer { size, next: [0; 3], intended_ns: 9_000_000 };
        let (mut now, mut stall_ended) = (Nanos(10_000_000), Nanos::ZERO);
        for probe in &mut probes {
            probe.start(TAGS.1, false, now);
            probe.start(TAGS.0, paced, now);
        }
        for (index, (gap_ns, stalled_ns, steps)) in pulls.iter().enumerate() {
            now += Nanos(*gap_ns);
            if let Some(ago_ns) = stalled_ns {
                stall_ended = stall_ended.max(Nanos(now.0 - ago_ns));
                control.sender_stalled(0, stall_ended);
            }
            let read: Vec<_> = steps
                .iter()
                .flat_map(|step| writer.write(step, now).into_iter().map(|payload| (payload, step.waited)))
                .collect();
            let pull = Pull { datagrams: read.len(), packets: read.len() as u64, ..Pull::default() };
            let [together, singly] = &mut probes;
            for probe in [&mut *together, &mut *singly] {
                probe.pulled(&pull, now, stall_ended);
                if index == close_at {
                    probe.close_window(now);
                }
            }
            for (payload, waited) in &read {
                together.datagram(payload, now, *waited);
                singly.datagram(payload, now, *waited);
                singly.pull_ends();
            }
            together.pull_ends();
            prop_assert_eq!(figures(together), figures(singly));
        }
        let [together, singly] = &mut probes;
        together.finish(&control, 0);
        singly.finish(&control, 0);
        prop_assert_eq!(figures(together), figures(singly));
        prop_assert_eq!(buckets(together), buckets(singly));
        let tally = &together.tally;
        let fates = [tally.received, tally.duplicate, tally.late, tally.foreign, tally.corrupt];
        prop_assert_eq!(tally.arrived, fates.iter().sum::<u64>());
    }
}
