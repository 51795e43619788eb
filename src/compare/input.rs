//! The input of a comparison.

use super::judge::Rules;
use super::noise::NoiseProfile;
use crate::document::{Head, Report};
use crate::report::checks::metric::Metric;

/// The input of a comparison.
#[derive(Debug)]
pub struct RunFacts<'a> {
    /// The first fields of the document.
    pub head: Head,
    /// What is compared with.
    pub base: SideRuns<'a>,
    /// The runs to judge.
    pub new: SideRuns<'a>,
    /// The rules.
    pub rules: &'a Rules,
    /// The metrics.
    pub metrics: &'a [&'static Metric],
    /// Whether the user named the metrics: those that suit no cell are then looked for in all
    /// cells.
    pub named: bool,
    /// Whether scenarios may differ.
    pub any_scenario: bool,
    /// The noise profile and where it is kept.
    pub noise: Option<(&'a NoiseProfile, &'a str)>,
}

/// The runs of one side.
#[derive(Debug, Clone, Copy)]
pub struct SideRuns<'a> {
    /// The path or flags.
    pub from: &'a str,
    /// Reports in the order they ran.
    pub reports: &'a [&'a Report],
}
