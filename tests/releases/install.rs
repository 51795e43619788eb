//! `packaging/action/install`, from releases in a folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{has, script, stderr, stdout};

/// The target of releases for this host.
fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// A release in `folder`, of a program that says it is of version `says`.
fn release(folder: &Path, version: &str, says: &str) {
    let name = format!("udperf-{version}-{}", target());
    let (release, inside) = (folder.join(format!("v{version}")), folder.join(&name));
    fs::create_dir_all(&release).unwrap();
    fs::create_dir_all(inside.join("man")).unwrap();
    fs::write(inside.join("man/udperf"), "not a program").unwrap();
    let program = inside.join("udperf");
    fs::write(&program, format!("#!/bin/sh\necho 'udperf {says} (0123456789ab)'\n")).unwrap();
    let shell = format!(
        "chmod +x {name}/udperf && tar -czf v{version}/{name}.tar.gz {name} && cd v{version} &&
         sha256sum -- *.tar.gz >SHA256SUMS"
    );
    let made = Command::new("sh").args(["-c", &shell]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
}

fn install(folder: &Path, version: &str) -> Output {
    let mut command = script("packaging/action/install", folder);
    command.env("VERSION", version).env("RELEASES", format!("file://{}", folder.display()));
    command.env("RUNNER_TEMP", folder.join("temp")).env("GITHUB_PATH", folder.join("path"));
    command.output().unwrap()
}

#[test]
fn a_release_is_installed_if_its_checksum_is_listed() {
    if !has(&["curl", "tar", "sha256sum"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (version, says) in [("9.8.7", "9.8.7"), ("1.0.0", "1.0.1"), ("2.0.0", "2.0.0")] {
        release(folder, version, says);
    }
    for version in ["9.8.7", "v9.8.7"] {
        let output = install(folder, version);
        assert_eq!(output.status.code(), Some(0), "{version}: {}", stderr(&output));
        assert_eq!(stdout(&output), "installed: udperf 9.8.7 (0123456789ab)\n");
        let path = fs::read_to_string(folder.join("path")).unwrap();
        let said = Command::new(Path::new(path.lines().last().unwrap()).join("udperf")).output();
        assert!(stdout(&said.unwrap()).starts_with("udperf 9.8.7"));
    }
    fs::remove_file(folder.join("path")).unwrap();

    let archive = folder.join(format!("v2.0.0/udperf-2.0.0-{}.tar.gz", target()));
    let mut damaged = fs::read(&archive).unwrap();
    damaged[20] ^= 1;
    fs::write(&archive, damaged).unwrap();
    for (version, code, why) in [
        ("2.0.0", 1, "does not have the checksum that SHA256SUMS lists; nothing is installed"),
        ("1.0.0", 1, "says 'udperf 1.0.1 (0123456789ab)', not version 1.0.0"),
        ("3.0.0", 1, "is 3.0.0 released"),
        ("../9", 2, "is not a version"),
    ] {
        let output = install(folder, version);
        assert_eq!(output.status.code(), Some(code), "{version}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{version}: {}", stderr(&output));
        assert!(!folder.join("path").exists(), "{version}");
    }
    fs::write(folder.join("v2.0.0/SHA256SUMS"), "").unwrap();
    assert!(stderr(&install(folder, "2.0.0")).contains("does not list udperf-2.0.0"));
}
