//! Reads stored runs, also those in results of scenario files, from a file, or from a folder and
//! its subfolders.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use super::other::Other;
use crate::document::{Report, SCHEMA};
use crate::report::read::{ReadError, WITH_CELLS, kind, of_kind, read};

/// Maximum file size in bytes. Arbitrary: hundreds of times the largest run in `results/`.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Maximum depth of folders. Arbitrary: archives by host, month and run use three.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    /// The step of a scenario file that it is the run of.
    pub(crate) step: Option<String>,
    pub(crate) report: Report,
}

#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Runs with cells, by time, then by path.
    pub(crate) runs: Vec<Stored>,
    /// Skipped files of a folder, and why, by path.
    pub(crate) skipped: Vec<(PathBuf, ReadError)>,
    /// Steps of scenario files without a run: they did not run, failed, or measure no cells.
    pub(crate) without_run: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot read {path}: {reason}; give a file written by -J, or a folder of such files")]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "cannot read {path}: it is larger than {} MiB, so it is not a run; move it elsewhere",
        MAX_BYTES >> 20
    )]
    TooBig { path: PathBuf },
    #[error("cannot read {path}: it is more than {MAX_DEPTH} folders deep; give a subfolder")]
    TooDeep { path: PathBuf },
    #[error("cannot read {path}: {source}")]
    Document { path: PathBuf, source: ReadError },
    #[error(
        "there is no run in {path}: of the {skipped} *.json in it and below, none is a document \
         with \"schema\": \"{SCHEMA}\" and cells; give a folder with files written by -J"
    )]
    NoRuns { path: PathBuf, skipped: usize },
}

/// Reads the run in a file, or in each `*.json` of a folder and its subfolders: follows links to
/// files but not to folders, reads a file with several names once, and lists those that it skips.
pub(crate) fn load(path: &Path) -> Result<Loaded, StoreError> {
    load_by(path, |text| Ok(vec![(None, Some(read(text)?))]))
}

/// Also reads the runs in results of scenario files: these differ in their scenario.
pub(crate) fn load_with_steps(path: &Path) -> Result<Loaded, StoreError> {
    load_by(path, |text| match read(text) {
        Err(ReadError::NoCells(kind)) if kind == SCENARIO_RESULT => steps(text),
        read => Ok(vec![(None, Some(read?))]),
    })
}

/// The kind of the document of `udperf run`.
pub(crate) const SCENARIO_RESULT: &str = "run";

/// The steps by name, with their runs if they measured cells.
fn steps(text: &str) -> Result<Vec<NamedRun>, ReadError> {
    let document: Value = of_kind(text)?;
    let is_exit = |exit: &Value| exit.as_u64().is_some_and(|exit| exit <= u8::MAX.into());
    let of_steps = document["steps"].as_array().into_iter().flatten().map(|step| &step["exit"]);
    // A step that did not run has none.
    if !is_exit(&document["exit"])
        || !of_steps.into_iter().all(|exit| exit.is_null() || is_exit(exit))
    {
        return Err(ReadError::Damaged("an exit code is not between 0 and 255".to_owned()));
    }
    let run = |step: &Value| {
        let (name, document) = (step["name"].as_str()?, &step["document"]);
        let has_cells = document["kind"].as_str().is_some_and(|kind| WITH_CELLS.contains(&kind));
        let run = has_cells.then(|| read(&document.to_string())).transpose();
        Some(run.map(|run| (Some(name.to_owned()), run)))
    };
    document["steps"].as_array().into_iter().flatten().filter_map(run).collect()
}

/// A run, and the name of its step.
type NamedRun = (Option<String>, Option<Report>);
/// Reads the runs of a text.
type ReadRuns = fn(&str) -> Result<Vec<NamedRun>, ReadError>;

fn load_by(path: &Path, read: ReadRuns) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let is_folder = path.is_dir();
    let found = match is_folder {
        true => without_duplicates(files(path).collect::<Result<_, _>>()?),
        false => vec![path.to_owned()],
    };
    for path in found {
        let text = text(&path)?;
        let not_text = |error: std::str::Utf8Error| ReadError::NotJson(error.to_string());
        match std::str::from_utf8(&text).map_err(not_text).and_then(read) {
            Ok(runs) => {
                for (step, report) in runs {
                    let of_step = |step: &String| format!("{}:{step}", path.display()).into();
                    let path = step.as_ref().map_or_else(|| path.clone(), of_step);
                    match report {
                        Some(report) => loaded.runs.push(Stored { path, step, report }),
                        None => loaded.without_run.extend(step),
                    }
                }
            }
            Err(error) if is_folder && is_foreign_file(&error, &text) => {
                loaded.skipped.push((path, error));
            }
            Err(source) => return Err(StoreError::Document { path, source }),
        }
    }
    if loaded.runs.is_empty() {
        let (path, skipped) = (path.to_owned(), loaded.skipped.len());
        return Err(StoreError::NoRuns { path, skipped });
    }
    sort(&mut loaded.runs);
    Ok(loaded)
}

/// Reads a document without cells; `None` for anything for which [`load`] has the error.
pub(crate) fn other(path: &Path) -> Option<Result<Other, StoreError>> {
    of_file(path, Other::read)
}

/// Reads a document from a file by its kind and text; `None` where the reader says that it is of
/// another kind, and for anything for which [`load`] has the error.
pub(crate) fn of_file<T>(
    path: &Path,
    read: impl FnOnce(&str, &str) -> Result<T, ReadError>,
) -> Option<Result<T, StoreError>> {
    // A pipe cannot be read again.
    if !path.is_file() {
        return None;
    }
    let bytes = text(path).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let damaged = |source| StoreError::Document { path: path.to_owned(), source };
    match read(&kind(text).ok()?, text) {
        Err(ReadError::NoCells { .. }) => None,
        read => Some(read.map_err(damaged)),
    }
}

/// Sorts by time, then by path; runs without a time are last.
pub(crate) fn sort(runs: &mut [Stored]) {
    runs.sort_by_cached_key(|run| {
        let started_at = humantime::parse_rfc3339(&run.report.started_at).ok();
        (started_at.is_none(), started_at, run.path.clone())
    });
}

/// Whether a file is foreign: also one that cannot be parsed, unless it names a schema of udperf.
fn is_foreign_file(error: &ReadError, text: &[u8]) -> bool {
    /// `SCHEMA` after a quote.
    const MARK: &[u8] = b"\"udperf/";
    match error {
        ReadError::Truncated { .. } | ReadError::NotJson { .. } => {
            !text.windows(MARK.len()).any(|window| window == MARK)
        }
        error => error.is_foreign(),
    }
}

/// The `*.json` files of a folder and its subfolders.
fn files(folder: &Path) -> impl Iterator<Item = Result<PathBuf, StoreError>> {
    // One level more than allowed, to detect deeper files.
    let walk = WalkDir::new(folder).sort_by_file_name().max_depth(MAX_DEPTH + 1);
    walk.into_iter().filter_map(|entry| match entry {
        Err(error) => {
            let path = error.path().unwrap_or_else(|| Path::new("")).to_owned();
            Some(Err(StoreError::Unreadable { path, reason: reason(&error.into()) }))
        }
        Ok(entry) => {
            let (depth, path) = (entry.depth(), entry.into_path());
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            (is_json && path.is_file()).then_some(match depth > MAX_DEPTH {
                true => Err(StoreError::TooDeep { path }),
                false => Ok(path),
            })
        }
    })
}

/// Each file once, by path; a link only if no other name was found.
fn without_duplicates(found: Vec<PathBuf>) -> Vec<PathBuf> {
    let target = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let (links, mut found): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|path| path.is_symlink());
    let mut known: BTreeSet<PathBuf> = found.iter().map(target).collect();
    found.extend(links.into_iter().filter(|link| known.insert(target(link))));
    found.sort();
    found
}

fn text(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
    match read {
        Err(error) => Err(StoreError::Unreadable { path: path.to_owned(), reason: reason(&error) }),
        Ok(bytes) if bytes as u64 > MAX_BYTES => Err(StoreError::TooBig { path: path.to_owned() }),
        Ok(_) => Ok(text),
    }
}

pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::compare::document::Judgement;
    use crate::compare::fixture as compared;
    use crate::report::fixture;
    use tempfile::{TempDir, tempdir};

    fn write(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(started_at: &str) -> String {
        let mut report = fixture::default_run();
        report.started_at = started_at.to_owned();
        serde_json::to_string_pretty(&report).unwrap()
    }

    fn names<'a>(folder: &TempDir, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        paths.map(name).collect()
    }

    #[test]
    fn loads_runs_of_a_folder_by_time() {
        let folder = tempdir().unwrap();
        for (name, text) in [
            ("a/late.json", run("2026-07-18T12:00:00.500Z")),
            ("b/c/early.json", run("2026-07-18T12:00:00Z")),
            ("b/again.json", run("2026-07-18T12:00:00Z")),
            ("a/summary.txt", "no JSON".to_owned()),
            ("a/peers.json", "{\"peers\": []}".to_owned()),
            ("a/config.json", "// no JSON\n".to_owned()),
            ("sink.json", "{\"schema\": \"udperf/1\", \"kind\": \"sink\"}".to_owned()),
        ] {
            write(&folder, name, text);
        }
        let Loaded { runs, skipped, .. } = load(folder.path()).unwrap();
        let expected = ["b/again.json", "b/c/early.json", "a/late.json"];
        assert_eq!(names(&folder, runs.iter().map(|run| &run.path)), expected);
        let expected = ["a/config.json", "a/peers.json", "sink.json"];
        assert_eq!(names(&folder, skipped.iter().map(|(path, _)| path)), expected);
    }

    #[test]
    fn rejects_damaged_runs_in_folders() {
        let intact = run("2026-07-18T12:00:00Z");
        let edited = |from: &str, to: &str| {
            assert!(intact.contains(from), "{from}");
            intact.replacen(from, to, 1).into_bytes()
        };
        for damaged in [
            intact.as_bytes()[..intact.len() / 2].to_vec(),
            edited("\"udperf/1\"", "\"udperf/2\""),
            edited("\"attempted\": ", "\"attempted\": 1"),
            edited("\"started_at\"", "\"started\""),
            edited("\"cells\": [", "\"cells\": [,"),
            [intact.as_bytes(), &[0xff]].concat(),
        ] {
            let folder = tempdir().unwrap();
            write(&folder, "good.json", &intact);
            write(&folder, "damaged.json", &damaged);
            let error = load(folder.path()).unwrap_err();
            assert!(matches!(error, StoreError::Document { .. }), "{error}");
            let path = folder.path().join("damaged.json").display().to_string();
            assert!(error.to_string().starts_with(&format!("cannot read {path}: ")), "{error}");
        }
    }

    #[test]
    fn rejects_files_that_are_too_big_or_too_deep() {
        let folder = tempdir().unwrap();
        let huge = File::create(folder.path().join("huge.json")).unwrap();
        huge.set_len(MAX_BYTES + 1).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("huge.json: it is larger than 256 MiB"), "{error}");
        let folder = tempdir().unwrap();
        write(&folder, &("d/".repeat(MAX_DEPTH - 1) + "a.json"), "{}");
        let error = load(folder.path()).unwrap_err().to_string();
        for part in ["of the 1 *.json in it and below", "\"schema\": \"udperf/1\""] {
            assert!(error.contains(part), "{error}");
        }
        write(&folder, &("d/".repeat(MAX_DEPTH) + "a.json"), "{}");
        assert!(matches!(load(folder.path()), Err(StoreError::TooDeep { .. })));
    }

    #[test]
    fn rejects_comparisons_that_cannot_be() {
        type Change = fn(&mut Judgement);
        let folder = tempdir().unwrap();
        let read = |comparison: &Comparison| {
            write(&folder, "compare.json", serde_json::to_string(comparison).unwrap());
            other(&folder.path().join("compare.json")).unwrap()
        };
        let mut intact = compared::comparison();
        intact.head.schema = SCHEMA.to_owned();
        assert_eq!(read(&intact).unwrap(), Other::Verdict(Box::new(intact.clone())));
        let changes: [(Change, &str); 6] = [
            (|one| one.threshold = -0.5, "threshold >= 0"),
            (|one| one.noise = Some(-0.1), "noise >= 0"),
            (|one| one.p = Some(1.5), "0 <= p"),
            (|one| one.p_corrected = Some(-1.0), "0 <= p"),
            (|one| one.effect.as_mut().unwrap().low = 9.0, "effect.low <="),
            (|one| one.effect.as_mut().unwrap().low = -0.1, "no ratio < 0"),
        ];
        for (change, rule) in changes {
            let mut damaged = intact.clone();
            change(&mut damaged.cells[0].metrics[0]);
            let error = read(&damaged).unwrap_err().to_string();
            assert!(error.contains(rule) && error.contains(" of cell "), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn reads_linked_files_once() {
        use std::os::unix::fs::symlink;
        let (folder, links) = (tempdir().unwrap(), tempdir().unwrap());
        write(&folder, "runs/run.json", run("2026-07-18T12:00:00Z"));
        symlink(folder.path(), folder.path().join("runs/loop")).unwrap();
        for name in ["newest.json", "again.json"] {
            symlink("runs/run.json", folder.path().join(name)).unwrap();
            symlink(folder.path().join("runs/run.json"), links.path().join(name)).unwrap();
        }
        // A file elsewhere is read by the first link to it.
        for (folder, expected) in [(&folder, "runs/run.json"), (&links, "again.json")] {
            let runs = load(folder.path()).unwrap().runs;
            assert_eq!(names(folder, runs.iter().map(|run| &run.path)), [expected]);
        }
    }
}
