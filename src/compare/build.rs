//! Builds the document of a comparison from the runs of two sides.

use std::collections::BTreeSet;

use super::differences::{of_hosts, of_scenarios};
use super::document::{
    Applied, ComparedCell, Comparison, Difference, EffectKind, Judgement, Runs, Verdict,
};
use super::input::{RunFacts, SideRuns};
use super::judge::{Pair, judge};
use super::pairs::{CellGroup, Paired, pair};
use super::stats::{RESAMPLES, runs_needed};
use super::text;
use super::validity;
use super::warnings::{Uncertainties, warnings};
use crate::document::Report;
use crate::report::checks::metric::{Better, Metric, MetricKind};

/// The confidence of intervals; the usual value.
const CONFIDENCE: f64 = 0.95;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompareError {
    #[error(
        "{between} have different scenarios ({differ}); compare runs of one scenario, or use \
         --any-scenario"
    )]
    Scenarios { between: String, differ: String },
    #[error("no cell is in both: base has {base}, new has {new}; compare runs of the same cells")]
    NothingInCommon { base: String, new: String },
    #[error("no cell has any of the metrics {asked}; choose others with --metric")]
    NothingKnown { asked: String },
}

pub(crate) fn compare(facts: RunFacts<'_>) -> Result<Comparison, CompareError> {
    let (base, new) = (facts.base.reports, facts.new.reports);
    let asked = of_scenarios(base, new);
    if !facts.any_scenario {
        refuse_scenarios(&facts, &asked)?;
    }
    let paired = pair(base, new);
    let mut invalid = validity::invalid(validity::BASE, base);
    invalid.extend(validity::invalid(validity::NEW, new));
    if paired.both.is_empty() && invalid.is_empty() {
        let list = |ids: &[&str]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        let (base, new) = (list(&paired.only_base), list(&paired.only_new));
        return Err(CompareError::NothingInCommon { base, new });
    }
    let Judged { mut cells, family, noise_known, left_out } = cells(&facts, &paired);
    if noise_known.1 == 0 && invalid.is_empty() {
        let names: Vec<_> = facts.metrics.iter().map(|metric| metric.name).collect();
        return Err(CompareError::NothingKnown { asked: names.join(", ") });
    }
    validity::withdraw_verdicts(&mut cells, &invalid);
    let noise_used = noise_known.0 > 0;
    let mut differences = of_hosts(base, new);
    differences.extend(asked);
    let min_runs =
        |(base, new): &(CellGroup<'_>, CellGroup<'_>)| base.runs.len().min(new.runs.len());
    let min_runs = paired.both.iter().map(min_runs).min().unwrap_or(0);
    let interleaved = facts.head.kind == "ab" || interleaved(base, new);
    let needed = runs_needed(family, facts.rules.alpha);
    let uncertainties = Uncertainties { min_runs, needed, interleaved, noise_known, left_out };
    Ok(Comparison {
        verdict: {
            // A missing cell may have been worse.
            let missing = paired.only_base.iter().map(|_| Verdict::Undecided);
            let invalid = invalid.iter().map(|_| Verdict::CannotCompare);
            Verdict::of(cells.iter().map(|cell| cell.verdict).chain(missing).chain(invalid))
        },
        invalid,
        rules: Applied {
            alpha: facts.rules.alpha,
            confidence: CONFIDENCE,
            tolerance: facts.rules.tolerance,
            share_floor: facts.rules.share_floor,
            resamples: RESAMPLES as u64,
            family: family as u64,
            runs_needed: needed as u64,
            noise_from: noise_used.then(|| facts.noise.map(|(_, from)| from.to_owned())).flatten(),
        },
        base: runs(facts.base, paired.both.iter().map(|(base, _)| base)),
        new: runs(facts.new, paired.both.iter().map(|(_, new)| new)),
        interleaved,
        warnings: warnings(&facts, &paired, &differences, uncertainties),
        differences,
        cells,
        learned: None,
        only_base: paired.only_base.iter().map(|id| (*id).to_owned()).collect(),
        only_new: paired.only_new.iter().map(|id| (*id).to_owned()).collect(),
        head: facts.head,
    })
}

/// Refuses runs of different scenarios, within a side or between the two.
fn refuse_scenarios(facts: &RunFacts<'_>, between: &[Difference]) -> Result<(), CompareError> {
    for side in [facts.base, facts.new] {
        let Some((first, rest)) = side.reports.split_first() else { continue };
        let differ = rest.iter().map(|other| of_scenarios(&[first], &[other]));
        if let Some(differ) = differ.into_iter().find(|differ| !differ.is_empty()) {
            let between = format!("the runs of {}", side.from);
            return Err(CompareError::Scenarios { between, differ: in_words(&differ) });
        }
    }
    if between.is_empty() {
        return Ok(());
    }
    let names = format!("{} and {}", facts.base.from, facts.new.from);
    Err(CompareError::Scenarios { between: names, differ: in_words(between) })
}

/// `batch 8 → 16, wait spin → hybrid`.
fn in_words(differences: &[Difference]) -> String {
    let words = differences.iter().map(text::difference);
    words.map(|one| one.trim_start_matches("scenario.").to_owned()).collect::<Vec<_>>().join(", ")
}

struct Judged {
    cells: Vec<ComparedCell>,
    /// Comparisons that chance may affect.
    family: usize,
    /// Comparisons with a known noise floor, and all comparisons.
    noise_known: (usize, usize),
    /// Metrics that could not be compared, and why.
    left_out: Vec<(&'static str, String)>,
}

fn cells(facts: &RunFacts<'_>, paired: &Paired<'_>) -> Judged {
    let mut pairs = Vec::new();
    let mut of_cell = Vec::new();
    let mut left_out = Vec::new();
    for metric in facts.metrics.iter().copied().filter(|one| one.better != Better::Neither) {
        let all = known(metric, paired, facts.named);
        let of_base = all.iter().any(|known| !known.base.is_empty());
        let of_new = all.iter().any(|known| !known.new.is_empty());
        if metric.kind == MetricKind::Number && of_base != of_new {
            let side = if of_base { "the base runs" } else { "the new runs" };
            left_out.push((metric.name, format!("only {side} have it")));
            continue;
        }
        if metric.name == INSTRUCTIONS && instructions_kinds(paired).len() > 1 {
            let why = "some runs count user and others user+kernel instructions";
            left_out.push((metric.name, why.to_owned()));
            continue;
        }
        let (all, withheld): (Vec<_>, Vec<_>) = all.into_iter().partition(CellFigures::is_known);
        if !withheld.is_empty() {
            let ids: Vec<_> = withheld.iter().map(|known| paired.both[known.at].1.id).collect();
            let why = "all runs are below the clock offset bound";
            left_out.push((metric.name, format!("of {} {why}", ids.join(", "))));
        }
        for CellFigures { at, base, new, withheld } in all {
            let (base_group, new_group) = &paired.both[at];
            let noise = noise(facts, metric, base_group, new_group);
            pairs.push(Pair { metric, base, new, withheld, noise });
            of_cell.push(at);
        }
    }
    let with_noise = pairs.iter().filter(|pair| !pair.noise.is_empty()).count();
    let noise_known = (with_noise, pairs.len());
    let mut judged: Vec<Vec<Judgement>> = paired.both.iter().map(|_| Vec::new()).collect();
    let (all, family) = judge(&pairs, facts.rules);
    for (at, judgement) in of_cell.iter().zip(all) {
        judged[*at].push(judgement);
    }
    let cell =
        |((base, new), metrics): (&(CellGroup<'_>, CellGroup<'_>), Vec<Judgement>)| ComparedCell {
            id: new.id.to_owned(),
            base_id: base.id.to_owned(),
            verdict: Verdict::of(metrics.iter().map(|judgement| judgement.verdict)),
            metrics,
        };
    let cells = paired.both.iter().zip(judged).filter(|(_, judged)| !judged.is_empty()).map(cell);
    Judged { cells: cells.collect(), family, noise_known, left_out }
}

struct CellFigures {
    at: usize,
    base: Vec<f64>,
    new: Vec<f64>,
    /// Runs of both sides with only an upper limit.
    withheld: usize,
}

impl CellFigures {
    fn is_known(&self) -> bool {
        !self.base.is_empty() || !self.new.is_empty()
    }
}

/// The values of both sides in all cells that the metric suits; if it suits none and was named, in
/// all cells. Cells without values or withheld values are left out.
fn known(metric: &Metric, paired: &Paired<'_>, named: bool) -> Vec<CellFigures> {
    let suits = |group: &CellGroup<'_>| group.runs.iter().any(|cell| metric.suits(cell));
    let suited = |(base, new): &(CellGroup<'_>, CellGroup<'_>)| suits(base) && suits(new);
    let any = paired.both.iter().any(suited);
    let figures = |group: &CellGroup<'_>| -> Vec<f64> {
        group.runs.iter().filter_map(|cell| (metric.of)(cell)).filter(|run| !run.is_nan()).collect()
    };
    let withheld =
        |group: &CellGroup<'_>| group.runs.iter().filter(|cell| metric.is_withheld(cell)).count();
    let all = paired.both.iter().enumerate().filter(|(_, pair)| suited(pair) || (named && !any));
    let all = all.map(|(at, (base, new))| CellFigures {
        at,
        base: figures(base),
        new: figures(new),
        withheld: withheld(base) + withheld(new),
    });
    all.filter(|known| known.is_known() || known.withheld > 0).collect()
}

/// The metric with two kinds: a name of `report::metric`.
const INSTRUCTIONS: &str = "instructions_per_datagram";

fn instructions_kinds<'a>(paired: &'a Paired<'_>) -> BTreeSet<&'a str> {
    let groups = paired.both.iter().flat_map(|(base, new)| [base, new]);
    let cells = groups.flat_map(|group| &group.runs);
    cells.filter_map(|cell| cell.tx.instructions_kind.as_deref()).collect()
}

fn noise(
    facts: &RunFacts<'_>,
    metric: &Metric,
    base: &CellGroup<'_>,
    new: &CellGroup<'_>,
) -> Vec<(EffectKind, f64)> {
    let Some((profile, _)) = facts.noise else { return Vec::new() };
    let of = |side: SideRuns<'_>, id: &str| {
        let floor = profile.of(side.reports.first()?, id, metric.name)?;
        Some((floor.kind, floor.noise))
    };
    [of(facts.base, base.id), of(facts.new, new.id)].into_iter().flatten().collect()
}

fn runs<'a>(side: SideRuns<'_>, groups: impl Iterator<Item = &'a CellGroup<'a>>) -> Runs {
    let git: BTreeSet<_> = side.reports.iter().filter_map(|one| one.tool.git.clone()).collect();
    let times = || side.reports.iter().map(|report| report.started_at.clone());
    Runs {
        from: side.from.to_owned(),
        documents: side.reports.len() as u64,
        runs: groups.map(|group| group.runs.len() as u64).max().unwrap_or(0),
        git: git.into_iter().collect(),
        first: times().min(),
        last: times().max(),
    }
}

/// Whether runs of both sides alternate: then almost each run is next to one of the other side.
fn interleaved(base: &[&Report], new: &[&Report]) -> bool {
    let times = |reports: &[&Report], is_new| -> Vec<(String, bool)> {
        reports.iter().map(|report| (report.started_at.clone(), is_new)).collect()
    };
    let mut all = times(base, false);
    all.extend(times(new, true));
    // RFC 3339 in UTC sorts as it reads.
    all.sort();
    let turns = all.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    let fewer = base.len().min(new.len());
    fewer > 1 && turns >= fewer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::judge::Rules;
    use crate::document::Head;
    use crate::report::fixture;

    /// Ten runs, `withheld` of which have a median latency below the clock offset bound.
    fn side(withheld: usize) -> Vec<Report> {
        let run = |at: usize| {
            let mut cell = fixture::cell("plain", 64, "50%", 100e3);
            if at < withheld {
                fixture::two_clocks(&mut cell, 12_000);
            }
            fixture::report_of(vec![cell])
        };
        (0..10).map(run).collect()
    }

    /// The comparison of `p50` and `p99` of two such sides.
    fn of(base: usize, new: usize) -> Comparison {
        let (base, new) = (side(base), side(new));
        let (base, new): (Vec<_>, Vec<_>) = (base.iter().collect(), new.iter().collect());
        let metrics = ["p50", "p99"].map(|name| Metric::named(name).unwrap());
        compare(RunFacts {
            head: Head::default(),
            base: SideRuns { from: "base", reports: &base },
            new: SideRuns { from: "new", reports: &new },
            rules: &Rules::default(),
            metrics: &metrics,
            named: true,
            any_scenario: false,
            noise: None,
        })
        .unwrap()
    }

    #[test]
    fn withheld_runs_are_not_dropped_one_by_one() {
        let judged = |comparison: &Comparison| -> Vec<_> {
            let metrics = comparison.cells[0].metrics.iter();
            metrics.map(|one| (one.metric.clone(), one.verdict, one.why.clone())).collect()
        };
        let p99 = ("p99".to_owned(), Verdict::Same, String::new());
        for (base, new, why) in [(0, 3, "3 of 20 runs are below"), (10, 0, "10 of 20 runs are")] {
            let found = judged(&of(base, new));
            assert_eq!((found[0].0.as_str(), found[0].1), ("p50", Verdict::Undecided));
            assert!(found[0].2.starts_with(why), "{found:?}");
            assert_eq!(found[1], p99);
        }
        let none = of(10, 10);
        assert_eq!((judged(&none), none.verdict), (vec![p99], Verdict::Same));
        let left_out = none.warnings.iter().find(|one| one.code == "left_out").unwrap();
        let expected = "p50 is not compared: of plain/64/50% all runs are below the clock offset \
                        bound";
        assert_eq!(left_out.message, expected);
    }
}
