//! Documents that earlier versions wrote, kept in `tests/documents/`: read, shown in every
//! format, and compared with those of other versions and of today.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{ROOT, stderr, stdout};

fn udperf<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    command.env_remove("CLICOLOR_FORCE").args(words).output().unwrap()
}

/// The folders of kept documents, the oldest first.
fn versions() -> Vec<PathBuf> {
    let folders = fs::read_dir(Path::new(ROOT).join("tests/documents")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut folders: Vec<_> = folders
        .map(|path| (read(&path.join("bench.json"))["started_at"].to_string(), path))
        .collect();
    folders.sort();
    assert!(folders.len() >= 3, "{folders:?}");
    folders.into_iter().map(|(_, path)| path).collect()
}

fn documents() -> Vec<PathBuf> {
    let files = versions().into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The values of a document by path, without unknown ones.
fn leaves(at: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(&format!("{at}/{name}"), value, found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| leaves(&format!("{at}/{index}"), value, found));
        }
        Value::Null => {}
        other => {
            found.insert(at.to_owned(), other.clone());
        }
    }
}

#[test]
fn the_newest_version_has_every_kind_of_document() {
    let newest = versions().pop().unwrap();
    let kinds = fs::read_dir(&newest).unwrap().map(|entry| entry.unwrap().path());
    let kinds = kinds.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let kinds: Vec<_> =
        kinds.map(|path| read(&path)["kind"].as_str().unwrap().to_owned()).collect();
    for kind in "bench blast load ping search compare ab sink echo doctor run".split(' ') {
        assert!(kinds.iter().any(|kept| kept == kind), "{} lacks {kind}", newest.display());
    }
}

#[test]
fn kept_documents_are_read_without_loss() {
    for file in documents() {
        let shown = udperf(["report", "-q", "-J", path(&file)]);
        assert!(matches!(shown.status.code(), Some(0 | 3..=5)), "{file:?}: {}", stderr(&shown));
        let (mut kept, mut now) = (BTreeMap::new(), BTreeMap::new());
        leaves("", &read(&file), &mut kept);
        leaves("", &serde_json::from_slice(&shown.stdout).unwrap(), &mut now);
        for (at, value) in &kept {
            // A run from before runs were judged is judged when it is read.
            if !at.ends_with("/valid") {
                assert_eq!(now.get(at), Some(value), "{}: {at}", file.display());
            }
        }
        assert!(kept.len() > 50, "{file:?}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn kept_documents_have_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["markdown", "csv", "csv-intervals", "html", "hdr", "hgrm", "junit"];
    for file in documents() {
        let text = udperf(["report", path(&file)]);
        assert!(matches!(text.status.code(), Some(0 | 3..=5)), "{file:?}: {}", stderr(&text));
        assert!(stdout(&text).contains("udperf"), "{file:?}");
        let mut written = 0;
        for (number, format) in outputs.into_iter().enumerate() {
            let to = folder.path().join(format!("{number}.{format}"));
            let flag = format!("--{format}={}", to.display());
            let output = udperf(["report", "-q", path(&file), &flag]);
            let (code, said) = (output.status.code(), stderr(&output));
            let lacks = said.contains("needs a run") || said.contains("needs a document of");
            let needs_gate = format == "junit" && said.contains("a case per --fail-if");
            match code {
                Some(2) if lacks || needs_gate => {}
                Some(0 | 3..=5) => written += 1,
                _ => panic!("{}: {flag}: {code:?} {said}", file.display()),
            }
        }
        assert!(written >= 1, "{file:?}");
    }
}

/// Compares two documents; panics if they are refused.
fn compared(base: &Path, new: &Path) -> Option<i32> {
    let output = udperf(["compare", "--noise", "none", path(base), path(new)]);
    let code = output.status.code();
    let said = stderr(&output);
    assert!(matches!(code, Some(0 | 3..=5)), "{} {}: {said}", base.display(), new.display());
    code
}

#[test]
fn documents_of_different_versions_are_compared() {
    let versions = versions();
    for (at, base) in versions.iter().enumerate() {
        for new in &versions[at..] {
            for kind in ["bench", "bench-paced", "blast", "load", "ping"] {
                compared(&base.join(format!("{kind}.json")), &new.join(format!("{kind}.json")));
            }
        }
    }
}

#[test]
fn a_run_of_today_is_compared_with_kept_ones() {
    let folder = tempfile::tempdir().unwrap();
    for version in versions() {
        let base = version.join("bench.json");
        let new = folder.path().join("bench.json");
        let mut command: Vec<_> =
            read(&base)["command"].as_array().unwrap().iter().skip(1).cloned().collect();
        let json = command.iter_mut().find(|word| word.as_str().unwrap().starts_with("--json"));
        *json.unwrap() = json!(format!("--json={}", new.display()));
        let run = udperf(command.iter().map(|word| word.as_str().unwrap()));
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        // Valid runs of one scenario.
        assert_ne!(compared(&base, &new), Some(5), "{}", base.display());
    }
}

#[test]
fn kept_runs_are_a_history() {
    let output = udperf(["report", "--history", &format!("{ROOT}/tests/documents")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("null/64/max"), "{}", stdout(&output));
}

#[test]
fn documents_of_a_later_schema_say_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    for file in documents() {
        let mut document = read(&file);
        document["schema"] = json!("udperf/2");
        document["tool"]["version"] = json!("3.4.5");
        document["later"] = json!([]);
        let later = folder.path().join("later.json");
        fs::write(&later, document.to_string()).unwrap();
        for words in [
            vec!["report", path(&later)],
            vec!["report", "--history", path(folder.path())],
            vec!["compare", path(&later), path(&file)],
        ] {
            let output = udperf(&words);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
            let own = env!("CARGO_PKG_VERSION");
            let why = format!(
                "it is of schema udperf/2, and udperf {own} reads udperf/1; install udperf 3.4.5, \
                 which wrote it, or later\n"
            );
            assert!(said.ends_with(&why), "{words:?}: {said}");
        }
    }
}

/// Adds a field that nobody knows to every structure.
fn with_later_fields(value: &mut Value, name: &str) {
    // Maps from names to values, not structures.
    if ["labels", "scenario", "sysctls", "mitigations", "offloads", "errors", "variables"]
        .contains(&name)
    {
        return;
    }
    match value {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| with_later_fields(value, name));
            fields.insert("of_a_later_version".to_owned(), json!({ "x": [1, "y"] }));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| with_later_fields(item, name)),
        _ => {}
    }
}

#[test]
fn fields_of_later_versions_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let newest = versions().pop().unwrap();
    for file in documents().into_iter().filter(|file| file.starts_with(&newest)) {
        let mut document = read(&file);
        with_later_fields(&mut document, "");
        let later = folder.path().join(file.file_name().unwrap());
        fs::write(&later, document.to_string()).unwrap();
        let (before, now) = (udperf(["report", path(&file)]), udperf(["report", path(&later)]));
        assert_eq!(stdout(&now), stdout(&before), "{}: {}", file.display(), stderr(&now));
        assert_eq!(now.status.code(), before.status.code());
    }
}

#[test]
fn flags_of_earlier_versions_exist_or_name_their_successor() {
    let mut help = BTreeMap::new();
    let mut checked = 0;
    for version in versions() {
        for line in fs::read_to_string(version.join("flags.txt")).unwrap().lines() {
            let (command, flag) = line.split_once(' ').unwrap();
            let known = help
                .entry(command.to_owned())
                .or_insert_with(|| stdout(&udperf([command, "--help"])));
            let mut words = known.split(|c: char| !(c.is_alphanumeric() || c == '-'));
            if !words.any(|word| word == flag) {
                // Hidden, or gone.
                let said = stderr(&udperf([command, flag, "-1"]));
                let is_gone = said.contains(&format!("unexpected argument '{flag}'"));
                assert!(!is_gone || said.contains("udperf has no"), "{line}: {said}");
            }
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}
