//! The noise floor (A/A) of machines: smaller changes are treated as noise.

use serde::{Deserialize, Serialize};

use super::differences::{RunProperties, flatten, is_scenario_property};
use super::document::{EffectKind, NoiseFloor};
use super::judge::{distance, effect};
use super::pairs::groups;
use super::stats::split_noise;
use crate::document::{Host, Report};
use crate::report::checks::metric::Metric;

/// Name and version of the file format.
pub(crate) const SCHEMA: &str = "udperf-noise/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoiseProfile {
    pub(crate) schema: String,
    /// One per host, scenario, cell and metric.
    pub(crate) floors: Vec<NoiseFloor>,
}

impl Default for NoiseProfile {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), floors: Vec::new() }
    }
}

impl NoiseProfile {
    /// Learns noise floors from equal runs, replacing older ones; returns the new ones.
    pub(crate) fn learn(
        &mut self,
        reports: &[&Report],
        metrics: &[&'static Metric],
        now: &str,
    ) -> Vec<NoiseFloor> {
        let Some(first) = reports.first() else { return Vec::new() };
        let mut learned = Vec::new();
        let (host, scenario) = (host_key(&first.host), scenario_key(first));
        for group in groups(reports) {
            for metric in metrics.iter().filter(|metric| metric.suits(group.runs[0])) {
                // Without withheld runs the sample is biased.
                if group.runs.iter().any(|cell| metric.is_withheld(cell)) {
                    continue;
                }
                let runs: Vec<f64> =
                    group.runs.iter().filter_map(|cell| (metric.of)(cell)).collect();
                let Some((kind, noise)) = noise(metric, &runs) else { continue };
                let floor = NoiseFloor {
                    host: host.clone(),
                    scenario: scenario.clone(),
                    cell: group.id.to_owned(),
                    metric: metric.name.to_owned(),
                    kind,
                    noise,
                    runs: runs.len() as u64,
                    learned_at: now.to_owned(),
                };
                let replaces = |old: &NoiseFloor| key(old) == key(&floor);
                // More runs give a better floor.
                if self.floors.iter().any(|old| replaces(old) && old.runs > floor.runs) {
                    continue;
                }
                self.floors.retain(|old| !replaces(old));
                learned.push(floor);
            }
        }
        self.floors.extend(learned.iter().cloned());
        learned
    }

    /// The noise floor of this cell on the machine and in the scenario of this report.
    pub(super) fn of(&self, report: &Report, cell: &str, metric: &str) -> Option<&NoiseFloor> {
        let (host, scenario) = (host_key(&report.host), scenario_key(report));
        self.floors.iter().find(|floor| key(floor) == [&host, &scenario, cell, metric])
    }
}

fn key(floor: &NoiseFloor) -> [&str; 4] {
    [&floor.host, &floor.scenario, &floor.cell, &floor.metric]
}

/// The distance between random halves; `None` with too few runs.
fn noise(metric: &Metric, runs: &[f64]) -> Option<(EffectKind, f64)> {
    /// Four runs per half, as a verdict needs at least (`runs_needed`). Arbitrary.
    const MIN_RUNS: usize = 8;
    if runs.len() < MIN_RUNS || runs.iter().any(|run| !run.is_finite()) {
        return None;
    }
    let kind = effect(metric.kind, runs, runs)?.kind;
    let noise = split_noise(runs, |a, b| distance(kind, a, b));
    noise.filter(|noise| noise.is_finite()).map(|noise| (kind, noise))
}

/// A machine is identified by name, CPU model and number of CPUs.
fn host_key(host: &Host) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let cpus = host.online_cpus.unwrap_or_default();
    format!("{} · {} · {cpus} CPUs", word(&host.hostname), word(&host.cpu_model))
}

/// A checksum of the scenario without sizes, engines, rates and repetitions.
fn scenario_key(report: &Report) -> String {
    let mut properties = RunProperties::new();
    flatten("scenario", &report.scenario, &mut properties);
    let of_cells = ["scenario.sizes", "scenario.engines", "scenario.rates"];
    properties.retain(|path, _| !of_cells.contains(&path.as_str()) && is_scenario_property(path));
    // Sorted and without unknown or empty values, so that a new field does not change the key.
    format!("{} {:08x}", report.kind, crc32fast::hash(format!("{properties:?}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn learn(profile: &mut NoiseProfile, runs: &[Report], metric: &str) -> usize {
        let all: Vec<&Report> = runs.iter().collect();
        profile.learn(&all, &[Metric::named(metric).unwrap()], "2026-07-18T12:00:00Z").len()
    }

    #[test]
    fn a_floor_belongs_to_one_machine_and_scenario() {
        let runs = [100e3, 104e3, 98e3, 101e3, 99e3, 103e3, 100e3, 102e3]
            .map(|pps| fixture::report_of(vec![fixture::cell("plain", 64, "max", pps)]));
        let mut profile = NoiseProfile::default();
        assert_eq!(learn(&mut profile, &runs[..7], "rx_pps"), 0, "too few runs");
        learn(&mut profile, &runs, "rx_pps");
        learn(&mut profile, &runs, "rx_pps");
        assert_eq!(profile.floors.len(), 1);
        let floor_of = |run: &Report| profile.of(run, &run.cells[0].id, "rx_pps");
        let floor = floor_of(&runs[0]).unwrap();
        assert_eq!((floor.runs, floor.kind), (8, EffectKind::Ratio));
        assert!(floor.noise > 0.0 && floor.noise < 0.06, "{}", floor.noise);
        let mut other = runs[0].clone();
        other.host.hostname = Some("another".to_owned());
        assert!(floor_of(&other).is_none());
        let mut other = runs[0].clone();
        other.scenario["streams"] = 9.into();
        assert!(floor_of(&other).is_none());
        profile.floors[0].runs = 9;
        assert_eq!(learn(&mut profile, &runs, "rx_pps"), 0, "fewer runs than before");
    }

    #[test]
    fn withheld_runs_teach_no_floor() {
        let cell = || fixture::cell("plain", 64, "50%", 100e3);
        let mut runs: Vec<_> = (0..10).map(|_| fixture::report_of(vec![cell()])).collect();
        assert_eq!(learn(&mut NoiseProfile::default(), &runs, "p50"), 1);
        fixture::two_clocks(&mut runs[3].cells[0], 12_000);
        assert_eq!(learn(&mut NoiseProfile::default(), &runs, "p50"), 0);
    }
}
