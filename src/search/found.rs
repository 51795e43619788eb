//! The result of a search, for the document.

use super::bounds::{BoundState, Rates};
use super::{Search, Trial, TrialCounts};
use crate::document::{
    CurvePoint, Found, LimitedBy, TrialCount, TrialDocument, TrialVerdict, Verified,
};
use crate::unit::lower_median;

/// The result of this search; `id` is that of its cells without the rate, such as `gso+batch/45`.
pub(crate) fn found(search: &Search, id: &str, size: u64) -> Found {
    let rates = search.decided();
    let (low, high) = (rates.low(), rates.high());
    let tried = |rate: f64| {
        let tally = rates.at(rate);
        TrialCount { k: tally.held, n: tally.total() }
    };
    let verified = low.and_then(|low| {
        let rate_pps = search.verified_at(low);
        let TrialCount { k: passed, n: of } = tried(rate_pps);
        // No rate is below the lowest one.
        let is_known = rate_pps < low && rates.state(rate_pps) != BoundState::Open;
        is_known.then_some(Verified { rate_pps, passed, of })
    });
    let trials = &search.trials;
    let is_final_at = |trial: &&Trial, rate| {
        trial.request.purpose.is_final() && Some(trial.request.rate_pps) == rate
    };
    let tentative = search.cut_short.map(|_| search.tentative());
    let at_low = trials.iter().filter(|one| is_final_at(one, low) && one.counts.is_some());
    let is_limited = |one: &&Trial| one.counts == Some(TrialCounts::Limited);
    let limited_at_high = trials.iter().filter(|one| is_final_at(one, high) && is_limited(one));
    Found {
        id: id.to_owned(),
        size,
        engine: id.split('/').next().unwrap_or_default().to_owned(),
        low_pps: low,
        high_pps: high,
        limited_by: limited_by(search, low, high),
        cut_short_because: search.cut_short.map(str::to_owned),
        tentative_low_pps: tentative.as_ref().and_then(Rates::low).filter(|_| low.is_none()),
        tentative_high_pps: tentative
            .as_ref()
            .and_then(Rates::high)
            .filter(|rate| high.is_none() && low.is_none_or(|low| low < *rate)),
        passed: low.map(tried),
        failed: high.map(tried),
        trial_ns: search.settings.time.0,
        precision: search.settings.precision,
        p99_ns: median(at_low.map(|one| one.outcome.figures.p99_ns)),
        verified,
        generator_pps: limited_at_high.map(|one| one.outcome.sent_pps).max_by(f64::total_cmp),
        disturbed: trials.iter().filter(|one| one.verdict == TrialVerdict::Disturbed).count()
            as u64,
        probe: search.probe,
        curve: curve(trials),
        trials: trials.iter().map(document).collect(),
    }
}

fn limited_by(search: &Search, low: Option<f64>, high: Option<f64>) -> LimitedBy {
    if !search.converged {
        return LimitedBy::NotSettled;
    }
    let Some(high) = high else {
        let is_max = low.is_none_or(|low| search.settings.max_pps.is_some_and(|max| low >= max));
        return if is_max { LimitedBy::MaxRate } else { LimitedBy::Generator };
    };
    let tally = search.decided().at(high);
    if tally.limited >= tally.failed { LimitedBy::Generator } else { LimitedBy::Target }
}

fn document(trial: &Trial) -> TrialDocument {
    TrialDocument {
        rate_pps: trial.request.rate_pps,
        time_ns: trial.request.time.0,
        purpose: trial.request.purpose.word().to_owned(),
        sent_pps: trial.outcome.sent_pps,
        verdict: trial.verdict,
        invalid_because: trial.outcome.invalid_because.clone(),
        reason: Some(trial.outcome.reasons.join("; "))
            .filter(|text| trial.verdict != TrialVerdict::Pass && !text.is_empty()),
        figures: trial.outcome.figures.clone(),
    }
}

/// The points of the latency curve: its trials and those of full length, by rate.
fn curve(trials: &[Trial]) -> Vec<CurvePoint> {
    let mut trials: Vec<_> = trials
        .iter()
        .filter(|one| one.request.purpose.is_final() || one.request.purpose.weight().is_none())
        .collect();
    trials.sort_by(|a, b| a.request.rate_pps.total_cmp(&b.request.rate_pps));
    let alike = trials.chunk_by(|a, b| a.request.rate_pps == b.request.rate_pps);
    alike.map(point).collect()
}

/// The point of the trials at one rate: those that count, or all of them if none counts.
fn point(trials: &[&Trial]) -> CurvePoint {
    let mut counted = trials.to_vec();
    if counted.iter().any(|one| one.counts.is_some()) {
        counted.retain(|one| one.counts.is_some());
    }
    let trials = counted.as_slice();
    let figures = || trials.iter().map(|one| &one.outcome.figures);
    CurvePoint {
        rate_pps: trials.first().map_or(0.0, |one| one.request.rate_pps),
        trials: trials.len() as u64,
        delivered_pps: median(figures().map(|one| one.delivered_pps)),
        loss: median(figures().map(|one| one.loss)),
        p50_ns: median(figures().map(|one| one.p50_ns)),
        p99_ns: median(figures().map(|one| one.p99_ns)),
        passed: trials.iter().filter(|one| one.verdict == TrialVerdict::Pass).count() as u64,
    }
}

/// The lower median, which is a measured value; `None` if a value is unknown: it may be withheld
/// because it is small, or missing because no datagram arrived.
fn median<T: PartialOrd>(of: impl Iterator<Item = Option<T>>) -> Option<T> {
    lower_median(of.collect::<Option<Vec<_>>>()?)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_of_partly_unknown_values_is_unknown() {
        assert_eq!(median([Some(4), Some(9), Some(7), Some(8)].into_iter()), Some(7));
        assert_eq!(median([Some(0.5), Some(0.1), Some(0.2)].into_iter()), Some(0.2));
        assert_eq!(median([Some(4), None, Some(9)].into_iter()), None);
        assert_eq!(median(std::iter::empty::<Option<u64>>()), None);
    }
}
