//! The figures of the new runs for services that follow them over time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::compare::document::{Comparison, Judgement};
use crate::compare::show::digits;
use crate::report::format::json;
use crate::report::format::text::style::counted;

/// A benchmark's name has at most so many characters. From Bencher's schema.
const LONGEST_NAME: usize = 1_024;

/// Cell, metric, center, and the smallest and largest run; without unknown and infinite figures.
type Figure<'a> = (&'a str, &'a Judgement, f64, [f64; 2]);

fn figures(comparison: &Comparison) -> impl Iterator<Item = Figure<'_>> {
    let all = comparison.cells.iter();
    let all = all.flat_map(|cell| cell.metrics.iter().map(|metric| (cell.id.as_str(), metric)));
    all.filter_map(|(cell, metric)| {
        let center = metric.new.center.filter(|center| center.is_finite())?;
        let runs: Vec<f64> = metric.new.runs.iter().copied().collect::<Option<_>>()?;
        let end = |of: fn(f64, f64) -> f64| runs.iter().copied().reduce(of);
        Some((cell, metric, center, [end(f64::min)?, end(f64::max)?]))
    })
}

/// The metrics of which `better` is better for github-action-benchmark, which has one direction per
/// file; `None` without any: that tool refuses an empty array.
pub(crate) fn benchmark(comparison: &Comparison, better: &str) -> Option<String> {
    let git = match &comparison.new.git[..] {
        [] => String::new(),
        git => format!("\ngit {}", git.join(" ")),
    };
    let figures = figures(comparison).filter(|(_, metric, ..)| metric.better == better);
    let entries = figures.map(|(cell, metric, value, [low, high])| {
        json!({
            // Its identity over time, so neither host nor date is in it.
            "name": format!("{cell} {}", metric.metric),
            "unit": metric.unit,
            "value": value,
            "range": format!("± {}", digits((high - low) / 2.0)),
            "extra": format!("{}{git}", counted(metric.new.runs.len() as u64, "run")),
        })
    });
    let entries: Vec<_> = entries.collect();
    (!entries.is_empty()).then(|| json(&entries))
}

/// Bencher's format: an object of benchmarks, each an object of measures. The direction of better
/// belongs to the measure's threshold there.
pub(crate) fn bmf(comparison: &Comparison) -> String {
    let mut all: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (cell, metric, value, [low, high]) in figures(comparison) {
        let name = cell.chars().take(LONGEST_NAME).collect();
        let measure = json!({"value": value, "lower_value": low, "upper_value": high});
        all.entry(name).or_default().insert(slug(&metric.metric, &metric.unit), measure);
    }
    json(&all)
}

/// The name of a metric in Bencher, which predefines `throughput` and `latency` (in ns).
fn slug(metric: &str, unit: &str) -> String {
    /// Times that are latencies, rather than CPU time or punctuality.
    const LATENCIES: [&str; 4] = ["min", "mean", "max", "p99_with_loss"];
    let after_p = metric.strip_prefix('p').and_then(|rest| rest.chars().next());
    let is_percentile = after_p.is_some_and(|c| c.is_ascii_digit());
    let name = match metric {
        "rx_pps" => "throughput".to_owned(),
        metric if unit == "ns" && (is_percentile || LATENCIES.contains(&metric)) => {
            format!("latency-{metric}")
        }
        metric => metric.to_owned(),
    };
    name.replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;

    fn entries(comparison: &Comparison, better: &str) -> Value {
        serde_json::from_str(&benchmark(comparison, better).unwrap()).unwrap()
    }

    #[test]
    fn benchmark_entries_have_one_direction() {
        let mut comparison = fixture::comparison();
        comparison.head.host.hostname = Some("secret-host".to_owned());
        let expected = json!([{
            "name": "plain/64/max rx_pps", "unit": "pps", "value": 253e3,
            "range": "± 2000", "extra": "10 runs\ngit bbb",
        }]);
        assert_eq!(entries(&comparison, "higher"), expected);
        let lower = entries(&comparison, "lower");
        let names = [0, 1, 2].map(|at| lower[at]["name"].as_str());
        assert_eq!(names, ["plain/64/max loss", "plain/64/50% p50", "plain/64/50% p99"].map(Some));
        let text = lower.to_string();
        assert!(!text.contains("secret-host") && !text.contains("2026"), "{text}");
        for unknown in [None, Some(f64::INFINITY)] {
            comparison.cells[0].metrics[0].new.center = unknown;
            assert_eq!(benchmark(&comparison, "higher"), None);
        }
    }

    #[test]
    fn bencher_measures_have_ends() {
        let found: Value = serde_json::from_str(&bmf(&fixture::comparison())).unwrap();
        let throughput = json!({"value": 253e3, "lower_value": 251e3, "upper_value": 255e3});
        assert_eq!(found["plain/64/max"]["throughput"], throughput);
        let names = ["plain/64/max", "plain/64/50%"]
            .map(|cell| found[cell].as_object().unwrap().keys().cloned().collect::<Vec<_>>());
        assert_eq!(names, [["loss", "throughput"], ["latency-p50", "latency-p99"]]);
        for (metric, unit, expected) in [
            ("p99.9", "ns", "latency-p99-9"),
            ("p99_with_loss", "ns", "latency-p99-with-loss"),
            ("cpu_ns_per_datagram", "number", "cpu-ns-per-datagram"),
            ("lag_p99", "ns", "lag-p99"),
            ("no_reply", "share", "no-reply"),
        ] {
            assert_eq!(slug(metric, unit), expected);
        }
    }

    #[test]
    fn hostile_ids_stay_text() {
        let mut comparison = fixture::comparison();
        let hostile = "\"}], \u{1b} \\ \n<é".repeat(1_000);
        comparison.cells[0].id.clone_from(&hostile);
        let name = format!("{hostile} rx_pps");
        assert_eq!(entries(&comparison, "higher")[0]["name"], json!(name));
        let found: BTreeMap<String, Value> = serde_json::from_str(&bmf(&comparison)).unwrap();
        assert!(found.contains_key(&hostile.chars().take(LONGEST_NAME).collect::<String>()));
    }
}
