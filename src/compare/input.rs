//! The input of a comparison.

use super::judge::Rules;
use super::noise::NoiseProfile;
use crate::document::{Head, Report};
use crate::report::checks::metric::Metric;

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
    /// Reports in the order they ran.
    pub(crate) reports: &'a [&'a Report],
}
