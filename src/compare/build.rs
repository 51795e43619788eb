//! Builds the document of a comparison from the runs of two sides.

use std::collections::BTreeSet;

use super::differences::{of_hosts, of_scenarios};
use super::document::{ComparedCell, Comparison, Difference, Judgement, Rules, Runs, Verdict};
use super::judge::{Pair, judge};
use super::noise::NoiseProfile;
use super::pairs::{CellGroup, CellPair, Paired, StepPair, StepRun, named, pair_steps, steps};
use super::stats::runs_needed;
use super::text;
use super::validity;
use super::warnings::warnings;
use crate::document::{Head, Report};
use crate::report::checks::metric::{Better, Metric, MetricKind, rate_unit};
use crate::report::checks::warning_codes as codes;
use crate::unit::RateUnit;

#[derive(Debug)]
pub(crate) struct RunFacts<'a> {
    pub(crate) head: Head,
    pub(crate) base: SideRuns<'a>,
    pub(crate) new: SideRuns<'a>,
    pub(crate) rules: &'a Rules,
    pub(crate) metrics: &'a [&'static Metric],
    /// Whether the user named the metrics; those that suit no cell then apply to all cells.
    pub(crate) named: bool,
    pub(crate) any_scenario: bool,
    /// The noise profile and where it is kept.
    pub(crate) noise: Option<(&'a NoiseProfile, &'a str)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SideRuns<'a> {
    pub(crate) from: &'a str,
    /// Runs in their order.
    pub(crate) runs: &'a [StepRun<'a>],
    /// Steps of scenario files without a run.
    pub(crate) without_run: &'a BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompareError {
    #[error(
        "{between} have different scenarios ({differ}); compare runs of one scenario, or use \
         --any-scenario"
    )]
    Scenarios { between: String, differ: String },
    #[error(
        "no cell is in both: base has {base}, new has {new}; compare runs with the same \
         cells, and scenario files with the same steps"
    )]
    NothingInCommon { base: String, new: String },
    #[error("no cell has any of the metrics {requested}; choose others with --metric")]
    NothingKnown { requested: String },
}

pub(crate) fn compare(facts: RunFacts<'_>) -> Result<Comparison, CompareError> {
    let (base, new) = (facts.base.runs, facts.new.runs);
    let steps = steps(base, new);
    let between = differences_between(&facts, &steps)?;
    let paired = pair_steps(&steps);
    let invalid: Vec<_> = steps.iter().flat_map(validity::of_step).collect();
    if paired.both.is_empty() && invalid.is_empty() {
        let list = |ids: &[String]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        let (base, new) = (list(&paired.only_base), list(&paired.only_new));
        return Err(CompareError::NothingInCommon { base, new });
    }
    let Judged { mut cells, family, noise_known, left_out } = judge_cells(&facts, &paired);
    if noise_known.1 == 0 && invalid.is_empty() {
        let names: Vec<_> = facts.metrics.iter().map(|metric| metric.name).collect();
        return Err(CompareError::NothingKnown { requested: names.join(", ") });
    }
    validity::withdraw_verdicts(&mut cells, &invalid);
    let noise_from = facts.noise.filter(|_| noise_known.0 > 0).map(|(_, from)| from.to_owned());
    let [of_base, of_new] = [base, new].map(reports);
    let mut differences = of_hosts(&of_base, &of_new);
    differences.extend(between);
    let mut both = steps.iter().filter(|step| step.is_on_both()).peekable();
    let interleaved = facts.head.kind == "ab"
        || both.peek().is_some() && both.all(|one| interleaved(&one.base, &one.new));
    // A missing cell may have been worse.
    let missing = paired.only_base.iter().map(|_| Verdict::Undecided);
    let verdicts = invalid.iter().map(|_| Verdict::CannotCompare).chain(missing);
    let mut comparison = Comparison {
        verdict: Verdict::of(cells.iter().map(|cell| cell.verdict).chain(verdicts)),
        invalid,
        rules: Rules {
            family: family as u64,
            runs_needed: runs_needed(family, facts.rules.alpha) as u64,
            noise_from,
            ..facts.rules.clone()
        },
        base: runs(facts.base, paired.both.iter().map(|(base, _)| base)),
        new: runs(facts.new, paired.both.iter().map(|(_, new)| new)),
        interleaved,
        warnings: Vec::new(),
        differences,
        cells,
        learned: None,
        only_base: paired.only_base.clone(),
        only_new: paired.only_new.clone(),
        head: facts.head,
    };
    comparison.warnings = warnings(&comparison, &paired, [base, new], noise_known, left_out);
    let without_run: Vec<_> =
        facts.base.without_run.union(facts.new.without_run).cloned().collect();
    if !without_run.is_empty() {
        let message = format!(
            "steps without cells on a side are not compared: {}; see udperf report",
            without_run.join(", ")
        );
        comparison.warnings.push(codes::LEFT_OUT.warning(message));
    }
    Ok(comparison)
}

/// The differences of scenarios in each step, which must be allowed.
fn differences_between(
    facts: &RunFacts<'_>,
    steps: &[StepPair<'_>],
) -> Result<Vec<Difference>, CompareError> {
    let mut between = Vec::new();
    for step in steps.iter().filter(|step| step.is_on_both()) {
        let found = of_scenarios(&step.base, &step.new);
        if !facts.any_scenario {
            check_scenarios(facts, step, &found)?;
        }
        let of_step = |one: Difference| Difference { what: named(step.step, &one.what), ..one };
        between.extend(found.into_iter().map(of_step));
    }
    Ok(between)
}

fn reports<'a>(runs: &[StepRun<'a>]) -> Vec<&'a Report> {
    runs.iter().map(|run| run.report).collect()
}

/// Refuses runs of different scenarios, within a side or between the two.
fn check_scenarios(
    facts: &RunFacts<'_>,
    step: &StepPair<'_>,
    between: &[Difference],
) -> Result<(), CompareError> {
    let of_step = step.step.map_or_else(String::new, |step| format!(" in step '{step}'"));
    let fails = |between: String, differences: &[Difference]| {
        let words = differences.iter().map(text::difference);
        let words = words.map(|one| one.trim_start_matches("scenario.").to_owned());
        let differ = words.collect::<Vec<_>>().join(", ");
        Err(CompareError::Scenarios { between: between + &of_step, differ })
    };
    for (side, runs) in [(facts.base, &step.base), (facts.new, &step.new)] {
        let mut all = runs.windows(2).map(|two| of_scenarios(&two[..1], &two[1..]));
        if let Some(differ) = all.find(|differ| !differ.is_empty()) {
            return fails(format!("the runs of {}", side.from), &differ);
        }
    }
    match between {
        [] => Ok(()),
        between => fails(format!("{} and {}", facts.base.from, facts.new.from), between),
    }
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

fn judge_cells(facts: &RunFacts<'_>, paired: &Paired<'_>) -> Judged {
    let cells = paired.both.iter().flat_map(|(base, new)| base.runs.iter().chain(&new.runs));
    let kinds: BTreeSet<_> = cells.filter_map(|cell| cell.tx.instructions_kind.as_ref()).collect();
    let (mut pairs, mut left_out) = (Vec::new(), Vec::new());
    for metric in facts.metrics.iter().copied().filter(|one| one.better != Better::Neither) {
        let all = figures(metric, facts, paired);
        let of_base = all.iter().any(|(_, pair)| !pair.base.is_empty());
        let of_new = all.iter().any(|(_, pair)| !pair.new.is_empty());
        if metric.kind == MetricKind::Number && of_base != of_new {
            let side = if of_base { "the base runs" } else { "the new runs" };
            left_out.push((metric.name, format!("only {side} have it")));
            continue;
        }
        if metric.name == "instructions_per_datagram" && kinds.len() > 1 {
            let why = "some runs count user and others user+kernel instructions";
            left_out.push((metric.name, why.to_owned()));
            continue;
        }
        let is_known = |(_, pair): &(usize, Pair)| !pair.base.is_empty() || !pair.new.is_empty();
        let (known, withheld): (Vec<_>, Vec<_>) = all.into_iter().partition(is_known);
        if !withheld.is_empty() {
            let ids: Vec<_> =
                withheld.iter().map(|&(cell, _)| paired.both[cell].1.name()).collect();
            let why = "all runs are below the clock offset bound";
            left_out.push((metric.name, format!("of {} {why}", ids.join(", "))));
        }
        pairs.extend(known);
    }
    let (cell_of_pair, pairs): (Vec<usize>, Vec<Pair>) = pairs.into_iter().unzip();
    let with_noise = pairs.iter().filter(|pair| !pair.noise.is_empty()).count();
    let mut judged: Vec<Vec<Judgement>> = vec![Vec::new(); paired.both.len()];
    let (all, family) = judge(&pairs, facts.rules);
    for (cell, judgement) in cell_of_pair.into_iter().zip(all) {
        judged[cell].push(judgement);
    }
    let cells = paired.both.iter().zip(judged).filter(|(_, judged)| !judged.is_empty());
    let cells = cells.map(|((base, new), metrics)| ComparedCell {
        id: new.name(),
        base_id: base.name(),
        verdict: Verdict::of(metrics.iter().map(|judgement| judgement.verdict)),
        metrics,
    });
    Judged { cells: cells.collect(), family, noise_known: (with_noise, pairs.len()), left_out }
}

/// The values of both sides in all cells that the metric suits, by the index of the cell; if it
/// suits none and was named, in all cells. Omits cells without values or withheld values.
fn figures(
    metric: &'static Metric,
    facts: &RunFacts<'_>,
    paired: &Paired<'_>,
) -> Vec<(usize, Pair)> {
    let suits = |group: &CellGroup<'_>| group.runs.iter().any(|cell| metric.suits(cell));
    let suited = |(base, new): &CellPair<'_>| suits(base) && suits(new);
    let any = paired.both.iter().any(suited);
    let values = |group: &CellGroup<'_>| -> Vec<f64> {
        group.runs.iter().filter_map(|cell| (metric.of)(cell)).filter(|run| !run.is_nan()).collect()
    };
    let withheld =
        |group: &CellGroup<'_>| group.runs.iter().filter(|cell| metric.is_withheld(cell)).count();
    let floor = |group: &CellGroup<'_>| {
        let floor = facts.noise?.0.of(group.report, group.id, metric.name)?;
        Some((floor.kind, floor.noise))
    };
    let cells = paired.both.iter().enumerate();
    let cells = cells.filter(|(_, pair)| suited(pair) || (facts.named && !any));
    let all = cells.map(|(cell, (base, new))| {
        let noise = [floor(base), floor(new)];
        let noise = noise.into_iter().flatten().collect();
        let withheld = withheld(base) + withheld(new);
        let rates = new.runs.first().map_or(RateUnit::Packets, |cell| rate_unit(cell));
        (cell, Pair { metric, base: values(base), new: values(new), withheld, noise, rates })
    });
    all.filter(|(_, pair)| pair.withheld + pair.base.len() + pair.new.len() > 0).collect()
}

fn runs<'a>(side: SideRuns<'_>, groups: impl Iterator<Item = &'a CellGroup<'a>>) -> Runs {
    let reports = reports(side.runs);
    let labels = reports.iter().flat_map(|one| &one.labels);
    let labels: BTreeSet<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    let git: BTreeSet<_> = reports.iter().filter_map(|one| one.tool.git.clone()).collect();
    let times = || reports.iter().map(|report| report.started_at.clone());
    Runs {
        from: side.from.to_owned(),
        documents: reports.len() as u64,
        runs: groups.map(|group| group.runs.len() as u64).max().unwrap_or(0),
        git: git.into_iter().collect(),
        labels: labels.into_iter().collect(),
        first: times().min(),
        last: times().max(),
    }
}

/// Whether runs of both sides alternate: then almost each run is next to one of the other side.
fn interleaved(base: &[&Report], new: &[&Report]) -> bool {
    let base_times = base.iter().map(|report| (&report.started_at, false));
    let mut all: Vec<_> =
        base_times.chain(new.iter().map(|report| (&report.started_at, true))).collect();
    // RFC 3339 in UTC sorts as it reads.
    all.sort();
    let turns = all.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    let fewer = base.len().min(new.len());
    fewer > 1 && turns >= fewer
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn withheld_runs_count_in_the_sample() {
        let metrics = ["p50", "p99"].map(|name| Metric::named(name).unwrap());
        for (base, new, why) in [
            (0, 3, Some("3 of 20 runs are below")),
            (10, 0, Some("10 of 20 runs are")),
            (10, 10, None),
        ] {
            let (base, new) = (side(base), side(new));
            let (base, new) = (StepRun::all(&base), StepRun::all(&new));
            let found = compare(RunFacts {
                head: Head::default(),
                base: SideRuns { from: "base", runs: &base, without_run: &BTreeSet::new() },
                new: SideRuns { from: "new", runs: &new, without_run: &BTreeSet::new() },
                rules: &Rules::default(),
                metrics: &metrics,
                named: true,
                any_scenario: false,
                noise: None,
            })
            .unwrap();
            let mut judged = found.cells[0].metrics.clone();
            let one = judged.pop().unwrap();
            assert_eq!((one.metric.as_str(), one.verdict), ("p99", Verdict::Same));
            let left_out = found.warnings.iter().find(|one| one.code == "left_out");
            let left_out = left_out.map(|one| one.message.as_str());
            let Some(why) = why else {
                let expected = "p50 is not compared: of plain/64/50% all runs are below the clock \
                                offset bound; choose another --metric";
                let found = (left_out, judged.len(), found.verdict);
                assert_eq!(found, (Some(expected), 0, Verdict::Same));
                continue;
            };
            let p50 = &judged[0];
            assert_eq!((p50.metric.as_str(), p50.verdict), ("p50", Verdict::Undecided));
            assert_eq!((p50.effect, p50.p, left_out), (None, None, None));
            assert!(p50.why.starts_with(why), "{}", p50.why);
        }
    }
}
