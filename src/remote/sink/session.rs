//! The thread of a session: executes the requests of one client, one after the other.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::SinkOptions;
use super::budget::Budget;
use super::cell::{Outcome, SinkCell};
use super::liveness::{Liveness, RunningCounts};
use crate::clock::Clock;
use crate::document::Device;
use crate::host::HostFacts;
use crate::measure::{ClientStats, IntervalScale, IntervalSeries};
use crate::net::{Group, Slot};
use crate::plan::{Limit, WorkerLoad};
use crate::remote::lock;
use crate::remote::protocol::spec::{
    ControlRequest, ControlResponse, PeerFacts, PhaseEnd, PhaseSpec, SideResults,
};
use crate::run::RunError;
use crate::sys;
use crate::unit::{Nanos, PacketRate, show_pps};

/// How often a session looks while shared sockets queue ICMP errors. Arbitrary: thousands fit into
/// their buffers.
const ERROR_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The number and the body of a request.
pub(super) type SessionRequest = (u32, Vec<u8>);

#[derive(Debug)]
pub(super) struct SinkShared {
    pub(super) options: SinkOptions,
    pub(super) facts: HostFacts,
    pub(super) began: Nanos,
    /// Running receivers of all sessions.
    pub(super) busy: AtomicUsize,
    pub(super) budget: Arc<Budget>,
    /// The cells of all clients by interval since `began`: one for all, as it grows with time.
    pub(super) intervals: Mutex<IntervalSeries>,
}

impl SinkShared {
    pub(super) fn new(options: SinkOptions, facts: HostFacts, began: Nanos) -> Self {
        let (busy, budget, intervals) = Default::default();
        Self { options, facts, began, busy, budget, intervals }
    }
}

pub(super) struct SinkSession {
    pub(super) shared: Arc<SinkShared>,
    pub(super) sockets: Arc<Mutex<Group>>,
    pub(super) liveness: Arc<Mutex<Liveness>>,
    /// The local address that the client uses, if known.
    pub(super) called_address: Option<IpAddr>,
    pub(super) secret: [u8; 16],
    pub(super) cell: Option<SinkCell>,
    /// Whether the shared sockets queue ICMP errors for this session.
    pub(super) watching_errors: bool,
    /// The device on the route to the client, looked up once so as not to disturb other sessions.
    pub(super) device_towards_client: OnceCell<Option<Device>>,
    /// Datagrams that the client reports as sent in the last phase.
    pub(super) reported_sent: Option<u64>,
    pub(super) stats: ClientStats,
}

impl SinkSession {
    /// Executes requests until the sender is dropped.
    pub(super) fn run(
        mut self,
        requests: &Receiver<SessionRequest>,
        reply: &dyn Fn(u32, Vec<u8>),
    ) -> ClientStats {
        loop {
            let request = match &self.cell {
                Some(SinkCell { phase: Some((phase, _)), .. }) => {
                    requests.recv_timeout(match self.watching_errors {
                        true => ERROR_POLL_INTERVAL,
                        false => phase.schedule().wait(),
                    })
                }
                _ => requests.recv().map_err(Into::into),
            };
            // Also at a request, which may be waiting when an interval ends.
            self.cell.iter_mut().for_each(SinkCell::observe_drops);
            match request {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if self.cell.as_ref().is_some_and(|cell| cell.pool.senders() > 0) {
                        self.check_client();
                    }
                }
                Ok((number, body)) => {
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
            }
        }
        self.discard_cell();
        self.stats
    }

    /// Checks whether a silent client is reachable; the event loop decides whether it ends.
    /// ICMP errors may arrive at any socket of the port.
    fn check_client(&mut self) {
        let silent = lock(&self.liveness).is_silent(Clock::Monotonic.now());
        let Some(cell) = self.cell.as_ref().filter(|_| silent) else {
            return self.watch_errors(false);
        };
        // An error from before the silence proves nothing.
        let phase = cell.phase.as_ref();
        let is_unreachable = phase.is_some_and(|(phase, _)| phase.tx.control.take_unreachable());
        let known_targets: Vec<_> = cell.targets.iter().flatten().copied().collect();
        if !self.watching_errors {
            self.watch_errors(true);
        } else if is_unreachable || self.sockets().refused(&known_targets) {
            lock(&self.liveness).unreachable = true;
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
            ControlRequest::Host => Ok(ControlResponse::Host(Box::new(PeerFacts {
                facts: HostFacts { device: self.device(), ..self.shared.facts.clone() },
                missing: crate::host::machine(&self.shared.facts).missing,
                clock: sys::clock_identity(),
                network: sys::network_identity(),
                receivers: self.receivers(),
            }))),
            ControlRequest::Prepare(spec) => self.prepare(spec),
            ControlRequest::Reached => self.reached(),
            ControlRequest::Start(order) => self.start(order),
            ControlRequest::Finish(ended) => self.finish(&ended),
            ControlRequest::Stop => {
                if let Some(SinkCell { phase: Some((phase, _)), .. }) = &self.cell {
                    phase.halt.store(true, Ordering::Relaxed);
                }
                Ok(ControlResponse::Done)
            }
            ControlRequest::Collect => self.collect(),
        };
        response.unwrap_or_else(|error| {
            self.discard_cell();
            ControlResponse::Refused(error.to_string())
        })
    }

    /// The device of the listening address, or of the route to the client.
    pub(super) fn device(&self) -> Option<Device> {
        let towards =
            || crate::host::device_towards(self.stats.from, self.sockets().local().ip(), None);
        let listening = self.shared.facts.device.clone();
        listening.or_else(|| self.device_towards_client.get_or_init(towards).clone())
    }

    /// The source address of the senders, if it is not the address that the client uses.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let called_address = self.called_address?;
        let source = crate::host::source_towards(self.stats.from, self.sockets().local().ip())?;
        (source != called_address).then_some(source)
    }

    pub(super) fn receivers(&self) -> u16 {
        if self.sockets().can_steer() { self.shared.options.threads } else { 1 }
    }

    pub(super) fn sockets(&self) -> MutexGuard<'_, Group> {
        lock(&self.sockets)
    }

    fn start(&mut self, order: PhaseSpec) -> Outcome {
        if let Some(most) = self.shared.options.max_time
            && !matches!(order.limit, Limit::Time(time) if time <= most)
        {
            return Err("the phase is longer than the sink's --max-time".into());
        }
        order.check(Nanos(sys::monotonic_ns()))?;
        self.reported_sent = None;
        lock(&self.liveness).end_phase();
        let cell = self.cell.as_mut().ok_or("there is no cell to start")?;
        let response = cell.start(order)?;
        if let Some((phase, _)) = &cell.phase {
            let mut liveness = lock(&self.liveness);
            liveness.running = Some(RunningCounts {
                senders: Arc::clone(&phase.tx.control),
                receivers: Arc::clone(&phase.rx),
                is_measured: order.is_measured,
                client_sends: cell.spec.forward,
            });
            if let Limit::Time(time) = order.limit {
                liveness.busy_until = order.epoch + time;
            }
        }
        Ok(response)
    }

    fn finish(&mut self, ended: &PhaseEnd) -> Outcome {
        self.reported_sent = Some(ended.sent);
        let cell = self.cell.as_mut().ok_or("there is no cell to finish")?;
        let began = cell.phase.as_ref().map(|(phase, _)| phase.began());
        let response = cell.finish(ended)?;
        lock(&self.liveness).busy_until = Nanos::ZERO;
        if let ControlResponse::Finished(there) = &response
            && let Some((most, began)) = self.shared.options.max_rate.zip(began)
        {
            let time = Nanos(sys::monotonic_ns()) - began;
            if there.received as f64 > allowed(most, cell.spec.load, time) {
                let most = show_pps(most.pps());
                let why = format!("received more than the sink's --max-rate of {most} allows");
                return Err(why.into());
            }
        }
        Ok(response)
    }

    fn collect(&mut self) -> Outcome {
        let has_intervals = self.cell.as_ref().is_some_and(|cell| cell.has_intervals);
        let mut results = self.end_cell().ok_or("there is no cell to collect")??;
        if !has_intervals {
            results.tx.iter_mut().for_each(|side| side.intervals = IntervalSeries::default());
            results.rx.iter_mut().for_each(|side| side.intervals = IntervalSeries::default());
        }
        Ok(ControlResponse::SideResults(Box::new(results)))
    }

    /// Counts a measured cell that began at this moment; `is_finished`: its client has reported how
    /// many datagrams it sent.
    fn count_cell(&mut self, results: &SideResults, began: Nanos, is_finished: bool) {
        let stats = &mut self.stats;
        stats.cells += 1;
        stats.cut_short += u64::from(!is_finished);
        stats.sent += results.tx.as_ref().map_or(0, |side| side.tally.sent);
        let mut lost = Some(0);
        if let Some(side) = &results.rx {
            let sent = self.reported_sent.filter(|_| is_finished);
            // Reported by the client, so it may be any number.
            lost = sent.map(|sent| sent.saturating_sub(side.tally.received));
            stats.rx.merge(&side.tally);
        }
        stats.lost = stats.lost.zip(lost).map(|(sum, more)| sum.saturating_add(more));
        stats.known_lost = stats.known_lost.saturating_add(lost.unwrap_or(0));
        let mut liveness = lock(&self.liveness);
        liveness.end_phase();
        liveness.counted = [stats.sent, stats.rx.received];
        liveness.known_lost = stats.known_lost;
        drop(liveness);
        self.count_intervals(results, began, lost);
    }

    /// Adds a cell that began at this moment to the intervals of the sink.
    fn count_intervals(&mut self, results: &SideResults, began: Nanos, lost: Option<u64>) {
        let Some(width) = self.shared.options.interval else { return };
        let scale = IntervalScale::new(width, Nanos::NEVER);
        let since = |at: Nanos| at.since(self.shared.began);
        let span = (since(began), since(Clock::Monotonic.now()));
        if let Some(side) = &results.tx {
            lock(&self.shared.intervals).add_cell(scale, span, &side.intervals);
        }
        if let Some(side) = &results.rx {
            let mut received = side.intervals.clone();
            match lost {
                Some(lost) => received.divide_losses(lost),
                None => received.mark_losses_unknown(),
            }
            lock(&self.shared.intervals).add_cell(scale, span, &received);
        }
    }

    /// Ends the cell and counts it, even if its client did not wait for the results.
    fn end_cell(&mut self) -> Option<Result<SideResults, RunError>> {
        let mut cell = self.cell.take()?;
        let is_finished = cell.phase.is_none();
        cell.abandon();
        let SinkCell { pool, slot, counters, lease, has_intervals, drops, .. } = cell;
        let SinkCell { is_measured, intervals, began, .. } = cell;
        let collected = pool.collect("sink");
        lock(&self.liveness).holds_queues = false;
        drop(lease);
        self.release_slot(&slot);
        let collected = collected.map(|(mut tx, mut rx)| {
            let [tx_intervals, rx_intervals] = intervals;
            tx.iter_mut().for_each(|side| side.intervals = tx_intervals.clone());
            rx.iter_mut().for_each(|side| side.intervals = rx_intervals.clone());
            if let Some(counters) = counters {
                tx.iter_mut().for_each(|side| counters.into_tx(side));
                rx.iter_mut().for_each(|side| counters.into_rx(side));
                let [tx_drops, rx_drops] = drops;
                if let Some(side) = tx.as_mut().filter(|_| has_intervals) {
                    side.drop_readings = tx_drops.into_readings(side.kernel);
                }
                if let Some(side) = rx.as_mut().filter(|_| has_intervals) {
                    side.drop_readings = rx_drops.into_readings(side.kernel);
                }
            }
            SideResults { tx, rx }
        });
        if let (true, Ok(results)) = (is_measured, &collected) {
            self.count_cell(results, began, is_finished);
        }
        Some(collected)
    }

    pub(super) fn discard_cell(&mut self) {
        self.watch_errors(false);
        // Its error was reported to the client.
        drop(self.end_cell());
        // Last, so that running totals do not fall.
        lock(&self.liveness).end_phase();
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
