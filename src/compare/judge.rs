//! The rules that decide verdicts.

use super::document::{Effect, EffectKind, Judgement, Rules, SampleSummary, Verdict};
use super::stats::{
    difference_of_means, holm, mann_whitney, mean, ratio_of_medians, runs_needed, smallest_p,
};
use crate::report::checks::metric::{Better, Metric, MetricKind};
use crate::unit::{RateUnit, median};

/// Metrics compared by default.
pub(crate) const METRICS: [&str; 9] = [
    "rx_pps",
    "loss",
    "no_reply",
    "p50",
    "p99",
    "syscalls_per_datagram",
    "context_switches_per_datagram",
    "cpu_ns_per_datagram",
    "instructions_per_datagram",
];

#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) metric: &'static Metric,
    pub(super) base: Vec<f64>,
    pub(super) new: Vec<f64>,
    /// Withheld runs of both sides; without them the sample is biased.
    pub(super) withheld: usize,
    /// Known noise floors of the machine.
    pub(super) noise: Vec<(EffectKind, f64)>,
    /// What rates of its cell count.
    pub(super) rates: RateUnit,
}

/// Judges all metrics of a comparison together; also returns the size of the family.
pub(super) fn judge(pairs: &[Pair], rules: &Rules) -> (Vec<Judgement>, usize) {
    let p = |pair: &Pair| mann_whitney(&pair.base, &pair.new).filter(|_| pair.withheld == 0);
    let p: Vec<_> = pairs.iter().map(p).collect();
    // Equal runs cannot differ by chance.
    let varies = |pair: &Pair| pair.base.iter().chain(&pair.new).any(|run| *run != pair.base[0]);
    let tested = |pair: &Pair, p: Option<f64>| p.filter(|_| varies(pair));
    let known: Vec<f64> = pairs.iter().zip(&p).filter_map(|(pair, p)| tested(pair, *p)).collect();
    let mut corrected = holm(&known).into_iter();
    let family = known.len().max(1);
    let one = |(pair, p): (&Pair, Option<f64>)| {
        let p_corrected = tested(pair, p).and_then(|_| corrected.next()).or(p);
        judge_one(pair, p, p_corrected, family, rules)
    };
    (pairs.iter().zip(p).map(one).collect(), family)
}

fn judge_one(
    pair: &Pair,
    p: Option<f64>,
    p_corrected: Option<f64>,
    family: usize,
    rules: &Rules,
) -> Judgement {
    let Pair { metric, base, new, .. } = pair;
    let effect = effect(metric.kind, base, new).filter(|_| pair.withheld == 0);
    let tolerated = tolerated(pair, effect, rules);
    let equal = pair.noise.iter().filter(|(kind, _)| Some(*kind) == effect.map(|one| one.kind));
    let noise = equal.map(|(_, noise)| *noise).max_by(f64::total_cmp);
    let threshold = tolerated.max(noise.unwrap_or(0.0));
    let min_runs = base.len().min(new.len());
    let undecided = |why: &str| (Verdict::Undecided, why.to_owned());
    let (verdict, why) = match p_corrected {
        None if pair.withheld > 0 => undecided(&format!(
            "{} of {} runs are below the clock offset bound",
            pair.withheld,
            pair.withheld + base.len() + new.len()
        )),
        None if base.is_empty() => undecided("only the new runs have it"),
        None => undecided("only the base runs have it"),
        Some(_) if smallest_p(min_runs, min_runs) * family as f64 >= rules.alpha => {
            let needed = runs_needed(family, rules.alpha);
            undecided(&format!("at least {needed} runs per side are needed, got {min_runs}"))
        }
        Some(p) => match effect {
            Some(effect) => verdict_of(metric.better, effect, p, (tolerated, threshold), rules),
            None => verdict_of_infinite(base, new, p, rules),
        },
    };
    Judgement {
        metric: metric.name.to_owned(),
        unit: unit(metric.kind, pair.rates).to_owned(),
        better: if metric.better == Better::Higher { "higher" } else { "lower" }.to_owned(),
        base: sample(metric.kind, base),
        new: sample(metric.kind, new),
        effect,
        p,
        p_corrected,
        threshold,
        noise,
        verdict,
        why,
    }
}

/// The verdict, and why it is undecided; noise can only hide a difference.
fn verdict_of(
    better: Better,
    effect: Effect,
    p: f64,
    (tolerated, threshold): (f64, f64),
    rules: &Rules,
) -> (Verdict, String) {
    let Effect { kind, low, high, .. } = effect;
    let (below, above) = same_range(kind, tolerated);
    if low >= below && high <= above {
        return (Verdict::Same, String::new());
    }
    let (below, above) = same_range(kind, threshold);
    let beyond = low > above || high < below;
    if beyond && p < rules.alpha {
        let is_better = (low > above) == (better == Better::Higher);
        return (if is_better { Verdict::Better } else { Verdict::Worse }, String::new());
    }
    let why = if beyond {
        "the interval shows a difference, but the test does not"
    } else if p < rules.alpha && threshold > tolerated {
        "they differ, but perhaps only by the noise of this machine"
    } else if p < rules.alpha {
        "they differ, but perhaps within the tolerance"
    } else {
        "the runs vary too much"
    };
    (Verdict::Undecided, why.to_owned())
}

/// The range of effects that count as no change. For ratios the threshold is a factor either way.
pub(super) fn same_range(kind: EffectKind, threshold: f64) -> (f64, f64) {
    match kind {
        EffectKind::Ratio => (1.0 / (1.0 + threshold), 1.0 + threshold),
        EffectKind::Difference => (-threshold, threshold),
    }
}

/// The verdict if some runs are infinite, such as a percentile among lost datagrams.
fn verdict_of_infinite(base: &[f64], new: &[f64], p: f64, rules: &Rules) -> (Verdict, String) {
    let mostly =
        |runs: &[f64]| runs.iter().filter(|run| run.is_infinite()).count() * 2 > runs.len();
    let verdict = match (mostly(base), mostly(new)) {
        (false, true) if p < rules.alpha => Verdict::Worse,
        (true, false) if p < rules.alpha => Verdict::Better,
        _ => Verdict::Undecided,
    };
    let why = if verdict == Verdict::Undecided { "some runs are infinite" } else { "" };
    (verdict, why.to_owned())
}

/// The effect between two samples; `None` if one is empty or has infinite values.
pub(super) fn effect(kind: MetricKind, base: &[f64], new: &[f64]) -> Option<Effect> {
    if base.iter().chain(new).any(|run| !run.is_finite()) {
        return None;
    }
    let ratio = if kind == MetricKind::Share { None } else { ratio_of_medians(base, new) };
    ratio.or_else(|| difference_of_means(base, new))
}

/// The distance of two samples, without direction and interval.
pub(super) fn distance(kind: EffectKind, a: &[f64], b: &[f64]) -> Option<f64> {
    let middle = |runs: &[f64]| median(runs.iter().copied());
    Some(match kind {
        EffectKind::Ratio => {
            let (a, b) = (middle(a).filter(|a| *a > 0.0)?, middle(b).filter(|b| *b > 0.0)?);
            (a / b).max(b / a) - 1.0
        }
        EffectKind::Difference => (mean(b)? - mean(a)?).abs(),
    })
}

fn tolerated(pair: &Pair, effect: Option<Effect>, rules: &Rules) -> f64 {
    match effect.map(|effect| effect.kind) {
        Some(EffectKind::Difference) => {
            let floor = if pair.metric.kind == MetricKind::Share { rules.share_floor } else { 0.0 };
            floor.max(rules.tolerance * mean(&pair.base).unwrap_or(0.0))
        }
        _ => rules.tolerance,
    }
}

fn sample(kind: MetricKind, runs: &[f64]) -> SampleSummary {
    let center = if kind == MetricKind::Share { mean(runs) } else { median(runs.iter().copied()) };
    let finite = |run: &f64| Some(*run).filter(|run| run.is_finite());
    let center = center.as_ref().and_then(finite);
    SampleSummary { runs: runs.iter().map(finite).collect(), center }
}

pub(super) const fn unit(kind: MetricKind, rates: RateUnit) -> &'static str {
    match kind {
        MetricKind::Packets if matches!(rates, RateUnit::Requests) => "requests_per_second",
        MetricKind::Share => "share",
        MetricKind::Time => "ns",
        MetricKind::Packets => "pps",
        MetricKind::Bits => "bits_per_second",
        MetricKind::Count | MetricKind::Number => "number",
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Better, Same, Undecided, Worse};
    use super::*;

    fn pair(name: &str, base: &[f64], new: &[f64]) -> Pair {
        let metric = Metric::named(name).unwrap();
        let (base, new, rates) = (base.to_vec(), new.to_vec(), RateUnit::Packets);
        Pair { metric, base, new, withheld: 0, noise: Vec::new(), rates }
    }

    fn verdict(pair: Pair) -> (Verdict, String) {
        let judged = judge(&[pair], &Rules::default()).0.remove(0);
        (judged.verdict, judged.why)
    }

    /// Ten runs around this value.
    fn runs(center: f64) -> Vec<f64> {
        (0..10).map(|i| center * (0.99 + 0.002 * f64::from(i))).collect()
    }

    #[test]
    fn verdicts_of_samples() {
        let (zero, fine, lost) = (vec![0.0; 10], runs(1e6), vec![f64::INFINITY; 10]);
        let loss = vec![0.01, 0.02, 0.01, 0.03, 0.01, 0.02, 0.02, 0.01, 0.02, 0.01];
        let once = [&[0.2][..], &zero[1..]].concat();
        let half_lost = [&fine[..5], &lost[5..]].concat();
        for (metric, base, new, expected) in [
            ("rx_pps", &runs(100.0), &runs(90.0), Worse),
            ("rx_pps", &runs(100.0), &runs(110.0), Better),
            ("p99", &runs(100.0), &runs(110.0), Worse),
            ("p99", &runs(100.0), &runs(90.0), Better),
            ("p99", &runs(100.0), &runs(100.3), Same),
            ("p99", &runs(100.0), &runs(102.0), Undecided),
            // Loss is judged by run and above a floor.
            ("loss", &zero, &loss, Worse),
            ("loss", &zero, &vec![5e-5; 10], Same),
            ("loss", &zero, &once, Undecided),
            // Percentiles among lost datagrams are infinite.
            ("p99_with_loss", &fine, &lost, Worse),
            ("p99_with_loss", &lost, &fine, Better),
            ("p99_with_loss", &lost, &lost, Undecided),
            ("p99_with_loss", &fine, &half_lost, Undecided),
            // Without a ratio, the difference counts.
            ("stalls", &zero, &vec![3.0; 10], Worse),
            ("stalls", &zero, &zero, Same),
        ] {
            assert_eq!(verdict(pair(metric, base, new)).0, expected, "{metric} {base:?} {new:?}");
        }
    }

    #[test]
    fn noise_hides_smaller_effects() {
        let mut noisy = pair("rx_pps", &runs(100.0), &runs(90.0));
        for noise in [0.2, 0.12, 3.0] {
            noisy.noise = vec![(EffectKind::Ratio, noise), (EffectKind::Difference, 1e9)];
            let why = "they differ, but perhaps only by the noise of this machine";
            assert_eq!(verdict(noisy.clone()), (Undecided, why.to_owned()));
        }
        noisy.noise = vec![(EffectKind::Ratio, 0.05)];
        assert_eq!(verdict(noisy).0, Worse);
    }

    #[test]
    fn too_few_runs_are_undecided() {
        let cases: [(&[f64], &[f64], &str); 3] = [
            (&[1.0, 1.1, 1.2], &[2.0, 2.1, 2.2], "at least 4 runs per side are needed, got 3"),
            (&[], &[2.0], "only the new runs have it"),
            // Many runs on one side do not make up for few on the other.
            (&[9.0], &[2.0; 60], "at least 4 runs per side are needed, got 1"),
        ];
        for (base, new, why) in cases {
            assert_eq!(verdict(pair("rx_pps", base, new)), (Undecided, why.to_owned()));
        }
    }
}
