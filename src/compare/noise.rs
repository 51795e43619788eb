//! What a machine makes of runs that are all alike: no change below that is worth a word.

use serde::{Deserialize, Serialize};

use super::differences::{RunProperties, flatten, is_of_the_scenario};
use super::document::{EffectKind, NoiseFloor};
use super::judge::effect;
use super::pairs::groups;
use super::stats::split_noise;
use crate::document::{Host, Report};
use crate::report::checks::metric::Metric;

/// Name and version of the form that noise is kept in.
pub const SCHEMA: &str = "udperf-noise/1";

/// The noise of machines, as it is kept between comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseProfile {
    /// Always `udperf-noise/1`.
    pub schema: String,
    /// One a host, scenario, cell and metric.
    pub floors: Vec<NoiseFloor>,
}

impl Default for NoiseProfile {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), floors: Vec::new() }
    }
}

impl NoiseProfile {
    /// Learns from runs that are all alike, in place of what was known of them; what it learned.
    pub fn learn(
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
                // Without those that are withheld, the others are no fair sample.
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
                // What was learned from more runs is known better.
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

    /// What is known of this cell on the machine of this report, where it was asked that.
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

/// How far two random halves come to lie from each other; `None` of too few runs to halve.
fn noise(metric: &Metric, runs: &[f64]) -> Option<(EffectKind, f64)> {
    /// Four runs a half: what it takes at least to tell anything (`runs_needed`). Arbitrary: fewer
    /// have too few halves to say how far they come to lie apart.
    const FEWEST: usize = 8;
    if runs.len() < FEWEST || runs.iter().any(|run| !run.is_finite()) {
        return None;
    }
    let kind = effect(metric.kind, runs, runs)?.kind;
    let distance = |a: &[f64], b: &[f64]| super::judge::distance(kind, a, b);
    let noise = split_noise(runs, distance).filter(|noise| noise.is_finite());
    noise.map(|noise| (kind, noise))
}

/// The same machine has the same name, CPUs, and number of these.
fn host_key(host: &Host) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let cpus = host.online_cpus.unwrap_or_default();
    format!("{} · {} · {cpus} CPUs", word(&host.hostname), word(&host.cpu_model))
}

/// What was asked, but for what cells are named by, and how often. A checksum: these are long.
fn scenario_key(report: &Report) -> String {
    let mut facts = RunProperties::new();
    flatten("scenario", &report.scenario, &mut facts);
    let of_cells = ["scenario.sizes", "scenario.engines", "scenario.rates"];
    facts.retain(|what, _| !of_cells.contains(&what.as_str()) && is_of_the_scenario(what));
    // Sorted by name, and without what is unknown or empty: a field that a later udperf adds makes
    // no other scenario.
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
        let mut book = NoiseProfile::default();
        book.learn(&all, &metrics, "2026-07-18T12:00:00Z");
        book.learn(&all, &metrics, "2026-07-19T12:00:00Z");
        assert_eq!(book.floors.len(), 1);
        let floor = book.of(&runs[0], &runs[0].cells[0].id, "rx_pps").unwrap();
        assert_eq!((floor.runs, floor.kind), (8, EffectKind::Ratio));
        assert!(floor.noise > 0.0 && floor.noise < 0.06, "{}", floor.noise);
        // Fewer runs know it less well.
        let mut more = book.clone();
        more.floors[0].runs = 9;
        assert!(more.learn(&all, &metrics, "").is_empty() && more.floors.len() == 1);
        let mut other = runs[0].clone();
        other.host.hostname = Some("another".to_owned());
        assert!(book.of(&other, &runs[0].cells[0].id, "rx_pps").is_none());
        let mut other = runs[0].clone();
        other.scenario["streams"] = 9.into();
        assert!(book.of(&other, &runs[0].cells[0].id, "rx_pps").is_none());
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

    #[test]
    fn too_few_runs_teach_nothing() {
        let runs = reports(&[100.0, 104.0, 98.0, 99.0, 101.0, 103.0, 98.0]);
        let all: Vec<&Report> = runs.iter().collect();
        let mut book = NoiseProfile::default();
        book.learn(&all, &[Metric::named("rx_pps").unwrap()], "");
        assert!(book.floors.is_empty());
    }
}
