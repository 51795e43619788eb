//! One client's cells at a sink: a thread that sets up workers, leads them through phases and hands
//! over what they measured, one request after the other.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::budget::Budget;
use super::cell::SinkCell;
use super::options::SinkOptions;
use super::tally::SinkTallies;
use crate::clock::Clock;
use crate::measure::{DeviceFacts, HostFacts};
use crate::net::{Group, Slot};
use crate::plan::{Limit, WorkerLoad};
use crate::remote::protocol::spec::{
    ControlRequest, ControlResponse, Ended, Halves, PeerFacts, PhaseSpec,
};
use crate::remote::sink::liveness::Liveness;
use crate::run::RunError;
use crate::sys;
use crate::unit::{Nanos, PacketRate, show_pps};

/// How often a session that sends looks whether its client is still there; arbitrary, seldom enough
/// not to disturb.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The same while what comes back from the network is kept at sockets of all, where it takes the
/// room of datagrams. Arbitrary: some thousand such words fit into a listener's buffer.
const HEED_EVERY: Duration = Duration::from_millis(2);

/// What the thread of a session is told.
#[derive(Debug)]
pub(super) enum SessionCommand {
    /// A request, with its number.
    Ask(u32, Vec<u8>),
    /// The client has said anew how far its clock is off; how far, is in the pulse.
    Shift,
}

/// What all sessions share.
#[derive(Debug)]
pub(super) struct SinkShared {
    pub(super) options: SinkOptions,
    pub(super) facts: HostFacts,
    /// Receivers that run now, of all sessions.
    pub(super) busy: AtomicUsize,
    /// What they may take together.
    pub(super) budget: Arc<Budget>,
}

/// One client.
pub(super) struct SinkSession {
    pub(super) house: Arc<SinkShared>,
    pub(super) sockets: Arc<Mutex<Group>>,
    pub(super) pulse: Arc<Liveness>,
    pub(super) from: SocketAddr,
    /// Where it was called from there; `None`: that is not known.
    pub(super) called: Option<IpAddr>,
    pub(super) secret: [u8; 16],
    pub(super) cell: Option<SinkCell>,
    /// Whether sockets of all keep what the network sends back, because this session looks for it.
    pub(super) heeding: bool,
    /// The device on the way to the client, looked for once: others may be measuring.
    pub(super) way: OnceCell<Option<DeviceFacts>>,
    pub(super) served: SinkTallies,
}

impl SinkSession {
    /// Does what it is told until nobody tells anything any more.
    pub(super) fn run(
        mut self,
        commands: &Receiver<SessionCommand>,
        reply: &dyn Fn(u32, Vec<u8>),
    ) -> SinkTallies {
        loop {
            let came = match &self.cell {
                Some(cell) if cell.is_sending() => {
                    commands.recv_timeout(if self.heeding { HEED_EVERY } else { LOOK_EVERY })
                }
                _ => commands.recv().map_err(Into::into),
            };
            match came {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.look_for_client(),
                Ok(SessionCommand::Ask(number, body)) => {
                    self.heed(false);
                    let told = match postcard::from_bytes(&body) {
                        Ok(ask) => self.answer(ask),
                        Err(_) => ControlResponse::Refused(
                            "the request cannot be read; run the same udperf at both ends".into(),
                        ),
                    };
                    // All that is told can be written: it has no map with keys of unknown kind.
                    reply(number, postcard::to_stdvec(&told).unwrap_or_default());
                }
                Ok(SessionCommand::Shift) => {
                    let by_ns = self.pulse.take_shift();
                    if let Some(cell) = &self.cell {
                        cell.shift(by_ns);
                    }
                }
            }
        }
        self.put_down();
        self.served
    }

    /// Looks whether the client that is sent to is still there. Its host says where it is not, but
    /// such words go to any socket of the port; so they are looked for at all that nobody else
    /// reads, once nothing has been heard of the client for a while. Whether it is let go is for
    /// the event loop to say.
    fn look_for_client(&mut self) {
        let silent = self.pulse.is_silent(Clock::Monotonic.now());
        let Some(cell) = self.cell.as_ref().filter(|_| silent) else {
            return self.heed(false);
        };
        // A word from before says nothing of now; one at a socket of the session may be meant for
        // somebody else who is gone, too, which the silence makes unlikely.
        let fresh = cell.take_unreachable() && self.heeding;
        if !self.heeding {
            self.heed(true);
        } else if fresh || self.sockets().refused(&cell.known_targets()) {
            self.pulse.lose();
            self.heed(false);
        }
    }

    /// Has sockets of all keep what the network sends back, or not any more.
    fn heed(&mut self, on: bool) {
        if self.heeding != on {
            self.heeding = on;
            self.sockets().heed(on);
        }
    }

    fn answer(&mut self, ask: ControlRequest) -> ControlResponse {
        let told = match ask {
            ControlRequest::Host => Ok(ControlResponse::Host(Box::new(self.facts()))),
            ControlRequest::Prepare(spec) => self.prepare(spec),
            ControlRequest::Reached => self.reached(),
            ControlRequest::Start(order) => Ok(self.start(order)),
            ControlRequest::Finish(ended) => self.finish(&ended),
            ControlRequest::Stop => {
                if let Some(cell) = &self.cell {
                    cell.halt();
                }
                Ok(ControlResponse::Done)
            }
            ControlRequest::Collect => self.collect(),
        };
        told.unwrap_or_else(|error: RunError| {
            self.put_down();
            ControlResponse::Refused(error.to_string())
        })
    }

    fn facts(&self) -> PeerFacts {
        let house = &self.house;
        let machine = crate::host::machine(&house.facts);
        PeerFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: HostFacts { device: self.device(), ..house.facts.clone() },
            missing: machine.missing,
            clock: sys::clock_identity(),
            network: sys::network_identity(),
            receivers: self.receivers(),
        }
    }

    /// The device of the address that we listen at; bound to any, that on the way to the client.
    pub(super) fn device(&self) -> Option<DeviceFacts> {
        let towards = || crate::host::device_towards(self.from, self.sockets().local().ip(), None);
        self.house.facts.device.clone().or_else(|| self.way.get_or_init(towards).clone())
    }

    /// Where senders here send from, if not from where the client has called.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let called = self.called?;
        let source = crate::host::source_towards(self.from, self.sockets().local().ip())?;
        (source != called).then_some(source)
    }

    /// Receivers that a client gets.
    pub(super) fn receivers(&self) -> u16 {
        if self.sockets().can_steer() { self.house.options.threads } else { 1 }
    }

    pub(super) fn sockets(&self) -> MutexGuard<'_, Group> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&mut self, order: PhaseSpec) -> ControlResponse {
        let max_time = self.house.options.max_time;
        let too_long = match order.limit {
            Limit::Time(time) => max_time.is_some_and(|most| time > most),
            Limit::Count(_) => max_time.is_some(),
        };
        if too_long {
            return ControlResponse::Refused("that is longer than its --max-time".into());
        }
        if let Some(why) = order.objection(Nanos(sys::monotonic_ns())) {
            return ControlResponse::Refused(why.to_owned());
        }
        self.served.told = None;
        let until = match order.limit {
            Limit::Time(time) => Nanos(order.epoch.0.saturating_add(time.0)),
            Limit::Count(_) => Nanos::ZERO,
        };
        let told = match &mut self.cell {
            Some(cell) => cell.start(order),
            None => ControlResponse::Refused("there is no cell to start".into()),
        };
        if matches!(told, ControlResponse::Started) {
            self.pulse.set_busy_until(until);
        }
        told
    }

    fn finish(&mut self, ended: &Ended) -> Result<ControlResponse, RunError> {
        self.served.told = Some(ended.sent);
        let Some(cell) = &mut self.cell else {
            return Ok(ControlResponse::Refused("there is no cell to finish".into()));
        };
        let began = cell.began();
        let told = cell.finish(ended)?;
        self.pulse.set_busy_until(Nanos::ZERO);
        if let ControlResponse::Finished(there) = &told
            && let Some((most, began)) = self.house.options.max_rate.zip(began)
        {
            let time = Nanos(sys::monotonic_ns()) - began;
            if there.received as f64 > allowed(most, cell.spec.load, time) {
                self.put_down();
                let most = show_pps(most.pps());
                let why = format!("more came than its --max-rate of {most} allows");
                return Ok(ControlResponse::Refused(why));
            }
        }
        Ok(told)
    }

    fn collect(&mut self) -> Result<ControlResponse, RunError> {
        let Some(mut cell) = self.cell.take() else {
            return Ok(ControlResponse::Refused("there is no cell to hand over".into()));
        };
        cell.abandon();
        let SinkCell { crew, slot, seen, taken, .. } = cell;
        let collected = crew.collect("sink");
        drop(taken);
        self.give_back(&slot);
        let (tx, rx) = collected?;
        let mut halves = Halves { tx, rx };
        if let Some(seen) = seen {
            halves.tx.iter_mut().for_each(|half| seen.into_tx(half));
            halves.rx.iter_mut().for_each(|half| seen.into_rx(half));
        }
        self.served.add(&halves);
        Ok(ControlResponse::Halves(Box::new(halves)))
    }

    /// Ends a cell that nobody will ask for any more.
    pub(super) fn put_down(&mut self) {
        self.heed(false);
        self.pulse.set_busy_until(Nanos::ZERO);
        if let Some(mut cell) = self.cell.take() {
            cell.abandon();
            let SinkCell { crew, slot, taken, .. } = cell;
            // What went wrong has been told.
            let _ = crew.collect("sink");
            drop(taken);
            self.give_back(&slot);
        }
    }

    pub(super) fn give_back(&self, slot: &Slot) {
        self.house.busy.fetch_sub(slot.receivers(), Ordering::Relaxed);
        self.sockets().give_back(slot.number, slot.phase);
    }
}

/// The most datagrams that may have come of a load within this time, whatever was declared: a burst
/// more than the rate has, five standard deviations where chance decides, and 1 % for clocks and
/// for what is cut at both ends. Arbitrary.
fn allowed(most: PacketRate, load: WorkerLoad, time: Nanos) -> f64 {
    let mean = most.pps() * time.0 as f64 / 1e9;
    let burst = match load {
        WorkerLoad::Burst(_, size) => f64::from(size),
        WorkerLoad::Poisson(..) => 1.0 + 5.0 * mean.sqrt(),
        _ => 1.0,
    };
    mean * 1.01 + burst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_held_against_the_limit_and_not_against_what_was_declared() {
        let rate = |pps: f64| PacketRate::from_pps(pps).unwrap();
        let (most, time) = (rate(1_000.0), Nanos::from_millis(10_000));
        for declared in [WorkerLoad::FlatOut, WorkerLoad::Even(rate(1.0))] {
            let allowed = allowed(most, declared, time);
            assert!((10_001.0..10_200.0).contains(&allowed), "{allowed}");
        }
        assert!(allowed(most, WorkerLoad::Burst(most, 5_000), Nanos::ZERO) >= 5_000.0);
        // 10,000 by chance are within 100 of that in two of three runs.
        assert!(allowed(most, WorkerLoad::Poisson(most, 1), time) >= 10_500.0);
    }
}
