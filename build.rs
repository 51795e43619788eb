//! Tells the program which commit it was built from.

use std::path::Path;
use std::process::Command;

fn git(args: &[&str]) -> Option<String> {
    // Without the option, `git status` writes the index, which other programs may watch or lock.
    let output = Command::new("git").arg("--no-optional-locks").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The sources of the program. Only a change in these runs this script again: the files of git
/// change with every `git status`, and each run of this script makes cargo compile the whole
/// package.
const SOURCES: [&str; 5] = ["src", "crates", "build.rs", "Cargo.toml", "Cargo.lock"];

/// Sets `UDPERF_GIT` to the commit that is checked out, with `+` where the sources differ from it.
/// It is the commit of the latest compilation: a later commit that changes no source is not shown.
fn commit() {
    // A package unpacked in the checkout of something else has nothing to do with its commit.
    let folder = |path: String| Path::new(&path).canonicalize().ok();
    let own = std::env::var("CARGO_MANIFEST_DIR").ok().and_then(folder);
    if own.is_none() || git(&["rev-parse", "--show-toplevel"]).and_then(folder) != own {
        return;
    }
    // Outside a checkout, as from a package, the version has to do.
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
    let mark = if git(&status).is_some_and(|list| !list.is_empty()) { "+" } else { "" };
    println!("cargo::rustc-env=UDPERF_GIT={commit}{mark}");
}

fn main() {
    // cargo runs the script each time if a path is missing, as `crates` is in a package.
    for path in SOURCES.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    commit();
}
