//! A comparison for tests of the formats: each verdict, a missing cell, and a difference.

use super::document::{
    ComparedCell, Comparison, Difference, Effect, EffectKind, Judgement, Rules, Runs,
    SampleSummary, Verdict,
};
use crate::document::Head;
use crate::report::fixture::warning;

/// The metric, its unit and direction; the centers of both sides; the effect and its interval.
pub(super) fn judgement(
    [metric, unit, better]: [&str; 3],
    centers: [f64; 2],
    kind: EffectKind,
    [value, low, high]: [f64; 3],
) -> Judgement {
    let spread = if unit == "pps" { 2e3 } else { centers[0] * 0.01 };
    let steps = [-1.0, 1.0, 0.5, -0.5, 0.0, 0.0, 0.25, -0.25, 0.75, -0.75];
    let [base, new] = centers.map(|center| SampleSummary {
        runs: steps.map(|step| Some(center + step * spread)).to_vec(),
        center: Some(center),
    });
    Judgement {
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        better: better.to_owned(),
        base,
        new,
        effect: Some(Effect { kind, value, low, high }),
        p: Some(0.0001),
        p_corrected: Some(0.0002),
        threshold: 0.02,
        noise: None,
        verdict: Verdict::Worse,
        why: String::new(),
    }
}

fn cell(id: &str, metrics: Vec<Judgement>) -> ComparedCell {
    let verdict = Verdict::of(metrics.iter().map(|judgement| judgement.verdict));
    ComparedCell { id: id.to_owned(), base_id: id.to_owned(), verdict, metrics }
}

pub(crate) fn comparison() -> Comparison {
    use EffectKind::{Difference as Less, Ratio};
    let rate = ["rx_pps", "pps", "higher"];
    let worse = judgement(rate, [281e3, 253e3], Ratio, [0.9, 0.879, 0.92]);
    let same = Judgement {
        p_corrected: None,
        threshold: 1e-4,
        verdict: Verdict::Same,
        ..judgement(["loss", "share", "lower"], [0.0, 0.0], Less, [0.0; 3])
    };
    let better = Judgement {
        verdict: Verdict::Better,
        ..judgement(["p50", "ns", "lower"], [8e3, 7.2e3], Ratio, [0.9, 0.88, 0.93])
    };
    let undecided = Judgement {
        p_corrected: Some(0.4),
        verdict: Verdict::Undecided,
        why: "the runs vary too much".to_owned(),
        ..judgement(["p99", "ns", "lower"], [70e3, 75e3], Ratio, [1.07, 0.9, 1.2])
    };
    let cells = vec![
        cell("plain/64/max", vec![worse, same]),
        cell("plain/64/50%", vec![better, undecided]),
    ];
    let side = |from: &str, git: &str| Runs {
        from: from.to_owned(),
        git: vec![git.to_owned()],
        first: Some("2026-07-18T12:00:00Z".to_owned()),
        ..Runs::default()
    };
    Comparison {
        head: Head { kind: "compare".to_owned(), ..Head::default() },
        verdict: Verdict::of(cells.iter().map(|cell| cell.verdict)),
        invalid: Vec::new(),
        rules: Rules::default(),
        base: side("before", "aaa"),
        new: side("after", "bbb"),
        interleaved: true,
        differences: vec![Difference {
            what: "host.kernel".to_owned(),
            base: vec!["6.1".to_owned()],
            new: vec!["6.2".to_owned()],
        }],
        cells,
        only_base: vec!["plain/512/max".to_owned()],
        only_new: Vec::new(),
        learned: None,
        warnings: vec![warning("noise_unknown", "the noise floor of this machine is unknown")],
    }
}
