//! Blocks of the README and the manual that are not commands: each is either produced again here, an
//! excerpt of a kept run, no output, or one of the measured examples that only a person can check.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;
use crate::docs::{pages, text};
use crate::scenario_file::Folder;

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use clap::Parser;
use common::{run, stderr};
use udperf::cli::Cli;
use walkdir::WalkDir;

/// How the output in a block is checked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Check {
    /// The command that prints it, which needs no time and no network.
    Printed(&'static str),
    /// Each line is in a file of a kept run.
    Kept,
    /// A test produces it again: this function, here or in `docs.rs` or in the library.
    By(&'static str),
    /// No output: a layout, an equation, a file.
    NoOutput,
    /// Figures of one run, in words of the program: each of its words is in the source.
    Measured,
}

/// Each block by its page and a part of its first line.
const BLOCKS: &[(&str, &str, Check)] = &[
    ("README.md", "udperf 0.1.0 · bench", Check::Kept),
    ("README.md", "capacity ", Check::Measured),
    ("docs/architecture.md", " 8  main.rs", Check::NoOutput),
    (
        "docs/compare-and-ci.md",
        "udperf 0.1.0 · compare",
        Check::Printed(
            "compare --metric rx_pps,loss --noise none --allow-undecided \
             results/2026-11-23-x86_64-2c-verdicts/slow/a results/2026-11-23-x86_64-2c-verdicts/slow/b",
        ),
    ),
    ("docs/compare-and-ci.md", "alike: 20 of 20", Check::Kept),
    ("docs/compare-and-ci.md", "name: udp", Check::NoOutput),
    ("docs/compare-and-ci.md", "udp:", Check::NoOutput),
    ("docs/engines.md", "Delivered flat out", Check::Kept),
    ("docs/fleet.md", "rank  host", Check::Measured),
    ("docs/fleet.md", "rank 0 → 1", Check::Measured),
    ("docs/fleet.md", "rank 1    host2", Check::Measured),
    ("docs/load.md", "capacity ", Check::Measured),
    ("docs/load.md", "Limit: ", Check::Measured),
    ("docs/load.md", "requests = answered", Check::NoOutput),
    (
        "docs/load.md",
        "HELLO 0000000001",
        Check::By("steps_of_two_requests_are_those_of_the_manual"),
    ),
    ("docs/load.md", "steps     first", Check::By("steps_of_two_requests_are_those_of_the_manual")),
    ("docs/load.md", "──── round trip", Check::Measured),
    ("docs/load.md", "udperf load -r max ", Check::Kept),
    ("docs/load.md", "udperf 0.1.0 · ping", Check::Measured),
    (
        "docs/load.md",
        "$ udperf talk --bind 127.0.0.1:7788 --once",
        Check::By("a_line_by_hand_gets_the_answer_that_the_manual_shows"),
    ),
    ("docs/load.md", "$ udperf talk --bind 127.0.0.1:7788 --encoding", Check::Measured),
    ("docs/loss-accounting.md", "attempted = sent", Check::NoOutput),
    ("docs/loss-accounting.md", "bytes  asked", Check::Measured),
    ("docs/remote.md", "udperf 0.1.0 · blast", Check::Measured),
    ("docs/remote.md", "$ udperf doctor", Check::Measured),
    ("docs/scenarios.md", "time = \"5s\"", Check::By("the_schema_has_each_key_of_the_example")),
    (
        "docs/scenarios.md",
        "udperf: tests.toml:16:1",
        Check::By("the_error_of_the_manual_is_printed"),
    ),
    ("docs/scenarios.md", "step    command", Check::By("the_table_of_the_manual_is_printed")),
    ("docs/search.md", "udperf 0.1.0 · search", Check::Measured),
    ("docs/search.md", "Trials that did not pass:", Check::Measured),
    ("docs/telemetry.md", "scrape_configs:", Check::NoOutput),
    ("docs/upgrading.md", "udperf: cannot read new.json", Check::Measured),
    ("docs/upgrading.md", "udperf: 192.168.1.7:7788", Check::Measured),
];

/// The blocks of a page that are neither commands nor Rust, as lines.
fn blocks(page: &str) -> Vec<Vec<String>> {
    let (mut found, mut here): (Vec<Vec<String>>, Option<Vec<String>>) = (Vec::new(), None);
    for line in text(page).lines() {
        match (line.strip_prefix("```"), &mut here) {
            (Some(""), Some(_)) => found.extend(here.take()),
            (Some("sh" | "rust"), None) => here = Some(Vec::new()),
            (Some(_), None) => here = Some(vec![line.to_owned()]),
            (_, Some(lines)) if !lines.is_empty() => lines.push(line.to_owned()),
            _ => {}
        }
    }
    found.into_iter().filter(|lines| !lines.is_empty()).map(|lines| lines[1..].to_vec()).collect()
}

/// The blocks with their checks.
fn checked() -> Vec<(String, Vec<String>, Check)> {
    let generated = ["docs/json.md", "docs/explain.md"];
    let pages = pages().into_iter().filter(|page| !generated.contains(&page.as_str()));
    let all = pages.flat_map(|page| {
        let blocks = blocks(&page).into_iter();
        blocks.map(move |lines| (page.clone(), lines)).collect::<Vec<_>>()
    });
    let check = |(page, lines): (String, Vec<String>)| {
        let found = BLOCKS.iter().find(|(of, start, _)| *of == page && lines[0].contains(start));
        // Commands that need a terminal.
        if found.is_none() && lines.iter().all(|line| line.starts_with("udperf ")) {
            for line in lines {
                Cli::try_parse_from(shlex::split(&line).unwrap()).unwrap();
            }
            return None;
        }
        let (_, _, check) = found.unwrap_or_else(|| {
            panic!("{page}: the block '{}' is not checked: add it to BLOCKS", lines[0])
        });
        Some((page, lines, *check))
    };
    all.filter_map(check).collect()
}

fn single_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_block_of_the_pages_has_a_check() {
    let all = checked();
    assert_eq!(all.len(), BLOCKS.len(), "a line of BLOCKS fits no block any more, or two");
    let names = [
        "tests/suite/doc_blocks.rs",
        "tests/suite/docs.rs",
        "src/cli/commands/scenario_file/tests.rs",
        "src/cli/commands/scenario_file/result.rs",
    ];
    let sources = names.map(text).concat();
    for (page, lines, check) in all {
        if let Check::By(name) = check {
            assert!(
                sources.contains(&format!("fn {name}")),
                "{page}: {}: no test {name}",
                lines[0]
            );
        }
    }
}

#[test]
fn blocks_that_a_command_prints_are_what_it_prints() {
    let mut found = 0;
    for (page, lines, check) in checked() {
        let Check::Printed(command) = check else { continue };
        let output = run(command);
        let printed = String::from_utf8(output.stdout).unwrap();
        for line in lines.iter().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
            assert!(printed.lines().any(|own| own == line), "{page}: {line}\n{printed}");
        }
        found += 1;
    }
    assert!(found > 0);
}

#[test]
fn blocks_of_kept_runs_are_in_their_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let files = WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
    let files =
        files.filter(|path| path.extension().is_some_and(|end| end == "txt" || end == "md"));
    let kept: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let kept: BTreeSet<String> = kept.lines().map(single_spaced).collect();
    // What follows a colon in a title may have other words today.
    let title = |line: &str| line.split(": ").next().unwrap().to_owned() + ": ";
    let is_kept = |line: &String| {
        kept.contains(line) || kept.iter().any(|known| known.starts_with(&title(line)))
    };
    for (page, lines, _) in checked().into_iter().filter(|(.., check)| *check == Check::Kept) {
        // Marks for the explanation, and lines that stand for others, are of the page.
        let own = |line: &&String| !line.trim().is_empty() && line.trim() != "…";
        let missing: Vec<_> = lines
            .iter()
            .filter(own)
            .map(|line| single_spaced(&line.replace(['①', '②', '③', '④', '⑤', '⑥', '⑦'], "")))
            .filter(|line| !line.is_empty() && !is_kept(line))
            .collect();
        assert!(missing.is_empty(), "{page}: not in a kept run: {missing:?}");
    }
}

#[test]
fn words_of_measured_examples_are_those_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src", "crates/core/src"].into_iter().flat_map(|folder| {
        WalkDir::new(root.join(folder)).into_iter().map(|entry| entry.unwrap().into_path())
    });
    let sources = sources.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let source: String = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphabetic());
        words.filter(|word| word.len() > 3).map(str::to_lowercase).collect()
    };
    let known = words(&source);
    // Names of hosts and devices, and of commands that the example runs.
    let of_examples = words("host1 host2 host3 epyc lab1 lab2 www example test");
    for (page, lines, _) in checked().into_iter().filter(|(.., one)| *one == Check::Measured) {
        let unknown: Vec<_> = words(&lines.join(" "))
            .into_iter()
            .filter(|word| !known.contains(word) && !of_examples.contains(word))
            .collect();
        assert!(unknown.is_empty(), "{page}: {}: not in the program: {unknown:?}", lines[0]);
    }
}

#[test]
fn the_error_of_the_manual_is_printed() {
    let page = text("docs/scenarios.md");
    let toml = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let shown = blocks("docs/scenarios.md");
    let expected = shown.iter().find(|lines| lines[0].starts_with("udperf: tests.toml")).unwrap();
    let folder = Folder::new();
    fs::write(folder.path("tests.toml"), toml.replace("\nrate = [", "\nratee = [")).unwrap();
    let error = stderr(&folder.expect(2, &["run", "tests.toml", "--dry-run"]));
    assert_eq!(error.trim_end(), expected.join("\n"));
}

/// The server of the manual: it answers `HELLO` with a token and `GET` with a value, but not the
/// first 20 of the one and the first 2 of the other.
fn serve(server: &UdpSocket) {
    let (mut hellos, mut gets, mut buffer) = (0, 0, [0; 64]);
    while let Ok((len, from)) = server.recv_from(&mut buffer) {
        let request = std::str::from_utf8(&buffer[..len]).unwrap().to_owned();
        let mut words = request.split(' ');
        let (kind, id, token) = (words.next().unwrap(), words.next().unwrap(), words.next());
        let reply = match (kind, token) {
            ("HELLO", None) => {
                hellos += 1;
                (hellos > 20).then(|| format!("TOKEN {id} abcd"))
            }
            ("GET", Some("abcd")) => {
                gets += 1;
                (gets > 2).then(|| format!("VAL {id} 1"))
            }
            _ => panic!("{request}"),
        };
        reply.map(|reply| server.send_to(reply.as_bytes(), from).unwrap());
    }
}

#[test]
fn steps_of_two_requests_are_those_of_the_manual() {
    let shown = blocks("docs/load.md");
    let expected = shown.iter().find(|lines| lines[0].starts_with("steps ")).unwrap();
    let command = crate::docs::commands("docs/load.md");
    let command = command.iter().find(|words| words.iter().any(|word| word == "--then")).unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let at = server.local_addr().unwrap().to_string();
    let threads = std::thread::spawn(move || serve(&server));
    let words = command[1..].iter().map(|word| match word.as_str() {
        "127.0.0.1:9000" => at.as_str(),
        "5k" => "500",
        word => word,
    });
    let quick = ["-n", "200", "--warmup=0", "-e=plain", "--timeout=2s", "--max-missed=100%"];
    let output = common::udperf().args(words.chain(quick)).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let at = printed.find("\nsteps ").unwrap_or_else(|| panic!("{printed}")) + 1;
    let is_note = |(at, line): &(usize, &str)| *at == 0 || line.starts_with("          ");
    let note = printed[at..].lines().enumerate().take_while(is_note).map(|(_, line)| line);
    let note = note.collect::<Vec<_>>().join("\n");
    // Counts are exact; times are of each run.
    let steps = |text: &str| -> Vec<String> {
        let text = single_spaced(&text.replace('\u{a0}', " "));
        let counts = |step: &str| step.split_once(", p50 ").map(|(counts, _)| counts.to_owned());
        text.split("; ").map(|step| counts(step).unwrap_or_else(|| panic!("{step}"))).collect()
    };
    assert_eq!(steps(&note), steps(&expected.join("\n")));
    drop(threads);
}
