//! Warnings of comparisons.

use std::collections::BTreeSet;

use super::document::Comparison;
use super::pairs::{Paired, group};
use crate::document::{Cell, Report, Warning};
use crate::report::checks::warning_codes::{self, Code};

/// The warnings of a comparison, whose figures `with_noise` of `all` have a known noise floor;
/// `left_out` are metrics that could not be compared, and why.
pub(super) fn warnings(
    comparison: &Comparison,
    paired: &Paired<'_>,
    [base, new]: [&[&Report]; 2],
    (with_noise, all): (usize, usize),
    left_out: Vec<(&'static str, String)>,
) -> Vec<Warning> {
    let differs = |name: &str| comparison.differences.iter().any(|found| found.what == name);
    let needed = comparison.rules.runs_needed as usize;
    let min_runs = paired.both.iter().map(|(a, b)| a.runs.len().min(b.runs.len())).min();
    let min_runs = min_runs.unwrap_or(0);
    let same = base.iter().filter(|run| new.contains(run)).count();
    let is_uneven = comparison.head.kind == "ab" && base.len() != new.len();
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, code: &Code, message: String| {
        warnings.extend(applies.then(|| code.warning(message)));
    };
    warn(
        min_runs < needed && !paired.both.is_empty(),
        &warning_codes::TOO_FEW_RUNS,
        format!(
            "at least {needed} runs per side are needed, got {min_runs}; use --trials {needed}"
        ),
    );
    warn(
        !comparison.interleaved && min_runs >= needed,
        &warning_codes::NOT_INTERLEAVED,
        "runs not interleaved: changes over time count as effects; use udperf ab".to_owned(),
    );
    warn(
        with_noise < all && min_runs >= needed,
        &warning_codes::NOISE_UNKNOWN,
        format!(
            "noise floor (A/A) not known for {} of {all} figures; use udperf ab without --a, --b",
            all - with_noise
        ),
    );
    for (metric, why) in left_out {
        warn(true, &warning_codes::LEFT_OUT, format!("{metric} is not compared: {why}"));
    }
    warn(
        !paired.only_base.is_empty(),
        &warning_codes::MISSING_CELLS,
        "cells of the base are missing in the new runs: undecided; measure them too".to_owned(),
    );
    warn(
        differs("host.hostname") || differs("host.cpu_model"),
        &warning_codes::TWO_MACHINES,
        "the runs are from different machines; measure both on one machine".to_owned(),
    );
    warn(
        differs("tool.profile"),
        &warning_codes::DEBUG_BUILD,
        "one side was built without optimisation; build both with --release".to_owned(),
    );
    let message = format!("{same} runs are on both sides; use separate runs");
    warn(same > 0, &warning_codes::SAME_RUNS, message);
    for (code, cells) in new_warnings(paired) {
        let ids = cells.join(", ");
        let message =
            format!("warning {code} in the new runs only: {ids}; see udperf explain {code}");
        warn(true, &warning_codes::NEW_WARNING, message);
    }
    let message = "the last round was not finished; sides have different numbers of runs";
    warn(is_uneven, &warning_codes::UNEVEN, message.to_owned());
    warnings
}

/// Warnings of most new runs of a cell and of no run of the base, with the cells.
fn new_warnings<'a>(paired: &'a Paired<'_>) -> Vec<(&'a str, Vec<&'a str>)> {
    let has = |cell: &Cell, code: &str| cell.warnings.iter().any(|warning| warning.code == code);
    let found = paired.both.iter().flat_map(|(base, new)| {
        let codes = new.runs.iter().flat_map(|cell| &cell.warnings).map(|one| one.code.as_str());
        let codes = codes.collect::<BTreeSet<_>>().into_iter().filter(move |code| {
            let count = new.runs.iter().filter(|cell| has(cell, code)).count();
            count * 2 > new.runs.len() && !base.runs.iter().any(|cell| has(cell, code))
        });
        codes.map(|code| (code, new.id))
    });
    group(found)
}
