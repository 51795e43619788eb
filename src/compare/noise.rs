//! The noise floor (A/A) of machines: smaller changes are treated as noise.

use serde::{Deserialize, Serialize};

use super::differences::{RunProperties, flatten, is_scenario_property};
use super::document::{EffectKind, NoiseFloor};
use super::judge::effect;
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
                let known = |floor: &NoiseFloor| {
                    floor.host == host
                        && floor.scenario == scenario
                        && floor.cell == group.id
                        && floor.metric == metric.name
                };
                let Some((kind, noise)) = noise(metric, &runs) else { continue };
                // More runs give a better floor.
                let more = |floor: &&NoiseFloor| known(floor) && floor.runs > runs.len() as u64;
                if self.floors.iter().any(|floor| more(&floor)) {
                    continue;
                }
                self.floors.retain(|floor| !known(floor));
                learned.push(NoiseFloor {
                    host: host.clone(),
                    scenario: scenario.clone(),
                    cell: group.id.to_owned(),
                    metric: metric.name.to_owned(),
                    kind,
                    noise,
                    runs: runs.len() as u64,
                    learned_at: now.to_owned(),
                });
            }
        }
        self.floors.extend(learned.iter().cloned());
        learned
    }

    /// The noise floor of this cell on the machine and in the scenario of this report.
    pub(super) fn of(&self, report: &Report, cell: &str, metric: &str) -> Option<&NoiseFloor> {
        let (host, scenario) = (host_key(&report.host), scenario_key(report));
        self.floors.iter().find(|floor| {
            floor.host == host
                && floor.scenario == scenario
                && floor.cell == cell
                && floor.metric == metric
        })
    }
}

/// The distance between random halves; `None` with too few runs.
fn noise(metric: &Metric, runs: &[f64]) -> Option<(EffectKind, f64)> {
    /// Four runs per half, as a verdict needs at least (`runs_needed`). Arbitrary.
    const MIN_RUNS: usize = 8;
    if runs.len() < MIN_RUNS || runs.iter().any(|run| !run.is_finite()) {
        return None;
    }
    let kind = effect(metric.kind, runs, runs)?.kind;
    let distance = |a: &[f64], b: &[f64]| super::judge::distance(kind, a, b);
    let noise = split_noise(runs, distance).filter(|noise| noise.is_finite());
    noise.map(|noise| (kind, noise))
}

/// A machine is identified by name, CPU model and number of CPUs.
fn host_key(host: &Host) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let cpus = host.online_cpus.unwrap_or_default();
    format!("{} · {} · {cpus} CPUs", word(&host.hostname), word(&host.cpu_model))
}

/// A checksum of the scenario without sizes, engines, rates and repetitions.
fn scenario_key(report: &Report) -> String {
    let mut facts = RunProperties::new();
    flatten("scenario", &report.scenario, &mut facts);
    let of_cells = ["scenario.sizes", "scenario.engines", "scenario.rates"];
    facts.retain(|what, _| !of_cells.contains(&what.as_str()) && is_scenario_property(what));
    // Sorted and without unknown or empty values, so that a new field does not change the key.
    format!("{} {:08x}", report.kind, crc32fast::hash(format!("{facts:?}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn reports(pps: &[f64]) -> Vec<Report> {
        let of = |&pps: &f64| {
            let mut report = fixture::default_run();
            report.cells.truncate(1);
            report.cells[0].rx.as_mut().unwrap().pps = Some(pps);
            report
        };
        pps.iter().map(of).collect()
    }

    #[test]
    fn what_is_learned_is_known_of_that_machine_alone() {
        let runs = reports(&[100.0, 104.0, 98.0, 101.0, 99.0, 103.0, 100.0, 102.0]);
        let all: Vec<&Report> = runs.iter().collect();
        let metrics = [Metric::named("rx_pps").unwrap()];
        let mut profile = NoiseProfile::default();
        profile.learn(&all, &metrics, "2026-07-18T12:00:00Z");
        profile.learn(&all, &metrics, "2026-07-19T12:00:00Z");
        assert_eq!(profile.floors.len(), 1);
        let too_few = NoiseProfile::default().learn(&all[..7], &metrics, "");
        assert!(too_few.is_empty());
        let floor = profile.of(&runs[0], &runs[0].cells[0].id, "rx_pps").unwrap();
        assert_eq!((floor.runs, floor.kind), (8, EffectKind::Ratio));
        assert!(floor.noise > 0.0 && floor.noise < 0.06, "{}", floor.noise);
        let mut more = profile.clone();
        more.floors[0].runs = 9;
        assert!(more.learn(&all, &metrics, "").is_empty() && more.floors.len() == 1);
        let mut other = runs[0].clone();
        other.host.hostname = Some("another".to_owned());
        assert!(profile.of(&other, &runs[0].cells[0].id, "rx_pps").is_none());
        let mut other = runs[0].clone();
        other.scenario["streams"] = 9.into();
        assert!(profile.of(&other, &runs[0].cells[0].id, "rx_pps").is_none());
    }

    #[test]
    fn runs_some_of_which_are_withheld_teach_nothing() {
        let mut runs = reports(&[100.0; 10]);
        for run in &mut runs {
            run.cells = vec![fixture::cell("plain", 64, "50%", 100e3)];
        }
        let learned = |runs: &[Report]| {
            let all: Vec<&Report> = runs.iter().collect();
            NoiseProfile::default().learn(&all, &[Metric::named("p50").unwrap()], "").len()
        };
        assert_eq!(learned(&runs), 1);
        fixture::two_clocks(&mut runs[3].cells[0], 12_000);
        assert_eq!(learned(&runs), 0);
    }
}
