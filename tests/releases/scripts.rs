//! `scripts/release-check`, `scripts/release-notes` and `packaging/collect`, and the commands that
//! kept runs have.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{ROOT, script, stderr, stdout};

const CHANGELOG: &str = "\
# Changelog

## 1.2.0 (2026-12-01)

### Features

- One bullet
  in two lines: [a page](docs/load.md), [elsewhere](https://example.test/x).
- Another.

```sh
udperf  bench
```

## 1.2.0-rc.1 (2026-11-30)

- A candidate.

## 1.1.9 (2026-11-01)
";

/// Sources of version 1.2.0 with the two scripts.
fn sources() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let package = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"1.2.0\"\n");
    let other =
        "[workspace]\n\n[dependencies]\nudperf-core = { version = \"1.2.0\", path = \"x\" }\n";
    write("Cargo.toml", &format!("{}{other}", package("udperf")));
    write("crates/core/Cargo.toml", &package("udperf-core"));
    let locked = |name: &str, version: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n")
    };
    let lock =
        [locked("serde", "1.0.0"), locked("udperf", "1.2.0"), locked("udperf-core", "1.2.0")];
    write("Cargo.lock", &lock.concat());
    write("CHANGELOG.md", CHANGELOG);
    write("tests/documents/1.2.0/bench.json", "{}");
    fs::create_dir(folder.path().join("scripts")).unwrap();
    for name in ["lib.sh", "release-check", "release-notes"] {
        let name = format!("scripts/{name}");
        fs::copy(Path::new(ROOT).join(&name), folder.path().join(&name)).unwrap();
    }
    folder
}

fn run(folder: &TempDir, words: &[&str]) -> Output {
    let program = folder.path().join(words[0]);
    Command::new(program).args(&words[1..]).env_remove("GIT_DIR").output().unwrap()
}

fn git(folder: &TempDir, words: &str) {
    let who = ["-c", "user.name=test", "-c", "user.email=test"];
    let mut command = Command::new("git");
    command.args(who).args(words.split(' ')).current_dir(folder).env_remove("GIT_DIR");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words}: {}", stderr(&output));
}

#[test]
fn a_kept_command_has_all_arguments() {
    let lines = "source scripts/lib.sh
        options=([trials]=3 [kernel]='' [host]=x) flags=([keep]=false)
        parse \"$@\"
        own_command";
    let arguments = ["--trials=5", "--kernel", "/boot/a b", "--keep", "--host", "y", "pacing"];
    let mut command = Command::new("bash");
    command.current_dir(ROOT).args(["-euc", lines, "/x/scripts/vm"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = "scripts/vm --trials=5 --kernel '/boot/a b' --keep --host y pacing\n";
    assert_eq!(stdout(&output), expected);
    // Each script that keeps a run uses it, or quotes its arguments itself.
    for entry in fs::read_dir(Path::new(ROOT).join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let keeps =
            text.contains(">\"$draft/command.txt\"") || text.contains(">\"$folder/command.txt\"");
        let whole = ["own_command", "\"$@\")", "\"$@\" >", "\"${arguments[@]}\""];
        assert!(!keeps || whole.iter().any(|part| text.contains(part)), "{}", path.display());
    }
}

#[test]
fn versions_of_this_checkout_agree() {
    let output = script("scripts/release-check", Path::new("/")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output).trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_release_with_another_version_somewhere_is_refused() {
    let check = ["scripts/release-check", "--tag", "v1.2.0"];
    let output = run(&sources(), &check);
    assert_eq!((output.status.code(), &stdout(&output)[..]), (Some(0), "1.2.0\n"));
    for (file, from, to, why) in [
        ("Cargo.toml", "version = \"1.2.0\"\n", "version = \"1.2\"\n", "write X.Y.Z"),
        ("Cargo.toml", "{ version = \"1.2.0\"", "{ version = \"1.1.0\"", "has udperf-core 1.1.0"),
        ("crates/core/Cargo.toml", "1.2.0", "1.1.0", "has version 1.1.0, and Cargo.toml has"),
        ("Cargo.lock", "core\"\nversion = \"1.2.0\"", "core\"\nversion = \"1.1.0\"", "udperf-core"),
        (
            "Cargo.lock",
            "udperf\"\nversion = \"1.2.0\"",
            "udperf\"\nversion = \"1.1.0\"",
            "has udperf 1",
        ),
        ("CHANGELOG.md", "1.2.0 (2026-12-01)", "Unreleased", "begins with '## Unreleased'"),
        ("CHANGELOG.md", "1.2.0 (2026-12-01)", "1.2.0", "name the section '## 1.2.0 (20"),
        ("CHANGELOG.md", "2026-12-01", "2026-02-30", "2026-02-30 is not a date"),
        ("CHANGELOG.md", "1.2.0-rc.1 ", "1.3.0 ", "1.3.0 before 1.2.0"),
        ("CHANGELOG.md", "1.2.0-rc.1 ", "1.2.0 ", "1.2.0 before 1.2.0"),
        ("CHANGELOG.md", "## 1.2.0-rc.1", "## 1.10.0", "1.10.0 before 1.2.0"),
    ] {
        let folder = sources();
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = run(&folder, &check);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{file}: {to}: {said}");
        assert!(said.contains(why), "{file}: {to}: {said}");
        assert!(stdout(&output).is_empty());
    }
    let folder = sources();
    fs::remove_dir_all(folder.path().join("tests")).unwrap();
    let output = run(&folder, &check);
    assert!(stderr(&output).contains("no documents of 1.2.0 are kept"), "{}", stderr(&output));
    let output = run(&sources(), &["scripts/release-check", "--tag=v1.2.1"]);
    assert!(stderr(&output).contains("the tag is v1.2.1"), "{}", stderr(&output));
    for word in ["v1.2.0", "--tag="] {
        let output = run(&sources(), &["scripts/release-check", word]);
        assert_eq!(output.status.code(), Some(2), "{word}");
    }
}

#[test]
fn a_tag_of_another_commit_is_refused() {
    let folder = sources();
    for words in ["init -q", "add .", "commit -qm first", "tag v1.2.0"] {
        git(&folder, words);
    }
    let check = ["scripts/release-check", "--tag", "v1.2.0"];
    assert_eq!(run(&folder, &check).status.code(), Some(0));
    git(&folder, "commit -qm second --allow-empty");
    let output = run(&folder, &check);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("names another commit"), "{}", stderr(&output));
}

#[test]
fn notes_are_the_section_of_the_version() {
    let folder = sources();
    let output =
        run(&folder, &["scripts/release-notes", "1.2.0", "--links", "https://h/blob/v1.2.0/"]);
    let notes = "\
### Features

- One bullet in two lines: [a page](https://h/blob/v1.2.0/docs/load.md), \
[elsewhere](https://example.test/x).
- Another.

```sh
udperf  bench
```
";
    assert_eq!((output.status.code(), &stdout(&output)[..]), (Some(0), notes));
    let output = run(&folder, &["scripts/release-notes", "1.2.0-rc.1"]);
    assert_eq!(stdout(&output), "- A candidate.\n");
    // The last has no entries, and a prefix of a version is another one.
    for version in ["1.1.9", "1.2", "2.0.0"] {
        let output = run(&folder, &["scripts/release-notes", version]);
        assert_eq!(output.status.code(), Some(1), "{version}");
        assert!(stderr(&output).contains(&format!("no section '## {version}'")));
    }
}

#[test]
fn files_of_a_release_are_collected_as_they_were_built() {
    let folder = tempfile::tempdir().unwrap();
    let target = |name: &str, file: &str| {
        let target = folder.path().join("built").join(name);
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join(file), name).unwrap();
        let sums = Command::new("sha256sum").arg(file).current_dir(&target).output().unwrap();
        fs::write(target.join("SHA256SUMS"), sums.stdout).unwrap();
    };
    let collect = |out: &str| {
        script("packaging/collect", folder.path()).args(["built", out]).output().unwrap()
    };
    assert!(stderr(&collect("none")).contains("no */SHA256SUMS"));
    target("x86_64", "udperf-1.tar.gz");
    target("aarch64", "udperf-2.tar.gz");
    let output = collect("out");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let check = ["--check", "--strict", "SHA256SUMS"];
    let sums =
        Command::new("sha256sum").args(check).current_dir(folder.path().join("out")).output();
    assert_eq!(stdout(&sums.unwrap()), "udperf-1.tar.gz: OK\nudperf-2.tar.gz: OK\n");
    target("arm64", "udperf-2.tar.gz");
    assert!(stderr(&collect("twice")).contains("two folders have udperf-2.tar.gz"));
    fs::write(folder.path().join("built/arm64/udperf-2.tar.gz"), "damaged").unwrap();
    assert!(stderr(&collect("damaged")).contains("is not as it was built"));
}

#[test]
fn sources_and_the_formula_have_one_checksum() {
    let sources = sources();
    let copy = |name: &str| {
        let to = sources.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(name), to).unwrap();
    };
    ["packaging/source", "packaging/homebrew/udperf.rb"].into_iter().for_each(copy);
    fs::create_dir(sources.path().join("results")).unwrap();
    fs::write(sources.path().join("results/kept.json"), "{}").unwrap();
    ["init -q", "add .", "commit -qm first"].into_iter().for_each(|words| git(&sources, words));
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str| {
        let out = folder.path().join(name);
        let urls = ["--releases", "https://h/r", "--homepage=https://h"];
        let words = [&["packaging/source"][..], &urls, &[out.to_str().unwrap()]].concat();
        let output = run(&sources, &words);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        ["udperf-1.2.0-source.tar.gz", "udperf.rb"].map(|name| fs::read(out.join(name)).unwrap())
    };
    let first = written("first");
    assert!(written("second") == first);
    let archive = folder.path().join("first/udperf-1.2.0-source.tar.gz");
    let listed = Command::new("tar").arg("-tzf").arg(&archive).output().unwrap();
    assert!(stdout(&listed).contains("udperf-1.2.0/Cargo.toml\n"), "{}", stdout(&listed));
    assert!(!stdout(&listed).contains("results"), "{}", stdout(&listed));
    let sum = Command::new("sha256sum").arg(&archive).output().unwrap();
    let formula = String::from_utf8(first[1].clone()).unwrap();
    let url = "url \"https://h/r/v1.2.0/udperf-1.2.0-source.tar.gz\"";
    for line in [url, &format!("sha256 \"{}\"", &stdout(&sum)[..64]), "homepage \"https://h\""] {
        assert!(formula.contains(line), "{line}: {formula}");
    }
    assert!(!formula.contains('@'), "{formula}");
}
