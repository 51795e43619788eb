//! Decodes and checks bodies of control messages as both ends do, without a socket, for fuzzing.

use std::net::SocketAddr;

use super::blast::{data_address, source_of};
use crate::measure::OneWay;
use crate::pace::{Due, Part};
use crate::remote::client::sanitize::clean;
use crate::remote::protocol::spec::{CellSpec, ClockNote, ControlRequest, ControlResponse};
use crate::run::send_job::pace;
use crate::unit::Nanos;

/// What bytes decode as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Bodies {
    pub request: bool,
    /// A request that a sink accepts.
    pub accepted: bool,
    pub response: bool,
    /// A clock correction.
    pub note: bool,
}

/// The datagrams of a schedule to step through. Arbitrary: a few batches.
const MAX_DATAGRAMS: u64 = 256;

/// Decodes bytes as each kind of body at the time `now`, and processes them as far as a reader does
/// before it opens or sends anything.
pub fn read_bodies(bytes: &[u8], now: Nanos) -> Bodies {
    let request = postcard::from_bytes::<ControlRequest>(bytes).ok();
    let accepted = request.as_ref().is_some_and(|request| match request {
        ControlRequest::Prepare(spec) => is_accepted(spec),
        ControlRequest::Start(order) => order.check(now).is_ok(),
        _ => true,
    });
    let response = postcard::from_bytes::<ControlResponse>(bytes).map(process_response).is_ok();
    let note = postcard::from_bytes::<ClockNote>(bytes).is_ok();
    Bodies { request: request.is_some(), accepted, response, note }
}

/// Whether a sink accepts this cell; then steps through its schedule.
fn is_accepted(spec: &CellSpec) -> bool {
    if spec.check().is_err() {
        return false;
    }
    let most = usize::from(spec.batch.unwrap_or(64));
    for index in [0, spec.threads - 1] {
        let part = Part { index: index.into(), of: spec.threads.into() };
        let end = spec.time.unwrap_or(Nanos::NEVER);
        let (mut pace, mut now) = (pace(spec.load, end, MAX_DATAGRAMS, part), Nanos::ZERO);
        for _ in 0..MAX_DATAGRAMS {
            match pace.due(now, most) {
                Due::Now(count) => pace.advance(count as u64, 0),
                Due::At(next) => now = next,
                Due::Over => break,
            }
        }
    }
    true
}

/// Processes a response as a client does.
fn process_response(response: ControlResponse) {
    match response {
        ControlResponse::Host(peer) => drop(clean(&*peer)),
        ControlResponse::Ready(ready) => {
            let target = SocketAddr::from(([127, 0, 0, 1], 9));
            let _ = (data_address(target, &ready), source_of(target, &ready));
        }
        ControlResponse::SideResults(results) => {
            let latency = results.rx.unwrap_or_default().latency;
            for by_ns in [i64::MIN / 2, -1_000, 1_000, i64::MAX / 2] {
                drop(OneWay::shifted(&latency, by_ns, Nanos(1)));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{RxResult, TxResult};
    use crate::plan::{Limit, WorkerLoad};
    use crate::remote::protocol::spec::{PeerFacts, PhaseEnd, PhaseSpec, Ready, SideResults};
    use crate::unit::PacketRate;

    /// Changed and random bodies. Arbitrary: a second or two.
    const INPUTS: usize = 6_000;

    /// The reader's clock.
    const NOW: Nanos = Nanos::from_millis(5_000);

    /// Requests of every kind.
    fn requests() -> Vec<ControlRequest> {
        let rate = PacketRate::from_pps(1e4).unwrap();
        let over = Nanos::from_millis(1_000);
        let limit = Limit::Time(over);
        let interval = Some(Nanos::from_millis(1_000));
        let (epoch, rx_epoch, window_end, is_measured) = (NOW, NOW, over, true);
        let order =
            PhaseSpec { tag: 64, epoch, rx_epoch, limit, window_end, interval, is_measured };
        let ended = PhaseEnd { end: NOW, sent_to: vec![1, 2], ..PhaseEnd::default() };
        let loads = [
            WorkerLoad::FlatOut,
            WorkerLoad::Even(rate),
            WorkerLoad::Burst(rate, 32),
            WorkerLoad::Poisson(rate, 7),
            WorkerLoad::Ramp(rate, rate, over),
        ];
        let cell =
            |load| CellSpec { load, time: Some(over), batch: Some(8), ..CellSpec::example() };
        let others = [
            ControlRequest::Host,
            ControlRequest::Start(order),
            ControlRequest::Finish(ended),
            ControlRequest::Stop,
            ControlRequest::Collect,
        ];
        loads.map(|load| ControlRequest::Prepare(cell(load))).into_iter().chain(others).collect()
    }

    /// Responses of every kind that has a body.
    fn responses() -> [ControlResponse; 5] {
        let clock = Some("a clock".to_owned());
        let ready = Ready { tag: 64, ports: vec![9], ..Ready::default() };
        let mut rx = RxResult { flows: vec![5, 6], workers: vec![11], ..RxResult::default() };
        for value in 1..40 {
            rx.latency.from_schedule.record(value * value * 1_000);
            rx.latency.from_send.record(value * 1_000);
        }
        let results = SideResults { tx: Some(TxResult::default()), rx: Some(rx) };
        [
            ControlResponse::Host(Box::new(PeerFacts { clock, ..PeerFacts::default() })),
            ControlResponse::Ready(ready),
            ControlResponse::Reached(true),
            ControlResponse::SideResults(Box::new(results)),
            ControlResponse::Refused("no".to_owned()),
        ]
    }

    #[test]
    fn reads_unchanged_and_changed_bodies() {
        let note = postcard::to_stdvec(&ClockNote { shift_ns: -5 }).unwrap();
        assert!(read_bodies(&note, NOW).note);
        let mut bodies = vec![note];
        for body in requests().iter().map(|body| postcard::to_stdvec(body).unwrap()) {
            let read = read_bodies(&body, NOW);
            assert!(read.request && read.accepted, "{read:?}");
            for len in 0..body.len() {
                assert!(!read_bodies(&body[..len], NOW).request, "{len} bytes");
            }
            bodies.push(body);
        }
        for body in responses().iter().map(|body| postcard::to_stdvec(body).unwrap()) {
            assert!(read_bodies(&body, NOW).response);
            bodies.push(body);
        }
        let mut random = fastrand::Rng::with_seed(0);
        let [mut requests, mut accepted, mut responses] = [0; 3];
        for round in 0..INPUTS {
            let mut bytes = bodies[random.usize(..bodies.len())].clone();
            if round % 5 == 0 {
                bytes = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
            }
            for _ in 0..random.usize(..4) {
                let at = random.usize(..bytes.len().max(1));
                let end = (at + 1).min(bytes.len());
                match random.u8(..4) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.splice(at..at, random.u64(..).to_be_bytes())),
                    // The largest number that fits.
                    2 => drop(bytes.splice(at..end, [0xFF; 9].into_iter().chain([1]))),
                    _ => bytes[at..end].fill(random.u8(..)),
                }
            }
            let read = read_bodies(&bytes, NOW);
            requests += usize::from(read.request);
            accepted += usize::from(read.accepted);
            responses += usize::from(read.response);
        }
        // Changed ones got beyond the first checks, and some of them beyond the limits.
        let counts = (requests, accepted, responses);
        assert!(requests > accepted, "{counts:?}");
        assert!(accepted.min(responses) > INPUTS / 20, "{counts:?}");
    }
}
