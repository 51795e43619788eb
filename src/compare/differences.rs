//! Differences of host, program and scenario between two sides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::Difference;
use crate::document::Report;

/// Values that vary from run to run, and so are not properties of the host.
const MEASURED_PROPERTIES: [&str; 9] = [
    "host.load_average",
    "host.others_running",
    "host.steal_share",
    "host.clock_cost_ns",
    "host.clock_step_ns",
    "host.sleep_error_p50_ns",
    "host.sleep_error_max_ns",
    "host.siblings",
    "host.capabilities.gro.detail",
];

/// Settings that do not change the scenario: repetitions and arbitrary numbers.
const IGNORED_PROPERTIES: [&str; 4] =
    ["scenario.trials", "scenario.seed", "scenario.port", "scenario.ports"];

/// Values by path; several if runs differ.
pub(super) type RunProperties = BTreeMap<String, BTreeSet<String>>;

pub(super) fn of_hosts(base: &[&Report], new: &[&Report]) -> Vec<Difference> {
    let facts = |reports| {
        let whole = |report: &Report| json!({ "host": report.host, "tool": report.tool });
        facts_of(reports, whole, |what| !is_measured(what))
    };
    differences(&facts(base), &facts(new))
}

pub(super) fn of_scenarios(base: &[&Report], new: &[&Report]) -> Vec<Difference> {
    let facts = |reports| {
        let whole = |report: &Report| json!({ "kind": report.kind, "scenario": report.scenario });
        facts_of(reports, whole, is_scenario_property)
    };
    differences(&facts(base), &facts(new))
}

fn facts_of(
    reports: &[&Report],
    part: impl Fn(&Report) -> Value,
    counts: impl Fn(&str) -> bool,
) -> RunProperties {
    let mut facts = RunProperties::new();
    reports.iter().for_each(|report| flatten("", &part(report), &mut facts));
    facts.retain(|what, _| counts(what));
    facts
}

pub(super) fn is_scenario_property(what: &str) -> bool {
    !IGNORED_PROPERTIES.contains(&what)
}

fn is_measured(what: &str) -> bool {
    MEASURED_PROPERTIES.contains(&what.replacen("host.peer.", "host.", 1).as_str())
}

fn differences(base: &RunProperties, new: &RunProperties) -> Vec<Difference> {
    let names: BTreeSet<&String> = base.keys().chain(new.keys()).collect();
    let values = |facts: &RunProperties, name: &str| -> Vec<String> {
        facts.get(name).into_iter().flatten().cloned().collect()
    };
    let all = names.into_iter().map(|name| Difference {
        what: name.clone(),
        base: values(base, name),
        new: values(new, name),
    });
    all.filter(|found| found.base != found.new).collect()
}

/// All values of a tree by path, without unknown and empty ones, which older documents lack.
pub(super) fn flatten(path: &str, value: &Value, facts: &mut RunProperties) {
    let mut note = |text: String| {
        facts.entry(path.to_owned()).or_default().insert(text);
    };
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), value, facts);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        // Named objects, such as capabilities.
        Value::Array(items) if items.iter().all(|item| item["name"].is_string()) => {
            for item in items {
                let name = item["name"].as_str().unwrap_or_default();
                let mut rest = item.clone();
                rest.as_object_mut().map(|fields| fields.remove("name"));
                flatten(&format!("{path}.{name}"), &rest, facts);
            }
        }
        // Lists of words and numbers.
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let word = |item: &Value| {
                item.as_str().map_or_else(|| item.to_string(), |word| word.to_owned())
            };
            note(items.iter().map(word).collect::<Vec<_>>().join(","));
        }
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => note(text.clone()),
        other => note(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn what_changed_is_named() {
        let base = fixture::default_run();
        let mut new = base.clone();
        new.host.kernel = Some("Linux 7.0".to_owned());
        new.host.load_average = Some(7.0);
        new.tool.git = Some("abc".to_owned());
        new.scenario["batch"] = 8.into();
        new.scenario["trials"] = 9.into();
        let what = |found: Vec<Difference>| -> Vec<String> {
            found.into_iter().map(|difference| difference.what).collect()
        };
        assert_eq!(what(of_hosts(&[&base], &[&new])), ["host.kernel", "tool.git"]);
        assert_eq!(what(of_scenarios(&[&base], &[&new])), ["scenario.batch"]);
        assert_eq!(of_hosts(&[&base], &[&base]), []);
    }

    #[test]
    fn runs_that_differ_themselves_have_several_values() {
        let base = fixture::default_run();
        let mut new = base.clone();
        new.tool.git = Some("abc".to_owned());
        let found = of_hosts(&[&base], &[&base, &new]);
        assert!(found.iter().all(|found| found.what == "tool.git"));
        assert_eq!(found[0].new.len(), found[0].base.len() + 1);
    }

    #[test]
    fn things_with_a_name_stand_under_it() {
        let mut facts = RunProperties::new();
        let value = serde_json::json!({"a": [{"name": "gso", "available": true}], "b": [1, 2]});
        flatten("", &value, &mut facts);
        let found: Vec<_> = facts.iter().map(|(path, values)| (path.as_str(), values)).collect();
        let of = |word: &str| BTreeSet::from([word.to_owned()]);
        assert_eq!(found, [("a.gso.available", &of("true")), ("b", &of("1,2"))]);
    }
}
