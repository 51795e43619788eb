//! Requests of a client and responses of a sink: the bodies of control messages.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::host::HostFacts;
use crate::measure::{RxResult, TxResult};
use crate::plan::{
    EnginePair, LONGEST, Limit, MAX_BATCH, MissingEngine, NARROWEST_INTERVAL, WorkerLoad,
};
use crate::unit::{MAX_PAYLOAD, MIN_PAYLOAD, Nanos, PayloadSize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ControlRequest {
    Host,
    Prepare(CellSpec),
    /// Have announcements of all receiving sockets arrived?
    Reached,
    Start(PhaseSpec),
    /// The client's senders have ended, or it has none; have the sink's?
    Finish(PhaseEnd),
    Stop,
    Collect,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ControlResponse {
    Host(Box<PeerFacts>),
    Ready(Ready),
    Reached(bool),
    /// The phase begins at the requested time.
    Started,
    /// That time is too near or past; no phase begins.
    TooLate,
    Running,
    Finished(PhaseEnd),
    SideResults(Box<SideResults>),
    Done,
    Refused(String),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PeerFacts {
    pub(crate) facts: HostFacts,
    pub(crate) missing: Vec<MissingEngine>,
    /// Equal at both ends only if they read the same clock.
    pub(crate) clock: Option<String>,
    /// Equal at both ends only if they are in the same network namespace.
    pub(crate) network: Option<String>,
    pub(crate) receivers: u16,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CellSpec {
    pub(crate) forward: bool,
    pub(crate) reverse: bool,
    pub(crate) engine: EnginePair,
    pub(crate) size: PayloadSize,
    /// That of all processes of the run together.
    pub(crate) load: WorkerLoad,
    /// The number of the client among the processes of its run, from 0, which share the load.
    pub(crate) rank: u16,
    /// How many there are.
    pub(crate) ranks: u16,
    pub(crate) streams: u16,
    /// Senders for this client, and its receivers.
    pub(crate) threads: u16,
    /// Threads of the client, which may be on the sink's host.
    pub(crate) client_threads: u16,
    /// The longest phase, if time limits it.
    pub(crate) time: Option<Nanos>,
    pub(crate) batch: Option<u16>,
    pub(crate) stamps: bool,
    pub(crate) socket_buffer: u64,
    pub(crate) seed: u64,
    /// Whether a hash of their source distributes flows (SO_REUSEPORT), instead of in turn.
    pub(crate) by_hash: bool,
}

/// The most senders of a client. Arbitrary: more than any host has cores.
const MAX_THREADS: u16 = 256;
/// The most flows of a client. Arbitrary: their windows take up to 128 MiB in each receiver.
const MAX_STREAMS: u16 = 16_384;
/// The largest burst; as on the command line.
const MAX_BURST: u32 = 65_536;
/// How far ahead a phase may begin. Arbitrary: a little more than the longest lead of a client.
const MAX_AHEAD: Nanos = Nanos::from_millis(15_000);

impl CellSpec {
    /// The peak rate of this client's part of the load; `None` flat out.
    pub(crate) fn client_peak_pps(&self) -> Option<f64> {
        self.load.peak_pps().map(|pps| pps / f64::from(self.ranks.max(1)))
    }

    /// Checks the limits of every sink.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let rates_are_sound = match self.load {
            WorkerLoad::FlatOut => true,
            // Only requests replay captures.
            WorkerLoad::Recorded(..) => false,
            WorkerLoad::Even(rate) | WorkerLoad::Poisson(rate, _) => rate.is_sound(),
            WorkerLoad::Burst(rate, size) => rate.is_sound() && (1..=MAX_BURST).contains(&size),
            WorkerLoad::Ramp(from, to, over) => {
                from.is_sound() && to.is_sound() && (Nanos(1)..=LONGEST).contains(&over)
            }
        };
        let batch_is_sound = self.batch.is_none_or(|batch| (1..=MAX_BATCH).contains(&batch));
        let size = self.size.largest();
        let null = EnginePair::NULL;
        if self.threads == 0 || self.streams < self.threads {
            Err("each thread needs a flow; use more --streams")
        } else if self.streams > MAX_STREAMS {
            Err("at most 16,384 flows between hosts; use fewer --streams")
        } else if self.threads > MAX_THREADS {
            Err("at most 256 threads; use fewer --threads")
        } else if self.engine.tx == null.tx || self.engine.rx == null.rx {
            Err("the engine null does not use the network; use another engine")
        } else if !(MIN_PAYLOAD..=MAX_PAYLOAD).contains(&size) {
            Err("payload sizes are 16 to 65,507 bytes; change --size")
        } else if !rates_are_sound || !batch_is_sound || self.rank >= self.ranks {
            Err("a rate, burst, batch or rank is out of bounds; run the same udperf at both ends")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
impl CellSpec {
    pub(crate) fn example() -> Self {
        Self {
            forward: true,
            reverse: false,
            engine: EnginePair::PLAIN,
            size: PayloadSize::Fixed(64),
            load: WorkerLoad::FlatOut,
            rank: 0,
            ranks: 1,
            streams: 2,
            threads: 2,
            client_threads: 2,
            time: None,
            batch: None,
            stamps: false,
            socket_buffer: 65_536,
            seed: 1,
            by_hash: false,
        }
    }
}

impl PhaseSpec {
    pub(crate) fn check(&self, now: Nanos) -> Result<(), &'static str> {
        let long = matches!(self.limit, Limit::Time(time) if time > LONGEST);
        if long || self.epoch.since(now) > MAX_AHEAD || self.rx_epoch > self.epoch {
            return Err("a phase begins within 15 s and takes a day at most");
        }
        if self.interval.is_some_and(|width| width < NARROWEST_INTERVAL) {
            return Err("an interval takes 10 ms at least");
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The tag of the first phase; its low bits count phases.
    pub(crate) tag: u16,
    /// The port of each receiver; empty: all are at the sink's port.
    pub(crate) ports: Vec<u16>,
    /// The address that the sink sends from, if it is not the one that the client uses: with
    /// several, the system chooses that of the route to the client.
    pub(crate) source: Option<IpAddr>,
    /// The secret for announcements of the client's receiving sockets.
    pub(crate) secret: [u8; 16],
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PhaseSpec {
    pub(crate) tag: u16,
    /// When the sink's senders begin, on the sink's clock.
    pub(crate) epoch: Nanos,
    /// When its receivers begin: earlier, so that clock error makes no latency negative.
    pub(crate) rx_epoch: Nanos,
    pub(crate) limit: Limit,
    /// The planned end of the client's senders, since `rx_epoch`.
    pub(crate) window_end: Nanos,
    /// Width of the intervals to count by.
    pub(crate) interval: Option<Nanos>,
    /// Whether it is the measured phase, not a warm-up.
    pub(crate) is_measured: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PhaseEnd {
    /// When the senders' window ended, since the receivers' epoch; zero without senders.
    pub(crate) end: Nanos,
    /// When the latest sender finished, since the same.
    pub(crate) finished: Nanos,
    /// Datagrams sent to each receiver; empty if unknown.
    pub(crate) sent_to: Vec<u64>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SideResults {
    pub(crate) tx: Option<TxResult>,
    pub(crate) rx: Option<RxResult>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ClockNote {
    /// How far the sink's clock is ahead of the estimate at the start of the phase.
    pub(crate) shift_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::PacketRate;

    #[test]
    fn rejects_cells_outside_the_bounds() {
        let rate = PacketRate::from_pps(1e3).unwrap();
        // A rate of 0, which no parser returns.
        let zero: PacketRate = postcard::from_bytes(&[0]).unwrap();
        let spec = CellSpec::example;
        assert_eq!(spec().check(), Ok(()));
        assert_eq!(CellSpec { load: WorkerLoad::Burst(rate, 32), ..spec() }.check(), Ok(()));
        let loads = [
            WorkerLoad::Even(zero),
            WorkerLoad::Burst(rate, 0),
            WorkerLoad::Ramp(rate, rate, Nanos::ZERO),
            WorkerLoad::Ramp(rate, rate, Nanos::NEVER),
        ];
        let wrong = [
            CellSpec { threads: 0, ..spec() },
            CellSpec { streams: 1, ..spec() },
            CellSpec { streams: 16_385, ..spec() },
            CellSpec { threads: 257, streams: 257, ..spec() },
            CellSpec { engine: EnginePair::NULL, ..spec() },
            CellSpec { size: PayloadSize::Fixed(15), ..spec() },
            CellSpec { size: PayloadSize::Fixed(65_508), ..spec() },
            CellSpec { ranks: 0, ..spec() },
            CellSpec { rank: 2, ranks: 2, ..spec() },
            CellSpec { batch: Some(0), ..spec() },
            CellSpec { batch: Some(1_025), ..spec() },
        ];
        for spec in wrong.into_iter().chain(loads.map(|load| CellSpec { load, ..spec() })) {
            assert!(spec.check().is_err(), "{spec:?}");
        }
    }

    #[test]
    fn rejects_phases_that_begin_late_or_take_long() {
        let now = Nanos::from_millis(5_000);
        let epoch = now + MAX_AHEAD;
        let limit = Limit::Time(LONGEST);
        let sound = PhaseSpec {
            tag: 64,
            epoch,
            rx_epoch: now,
            limit,
            window_end: Nanos::NEVER,
            interval: None,
            is_measured: true,
        };
        assert_eq!(sound.check(now), Ok(()));
        let wrong = [
            PhaseSpec { epoch: epoch + Nanos(1), ..sound },
            PhaseSpec { rx_epoch: epoch + Nanos(1), ..sound },
            PhaseSpec { interval: Some(Nanos(1)), ..sound },
            PhaseSpec { limit: Limit::Time(LONGEST + Nanos(1)), ..sound },
        ];
        for phase in wrong {
            assert!(phase.check(now).is_err(), "{phase:?}");
        }
    }
}
