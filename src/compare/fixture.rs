//! A comparison for tests of the formats: each verdict, a missing cell, and a difference.

use super::document::{
    Applied, ComparedCell, Comparison, Difference, Effect, EffectKind, Judgement, Runs,
    SampleSummary, Verdict,
};
use crate::document::{Head, Host, SCHEMA, Tool, Warning};

fn runs(same_range: f64, apart: f64) -> SampleSummary {
    let runs = [-1.0, 1.0, 0.5, -0.5, 0.0, 0.0, 0.25, -0.25, 0.75, -0.75];
    SampleSummary {
        runs: runs.map(|step| Some(same_range + step * apart)).to_vec(),
        center: Some(same_range),
    }
}

/// A metric's name, its unit and which way it is better.
type About = [&'static str; 3];

pub(super) fn judgement(
    [metric, unit, better]: About,
    [base, new]: [f64; 2],
    effect: Effect,
) -> Judgement {
    let apart = if unit == "pps" { 2e3 } else { base * 0.01 };
    Judgement {
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        better: better.to_owned(),
        base: runs(base, apart),
        new: runs(new, apart),
        effect: Some(effect),
        p: Some(0.0001),
        p_corrected: Some(0.0002),
        threshold: 0.02,
        noise: None,
        verdict: Verdict::Worse,
        why: String::new(),
    }
}

const fn ratio(value: f64, low: f64, high: f64) -> Effect {
    Effect { kind: EffectKind::Ratio, value, low, high }
}

fn cells() -> Vec<ComparedCell> {
    let worse = judgement(["rx_pps", "pps", "higher"], [281e3, 253e3], ratio(0.9, 0.879, 0.92));
    let nothing = Effect { kind: EffectKind::Difference, value: 0.0, low: 0.0, high: 0.0 };
    let same = Judgement {
        p_corrected: None,
        threshold: 1e-4,
        verdict: Verdict::Same,
        ..judgement(["loss", "share", "lower"], [0.0, 0.0], nothing)
    };
    let better = Judgement {
        verdict: Verdict::Better,
        ..judgement(["p50", "ns", "lower"], [8e3, 7.2e3], ratio(0.9, 0.88, 0.93))
    };
    let undecided = Judgement {
        p_corrected: Some(0.4),
        verdict: Verdict::Undecided,
        why: "the runs vary too much".to_owned(),
        ..judgement(["p99", "ns", "lower"], [70e3, 75e3], ratio(1.07, 0.9, 1.2))
    };
    let cell = |id: &str, metrics: Vec<Judgement>| ComparedCell {
        id: id.to_owned(),
        base_id: id.to_owned(),
        verdict: Verdict::of(metrics.iter().map(|judgement| judgement.verdict)),
        metrics,
    };
    vec![cell("plain/64/max", vec![worse, same]), cell("plain/64/50%", vec![better, undecided])]
}

pub(super) fn comparison() -> Comparison {
    let side = |from: &str, git: &str| Runs {
        from: from.to_owned(),
        documents: 10,
        runs: 10,
        git: vec![git.to_owned()],
        first: Some("2026-07-18T12:00:00Z".to_owned()),
        last: Some("2026-07-18T12:10:00Z".to_owned()),
    };
    let cells = cells();
    Comparison {
        head: Head {
            schema: SCHEMA.to_owned(),
            kind: "compare".to_owned(),
            tool: Tool {
                version: "0.1.0".to_owned(),
                git: Some("bbb".to_owned()),
                profile: "release".to_owned(),
                features: Vec::new(),
            },
            command: vec!["udperf".to_owned(), "compare".to_owned()],
            started_at: "2026-07-18T13:00:00Z".to_owned(),
            host: Host::default(),
        },
        verdict: Verdict::of(cells.iter().map(|cell| cell.verdict)),
        invalid: Vec::new(),
        rules: Applied {
            alpha: 0.05,
            confidence: 0.95,
            tolerance: 0.02,
            share_floor: 1e-4,
            resamples: 2_000,
            family: 4,
            runs_needed: 5,
            noise_from: None,
        },
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
        warnings: vec![Warning {
            code: "noise_unknown".to_owned(),
            message: "the noise floor of this machine is unknown".to_owned(),
        }],
    }
}
