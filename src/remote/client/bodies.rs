//! Decodes and checks bytes as bodies of control messages as both ends do, without a socket or a
//! thread, for fuzzing.

use std::net::SocketAddr;

use super::blast::{data_address, source_of};
use crate::measure::OneWay;
use crate::pace::{Due, Part};
use crate::remote::client::sanitize::clean;
use crate::remote::protocol::spec::{
    CellSpec, ClockNote, ControlRequest, ControlResponse, SideResults,
};
use crate::run::send_job::pace;
use crate::unit::Nanos;

/// The kinds of body that bytes decode as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bodies {
    /// A request.
    pub asked: bool,
    /// A request that a sink accepts.
    pub agreed: bool,
    /// A response.
    pub told: bool,
    /// A clock correction.
    pub noted: bool,
}

/// The datagrams of a schedule to step through. Arbitrary: a few batches.
const MAX_DATAGRAMS: u64 = 256;

/// Decodes bytes as each kind of body, at the time `now` of the reader, and processes them as far
/// as a reader does before it opens or sends anything.
#[must_use]
pub fn read_bodies(bytes: &[u8], now: Nanos) -> Bodies {
    let ask = postcard::from_bytes::<ControlRequest>(bytes).ok();
    let agreed = match &ask {
        Some(ControlRequest::Prepare(spec)) => agrees(spec),
        Some(ControlRequest::Start(order)) => order.objection(now).is_none(),
        Some(_) => true,
        None => false,
    };
    let told = postcard::from_bytes::<ControlResponse>(bytes).ok();
    let (asked, is_told) = (ask.is_some(), told.is_some());
    if let Some(told) = told {
        take(told);
    }
    let noted = postcard::from_bytes::<ClockNote>(bytes).is_ok();
    Bodies { asked, agreed, told: is_told, noted }
}

/// Whether a sink accepts this cell; then steps through its schedule.
fn agrees(spec: &CellSpec) -> bool {
    if spec.objection().is_some() {
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
fn take(told: ControlResponse) {
    match told {
        ControlResponse::Host(peer) => drop(clean(peer.facts)),
        ControlResponse::Ready(ready) => {
            let target = SocketAddr::from(([127, 0, 0, 1], 9));
            let _ = (data_address(target, &ready), source_of(target, &ready));
        }
        ControlResponse::SideResults(results) => {
            let SideResults { rx, .. } = *results;
            for by_ns in [i64::MIN / 2, -1_000, 1_000, i64::MAX / 2] {
                let latency = rx.as_ref().map(|rx| &rx.latency);
                drop(latency.map(|latency| OneWay::shifted(latency, by_ns, Nanos(1))));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostFacts;
    use crate::measure::{RxResult, TxResult};
    use crate::plan::{Limit, WorkerLoad};
    use crate::remote::protocol::spec::{Directions, PeerFacts, PhaseEnd, PhaseSpec, Ready};
    use crate::unit::PacketRate;

    /// Changed and random bodies. Arbitrary: a second or two of them.
    const INPUTS: usize = 6_000;

    /// The reader's clock.
    const NOW: Nanos = Nanos::from_millis(5_000);

    fn asks() -> Vec<ControlRequest> {
        let rate = PacketRate::from_pps(1e4).unwrap();
        let over = Nanos::from_millis(1_000);
        let loads = [
            WorkerLoad::FlatOut,
            WorkerLoad::Even(rate),
            WorkerLoad::Burst(rate, 32),
            WorkerLoad::Poisson(rate, 7),
            WorkerLoad::Ramp(rate, rate, over),
        ];
        let cell = |load| CellSpec {
            directions: Directions { forward: true, reverse: true },
            load,
            streams: 4,
            time: Some(over),
            batch: Some(8),
            ..CellSpec::example()
        };
        let limit = Limit::Time(over);
        let order = PhaseSpec { tag: 64, epoch: NOW, rx_epoch: NOW, limit, window_end: over };
        let ended = PhaseEnd { end: NOW, finished: NOW, sent_to: vec![1, 2], sent: 3, received: 4 };
        let others = [
            ControlRequest::Host,
            ControlRequest::Start(order),
            ControlRequest::Finish(ended),
            ControlRequest::Stop,
            ControlRequest::Collect,
        ];
        loads.map(cell).map(ControlRequest::Prepare).into_iter().chain(others).collect()
    }

    fn tolds() -> Vec<ControlResponse> {
        let facts = HostFacts { hostname: Some("a host".to_owned()), ..HostFacts::default() };
        let peer = PeerFacts {
            version: "0.1.0".to_owned(),
            facts,
            missing: Vec::new(),
            clock: Some("a clock".to_owned()),
            network: None,
            receivers: 2,
        };
        let ready = Ready { tag: 64, ports: vec![9], source: None, secret: [7; 16] };
        let mut rx = RxResult { flows: vec![5, 6], workers: vec![11], ..RxResult::default() };
        for value in 1..40 {
            rx.latency.from_schedule.record(value * value * 1_000);
            rx.latency.from_send.record(value * 1_000);
        }
        let results = SideResults { tx: Some(TxResult::default()), rx: Some(rx) };
        vec![
            ControlResponse::Host(Box::new(peer)),
            ControlResponse::Ready(ready),
            ControlResponse::Reached(true),
            ControlResponse::TooLate,
            ControlResponse::SideResults(Box::new(results)),
            ControlResponse::Refused("no".to_owned()),
        ]
    }

    fn bodies() -> Vec<Vec<u8>> {
        let asks = asks().iter().map(|ask| postcard::to_stdvec(ask).unwrap()).collect::<Vec<_>>();
        let told = tolds().into_iter().map(|told| postcard::to_stdvec(&told).unwrap());
        let note = postcard::to_stdvec(&ClockNote { shift_ns: -5 }).unwrap();
        asks.into_iter().chain(told).chain([note]).collect()
    }

    #[test]
    fn what_either_end_says_is_understood_by_the_other() {
        let (asks, tolds, all) = (asks().len(), tolds().len(), bodies());
        for (index, body) in all.iter().enumerate() {
            let read = read_bodies(body, NOW);
            assert!(index >= asks || read.asked && read.agreed, "{index}: {read:?}");
            assert!(!(asks..asks + tolds).contains(&index) || read.told, "{index}: {read:?}");
        }
        assert!(read_bodies(all.last().unwrap(), NOW).noted);
    }

    #[test]
    fn no_body_confuses_either_end() {
        let bodies = bodies();
        let mut random = fastrand::Rng::with_seed(0);
        let mut next = || random.u64(..);
        let [mut asked, mut agreed, mut told] = [0; 3];
        for round in 0..INPUTS {
            let mut bytes = bodies[next() as usize % bodies.len()].clone();
            if round % 5 == 0 {
                bytes = (0..next() % 64).map(|_| next() as u8).collect();
            }
            for _ in 0..next() % 4 {
                let at = next() as usize % bytes.len().max(1);
                match next() % 5 {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.splice(at..at, next().to_be_bytes())),
                    // The largest number that fits.
                    2 => {
                        drop(bytes.splice(
                            at..(at + 1).min(bytes.len()),
                            [0xFF; 9].into_iter().chain([1]),
                        ))
                    }
                    3 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = next() as u8),
                    _ => {
                        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (round % 8))
                    }
                }
            }
            let read = read_bodies(&bytes, NOW);
            asked += usize::from(read.asked);
            agreed += usize::from(read.agreed);
            told += usize::from(read.told);
        }
        // Changed ones got beyond the first checks, and some of them beyond the objections.
        assert!(
            asked > agreed && agreed > INPUTS / 20 && told > INPUTS / 20,
            "{asked} {agreed} {told}"
        );
    }
}
