//! `udperf search` against servers whose capacity is known, and what it refuses.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code)]
#[path = "../across/proc.rs"]
mod proc;
mod shim;

use std::process::Output;

use common::{alone, cells, stderr, together, udperf};
use proc::{PATIENCE as END, Proc};
use serde_json::Value;
use shim::{Load, REQUESTS, Shim};

fn search(words: &str) -> Output {
    udperf().arg("search").args(words.split_whitespace()).output().unwrap()
}

/// How often a search is repeated that says itself that its target was not the limit.
const PATIENCE: u32 = 2;

/// Searches until it says of its target what it is; `None` where the search itself says each time
/// that this machine is no place for it. One that settles undisturbed on anything else is wrong.
#[track_caller]
fn of_target(words: &str) -> Option<Value> {
    for _ in 0..PATIENCE {
        let document = found(words);
        let found = &document["searches"][0];
        let (limited_by, disturbed) = (&found["limited_by"], &found["disturbed"]);
        if limited_by == "target" {
            return Some(document);
        }
        assert!(limited_by == "not_settled" || *disturbed != 0, "{found}");
        eprintln!("{limited_by}, {disturbed} disturbed: again");
    }
    common::skip::unavailable(format_args!(
        "workers stand still here all the time; end what else runs"
    ));
    None
}

/// Searches, to a document that adds up.
#[track_caller]
fn found(words: &str) -> Value {
    let output = search(words);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 3 | 5)), "{words}: {}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    // On a machine that never keeps a schedule, no trial is valid.
    let reasons = document["invalid_because"].as_array().unwrap();
    assert!(reasons.iter().all(|one| one["code"] == "schedule_missed"), "{words}: {reasons:?}");
    assert_eq!(code == Some(5), !reasons.is_empty(), "{words}: {reasons:?}");
    assert_eq!((&document["schema"], &document["kind"]), (&"udperf/1".into(), &"search".into()));
    adds_up(&document);
    let is_found = !document["searches"][0]["low_pps"].is_null();
    assert_eq!(code == Some(0), is_found, "{}", document["searches"][0]);
    document
}

/// What holds of every document of a search.
#[track_caller]
fn adds_up(document: &Value) {
    let mut decided = Vec::new();
    for found in document["searches"].as_array().unwrap() {
        let trials = found["trials"].as_array().unwrap();
        let is_final = |trial: &&Value| trial["purpose"] == "final" || trial["purpose"] == "verify";
        decided.extend(trials.iter().filter(is_final).map(|trial| trial["rate_pps"].as_f64()));
        let disturbed = trials.iter().filter(|trial| trial["verdict"] == "disturbed").count();
        assert_eq!(found["disturbed"], disturbed, "{found}");
        if let (Some(low), Some(high)) = (found["low_pps"].as_f64(), found["high_pps"].as_f64()) {
            assert!(low < high, "{low} {high}");
        }
    }
    let rates: Vec<_> = cells(document).iter().map(|cell| cell["rate_pps"].as_f64()).collect();
    assert_eq!(rates, decided);
    for cell in cells(document) {
        assert!(cell["latency"].is_null() || cell["latency"]["histogram"].is_string());
    }
}

/// The lowest and the highest end of what was found, which hold the truth between them, within 2 %.
#[track_caller]
fn holds(found: &Value, truth: f64) {
    let (low, high) = (found["low_pps"].as_f64().unwrap(), found["high_pps"].as_f64().unwrap());
    assert!(low >= truth * 0.98 && low <= truth * 1.02, "{low} to {high}, and not {truth}");
    assert!(high / low < 1.011, "{low} to {high}");
    assert_eq!(found["limited_by"], "target", "{found}");
    assert_eq!(found["verified"]["passed"], found["passed"]["k"], "{found}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_server_that_drops_is_found_where_it_drops_as_much_as_allowed() {
    let _alone = alone();
    let shim = Shim::start(Load::Bucket(20e3));
    let Some(document) = of_target(&format!(
        "loss<=1% -t 300ms --start 15k --no-curve -J -q -- load {} {REQUESTS} --timeout \
         50ms --warmup 0",
        shim.at
    )) else {
        return;
    };
    let found = &document["searches"][0];
    holds(found, 20e3 / 0.99);
    assert_eq!((&document["inner"], &document["goals"][0]), (&"load".into(), &"loss<=1%".into()));
    assert_eq!(found["trials"][0]["rate_pps"], 15e3);
    assert!(found["curve"].as_array().unwrap().len() >= 3);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_server_that_slows_down_is_found_where_it_does() {
    let _alone = alone();
    let shim = Shim::start(Load::Step(8e3));
    let Some(document) = of_target(&format!(
        "p50<=5ms loss<=5% -t 300ms --max-rate 30k -J -q -- load {} {REQUESTS} \
         --timeout 100ms --warmup 0",
        shim.at
    )) else {
        return;
    };
    let found = &document["searches"][0];
    holds(found, 8e3);
    // Late from the first rate on that is beyond the result, and not before.
    let curve = found["curve"].as_array().unwrap();
    let low = found["low_pps"].as_f64().unwrap();
    for share in [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0] {
        let near =
            |point: &&Value| (point["rate_pps"].as_f64().unwrap() / low - share).abs() < 1e-3;
        assert!(curve.iter().any(|point| near(&point)), "{share}: {curve:?}");
    }
}

#[test]
fn a_server_that_never_answers_has_no_rate() {
    let _alone = alone();
    let shim = Shim::start(Load::Silent);
    let output = search(&format!(
        "loss<=1%,p99<=1s -t 100ms --start 5k -J -q -- load {} --preset echo -l 64 --timeout 20ms \
         --warmup 0",
        shim.at
    ));
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    adds_up(&document);
    assert_eq!(document["invalid_because"][0]["code"], "nothing_answered");
    let found = &document["searches"][0];
    assert!(found["low_pps"].is_null() && found["passed"].is_null(), "{found}");
    for trial in found["trials"].as_array().unwrap() {
        let reason = trial["reason"].as_str().unwrap();
        assert!(reason.starts_with("none of ") && reason.contains(" requests was answered"));
        assert!(reason.contains("; loss<=1%: 100%, 99% too much"), "{reason}");
    }
    assert_eq!(document["goals"].as_array().unwrap().len(), 2);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_generator_that_is_the_limit_is_named() {
    let _alone = alone();
    let document =
        found("loss<=0 -t 100ms --repeat 1/1 --no-curve -J -q -- bench -e null --warmup 5ms");
    let found = &document["searches"][0];
    assert_eq!(found["id"], "null/64");
    // Nothing is lost where nothing is sent: no rate fails by itself.
    let trials = found["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["verdict"] != "fail"), "{found}");
    let limited_by = found["limited_by"].as_str().unwrap();
    assert!(["generator", "not_settled"].contains(&limited_by), "{found}");
    if limited_by == "generator" {
        assert!(found["low_pps"].as_f64().unwrap() > 0.0, "{found}");
    }
}

#[test]
fn the_highest_rate_is_kept_to_and_named() {
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let (json, csv) = (folder.path().join("found.json"), folder.path().join("trials.csv"));
    let words = "loss<=50% -t 50ms --repeat 1/1 --max-rate 2k --precision 5% -q --no-curve";
    let files = format!("-J={} --csv {}", json.display(), csv.display());
    let output = search(&format!("{words} {files} -- bench -l 64,128 -e plain --warmup 0"));
    // Where workers stand still all the time, no rate is known to pass.
    assert!(matches!(output.status.code(), Some(0 | 3 | 5)), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    adds_up(&document);
    let searches = document["searches"].as_array().unwrap();
    let ids: Vec<_> = searches.iter().map(|found| found["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["plain/64", "plain/128"]);
    for found in searches.iter().filter(|found| found["low_pps"] == 2e3) {
        assert_eq!((&found["limited_by"], &found["high_pps"]), (&"max_rate".into(), &Value::Null));
    }
    let trials = || searches.iter().flat_map(|found| found["trials"].as_array().unwrap());
    assert!(trials().all(|trial| trial["rate_pps"].as_f64().unwrap() <= 2e3));
    let rows = std::fs::read_to_string(csv).unwrap().lines().count();
    assert_eq!(rows, 1 + trials().count());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("64 B plain") && text.contains("128 B plain"), "{text}");
}

#[test]
fn a_budget_ends_the_search_in_time_and_each_failed_trial_has_its_reason() {
    let _alone = alone();
    let shim = Shim::start(Load::Bucket(20e3));
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("found.json");
    // A whole search takes at least five trials of full length.
    let output = search(&format!(
        "loss<=1% -t 300ms --start 60k --no-curve --budget 1500ms -q -J={} -- load {} {REQUESTS} \
         --timeout 20ms --warmup 0",
        json.display(),
        shim.at
    ));
    let document: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    adds_up(&document);
    let found = &document["searches"][0];
    assert_eq!(document["budget_ns"], 1_500_000_000_u64);
    assert_eq!(
        (&found["cut_short_because"], &found["limited_by"]),
        (&"budget".into(), &"not_settled".into())
    );
    // 0 if a rate was found; 3 otherwise, or 5 where the generator never kept its schedule.
    let is_found = !found["low_pps"].is_null();
    let expected = if is_found { vec![Some(0)] } else { vec![Some(3), Some(5)] };
    assert!(expected.contains(&output.status.code()), "{}", stderr(&output));
    let trials = found["trials"].as_array().unwrap();
    let time: u64 = trials.iter().map(|trial| trial["time_ns"].as_u64().unwrap()).sum();
    assert!(!trials.is_empty() && time <= 1_500_000_000, "{trials:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("· budget 1.50 s\n"), "{text}");
    assert!(text.contains("the budget ended the search\n"), "{text}");
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for trial in trials {
        let reason = trial["reason"].as_str();
        assert_eq!(reason.is_none(), trial["verdict"] == "pass", "{trial}");
        let is_shown = reason.is_none_or(|reason| unwrapped.contains(reason));
        assert!(is_shown || trial["verdict"] == "disturbed", "{trial}\n{text}");
    }
    // 60 kpps lose two thirds.
    assert!(trials[0]["reason"].as_str().unwrap().contains("loss<=1%: "), "{trials:?}");
}

#[test]
fn sizes_for_which_the_budget_has_no_time_are_named() {
    let _together = together();
    // The probe of the first size takes more than its half.
    let words = "loss<=1% -t 50ms --budget 100ms -J -q -- bench -l 64,128 -e plain --warmup 0";
    let output = search(words);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let searches = document["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 1, "{document}");
    assert_eq!(
        (&searches[0]["id"], searches[0]["trials"].as_array().unwrap().len()),
        (&"plain/64".into(), 0)
    );
    let warnings = document["warnings"].as_array().unwrap();
    let named = warnings.iter().find(|one| one["code"] == "budget_ended").unwrap();
    assert_eq!(named["message"], "--budget ended before size 128 was searched; use a longer one");
}

#[test]
fn what_cannot_be_searched_is_refused_by_name() {
    for (words, part) in [
        ("loss -- bench", "is not a condition"),
        ("loss<=1% -- sink", "'sink' is none of them"),
        ("loss<=1% -- search loss<=1% -- bench", "'search' is none of them"),
        ("loss<=1% -- bench -r 1k", "bench --rate: the search chooses rates"),
        ("loss<=1% -- bench -b 1G", "bench -b: the search chooses rates"),
        ("loss<=1% -- bench -t 1", "bench --time: the search chooses times"),
        ("loss<=1% -- bench -n 9", "bench --count: the search chooses times"),
        ("loss<=1% -- bench --trials 2", "--repeat"),
        ("loss<=1% -- bench --pace ramp:1k..2k", "defines its own rates"),
        ("loss<=1% -- bench -J", "give this flag to search"),
        ("loss<=1% -- bench --csv x", "give this flag to search"),
        ("loss<=1% -- bench --hdr x", "bench --hdr: a search has no interval log"),
        ("loss<=1% -- bench --csv-intervals x", "a search has text, JSON, CSV and HTML"),
        ("loss<=1% -- bench --hgrm x", "bench --hgrm: a search has text, JSON, CSV"),
        (
            "loss<=1% -- bench --html x",
            "bench --html: the search has one result; give this flag to search",
        ),
        ("loss<=1% -- bench --markdown", "bench --markdown: a search has text"),
        ("loss<=1% -- bench --markdown=x", "bench --markdown: a search has text"),
        ("loss<=1% -- bench --junit x --fail-if loss>0", "give it as a GOAL"),
        ("loss<=1% -- bench --label a=1", "give this flag to search"),
        ("loss<=1% -- bench --fail-if loss>0", "give it as a GOAL"),
        ("loss<=1% -- ping 127.0.0.1 --outstanding 2", "a closed loop has no rate"),
        ("loss<=1% -- load 127.0.0.1 --preset echo --outstanding 2", "a closed loop has no rate"),
        ("loss<=1% -- load 127.0.0.1:9 --lines -", "standard input can be read only once"),
        ("loss<=1% -- blast 127.0.0.1 --bidir", "a search has one direction"),
        ("loss<=1% -- blast 127.0.0.1 --allow-public", "give search a --max-rate"),
        ("loss<=1% --start 2k --max-rate 1k -- bench", "is above --max-rate"),
        ("loss<=1% -t 1ms -- bench", "trials need at least 10ms"),
        ("loss<=1% --repeat 3/2 -- bench", "invalid repeat"),
        ("loss<=1% --budget soon -- bench", "--budget"),
        (
            "loss<=1% --budget 1 -- bench",
            "--budget 1.00 s: one trial takes up to 2.10 s (--time 2.00 s, and 100 ms for the \
             warm-up and late replies); use a longer --budget or a shorter --time",
        ),
        ("loss<=1% --budget 3 -- bench -e all", "one trial of each of "),
        ("loss<=1% --budget 3 -- load 127.0.0.1 --preset echo", "one trial takes up to 3.20 s"),
        (
            "loss<=1% --budget 5 -- bench -l 64,128,256",
            "one trial of each of 3 searches takes up to 6.30 s",
        ),
        ("loss<=1% -- bench --nonsense", "Usage: udperf bench"),
        ("loss<=1%", "-- <COMMAND>"),
        ("-- bench", "<GOAL>"),
    ] {
        let output = search(words);
        assert_eq!(output.status.code(), Some(2), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{words}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words}");
    }
}

#[test]
fn a_goal_that_nobody_knows_is_an_error() {
    let _together = together();
    let output = search("exchange.timeouts<=0 -t 100ms -J -q -- bench -e plain --warmup 0");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("goal 'exchange.timeouts<=0': its figure is unknown"), "{said}");
}

#[test]
fn an_interrupted_search_tells_what_there_is() {
    let _together = together();
    let shim = Shim::start(Load::Silent);
    let mut command = udperf();
    let words = "search loss<=1% -t 60 --start 1k -J -q -- load --preset echo --timeout 20ms";
    command.args(words.split_whitespace()).arg(shim.at.to_string());
    let search = Proc::start(command);
    shim.until_asked();
    search.interrupt();
    let done = search.finish(END).expect(130);
    let document = done.document();
    adds_up(&document);
    assert_eq!(document["kind"], "search");
    let searches = document["searches"].as_array().unwrap();
    assert!(searches.iter().all(|found| found["limited_by"] == "not_settled"), "{document}");
}
