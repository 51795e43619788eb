//! Kept runs: a file holds one, a folder as many as there are documents in it, at any depth.

mod other;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

pub use other::Other;

use crate::document::Report;
use crate::document::SCHEMA;
use crate::report::read::{ReadError, kind, read};

/// The largest file that is read, in bytes: 256 MiB. Arbitrary: hundreds of times the largest run
/// that is kept with the sources, and little enough for any machine that measures.
pub const MAX_BYTES: u64 = 256 << 20;

/// How deep folders may lie in each other. Arbitrary: archives by host, month and run take three.
pub const MAX_DEPTH: usize = 16;

/// A run, and where it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub report: Report,
}

impl Stored {
    /// When it began; `None` where the document says something that is no time.
    #[must_use]
    pub fn started_at(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.report.started_at).ok()
    }
}

/// What was found at a path.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Runs with cells, oldest first; of the same moment, by path.
    pub runs: Vec<Stored>,
    /// Other files of a folder, and what they are, by path. Of a single file there is none.
    pub skipped: Vec<(PathBuf, ReadError)>,
}

/// Why there are no runs to go on with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system would not give it.
    #[error("cannot read {path}: {reason}; give a file that -J wrote, or a folder of such")]
    Unreadable {
        /// As asked, or below that.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Larger than any run.
    #[error(
        "cannot read {path}: it is larger than {} MiB, which no run is; move it out of the way",
        MAX_BYTES >> 20
    )]
    TooBig {
        /// As asked, or below that.
        path: PathBuf,
    },
    /// Folders in folders in folders.
    #[error(
        "cannot read {path}: it lies more than {MAX_DEPTH} folders deep; give a folder below it"
    )]
    TooDeep {
        /// The first such.
        path: PathBuf,
    },
    /// No document, or none to go on with.
    #[error("cannot read {path}: {source}")]
    Document {
        /// As asked, or below that.
        path: PathBuf,
        /// What is wrong, and what mends it.
        source: ReadError,
    },
    /// A folder without runs.
    #[error(
        "there is no run in {path}: of the {skipped} *.json in it and below, none is a document \
         with \"schema\": \"{SCHEMA}\" and cells; give a folder that holds what -J wrote"
    )]
    NoRuns {
        /// As asked.
        path: PathBuf,
        /// Files that were looked into.
        skipped: usize,
    },
}

/// Reads the run in a file, or all in a folder and below it: each `*.json`, in the order of their
/// names. Links to files are followed, links to folders are not; a file that several names lead to
/// is read once, by its own.
///
/// In a folder, what is none of ours, or ours without cells, is skipped and named.
///
/// # Errors
/// [`StoreError`], which names the file: a spoilt document of ours, or one of another schema, is
/// an error in a folder, too, as what it would have said is missing.
pub fn load(path: &Path) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    if path.is_dir() {
        for found in distinct(files(path).collect::<Result<_, _>>()?) {
            let text = text(&found)?;
            match parse(&text) {
                Ok(report) => loaded.runs.push(Stored { path: found, report }),
                Err(error) if is_passed_over(&error, &text) => loaded.skipped.push((found, error)),
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

/// Reads the document in a file where it is one without cells; `None` where it is a run, or a
/// folder, or nothing that could be read: [`load`] says what is wrong with that.
#[must_use]
pub fn other(path: &Path) -> Option<Result<Other, StoreError>> {
    // What comes out of a pipe could not be read again.
    if !path.is_file() {
        return None;
    }
    let bytes = text(path).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let other = Other::read(&kind(text).ok()?, text);
    let spoilt = |source| StoreError::Document { path: path.to_owned(), source };
    match other {
        Err(ReadError::NoCells { .. }) => None,
        other => Some(other.map_err(spoilt)),
    }
}

/// Oldest first; of the same moment, by path. What has no time comes last.
pub fn sort(runs: &mut [Stored]) {
    runs.sort_by_cached_key(|run| {
        let at = run.started_at();
        (at.is_none(), at, run.path.clone())
    });
}

/// Whether a file of a folder is none of ours: what cannot be parsed at all is, unless it names
/// our schema somewhere.
fn is_passed_over(error: &ReadError, text: &[u8]) -> bool {
    /// With the quote before it, as only documents have it. From `SCHEMA`.
    const MARK: &[u8] = b"\"udperf/";
    match error {
        ReadError::Truncated { .. } | ReadError::NotJson { .. } => {
            !text.windows(MARK.len()).any(|window| window == MARK)
        }
        error => error.is_foreign(),
    }
}

/// The `*.json` of a folder and below it.
fn files(folder: &Path) -> impl Iterator<Item = Result<PathBuf, StoreError>> {
    // One deeper than is allowed, so that what is there is not overlooked.
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

/// The same without links to files that are among them anyhow, or that a link before leads to.
fn distinct(found: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_link: Vec<bool> = found.iter().map(|path| path.is_symlink()).collect();
    let end = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let own = found.iter().zip(&is_link).filter(|(_, is_link)| !**is_link);
    let mut known: BTreeSet<PathBuf> = own.map(|(path, _)| end(path)).collect();
    let found = found.into_iter().zip(is_link);
    found
        .filter_map(|(path, is_link)| (!is_link || known.insert(end(&path))).then_some(path))
        .collect()
}

/// What is in a file, or comes out of a pipe.
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
        Err(error) => Err(ReadError::NotJson { reason: error.to_string() }),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
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
        for spoilt in [
            whole[..whole.len() / 2].to_owned(),
            edited("\"udperf/1\"", "\"udperf/2\""),
            edited("\"attempted\": ", "\"attempted\": 1"),
            edited("\"started_at\"", "\"started\""),
            edited("\"cells\": [", "\"cells\": [,"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "good.json", &whole);
            write(folder.path(), "spoilt.json", &spoilt);
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
        assert!(error.contains("peers.json: it is no document of udperf"), "{error}");
        let error = load(&folder.path().join("none.json")).unwrap_err().to_string();
        assert!(error.contains("none.json: there is no such file"), "{error}");
        fs::write(folder.path().join("bytes.json"), [b'"', 0xff, b'"']).unwrap();
        let error = load(&folder.path().join("bytes.json")).unwrap_err().to_string();
        assert!(error.contains("bytes.json: it is no JSON (invalid utf-8"), "{error}");
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
        // Has a length, and takes no room.
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
        // Though its name comes before.
        std::os::unix::fs::symlink("kept/run.json", folder.path().join("again.json")).unwrap();
        assert_eq!(kept(folder.path()), [folder.path().join("kept/run.json")]);
        // What lies elsewhere is read by the first link to it.
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
        // Some folders keep many runs, by names of their own.
        assert!(loaded.runs.len() >= kept("report.json") && kept("report.json") > 0);
        assert_eq!(loaded.skipped.len(), kept("peers.json"));
        assert!(loaded.runs.is_sorted_by_key(|run| run.started_at().unwrap()));
    }
}
