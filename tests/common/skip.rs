//! Says aloud that a test, or a part of one, does not run.
#![allow(missing_docs, dead_code, unreachable_pub)]

use std::fmt::Display;

/// What CI has to have is missing: root, a program that `.ci/run` installs, or what both can make,
/// such as a network namespace. Fails where `CI` is set.
#[track_caller]
pub fn missing(why: impl Display) {
    unavailable(&why);
    assert!(!in_ci(), "CI has to have what this needs: {why}");
}

/// What no installation brings is missing: an engine, an address family, a limit of the host.
pub fn unavailable(why: impl Display) {
    eprintln!("SKIPPED: {why}");
}

/// Whether this is a CI job, by the variable that GitHub, GitLab and `.ci/run` set.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
}
