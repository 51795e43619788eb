//! Number of source ports of requests: no id is reused while its request may still be answered.

use super::scenario::{Limit, RequestOptions, Scenario, WorkerLoad};
use crate::unit::Nanos;

/// Default maximum requests of a batch: a server's receive buffer of the default length
/// (net.core.rmem_default) holds few small datagrams (measured: 277 of 64 bytes).
pub const REQUEST_BATCH: usize = 64;
/// Maximum time for consecutive requests of one port. Arbitrary: all ports are used often.
const BLOCK: Nanos = Nanos::from_micros(50);
/// Requests in flight of all workers without a rate, and of a worker in a closed loop: at 1.25 s
/// each, 1.6 million and 210,000 per second; measured maxima of a core: 1.4 million and 210,000.
const FLAT_OUT: u64 = 1 << 21;
const CLOSED: u64 = 1 << 18;
/// Maximum number of ports by default. Arbitrary: the number of one-byte ids.
pub(super) const MOST_PORTS: u64 = 256;
/// Ports for requests with a message id and an unknown rate: 4 million message ids. Arbitrary.
const MESSAGE_ID_PORTS: u64 = 64;
/// How long a CoAP server may treat a repeated message id as a retransmission (RFC 7252, 4.8.2).
pub const EXCHANGE_LIFETIME: Nanos = Nanos::from_millis(247_000);

impl RequestOptions {
    /// The ids of all source ports, if this many flows are requested; and how many ports.
    pub fn all_ids(&self, streams: u16) -> (u64, u16) {
        let streams = if self.spread { MOST_PORTS as u16 } else { streams };
        let ids = 1_u64.checked_shl(self.id_bits).unwrap_or(u64::MAX);
        (ids.saturating_mul(streams.into()), streams)
    }

    /// How long the id of an unanswered request is not reused: 1.25 times the timeout (arbitrary).
    pub const fn id_lifetime(&self) -> Nanos {
        Nanos(self.timeout.0.saturating_add(self.timeout.0 / 4))
    }

    /// Ids in use at once by one worker of `of`. `pps`: its peak rate; `None`: flat out. `window`:
    /// maximum requests in flight, in a closed loop.
    pub fn at_once(&self, pps: Option<f64>, window: Option<u64>, of: u64, batch: usize) -> u64 {
        // A second request has the whole timeout again.
        let second = if self.expects_second_reply { self.timeout } else { Nanos::ZERO };
        let waiting = match (pps, window) {
            (Some(pps), _) => (pps * (self.id_lifetime() + second).as_secs_f64()) as u64,
            (None, Some(window)) => window.saturating_mul(4).max(CLOSED),
            (None, None) => FLAT_OUT / of.max(1),
        };
        // A batch that is about to be sent, and one that is about to be given up.
        waiting.saturating_add(if pps.is_some() { 2 * batch as u64 } else { 0 })
    }
}

/// Consecutive requests of one port, a power of two: those due within 50 µs; flat out, one batch.
pub fn block(pps: Option<f64>, batch: usize, id_bits: u32) -> usize {
    let due = pps.map_or(batch, |pps| (pps * BLOCK.as_secs_f64()) as usize);
    // A few ids of a block are lost at either end of a row, so it must be short.
    let ids = 1_usize.checked_shl(id_bits).unwrap_or(usize::MAX);
    ((due.min(ids / 4) + 1).next_power_of_two() / 2).max(1)
}

/// The number of source ports of a cell at this load: as requested, or as many as the ids need.
pub(super) fn streams(scenario: &Scenario, load: WorkerLoad) -> u16 {
    let Some(asking) = scenario.asking.as_ref().filter(|asking| asking.spread) else {
        return scenario.streams;
    };
    let of = u64::from(scenario.threads.max(1));
    let batch = scenario.batch.map_or(REQUEST_BATCH, usize::from);
    let pps = load.peak_pps().map(|pps| pps / of as f64);
    let window = asking.outstanding.map(|all| u64::from(all).div_ceil(of));
    let ids = 1_u64.checked_shl(asking.id_bits).unwrap_or(u64::MAX);
    // A table has a power of two.
    let wanted = asking.at_once(pps, window, of, batch).checked_next_power_of_two();
    let wanted = wanted.unwrap_or(u64::MAX);
    let by_ids = if wanted <= ids {
        1
    } else {
        let a_port = ids - block(pps, batch, asking.id_bits) as u64;
        wanted.div_ceil(a_port.max(1)).min(window.unwrap_or(u64::MAX))
    };
    let by_message_ids =
        asking.message_id_bits.map_or(1, |bits| message_id_ports(scenario, pps, of, bits));
    let most = (MOST_PORTS / of).max(1);
    let ports = by_ids.max(by_message_ids).clamp(1, most) * of;
    // As many at each source, of which there are at most as many as flows.
    let sources = scenario.sources.as_ref().map_or(1, |sources| sources.count() as u64);
    ports.next_multiple_of(sources).min(u16::MAX.into()) as u16
}

/// Ports of a worker with which no message id of so many bits repeats within its lifetime.
fn message_id_ports(scenario: &Scenario, pps: Option<f64>, of: u64, bits: u32) -> u64 {
    let sent_in = |time: Nanos| {
        let time = (time + scenario.warmup).min(EXCHANGE_LIFETIME);
        pps.map(|pps| (pps * time.as_secs_f64()).ceil() as u64)
    };
    let sent = match scenario.limit {
        Limit::Time(time) => sent_in(time),
        Limit::Count(count) => {
            sent_in(Nanos::ZERO).map(|warmup| warmup.saturating_add(count.div_ceil(of)))
        }
    };
    let ids = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
    // One block more than its share may go to a port.
    sent.map_or(MESSAGE_ID_PORTS, |sent| sent.saturating_add(REQUEST_BATCH as u64).div_ceil(ids))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::plan::Sources;
    use crate::unit::PacketRate;

    fn scenario(id_bits: u32) -> Scenario {
        let asking = RequestOptions {
            timeout: Nanos::from_millis(1_000),
            id_bits,
            spread: true,
            ..RequestOptions::default()
        };
        Scenario { asking: Some(asking), ..Scenario::default() }
    }

    fn even(pps: f64) -> WorkerLoad {
        WorkerLoad::Even(PacketRate::from_pps(pps).unwrap())
    }

    #[test]
    fn ports_suffice_for_ids() {
        for (id_bits, load, ports) in [
            (16, even(1_000.0), 1),
            (16, even(50_000.0), 1),
            // 125,128 requests in a table of 131,072; a port has 65,536 ids less a block of 4.
            (16, even(100_000.0), 3),
            (16, WorkerLoad::FlatOut, 33),
            (64, WorkerLoad::FlatOut, 1),
            (4, even(200.0), 35),
            // The maximum.
            (8, WorkerLoad::FlatOut, 256),
        ] {
            assert_eq!(streams(&scenario(id_bits), load), ports, "{id_bits} {load:?}");
        }
        let two = Scenario { threads: 2, ..scenario(16) };
        assert_eq!(streams(&two, WorkerLoad::FlatOut), 34, "17 each, for 2^20 requests");
        assert_eq!(streams(&two, even(1_000.0)), 2);
        let mut fixed = Scenario { streams: 5, ..scenario(16) };
        fixed.asking.as_mut().unwrap().spread = false;
        assert_eq!(streams(&fixed, WorkerLoad::FlatOut), 5);
        assert_eq!([16, 4, 1].map(|id_bits| block(None, 64, id_bits)), [64, 4, 1]);
        // With sources, as many at each.
        for (count, load, ports) in [
            (1, even(100_000.0), 3),
            (2, even(100_000.0), 4),
            (254, even(1_000.0), 254),
            (254, WorkerLoad::FlatOut, 254),
            (20, WorkerLoad::FlatOut, 40),
        ] {
            let all: Vec<_> = (0..count).map(|n| Ipv4Addr::from_bits(n).into()).collect();
            let sources = Sources::new("", &all);
            let scenario = Scenario { sources, ..scenario(16) };
            assert_eq!(streams(&scenario, load), ports, "{count} {load:?}");
        }
        // A closed loop has no more ports than requests.
        for (outstanding, ports) in [(1, 1), (2, 2), (100, 5), (200_000, 17)] {
            let mut closed = scenario(16);
            closed.asking.as_mut().unwrap().outstanding = Some(outstanding);
            assert_eq!(streams(&closed, WorkerLoad::FlatOut), ports);
        }
    }

    #[test]
    fn ids_suffice_for_two_requests_of_an_exchange() {
        for (expects_second_reply, ports) in [(false, 1), (true, 3)] {
            let mut scenario = scenario(16);
            scenario.asking.as_mut().unwrap().expects_second_reply = expects_second_reply;
            assert_eq!(streams(&scenario, even(50_000.0)), ports);
        }
    }

    #[test]
    fn ports_suffice_for_message_ids() {
        let ten_seconds = Limit::Time(Nanos::from_millis(10_000));
        for (limit, load, ports) in [
            (ten_seconds, even(1_000.0), 1),
            // 10.1 s of 10,000 requests each.
            (ten_seconds, even(10_000.0), 2),
            (ten_seconds, WorkerLoad::FlatOut, 64),
            (Limit::Count(200_000), even(10_000.0), 4),
            // After their lifetime they may be used again.
            (Limit::Time(Nanos::from_millis(3_600_000)), even(1_000.0), 4),
        ] {
            let mut coap = Scenario { limit, ..scenario(64) };
            coap.asking.as_mut().unwrap().message_id_bits = Some(16);
            assert_eq!(streams(&coap, load), ports, "{limit:?} {load:?}");
        }
    }
}
