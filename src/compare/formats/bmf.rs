//! The figures of the new runs in the Bencher Metric Format: an object of benchmarks, each an
//! object of measures. The direction of better belongs to the measure's threshold there.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::document::{Comparison, Judgement};

/// A benchmark's name has at most so many characters. From Bencher's schema.
const LONGEST_NAME: usize = 1_024;

#[derive(Debug, Serialize)]
struct Measure {
    value: f64,
    lower_value: f64,
    upper_value: f64,
}

pub(crate) fn render(comparison: &Comparison) -> String {
    let mut all: BTreeMap<String, BTreeMap<String, Measure>> = BTreeMap::new();
    for cell in &comparison.cells {
        let known = cell.metrics.iter().filter_map(|judgement| {
            Some((slug(&judgement.metric, &judgement.unit), measure(judgement)?))
        });
        let known: BTreeMap<_, _> = known.collect();
        if !known.is_empty() {
            all.insert(cell.id.chars().take(LONGEST_NAME).collect(), known);
        }
    }
    // Strings and finite numbers cannot fail to serialise.
    serde_json::to_string_pretty(&all).map_or_else(|_| String::new(), |text| text + "\n")
}

fn measure(judgement: &Judgement) -> Option<Measure> {
    let value = judgement.new.center.filter(|center| center.is_finite())?;
    let (lower_value, upper_value) = crate::compare::show::ends(&judgement.new.runs)?;
    Some(Measure { value, lower_value, upper_value })
}

/// The name of a metric in Bencher, which predefines `throughput` and `latency` (in ns).
fn slug(metric: &str, unit: &str) -> String {
    /// Times that are latencies, rather than CPU time or punctuality.
    const LATENCIES: [&str; 4] = ["min", "mean", "max", "p99_with_loss"];
    let is_percentile =
        metric.starts_with('p') && metric[1..].starts_with(|c: char| c.is_ascii_digit());
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
    use serde_json::{Value, json};

    fn read(comparison: &Comparison) -> Value {
        serde_json::from_str(&render(comparison)).unwrap()
    }

    #[test]
    fn benchmarks_have_measures_with_ends() {
        let found = read(&fixture::comparison());
        let throughput = json!({"value": 253e3, "lower_value": 251e3, "upper_value": 255e3});
        assert_eq!(found["plain/64/max"]["throughput"], throughput);
        let measures = |cell: &str| -> Vec<String> {
            found[cell].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(measures("plain/64/max"), ["loss", "throughput"]);
        assert_eq!(measures("plain/64/50%"), ["latency-p50", "latency-p99"]);
        assert_eq!(found.as_object().unwrap().len(), 2);
        for measure in found.as_object().unwrap().values().flat_map(|it| it.as_object().unwrap()) {
            let of = |name: &str| measure.1[name].as_f64().unwrap();
            assert!(of("lower_value") <= of("value") && of("value") <= of("upper_value"));
        }
    }

    #[test]
    fn measures_are_named_as_bencher_has_them() {
        assert_eq!(slug("p99.9", "ns"), "latency-p99-9");
        assert_eq!(slug("p99_with_loss", "ns"), "latency-p99-with-loss");
        assert_eq!(slug("cpu_ns_per_datagram", "number"), "cpu-ns-per-datagram");
        assert_eq!(slug("lag_p99", "ns"), "lag-p99");
        assert_eq!(slug("no_reply", "share"), "no-reply");
    }

    #[test]
    fn names_are_cut_by_characters_and_stay_text() {
        let mut comparison = fixture::comparison();
        comparison.cells[0].id = "\"é<".repeat(1_000);
        let found = read(&comparison);
        let name = found.as_object().unwrap().keys().next().unwrap();
        assert_eq!(name.chars().count(), LONGEST_NAME);
        assert!(name.starts_with("\"é<\"é"));
    }
}
