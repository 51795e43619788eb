//! Checks of comparisons: equal runs are not found to differ, and slower ones are found.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::cell::{TestContext, scenario};
use super::fault::{DeliberateFault, SLOWED};
use super::finding::{CheckFinding, CheckResult, SelftestError};
use super::orders::Orders;
use crate::compare::{self, Rules, RunFacts, SideRuns, StepRun, Verdict};
use crate::document::{Head, MAX_MISSED, Report, SCHEMA};
use crate::plan::EnginePair;
use crate::report::checks::metric::Metric;
use crate::unit::Nanos;

/// Runs of each side.
const RUNS: usize = 6;
/// Datagrams per second. Arbitrary.
const PPS: f64 = 2_000.0;
/// Metrics compared in equal runs.
const METRICS_OF_EQUAL: &[&str] = &["rx_pps", "p50"];
/// Metrics compared in delayed runs: the delay changes no rate.
const METRICS_OF_DELAYED: &[&str] = &["p50"];

/// Comparisons of equal runs in a row that find a difference before the check fails; see [`same`].
const IN_A_ROW: u64 = 3;

/// The runs of two sides, in pairs of random order, so that changes of the host affect both sides.
/// `attempt`: the number of the comparison, each of which has another order.
fn runs(
    context: &TestContext<'_>,
    delay: Nanos,
    attempt: u64,
) -> Result<[Vec<Report>; 2], SelftestError> {
    let mut random = Rng::with_seed(context.seed.wrapping_add(attempt));
    let order = (0..RUNS).flat_map(|_| if random.bool() { [0, 1] } else { [1, 0] });
    let mut sides = [Vec::new(), Vec::new()];
    for side in order {
        let count = context.quick_or(60, 200);
        let delay = if side == 1 { delay } else { Nanos::ZERO };
        let orders = Orders { delay, ..Orders::default() };
        let is_slowed = delay > Nanos::ZERO;
        let alters = |fault: &DeliberateFault| match fault {
            DeliberateFault::CompareSame => side == 1 && !is_slowed,
            DeliberateFault::CompareWorse => is_slowed,
            _ => true,
        };
        let fault = context.fault.filter(alters);
        let measured =
            context.measure_with(scenario(EnginePair::PLAIN, PPS, count), orders, fault)?;
        sides[side].push(report(measured.cell));
    }
    Ok(sides)
}

/// A report of this cell only.
fn report(cell: crate::document::Cell) -> Report {
    let Head { tool, command, started_at, labels, host, .. } = Head::default();
    Report {
        schema: SCHEMA.to_owned(),
        kind: "bench".to_owned(),
        tool,
        command,
        started_at,
        labels,
        host,
        scenario: serde_json::Value::Null,
        clock: None,
        input: None,
        choice: None,
        capacity: None,
        path_mtu: None,
        cpu_throttling: None,
        realtime: None,
        warnings: Vec::new(),
        valid: true,
        invalid_because: Vec::new(),
        max_missed: MAX_MISSED,
        gates: Vec::new(),
        members: Vec::new(),
        cells: vec![cell],
    }
}

/// The verdict, and what it is about.
fn verdict(sides: &[Vec<Report>; 2], metrics: &[&str]) -> Result<(Verdict, String), SelftestError> {
    let [base, new] = sides.each_ref().map(StepRun::all);
    let without_run = &BTreeSet::new();
    let metrics: Vec<_> = metrics.iter().filter_map(|name| Metric::named(name)).collect();
    let comparison = compare::compare(RunFacts {
        head: Head { kind: "ab".to_owned(), ..Head::default() },
        base: SideRuns { from: "base", runs: &base, without_run },
        new: SideRuns { from: "new", runs: &new, without_run },
        rules: &Rules::default(),
        metrics: &metrics,
        named: true,
        any_scenario: true,
        noise: None,
    });
    let comparison = comparison.map_err(|error| SelftestError::Failed(error.to_string()))?;
    let judged = comparison.cells.iter().flat_map(|cell| &cell.metrics);
    let shown = judged.map(|one| format!("{} {}", one.metric, one.verdict.word()));
    Ok((comparison.verdict, shown.collect::<Vec<_>>().join(", ")))
}

/// Compares equal runs. By chance, one comparison in twenty finds a difference, so the check fails
/// only if three in a row do.
pub(super) fn same(context: &TestContext<'_>) -> CheckResult {
    let expected = format!("same or undecided, of {RUNS} equal runs a side");
    let mut found = CheckFinding::default();
    for attempt in 0..IN_A_ROW {
        let (verdict, shown) = verdict(&runs(context, Nanos::ZERO, attempt)?, METRICS_OF_EQUAL)?;
        let is_true = matches!(verdict, Verdict::Same | Verdict::Undecided);
        found = CheckFinding::of(is_true, expected.clone(), shown);
        if is_true {
            break;
        }
    }
    Ok(found)
}

/// The relay delays the datagrams of one side. If the other side is slow, too, the two need not
/// differ, and a failed check is undecided.
pub(super) fn worse(context: &TestContext<'_>) -> CheckResult {
    let sides = runs(context, SLOWED, 0)?;
    let (verdict, shown) = verdict(&sides, METRICS_OF_DELAYED)?;
    let base = sides[0].iter().flat_map(|report| &report.cells);
    let mut medians = base.map(|cell| cell.latency.as_ref().and_then(|latency| latency.p50_ns));
    let is_slow = medians.any(|p50| p50.is_none_or(|p50| p50 > SLOWED.0 / 2));
    let busy = is_slow.then_some("runs without the delay are slow, too: this host is busy");
    let expected = format!("p50 worse, of {RUNS} runs a side, one side delayed by {SLOWED}");
    Ok(CheckFinding::of(verdict == Verdict::Worse, expected, shown).unless(busy))
}
