//! Rates of requests have one unit wherever people read them.

use std::path::Path;
use std::process::Output;

use crate::common::serving::Serving;
use crate::common::{run, stderr, together};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Fails if a text has a number of packets per second, or no number of requests per second.
#[track_caller]
fn counts_requests(what: &str, text: &str) {
    // A page and a console have blanks that do not break.
    let text = text.replace(['\u{a0}', '\u{202f}'], " ");
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let words: Vec<_> = text.split([' ', '\n', '<', '>']).collect();
    let packets = words.windows(2).find(|pair| {
        is_number(pair[0]) && ["pps", "kpps", "Mpps"].contains(&pair[1].trim_end_matches(','))
    });
    assert_eq!(packets, None, "{what}: {text}");
    assert!(text.contains("requests/s"), "{what}: {text}");
}

#[test]
fn no_report_about_requests_counts_packets_per_second() {
    let _together = together();
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let at = format!("127.0.0.1:{}", echo.port);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let read = |name: &str| std::fs::read_to_string(Path::new(&path(name))).unwrap();
    let (json, page) = (path("run.json"), path("run.html"));
    let load = format!("load {at} --preset echo -r 200,400 -t 300ms --warmup 0 -i 100ms");
    let output = run(&format!("{load} --json={json} --html {page} --fail-if rx_pps<1"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = stderr(&output);
    assert!(lines.contains("requests") && !lines.contains("pps"), "{lines}");
    counts_requests("page", &read("run.html"));
    let of = |name: &str| format!("report -q {json} --{name}={} --{name}", path(name));
    assert!(!stdout(&run(&of("markdown"))).contains("kpps"));
    let failed = run(&format!("report -q {json} --fail-if rx_pps>1"));
    counts_requests("gate", &stderr(&failed));
    let html = path("history.html");
    let history = run(&format!("report -q --history {json} --metric rx_pps --html {html}"));
    counts_requests("history", &stdout(&history));
    counts_requests("page of a history", &read("history.html"));
    let (html, markdown) = (path("verdict.html"), path("verdict.md"));
    let compared =
        run(&format!("compare {json} {json} --metric rx_pps --html {html} --markdown={markdown}"));
    counts_requests("comparison", &stdout(&compared));
    counts_requests("comparison as Markdown", &read("verdict.md"));
    let html = path("search.html");
    let goal = "search no_reply<100% -t 100ms --repeat 1/1 --start 200 --max-rate 200 -q";
    let found = run(&format!(
        "{goal} --html {html} -- load {at} --preset echo --warmup 0 --max-missed 100%"
    ));
    counts_requests("search", &stdout(&found));
    counts_requests("page of a search", &read("search.html"));
}
