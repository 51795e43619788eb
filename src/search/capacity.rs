//! The capacity of a server, as a pure function of the finished steps of a probe.
//!
//! A closed loop whose window doubles finds the region of the rate, and an open loop the highest
//! rate that is answered within the loss limit. Each step is short; `udperf search` is more exact.

use crate::document::{Capacity, CapacityLimit, CapacityStep, Cell};
use crate::report::checks::validity::missed_share;
use crate::search::judge::stalled;
use crate::search::limit::{Failure, evidence, figures, is_busy};
use crate::unit::{Nanos, show_requests};

/// Share of requests that may stay without an answer. Arbitrary: as much as a valid run may miss of
/// its schedule by default.
pub(crate) const LOSS_LIMIT: f64 = 0.01;
/// No step begins later than this. Arbitrary: users wait for it before each run.
pub(crate) const PROBE_TIME: Nanos = Nanos::from_millis(5_000);
/// Maximum requests in flight. Arbitrary: 10k requests/s at 100 ms each.
pub(crate) const MAX_WINDOW: u32 = 1_024;
/// Length of a step of the closed loop. Arbitrary: all windows take about a second.
const CLOSED_TIME: Nanos = Nanos::from_millis(100);
/// Length of a step of the open loop, and the longest one. Arbitrary: a stall of some milliseconds
/// costs less than [`LOSS_LIMIT`].
const OPEN_TIME: Nanos = Nanos::from_millis(300);
const LONGEST_TIME: Nanos = Nanos::from_millis(500);
/// Requests of a step of the open loop, if the rate allows. Arbitrary: one is less than the limit.
const MIN_REQUESTS: f64 = 100.0;
/// A larger window must raise the rate by this factor. Arbitrary: above the noise of a step.
const GROWTH: f64 = 1.1;
/// Factor between a rate that failed and one that held at the end. Arbitrary: about the noise.
const PRECISION: f64 = 1.06;
/// Share of the schedule that must be sent. Arbitrary: a single stall misses less.
const MIN_SENT: f64 = 0.9;
/// A generator that cannot send faster is idle for less than this share of the time. Arbitrary: one
/// that stalls misses slots, too, and is idle between its stalls.
const MAX_IDLE: f64 = 0.2;
/// Share of requests that must be answered when a step ends, besides those that are on the way at
/// that rate: otherwise the queue grows. Arbitrary: a stall at the end costs less.
const MIN_ANSWERED: f64 = 0.9;
/// Shortest timeout of steps after the first one, if requests have a longer one, and the timeout as
/// a multiple of the latency of the first one. Arbitrary: longer than the queue of a server.
const MIN_TIMEOUT: Nanos = Nanos::from_millis(500);
const TIMEOUT_FACTOR: u64 = 10;

/// What a step offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ProbeLoad {
    /// A closed loop with so many requests in flight.
    Closed(u32),
    /// An open loop at this rate per second.
    Open(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProbeRequest {
    pub(crate) load: ProbeLoad,
    pub(crate) time: Nanos,
    pub(crate) timeout: Nanos,
}

/// A probe in progress.
#[derive(Debug)]
pub(crate) struct CapacityProbe {
    /// The timeout of requests as asked for.
    timeout: Nanos,
    /// The first and the largest window.
    windows: (u32, u32),
    steps: Vec<CapacityStep>,
    /// The highest rate that held, and what was answered of it per second.
    low: Option<(f64, f64)>,
    /// The lowest rate that did not hold.
    high: Option<f64>,
    /// Why, and what shows it.
    limit: Option<(Option<CapacityLimit>, String)>,
    /// A rate to repeat, because the workers stalled when it did not hold.
    repeat: Option<f64>,
    /// Whether the generator cannot send faster.
    is_exhausted: bool,
    is_out_of_time: bool,
}

impl CapacityProbe {
    /// A probe with windows from the first number to the second; `timeout`: of requests.
    pub(crate) fn new(windows: (u32, u32), timeout: Nanos) -> Self {
        Self {
            timeout,
            windows,
            steps: Vec::new(),
            low: None,
            high: None,
            limit: None,
            repeat: None,
            is_exhausted: false,
            is_out_of_time: false,
        }
    }

    /// The next step after so much time; `None` at the end.
    pub(crate) fn next(&mut self, elapsed: Nanos) -> Option<ProbeRequest> {
        let load = match self.next_window() {
            Some(window) => ProbeLoad::Closed(window),
            None => ProbeLoad::Open(self.next_rate()?),
        };
        self.is_out_of_time = elapsed >= PROBE_TIME;
        let time = match load {
            ProbeLoad::Closed(_) => CLOSED_TIME,
            ProbeLoad::Open(rate) => {
                Nanos((MIN_REQUESTS / rate * 1e9) as u64).clamp(OPEN_TIME, LONGEST_TIME)
            }
        };
        (!self.is_out_of_time).then(|| ProbeRequest { load, time, timeout: self.step_timeout() })
    }

    fn step_timeout(&self) -> Nanos {
        let Some(first) = self.steps.first() else { return self.timeout };
        let usual = first.p99_ns.unwrap_or(u64::MAX).saturating_mul(TIMEOUT_FACTOR);
        Nanos(usual).max(MIN_TIMEOUT).min(self.timeout)
    }

    fn closed(&self) -> impl Iterator<Item = &CapacityStep> {
        self.steps.iter().filter(|step| step.outstanding.is_some())
    }

    /// The rate of the closed loop; `None` if it was answered nothing.
    fn closed_rate(&self) -> Option<f64> {
        let rates = self.closed().filter_map(closed_rate);
        rates.reduce(f64::max).filter(|rate| *rate > 0.0)
    }

    /// The next window of the closed loop: twice the last one while that raises the rate.
    fn next_window(&self) -> Option<u32> {
        let (first, most) = self.windows;
        let closed: Vec<_> = self.closed().collect();
        let Some(last) = closed.last() else { return Some(first) };
        let next = last.outstanding.and_then(|window| u32::try_from(window * 2).ok());
        let best = |steps: &[&CapacityStep]| {
            steps.iter().filter_map(|step| closed_rate(step)).fold(0.0, f64::max)
        };
        // A single step may have been disturbed.
        let (before, latest) = closed.split_at(closed.len().saturating_sub(2));
        let grows = before.is_empty() || best(latest) > best(before) * GROWTH;
        let has_open = self.steps.len() > closed.len();
        next.filter(|next| *next <= most && last.held && grows && !has_open)
    }

    /// The next rate of the open loop; `None` if the result is known.
    fn next_rate(&self) -> Option<f64> {
        let start = self.closed_rate().filter(|_| !self.is_exhausted)?;
        match (self.low, self.high) {
            _ if self.repeat.is_some() => self.repeat,
            (None, None) => Some(start.max(self.lowest_rate())),
            // A closed loop that lost requests waited for them, so that its rate says little.
            (Some((low, _)), None) if self.closed().any(|step| !step.held) => Some(low * 4.0),
            (Some((low, _)), None) => Some(low * 2.0),
            (None, Some(high)) => Some(high / 2.0).filter(|rate| *rate >= self.lowest_rate()),
            (Some((low, _)), Some(high)) => (high > low * PRECISION).then(|| (low * high).sqrt()),
        }
    }

    /// The lowest rate of the open loop: a request a second; if requests are lost one at a time,
    /// load is not the reason, and only a rate at which a step shows a loss within the limit.
    fn lowest_rate(&self) -> f64 {
        match self.closed().next() {
            Some(first) if !first.held => MIN_REQUESTS / LONGEST_TIME.as_secs_f64(),
            _ => 1.0,
        }
    }

    /// Adds the cell that a step measured.
    pub(crate) fn record(&mut self, request: ProbeRequest, cell: &Cell) {
        let (step, failure) = self.judge(request, cell);
        if let ProbeLoad::Open(rate) = request.load {
            let answered = step.answered_per_s.unwrap_or(0.0);
            let is_repeat = self.repeat.take().is_some();
            if step.held {
                // Few requests may be more per second of the step than their rate, and a generator
                // that stalled sends less than at a lower rate.
                let best = self.low.map_or(0.0, |(_, best)| best);
                self.low = Some((rate, answered.min(rate).max(best)));
            } else if !is_repeat && stalled(cell) {
                self.repeat = Some(rate);
            } else {
                self.high = Some(rate);
                self.limit = failure.map(|failure| evidence(cell, &step, failure));
            }
            // What it could send was answered, so that this is the most it can find.
            if failure == Some(Failure::NotSent) && self.repeat.is_none() {
                self.is_exhausted = true;
                if self.low.is_none_or(|(_, best)| best < answered) && answered > 0.0 {
                    self.low = Some((answered, answered));
                }
            }
        }
        self.steps.push(step);
    }

    fn judge(&self, request: ProbeRequest, cell: &Cell) -> (CapacityStep, Option<Failure>) {
        let mut step = CapacityStep { timeout_ns: request.timeout.0, ..figures(cell) };
        let lost = step.requests.saturating_sub(step.answered) as f64;
        let is_lossy = lost > step.requests as f64 * LOSS_LIMIT || step.answered == 0;
        let failure = match request.load {
            ProbeLoad::Closed(window) => {
                step.outstanding = Some(window.into());
                is_lossy.then_some(Failure::NotAnswered)
            }
            ProbeLoad::Open(rate) => {
                step.rate_per_s = Some(rate);
                self.failure(cell, &step, rate, is_lossy)
            }
        };
        step.held = failure.is_none();
        (step, failure)
    }

    /// Why a step of the open loop did not hold.
    fn failure(
        &self,
        cell: &Cell,
        step: &CapacityStep,
        rate: f64,
        is_lossy: bool,
    ) -> Option<Failure> {
        // Errors of a server that is not loaded, such as those of names that it does not have, are
        // no sign of load.
        let usual = self.steps.first().map_or(1.0, |first| share(first.errors, first.answered));
        let more_errors = step.errors as f64 - usual * step.answered as f64;
        let refused = cell.ledger.attempted.saturating_sub(cell.ledger.sent) as f64;
        let due = cell.schedule.as_ref().map_or(0, |schedule| schedule.scheduled) as f64;
        // At the unloaded latency, so many are on the way when the step ends.
        let round_trip = self.steps.first().and_then(|step| step.p50_ns).unwrap_or(0);
        let on_the_way = rate * round_trip as f64 / 1e9;
        let in_time = step.answered.saturating_sub(step.after_window.unwrap_or(0)) as f64;
        if is_lossy {
            Some(Failure::NotAnswered)
        } else if more_errors > step.requests as f64 * LOSS_LIMIT {
            Some(Failure::Errors)
        } else if refused > due * (1.0 - MIN_SENT) {
            Some(Failure::Refused)
        } else if missed_share(cell).is_some_and(|share| share > 1.0 - MIN_SENT)
            && is_busy(cell, MAX_IDLE)
        {
            Some(Failure::NotSent)
        } else if in_time + on_the_way < step.requests as f64 * MIN_ANSWERED {
            Some(Failure::FellBehind)
        } else {
            None
        }
    }

    /// What is known if no rate failed for a reason that shows the limit.
    fn without_limit(&self) -> String {
        let text = match (self.low, self.high) {
            (Some((rate, _)), _) => {
                format!("{} held, no higher rate was tried", show_requests(rate))
            }
            (None, Some(rate)) => {
                format!("{} did not hold, no lower rate was tried", show_requests(rate))
            }
            (None, None) => "no rate was tried".to_owned(),
        };
        text + "; use --rate to try one"
    }

    /// What the steps show after so much time.
    pub(crate) fn finish(self, time: Nanos, interrupted: bool) -> Capacity {
        let cut_short_because = match (interrupted, self.is_out_of_time) {
            (true, _) => Some("interrupted"),
            (_, true) => Some("time"),
            _ => None,
        };
        let answered = self.steps.iter().any(|step| step.answered > 0);
        let (limited_by, evidence) = match self.limit {
            _ if interrupted => (None, "the probe was interrupted; repeat it".to_owned()),
            _ if !answered => {
                (None, "no request was answered; check address, port and requests".to_owned())
            }
            Some(limit) => limit,
            None => (None, self.without_limit()),
        };
        Capacity {
            requests_per_s: self.low.map(|(_, answered)| answered),
            failed_per_s: self.high,
            loss_limit: LOSS_LIMIT,
            limited_by,
            evidence,
            time_ns: time.0,
            cut_short_because: cut_short_because.map(str::to_owned),
            steps: self.steps,
        }
    }
}

/// The rate at which a step of the closed loop was answered. Answers after its end do not count: as
/// many as were in flight come then, whatever the rate. If all come then, each took about the
/// median.
fn closed_rate(step: &CapacityStep) -> Option<f64> {
    let Some(after) = step.after_window else { return step.answered_per_s };
    match step.answered.saturating_sub(after) {
        0 if step.answered > 0 => {
            let usual = Nanos(step.p50_ns?).as_secs_f64();
            Some(step.outstanding? as f64 / usual).filter(|rate| rate.is_finite())
        }
        in_time => Some(in_time as f64 / Nanos(step.time_ns).as_secs_f64()),
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

#[cfg(test)]
mod tests;
