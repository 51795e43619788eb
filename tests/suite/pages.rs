//! The page of each kind of document: made by its command and by `report`, and loaded by a browser.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::kept::{at_rate, fresh, put};
use common::serving::Serving;
use common::{run, skip, stderr};
use serde_json::Value;

/// Made by a script of the harness: one line for each fault of a page, each with its name.
const HARNESS: &str = "<script>addEventListener('load', () => {
const faults = [];
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument, fault = text => faults.push(frame.title + ': ' + text);
  const root = page.documentElement, svgs = [...page.querySelectorAll('svg')];
  if (!page.querySelector('h1')) fault('has no heading');
  if (!svgs.length) fault('has no chart');
  if (root.scrollWidth > root.clientWidth) {
    const isWide = one => one.getBoundingClientRect().right > root.clientWidth;
    const wide = [...page.querySelectorAll('body *')].filter(isWide).pop();
    fault('is ' + root.scrollWidth + ' wide, as ' + (wide ? wide.outerHTML.slice(0, 200) : '?'));
  }
  for (const svg of svgs) {
    const edge = svg.getBoundingClientRect();
    // What is folded has no size.
    if (!edge.width) continue;
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.bottom > edge.bottom + 1)
        fault('has cut off the label ' + text.textContent + ' of ' + svg.ariaLabel);
    }
  }
}
const found = document.createElement('pre');
found.id = 'found';
found.textContent = document.querySelectorAll('iframe').length + ' frames\\n' + faults.join('\\n');
document.body.append(found);
});</script>";

/// The kept run of the default benchmark.
const DEFAULT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/results/2026-11-22-x86_64-2c-default/report.json");

#[track_caller]
fn expect(code: i32, words: &str) {
    let output = run(words);
    assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
}

/// Writes the page of a command beside its document, and again from that; they must be equal.
#[track_caller]
fn page(folder: &Path, name: &str, words: &str) {
    let [json, html] = ["json", "html"].map(|kind| folder.join(format!("{name}.{kind}")));
    let (json, html) = (json.display(), html.display());
    let command = words.replacen(' ', &format!(" -q --json={json} --html {html} "), 1);
    let output = run(&command);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 3 | 4 | 5)), "{command}: {code:?} {}", stderr(&output));
    again(folder, name);
}

/// The page that `report` makes of the document of a page is the same.
#[track_caller]
fn again(folder: &Path, name: &str) {
    let [json, html] = ["json", "html"].map(|kind| folder.join(format!("{name}.{kind}")));
    let second = folder.join("again");
    let words = format!("report -q {} --html {}", json.display(), second.display());
    let output = run(&words);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{words}: {}", stderr(&output));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert!(read(&html).starts_with("<!DOCTYPE html>"), "{name}");
    assert!(read(&html) == read(&second), "report makes another page of {name}");
}

/// A page of each kind, by its name.
fn write_pages(folder: &Path) {
    let file = |name: &str| folder.join(name).display().to_string();
    page(folder, "bench", "bench -l 64 -e plain -r 1k,2k -t 60ms -i 10ms --warmup 0 --trials 2");
    page(
        folder,
        "search",
        "search loss<=1% -t 20ms --budget 1500ms --repeat 1/1 --precision 50% --max-rate 2k -- bench -l 64 -e plain",
    );
    let ab = "ab --trials 4 --warm 0 --noise none --b --batch=9 -- bench -e null -l 64";
    page(folder, "ab", &format!("{ab} -n 2000 -r max --warmup 0"));

    let runs = fresh(10);
    let base = put(folder, "base", &at_rate(&runs, 1_000_000));
    let new = put(folder, "new", &at_rate(&runs, 900_000));
    page(folder, "compare", &format!("compare {base} {new} --noise none"));
    expect(0, &format!("report -q {base} {new} --html {}", file("several.html")));
    expect(0, &format!("report -q {base} {new} --history --html {}", file("history.html")));
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(DEFAULT).unwrap()).unwrap();
    kept["cells"].as_array_mut().unwrap().retain(|cell| cell["trial"] == 0);
    let kept = put(folder, "default", &kept);
    let output = run(&format!("report -q {kept} --html {}", file("default.html")));
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));

    // The document goes to standard output.
    let server = |name: &str| format!("-B 127.0.0.1 -i 250ms --html {}", file(name));
    let sink = Serving::start(&server("sink.html"));
    let port = sink.port;
    page(folder, "blast", &format!("blast 127.0.0.1:{port} -n 200 -r 5k --warmup 0 -e plain"));
    page(
        folder,
        "no_peer",
        &format!("blast 127.0.0.1:{port} --no-peer -n 200 -r 5k --warmup 0 -i 10ms"),
    );
    server_page(folder, "sink", &sink.end());
    let echo = Serving::of("echo", &server("echo.html"));
    let port = echo.port;
    page(folder, "ping", &format!("ping 127.0.0.1:{port} -n 50 --warmup 0"));
    page(folder, "load", &format!("load 127.0.0.1:{port} --preset echo -n 200 -r 5k --warmup 0"));
    server_page(folder, "echo", &echo.end());
}

/// The charts over time of a server have a point for each value of its document.
fn server_page(folder: &Path, name: &str, document: &Value) {
    put(folder, &format!("{name}.json"), document);
    again(folder, name);
    let html = fs::read_to_string(folder.join(format!("{name}.html"))).unwrap();
    let (_, charts) = html.split_once("<h2>Over time</h2>").unwrap();
    let lines = charts.split(" points=\"").skip(1);
    let points = lines.map(|line| line.split('"').next().unwrap().split(' ').count());
    let intervals = document["intervals"].as_array().unwrap();
    let count = |one: &Value, field: &str| one[field].as_u64();
    let has_sent = intervals.iter().any(|one| count(one, "sent") > Some(0));
    let values = intervals.iter().flat_map(|one| {
        let received = count(one, "received");
        let lost = count(one, "lost").filter(|lost| received.unwrap_or(0) + lost > 0);
        [received, count(one, "sent").filter(|_| has_sent), count(one, "unsolicited"), lost]
    });
    assert_eq!(points.sum::<usize>(), values.flatten().count(), "{name}");
}

/// A page that has each of these pages in a frame of 400 pixels: as it is, and without scripts.
fn harness(folder: &Path, names: &[String]) -> String {
    let frame = |name: &String| {
        let page = fs::read_to_string(folder.join(name)).unwrap();
        let page = page.replace('&', "&amp;").replace('"', "&quot;");
        let frame = |sandbox: &str, title: &str| {
            format!(
                "<iframe {sandbox} title=\"{name}{title}\" width=400 srcdoc=\"{page}\"></iframe>"
            )
        };
        frame("", "") + &frame("sandbox=allow-same-origin", ", without scripts")
    };
    let frames: String = names.iter().map(frame).collect();
    format!("<!DOCTYPE html><meta charset=utf-8><body>{frames}{HARNESS}</body>")
}

/// What the harness finds in these pages, and what they write to the console; `None` without a
/// browser.
fn load(folder: &Path, names: &[String]) -> Option<(String, Vec<String>)> {
    let file = folder.join("harness.htm");
    fs::write(&file, harness(folder, names)).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output();
    let Ok(output) = output else {
        skip::missing("chromium is not installed");
        return None;
    };
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), stderr(&output));
    let found =
        dom.split_once("<pre id=\"found\">").unwrap_or_else(|| panic!("no result: {log}")).1;
    let found = found.split_once("</pre>").unwrap().0.trim_end().to_owned();
    // The browser reports that a script is blocked, as the harness asks for.
    let is_of_page = |line: &&str| line.contains("CONSOLE") && !line.contains("Blocked script");
    Some((found, log.lines().filter(is_of_page).map(str::to_owned).collect()))
}

#[test]
fn a_browser_shows_the_page_of_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_pages(path);
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.ends_with(".html")).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    let Some((found, console)) = load(path, &names) else { return };
    assert_eq!(found, format!("{} frames", 2 * names.len()));
    assert!(console.is_empty(), "{console:?}");
}

#[test]
fn the_browser_finds_what_is_wrong_with_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let bad = "<h1 style='width:900px'>a</h1><svg viewBox='0 0 9 9'><text x='99'>b</text></svg>\
               <script>missing()</script>";
    fs::write(folder.path().join("bad"), bad).unwrap();
    fs::write(folder.path().join("empty"), "c").unwrap();
    let names = ["bad", "empty"].map(str::to_owned);
    let Some((found, console)) = load(folder.path(), &names) else { return };
    for fault in ["bad: is 9", "bad: has cut off the label b", "bad, without scripts: is 9"] {
        assert_eq!(found.matches(fault).count(), 1, "{fault}: {found}");
    }
    assert!(found.contains("empty: has no heading\nempty: has no chart\n"), "{found}");
    assert!(console.len() == 1 && console[0].contains("missing is not defined"), "{console:?}");
}
