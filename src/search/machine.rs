//! Where the next trial is.

use super::bounds::{BoundState, Rates};
use super::judge::judge;
use super::{Purpose, SearchError, SearchPoint, Settings, Trial, TrialOutcome, TrialRequest};
use crate::document::TrialVerdict;
use crate::unit::MAX_PPS;

/// Trials of one search at most, for each of the repeats that decide; those of the curve left out.
/// Arbitrary: three times what a target takes that answers the same question alike.
const MOST_TRIALS: usize = 30;

/// The repeats that are counted at least. Arbitrary: what comes before them takes as many trials,
/// however few of them there are.
const LEAST_REPEATS: u32 = 3;

/// Width of the first step away from where the search begins, as a share; each further step is
/// twice as wide. Arbitrary: what is delivered under overload is seldom farther from the capacity.
const FIRST_STEP: f64 = 0.25;

/// The widest step, as a share: four times the rate, or a quarter. Arbitrary.
const WIDEST_STEP: f64 = 3.0;

/// Width of the interval at which longer trials take over, in widths of the last one: short and
/// middle. Arbitrary: one halving each is left to the longer ones.
const WIDTHS: [f64; 2] = [4.0, 2.0];

/// The rate below the result that has to hold, too, as a share of it. Arbitrary: where people run
/// what they have measured.
const VERIFIED_AT: f64 = 0.9;

/// How often the search goes on below a rate that did not hold after all. Arbitrary.
const MOST_RETREATS: u32 = 3;

/// Rates in a row that only failed because workers stood still: then it is the machine that is
/// asked, and not the target. Arbitrary: each of them was asked several times.
const MOST_MUDDY: usize = 4;

/// Rates of the curve, as shares of the result; at [`VERIFIED_AT`] there are longer trials.
/// Arbitrary: closer where latency bends.
const CURVE: [f64; 5] = [0.10, 0.25, 0.50, 0.75, 0.95];

/// Unknown figures in a row that end the search. Arbitrary: once may be chance.
const MOST_UNKNOWN: u32 = 2;

/// A search, between two trials.
#[derive(Debug)]
pub struct Search {
    settings: Settings,
    probe: SearchPoint,
    trials: Vec<Trial>,
    stage: Purpose,
    /// The interval that shorter trials found.
    before: (Option<f64>, Option<f64>),
    /// Width of the next step outwards, as a share.
    step: f64,
    unknown: u32,
    settled: bool,
    /// Rates of the curve at which a goal was not known.
    undrawn: Vec<f64>,
    next: Option<TrialRequest>,
}

/// What is to be done at this stage.
enum Do {
    Try(f64),
    /// The interval is as narrow as this stage has it.
    Narrow,
}

impl Search {
    /// Begins where `settings` says, or at what the probe delivered.
    #[must_use]
    pub fn new(settings: Settings, probe: SearchPoint) -> Self {
        let mut search = Self {
            settings,
            probe,
            trials: Vec::new(),
            stage: Purpose::Short,
            before: (None, None),
            step: FIRST_STEP,
            unknown: 0,
            settled: false,
            undrawn: Vec::new(),
            next: None,
        };
        search.next = search.decide();
        search
    }

    /// The trial to be made next; `None` at the end.
    #[must_use]
    pub const fn next(&self) -> Option<TrialRequest> {
        self.next
    }

    /// Takes what the trial of [`Self::next`] said.
    ///
    /// # Errors
    /// [`SearchError::Unknown`] where it is not known whether a goal held, for the second time in a
    /// row; never for the curve, before which the result stands.
    pub fn record(&mut self, outcome: TrialOutcome) -> Result<(), SearchError> {
        let Some(ask) = self.next else { return Ok(()) };
        if outcome.held.is_none() {
            self.unknown += 1;
            if self.unknown >= MOST_UNKNOWN && ask.purpose == Purpose::Curve {
                self.unknown = 0;
                self.undrawn.push(ask.rate_pps);
                self.next = self.decide();
                return Ok(());
            }
            if self.unknown >= MOST_UNKNOWN {
                self.next = None;
                return Err(SearchError::Unknown { goal: outcome.unknown.unwrap_or_default() });
            }
            return Ok(());
        }
        self.unknown = 0;
        let alike = |trial: &&Trial| trial.ask == ask && trial.counts.is_none();
        let (verdict, counts) = judge(&outcome, self.trials.iter().filter(alike).count());
        self.trials.push(Trial { ask, outcome, verdict, counts });
        self.next = self.decide();
        Ok(())
    }

    /// All trials, in the order they were made.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// What the search began from.
    #[must_use]
    pub const fn probe(&self) -> SearchPoint {
        self.probe
    }

    /// What it is to reach.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the interval is as narrow as asked for, by trials of full length, and the rate below
    /// it held.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The rates that trials of full length have decided on.
    pub(super) fn decided(&self) -> Rates {
        self.rates(Purpose::Final)
    }

    /// The rate that the result is verified by.
    pub(super) fn verified_at(&self, low: f64) -> f64 {
        tidy(low * VERIFIED_AT).max(self.floor())
    }

    /// The highest rate that may be asked for.
    pub(super) fn cap(&self) -> f64 {
        self.settings.max_pps.unwrap_or(f64::INFINITY).min(MAX_PPS as f64)
    }

    fn floor(&self) -> f64 {
        tidy(self.settings.floor_pps()).min(self.cap())
    }

    fn rates(&self, stage: Purpose) -> Rates {
        let repeat = if stage.is_final() { self.settings.repeat } else { (1, 1) };
        Rates::of(&self.trials, stage.weight().unwrap_or_default(), repeat)
    }

    /// Width of the interval that ends this stage.
    fn width(&self, stage: Purpose) -> f64 {
        let widths = match stage {
            Purpose::Short => WIDTHS[0],
            Purpose::Middle => WIDTHS[1],
            _ => 1.0,
        };
        self.settings.precision * widths
    }

    fn ask(&self, rate_pps: f64, purpose: Purpose) -> TrialRequest {
        let time = match purpose {
            Purpose::Short => self.settings.short(),
            Purpose::Middle | Purpose::Curve => self.settings.middle(),
            Purpose::Final | Purpose::Verify => self.settings.time,
        };
        TrialRequest { rate_pps, time, purpose }
    }

    /// Trials at most.
    fn most_trials(&self) -> usize {
        let (_, repeats) = self.settings.repeat;
        MOST_TRIALS.saturating_mul(repeats.max(LEAST_REPEATS) as usize)
    }

    fn decide(&mut self) -> Option<TrialRequest> {
        if self.settled {
            return self.draw();
        }
        if self.trials.len() >= self.most_trials() || self.is_muddy() {
            return None;
        }
        loop {
            let rates = self.rates(self.stage);
            match self.seek(&rates) {
                Do::Try(rate) => return Some(self.ask(rate, self.stage)),
                Do::Narrow if self.stage == Purpose::Final => break,
                Do::Narrow => {
                    self.before = (rates.low(), rates.high());
                    let next =
                        if self.stage == Purpose::Short { Purpose::Middle } else { Purpose::Final };
                    self.stage = next;
                    self.step = self.width(next);
                }
            }
        }
        let rates = self.decided();
        if let Some(low) = rates.low() {
            let below = self.verified_at(low);
            if rates.standing(below) == BoundState::Open {
                let retreats = |trial: &&Trial| trial.ask.purpose == Purpose::Verify;
                let mut tried: Vec<f64> =
                    self.trials.iter().filter(retreats).map(|trial| trial.ask.rate_pps).collect();
                tried.retain(|rate| rates.standing(*rate) == BoundState::Fails);
                tried.dedup();
                let given_up = tried.len() >= MOST_RETREATS as usize;
                return (!given_up).then(|| self.ask(below, Purpose::Verify));
            }
        }
        self.settled = true;
        self.draw()
    }

    /// Whether the last rates only failed because workers stood still.
    fn is_muddy(&self) -> bool {
        let counted = self.trials.iter().rev().filter(|trial| trial.counts.is_some());
        let inconclusive = counted
            .take_while(|trial| trial.verdict == TrialVerdict::Disturbed && trial.outcome.stalled);
        let mut rates: Vec<f64> = inconclusive.map(|trial| trial.ask.rate_pps).collect();
        rates.dedup();
        rates.len() >= MOST_MUDDY
    }

    /// What this stage asks for.
    fn seek(&mut self, rates: &Rates) -> Do {
        let (floor, cap) = (self.floor(), self.cap());
        match (rates.low(), rates.high()) {
            (Some(low), Some(high)) => {
                self.step = self.width(self.stage);
                let middle = tidy((low * high).sqrt());
                // A little more than asked for is what tidy rates make of it.
                let narrow = high / low - 1.0 <= self.width(self.stage) * (1.0 + 1e-3);
                if let Some(open) = rates.open_between(low, high) {
                    Do::Try(open)
                } else if narrow || middle <= low || middle >= high {
                    Do::Narrow
                } else {
                    Do::Try(middle)
                }
            }
            (Some(low), None) if low >= cap => Do::Narrow,
            (Some(low), None) => Do::Try(
                rates
                    .open_between(low, f64::INFINITY)
                    .or_else(|| self.before.1.filter(|high| *high > low))
                    .unwrap_or_else(|| tidy(low * (1.0 + self.stride())).min(cap)),
            ),
            (None, Some(high)) if high <= floor => Do::Narrow,
            (None, Some(high)) => Do::Try(
                rates
                    .open_between(0.0, high)
                    .or_else(|| self.before.0.filter(|low| *low < high))
                    .unwrap_or_else(|| tidy(high / (1.0 + self.stride())).max(floor)),
            ),
            (None, None) => Do::Try(self.first(rates)),
        }
    }

    /// The width of a step outwards; the next one is twice as wide.
    fn stride(&mut self) -> f64 {
        let step = self.step;
        self.step = (step * 2.0).min(WIDEST_STEP);
        step
    }

    /// Where a stage begins: at either end of the interval in turns, so that what changes with time
    /// changes both.
    fn first(&self, rates: &Rates) -> f64 {
        let asked = |rate: f64| rates.at(rate).unwrap_or_default().of();
        match self.before {
            (Some(low), Some(high)) if asked(high) < asked(low) => high,
            (Some(low), _) => low,
            (None, Some(high)) => high,
            (None, None) => {
                let sent = self.probe.sent_pps;
                let delivered = self.probe.delivered_pps.filter(|pps| *pps > 0.0);
                // Where nothing comes back, most likely nothing ever does.
                let from = self.settings.start_pps.or(delivered).unwrap_or(sent);
                tidy(from).clamp(self.floor(), self.cap())
            }
        }
    }

    /// The curve, once the result stands.
    fn draw(&self) -> Option<TrialRequest> {
        let low = self.decided().low().filter(|_| self.settings.curve)?;
        let rates = CURVE.iter().map(|share| tidy(low * share));
        let drawn = |rate: f64| {
            let mut drawn = self.trials.iter().filter(|one| one.ask.purpose == Purpose::Curve);
            self.undrawn.contains(&rate) || drawn.any(|one| one.ask.rate_pps == rate)
        };
        let floor = self.floor();
        let rate = rates.into_iter().find(|rate| *rate >= floor && !drawn(*rate))?;
        Some(self.ask(rate, Purpose::Curve))
    }
}

/// A rate in as many digits as a precision of a thousandth of a percent needs, and people can read:
/// two that are meant alike are the same.
fn tidy(pps: f64) -> f64 {
    /// Digits that count. Arbitrary: beyond them nothing repeats.
    const DIGITS: i32 = 5;
    if pps <= 0.0 || !pps.is_finite() {
        return 0.0;
    }
    let decimals = (DIGITS - 1 - pps.log10().floor() as i32).clamp(-9, 3);
    let factor = 10_f64.powi(decimals);
    (pps * factor).round() / factor
}
