//! The workflows of GitHub and `action.yml`: least permissions, pinned actions, scripts that
//! shellcheck passes, and names that exist.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{ROOT, has, skip, stdout};

const ACTION: &str = "action.yml";

/// Reads YAML through Python, which starts once for all of these files. The key `on` becomes `true`,
/// as YAML 1.1 says.
fn yaml(files: &[String]) -> Vec<Value> {
    let program = "import json, sys, yaml; \
         json.dump([yaml.safe_load(open(file)) for file in sys.argv[1:]], sys.stdout)";
    let mut python = Command::new("python3");
    let output = python.args(["-c", program]).args(files).current_dir(ROOT).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{files:?}: {}", super::stderr(&output)))
}

/// The workflows by path; `None` if they cannot be read here.
fn workflows() -> Option<Vec<(String, Value)>> {
    if !has(&["python3"]) {
        return None;
    }
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).output().unwrap();
    if !has_yaml.status.success() {
        skip::missing("the Python module yaml is not installed");
        return None;
    }
    let files = fs::read_dir(Path::new(ROOT).join(".github/workflows")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.map(|name| format!(".github/workflows/{name}")).collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    let read = yaml(&names);
    Some(names.into_iter().zip(read).collect())
}

fn action() -> Value {
    yaml(&[ACTION.to_owned()]).remove(0)
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The steps of all jobs, with the path of the file.
fn steps(all: &[(String, Value)]) -> Vec<(String, Value)> {
    let of_job = |(file, workflow): &(String, Value)| {
        let jobs = fields(&workflow["jobs"]);
        let steps = jobs.flat_map(|(_, job)| job["steps"].as_array().unwrap().clone());
        steps.map(|step| (file.clone(), step)).collect::<Vec<_>>()
    };
    let action = action()["runs"]["steps"].as_array().unwrap().clone();
    let of_action = action.into_iter().map(|step| (ACTION.to_owned(), step));
    all.iter().flat_map(of_job).chain(of_action).collect()
}

/// The expressions of `${{ … }}` in a text.
fn expressions(text: &str) -> Vec<&str> {
    let parts = text.split("${{").skip(1);
    parts.map(|part| part.split_once("}}").expect("an open expression").0.trim()).collect()
}

#[test]
fn jobs_have_only_the_permissions_that_they_need() {
    let Some(all) = workflows() else { return };
    for (file, workflow) in &all {
        // A workflow of other people's pull requests would run with the rights of this repository.
        assert!(workflow["true"].get("pull_request_target").is_none(), "{file}");
        let top = &workflow["permissions"];
        assert!([json!({}), json!({ "contents": "read" })].contains(top), "{file}: {top}");
        for (name, job) in fields(&workflow["jobs"]) {
            assert!(job["timeout-minutes"].is_u64(), "{file}: {name}");
            let Some(own) = job.get("permissions") else { continue };
            let release = json!({
                "contents": "write", "id-token": "write", "attestations": "write"
            });
            let allowed = if name == "publish" { release } else { json!({ "contents": "read" }) };
            assert_eq!(*own, allowed, "{file}: {name}");
        }
    }
}

#[test]
fn actions_are_pinned_and_keep_no_credentials() {
    let Some(all) = workflows() else { return };
    let mut used = 0;
    for (file, step) in steps(&all) {
        let Some(action) = step["uses"].as_str() else { continue };
        let (_, version) = action.split_once('@').unwrap_or_else(|| panic!("{file}: {action}"));
        let is_version = version.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
        let is_commit = version.len() == 40 && version.bytes().all(|c| c.is_ascii_hexdigit());
        assert!(is_version || is_commit, "{file}: {action}");
        if action.starts_with("actions/checkout@") {
            assert_eq!(step["with"]["persist-credentials"], false, "{file}: {step}");
        }
        used += 1;
    }
    assert!(used >= 10, "{used}");
}

#[test]
fn scripts_of_steps_are_clean_and_what_they_call_exists() {
    let Some(all) = workflows() else { return };
    if !has(&["shellcheck"]) {
        return;
    }
    let (mut checked, mut called) = (0, BTreeSet::new());
    for (file, step) in steps(&all) {
        let Some(script) = step["run"].as_str() else { continue };
        // Whatever else an expression holds, such as the title of a pull request, would be code.
        for expression in expressions(script) {
            assert!(expression.starts_with("matrix."), "{file}: {expression}");
        }
        let mut shellcheck = Command::new("shellcheck");
        shellcheck.args(["--shell=bash", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shellcheck.spawn().unwrap();
        let plain = script.replace("${{ ", "").replace(" }}", "");
        child.stdin.take().unwrap().write_all(plain.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{file}: {script}\n{}", stdout(&output));
        checked += 1;
        let words = script.split([' ', '\n', '"', '\'', '(', ')']);
        let words = words.map(|word| word.trim_start_matches("$GITHUB_ACTION_PATH/"));
        let folders = ["scripts/", "packaging/", ".ci/"];
        let ours = words.filter(|word| folders.iter().any(|folder| word.starts_with(folder)));
        called.extend(ours.map(str::to_owned));
    }
    assert!(checked >= 15, "{checked}");
    for file in &called {
        let path = Path::new(ROOT).join(file);
        let mode =
            path.metadata().unwrap_or_else(|_| panic!("{file} does not exist")).permissions();
        assert!(mode.mode() & 0o111 != 0, "{file} is not executable");
    }
    let known = ["packaging/action/run", "packaging/build", "scripts/release-notes", ".ci/run"];
    for file in known {
        assert!(called.contains(file), "{file}: {called:?}");
    }
}

#[test]
fn what_jobs_refer_to_exists() {
    let Some(all) = workflows() else { return };
    for (file, workflow) in &all {
        let jobs = &workflow["jobs"];
        for (name, job) in fields(jobs) {
            let needs = match &job["needs"] {
                Value::String(one) => vec![one.as_str()],
                Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
                _ => Vec::new(),
            };
            let ids: Vec<_> =
                job["steps"].as_array().unwrap().iter().filter_map(|s| s["id"].as_str()).collect();
            let text = job.to_string();
            for word in expressions(&text).into_iter().flat_map(|one| one.split([' ', '(', ')'])) {
                let path: Vec<_> = word.split('.').collect();
                match path[..] {
                    ["needs", job, "outputs", output] => {
                        assert!(needs.contains(&job), "{file}: {name}: {word}");
                        assert!(jobs[job]["outputs"][output].is_string(), "{file}: {name}: {word}");
                    }
                    ["steps", id, ..] => assert!(ids.contains(&id), "{file}: {name}: {word}"),
                    ["matrix", key] => {
                        let matrix = &job["strategy"]["matrix"];
                        let known = !matrix[key].is_null() || !matrix["include"][0][key].is_null();
                        assert!(known, "{file}: {name}: {word}");
                    }
                    ["github", ..] | ["runner", ..] => {}
                    _ => assert!(!word.contains('.') || word.contains('\''), "{file}: {word}"),
                }
            }
            for needed in needs {
                assert!(jobs[needed].is_object(), "{file}: {name} needs {needed}");
            }
        }
    }
}

#[test]
fn the_action_uses_each_of_its_inputs() {
    if workflows().is_none() {
        return;
    }
    let action = action();
    let steps = action["runs"]["steps"].to_string();
    let words = steps.split(|c: char| !(c.is_alphanumeric() || ".-_".contains(c)));
    let used: BTreeSet<_> = words.filter_map(|word| word.strip_prefix("inputs.")).collect();
    let declared: BTreeSet<_> = fields(&action["inputs"]).map(|(name, _)| name.as_str()).collect();
    assert_eq!(used, declared);
    let run = fs::read_to_string(Path::new(ROOT).join("packaging/action/run")).unwrap();
    let ids: Vec<_> = action["runs"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["id"].as_str())
        .collect();
    for (name, output) in fields(&action["outputs"]) {
        let value = format!("${{{{ steps.{}.outputs.{name} }}}}", ids[0]);
        assert_eq!(output["value"], value.as_str());
        assert!(run.contains(&format!("{name}=")), "{name}");
    }
    let page = fs::read_to_string(Path::new(ROOT).join("docs/compare-and-ci.md")).unwrap();
    for name in declared {
        assert!(page.contains(&format!("`{name}`")), "docs/compare-and-ci.md lacks {name}");
    }
}
