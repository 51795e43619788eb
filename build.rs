//! Tells the program which commit it was built from.

use std::process::Command;

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    for path in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // Outside a checkout, as from a package, the version has to do.
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.lock"]);
    let mark = if changed.is_some_and(|list| !list.is_empty()) { "+" } else { "" };
    println!("cargo::rustc-env=UDPERF_GIT={commit}{mark}");
}
