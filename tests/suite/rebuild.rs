//! A build without a change of source compiles nothing, whatever git does meanwhile. The build
//! script of this package runs in a small package of its own: it is the same file, and this one
//! would take minutes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program in the package; fails the test where that fails.
fn run(program: &str, args: &[&str], package: &Path) -> Output {
    let identity = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME"];
    let mut command = Command::new(program);
    command.args(args).current_dir(package).env("GIT_COMMITTER_EMAIL", "test");
    // A hook sets some of these, and then git would look at the wrong checkout.
    for variable in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    // Cargo gives tests what the build script of this package has set.
    command.env_remove("UDPERF_GIT");
    let output = command.envs(identity.map(|name| (name, "test"))).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text}");
    output
}

/// Builds the package; whether anything was compiled, and what the program prints.
fn build(package: &Path) -> (bool, String) {
    let output = run(env!("CARGO"), &["build", "--offline"], package);
    let compiled = String::from_utf8_lossy(&output.stderr).contains("Compiling");
    let program = package.join("target/debug/small");
    let printed = run(program.to_str().unwrap(), &[], package).stdout;
    (compiled, String::from_utf8(printed).unwrap())
}

fn head(package: &Path) -> String {
    let output = run("git", &["rev-parse", "--short=12", "HEAD"], package);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_build_without_a_change_of_source_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path();
    let manifest = "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n";
    let program = "fn main() { print!(\"{}\", option_env!(\"UDPERF_GIT\").unwrap_or(\"none\")) }\n";
    fs::create_dir(package.join("src")).unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs"), package.join("build.rs")).unwrap();
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join(".gitignore"), "target\n").unwrap();
    fs::write(package.join("src/main.rs"), program).unwrap();
    fs::write(package.join("README.md"), "before\n").unwrap();
    run(env!("CARGO"), &["generate-lockfile", "--offline"], package);
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "first"]] {
        run("git", args, package);
    }
    assert_eq!(build(package), (true, head(package)));

    // The index knows a file by the time of its last change: `git status` reads it and writes the
    // index anew.
    fs::write(package.join("README.md"), "before\n").unwrap();
    run("git", &["status"], package);
    assert_eq!(build(package), (false, head(package)));

    let first = head(package);
    fs::write(package.join("README.md"), "after\n").unwrap();
    run("git", &["commit", "-qam", "second"], package);
    assert_ne!(head(package), first);
    assert_eq!(build(package), (false, first));

    fs::write(package.join("src/main.rs"), format!("{program}// changed\n")).unwrap();
    assert_eq!(build(package), (true, format!("{}+", head(package))));
    run("git", &["checkout", "-q", "src"], package);
    assert_eq!(build(package), (true, head(package)));

    // Unpacked in a checkout of something else.
    let inner = package.join("unpacked");
    fs::create_dir_all(inner.join("src")).unwrap();
    for file in ["build.rs", "Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(package.join(file), inner.join(file)).unwrap();
    }
    assert_eq!(build(&inner), (true, "none".to_owned()));
}
