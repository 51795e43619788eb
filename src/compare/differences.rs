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
    "host.slow_share",
    "host.clock_cost_ns",
    "host.clock_step_ns",
    "host.sleep_error_p50_ns",
    "host.sleep_error_max_ns",
    "host.siblings",
];
/// Settings that do not change the scenario: repetitions and arbitrary numbers.
const IGNORED_PROPERTIES: [&str; 4] =
    ["scenario.trials", "scenario.seed", "scenario.port", "scenario.ports"];

/// Values by path; several if runs differ.
pub(super) type RunProperties = BTreeMap<String, BTreeSet<String>>;

pub(super) fn of_hosts(base: &[&Report], new: &[&Report]) -> Vec<Difference> {
    let part = |report: &Report| json!({ "host": report.host, "tool": report.tool });
    differences(base, new, part, |path| {
        let path = path.replacen("host.peer.", "host.", 1);
        // The text about a capability; whether it is available is a field of its own.
        let is_text = path.starts_with("host.capabilities.") && path.ends_with(".detail");
        !is_text && !MEASURED_PROPERTIES.contains(&path.as_str())
    })
}

pub(super) fn of_scenarios(base: &[&Report], new: &[&Report]) -> Vec<Difference> {
    let part = |report: &Report| json!({ "kind": report.kind, "scenario": report.scenario });
    let mut found = differences(base, new, part, is_scenario_property);
    // Documents from before a setting lack it, and 0 is what turns it off.
    found.retain(|one| {
        let sides = [&one.base[..], &one.new[..]];
        sides.iter().flat_map(|side| side.iter()).any(|value| value != "0")
            || sides.iter().all(|side| !side.is_empty())
    });
    found
}

pub(super) fn is_scenario_property(path: &str) -> bool {
    !IGNORED_PROPERTIES.contains(&path)
}

fn differences(
    base: &[&Report],
    new: &[&Report],
    part: fn(&Report) -> Value,
    counts: fn(&str) -> bool,
) -> Vec<Difference> {
    let [base, new] = [base, new].map(|reports| {
        let mut properties = RunProperties::new();
        reports.iter().for_each(|report| flatten("", &part(report), &mut properties));
        properties
    });
    let paths: BTreeSet<&String> = base.keys().chain(new.keys()).collect();
    let values = |properties: &RunProperties, path: &str| -> Vec<String> {
        properties.get(path).into_iter().flatten().cloned().collect()
    };
    let all = paths.into_iter().filter(|path| counts(path)).map(|path| Difference {
        what: path.clone(),
        base: values(&base, path),
        new: values(&new, path),
    });
    all.filter(|found| found.base != found.new).collect()
}

/// All values of a tree by path, without unknown and empty ones, which older documents lack.
pub(super) fn flatten(path: &str, value: &Value, properties: &mut RunProperties) {
    let mut note = |text: String| {
        properties.entry(path.to_owned()).or_default().insert(text);
    };
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), value, properties);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        // Named objects, such as capabilities.
        Value::Array(items) if items.iter().all(|item| item["name"].is_string()) => {
            for item in items {
                let name = item["name"].as_str().unwrap_or_default();
                let mut rest = item.clone();
                rest.as_object_mut().map(|fields| fields.remove("name"));
                flatten(&format!("{path}.{name}"), &rest, properties);
            }
        }
        // Lists of words and numbers.
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let word = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
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
    use crate::document::Capability;
    use crate::report::fixture;

    #[test]
    fn lists_changed_properties_of_host_and_scenario() {
        let mut base = fixture::default_run();
        let capability = |detail: &str| Capability {
            name: "uring".to_owned(),
            available: true,
            detail: detail.to_owned(),
        };
        base.host.capabilities = vec![capability("io_uring")];
        let mut new = base.clone();
        new.host.capabilities = vec![capability("in other words")];
        new.host.kernel = Some("Linux 7.0".to_owned());
        new.host.load_average = Some(7.0);
        new.tool.git = Some("abc".to_owned());
        new.scenario["batch"] = 8.into();
        new.scenario["trials"] = 9.into();
        let paths = |found: Vec<Difference>| -> Vec<String> {
            found.into_iter().map(|difference| difference.what).collect()
        };
        assert_eq!(paths(of_hosts(&[&base], &[&new])), ["host.kernel", "tool.git"]);
        assert_eq!(paths(of_scenarios(&[&base], &[&new])), ["scenario.batch"]);
        assert_eq!(of_hosts(&[&base], &[&base]), []);
        // A setting that older documents lack, switched off and on.
        for (value, differ) in [(0, &[][..]), (1, &["scenario.start_stagger_ns"])] {
            let mut with = base.clone();
            with.scenario["start_stagger_ns"] = value.into();
            let mut without = base.clone();
            without.scenario.as_object_mut().unwrap().remove("start_stagger_ns");
            assert_eq!(paths(of_scenarios(&[&without], &[&with])), differ);
            assert_eq!(paths(of_scenarios(&[&with], &[&without])), differ);
        }
        // Runs of one side that differ have several values.
        let found = of_hosts(&[&base], &[&base, &new]);
        assert!(found.iter().all(|one| (one.base.len(), one.new.len()) == (1, 2)), "{found:?}");
    }

    #[test]
    fn flattens_named_objects_and_lists() {
        let mut properties = RunProperties::new();
        let value = json!({"a": [{"name": "gso", "available": true}], "b": [1, 2]});
        flatten("", &value, &mut properties);
        let expected = [("a.gso.available", "true"), ("b", "1,2")]
            .map(|(path, value)| (path.to_owned(), BTreeSet::from([value.to_owned()])));
        assert_eq!(properties, RunProperties::from(expected));
    }
}
