//! The figures of the new runs for github-action-benchmark: an array of name, unit and value. One
//! file has one direction of better, so there are two files.

use serde::Serialize;

use crate::compare::document::{Comparison, Judgement};
use crate::compare::show;

/// One figure. Its name is its identity over time, so neither host nor date is in it.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    unit: String,
    value: f64,
    range: String,
    extra: String,
}

/// The metrics of which `better` is better; `None` without any: that tool refuses an empty array.
pub(crate) fn render(comparison: &Comparison, better: &str) -> Option<String> {
    let extra = extra(comparison);
    let mut entries = Vec::new();
    for cell in &comparison.cells {
        for judgement in cell.metrics.iter().filter(|judgement| judgement.better == better) {
            entries.extend(entry(&cell.id, judgement, &extra));
        }
    }
    if entries.is_empty() {
        return None;
    }
    // Strings and finite numbers cannot fail to serialise.
    serde_json::to_string_pretty(&entries).ok().map(|text| text + "\n")
}

fn entry(id: &str, judgement: &Judgement, git: &str) -> Option<Entry> {
    let new = &judgement.new;
    let value = new.center.filter(|center| center.is_finite())?;
    let (low, high) = show::ends(&new.runs)?;
    let count = new.runs.len();
    let runs = if count == 1 { "1 run".to_owned() } else { format!("{count} runs") };
    Some(Entry {
        name: format!("{id} {}", judgement.metric),
        unit: judgement.unit.clone(),
        value,
        range: format!("± {}", show::digits((high - low) / 2.0)),
        extra: format!("{runs}{git}"),
    })
}

fn extra(comparison: &Comparison) -> String {
    match &comparison.new.git[..] {
        [] => String::new(),
        git => format!("\ngit {}", git.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;
    use serde_json::{Value, json};

    fn read(comparison: &Comparison, better: &str) -> Value {
        serde_json::from_str(&render(comparison, better).unwrap()).unwrap()
    }

    #[test]
    fn figures_go_by_their_direction() {
        let comparison = fixture::comparison();
        let expected = json!([{
            "name": "plain/64/max rx_pps", "unit": "pps", "value": 253e3,
            "range": "± 2000", "extra": "10 runs\ngit bbb",
        }]);
        assert_eq!(read(&comparison, "higher"), expected);
        let smaller = read(&comparison, "lower");
        let names: Vec<_> =
            smaller.as_array().unwrap().iter().map(|entry| entry["name"].as_str()).collect();
        let expected = ["plain/64/max loss", "plain/64/50% p50", "plain/64/50% p99"].map(Some);
        assert_eq!(names, expected);
    }

    #[test]
    fn names_hold_no_host_or_date_and_hostile_ids_stay_text() {
        let mut comparison = fixture::comparison();
        comparison.head.host.hostname = Some("secret-host".to_owned());
        let text = render(&comparison, "lower").unwrap();
        assert!(!text.contains("secret-host") && !text.contains("2026"), "{text}");
        comparison.cells[0].metrics[0].new.center = None;
        assert_eq!(render(&comparison, "higher"), None);
        comparison.cells[0].metrics[0].new.center = Some(f64::INFINITY);
        assert_eq!(render(&comparison, "higher"), None);
        comparison.cells[0].metrics[0].new.center = Some(1.0);
        let hostile = "\"}], \u{1b} \\ \n<";
        comparison.cells[0].id = hostile.to_owned();
        let name = format!("{hostile} rx_pps");
        assert_eq!(read(&comparison, "higher")[0]["name"], json!(name));
    }
}
