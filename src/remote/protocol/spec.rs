//! What a client asks of a sink and what it is told: the bodies of control messages.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::measure::{RxResult, TxResult};

use crate::host::HostFacts;
use crate::plan::{EnginePair, LONGEST, Limit, MAX_BATCH, MissingEngine, WorkerLoad};
use crate::unit::{MAX_PAYLOAD, MIN_PAYLOAD, Nanos, PayloadSize};

/// What the client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ControlRequest {
    /// Who are you?
    Host,
    /// Set up the workers of a cell.
    Prepare(CellSpec),
    /// Have all sockets that you shall send to shown themselves?
    Reached,
    /// Begin a phase.
    Start(PhaseSpec),
    /// My senders have ended, or I have none; have yours?
    Finish(Ended),
    /// End the phase early.
    Stop,
    /// Hand over what was measured, and end the cell.
    Collect,
}

/// What it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ControlResponse {
    /// About this host.
    Host(Box<PeerFacts>),
    /// The workers are set up.
    Ready(Ready),
    /// Whether all have shown themselves.
    Reached(bool),
    /// The phase begins at the moment asked for.
    Started,
    /// That moment has passed; nothing has begun.
    TooLate,
    /// The phase is not over yet.
    Running,
    /// The phase is over.
    Finished(Ended),
    /// What was measured.
    Halves(Box<Halves>),
    /// Done.
    Done,
    /// It cannot be, for this reason.
    Refused(String),
}

/// A sink and its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerFacts {
    /// The version of the program.
    pub(crate) version: String,
    /// Of the host.
    pub(crate) facts: HostFacts,
    /// Engines that it does not have.
    pub(crate) missing: Vec<MissingEngine>,
    /// Equal on both ends exactly if they read the same clock.
    pub(crate) clock: Option<String>,
    /// Equal on both ends exactly if they are in one network namespace of one host.
    pub(crate) network: Option<String>,
    /// Receivers that each client gets.
    pub(crate) receivers: u16,
}

/// Which way datagrams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ways {
    /// From the client to the sink.
    pub(crate) forward: bool,
    /// From the sink to the client.
    pub(crate) reverse: bool,
}

/// The sink's part of a cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CellSpec {
    pub(crate) ways: Ways,
    pub(crate) engine: EnginePair,
    pub(crate) size: PayloadSize,
    pub(crate) load: WorkerLoad,
    pub(crate) streams: u16,
    /// Senders, and the client's receivers.
    pub(crate) threads: u16,
    /// Threads of the client that compete with the sink's for the same CPUs.
    pub(crate) neighbours: u16,
    /// The longest phase, where time decides.
    pub(crate) time: Option<Nanos>,
    pub(crate) batch: Option<u16>,
    pub(crate) stamps: bool,
    pub(crate) socket_buffer: u64,
    pub(crate) seed: u64,
    /// Whether flows go to receivers by a hash of where they come from, as SO_REUSEPORT has it,
    /// instead of in turn.
    pub(crate) by_hash: bool,
}

/// The most senders that a client may ask for. Arbitrary: more than any host has cores to give.
const MOST_THREADS: u16 = 256;

/// The most flows that a client may ask for: their windows take 128 MiB in each receiver where all
/// come out of order. Arbitrary.
const MOST_STREAMS: u16 = 16_384;

/// The largest burst; as the words of the command line have it.
const MOST_BURST: u32 = 65_536;

/// How far ahead a phase may begin, which is also how long its workers cannot be stopped before:
/// a little more than the longest lead that a client tries. Arbitrary.
const MOST_AHEAD: Nanos = Nanos::from_millis(15_000);

impl CellSpec {
    /// What no sink would do, whoever asks: what comes over the network has passed no plan.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        let rates_are_sound = match self.load {
            WorkerLoad::FlatOut => true,
            // Captures are asked with, and never sent to a sink.
            WorkerLoad::Recorded(..) => false,
            WorkerLoad::Even(rate) | WorkerLoad::Poisson(rate, _) => rate.is_sound(),
            WorkerLoad::Burst(rate, size) => rate.is_sound() && (1..=MOST_BURST).contains(&size),
            WorkerLoad::Ramp(from, to, over) => {
                from.is_sound() && to.is_sound() && (Nanos(1)..=LONGEST).contains(&over)
            }
        };
        let batch_is_sound = self.batch.is_none_or(|batch| (1..=MAX_BATCH).contains(&batch));
        let size = self.size.largest();
        let null = EnginePair::NULL;
        if self.threads == 0 || self.streams < self.threads {
            Some("each thread needs a stream; ask for more by --streams")
        } else if self.streams > MOST_STREAMS {
            Some("16,384 streams are the most between hosts; ask for fewer")
        } else if self.threads > MOST_THREADS {
            Some("256 threads are the most; ask for fewer")
        } else if self.engine.tx == null.tx || self.engine.rx == null.rx {
            Some("the engine null has no network; name another one")
        } else if !(MIN_PAYLOAD..=MAX_PAYLOAD).contains(&size) {
            Some("payloads have 16 to 65,507 bytes; ask for such")
        } else if !rates_are_sound || !batch_is_sound {
            Some("a rate, a burst or a batch is out of bounds; run the same udperf at both ends")
        } else {
            None
        }
    }
}

impl PhaseSpec {
    /// What is wrong with a phase that shall begin, at `now`.
    pub(crate) fn objection(&self, now: Nanos) -> Option<&'static str> {
        let long = matches!(self.limit, Limit::Time(time) if time > LONGEST);
        let far = self.epoch.since(now) > MOST_AHEAD || self.rx_epoch > self.epoch;
        (long || far).then_some("a phase begins within 15 s and takes a day at most")
    }
}

/// How to reach the workers of a cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The tag of the first phase; it has the next five bits for itself.
    pub(crate) tag: u16,
    /// The port of each receiver; empty: all are at the sink's own.
    pub(crate) ports: Vec<u16>,
    /// The address that the sink sends from, where that is not the one that was called: of a host
    /// with several, the system takes the one that is on the way to the client.
    pub(crate) source: Option<IpAddr>,
    /// What the client's receiving sockets must show to be sent to.
    pub(crate) secret: [u8; 16],
}

/// A phase to begin.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PhaseSpec {
    pub(crate) tag: u16,
    /// When it begins for the sink's senders, by the sink's clock.
    pub(crate) epoch: Nanos,
    /// When it begins for the sink's receivers: earlier, so that no error of the clocks makes a
    /// latency negative.
    pub(crate) rx_epoch: Nanos,
    pub(crate) limit: Limit,
    /// When the client's senders mean to end, since `rx_epoch`.
    pub(crate) window_end: Nanos,
}

/// The end of a phase on one side.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// When the senders' window ended, since the receivers' epoch.
    pub(crate) end: Nanos,
    /// When the latest sender finished, since then.
    pub(crate) finished: Nanos,
    /// Datagrams sent to each receiver; fewer numbers than receivers where that is not known.
    pub(crate) sent_to: Vec<u64>,
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Datagrams received.
    pub(crate) received: u64,
}

/// What the sink measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Halves {
    pub(crate) tx: Option<TxResult>,
    pub(crate) rx: Option<RxResult>,
}

/// A correction between the clocks, which goes along with an exchange of readings.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ClockNote {
    /// How much further ahead the sink's clock is than was believed when the phase began.
    pub(crate) shift_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::PacketRate;

    fn sound() -> CellSpec {
        CellSpec {
            ways: Ways { forward: true, reverse: false },
            engine: EnginePair::PLAIN,
            size: PayloadSize::Fixed(64),
            load: WorkerLoad::FlatOut,
            streams: 2,
            threads: 2,
            neighbours: 2,
            time: None,
            batch: None,
            stamps: false,
            socket_buffer: 65_536,
            seed: 1,
            by_hash: false,
        }
    }

    #[test]
    fn what_no_plan_would_let_through_is_refused() {
        let rate = PacketRate::from_pps(1e3).unwrap();
        assert_eq!(sound().objection(), None);
        let paced = CellSpec { load: WorkerLoad::Burst(rate, 32), ..sound() };
        assert_eq!(paced.objection(), None);
        // A rate of 0, as no parser gives it.
        let zero: PacketRate = postcard::from_bytes(&[0]).unwrap();
        let wrong = [
            CellSpec { threads: 0, ..sound() },
            CellSpec { streams: 1, ..sound() },
            CellSpec { streams: 16_385, ..sound() },
            CellSpec { threads: 257, streams: 257, ..sound() },
            CellSpec { engine: EnginePair::NULL, ..sound() },
            CellSpec { size: PayloadSize::Fixed(15), ..sound() },
            CellSpec { size: PayloadSize::Fixed(65_508), ..sound() },
            CellSpec { batch: Some(0), ..sound() },
            CellSpec { batch: Some(1_025), ..sound() },
            CellSpec { load: WorkerLoad::Even(zero), ..sound() },
            CellSpec { load: WorkerLoad::Burst(rate, 0), ..sound() },
            CellSpec { load: WorkerLoad::Ramp(rate, rate, Nanos::ZERO), ..sound() },
            CellSpec { load: WorkerLoad::Ramp(rate, rate, Nanos::NEVER), ..sound() },
        ];
        for spec in wrong {
            assert!(spec.objection().is_some(), "{spec:?}");
        }
    }

    #[test]
    fn a_phase_neither_waits_nor_lasts_for_ever() {
        let now = Nanos::from_millis(5_000);
        let epoch = now + MOST_AHEAD;
        let limit = Limit::Time(LONGEST);
        let sound = PhaseSpec { tag: 64, epoch, rx_epoch: now, limit, window_end: Nanos::NEVER };
        assert_eq!(sound.objection(now), None);
        let wrong = [
            PhaseSpec { epoch: epoch + Nanos(1), ..sound },
            PhaseSpec { epoch: Nanos::NEVER, rx_epoch: Nanos::NEVER, ..sound },
            PhaseSpec { rx_epoch: epoch + Nanos(1), ..sound },
            PhaseSpec { limit: Limit::Time(LONGEST + Nanos(1)), ..sound },
        ];
        for phase in wrong {
            assert!(phase.objection(now).is_some(), "{phase:?}");
        }
    }

    #[test]
    fn whatever_is_asked_is_read_or_refused() {
        let bytes = postcard::to_stdvec(&ControlRequest::Prepare(sound())).unwrap();
        assert!(matches!(postcard::from_bytes(&bytes), Ok(ControlRequest::Prepare(_))));
        for len in 0..bytes.len() {
            assert!(postcard::from_bytes::<ControlRequest>(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(postcard::from_bytes::<ControlRequest>(&[255; 64]).is_err());
        assert!(postcard::from_bytes::<ControlResponse>(&[255; 64]).is_err());
    }
}
