//! Warnings of comparisons.

use std::collections::BTreeSet;

use super::document::Comparison;
use super::pairs::{Paired, StepRun, group};
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes::{self as codes, Code};
use crate::unit::grouped;

/// The warnings of a comparison, whose figures `with_noise` of `all` have a known noise floor;
/// `left_out` are metrics that could not be compared, and why.
pub(super) fn warnings(
    comparison: &Comparison,
    paired: &Paired<'_>,
    [base, new]: [&[StepRun<'_>]; 2],
    (with_noise, all): (usize, usize),
    left_out: Vec<(&'static str, String)>,
) -> Vec<Warning> {
    let differs = |name: &str| comparison.differences.iter().any(|found| found.what == name);
    let needed = comparison.rules.runs_needed as usize;
    let min_runs =
        paired.both.iter().map(|(a, b)| a.runs.len().min(b.runs.len())).min().unwrap_or(0);
    let is_in_new = |run: &&StepRun<'_>| new.iter().any(|other| other.report == run.report);
    let same = base.iter().filter(is_in_new).count();
    let is_uneven = comparison.head.kind == "ab" && base.len() != new.len();
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, code: &Code, message: &str| {
        warnings.extend(applies.then(|| code.warning(message)));
    };
    let few = min_runs < needed && !paired.both.is_empty();
    let got = format!("at least {needed} runs per side are needed, got {min_runs}");
    warn(few, &codes::TOO_FEW_RUNS, &format!("{got}; use --trials {needed}"));
    let message = "runs not interleaved: changes over time count as effects; use udperf ab";
    warn(!comparison.interleaved && min_runs >= needed, &codes::NOT_INTERLEAVED, message);
    let [unknown, of] = [all - with_noise, all].map(|count| grouped(count as u64));
    let unknown = format!("noise floor (A/A) not known for {unknown} of {of} figures");
    let message = format!("{unknown}; use udperf ab without --a, --b");
    warn(with_noise < all && min_runs >= needed, &codes::NOISE_UNKNOWN, &message);
    for (metric, why) in left_out {
        let message = format!("{metric} is not compared: {why}; choose another --metric");
        warn(true, &codes::LEFT_OUT, &message);
    }
    let message = "cells of the base are missing in the new runs: undecided; measure them too";
    warn(!paired.only_base.is_empty(), &codes::MISSING_CELLS, message);
    let message = "the runs are from different machines; measure both on one machine";
    warn(differs("host.hostname") || differs("host.cpu_model"), &codes::TWO_MACHINES, message);
    let message = "one side was built without optimisation; build both with --release";
    warn(differs("tool.profile"), &codes::DEBUG_BUILD, message);
    let message = format!("runs on both sides: {}; use separate runs", grouped(same as u64));
    warn(same > 0, &codes::SAME_RUNS, &message);
    for (code, cells) in new_warnings(paired) {
        let cells = match &cells[..] {
            [cell] => cell.clone(),
            cells => format!("{} cells", grouped(cells.len() as u64)),
        };
        let message = format!("only the new runs warn of {code}, in {cells}");
        warn(true, &codes::NEW_WARNING, &format!("{message}; see udperf explain {code}"));
    }
    let message = "the last round was not finished; ignore it, or repeat the comparison";
    warn(is_uneven, &codes::UNEVEN, message);
    warnings
}

/// Warnings of most new runs of a cell and of no run of the base, with the cells.
fn new_warnings<'a>(paired: &'a Paired<'_>) -> Vec<(&'a str, Vec<String>)> {
    let has = |cell: &Cell, code: &str| cell.warnings.iter().any(|warning| warning.code == code);
    let found = paired.both.iter().flat_map(|(base, new)| {
        let codes = new.runs.iter().flat_map(|cell| &cell.warnings).map(|one| one.code.as_str());
        let codes = codes.collect::<BTreeSet<_>>().into_iter().filter(move |code| {
            let count = new.runs.iter().filter(|cell| has(cell, code)).count();
            count * 2 > new.runs.len() && !base.runs.iter().any(|cell| has(cell, code))
        });
        codes.map(|code| (code, new.name()))
    });
    group(found)
}
