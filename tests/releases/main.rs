//! Releases: the scripts and workflows that make them, the action that installs them, and
//! documents that earlier versions wrote. Uses the program only, not the library.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/skip.rs"]
mod skip;

mod action;
mod documents;
mod install;
mod scripts;
mod workflows;

use std::path::Path;
use std::process::{Command, Output};

/// The folder of the sources.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A script of the sources, in a folder.
fn script(path: &str, folder: &Path) -> Command {
    let mut command = Command::new(Path::new(ROOT).join(path));
    command.current_dir(folder);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether these programs are installed; if not, the test is skipped, or fails in CI.
fn has(programs: &[&str]) -> bool {
    let is_missing = |name: &&&str| {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
        !found.status.success()
    };
    let missing = programs.iter().find(is_missing);
    if let Some(name) = missing {
        skip::missing(format_args!("{name} is not installed"));
    }
    missing.is_none()
}
