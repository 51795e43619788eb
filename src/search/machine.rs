//! Chooses the next trial.

use super::bounds::{BoundState, Rates};
use super::judge::judge;
use super::{Purpose, SearchError, Settings, Trial, TrialOutcome, TrialRequest};
use crate::document::{ProbeFigures, TrialVerdict};
use crate::unit::{MAX_PPS, Nanos};

/// Maximum number of trials of one search for each repeat, without those of the curve. Arbitrary:
/// three times what a target with stable results takes.
const MAX_TRIALS: usize = 30;
/// Minimum repeats in that limit. Arbitrary: earlier trials do not get fewer with the repeats.
const MIN_REPEATS: u32 = 3;
/// Width of the first step away from the first rate, as a share; each further step is twice as
/// wide. Arbitrary: the rate delivered under overload is seldom farther from the capacity.
const FIRST_STEP: f64 = 0.25;
/// The widest step, as a share: four times the rate, or a quarter. Arbitrary.
const MAX_STEP: f64 = 3.0;
/// The share of the result that has to hold, too. Arbitrary: a usual margin of operation.
const VERIFIED_AT: f64 = 0.9;
/// How often the search continues below a rate that failed verification. Arbitrary.
const MAX_RETREATS: usize = 3;
/// Rates in a row that failed only because workers stalled: then the machine is measured, not the
/// target. Arbitrary: each rate was tried several times.
const MAX_INCONCLUSIVE: usize = 4;
/// Rates of the curve, as shares of the result; [`VERIFIED_AT`] already has longer trials.
/// Arbitrary: denser near the result, where latency rises.
const CURVE: [f64; 5] = [0.10, 0.25, 0.50, 0.75, 0.95];
/// Unknown figures in a row that end the search. Arbitrary: one may be chance.
const MAX_UNKNOWN: u32 = 2;

/// A search, between two trials.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) settings: Settings,
    /// The result of the inner command without a rate, or at its first rate.
    pub(crate) probe: ProbeFigures,
    pub(crate) trials: Vec<Trial>,
    stage: Purpose,
    /// The interval that the shorter trials found.
    previous: (Option<f64>, Option<f64>),
    /// Width of the next step outwards, as a share.
    step: f64,
    unknown: u32,
    /// Whether the interval is as narrow as requested and the rate below it held.
    pub(crate) converged: bool,
    /// Rates of the curve at which a goal was unknown.
    curve_unknown: Vec<f64>,
    next: Option<TrialRequest>,
    /// Why it ended early, as in the document.
    pub(crate) cut_short: Option<&'static str>,
    /// Whether the time left is only enough to decide the ends of the interval.
    is_hurried: bool,
}

impl Search {
    /// Begins at the rate of `settings`, or at the rate that the probe delivered.
    pub(crate) fn new(settings: Settings, probe: ProbeFigures) -> Self {
        let mut search = Self { settings, probe, step: FIRST_STEP, ..Self::default() };
        search.next = search.choose_next();
        search
    }

    /// The next trial to run; `None` at the end.
    pub(crate) const fn next(&self) -> Option<TrialRequest> {
        self.next
    }

    /// Records the outcome of the trial of [`Self::next`].
    pub(crate) fn record(&mut self, outcome: TrialOutcome) -> Result<(), SearchError> {
        let Some(request) = self.next else { return Ok(()) };
        match outcome.held {
            None if self.unknown + 1 < MAX_UNKNOWN => {
                self.unknown += 1;
                return Ok(());
            }
            None if request.purpose != Purpose::Curve => {
                self.next = None;
                return Err(SearchError::Unknown { goal: outcome.unknown.unwrap_or_default() });
            }
            None => self.curve_unknown.push(request.rate_pps),
            Some(_) => {
                let alike = |trial: &&Trial| trial.request == request && trial.counts.is_none();
                let (verdict, counts) = judge(&outcome, self.trials.iter().filter(alike).count());
                self.trials.push(Trial { request, outcome, verdict, counts });
            }
        }
        self.unknown = 0;
        self.next = self.choose_next();
        Ok(())
    }

    /// Adapts to the time `left`, if each trial takes `extra` beyond its length. Once a rate is
    /// known to pass short trials, the rest is kept for the trials that decide it; the search ends
    /// if the next trial does not fit.
    pub(crate) fn fit_into(&mut self, left: Nanos, extra: Nanos) {
        let Some(next) = self.next else { return };
        let all = |count: u32| Nanos((self.settings.time + extra).0.saturating_mul(count.into()));
        let (pass, repeats) = self.settings.repeat;
        // If they agree, `pass` trials decide the lower end, and the rest of n + 1 the upper end.
        let is_last_chance = next.time + extra + all(repeats + 1) > left && all(pass) <= left;
        let rates = self.rates(self.stage);
        let (low, high) = (rates.low().or(self.previous.0), rates.high().or(self.previous.1));
        if !self.stage.is_final() && low.is_some() && is_last_chance {
            self.previous = (low, high);
            (self.stage, self.is_hurried) = (Purpose::Final, true);
            self.next = self.choose_next();
        }
        if self.next.is_some_and(|next| next.time + extra > left) {
            (self.next, self.cut_short) = (None, Some("budget"));
        }
    }

    /// The rates by all trials, of any length: one decides.
    pub(super) fn tentative(&self) -> Rates {
        self.rates(Purpose::Short)
    }

    pub(super) fn decided(&self) -> Rates {
        self.rates(Purpose::Final)
    }

    pub(super) fn verified_at(&self, low: f64) -> f64 {
        round_rate(low * VERIFIED_AT).max(self.min_rate())
    }

    fn max_rate(&self) -> f64 {
        self.settings.max_pps.unwrap_or(f64::INFINITY).min(MAX_PPS as f64)
    }

    fn min_rate(&self) -> f64 {
        round_rate(self.settings.min_pps()).min(self.max_rate())
    }

    fn rates(&self, stage: Purpose) -> Rates {
        let repeat = if stage.is_final() { self.settings.repeat } else { (1, 1) };
        Rates::from_trials(&self.trials, stage.weight().unwrap_or_default(), repeat)
    }

    /// Width of the interval that ends this stage, as a share.
    fn width(&self) -> f64 {
        // Arbitrary: each longer stage halves the interval once.
        let widths = match self.stage {
            Purpose::Short => 4.0,
            Purpose::Middle => 2.0,
            _ => 1.0,
        };
        self.settings.precision * widths
    }

    fn trial_request(&self, rate_pps: f64, purpose: Purpose) -> TrialRequest {
        let time = match purpose {
            Purpose::Short => self.settings.short(),
            Purpose::Middle | Purpose::Curve => self.settings.middle(),
            Purpose::Final | Purpose::Verify => self.settings.time,
        };
        TrialRequest { rate_pps, time, purpose }
    }

    fn choose_next(&mut self) -> Option<TrialRequest> {
        if self.converged {
            return self.next_curve_trial();
        }
        let max_trials =
            MAX_TRIALS.saturating_mul(self.settings.repeat.1.max(MIN_REPEATS) as usize);
        if self.trials.len() >= max_trials || self.is_inconclusive() {
            return None;
        }
        loop {
            let rates = self.rates(self.stage);
            if let Some(rate) = self.next_rate(&rates) {
                return Some(self.trial_request(rate, self.stage));
            }
            self.stage = match self.stage {
                Purpose::Short => Purpose::Middle,
                Purpose::Middle => Purpose::Final,
                _ => break,
            };
            self.previous = (rates.low(), rates.high());
            self.step = self.width();
        }
        let rates = self.decided();
        if let Some(low) = rates.low() {
            let below = self.verified_at(low);
            if rates.state(below) == BoundState::Open {
                let retreats =
                    self.trials.iter().filter(|one| one.request.purpose == Purpose::Verify);
                let mut failed: Vec<f64> = retreats.map(|one| one.request.rate_pps).collect();
                failed.retain(|rate| rates.state(*rate) == BoundState::Fails);
                failed.dedup();
                return (failed.len() < MAX_RETREATS)
                    .then(|| self.trial_request(below, Purpose::Verify));
            }
        }
        self.converged = true;
        self.next_curve_trial()
    }

    /// Whether the last rates failed only because workers stalled.
    fn is_inconclusive(&self) -> bool {
        let counted = self.trials.iter().rev().filter(|trial| trial.counts.is_some());
        let inconclusive = counted
            .take_while(|trial| trial.verdict == TrialVerdict::Disturbed && trial.outcome.stalled);
        let mut rates: Vec<f64> = inconclusive.map(|trial| trial.request.rate_pps).collect();
        rates.dedup();
        rates.len() >= MAX_INCONCLUSIVE
    }

    /// The next rate of this stage; `None` if the interval is narrow enough.
    fn next_rate(&mut self, rates: &Rates) -> Option<f64> {
        let (min_rate, max_rate) = (self.min_rate(), self.max_rate());
        match (rates.low(), rates.high()) {
            (Some(low), Some(high)) => {
                self.step = self.width();
                let middle = round_rate((low * high).sqrt());
                // Rounded rates may exceed the width a little.
                let narrow = high / low - 1.0 <= self.width() * (1.0 + 1e-3);
                let between = (!narrow && low < middle && middle < high).then_some(middle);
                rates.open_between(low, high).or(between)
            }
            (Some(low), None) if low >= max_rate => None,
            (Some(low), None) => rates
                .open_between(low, f64::INFINITY)
                .or_else(|| self.previous.1.filter(|high| *high > low))
                .or_else(|| Some(round_rate(low * (1.0 + self.take_step())).min(max_rate))),
            (None, Some(high)) if high <= min_rate => None,
            (None, Some(high)) => rates
                .open_between(0.0, high)
                .or_else(|| self.previous.0.filter(|low| *low < high))
                .or_else(|| Some(round_rate(high / (1.0 + self.take_step())).max(min_rate))),
            (None, None) => Some(self.first(rates)),
        }
    }

    /// The width of a step outwards; the next one is twice as wide.
    fn take_step(&mut self) -> f64 {
        let step = self.step;
        self.step = (step * 2.0).min(MAX_STEP);
        step
    }

    /// The first rate of a stage: both ends in turn, so that drift affects both.
    fn first(&self, rates: &Rates) -> f64 {
        let count = |rate: f64| rates.at(rate).total();
        match self.previous {
            (Some(low), Some(high)) if count(high) < count(low) && !self.is_hurried => high,
            (Some(low), _) => low,
            (None, Some(high)) => high,
            (None, None) => {
                let sent = self.probe.sent_pps;
                let delivered = self.probe.delivered_pps.filter(|pps| *pps > 0.0);
                // A target that returns no datagram most likely never does.
                let from = self.settings.start_pps.or(delivered).unwrap_or(sent);
                round_rate(from).clamp(self.min_rate(), self.max_rate())
            }
        }
    }

    fn next_curve_trial(&self) -> Option<TrialRequest> {
        let low = self.decided().low().filter(|_| self.settings.curve)?;
        let rates = CURVE.iter().map(|share| round_rate(low * share));
        let drawn = |rate: f64| {
            let mut drawn = self.trials.iter().filter(|one| one.request.purpose == Purpose::Curve);
            self.curve_unknown.contains(&rate) || drawn.any(|one| one.request.rate_pps == rate)
        };
        let min_rate = self.min_rate();
        let rate = rates.into_iter().find(|rate| *rate >= min_rate && !drawn(*rate))?;
        Some(self.trial_request(rate, Purpose::Curve))
    }
}

/// Rounds a rate so that almost equal rates are equal.
fn round_rate(pps: f64) -> f64 {
    /// Significant digits. Arbitrary: no measurement repeats more.
    const DIGITS: i32 = 5;
    if pps <= 0.0 || !pps.is_finite() {
        return 0.0;
    }
    let decimals = (DIGITS - 1 - pps.log10().floor() as i32).clamp(-9, 3);
    let factor = 10_f64.powi(decimals);
    (pps * factor).round() / factor
}
