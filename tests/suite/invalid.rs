//! An invalid run is reported in every format and by its exit code.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::net::UdpSocket;
use std::process::Output;

use common::serving::Serving;
use common::{cells, stderr, udperf};
use serde_json::Value;
use tempfile::TempDir;

/// A run that takes neither system calls nor time.
const QUICK: &str = "bench -e null -l 64 -n 2000 -r max --warmup 0";

/// Requests to a target that follows, few and soon given up.
const LOAD: &str = "--preset echo -n 50 -r 1k --timeout 50ms --warmup 0 -q --max-missed 100%";

/// Runs it with the limits that users have.
fn run(words: &str) -> Output {
    let mut command = udperf();
    command.env_remove("UDPERF_TEST_MAX_MISSED");
    command.args(words.split_whitespace()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn expect(words: &str, code: i32) -> Output {
    let output = run(words);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{words}: {said}\n{}", stdout(&output));
    output
}

#[track_caller]
fn document(words: &str, code: i32) -> Value {
    serde_json::from_slice(&expect(&format!("{words} -J"), code).stdout).unwrap()
}

/// The codes of the reasons in a document, which are those that make it invalid.
#[track_caller]
fn codes(document: &Value) -> Vec<&str> {
    let reasons = document["invalid_because"].as_array().unwrap();
    assert_eq!(document["valid"], reasons.is_empty(), "{reasons:?}");
    reasons.iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

/// A socket that takes datagrams and never answers, and its address.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().to_string();
    (socket, at)
}

/// A server that answers after 50 ms, so that a window of one leaves most of a schedule out.
fn slow() -> (Serving, String) {
    let echo = Serving::of("echo", "-B 127.0.0.1 --delay 50ms");
    let at = format!("127.0.0.1:{}", echo.port);
    (echo, at)
}

fn count(xml: &str, tag: &str) -> usize {
    let document = roxmltree::Document::parse(xml).unwrap();
    document.descendants().filter(|node| node.has_tag_name(tag)).count()
}

#[test]
fn a_target_that_is_unreachable_throughout_ends_with_five() {
    let at = common::ports::closed();
    for words in [
        format!("load {at} {LOAD}"),
        format!("ping {at} -n 3 --timeout 50ms --warmup 0 -q"),
        format!("blast {at} --no-peer -n 50 -r 1k --warmup 0 -q --max-missed 100%"),
        format!("load {at} --preset statsd -n 50 -r 1k --warmup 0 -q --max-missed 100%"),
    ] {
        let found = document(&words, 5);
        assert_eq!(codes(&found), ["target_unreachable"], "{words}");
        assert_eq!(found["invalid_because"][0]["cell"], found["cells"][0]["id"], "{words}");
        // A gate that holds or does not hold changes nothing.
        expect(&format!("{words} --fail-if sent>=0"), 5);
        expect(&format!("{words} --fail-if sent<0"), 5);
    }
}

#[test]
fn nothing_answered_ends_with_five_and_nothing_expected_with_zero() {
    let (_socket, at) = silent();
    for words in
        [format!("load {at} {LOAD}"), format!("ping {at} -n 1 --timeout 50ms -q --warmup 0")]
    {
        let found = document(&words, 5);
        assert_eq!(codes(&found), ["nothing_answered"], "{words}");
    }
    for words in [
        format!("blast {at} --no-peer -n 50 -r 1k --warmup 0 -q --max-missed 100%"),
        format!("load {at} --preset statsd -n 50 -r 1k --warmup 0 -q --max-missed 100%"),
    ] {
        let found = document(&words, 0);
        assert_eq!(codes(&found), [""; 0], "{words}");
    }
}

#[test]
fn every_format_says_so_first() {
    let (_socket, at) = silent();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let output = expect(
        &format!(
            "load {at} {LOAD} --fail-if no_reply>0% --fail-if unmatched>0 --json={} --csv {} \
             --markdown={} --html {} --junit {}",
            path("run.json"),
            path("run.csv"),
            path("run.md"),
            path("run.html"),
            path("run.xml"),
        ),
        5,
    );
    let (text, said) = (stdout(&output), stderr(&output));
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("Invalid: ") && first.contains("none of 50 requests"), "{text}");
    // The report comes whole.
    assert!(text.contains("requests 50 = answered 0 + timeouts 50"), "{text}");
    assert!(said.contains("udperf: Invalid: "), "{said}");
    let markdown = read("run.md");
    assert!(markdown.starts_with("> **Invalid: "), "{markdown}");
    assert!(read("run.html").contains("<p class=\"invalid\">Invalid: "));
    let xml = read("run.xml");
    // Both conditions, and the reason itself.
    let counts = ["testcase", "error", "failure", "system-out"].map(|tag| count(&xml, tag));
    assert_eq!(counts, [3, 3, 0, 0], "{xml}");
    let csv = read("run.csv");
    let row = csv.lines().nth(1).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",valid,invalid_because,labels"), "{csv}");
    assert!(row.ends_with(",false,nothing_answered,"), "{csv}");
    // So does a kept run.
    let kept = path("run.json");
    let again = stdout(&expect(&format!("report -q {kept}"), 5));
    assert_eq!(again.lines().next(), Some(first));
    std::fs::copy(&kept, path("again.json")).unwrap();
    let both = stderr(&expect(&format!("report -q {kept} {}", path("again.json")), 5));
    assert!(both.contains("run.json: Invalid: "), "{both}");
    assert!(both.contains("again.json: Invalid: "), "{both}");
}

#[cfg(all(unix, feature = "live"))]
#[test]
fn a_terminal_shows_once_what_is_invalid() {
    let (_socket, at) = silent();
    let mut command = std::process::Command::new("sh");
    // Both streams to the terminal.
    command.args(["-c", &format!("exec \"$U\" load {at} {LOAD} >&2")]);
    command.env("U", env!("CARGO_BIN_EXE_udperf"));
    let terminal = crate::pty::OnTerminal::start(command, 200, 60);
    let (output, shown, _) = terminal.gave_back();
    assert_eq!(output.status.code(), Some(5), "{shown}");
    assert_eq!(shown.matches("Invalid: ").count(), 1, "{shown}");
}

#[test]
fn what_was_missed_of_the_schedule_ends_with_five() {
    let (_echo, at) = slow();
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("run.json").display().to_string();
    let ping = format!("ping {at} --outstanding 1 -t 300ms --warmup 0 -q");
    let words = format!("{ping} -r 1k");
    let text = stdout(&expect(&format!("{words} --json={kept}"), 5));
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("Invalid: "), "{text}");
    assert!(
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains("were missed, more than --max-missed 1%")
    );
    // Invalid beats what passes, and what fails.
    for condition in ["sent<0", "sent>=0"] {
        let found = document(&format!("{words} --fail-if {condition}"), 5);
        assert_eq!(codes(&found), ["schedule_missed"], "{condition}");
        assert_eq!(found["gates"][0]["held"], condition == "sent>=0");
        expect(&format!("report -q {kept} --fail-if {condition}"), 5);
    }
    // What is allowed is valid.
    let allowed = document(&format!("{words} --max-missed 100% --fail-if sent<0"), 0);
    assert_eq!((codes(&allowed), &allowed["max_missed"]), (vec![], &1.0.into()));
    expect(&format!("{words} --max-missed 100% --fail-if sent>=0"), 3);
    expect(&format!("report -q {kept}"), 5);
    expect(&format!("report -q {kept} --max-missed 100% --fail-if sent<0"), 0);
    expect(&format!("report -q {kept} --max-missed 100% --fail-if sent>=0"), 3);
    // Of a list, one rate is enough; the cells of the others are valid.
    let found = document(&format!("{ping} -r 10,1k"), 5);
    assert_eq!((cells(&found).len(), codes(&found)), (2, vec!["schedule_missed"]));
    assert_eq!(found["invalid_because"][0]["cell"], cells(&found)[1]["id"]);
    expect(&format!("{ping} -r 10,1k --max-missed 100%"), 0);
    for word in ["101%", "-1%", "1", "much"] {
        let output = expect(&format!("{QUICK} --max-missed={word}"), 2);
        assert!(stderr(&output).contains("invalid share"), "{}", stderr(&output));
    }
}

#[test]
fn a_search_that_tested_nothing_found_nothing() {
    let at = common::ports::closed();
    // What was sent says nothing of a target that is not there.
    let goal = "search sent>=0 -t 100ms --start 200 --max-rate 200 --no-curve -q -J --";
    let load = format!("load {at} --preset echo --timeout 20ms --warmup 0 --max-missed 100%");
    let output = expect(&format!("{goal} {load}"), 5);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(codes(&found), ["target_unreachable"]);
    let search = &found["searches"][0];
    assert!(search["low_pps"].is_null(), "{search}");
    for trial in search["trials"].as_array().unwrap() {
        assert_eq!(trial["invalid_because"][0], "target_unreachable", "{trial}");
        assert_ne!(trial["verdict"], "pass", "{trial}");
    }
}

#[test]
fn a_kept_search_is_judged_as_the_search_was() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("search.json");
    let at = kept.display();
    let inner = "bench -e null -l 64 --warmup 0 --max-missed 100%";
    let goal = "search sent>=0 -t 20ms --repeat 1/1 --start 1k --max-rate 1k --no-curve -q";
    // Whether it found a rate does not matter here.
    let output = run(&format!("{goal} --json={at} -- {inner}"));
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
    expect(&format!("report -q {at}"), 0);
    let output = expect(&format!("report -q {at} --max-missed 100%"), 2);
    assert!(stderr(&output).contains("--max-missed needs a run"), "{}", stderr(&output));
    // A search relies on its figures, so that a missed schedule ends it with 5.
    let mut found: Value = serde_json::from_str(&std::fs::read_to_string(&kept).unwrap()).unwrap();
    found["valid"] = false.into();
    let reason = serde_json::json!({ "code": "schedule_missed", "message": "9 of 10 were missed" });
    found["invalid_because"] = Value::Array(vec![reason]);
    std::fs::write(&kept, found.to_string()).unwrap();
    let text = stdout(&expect(&format!("report -q {at}"), 5));
    assert!(text.starts_with("Invalid: 9 of 10 were missed"), "{text}");
}

#[test]
fn beside_json_standard_error_says_once_what_is_invalid() {
    let (_echo, at) = slow();
    let words = format!("ping {at} --outstanding 1 -r 1k -t 300ms --warmup 0");
    for (flags, code, lines) in [
        ("-J", 5, 1),
        ("-J -q", 5, 1),
        ("-J --fail-if sent<0", 5, 1),
        ("-J -q --fail-if sent<0", 5, 1),
    ] {
        let said = stderr(&expect(&format!("{words} {flags}"), code));
        let count = said.lines().filter(|line| line.contains("Invalid: ")).count();
        assert_eq!(count, lines, "{flags}: {said}");
    }
}

#[test]
fn gates_and_their_results_are_in_every_document() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, page) = (path("run.json"), path("run.html"));
    let gates = "--fail-if sent>=2000 --fail-if lost>0";
    let words = format!("{QUICK} -q {gates} --json={json} --html {page} --markdown");
    let markdown = stdout(&expect(&words, 3));
    let rows = [
        "| gate | cell | value | result |",
        "| sent&gt;=2000 | null/64/max | 2000 | failed |",
        "| lost&gt;0 | null/64/max | 0 | passed |",
    ];
    for row in rows {
        assert!(markdown.contains(row), "{row}: {markdown}");
    }
    // Kept, they are shown without being asked for again.
    let again = stdout(&expect(&format!("report -q {json} --markdown"), 0));
    assert_eq!(again, markdown);
    let rows = ["<h2>Gates</h2>", "<td class=\"left\">failed</td>"];
    for html in [page, path("again.html")] {
        expect(&format!("report -q {json} --html {}", path("again.html")), 0);
        let html = std::fs::read_to_string(html).unwrap();
        assert!(rows.iter().all(|row| html.contains(row)), "{html}");
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let held: Vec<_> = (0..2).map(|at| kept["gates"][at]["held"].clone()).collect();
    assert_eq!(held, [Value::from(true), Value::from(false)]);
    assert!(!stdout(&expect(&format!("{QUICK} -q --markdown"), 0)).contains("| gate |"));
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_after_a_run_does_not_take_its_figures_along() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let panics = |part: &str, more: &str| {
        let words = format!("{QUICK} -q {more}");
        let output = udperf()
            .args(words.split_whitespace())
            .env("UDPERF_TEST_PANIC_IN", part)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{part}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("internal error in the {part}")), "{part}");
        output
    };
    // Without the text, the document itself.
    let output = panics("text", "");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["cells"][0]["ledger"]["sent"], 2_000);
    // Without one file, the others and the text.
    let files = format!(
        "--html {} --csv {} --json={}",
        path("run.html").display(),
        path("run.csv").display(),
        path("run.json").display()
    );
    let output = panics("page", &files);
    assert!(stdout(&output).contains("sent 2,000"), "{}", stdout(&output));
    let exist = ["run.html", "run.csv", "run.json"].map(|name| path(name).exists());
    assert_eq!(exist, [false, true, true]);
    // Without the document, what was measured, in short.
    for part in ["cell", "document"] {
        let said = stderr(&panics(part, ""));
        assert!(said.contains("sent 2000, received 2000"), "{part}: {said}");
    }
    panics("gates", "--fail-if sent>=0");
    // What is added to a document later does not take it along.
    for part in ["host facts", "details of the command", "validity"] {
        std::fs::remove_file(path("run.json")).unwrap();
        let output = panics(part, &files);
        assert!(stdout(&output).contains("sent 2,000"), "{part}: {}", stdout(&output));
        let kept = std::fs::read_to_string(path("run.json")).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept["cells"][0]["ledger"]["sent"], 2_000, "{part}");
        // What was not judged is not valid.
        assert_eq!(kept["valid"], part != "validity", "{part}");
    }
}

#[test]
#[cfg(debug_assertions)]
#[ignore = "long: scripts/check runs it"]
fn a_panic_after_a_search_or_in_a_report_leaves_the_other_parts() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let panics = |part: &str, words: &str| {
        let output = udperf()
            .args(words.split_whitespace())
            .env("UDPERF_TEST_PANIC_IN", part)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{part}: {}", stderr(&output));
        assert!(stderr(&output).contains(&format!("internal error in the {part}")), "{part}");
        stdout(&output)
    };
    let goal = "search sent>=0 -t 20ms --repeat 1/1 --start 1k --max-rate 1k --no-curve -q";
    let inner = "bench -e null -l 64 --warmup 0 --max-missed 100%";
    for part in ["trials of null/64", "result of null/64", "CSV"] {
        let (json, csv) = (path("search.json"), path("search.csv"));
        panics(part, &format!("{goal} --json={json} --csv {csv} -- {inner}"));
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!(kept["kind"], "search", "{part}");
        std::fs::remove_file(json).unwrap();
    }
    let search: Value =
        serde_json::from_str(&panics("validity", &format!("{goal} -J -- {inner}"))).unwrap();
    assert_eq!((&search["kind"], &search["valid"]), (&"search".into(), &false.into()));
    let (one, two) = (path("one.json"), path("two.json"));
    for file in [&one, &two] {
        expect(&format!("{QUICK} -q --json={file}"), 0);
    }
    for runs in [one.clone(), format!("{one} {two}")] {
        let (page, csv) = (path("run.html"), path("run.csv"));
        let words = format!("report -q {runs} --html {page} --csv {csv}");
        panics("text", &words);
        assert!(std::fs::read_to_string(&page).unwrap().ends_with("</html>\n"));
        assert!(panics("CSV", &words).contains("sent 2,000"), "{runs}");
        assert!(panics("gates", &words).contains("sent 2,000"), "{runs}");
    }
}
