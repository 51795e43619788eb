//! The README and the manual: every command on their pages parses, those that run on loopback run,
//! links lead somewhere, and `docs/json.md` is what the schema says.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;

use clap::Parser;
use clap::error::ErrorKind;
use common::serving::Serving;
use common::{cells, number, stderr, udperf};
use serde_json::Value;
use udperf::cli::Cli;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The README and every page of the manual, by path from the root.
pub(crate) fn pages() -> Vec<String> {
    let folder = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.extend(["README.md".to_owned(), "CONTRIBUTING.md".to_owned()]);
    pages.sort();
    pages
}

pub(crate) fn text(page: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(page)).unwrap()
}

/// The words of each udperf command in the `sh` blocks of a page, and behind `$ ` anywhere, up to
/// the first word that the shell takes for itself.
pub(crate) fn commands(page: &str) -> Vec<Vec<String>> {
    let text = text(page).replace("\\\n", " ");
    let mut in_shell = false;
    let typed = text.lines().filter_map(|line| {
        if line.starts_with("```") {
            in_shell = line == "```sh";
        }
        let line = line.trim_start();
        line.strip_prefix("$ ").or_else(|| Some(line).filter(|_| in_shell))
    });
    let lines = typed.filter(|line| line.starts_with("udperf "));
    let words = lines.map(|line| shlex::split(line).unwrap_or_else(|| panic!("{page}: {line}")));
    let ours = |word: &String| !["|", ">", "<", "<<<", "2>&1", "&"].contains(&word.as_str());
    words.map(|words| words.into_iter().take_while(ours).collect()).collect()
}

fn all_commands() -> impl Iterator<Item = (String, Vec<String>)> {
    pages().into_iter().flat_map(|page| {
        let commands = commands(&page);
        commands.into_iter().map(move |words| (page.clone(), words))
    })
}

#[test]
fn commands_of_the_pages_parse() {
    let mut found = BTreeMap::new();
    for (page, words) in all_commands() {
        let shows = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
        match Cli::try_parse_from(&words) {
            Err(error) if !shows.contains(&error.kind()) => panic!("{page}: {words:?}: {error}"),
            _ => *found.entry(page).or_insert(0) += 1,
        }
    }
    // The blocks are found at all: a changed fence would leave nothing to parse.
    for (page, least) in [("README.md", 10), ("docs/bench.md", 20), ("docs/load.md", 8)] {
        assert!(found.get(page).is_some_and(|found| *found >= least), "{page}: {found:?}");
    }
}

/// The command without these flags and their values.
fn without(words: &[String], flags: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if flags.contains(&word.as_str()) {
            words.next();
        } else if !flags.iter().any(|flag| word.starts_with(&format!("{flag}="))) {
            kept.push(word.clone());
        }
    }
    kept
}

/// Runs a command of a page and returns its document.
fn run(page: &str, words: &[String], more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut command = udperf();
    command.current_dir(folder.path()).args(&words[1..]).args(more);
    let output = command.output().unwrap();
    // Gates of the examples (3, 5) judge a busy machine, not the page.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 3 | 5)), "{page}: {words:?}: {code:?} {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[test]
fn bench_commands_of_the_pages_run() {
    let mut ran = BTreeSet::new();
    for (page, words) in all_commands() {
        let elsewhere = ["--to-netns", "all", "unix:"];
        if words[1] != "bench" || words.iter().any(|word| elsewhere.contains(&word.as_str())) {
            continue;
        }
        let slow = ["-t", "-n", "--trials", "--warmup", "--json"];
        let quick = without(&words, &slow);
        let quick: Vec<_> = quick.into_iter().filter(|word| word != "-q" && word != "-J").collect();
        // Several pages have the same command, but for how long it runs.
        if !ran.insert(quick.clone()) {
            continue;
        }
        let report = run(&page, &quick, &["-q", "-J", "-t", "5ms", "--warmup", "0"]);
        assert!(!cells(&report).is_empty(), "{words:?}");
        cells(&report).iter().for_each(|cell| common::check(cell, &words.join(" ")));
    }
    assert!(ran.len() >= 15, "{ran:?}");
}

/// Answers DNS queries until `count` of them came: the query with the bit of a response set.
fn name_server(count: u64) -> (String, JoinHandle<()>) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 1_500];
        for _ in 0..count {
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            buffer[2] |= 0x80;
            server.send_to(&buffer[..len], from).unwrap();
        }
    });
    (at, answers)
}

/// A command of a page without what takes long: its target here, by engine `plain`, without its
/// rates, times and outputs.
fn quick(words: &[String], target: &str, at: &str) -> Vec<String> {
    let flags = "-e -r -t -n -l --trials --fail-if --max-missed --json --junit"
        .split(' ')
        .collect::<Vec<_>>();
    let words = without(words, &flags).into_iter();
    let words = words.filter(|word| !word.starts_with("--markdown"));
    let words = words.map(|word| if word == target { at.to_owned() } else { word });
    words.chain(["-e", "plain"].map(str::to_owned)).collect()
}

#[test]
fn load_commands_of_the_pages_get_answers() {
    let targets = ["127.0.0.1:53", "127.0.0.1:5300"];
    let mut ran = 0;
    for (page, words) in all_commands() {
        let Some(target) = words.iter().find(|word| targets.contains(&word.as_str())) else {
            continue;
        };
        if words[1] != "load" || words.iter().any(|word| word == "--pcap") {
            continue;
        }
        let (at, answers) = name_server(20);
        let words = quick(&words, target, &at);
        let report = run(&page, &words, &["-n", "20", "--warmup", "0", "-q", "-J"]);
        answers.join().unwrap();
        assert_eq!(number(&cells(&report)[0], "exchange.matched"), 20, "{page}: {words:?}");
        ran += 1;
    }
    assert!(ran >= 3, "{ran}");
}

#[test]
fn commands_between_two_hosts_run() {
    let mut ran = 0;
    for (page, words) in all_commands() {
        let sent = words[1] == "blast" && !words.iter().any(|word| word == "--no-peer");
        if !sent || !words.iter().any(|word| word == "192.168.1.7") {
            continue;
        }
        let sink = Serving::start("-B 127.0.0.1 --once");
        let words = quick(&words, "192.168.1.7", &format!("127.0.0.1:{}", sink.port));
        let report = run(&page, &words, &["-r", "1k", "-n", "20", "--warmup", "0", "-q", "-J"]);
        sink.ended(0);
        cells(&report).iter().for_each(|cell| {
            assert_eq!(number(cell, "ledger.sent"), 20, "{words:?}");
            common::check(cell, &words.join(" "));
        });
        ran += 1;
    }
    assert!(ran >= 5, "{ran}");
}

#[test]
fn the_game_query_of_the_manual_is_one_that_a_server_answers() {
    let all = commands("docs/load.md");
    let words = all.into_iter().find(|words| words.iter().any(|word| word == "game7"));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 1_500];
        for _ in 0..40 {
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            // A2S_INFO: a header of -1, the letter T, a string (Valve's server queries), and the
            // challenge of the first reply.
            let rest = buffer[..len].strip_prefix(b"\xff\xff\xff\xffTSource Engine Query\0");
            let reply = match rest.unwrap() {
                b"" => b"\xff\xff\xff\xffA\x01\x02\x03\x04",
                challenge => {
                    assert_eq!(challenge, b"\x01\x02\x03\x04");
                    b"\xff\xff\xff\xffI\x11abc"
                }
            };
            server.send_to(reply, from).unwrap();
        }
    });
    let words = quick(&words.unwrap(), "game7", &at);
    let report = run("docs/load.md", &words, &["-n", "20", "--warmup", "0", "-q", "-J"]);
    answers.join().unwrap();
    assert_eq!(number(&cells(&report)[0], "exchange.matched"), 20);
}

#[test]
fn a_line_by_hand_gets_the_answer_that_the_manual_shows() {
    // "hello" and "and hello to you", by the two commands of the page, at a free port.
    let talks: Vec<_> = commands("docs/load.md").into_iter().filter(|w| w[1] == "talk").collect();
    let port = common::ports::free().to_string();
    let talk = |words: &[String], line: &str| {
        let words = words.iter().skip(1).map(|word| word.replace("7788", &port));
        let mut command = udperf();
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        child
    };
    let mut bound = talk(&talks[0], "and hello to you\n");
    let mut heard = std::io::BufReader::new(bound.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut heard, &mut String::new()).unwrap();
    // The page pipes its line into this one.
    let sender = ["udperf", "talk", "127.0.0.1:7788", "--once"].map(str::to_owned);
    let output = talk(&sender, "hello\n").wait_with_output().unwrap();
    assert_eq!(output.stdout, b"and hello to you\n");
    assert_eq!(bound.wait_with_output().unwrap().stdout, b"hello\n");
}

/// The addresses of Markdown links of a page, outside its blocks.
fn links(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let lines = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block
    });
    let ends = lines.flat_map(|line| line.split("](").skip(1));
    ends.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect()
}

/// The name by which a code host and mdBook link to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    for page in pages() {
        let from = text(&page);
        for link in links(&from).into_iter().filter(|link| !link.starts_with("https://")) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(ROOT).join(&page).parent().unwrap().to_owned();
            let target: PathBuf =
                if path.is_empty() { Path::new(ROOT).join(&page) } else { folder.join(path) };
            assert!(target.exists(), "{page}: {link}");
            if !fragment.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let found =
                    headings.any(|line| anchor(line.trim_start_matches('#').trim()) == fragment);
                assert!(found, "{page}: no heading for {link}");
            }
        }
    }
}

#[test]
fn paths_of_the_checklists_exist() {
    let page = text("docs/architecture.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "src", "crates/core/src", "crates/core/src/sys/linux"];
    let is_path = |word: &&str| word.contains(['/', '.']) && !word.contains([' ', '(', '=', '<']);
    let (_, checklists) = page.split_once("## Checklists").unwrap();
    let quoted: Vec<_> = checklists.split('`').skip(1).step_by(2).filter(is_path).collect();
    let paths = quoted.iter().filter(|word| {
        (word.ends_with('/')
            || [".rs", ".md", ".toml", ".yml", ".trycmd"].iter().any(|end| word.ends_with(end)))
            && !word.contains("NAME")
    });
    let missing: Vec<_> = paths
        .clone()
        .filter(|path| !folders.iter().any(|at| root.join(at).join(path).exists()))
        .collect();
    // `absent.rs` is one of each engine.
    assert_eq!(missing, [&"absent.rs"]);
    assert!(paths.count() > 60);
}

#[test]
fn every_page_of_the_manual_is_in_its_summary() {
    let summary = text("docs/SUMMARY.md");
    let listed: BTreeSet<_> = links(&summary).into_iter().map(|l| format!("docs/{l}")).collect();
    let pages = pages().into_iter();
    let pages: BTreeSet<_> =
        pages.filter(|page| page.starts_with("docs/") && page != "docs/SUMMARY.md").collect();
    assert_eq!(listed, pages);
}

#[test]
fn the_readme_fits_160_lines() {
    let lines = text("README.md").lines().count();
    assert!(lines <= 160, "{lines} lines: move what a newcomer does not need into docs/");
}

/// Documents by their word for `udperf schema`, with what makes them.
const DOCUMENTS: [(&str, &str); 8] = [
    ("run", "`bench`, `blast`, `load` and `ping`"),
    ("comparison", "`compare` and `ab`"),
    ("search", "`search`"),
    ("sink", "`sink`"),
    ("echo", "`echo`"),
    ("scenario-result", "`run`"),
    ("doctor", "`doctor`"),
    ("selftest", "`selftest`"),
];

/// The type of a field, with links to the structures that it holds.
fn kind(field: &Value) -> String {
    if let Some(name) = field["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(kinds) = field["anyOf"].as_array().or_else(|| field["oneOf"].as_array()) {
        return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let simple = |name: &str| match name {
        "array" => format!("list of {}", kind(&field["items"])),
        "object" if field["additionalProperties"].is_object() => {
            format!("map to {}", kind(&field["additionalProperties"]))
        }
        other => other.to_owned(),
    };
    match &field["type"] {
        Value::String(name) => simple(name),
        Value::Array(names) => {
            names.iter().map(|n| simple(n.as_str().unwrap())).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// A description in one line, fit for a table.
fn line(value: &Value) -> String {
    let text = value["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn section(page: &mut String, heading: &str, schema: &Value) {
    write!(page, "\n{heading}\n\n{}\n", line(schema)).unwrap();
    let Some(fields) = schema["properties"].as_object() else { return };
    page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
    for (name, field) in fields {
        writeln!(page, "| `{name}` | {} | {} |", kind(field), line(field)).unwrap();
    }
}

/// `docs/json.md`, from the schemas that the program prints.
fn json_page() -> String {
    let mut page = "# The JSON document\n\n\
        `-J` writes one JSON object. `udperf schema` prints its JSON Schema, from which this page is\n\
        generated: `UDPERF_UPDATE_DOCS=1 cargo test --test suite json_page` writes it anew.\n\n\
        Counters are integers, times are integer nanoseconds, rates are per second. What is unknown is\n\
        `null`, never 0. Fields may be added within schema `udperf/1`; ignore those that you do not\n\
        know.\n"
        .to_owned();
    let mut structures = BTreeMap::new();
    for (word, commands) in DOCUMENTS {
        let output = udperf().args(["schema", word]).output().unwrap();
        let mut schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut own = schema["$defs"].as_object().cloned().unwrap_or_default();
        for name in own.clone().keys() {
            // Two documents may have different structures of one name.
            if structures.get(name).is_some_and(|before| *before != own[name]) {
                let [from, to] = [name.clone(), format!("{name}-{word}")]
                    .map(|name| format!("\"#/$defs/{name}\""));
                let renamed = |value: &Value| {
                    serde_json::from_str(&value.to_string().replace(&from, &to)).unwrap()
                };
                let structure = own.remove(name).unwrap();
                own.insert(format!("{name}-{word}"), structure);
                own.values_mut().for_each(|value| *value = renamed(value));
                schema = renamed(&schema);
            }
        }
        section(&mut page, &format!("## Document of {commands}"), &schema);
        structures.extend(own);
    }
    page.push_str("\n## Structures\n");
    for (name, structure) in &structures {
        section(&mut page, &format!("### {name}"), structure);
    }
    page
}

#[test]
fn json_page_is_what_the_schema_says() {
    let (path, page) = (Path::new(ROOT).join("docs/json.md"), json_page());
    if std::env::var_os("UDPERF_UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let advice =
        "docs/json.md is not current: UDPERF_UPDATE_DOCS=1 cargo test --test suite json_page";
    assert!(kept == page, "{advice}");
}
