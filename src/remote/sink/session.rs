//! The thread of a session: executes the requests of one client, one after the other.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::SinkOptions;
use super::budget::Budget;
use super::cell::SinkCell;
use crate::clock::Clock;
use crate::document::Device;
use crate::host::HostFacts;
use crate::measure::RxTally;
use crate::net::{Group, Slot};
use crate::plan::{Limit, WorkerLoad};
use crate::remote::protocol::spec::{
    ControlRequest, ControlResponse, PeerFacts, PhaseEnd, PhaseSpec, SideResults,
};
use crate::remote::sink::liveness::Liveness;
use crate::run::RunError;
use crate::sys;
use crate::unit::{Nanos, PacketRate, show_pps};

/// How often a sending session checks whether its client is reachable; arbitrary, seldom enough not
/// to disturb.
const CLIENT_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The same while the shared sockets queue ICMP errors, which take space from datagrams. Arbitrary:
/// some thousand errors fit into a listener's buffer.
const ERROR_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A command for the thread of a session.
#[derive(Debug)]
pub(super) enum SessionCommand {
    Request(u32, Vec<u8>),
    /// The client has sent a clock correction; it is in [`Liveness`].
    Shift,
}

/// State that all sessions share.
#[derive(Debug)]
pub(super) struct SinkShared {
    pub(super) options: SinkOptions,
    pub(super) facts: HostFacts,
    /// Running receivers of all sessions.
    pub(super) busy: AtomicUsize,
    pub(super) budget: Arc<Budget>,
}

/// The sum over the cells of one client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SinkTallies {
    pub(super) cells: u64,
    pub(super) sent: u64,
    pub(super) rx: RxTally,
    pub(super) lost: u64,
    /// Datagrams that the client reports as sent in the last phase.
    reported_sent: Option<u64>,
}

impl SinkTallies {
    fn add(&mut self, results: &SideResults) {
        self.cells += 1;
        self.sent += results.tx.as_ref().map_or(0, |side| side.tally.sent);
        if let Some(side) = &results.rx {
            // Reported by the client, so it may be any number.
            let lost = self.reported_sent.unwrap_or(0).saturating_sub(side.tally.received);
            self.lost = self.lost.saturating_add(lost);
            self.rx.merge(&side.tally);
        }
    }
}

pub(super) struct SinkSession {
    pub(super) shared: Arc<SinkShared>,
    pub(super) sockets: Arc<Mutex<Group>>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) from: SocketAddr,
    /// The local address that the client uses, if known.
    pub(super) called_address: Option<IpAddr>,
    pub(super) secret: [u8; 16],
    pub(super) cell: Option<SinkCell>,
    /// Whether the shared sockets queue ICMP errors for this session.
    pub(super) watching_errors: bool,
    /// The device on the route to the client, looked up once so as not to disturb other sessions.
    pub(super) device_towards_client: OnceCell<Option<Device>>,
    pub(super) served: SinkTallies,
}

impl SinkSession {
    /// Executes commands until the sender is dropped.
    pub(super) fn run(
        mut self,
        commands: &Receiver<SessionCommand>,
        reply: &dyn Fn(u32, Vec<u8>),
    ) -> SinkTallies {
        loop {
            let command = match &self.cell {
                Some(SinkCell { pool, phase: Some(_), .. }) if pool.senders() > 0 => commands
                    .recv_timeout(match self.watching_errors {
                        true => ERROR_POLL_INTERVAL,
                        false => CLIENT_CHECK_INTERVAL,
                    }),
                _ => commands.recv().map_err(Into::into),
            };
            match command {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.check_client(),
                Ok(SessionCommand::Request(number, body)) => {
                    self.watch_errors(false);
                    let response = match postcard::from_bytes(&body) {
                        Ok(request) => self.answer(request),
                        Err(_) => ControlResponse::Refused(
                            "cannot decode the request; run the same udperf at both ends".into(),
                        ),
                    };
                    // Responses consist of types that always serialise.
                    reply(number, postcard::to_stdvec(&response).unwrap_or_default());
                }
                Ok(SessionCommand::Shift) => {
                    let by_ns = self.liveness.take_shift();
                    if let Some(cell) = &self.cell {
                        cell.shift(by_ns);
                    }
                }
            }
        }
        self.discard_cell();
        self.served
    }

    /// Checks whether the client is reachable. ICMP errors may arrive at any socket of the port, so
    /// after a silence all sockets without another reader are checked. The event loop decides
    /// whether the session ends.
    fn check_client(&mut self) {
        let silent = self.liveness.is_silent(Clock::Monotonic.now());
        let Some(cell) = self.cell.as_ref().filter(|_| silent) else {
            return self.watch_errors(false);
        };
        // An error from before the silence proves nothing. One at a socket of the session may
        // concern another client, which the silence makes unlikely.
        let phase = cell.phase.as_ref();
        let is_unreachable = phase.is_some_and(|phase| phase.tx.take_unreachable());
        let known_targets: Vec<_> = cell.targets.iter().flatten().copied().collect();
        if !self.watching_errors {
            self.watch_errors(true);
        } else if is_unreachable || self.sockets().refused(&known_targets) {
            self.liveness.lose();
            self.watch_errors(false);
        }
    }

    /// Turns queueing of ICMP errors at the shared sockets on or off.
    fn watch_errors(&mut self, on: bool) {
        if self.watching_errors != on {
            self.watching_errors = on;
            self.sockets().set_error_reports(on);
        }
    }

    fn answer(&mut self, request: ControlRequest) -> ControlResponse {
        let response = match request {
            ControlRequest::Host => Ok(ControlResponse::Host(Box::new(self.facts()))),
            ControlRequest::Prepare(spec) => self.prepare(spec),
            ControlRequest::Reached => self.reached(),
            ControlRequest::Start(order) => Ok(self.start(order)),
            ControlRequest::Finish(ended) => self.finish(&ended),
            ControlRequest::Stop => {
                if let Some(SinkCell { phase: Some(phase), .. }) = &self.cell {
                    phase.halt.store(true, Ordering::Relaxed);
                }
                Ok(ControlResponse::Done)
            }
            ControlRequest::Collect => self.collect(),
        };
        response.unwrap_or_else(|error: RunError| {
            self.discard_cell();
            ControlResponse::Refused(error.to_string())
        })
    }

    fn facts(&self) -> PeerFacts {
        let shared = &self.shared;
        let machine = crate::host::machine(&shared.facts);
        PeerFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: HostFacts { device: self.device(), ..shared.facts.clone() },
            missing: machine.missing,
            clock: sys::clock_identity(),
            network: sys::network_identity(),
            receivers: self.receivers(),
        }
    }

    /// The device of the listening address, or of the route to the client.
    pub(super) fn device(&self) -> Option<Device> {
        let towards = || crate::host::device_towards(self.from, self.sockets().local().ip(), None);
        let listening = self.shared.facts.device.clone();
        listening.or_else(|| self.device_towards_client.get_or_init(towards).clone())
    }

    /// The source address of the senders, if it is not the address that the client uses.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let called_address = self.called_address?;
        let source = crate::host::source_towards(self.from, self.sockets().local().ip())?;
        (source != called_address).then_some(source)
    }

    /// The receivers of this client.
    pub(super) fn receivers(&self) -> u16 {
        if self.sockets().can_steer() { self.shared.options.threads } else { 1 }
    }

    pub(super) fn sockets(&self) -> MutexGuard<'_, Group> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&mut self, order: PhaseSpec) -> ControlResponse {
        let max_time = self.shared.options.max_time;
        let too_long = match order.limit {
            Limit::Time(time) => max_time.is_some_and(|most| time > most),
            Limit::Count(_) => max_time.is_some(),
        };
        if too_long {
            let why = "the phase is longer than the sink's --max-time";
            return ControlResponse::Refused(why.into());
        }
        if let Some(why) = order.objection(Nanos(sys::monotonic_ns())) {
            return ControlResponse::Refused(why.to_owned());
        }
        self.served.reported_sent = None;
        let until = match order.limit {
            Limit::Time(time) => Nanos(order.epoch.0.saturating_add(time.0)),
            Limit::Count(_) => Nanos::ZERO,
        };
        let response = match &mut self.cell {
            Some(cell) => cell.start(order),
            None => ControlResponse::Refused("there is no cell to start".into()),
        };
        if matches!(response, ControlResponse::Started) {
            self.liveness.set_busy_until(until);
        }
        response
    }

    fn finish(&mut self, ended: &PhaseEnd) -> Result<ControlResponse, RunError> {
        self.served.reported_sent = Some(ended.sent);
        let Some(cell) = &mut self.cell else {
            return Ok(ControlResponse::Refused("there is no cell to finish".into()));
        };
        let began = cell.phase.as_ref().map(|phase| phase.began);
        let response = cell.finish(ended)?;
        self.liveness.set_busy_until(Nanos::ZERO);
        if let ControlResponse::Finished(there) = &response
            && let Some((most, began)) = self.shared.options.max_rate.zip(began)
        {
            let time = Nanos(sys::monotonic_ns()) - began;
            if there.received as f64 > allowed(most, cell.spec.load, time) {
                self.discard_cell();
                let most = show_pps(most.pps());
                let why = format!("received more than the sink's --max-rate of {most} allows");
                return Ok(ControlResponse::Refused(why));
            }
        }
        Ok(response)
    }

    fn collect(&mut self) -> Result<ControlResponse, RunError> {
        let Some(results) = self.end_cell() else {
            return Ok(ControlResponse::Refused("there is no cell to collect".into()));
        };
        let results = results?;
        self.served.add(&results);
        Ok(ControlResponse::SideResults(Box::new(results)))
    }

    /// Ends the present cell, if any, and returns its results.
    fn end_cell(&mut self) -> Option<Result<SideResults, RunError>> {
        let mut cell = self.cell.take()?;
        cell.abandon();
        let SinkCell { pool, slot, counters, lease, .. } = cell;
        let collected = pool.collect("sink");
        drop(lease);
        self.release_slot(&slot);
        Some(collected.map(|(mut tx, mut rx)| {
            if let Some(counters) = counters {
                tx.iter_mut().for_each(|side| counters.into_tx(side));
                rx.iter_mut().for_each(|side| counters.into_rx(side));
            }
            SideResults { tx, rx }
        }))
    }

    /// Ends the present cell without results.
    pub(super) fn discard_cell(&mut self) {
        self.watch_errors(false);
        self.liveness.set_busy_until(Nanos::ZERO);
        // Its error was reported to the client.
        drop(self.end_cell());
    }

    pub(super) fn release_slot(&self, slot: &Slot) {
        self.shared.busy.fetch_sub(slot.receivers(), Ordering::Relaxed);
        self.sockets().release_slot(slot.number, slot.phase);
    }
}

/// The most datagrams that the rate limit `most` allows within this time: plus one burst, plus five
/// standard deviations of a Poisson load, plus 1 % for clock error and rounding. Arbitrary.
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
    fn received_counts_are_compared_with_the_limit() {
        let rate = |pps: f64| PacketRate::from_pps(pps).unwrap();
        let (most, time) = (rate(1_000.0), Nanos::from_millis(10_000));
        for declared in [WorkerLoad::FlatOut, WorkerLoad::Even(rate(1.0))] {
            let allowed = allowed(most, declared, time);
            assert!((10_001.0..10_200.0).contains(&allowed), "{allowed}");
        }
        assert!(allowed(most, WorkerLoad::Burst(most, 5_000), Nanos::ZERO) >= 5_000.0);
        // The standard deviation of 10,000 is 100.
        assert!(allowed(most, WorkerLoad::Poisson(most, 1), time) >= 10_500.0);
    }
}
