//! Reads kept runs from a file, or from a folder and its subfolders.

mod other;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

pub(crate) use other::Other;

use crate::document::Report;
use crate::document::SCHEMA;
use crate::report::read::{ReadError, kind, read};

/// Maximum file size in bytes. Arbitrary: hundreds of times the largest run in `results/`.
pub(crate) const MAX_BYTES: u64 = 256 << 20;

/// Maximum depth of folders. Arbitrary: archives by host, month and run use three.
pub(crate) const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) report: Report,
}

impl Stored {
    /// When it started; `None` if the document has no valid time.
    pub(crate) fn started_at(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.report.started_at).ok()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Runs with cells, by time, then by path.
    pub(crate) runs: Vec<Stored>,
    /// Skipped files of a folder, and why, by path.
    pub(crate) skipped: Vec<(PathBuf, ReadError)>,
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

/// Reads the run in a file, or in each `*.json` of a folder and its subfolders. Follows links to
/// files but not to folders; reads a file with several names once.
///
/// Skips and lists foreign files and documents without cells in a folder.
pub(crate) fn load(path: &Path) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    if path.is_dir() {
        for found in without_duplicates(files(path).collect::<Result<_, _>>()?) {
            let text = text(&found)?;
            match parse(&text) {
                Ok(report) => loaded.runs.push(Stored { path: found, report }),
                Err(error) if is_foreign_file(&error, &text) => loaded.skipped.push((found, error)),
                Err(source) => return Err(StoreError::Document { path: found, source }),
            }
        }
        if loaded.runs.is_empty() {
            let (path, skipped) = (path.to_owned(), loaded.skipped.len());
            return Err(StoreError::NoRuns { path, skipped });
        }
    } else {
        let report = parse(&text(path)?)
            .map_err(|source| StoreError::Document { path: path.to_owned(), source })?;
        loaded.runs.push(Stored { path: path.to_owned(), report });
    }
    sort(&mut loaded.runs);
    Ok(loaded)
}

/// Reads a document without cells; `None` for anything for which [`load`] has the error.
pub(crate) fn other(path: &Path) -> Option<Result<Other, StoreError>> {
    // A pipe cannot be read again.
    if !path.is_file() {
        return None;
    }
    let bytes = text(path).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let other = Other::read(&kind(text).ok()?, text);
    let damaged = |source| StoreError::Document { path: path.to_owned(), source };
    match other {
        Err(ReadError::NoCells { .. }) => None,
        other => Some(other.map_err(damaged)),
    }
}

/// Sorts by time, then by path; runs without a time are last.
pub(crate) fn sort(runs: &mut [Stored]) {
    runs.sort_by_cached_key(|run| {
        let at = run.started_at();
        (at.is_none(), at, run.path.clone())
    });
}

/// Whether a file is foreign: also one that cannot be parsed, unless it names our schema.
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
    walk.into_iter().filter_map(|entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or_else(|| Path::new("")).to_owned();
                let reason = reason(&error.into());
                return Some(Err(StoreError::Unreadable { path, reason }));
            }
        };
        let (depth, path) = (entry.depth(), entry.into_path());
        let wanted = path.extension().is_some_and(|extension| extension == "json");
        match wanted && path.is_file() {
            true if depth > MAX_DEPTH => Some(Err(StoreError::TooDeep { path })),
            true => Some(Ok(path)),
            false => None,
        }
    })
}

fn without_duplicates(found: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_link: Vec<bool> = found.iter().map(|path| path.is_symlink()).collect();
    let end = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let own = found.iter().zip(&is_link).filter(|(_, is_link)| !**is_link);
    let mut known: BTreeSet<PathBuf> = own.map(|(path, _)| end(path)).collect();
    let found = found.into_iter().zip(is_link);
    found
        .filter_map(|(path, is_link)| (!is_link || known.insert(end(&path))).then_some(path))
        .collect()
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

fn parse(bytes: &[u8]) -> Result<Report, ReadError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(error) => Err(ReadError::NotJson(error.to_string())),
    }
}

/// Why a file cannot be read.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(started_at: &str) -> String {
        let mut report = fixture::default_run();
        report.started_at = started_at.to_owned();
        serde_json::to_string_pretty(&report).unwrap()
    }

    #[test]
    fn a_folder_gives_its_runs_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, "a/late.json", &run("2026-07-18T12:00:00.500Z"));
        write(folder, "b/c/early.json", &run("2026-07-18T12:00:00Z"));
        write(folder, "b/again.json", &run("2026-07-18T12:00:00Z"));
        write(folder, "a/summary.txt", "no JSON");
        write(folder, "a/peers.json", "{\"peers\": []}");
        write(folder, "a/config.json", "// not even that\n");
        write(folder, "sink.json", "{\"schema\": \"udperf/1\", \"kind\": \"sink\"}");
        let loaded = load(folder).unwrap();
        let names = |paths: Vec<&PathBuf>| -> Vec<String> {
            let name = |path: &&PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
            paths.iter().map(name).collect()
        };
        let runs = names(loaded.runs.iter().map(|run| &run.path).collect());
        assert_eq!(runs, ["b/again.json", "b/c/early.json", "a/late.json"]);
        let skipped = names(loaded.skipped.iter().map(|(path, _)| path).collect());
        assert_eq!(skipped, ["a/config.json", "a/peers.json", "sink.json"]);
    }

    #[test]
    fn a_spoilt_run_is_no_stranger() {
        let whole = run("2026-07-18T12:00:00Z");
        let edited = |from: &str, to: &str| {
            assert!(whole.contains(from), "{from}");
            whole.replacen(from, to, 1)
        };
        for damaged in [
            whole[..whole.len() / 2].to_owned(),
            edited("\"udperf/1\"", "\"udperf/2\""),
            edited("\"attempted\": ", "\"attempted\": 1"),
            edited("\"started_at\"", "\"started\""),
            edited("\"cells\": [", "\"cells\": [,"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "good.json", &whole);
            write(folder.path(), "spoilt.json", &damaged);
            let error = load(folder.path()).unwrap_err();
            assert!(matches!(error, StoreError::Document { .. }), "{error}");
            let path = folder.path().join("spoilt.json").display().to_string();
            assert!(error.to_string().starts_with(&format!("cannot read {path}: ")), "{error}");
        }
    }

    #[test]
    fn a_file_has_to_be_a_run() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "peers.json", "{}");
        let error = load(&folder.path().join("peers.json")).unwrap_err().to_string();
        assert!(error.contains("peers.json: not a udperf document"), "{error}");
        let error = load(&folder.path().join("none.json")).unwrap_err().to_string();
        assert!(error.contains("none.json: no such file"), "{error}");
        fs::write(folder.path().join("bytes.json"), [b'"', 0xff, b'"']).unwrap();
        let error = load(&folder.path().join("bytes.json")).unwrap_err().to_string();
        assert!(error.contains("bytes.json: not JSON (invalid utf-8"), "{error}");
    }

    #[test]
    fn a_folder_without_runs_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.json", "{}");
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("of the 1 *.json in it and below"), "{error}");
        assert!(error.contains("\"schema\": \"udperf/1\""), "{error}");
    }

    #[test]
    fn what_is_too_big_or_too_deep_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let huge = File::create(folder.path().join("huge.json")).unwrap();
        huge.set_len(MAX_BYTES + 1).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("huge.json: it is larger than 256 MiB"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &("d/".repeat(MAX_DEPTH - 1) + "a.json"), "{}");
        assert!(matches!(load(folder.path()), Err(StoreError::NoRuns { skipped: 1, .. })));
        write(folder.path(), &("d/".repeat(MAX_DEPTH) + "a.json"), "{}");
        assert!(matches!(load(folder.path()), Err(StoreError::TooDeep { .. })));
    }

    #[test]
    #[cfg(unix)]
    fn a_loop_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "kept/run.json", &run("2026-07-18T12:00:00Z"));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("kept/loop")).unwrap();
        std::os::unix::fs::symlink("kept/run.json", folder.path().join("newest.json")).unwrap();
        let kept = |folder: &Path| -> Vec<PathBuf> {
            load(folder).unwrap().runs.into_iter().map(|run| run.path).collect()
        };
        assert_eq!(kept(folder.path()), [folder.path().join("kept/run.json")]);
        std::os::unix::fs::symlink("kept/run.json", folder.path().join("again.json")).unwrap();
        assert_eq!(kept(folder.path()), [folder.path().join("kept/run.json")]);
        // A file elsewhere is read by the first link to it.
        let links = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.json"] {
            let run = folder.path().join("kept/run.json");
            std::os::unix::fs::symlink(run, links.path().join(name)).unwrap();
        }
        assert_eq!(kept(links.path()), [links.path().join("a.json")]);
    }

    #[test]
    fn all_kept_runs_read() {
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let kept = |name: &str| {
            let folders = fs::read_dir(&results).unwrap();
            folders.filter(|one| one.as_ref().unwrap().path().join(name).exists()).count()
        };
        let loaded = load(&results).unwrap();
        // Some folders keep many runs.
        assert!(loaded.runs.len() >= kept("report.json") && kept("report.json") > 0);
        assert_eq!(loaded.skipped.len(), kept("peers.json"));
        assert!(loaded.runs.is_sorted_by_key(|run| run.started_at().unwrap()));
    }
}
