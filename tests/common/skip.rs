//! Reports that a test, or a part of one, does not run.
#![allow(missing_docs, dead_code, unreachable_pub)]

use std::fmt::Display;

/// Reports that a requirement of CI is missing: root, a program that `.ci/run` installs, or a
/// network namespace, for example. Fails if `CI` is set.
#[track_caller]
pub fn missing(why: impl Display) {
    unavailable(&why);
    assert!(!in_ci(), "CI has to have what this needs: {why}");
}

/// Reports that the host lacks a feature that cannot be installed: an engine, an address family, a
/// limit.
pub fn unavailable(why: impl Display) {
    eprintln!("SKIPPED: {why}");
}

/// Whether this is a CI job, by the variable that GitHub, GitLab and `.ci/run` set.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
}
