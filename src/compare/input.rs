//! What is compared.

use super::judge::Rules;
use super::noise::NoiseProfile;
use crate::document::{Head, Report};
use crate::report::checks::metric::Metric;

/// What a comparison is made of.
#[derive(Debug)]
pub struct RunFacts<'a> {
    /// The first fields of the document.
    pub head: Head,
    /// What is compared with.
    pub base: SideRuns<'a>,
    /// What is judged.
    pub new: SideRuns<'a>,
    /// What counts as a difference.
    pub rules: &'a Rules,
    /// What is compared.
    pub metrics: &'a [&'static Metric],
    /// Whether somebody named those: then they are looked for in all cells, where they suit none.
    pub named: bool,
    /// Whether scenarios may differ.
    pub any_scenario: bool,
    /// What machines make of nothing, and where that is kept.
    pub noise: Option<(&'a NoiseProfile, &'a str)>,
}

/// The runs of one side.
#[derive(Debug, Clone, Copy)]
pub struct SideRuns<'a> {
    /// As asked for: a path, or flags.
    pub from: &'a str,
    /// In the order they ran.
    pub reports: &'a [&'a Report],
}
