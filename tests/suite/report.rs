//! Kept runs, shown again: files and folders, what is refused, every format, and cells over time.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{stderr, udperf};
use serde_json::{Value, json};

/// The kept run of the default benchmark.
const DEFAULT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/results/2026-11-22-x86_64-2c-default/report.json");

fn report(args: &[&str]) -> Output {
    udperf().arg("report").args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn shown(args: &[&str]) -> String {
    shown_with(0, args)
}

#[track_caller]
fn shown_with(code: i32, args: &[&str]) -> String {
    let output = report(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// A run of two cells, three trials each, taken from the kept one: `plain/64/max` and `50%`.
fn small() -> Value {
    let mut run: Value = serde_json::from_str(&fs::read_to_string(DEFAULT).unwrap()).unwrap();
    let ids = ["plain/64/max", "plain/64/50%"];
    let cells = run["cells"].as_array_mut().unwrap();
    cells.retain(|cell| ids.contains(&cell["id"].as_str().unwrap()));
    assert_eq!(cells.len(), 6);
    // A trial missed 1.14 % of its schedule.
    run["max_missed"] = json!(0.02);
    run
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_kept_run_is_shown_as_it_was() {
    let text = shown_with(5, &[DEFAULT]);
    assert!(
        text.contains("\n\nudperf 0.1.0 · bench · loopback 127.0.0.1 · 1.00 s per cell"),
        "{text}"
    );
    // Written before runs were judged, it is judged when it is read.
    assert!(
        text.starts_with("Invalid: offload/512/50% (trial 2): 1,168,597 of 7,039,241"),
        "{text}"
    );
    assert!(text.contains("sent 227,094,597 = received 225,389,719 + lost 1,704,878"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(shown_with(5, &[DEFAULT, "--color", "always"]).contains('\u{1b}'));
    let document = shown_with(5, &[DEFAULT, "-J", "-q"]);
    let read: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(read["cells"].as_array().unwrap().len(), 72);
    assert_eq!(read["started_at"], "2026-11-22T21:38:43.480Z");
}

#[test]
fn spoilt_and_foreign_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = small().to_string();
    let edited = |pointer: &str, value: Value| {
        let mut run = small();
        *run.pointer_mut(pointer).unwrap() = value;
        run.to_string()
    };
    let cases = [
        ("truncated.json", whole[..whole.len() / 2].to_owned(), "it ends in the middle"),
        ("foreign.json", "{\"end\": {}}".to_owned(), "not a udperf document"),
        ("text.json", "plain text".to_owned(), "not JSON"),
        ("newer.json", edited("/schema", json!("udperf/2")), "it is of schema udperf/2"),
        ("other.json", edited("/kind", json!("other")), "it is of kind 'other'"),
        ("sink.json", edited("/kind", json!("sink")), "it is damaged"),
        ("damaged.json", edited("/cells/0/size", json!("big")), "it is damaged"),
        ("edited.json", edited("/cells/0/ledger/sent", json!(1)), "attempted = sent + refused"),
        ("faster.json", edited("/cells/0/rx/pps", json!(9e9)), "rx.pps = "),
    ];
    for (name, text, why) in cases {
        let path = write(folder.path(), name, &text);
        let output = report(&[path.to_str().unwrap()]);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {error}");
        assert!(error.starts_with(&format!("udperf: cannot read {}: ", path.display())), "{error}");
        assert!(error.contains(why), "{name}: {error}");
        assert!(output.stdout.is_empty(), "{name}");
    }
    let output = report(&["/no/such/file.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/no/such/file.json: no such file"));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn documents_without_cells_are_shown_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.json");
    let json = format!("--json={}", kept.display());
    let null = ["--", "bench", "-e", "null", "-l", "64"];
    let short = ["-r", "max", "-n", "2000", "--warmup", "0"];
    let ab = [&["ab", "--trials", "2"], &null[..], &short[..]].concat();
    let goal = ["search", "loss<=0", "-t", "20ms", "--repeat", "1/1", "--no-curve"];
    let search = [&goal, &null[..], &["--warmup", "0", "--max-missed", "100%"]].concat();
    for command in [ab, search] {
        let mut program = udperf();
        program.env("XDG_STATE_HOME", folder.path());
        let shown = program.args([command[0], &json, "-q"]).args(&command[1..]).output().unwrap();
        let said = stdout(&shown);
        assert!(said.contains(command[0]), "{said}{}", stderr(&shown));
        let path = kept.to_str().unwrap();
        assert_eq!(self::shown(&[path]), said);
        let document = fs::read_to_string(&kept).unwrap();
        assert_eq!(self::shown(&[path, "-J"]), document);
        for flag in ["--hdr=/dev/null", "--max-missed=100%"] {
            let output = report(&[path, flag]);
            assert_eq!(output.status.code(), Some(2));
            let (name, _) = flag.split_once('=').unwrap();
            let why =
                format!("{name} needs a run, but this is a document of kind '{}'", command[0]);
            assert!(stderr(&output).contains(&why), "{}", stderr(&output));
        }
        // Beside runs, there is nothing to show of it.
        let output = report(&[path, DEFAULT]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("it is of kind"), "{}", stderr(&output));
    }
}

#[test]
fn a_damaged_histogram_fails_only_where_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = small();
    run["cells"][0]["latency"]["histogram"] = json!("AAAA");
    let path = write(folder.path(), "run.json", &run.to_string());
    let path = path.to_str().unwrap();
    shown(&[path]);
    let page = folder.path().join("page.html");
    for flag in ["--html", "--hdr", "--hgrm"] {
        let output = report(&[path, &format!("{flag}={}", page.display())]);
        assert_eq!(output.status.code(), Some(1), "{flag}");
        let error = stderr(&output);
        assert!(error.contains(&format!("cannot show {path}: the histogram of plain/64/max is")));
        assert!(!page.exists(), "{flag}");
    }
}

#[test]
fn a_folder_is_all_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut newer = small();
    newer["started_at"] = json!("2026-12-01T00:00:00Z");
    let newer = write(folder.path(), "a/report.json", &newer.to_string());
    let older = write(folder.path(), "b/report.json", &small().to_string());
    let foreign = write(folder.path(), "b/peers.json", "{}");
    let here = folder.path().to_str().unwrap();
    let output = report(&[here]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let at = |path: &Path| text.find(&path.display().to_string()).unwrap();
    assert!(at(&older) < at(&newer), "oldest first");
    assert_eq!(text.matches("\nudperf 0.1.0 · bench").count(), 2);
    let left_out = format!("udperf: {} is left out: not a udperf document", foreign.display());
    assert!(stderr(&output).starts_with(&left_out), "{}", stderr(&output));
    assert!(stderr(&report(&[here, "-q"])).is_empty());
    // Named twice, it is shown once.
    let twice = shown(&["-q", here, older.to_str().unwrap()]);
    assert_eq!(twice.matches("\nudperf 0.1.0 · bench").count(), 2);
    write(folder.path(), "c/spoilt.json", "{\"schema\": \"udperf/1\", \"kind\": \"be");
    let output = report(&[here]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("c/spoilt.json: it ends in the middle"));
}

#[test]
fn a_folder_without_runs_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = report(&[folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no run in "), "{}", stderr(&output));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn conditions_judge_kept_runs_too() {
    let judged = |args: &[&str]| report(args).status.code();
    assert_eq!(judged(&[DEFAULT, "--fail-if", "unaccounted>0"]), Some(5));
    let of_all = |condition| [DEFAULT, "--max-missed", "100%", "--fail-if", condition];
    assert_eq!(judged(&of_all("unaccounted>0")), Some(0));
    assert_eq!(judged(&of_all("loss>0.1%")), Some(3));
    let folder = Path::new(DEFAULT).parent().unwrap().parent().unwrap();
    let output = report(&["-q", folder.to_str().unwrap(), "--fail-if", "loss>0.1%"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("default/report.json: "), "{}", stderr(&output));
}

#[test]
fn usage_is_told_from_failure() {
    let folder = Path::new(DEFAULT).parent().unwrap().parent().unwrap().to_str().unwrap();
    let cases: [&[&str]; 9] = [
        &[],
        &[DEFAULT, "--metric", "p50"],
        &[DEFAULT, "--history", "--metric", "speed"],
        &[DEFAULT, "--history", "-J"],
        &[DEFAULT, "--history", "--fail-if", "loss>0"],
        &[DEFAULT, "-J", "--markdown"],
        &[DEFAULT, "--csv=x", "--html=x"],
        &["-q", folder, "-J"],
        &["-q", folder, "--hdr=/dev/null"],
    ];
    for args in cases {
        let output = report(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let output = report(&[DEFAULT, "--html=/no/such/folder/page.html"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("choose another path for --html"), "{}", stderr(&output));
}

#[test]
fn every_format_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = small();
    let hostile = "<script>alert(1)</script>\u{1b}]0;x\u{7}";
    run["host"]["hostname"] = json!(hostile);
    run["host"]["kernel"] = json!(hostile);
    run["warnings"] = json!([{"code": "hostile", "message": hostile}]);
    for cell in run["cells"].as_array_mut().unwrap() {
        cell["warnings"] = json!([]);
    }
    let path = write(folder.path(), "run.json", &run.to_string());
    let file = |name: &str| folder.path().join(name);
    let flags: Vec<String> = ["csv", "markdown", "html", "hdr", "hgrm", "json"]
        .map(|name| format!("--{name}={}", file(name).display()))
        .to_vec();
    let mut args = vec![path.to_str().unwrap()];
    args.extend(flags.iter().map(String::as_str));
    let text = shown(&args);
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    assert_eq!(read("csv").lines().count(), 7);
    assert!(read("csv").lines().nth(1).unwrap().starts_with("plain/64/max,0,plain,plain,"));
    assert_eq!(read("hdr").lines().filter(|line| line.starts_with("Tag=")).count(), 6);
    assert!(!file("hgrm").exists());
    let mut counts = BTreeMap::new();
    for cell in run["cells"].as_array().unwrap() {
        let name = format!("hgrm-{}", cell["id"].as_str().unwrap().replace('/', "-"));
        *counts.entry(name).or_insert(0) += cell["latency"]["count"].as_u64().unwrap();
    }
    assert!(counts.len() > 1);
    for (name, count) in counts {
        assert!(read(&name).contains(&format!("Total count    = {count:12}]")), "{name}");
    }
    let again: Value = serde_json::from_str(&read("json")).unwrap();
    assert_eq!(again["cells"].as_array().unwrap().len(), 6);
    let row = "| 64 | 285 kpps | 2.4% | 0.146 | 0 | 100/99% | 0.80% | 3.81 µs | 1.11 ms | ∞ | \
               7.70 ms\\* |\n";
    assert!(read("markdown").contains(row), "{}", read("markdown"));
    assert!(!read("markdown").contains("<script"));
    assert_eq!(shown(&[path.to_str().unwrap(), "--markdown"]), read("markdown"));
    assert_alone(&read("html"));
}

/// A page that is whole, and needs nothing from anywhere.
#[track_caller]
fn assert_alone(page: &str) {
    let words = "<link <iframe http: https: src= href url( @import import( fetch( Request(";
    for word in words.split(' ') {
        assert!(!page.contains(word), "{word}");
    }
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(page, options).unwrap();
    assert!(page.descendants().any(|node| node.has_tag_name("polyline")));
    assert_eq!(page.descendants().filter(|node| node.has_tag_name("script")).count(), 1);
}

#[test]
fn several_runs_share_a_table_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.json", "b.json"] {
        write(folder.path(), name, &small().to_string());
    }
    let file = |name: &str| folder.path().join(name);
    let flags = ["csv", "html", "markdown"].map(|f| format!("--{f}={}", file(f).display()));
    let mut args = vec![folder.path().to_str().unwrap()];
    args.extend(flags.iter().map(String::as_str));
    shown(&args);
    let csv = fs::read_to_string(file("csv")).unwrap();
    assert!(csv.starts_with("file,started_at,id,trial,"), "{csv}");
    assert_eq!(csv.lines().count(), 13);
    let page = fs::read_to_string(file("html")).unwrap();
    assert_eq!(page.matches("<section>").count(), 2);
    assert_alone(&page);
    let markdown = fs::read_to_string(file("markdown")).unwrap();
    assert_eq!(markdown.matches("\n### udperf").count(), 2);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn kept_cells_over_time() {
    let results = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
    let output = report(&[results, "--history"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for kept in ["plain/64/max", "offload/8972/50%", "uring/1472/max", "gso+batch/45/100k"] {
        assert!(text.contains(&format!("\n  {kept} ")), "{kept}: {text}");
    }
    for heading in ["rx_pps, higher is better", "p50, lower is better", "p99, lower is better"] {
        assert!(text.contains(heading), "{heading}");
    }
    assert_eq!(stderr(&output).matches("peers.json is left out").count(), 2);
}

#[test]
fn a_history_tells_values_and_changes() {
    let folder = tempfile::tempdir().unwrap();
    for (day, kernel) in [(1, "Linux 6.18.44"), (2, "Linux 6.19.1")] {
        let mut run = small();
        run["started_at"] = json!(format!("2026-12-0{day}T00:00:00Z"));
        run["host"]["kernel"] = json!(kernel);
        // The second of the month comes first by name.
        write(folder.path(), &format!("{}/run.json", 9 - day), &run.to_string());
    }
    let here = folder.path().to_str().unwrap();
    let history = |args: &[&str]| shown(&[&[here, "--history"], args].concat());
    let expected = "\
bench, 1.00 s · x86_64-2c · AMD EPYC · 2 CPUs

rx_pps, higher is better
  plain/64/max  2026-12-01 00:00  60494ffc6de7  285 kpps!         ████████████
                2026-12-02 00:00  60494ffc6de7  285 kpps!  +0.0%  ████████████
                kernel Linux 6.18.44 → Linux 6.19.1
  ! has warnings in the run: stalls
";
    assert_eq!(history(&["--cell", "plain/64/max"]), expected);
    assert_eq!(history(&["--cell", "*max"]), expected);
    assert!(history(&["--metric", "loss"]).contains("loss, lower is better"));
    let csv = folder.path().join("history.csv");
    let page = folder.path().join("history.html");
    let markdown = history(&[
        "--markdown",
        &format!("--csv={}", csv.display()),
        &format!("--html={}", page.display()),
    ]);
    assert_eq!(markdown.matches("| plain/64/").count(), 6);
    let csv = fs::read_to_string(csv).unwrap();
    assert!(csv.starts_with("started_at,git,host,cell,metric,value,n,"), "{csv}");
    assert_eq!(csv.lines().count(), 7);
    assert_alone(&fs::read_to_string(page).unwrap());
    let output = report(&[here, "--history", "--cell", "no-such"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("fits --cell no-such"), "{}", stderr(&output));
}

/// Every command, by the help.
fn commands() -> Vec<String> {
    let help = stdout(&udperf().arg("--help").output().unwrap());
    let (_, after) = help.split_once("Commands:\n").unwrap();
    let (list, _) = after.split_once("\n\n").unwrap();
    let names = list.lines().filter(|line| !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn shells_and_manuals_know_every_command() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = udperf().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let text = stdout(&output);
        commands.iter().for_each(|name| assert!(text.contains(name.as_str()), "{shell}: {name}"));
    }
    let pages: Vec<_> = commands.iter().filter(|name| *name != "help").collect();
    let man = udperf().arg("man").output().unwrap();
    assert_eq!(man.status.code(), Some(0));
    let man = stdout(&man);
    assert!(man.contains(".TH udperf 1"), "{man}");
    for name in &pages {
        let escaped = name.replace('-', "\\-");
        assert!(man.contains(&format!("udperf\\-{escaped}(1)")), "{name}: {man}");
        let page = udperf().args(["man", name]).output().unwrap();
        assert_eq!(page.status.code(), Some(0), "{name}");
        assert!(stdout(&page).contains(&format!(".TH udperf-{name} 1")), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = udperf().args(["man", "--dir"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for name in &pages {
        assert!(folder.path().join(format!("udperf-{name}.1")).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), pages.len() + 1);
    let code = |args: &[&str]| udperf().args(args).output().unwrap().status.code();
    assert_eq!(code(&["man", "no-such"]), Some(2));
    assert_eq!(code(&["completions", "no-such"]), Some(2));
    assert_eq!(code(&["man", "--dir", "/dev/null/folder"]), Some(1));
}

#[test]
fn measuring_commands_write_the_new_formats_too() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let output = udperf()
        .args("bench -q -e plain -l 64 -r max -n 100 --warmup 0 --markdown".split(' '))
        .arg(format!("--html={}", page.display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("### udperf "), "{}", stdout(&output));
    assert_alone(&fs::read_to_string(page).unwrap());
}

#[test]
fn what_is_read_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let text = small().to_string();
    for name in ["a.json", "d/b.json"] {
        write(folder.path(), name, &text);
    }
    let cases: [&[&str]; 8] = [
        &["load", "127.0.0.1:9", "--lines", "a.json", "--csv", "./d/../a.json"],
        &["load", "127.0.0.1:9", "--preset", "dns", "--names", "a.json", "--json=a.json"],
        &["report", "a.json", "--csv", "./d/../a.json"],
        &["report", "d", "--html", "d/b.json"],
        &["report", "a.json", "d", "--history", "--csv=d/b.json"],
        &["report", "a.json", "--json=a.json"],
        &["compare", "a.json", "d", "--bmf", "./a.json"],
        &["compare", "a.json", "d", "--json=d/b.json"],
    ];
    for words in cases {
        let output = udperf().args(words).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("which is read"), "{words:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    for name in ["a.json", "d/b.json"] {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), text);
    }
}

#[test]
fn files_of_cells_replace_no_input_and_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let bench = "bench -q -l 64 -e plain -r 1k,2k -n 50 --warmup 5ms";
    let run = |words: &str| {
        let words = words.split_whitespace();
        udperf().args(words).current_dir(folder.path()).output().unwrap()
    };
    // The files are named x-plain-64-1k.hgrm and x-plain-64-2k.hgrm, which is refused before the run.
    fs::create_dir(folder.path().join("y-plain-64-2k.hgrm")).unwrap();
    let long = "z".repeat(240);
    for (files, code, reason) in [
        ("-J=x-plain-64-1k.hgrm --hgrm x.hgrm", 2, "name another"),
        ("--csv x-plain-64-2k.hgrm --hgrm x.hgrm", 2, "name another"),
        ("--hgrm y.hgrm", 1, "y-plain-64-2k.hgrm: is a directory"),
        (&*format!("--hgrm {long}.hgrm"), 1, "choose another path for --hgrm"),
    ] {
        let output = run(&format!("{bench} {files}"));
        assert_eq!(output.status.code(), Some(code), "{files}: {}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{files}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{files}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{files}");
    }
    assert!(run(&format!("{bench} -J=x-plain-64-1k.hgrm")).status.success());
    let document = fs::read_to_string(folder.path().join("x-plain-64-1k.hgrm")).unwrap();
    let output = run("report x-plain-64-1k.hgrm --hgrm x.hgrm");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(folder.path().join("x-plain-64-1k.hgrm")).unwrap(), document);
}

#[test]
fn names_control_neither_lines_nor_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let text = |between: &str| {
        let mut run = small();
        for cell in run["cells"].as_array_mut().unwrap() {
            let id = cell["id"].as_str().unwrap().replacen('/', &format!("{between}/"), 1);
            cell["id"] = json!(id);
        }
        run.to_string()
    };
    let hostile = write(folder.path(), "\u{1b}[31ma\n.json", &text("\n\u{202e}\u{1b}[2J"));
    let plain = write(folder.path(), "plain.json", &text("_____"));
    let lines = |path: &Path| {
        let path = path.to_str().unwrap();
        let shown = stdout(&report(&[path, path, "-v", "--color", "never"]));
        let is_hostile = |c: char| "\u{1b}\u{202e}".contains(c);
        assert!(!shown.contains(is_hostile), "{shown}");
        shown.lines().count()
    };
    assert_eq!(lines(&hostile), lines(&plain));
    let missing = report(&["\u{1b}[31mno\u{202e}.json"]);
    assert!(!stderr(&missing).contains(['\u{1b}', '\u{202e}']), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("no such file"), "{}", stderr(&missing));
}

#[test]
fn a_history_refuses_formats_that_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let output = udperf()
        .args(["report", DEFAULT, DEFAULT, "--history", "--junit=x"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn text_of_any_length_and_kind_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = small();
    run["cells"][0]["size_mix"] = json!("x".repeat(200_000));
    run["tool"]["git"] = json!("y".repeat(200_000));
    run["command"] = json!(["\u{fffe}\u{ffff}\u{fdd0}"]);
    let path = write(folder.path(), "a.json", &run.to_string());
    let page = folder.path().join("page.html");
    let (path, page) = (path.to_str().unwrap(), page.to_str().unwrap());
    for more in [&["--html", page][..], &["--history"], &["--markdown"]] {
        let output = report(&[&[path], more].concat());
        assert_ne!(output.status.code(), Some(1), "{more:?}: {}", stderr(&output));
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<code>\u{fffd}\u{fffd}\u{fffd}</code>"));
}
