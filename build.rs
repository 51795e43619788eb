//! Tells the program which commit it was built from, and whether it can have the engine `uring` and
//! AF_UNIX sockets.

use std::env;
use std::process::Command;

fn git(args: &[&str]) -> Option<String> {
    // Without the option, `git status` writes the index, which other programs may watch or lock.
    let output = Command::new("git").arg("--no-optional-locks").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The architectures that the crate io-uring knows the kernel's structures of, as in Cargo.toml.
const URING_ARCHS: [&str; 5] = ["x86_64", "aarch64", "riscv64", "loongarch64", "powerpc64"];

/// Sets `cfg(udperf_uring)` where the feature was asked for and the system can have it.
fn uring() {
    let is = |name: &str, wanted: &[&str]| {
        env::var(name).is_ok_and(|value| wanted.contains(&value.as_str()))
    };
    let possible = is("CARGO_CFG_TARGET_OS", &["linux"])
        && is("CARGO_CFG_TARGET_ARCH", &URING_ARCHS)
        && env::var_os("CARGO_CFG_UDPERF_PORTABLE").is_none();
    if possible && env::var_os("CARGO_FEATURE_URING").is_some() {
        println!("cargo::rustc-cfg=udperf_uring");
    }
}

/// Sets `cfg(udperf_unix)` where there are AF_UNIX datagram sockets.
fn unix() {
    let portable = env::var_os("CARGO_CFG_UDPERF_PORTABLE").is_some();
    if env::var_os("CARGO_CFG_UNIX").is_some() && !portable {
        println!("cargo::rustc-cfg=udperf_unix");
    }
}

/// The sources of the program. Only a change in these runs this script again: the files of git
/// change with every `git status`, and each run of this script makes cargo compile the whole
/// package.
const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// Sets `UDPERF_GIT` to the commit that is checked out, with `+` where the sources differ from it.
/// It is the commit of the latest compilation: a later commit that changes no source is not shown.
fn commit() {
    // Outside a checkout, as from a package, the version has to do.
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(SOURCES);
    let mark = if git(&status).is_some_and(|list| !list.is_empty()) { "+" } else { "" };
    println!("cargo::rustc-env=UDPERF_GIT={commit}{mark}");
}

fn main() {
    for path in SOURCES {
        println!("cargo::rerun-if-changed={path}");
    }
    uring();
    unix();
    commit();
}
