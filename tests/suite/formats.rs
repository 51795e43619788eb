//! Verdicts as files for CI servers and code hosts, by the program itself.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::path::Path;
use std::process::Output;

use common::kept::{at_rate, fresh, put};
use common::{stderr, udperf};
use serde_json::Value;

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// How many elements of that name there are.
fn count(xml: &str, tag: &str) -> usize {
    let document = roxmltree::Document::parse(xml).unwrap();
    document.descendants().filter(|node| node.has_tag_name(tag)).count()
}

#[test]
fn one_verdict_in_all_forms() {
    let (runs, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fresh = fresh(10);
    let base = put(runs.path(), "base.json", &at_rate(&fresh, 1_000_000));
    let new = put(runs.path(), "new.json", &at_rate(&fresh, 900_000));
    let output = udperf()
        .args(["compare", &base, &new, "--metric", "rx_pps,loss"])
        .args(["--json=c.json", "--markdown=c.md", "--junit=c.xml", "--benchmark=c"])
        .args(["--bmf=c.bmf", "--noise=none"])
        .current_dir(out.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(3), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("new is worse"));
    let expected = ["c-bigger.json", "c-smaller.json", "c.bmf", "c.json", "c.md", "c.xml"];
    assert_eq!(names(out.path()), expected);

    let document: Value = serde_json::from_str(&read(out.path(), "c.json")).unwrap();
    assert_eq!(document["verdict"], "worse");
    let xml = read(out.path(), "c.xml");
    assert_eq!(["testsuite", "testcase", "failure"].map(|tag| count(&xml, tag)), [1, 2, 1]);
    assert!(xml.contains("rx_pps 1.01 Mpps → 908 kpps, -10.0%"), "{xml}");
    let markdown = read(out.path(), "c.md");
    assert!(
        markdown.starts_with("**new is worse, 1 cell; worse: null/64/max rx\\_pps -10.0%**\n"),
        "{markdown}"
    );
    let center = document["cells"][0]["metrics"][0]["new"]["center"].as_f64();
    let bigger: Value = serde_json::from_str(&read(out.path(), "c-bigger.json")).unwrap();
    assert_eq!(bigger.as_array().unwrap().len(), 1);
    assert_eq!(bigger[0]["name"], "null/64/max rx_pps");
    assert_eq!(bigger[0]["value"].as_f64(), center);
    let smaller: Value = serde_json::from_str(&read(out.path(), "c-smaller.json")).unwrap();
    assert_eq!(smaller[0]["name"], "null/64/max loss");
    let bmf: Value = serde_json::from_str(&read(out.path(), "c.bmf")).unwrap();
    assert_eq!(bmf["null/64/max"]["throughput"]["value"].as_f64(), center);
}

#[test]
fn markdown_takes_the_place_of_text_and_an_empty_file_is_not_written() {
    let out = tempfile::tempdir().unwrap();
    let base = put(out.path(), "base.json", &at_rate(&fresh(10), 1_000_000));
    let output = udperf()
        .args(["compare", &base, &base, "--metric", "rx_pps", "--markdown", "--noise=none"])
        .arg("--benchmark=c")
        .current_dir(out.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("**new is same, 1 cell**\n"));
    assert_eq!(names(out.path()), ["base.json", "c-bigger.json"]);
}

#[test]
fn what_cannot_be_written_is_found_before_anything_is_read() {
    for flag in ["--markdown", "--junit", "--benchmark", "--bmf"] {
        let flag = format!("{flag}=/no/such/folder/file");
        let output = udperf().args(["compare", "/no/base", "/no/new", &flag]).output().unwrap();
        assert_eq!(code(&output), Some(1));
        let error = stderr(&output);
        assert!(error.starts_with("udperf: cannot write /no/such/folder/file"), "{error}");
    }
}

#[test]
fn conditions_are_cases() {
    let out = tempfile::tempdir().unwrap();
    let output = udperf()
        .args("bench -q -e null -l 64,128 -r max -n 100 --warmup 0 --junit=c.xml".split(' '))
        .args(["--fail-if", "sent<100", "--fail-if", "received>=100"])
        .current_dir(out.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(3), "{}", stderr(&output));
    let xml = read(out.path(), "c.xml");
    assert_eq!(["testsuite", "testcase", "failure"].map(|tag| count(&xml, tag)), [2, 4, 2]);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    let message = failure.attribute("message");
    assert_eq!(message, Some("null/64/max: failed: received is 100, limit 100"));
    // Kept runs are judged alike, several as one.
    let kept = put(out.path(), "run.json", &at_rate(&fresh(2), 1_000));
    let again = put(out.path(), "again.json", &at_rate(&fresh(2), 1_000));
    let output = udperf()
        .args(["report", "-q", &kept, &again, "--fail-if", "loss>0%", "--junit=kept.xml"])
        .current_dir(out.path())
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let xml = read(out.path(), "kept.xml");
    assert_eq!(["testsuite", "testcase", "failure"].map(|tag| count(&xml, tag)), [4, 4, 0]);
}
