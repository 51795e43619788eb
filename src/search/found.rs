//! What a search found, for the document.

use super::bounds::BoundState;
use super::{Search, Trial, TrialCounts};
use crate::document::{
    CurvePoint, Found, LimitedBy, ProbeFigures, TrialCount, TrialDocument, TrialVerdict, Verified,
};

/// What this search found; `id` is that of its cells without the rate, such as `gso+batch/45`.
#[must_use]
pub fn found(search: &Search, id: &str, size: u64) -> Found {
    let rates = search.decided();
    let (low, high) = (rates.low(), rates.high());
    let tried = |rate: f64| {
        let tally = rates.at(rate).unwrap_or_default();
        TrialCount { k: tally.held, n: tally.of() }
    };
    let verified = low.and_then(|low| {
        let rate_pps = search.verified_at(low);
        let TrialCount { k: passed, n: of } = tried(rate_pps);
        // At the lowest rate of all, there is none below.
        let is_known = rate_pps < low && rates.standing(rate_pps) != BoundState::Open;
        is_known.then_some(Verified { rate_pps, passed, of })
    });
    let at_low = |trial: &&Trial| {
        trial.ask.purpose.is_final() && Some(trial.ask.rate_pps) == low && trial.counts.is_some()
    };
    let trials = search.trials();
    let probe = search.probe();
    Found {
        id: id.to_owned(),
        size,
        engine: id.split('/').next().unwrap_or_default().to_owned(),
        low_pps: low,
        high_pps: high,
        limited_by: limited_by(search, low, high),
        passed: low.map(tried),
        failed: high.map(tried),
        trial_ns: search.settings().time.0,
        precision: search.settings().precision,
        p99_ns: median(trials.iter().filter(at_low).map(|one| one.outcome.figures.p99_ns)),
        verified,
        generator_pps: trials
            .iter()
            .filter(|one| one.ask.purpose.is_final() && Some(one.ask.rate_pps) == high)
            .filter(|one| one.counts == Some(TrialCounts::Limited))
            .map(|one| one.outcome.sent_pps)
            .max_by(f64::total_cmp),
        disturbed: trials.iter().filter(|one| one.verdict == TrialVerdict::Disturbed).count()
            as u64,
        probe: ProbeFigures { delivered_pps: probe.delivered_pps, sent_pps: probe.sent_pps },
        curve: curve(trials),
        trials: trials.iter().map(document).collect(),
    }
}

fn limited_by(search: &Search, low: Option<f64>, high: Option<f64>) -> LimitedBy {
    if !search.is_settled() {
        return LimitedBy::NotSettled;
    }
    let Some(high) = high else {
        // Nothing failed: all that may be asked for was.
        let asked_for =
            low.is_none_or(|low| search.settings().max_pps.is_some_and(|max| low >= max));
        return if asked_for { LimitedBy::MaxRate } else { LimitedBy::Generator };
    };
    let tally = search.decided().at(high).unwrap_or_default();
    if tally.limited >= tally.failed { LimitedBy::Generator } else { LimitedBy::Target }
}

fn document(trial: &Trial) -> TrialDocument {
    TrialDocument {
        rate_pps: trial.ask.rate_pps,
        time_ns: trial.ask.time.0,
        purpose: trial.ask.purpose.word().to_owned(),
        sent_pps: trial.outcome.sent_pps,
        verdict: trial.verdict,
        invalid_because: trial.outcome.invalid_because.clone(),
        figures: trial.outcome.figures.clone(),
    }
}

/// The trials of the curve and those of full length, by rate.
fn curve(trials: &[Trial]) -> Vec<CurvePoint> {
    let mut trials: Vec<_> = trials
        .iter()
        .filter(|one| one.ask.purpose.is_final() || one.ask.purpose.weight().is_none())
        .collect();
    trials.sort_by(|a, b| a.ask.rate_pps.total_cmp(&b.ask.rate_pps));
    let alike = trials.chunk_by(|a, b| a.ask.rate_pps == b.ask.rate_pps);
    alike.map(point).collect()
}

/// Of the trials at one rate, those that count; where all were disturbed, they are what there is.
fn point(trials: &[&Trial]) -> CurvePoint {
    let mut counted = trials.to_vec();
    if counted.iter().any(|one| one.counts.is_some()) {
        counted.retain(|one| one.counts.is_some());
    }
    let trials = counted.as_slice();
    let figures = || trials.iter().map(|one| &one.outcome.figures);
    CurvePoint {
        rate_pps: trials.first().map_or(0.0, |one| one.ask.rate_pps),
        trials: trials.len() as u64,
        delivered_pps: middle(figures().map(|one| one.delivered_pps)),
        loss: middle(figures().map(|one| one.loss)),
        p50_ns: median(figures().map(|one| one.p50_ns)),
        p99_ns: median(figures().map(|one| one.p99_ns)),
        passed: trials.iter().filter(|one| one.verdict == TrialVerdict::Pass).count() as u64,
    }
}

/// The median; of an even number the lower one, which was measured. `None` where one of them is not
/// known: it may be withheld because it is small, or missing because nothing arrived.
fn median(of: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let mut all: Vec<_> = of.collect::<Option<_>>()?;
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied()
}

/// The same of shares and rates.
fn middle(of: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut all: Vec<_> = of.collect::<Option<_>>()?;
    all.sort_by(f64::total_cmp);
    all.get(all.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_median_is_taken_of_those_alone_that_are_known() {
        assert_eq!(median([Some(4), Some(9), Some(7), Some(8)].into_iter()), Some(7));
        assert_eq!(median([Some(4), None, Some(9)].into_iter()), None);
        assert_eq!(middle([Some(0.5), Some(0.1), Some(0.2)].into_iter()), Some(0.2));
        assert_eq!(middle([Some(0.5), None].into_iter()), None);
        assert_eq!((median(std::iter::empty()), middle(std::iter::empty())), (None, None));
    }
}
