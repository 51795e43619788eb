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

/// The widths of frames in pixels: of a phone, a tablet and a desktop.
const WIDTHS: [u32; 3] = [400, 800, 1_400];

/// Made by a script of the harness: one line for each fault of a page, each with its frame.
const HARNESS: &str = "<script>addEventListener('load', () => {
const faults = [];
let hasMap = false, hasCount = false;
const numbers = text => text.match(/[0-9.]+/g).map(Number);
const light = color => {
  const part = value => value > 10 ? ((value / 255 + .055) / 1.055) ** 2.4 : value / 3294;
  const [red, green, blue] = numbers(color).map(part);
  return .2126 * red + .7152 * green + .0722 * blue + .05;
};
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const fault = text => faults.push(frame.title + ': ' + text);
  const root = page.documentElement, svgs = [...page.querySelectorAll('svg')];
  if (root.clientWidth != frame.width) fault('is not shown at its width');
  const isDark = view.matchMedia('(prefers-color-scheme: dark)').matches;
  if (isDark != frame.title.includes('dark')) fault('is not shown in its colours');
  if (!page.querySelector('h1')) fault('has no heading');
  if (!svgs.length && !page.querySelector('table')) fault('has no chart and no table');
  if (root.scrollWidth > root.clientWidth) {
    const isWide = one => one.getBoundingClientRect().right > root.clientWidth;
    const wide = [...page.querySelectorAll('body *')].filter(isWide).pop();
    fault('is ' + root.scrollWidth + ' wide, as ' + (wide ? wide.outerHTML.slice(0, 200) : '?'));
  }
  // WCAG 2.1, 1.4.3: contrast of text.
  const paper = light(view.getComputedStyle(page.body).backgroundColor);
  const faint = new Set();
  for (const one of page.querySelectorAll('body *:not(script, title)')) {
    if (![...one.childNodes].some(child => child.nodeType == 3 && child.data.trim())) continue;
    const style = view.getComputedStyle(one);
    const ink = light(one.ownerSVGElement ? style.fill : style.color);
    if (Math.max(ink, paper) / Math.min(ink, paper) < 4.5) faint.add(one.tagName);
  }
  for (const tag of faint) fault('has faint text in ' + tag);
  for (const one of page.querySelectorAll('p, li, dd, td, code')) {
    const isApart = child => child.nodeType == 3 && /--[a-z]/.test(child.data);
    if ([...one.childNodes].some(isApart)) fault('may break a flag of ' + one.textContent);
  }
  for (const one of page.querySelectorAll('.flag'))
    if (one.getClientRects().length > 1) fault('breaks ' + one.textContent);
  // Texts that wrap leave no reason to scroll sideways.
  for (const one of page.querySelectorAll('.reasons .wide, .checks .wide'))
    if (one.scrollWidth > one.clientWidth) fault('has a wide table of texts');
  for (const svg of svgs) {
    const edge = svg.getBoundingClientRect();
    // What is folded has no size.
    if (!edge.width) continue;
    const labels = [...svg.querySelectorAll('text')].map(one => [one, one.getBoundingClientRect()]);
    labels.forEach(([text, box], at) => {
      // What follows is drawn on it.
      const isOn = dot => dot.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_PRECEDING;
      for (const dot of [...svg.querySelectorAll('circle')].filter(isOn)) {
        const its = dot.getBoundingClientRect();
        if (Math.min(box.right, its.right) - Math.max(box.left, its.left) > 1 &&
          Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top) > box.height / 3)
          fault('has a dot on ' + text.textContent + ' of ' + svg.ariaLabel);
      }
      if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.bottom > edge.bottom + 1)
        fault('has cut off the label ' + text.textContent + ' of ' + svg.ariaLabel);
      for (const [other, its] of labels.slice(0, at)) {
        const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (across > 1 && down > box.height / 3)
          fault('has ' + text.textContent + ' on ' + other.textContent + ' of ' + svg.ariaLabel);
      }
    });
  }
  const tip = page.querySelector('.tip'), map = page.querySelector('[data-counts]');
  if (!tip || !map || !frame.title.includes('800 light')) continue;
  hasMap = true;
  // The label at the middle of each cell is its count, unless a point of the line is there.
  const place = map.ownerSVGElement.getBoundingClientRect();
  const scale = place.width / map.ownerSVGElement.viewBox.baseVal.width;
  const counts = map.dataset.counts.split(' ');
  map.getAttribute('d').split('z').slice(0, -1).forEach((edges, at) => {
    const [left, top, width, height] = numbers(edges);
    const clientX = place.left + (left + width / 2) * scale;
    const clientY = place.top + (top + height / 2) * scale;
    map.dispatchEvent(new view.PointerEvent('pointermove', { clientX, clientY, bubbles: true }));
    if (tip.textContent == counts[at] + ' datagrams') hasCount = true;
    else if (!tip.textContent.includes(': ')) fault('has ' + tip.textContent + ' for ' + counts[at]);
  });
}
if (hasMap && !hasCount) faults.push('no map shows a count');
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
    page(folder, "bench", "bench -l 64 -e plain -r 1k,2k -t 200ms -i 20ms --warmup 0 --trials 2");
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
    let load = format!("load 127.0.0.1:{port} --preset echo");
    page(folder, "load", &format!("{load} -r 500,5k -t 200ms -i 10ms --warmup 0"));
    let scenario = format!(
        "[[step]]\nname = 'load'\ncommand = 'load'\ntarget = '127.0.0.1:{port}'\n\
         preset = 'echo'\nrate = '1k'\ncount = 20\nfail_if = 'p99>1h'\n\
         [[step]]\nname = 'bench'\ncommand = 'bench'\nengine = 'null'\ncount = 2000\n"
    );
    fs::write(folder.join("steps.toml"), scenario).unwrap();
    page(folder, "run", &format!("run {}", file("steps.toml")));
    page(folder, "doctor", "doctor --color never");
    page(folder, "path", &format!("doctor 127.0.0.1:{port}"));
    page(folder, "selftest", "selftest --quick");
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

/// A page that has each of these pages in frames: of each width in both colours, and without
/// scripts.
fn harness(names: &[String]) -> String {
    let frames = names.iter().flat_map(|name| {
        let frame = move |about: &str, width: u32, colors: &str| {
            format!(
                "<iframe src=\"{name}\" title=\"{name} {width} {colors}\" width={width} {about} \
                 style=\"color-scheme: {colors}\"></iframe>"
            )
        };
        let of_width = move |width| ["light", "dark"].map(|colors| frame("", width, colors));
        let sandboxed = frame("sandbox=allow-same-origin", WIDTHS[0], "light");
        WIDTHS.into_iter().flat_map(of_width).chain([sandboxed])
    });
    format!(
        "<!DOCTYPE html><meta charset=utf-8><body>{}{HARNESS}</body>",
        frames.collect::<String>()
    )
}

/// What the harness finds in these pages, and what they write to the console; `None` without a
/// browser.
fn load(folder: &Path, names: &[String]) -> Option<(String, Vec<String>)> {
    let file = folder.join("harness.htm");
    fs::write(&file, harness(names)).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        // Frames of other files are of other origins.
        .arg("--allow-file-access-from-files")
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
#[ignore = "long: scripts/check runs it"]
fn a_browser_shows_the_page_of_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_pages(path);
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    let names: Vec<_> = names.filter(|name| name.ends_with(".html")).collect();
    assert_eq!(names.len(), 17, "{names:?}");
    let Some((found, console)) = load(path, &names) else { return };
    assert_eq!(found, format!("{} frames", (2 * WIDTHS.len() + 1) * names.len()));
    assert!(console.is_empty(), "{console:?}");
}

#[test]
fn the_browser_finds_what_is_wrong_with_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let bad = "<body style='background:#fff'><h1 style='width:1500px'>a</h1>\
               <b style='color:#eee'>d</b><svg viewBox='0 0 9 9'>\
               <text x='99'>b</text><text x='3' y='5'>c</text><text x='3' y='5'>e</text></svg>\
               <p>--rate</p><script>missing()</script>";
    fs::write(folder.path().join("bad.html"), bad).unwrap();
    fs::write(folder.path().join("empty.html"), "<p>c").unwrap();
    let names = ["bad.html", "empty.html"].map(str::to_owned);
    let Some((found, console)) = load(folder.path(), &names) else { return };
    let frames = 2 * WIDTHS.len() + 1;
    for (fault, count) in [
        ("bad.html 1400 light: is 15", 1),
        ("bad.html 400 dark: has cut off the label b", 1),
        ("has e on c", frames),
        ("has faint text in B", frames),
        ("may break a flag of --rate", frames),
        ("empty.html 800 light: has no heading\nempty.html 800 light: has no chart", 1),
    ] {
        assert_eq!(found.matches(fault).count(), count, "{fault}: {found}");
    }
    let missing = console.iter().filter(|line| line.contains("missing is not defined"));
    assert_eq!((missing.count(), console.len()), (frames - 1, frames - 1), "{console:?}");
}
