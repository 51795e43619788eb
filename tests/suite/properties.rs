//! Properties that hold under any input: the window and the ledger under any order, loss and
//! repetition; schedules that are never early and never drift; parsers and the header that take
//! any bytes; requests in flight, against a simple model.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use udperf::measure::{
    Arrival, IpCounters, KernelDelta, Kernels, LatencyHistograms, RxTally, SendErrorCounts, Server,
    Topology, TxTally, UdpCounters, WINDOW, Window, attribute_losses, ledger_identities,
};
use udperf::pace::{Arrivals, Due, Pace, Part, Scheduled, Slots, catch_up};
use udperf::plan::{EngineWord, PaceKind, Pinning};
use udperf::request::in_flight::{Completion, InFlightTable, PendingRequest, StreamMap};
use udperf::unit::{Nanos, PacketRate, Rate, parse_buffer, parse_count, parse_sizes};
use udperf::wire::{self, Header, MAX_SEQUENCE, MAX_TIME};

/// Arrivals of a flow: any order within the window, any repetition, any loss, from any start.
fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    let steps = prop::collection::vec((0_u64..2_000, 0_u64..400), 0..400);
    (0_u64..1 << 32, steps).prop_map(|(start, steps)| {
        let mut head = start;
        steps
            .into_iter()
            .map(|(back, forward)| {
                head += forward;
                head.saturating_sub(back).max(start)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(crate::cases::cases())]

    #[test]
    fn the_window_counts_each_number_once(arrivals in arrivals()) {
        let mut window = Window::default();
        let mut seen = BTreeSet::new();
        let mut highest = None;
        for sequence in arrivals {
            let fate = match window.arrive(sequence) {
                // Far ahead, and confirmed.
                Arrival::Ahead if sequence > window.next() + WINDOW => {
                    window.jump(sequence);
                    Arrival::InOrder
                }
                fate => fate,
            };
            let expected = if !seen.insert(sequence) {
                Arrival::Duplicate
            } else {
                match highest {
                    Some(high) if high > sequence => Arrival::Reordered(high - sequence),
                    _ => Arrival::InOrder,
                }
            };
            // A number below the first one seen is new to a window that began before it.
            prop_assert_eq!(fate, expected);
            highest = highest.max(Some(sequence));
        }
    }

    #[test]
    fn what_left_the_window_is_late_whatever_it_was(base in 0_u64..1 << 40, back in 0_u64..1 << 20) {
        let mut window = Window::default();
        if window.arrive(base) == Arrival::Ahead {
            window.jump(base);
        }
        let old = base.saturating_sub(WINDOW + back);
        let fate = window.arrive(old);
        prop_assert_eq!(fate == Arrival::Late, base - old >= WINDOW);
    }

    #[test]
    fn the_ledger_always_adds_up(
        sent in 0_u64..1 << 50,
        refused in 0_u64..1 << 50,
        received in 0_u64..1 << 50,
        extra in prop::array::uniform4(0_u64..1 << 40),
        kernel in prop::array::uniform7(prop::option::of(0_u64..1 << 51)),
        rcvbuf_errors in 0_u64..1 << 51,
        sender in prop::option::of(prop::array::uniform3(prop::option::of(0_u64..1 << 51))),
        (ends, taken_whole, packets) in (0..3_usize, any::<bool>(), 1_u64..1 << 50),
        ip in prop::option::of(prop::array::uniform6(0_u64..1 << 40)),
        unresolved in prop::option::of((any::<bool>(), prop::option::of(0_u64..1 << 51))),
        server in prop::option::of(prop::option::of(0_u64..1 << 51)),
    ) {
        let received = received.min(sent);
        let [duplicate, late, foreign, corrupt] = extra;
        let [sockets, no_ports, in_csum_errors, backlog, device, tx_device, qdisc] = kernel;
        let tx = TxTally {
            packets: packets.min(sent),
            sent,
            refused: SendErrorCounts { no_buffers: refused, ..SendErrorCounts::default() },
            ..TxTally::default()
        };
        let arrived = received + duplicate + late + foreign + corrupt;
        let rx = RxTally { arrived, received, duplicate, late, foreign, corrupt, packets, ..RxTally::default() };
        let udp = no_ports.zip(in_csum_errors).map(|(no_ports, in_csum_errors)| UdpCounters {
            no_ports,
            in_csum_errors,
            rcvbuf_errors,
            ..UdpCounters::default()
        });
        let ip = ip.map(|[in_discards, reassembly, reassembly_no_room, out_discards, out_no_routes, frag_fails]| {
            IpCounters { in_discards, reassembly, reassembly_no_room, out_discards, out_no_routes, frag_fails }
        });
        let neighbour_unresolved = unresolved.map(|(unresolved, _)| unresolved);
        let device_sent = unresolved.and_then(|(_, sent)| sent);
        let kernels = Kernels {
            rx: KernelDelta {
                sockets, udp, ip, backlog, device, tx_device, qdisc, device_sent, neighbour_unresolved,
                rings: None,
            },
            tx: sender.map(|[backlog, tx_device, qdisc]| KernelDelta {
                ip, backlog, tx_device, qdisc, device_sent, neighbour_unresolved, ..KernelDelta::default()
            }),
            server: server.map(|receive_buffer| Server { receive_buffer }),
            ends: [Topology::SameNetns, Topology::SameHost, Topology::Remote][ends],
        };
        let ledger = attribute_losses(&tx, &rx, &kernels, taken_whole);
        prop_assert!(ledger_identities(&ledger).iter().all(|identity| identity.holds()));
        prop_assert_eq!(ledger.lost, Some(sent - received));
        prop_assert!(ledger.unaccounted <= ledger.lost);
        let sender = kernels.at_senders();
        let known = |here: Option<u64>, there: Option<u64>| here.is_none() || there.is_some();
        prop_assert!(known(sender.qdisc, ledger.lost_at.qdisc));
        prop_assert!(known(sender.tx_device, ledger.lost_at.tx_device));
        // What our own sockets dropped is ours, whatever others' counters say.
        if let (Some(sockets), Some(at)) = (sockets, ledger.lost_at.receive_buffer)
            && !taken_whole
            && server.is_none()
        {
            let sure = if udp.is_some() { sockets.min(rcvbuf_errors) } else { sockets };
            prop_assert!(at >= sure.min(sent - received));
        }
        // Nothing is doubted where nothing was lost, and a datagram by itself is never estimated.
        let (shared, estimated) = (ledger.shared.unwrap(), ledger.estimated.unwrap());
        prop_assert!(sent > received || shared.is_empty() && estimated.is_empty());
        let counted_otherwise = server.is_some()
            || estimated.iter().all(|place| ["neighbour", "reassembly"].contains(&&**place));
        prop_assert!(taken_whole || tx.packets != tx.sent || counted_otherwise);
    }

    #[test]
    fn merged_histograms_are_the_histogram_of_all(
        a in prop::collection::vec(any::<u64>(), 0..200),
        b in prop::collection::vec(any::<u64>(), 0..200),
    ) {
        let of = |values: &[u64]| {
            let mut latency = LatencyHistograms::default();
            values.iter().for_each(|&value| latency.record(value));
            latency
        };
        let mut merged = of(&a);
        merged.merge(&of(&b));
        let all = of(&[a, b].concat());
        prop_assert_eq!(merged.histogram(), all.histogram());
        prop_assert_eq!(merged.min_ns(), all.min_ns());
        prop_assert_eq!(merged.max_ns(), all.max_ns());
        prop_assert_eq!(merged.mean_ns(), all.mean_ns());
        prop_assert_eq!(merged.stdev_ns(), all.stdev_ns());
        prop_assert_eq!(merged.clamped(), all.clamped());
    }

    #[test]
    fn shifted_latencies_are_those_recorded_later(
        values in prop::collection::vec(
            prop_oneof![0..100_u64, 0..5_000_000_u64, 0..30_000_000_000_u64], 1..200,
        ),
        by in prop_oneof![
            -50..50_i64, -3_000_000..3_000_000_i64, -20_000_000_000..20_000_000_000_i64,
        ],
    ) {
        let (mut before, mut after) = (LatencyHistograms::default(), LatencyHistograms::default());
        for &value in &values {
            before.record(value);
            after.record(value.saturating_add_signed(by));
        }
        let shifted = before.shifted(by);
        prop_assert_eq!(shifted.count(), after.count());
        prop_assert_eq!((shifted.min_ns(), shifted.max_ns()), (after.min_ns(), after.max_ns()));
        let below = |value: &&u64| value.checked_add_signed(by).is_none();
        if !values.iter().any(|value| below(&value)) {
            prop_assert_eq!(shifted.mean_ns(), after.mean_ns());
            prop_assert_eq!(shifted.stdev_ns(), after.stdev_ns());
        }
        for quantile in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
            let of = |latency: &LatencyHistograms| latency.quantile_ns(quantile).unwrap();
            let bucket = of(&before) / 1_000 + of(&after) / 1_000 + 2;
            prop_assert!(of(&shifted).abs_diff(of(&after)) <= bucket, "{quantile}");
        }
    }

    #[test]
    fn even_slots_never_drift(milli_pps in 1_u64..100_000_000_000, index in 0_u64..4, of in 1_u64..5) {
        let rate = PacketRate::from_pps(milli_pps as f64 / 1e3).unwrap();
        let part = Part { index: index % of, of };
        let mut slots = Slots::new(Arrivals::Even(rate), part);
        for i in 0..2_000_u64 {
            let slot = u128::from(part.index + i * of);
            let exact = slot * 1_000_000_000_000 / u128::from(rate.milli_pps());
            if exact > u128::from(u64::MAX / 2) {
                break;
            }
            prop_assert_eq!(u128::from(slots.next_ns()), exact);
        }
    }

    #[test]
    #[ignore = "long: scripts/check runs it"]
    fn a_schedule_is_never_early_never_late_beyond_its_bound_and_loses_no_slot(
        pps in 1_000.0..10_000_000.0_f64,
        shape in 0_u32..4,
        steps in prop::collection::vec((0_u64..3_000_000, 1_usize..128, 0_u64..2), 1..200),
    ) {
        let rate = PacketRate::from_pps(pps).unwrap();
        let arrivals = match shape {
            0 => Arrivals::Even(rate),
            1 => Arrivals::Burst(rate, 7),
            2 => Arrivals::Poisson(rate, 9),
            _ => Arrivals::Ramp(rate, PacketRate::from_pps(pps * 2.0).unwrap(), 50_000_000),
        };
        let part = Part { index: 0, of: 1 };
        let bound = catch_up(Nanos((1e9 / pps) as u64));
        let end = Nanos(100_000_000);
        let mut reference = Slots::new(arrivals, part);
        let scheduled = Scheduled::new(Slots::new(arrivals, part), end, u64::MAX, bound);
        let mut pace = Pace::Scheduled(scheduled);
        let mut now = Nanos::ZERO;
        let mut position = 0_u64;
        let mut next = Nanos(reference.next_ns());
        for (step, most, refuse) in steps {
            now += Nanos(step);
            let due = pace.due(now, most);
            while position < pace.scheduled().unwrap().scheduled() {
                // What was skipped was overdue beyond the bound.
                prop_assert!(next + bound < now);
                next = Nanos(reference.next_ns());
                position += 1;
            }
            match due {
                Due::Over => break,
                Due::At(at) => prop_assert!(at >= now && (at == next || at == now)),
                Due::Now(count) => {
                    prop_assert!(count >= 1 && count <= most);
                    for i in 0..count {
                        let intended = pace.intended(i, now);
                        prop_assert!(intended <= now);
                        prop_assert_eq!(intended, next);
                        next = Nanos(reference.next_ns());
                        position += 1;
                    }
                    let refused = refuse.min(count as u64 - 1);
                    pace.advance(count as u64 - refused, refused);
                }
            }
            prop_assert_eq!(pace.scheduled().unwrap().scheduled(), position);
        }
    }

    #[test]
    fn the_header_reads_back_and_takes_any_bytes(
        tag in any::<u16>(),
        flow in any::<u16>(),
        sequence in 0..=MAX_SEQUENCE,
        intended_ns in 0..=MAX_TIME,
        lag in 0_u64..4_000_000_000_000,
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let header = Header { tag, flow, sequence, intended_ns };
        let mut payload = [0; 18];
        wire::encode(header, &mut payload);
        wire::encode_lag(lag, &mut payload);
        prop_assert_eq!(wire::decode_own(&payload, tag), Some(header));
        prop_assert_eq!(wire::decode_own(&payload, tag.wrapping_add(1)), None);
        let read = wire::decode_lag(&payload).unwrap();
        prop_assert!(read.abs_diff(lag) * 4_096 <= lag);
        // Whatever arrives, decoding gives an answer.
        let own = wire::decode_own(&bytes, tag);
        prop_assert!(own.is_none_or(|own| own.sequence <= MAX_SEQUENCE && own.intended_ns <= MAX_TIME));
        prop_assert_eq!(wire::decode_lag(&bytes).is_some(), bytes.len() >= 18);
    }

    #[test]
    fn parsers_take_any_words(word in "\\PC{0,24}") {
        let _ = word.parse::<Nanos>();
        let _ = word.parse::<PaceKind>();
        let _ = word.parse::<Pinning>();
        let _ = parse_buffer(&word);
        let _ = parse_count(&word);
        let _ = word.parse::<EngineWord>();
        if let Ok(rate) = word.parse::<Rate>() {
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
        for size in parse_sizes(&word).unwrap_or_default() {
            prop_assert!((16..=65_507).contains(&size.largest()));
        }
    }

    #[test]
    fn sizes_and_rates_near_the_grammar_are_total(
        word in "[0-9.]{0,6}(k|K|M|G|T|Ki|%|bit|pps|bps)?(\\.\\.[0-9]{1,6})?([*+][0-9]{1,4})?",
    ) {
        let _ = word.parse::<Rate>();
        let _ = parse_sizes(&word);
        let _ = parse_buffer(&word);
    }
}

/// One thing that happens to a table of requests.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// So many leave, a little later, as far as there is room.
    Depart(u64, u64),
    /// So many are written, and none of them leaves.
    Refused(u64),
    /// A reply to one so far back.
    Land(u64),
    /// A reply with this id by this port.
    Reply(usize, u64),
    /// What left so long ago is given up, and what left as long before that rests no more.
    Expire(Option<u64>, Option<u64>),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (1_u64..40, 0_u64..50).prop_map(|(count, later)| Move::Depart(count, later)),
        1 => (1_u64..8).prop_map(Move::Refused),
        4 => (0_u64..300).prop_map(Move::Land),
        3 => (0_usize..8, any::<u64>()).prop_map(|(stream, id)| Move::Reply(stream, id)),
        2 => (prop::option::of(0_u64..500), prop::option::of(0_u64..500))
            .prop_map(|(ago, rested)| Move::Expire(ago, rested)),
    ];
    prop::collection::vec(one, 1..200)
}

/// What a model knows of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Answered,
    TimedOut,
}

/// A table and its model, which remembers every request there ever was.
struct Modelled {
    flights: InFlightTable,
    id_bits: u32,
    requests: BTreeMap<u64, (PendingRequest, State)>,
    /// Whose places in the table were taken by requests that never left.
    gone: BTreeSet<u64>,
    head: u64,
    tail: u64,
    /// The oldest whose id may not be used again.
    resting: u64,
    now: u64,
}

impl Modelled {
    fn make(&mut self, step: Move) -> Result<(), TestCaseError> {
        match step {
            Move::Depart(count, later) => {
                self.now += later;
                for _ in 0..count.min(self.flights.free_slots()) {
                    let flight =
                        PendingRequest { intended: Nanos(self.now / 2), sent: Nanos(self.now) };
                    self.flights.insert(self.head, flight);
                    self.requests.insert(self.head, (flight, State::Open));
                    self.head += 1;
                }
                self.flights.set_head(self.head);
            }
            Move::Refused(count) => {
                let count = count.min(self.flights.free_slots());
                for number in self.head..self.head + count {
                    let flight = PendingRequest { intended: Nanos(7), sent: Nanos(self.now) };
                    self.flights.insert(number, flight);
                    self.flights.set_head(number + 1);
                    // Its place was another's.
                    self.gone.extend(number.checked_sub(self.flights.capacity()));
                }
                self.flights.cancel(self.head, count);
            }
            Move::Land(back) => {
                if let Some(number) = self.head.checked_sub(back + 1) {
                    self.land(number)?;
                }
            }
            Move::Reply(stream, id) => self.reply(stream, id)?,
            Move::Expire(ago, rested) => self.expire(ago, rested)?,
        }
        prop_assert_eq!(self.flights.head(), self.head);
        prop_assert_eq!(
            self.flights.free_slots(),
            self.flights.capacity() - (self.head - self.resting)
        );
        prop_assert_eq!(self.flights.is_empty(), self.head == self.tail);
        prop_assert!(self.resting <= self.tail && self.tail <= self.head);
        for (number, (_, state)) in self.requests.range(self.tail..) {
            prop_assert_eq!(self.flights.is_open(*number), *state == State::Open);
        }
        let forgotten = self.requests.range(..self.tail).find(|(_, one)| one.1 == State::Open);
        prop_assert_eq!(forgotten, None);
        Ok(())
    }

    fn land(&mut self, number: u64) -> Result<(), TestCaseError> {
        let landing = self.flights.complete(number, self.head);
        let (flight, state) = self.requests.get_mut(&number).unwrap();
        // Its place in the table may be another's, whose fate it must not touch.
        let is_gone = self.head - number > self.flights.capacity() || self.gone.contains(&number);
        let expected = match state {
            _ if is_gone => Completion::Late,
            State::Open => Completion::Answer(*flight),
            State::Answered => Completion::Duplicate,
            State::TimedOut => Completion::Late,
        };
        prop_assert_eq!(landing, expected);
        if *state == State::Open {
            *state = State::Answered;
        }
        Ok(())
    }

    fn reply(&mut self, stream: usize, id: u64) -> Result<(), TestCaseError> {
        let lanes = self.flights.stream_map();
        // No port beyond those there are.
        let streams = (0..self.head.max(1)).map(|number| lanes.stream(number)).max().unwrap() + 1;
        let stream = stream % streams;
        let mask = u64::MAX >> (u64::BITS - self.id_bits);
        let found = self.flights.find(stream, id & mask, self.id_bits, self.head);
        // The latest of its port whose place ends so.
        let is_it = |number: &u64| {
            lanes.stream(*number) == stream && lanes.place(*number) & mask == id & mask
        };
        prop_assert_eq!(found, (0..self.head).rev().find(is_it));
        found.map_or(Ok(()), |number| self.land(number))
    }

    fn expire(&mut self, ago: Option<u64>, rested: Option<u64>) -> Result<(), TestCaseError> {
        let moment = |ago: Option<u64>| ago.and_then(|ago| self.now.checked_sub(ago)).map(Nanos);
        let (before, rested) = (moment(ago), moment(rested));
        let mut given_up = 0;
        while self.tail < self.head {
            let (flight, state) = self.requests.get_mut(&self.tail).unwrap();
            if *state == State::Open {
                if before.is_none_or(|before| flight.sent > before) {
                    break;
                }
                *state = State::TimedOut;
                given_up += 1;
            }
            self.tail += 1;
        }
        while self.resting < self.tail {
            let (flight, state) = self.requests[&self.resting];
            if state == State::TimedOut && rested.is_none_or(|rested| flight.sent > rested) {
                break;
            }
            self.resting += 1;
        }
        prop_assert_eq!(self.flights.expire(before, rested, |_| {}), given_up);
        Ok(())
    }
}

proptest! {
    #![proptest_config(crate::cases::cases())]

    #[test]
    fn requests_in_flight_have_the_fates_of_a_simple_model(
        (streams, block) in (1_usize..8, 0_u32..7),
        (wanted, id_bits) in (1_u64..200, prop_oneof![1_u32..12, Just(16), Just(32), Just(64)]),
        moves in moves(),
    ) {
        let lanes = StreamMap::new(streams, 1 << block);
        let flights = InFlightTable::new(lanes, wanted, id_bits);
        let capacity = flights.capacity();
        prop_assert!(capacity.is_power_of_two());
        let mut model = Modelled {
            flights, id_bits, requests: BTreeMap::new(), gone: BTreeSet::new(), head: 0,
            tail: 0, resting: 0, now: 0,
        };
        for step in moves {
            model.make(step)?;
            // Whatever has a place in the table is found by what it carries.
            let mask = u64::MAX >> (u64::BITS - id_bits);
            for number in model.head.saturating_sub(capacity)..model.head {
                let (stream, id) = (lanes.stream(number), lanes.place(number) & mask);
                prop_assert_eq!(model.flights.find(stream, id, id_bits, model.head), Some(number));
            }
        }
    }
}
