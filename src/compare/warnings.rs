//! Warnings of comparisons.

use std::collections::BTreeSet;

use super::document::Difference;
use super::input::RunFacts;
use super::pairs::Paired;
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes;

#[derive(Debug)]
pub(super) struct Uncertainties {
    /// The smallest number of runs of any side and cell.
    pub(super) min_runs: usize,
    pub(super) needed: usize,
    pub(super) interleaved: bool,
    /// Comparisons with a known noise floor, and all comparisons.
    pub(super) noise_known: (usize, usize),
    /// Metrics that could not be compared, and why.
    pub(super) left_out: Vec<(&'static str, String)>,
}

pub(super) fn warnings(
    facts: &RunFacts<'_>,
    paired: &Paired<'_>,
    differences: &[Difference],
    uncertainties: Uncertainties,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &warning_codes::Code, message: String| {
        warnings.push(code.warning(message));
    };
    let differs = |name: &str| differences.iter().any(|found| found.what == name);
    let Uncertainties { min_runs, needed, interleaved, noise_known: (with_noise, all), left_out } =
        uncertainties;
    if min_runs < needed && !paired.both.is_empty() {
        let message = format!(
            "at least {needed} runs per side are needed, got {min_runs}; use --trials {needed}"
        );
        warn(&warning_codes::TOO_FEW_RUNS, message);
    }
    if !interleaved && min_runs >= needed {
        let message = "runs not interleaved: changes over time count as effects; use udperf ab";
        warn(&warning_codes::NOT_INTERLEAVED, message.to_owned());
    }
    if with_noise < all && min_runs >= needed {
        let message = format!(
            "noise floor (A/A) not known for {} of {all} figures; use udperf ab without --a, --b",
            all - with_noise
        );
        warn(&warning_codes::NOISE_UNKNOWN, message);
    }
    for (metric, why) in left_out {
        warn(&warning_codes::LEFT_OUT, format!("{metric} is not compared: {why}"));
    }
    if !paired.only_base.is_empty() {
        let message = "cells of the base are missing in the new runs: undecided; measure them too";
        warn(&warning_codes::MISSING_CELLS, message.to_owned());
    }
    if ["host.hostname", "host.cpu_model"].iter().any(|name| differs(name)) {
        let message = "the runs are from different machines; measure both on one machine";
        warn(&warning_codes::TWO_MACHINES, message.to_owned());
    }
    if differs("tool.profile") {
        let message = "one side was built without optimisation; build both with --release";
        warn(&warning_codes::DEBUG_BUILD, message.to_owned());
    }
    let twice = facts.base.reports.iter().filter(|run| facts.new.reports.contains(run)).count();
    if twice > 0 {
        warn(
            &warning_codes::SAME_RUNS,
            format!("{twice} runs are on both sides; use separate runs"),
        );
    }
    for (code, cells) in new_warnings(paired) {
        let ids = cells.join(", ");
        warn(
            &warning_codes::NEW_WARNING,
            format!("warning {code} in the new runs only: {ids}; see udperf explain {code}"),
        );
    }
    if facts.base.reports.len() != facts.new.reports.len() && facts.head.kind == "ab" {
        warn(
            &warning_codes::UNEVEN,
            "the last round was not finished; sides have different numbers of runs".to_owned(),
        );
    }
    warnings
}

/// Warnings of most new runs of a cell and of no run of the base, with the cells.
fn new_warnings<'a>(paired: &'a Paired<'_>) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let has = |cell: &Cell, code: &str| cell.warnings.iter().any(|warning| warning.code == code);
    for (base, new) in &paired.both {
        let warnings = new.runs.iter().flat_map(|cell| &cell.warnings);
        for code in warnings.map(|warning| warning.code.as_str()).collect::<BTreeSet<_>>() {
            let count = new.runs.iter().filter(|cell| has(cell, code)).count();
            if count * 2 <= new.runs.len() || base.runs.iter().any(|cell| has(cell, code)) {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == code) {
                Some((_, cells)) => cells.push(new.id),
                None => found.push((code, vec![new.id])),
            }
        }
    }
    found
}
