//! `udperf run`: each command as a step, documents of `run` compared with each other, steps compared
//! with earlier ones, and secrets that are not kept.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;
use crate::scenario_file::{Folder, QUICK, exits, text};

use std::fs;
use std::net::UdpSocket;

use common::serving::Serving;
use common::{cells, check, stderr};
use serde_json::{Value, json};

#[test]
#[ignore = "long: scripts/check runs it"]
fn documents_of_run_are_compared_step_by_step() {
    let folder = Folder::new();
    let [a, b] = ["a", "b"].map(|name| format!("[[step]]\nname = '{name}'\ntrials = 8\n{QUICK}"));
    let limit = "[[step]]\nname = 'limit'\ncommand = 'search'\ngoal = 'loss<=1%'\nrepeat = '1/1'\n\
                 no_curve = true\nbudget = '1s'\ntime = '10ms'\n\
                 inner = { command = 'bench', engine = 'null', size = 64 }\n";
    folder.write(&format!("{a}{b}{limit}"));
    // The search may find no rate in its budget, or miss its schedule.
    let run = |json: &str, label: &str, only: &[&str]| {
        let words = ["run", "f.toml", "-q", json, label];
        let code = folder.run(&[&words, only].concat()).status.code();
        assert!(matches!(code, Some(0 | 3 | 5)), "{code:?}");
    };
    run("-J=old.json", "--label=side=old", &[]);
    run("-J=new.json", "--label=side=new", &[]);
    run("-J=part.json", "--label=side=part", &["--only=a"]);
    let compare = |code: i32, words: &[&str]| {
        let common = ["--metric=loss", "--noise=none", "--markdown=v.md", "--junit=j.xml"];
        folder.expect(code, &[&["compare"], words, &common].concat())
    };
    let shown = text(&compare(0, &["old.json", "new.json", "--json=v.json"]));
    for part in ["a: null/64/max", "b: null/64/max", "labels side=old", "labels side=new"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("steps without cells on a side are not compared: limit"), "{shown}");
    let verdict: Value =
        serde_json::from_str(&fs::read_to_string(folder.path("v.json")).unwrap()).unwrap();
    let ids: Vec<_> = verdict["cells"].as_array().unwrap().iter().map(|cell| &cell["id"]).collect();
    assert_eq!(ids, ["a: null/64/max", "b: null/64/max"]);
    // All figures of all steps are one family of comparisons.
    assert_eq!((&verdict["base"]["documents"], &verdict["base"]["runs"]), (&2.into(), &8.into()));
    let markdown = fs::read_to_string(folder.path("v.md")).unwrap();
    assert!(markdown.contains("| b: null/64/max | loss |"), "{markdown}");
    let junit = fs::read_to_string(folder.path("j.xml")).unwrap();
    assert!(junit.contains("<testsuite name=\"b: null/64/max\" tests=\"1\""), "{junit}");
    // The stored verdict is shown again.
    let again = text(&folder.expect(0, &["report", "v.json"]));
    assert!(again.contains("b: null/64/max"), "{again}");
    // A step that is missing is named: it may have become worse.
    let missing = text(&compare(4, &["old.json", "part.json"]));
    assert!(missing.contains("b: null/64/max in base only"), "{missing}");
    let added = text(&compare(0, &["part.json", "new.json"]));
    assert!(added.contains("b: null/64/max in new only"), "{added}");
    // A run of no step has no step to be compared with.
    folder.expect(
        0,
        &["bench", "-e", "null", "-l", "64", "-n", "2000", "-r", "max", "--json=1.json"],
    );
    let error = stderr(&folder.expect(1, &["compare", "old.json", "1.json"]));
    assert!(
        error.contains("base has a: null/64/max, b: null/64/max, new has null/64/max"),
        "{error}"
    );
    // Steps of one name with other settings are not compared silently.
    folder.write(&a.replace("2000", "3000"));
    folder.expect(0, &["run", "f.toml", "-q", "-J=other.json"]);
    let error = stderr(&folder.expect(1, &["compare", "old.json", "other.json"]));
    assert!(error.contains("in step 'a' have different scenarios"), "{error}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_step_is_compared_with_an_earlier_one() {
    let folder = Folder::new();
    let step = |name: &str, more: &str| {
        format!("[[step]]\nname = '{name}'\ntrials = 8\n{}{more}", QUICK.replace("2000", "4000"))
    };
    let baseline = "baseline = { step = 'one', metric = 'loss', noise = 'none' }\n";
    folder.write(&(step("one", "") + &step("two", &format!("batch = 8\n{baseline}"))));
    let printed = text(&folder.expect(0, &["run", "f.toml", "-J=o.json"]));
    assert!(printed.contains("same compared with its baseline"), "{printed}");
    let verdict = &folder.document()["steps"][1]["verdict"];
    assert_eq!(verdict["cells"][0]["id"], "null/64/max");
    let differs = verdict["differences"].as_array().unwrap().iter();
    assert!(differs.clone().any(|one| one["what"] == "scenario.batch"), "{verdict}");
    let error = stderr(&folder.expect(2, &["run", "f.toml", "--only=two"]));
    assert!(error.contains("step 'two' is compared with 'one'; add that step"), "{error}");
    for (second, part) in [
        (step("two", "baseline = { step = 'oen' }\n"), "no earlier step 'oen'"),
        (step("two", "baseline = { step = 'oen' }\n"), "did you mean one?"),
        (step("two", "baseline = { step = 'two' }\n"), "earlier ones are: one"),
        (step("two", "baseline = { step = 'one', base = 'x' }\n"), "base or step, not both"),
    ] {
        folder.write(&(step("one", "") + &second));
        let error = stderr(&folder.expect(2, &["run", "f.toml", "--dry-run"]));
        assert!(error.contains(part), "{error}");
    }
}

/// A step of each command, of which the last fail or are undecided.
fn every_command(sink: u16, echo: u16) -> String {
    let null = "command = 'bench', engine = 'null', size = 64, count = 500, warmup = 0";
    format!(
        "max_missed = '100%'\n\
         [[step]]\nname = 'bench'\ntrials = 4\njson = 'x.json'\n{QUICK}\
         [[step]]\nname = 'blast'\ncommand = 'blast'\ntarget = '127.0.0.1:{sink}'\nrate = '1k'\n\
         engine = 'plain'\ncount = 50\n\
         [[step]]\nname = 'load'\ncommand = 'load'\ntarget = '127.0.0.1:{echo}'\npreset = 'echo'\n\
         rate = '1k'\ncount = 50\n\
         [[step]]\nname = 'ping'\ncommand = 'ping'\ntarget = '127.0.0.1:{echo}'\ncount = 5\n\
         [[step]]\nname = 'search'\ncommand = 'search'\ngoal = 'sent<0'\nmax_rate = '2k'\n\
         repeat = '1/1'\nno_curve = true\nbudget = '1s'\ntime = '10ms'\n\
         inner = {{ command = 'bench', engine = 'null', size = 64, max_missed = '100%' }}\n\
         [[step]]\nname = 'ab'\ncommand = 'ab'\ntrials = 2\nwarm = 0\nnoise = 'none'\n\
         metric = 'loss'\nb = '--batch 8'\ninner = {{ {null}, rate = 'max' }}\n\
         [[step]]\nname = 'compare'\ncommand = 'compare'\nbase = 'x.json'\nnew = 'x.json'\n\
         noise = 'none'\nmetric = 'loss'\n"
    )
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_command_runs_as_a_step_and_the_worst_exit_code_counts() {
    let folder = Folder::new();
    let (sink, echo) = (Serving::start("-B 127.0.0.1"), Serving::of("echo", "-B 127.0.0.1"));
    folder.write(&every_command(sink.port, echo.port));
    folder.expect(3, &["run", "f.toml", "-q", "-J=o.json", "--junit=j.xml"]);
    let document = folder.document();
    let steps = document["steps"].as_array().unwrap();
    let kinds: Vec<_> = steps.iter().map(|step| &step["document"]["kind"]).collect();
    assert_eq!(kinds, ["bench", "blast", "load", "ping", "search", "ab", "compare"]);
    // No rate passes the goal, two runs decide nothing, and a run is compared with itself.
    let codes = exits(&document);
    assert_eq!(codes[..5], [Some(0), Some(0), Some(0), Some(0), Some(3)], "{document}");
    assert!(matches!(codes[5..], [Some(0 | 4), Some(0 | 4)]), "{codes:?}");
    for step in steps.iter().take(4) {
        assert_eq!(step["name"], step["document"]["kind"]);
        cells(&step["document"])
            .iter()
            .for_each(|cell| check(cell, step["name"].as_str().unwrap()));
    }
    let junit = fs::read_to_string(folder.path("j.xml")).unwrap();
    assert!(
        junit.contains("<testcase name=\"null/64 sent&lt;0\" classname=\"search\">"),
        "{junit}"
    );
    // Chosen steps run in the order of the file, and their codes alone count.
    folder.expect(0, &["run", "f.toml", "-q", "-J=o.json", "--only=ping", "--only=bench"]);
    let document = folder.document();
    let names = document["steps"].as_array().unwrap().iter().map(|step| &step["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["bench", "ping"]);
    for server in [sink, echo] {
        server.end();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn load_without_a_rate_probes_the_capacity_as_a_step() {
    let folder = Folder::new();
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let port = echo.port;
    folder.write(&format!(
        "[[step]]\nname = 'capacity'\ncommand = 'load'\ntarget = '127.0.0.1:{port}'\n\
         preset = 'echo'\ntime = '200ms'\nmax_missed = '100%'\n"
    ));
    // A busy machine may miss its schedule.
    let code = folder.run(&["run", "f.toml", "-q", "-J=o.json"]).status.code();
    assert!(matches!(code, Some(0 | 5)), "{code:?}");
    let document = &folder.document()["steps"][0]["document"];
    assert!(document["capacity"]["steps"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(cells(document).len(), 2, "50 % and 80 %: {document}");
    echo.end();
}

#[test]
fn no_part_of_a_secret_is_in_an_error() {
    let folder = Folder::new();
    let step = |flags: &str| {
        format!(
            "[variables]\npw = 'none'\n[[step]]\nname = 'a'\ncommand = 'ab'\na = \"{flags}\"\n\
             b = '-l 65'\n[step.inner]\ncommand = 'load'\ntarget = '127.0.0.1:9'\n\
             preset = 'radius-status'\n"
        )
    };
    let run = |flags: &str, value: &str| {
        folder.write(&step(flags));
        let setting = format!("pw={value}");
        let output = folder.run(&["run", "f.toml", "--dry-run", "--set", &setting]);
        (output.status.code(), text(&output) + &stderr(&output))
    };
    for value in ["x plugh", "'plugh", "x --plugh"] {
        let (code, text) = run("--secret ${pw}", value);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("must be one word"), "{text}");
        assert!(!text.contains("plugh"), "{text}");
    }
    let (_, text) = run("--secret '${pw}'", "x plugh");
    assert!(!text.contains("must be one word") && !text.contains("plugh"), "{text}");
}

#[test]
fn secrets_are_not_kept() {
    const SECRET: &str = "xyzzy-plugh";
    let folder = Folder::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let quick = ["--preset=radius-status", "-n", "1", "-r", "1k", "--timeout=50ms", "--warmup=0"];
    let outputs = ["--json=s.json", "--html=s.html", "--events=s.ndjson", "--csv=s.csv"];
    let typed = [&["load", &target, "--secret", SECRET], &quick[..], &outputs].concat();
    let mut kept = vec![text(&folder.run(&typed))];
    folder.write(
        "[variables]\nsecret = 'none'\nport = 1\n[[step]]\nname = 'a'\ncommand = 'load'\n\
         target = '127.0.0.1:${port}'\npreset = 'radius-status'\nsecret = '${secret}'\ncount = 1\n\
         rate = '1k'\ntimeout = '50ms'\nwarmup = 0\n",
    );
    let port = format!("--set=port={}", server.local_addr().unwrap().port());
    let setting = format!("secret={SECRET}");
    let words = ["run", "f.toml", &port, "--set", &setting];
    kept.push(text(&folder.expect(0, &[&words[..], &["--dry-run"]].concat())));
    assert!(kept[1].contains("'--secret=***'"), "{}", kept[1]);
    kept.push(text(&folder.run(&[&words[..], &["-J=o.json", "--html=o.html"]].concat())));
    for file in ["s.json", "s.html", "s.ndjson", "s.csv", "o.json", "o.html"] {
        kept.push(fs::read_to_string(folder.path(file)).unwrap());
    }
    for text in &kept {
        assert!(!text.contains(SECRET), "{text}");
    }
    let document: Value =
        serde_json::from_str(&fs::read_to_string(folder.path("s.json")).unwrap()).unwrap();
    assert_eq!(document["command"].as_array().unwrap()[3..5], [json!("--secret"), json!("***")]);
    let document = folder.document();
    assert_eq!(document["variables"]["secret"], "***");
    assert!(document["command"].as_array().unwrap().contains(&json!("secret=***")), "{document}");
    // The server got the secret, of which requests have the authenticator.
    let mut requests = 0;
    server.set_nonblocking(true).unwrap();
    while let Ok(len) = server.recv(&mut [0; 1_500]) {
        // An empty datagram asks whether the port is closed.
        requests += usize::from(len > 0);
    }
    assert_eq!(requests, 2);
}
