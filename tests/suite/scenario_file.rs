//! `udperf run`: scenario files, their document, and labels.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::serving::Serving;
use common::{cells, check, stderr, udperf};
use serde_json::Value;
use tempfile::TempDir;

/// A step that takes neither system calls nor time.
pub(crate) const QUICK: &str = "command = 'bench'\nengine = 'null'\nsize = 64\ncount = 2000\nrate = 'max'\n\
                     warmup = 0\n";

/// A folder of its own, in which commands run.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(self.path("f.toml"), text).unwrap();
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        udperf().current_dir(&self.0).args(words).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, words: &[&str]) -> Output {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        output
    }

    /// The document that `run -J=o.json` wrote.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path("o.json")).unwrap()).unwrap()
    }
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn exits(document: &Value) -> Vec<Option<u64>> {
    document["steps"].as_array().unwrap().iter().map(|step| step["exit"].as_u64()).collect()
}

#[test]
fn steps_run_in_turn_to_one_document() {
    let folder = Folder::new();
    let echo = Serving::of("echo", "-B 127.0.0.1");
    folder.write(&format!(
        "fail_if = ['sent<1', 'sent>1000000']\nmax_missed = '100%'\n[variables]\nport = 1\n\
         [[step]]\nname = 'null'\n{QUICK}\
         [[step]]\nname = 'echo'\ncommand = 'load'\ntarget = '127.0.0.1:${{port}}'\npreset = 'echo'\n\
         rate = 500\ncount = 50\ncsv = 'own.csv'\n"
    ));
    let setting = format!("port={}", echo.port);
    let outputs = ["-J=o.json", "--junit=j.xml", "--html=p.html", "--label=commit=abc"];
    let words = [&["run", "f.toml", "--set", &setting][..], &outputs].concat();
    let printed = text(&folder.expect(0, &words));
    let at = |part: &str| printed.find(part).unwrap_or_else(|| panic!("{part}: {printed}"));
    let order = [
        "step 1 of 2 · null\n",
        "engine null",
        "step 2 of 2 · echo\n",
        "requests 50 = answered",
        "step  command  exit  result\n",
        "2 passed of 2 steps; exit code 0\n",
    ];
    assert!(order.map(at).is_sorted(), "{printed}");
    let document = folder.document();
    assert_eq!((&document["kind"], &document["exit"]), (&"run".into(), &0.into()));
    assert_eq!(document["labels"]["commit"], "abc");
    for (step, name) in document["steps"].as_array().unwrap().iter().zip(["null", "echo"]) {
        assert_eq!((&step["name"], &step["error"]), (&name.into(), &Value::Null));
        let own = &step["document"];
        assert_eq!((&own["labels"]["commit"], &own["valid"]), (&"abc".into(), &true.into()));
        cells(own).iter().for_each(|cell| check(cell, name));
        // As typed: the document names the command of the step, not the run.
        assert_eq!(
            own["command"].as_array().unwrap()[1..],
            step["command"].as_array().unwrap()[1..]
        );
    }
    assert!(fs::read_to_string(folder.path("own.csv")).unwrap().starts_with("id,"));
    let junit = fs::read_to_string(folder.path("j.xml")).unwrap();
    let junit = roxmltree::Document::parse(&junit).unwrap();
    let suites = junit.descendants().filter(|node| node.has_tag_name("testsuite"));
    let suites: Vec<_> = suites
        .map(|suite| ["name", "tests", "failures", "errors"].map(|of| suite.attribute(of).unwrap()))
        .collect();
    // The step itself, and each condition in its cell.
    assert_eq!(suites, [["null", "3", "0", "0"], ["echo", "3", "0", "0"]]);
    // The stored document is shown as it was, in every format.
    let again = text(&folder.expect(0, &["report", "o.json", "-J"]));
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), document);
    let shown = text(&folder.expect(0, &["report", "o.json"]));
    assert!(shown.contains("engine null") && shown.ends_with("exit code 0\n"), "{shown}");
    let page = ["report", "o.json", "-q", "--html=q.html", "--csv=c.csv", "--junit=k.xml"];
    let markdown = text(&folder.expect(0, &[&page[..], &["--markdown"]].concat()));
    assert!(markdown.contains("| echo | load | 0 | passed 2 checks |"), "{markdown}");
    let rows = fs::read_to_string(folder.path("c.csv")).unwrap();
    assert_eq!(
        rows.lines().map(|row| row.split(',').next().unwrap()).collect::<Vec<_>>(),
        ["file", "null", "echo"]
    );
    let pages = ["p.html", "q.html"].map(|name| fs::read_to_string(folder.path(name)).unwrap());
    assert!(pages[0] == pages[1] && pages[0].contains("step 2 of 2 · echo · passed 2 checks"));
    // A history has the runs of all steps.
    folder.expect(0, &["report", "o.json", "-q", "--history", "--csv=h.csv", "--metric=sent"]);
    let history = fs::read_to_string(folder.path("h.csv")).unwrap();
    assert!(history.contains(",o.json:null,") && history.contains(",o.json:echo,"), "{history}");
    // Conditions of `report` are for runs.
    let error = stderr(&folder.expect(2, &["report", "o.json", "--fail-if", "loss>1%"]));
    assert!(error.contains("of kind 'run'"), "{error}");
}

#[test]
fn the_example_runs_as_it_is() {
    let folder = Folder::new();
    assert_eq!(text(&folder.expect(0, &["run", "--init"])), {
        let written = stderr(&folder.expect(0, &["run", "--init", "f.toml"]));
        assert!(written.contains("wrote an example to f.toml"), "{written}");
        fs::read_to_string(folder.path("f.toml")).unwrap()
    });
    let error = stderr(&folder.expect(1, &["run", "--init", "f.toml"]));
    assert!(error.contains("exists"), "{error}");
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let setting = format!("server=127.0.0.1:{}", echo.port);
    let output = folder.run(&["run", "f.toml", "-q", "-J=o.json", "--set", &setting]);
    let document = folder.document();
    // A busy machine may miss its schedule, which makes a step invalid.
    let codes: Vec<_> = exits(&document).into_iter().map(Option::unwrap).collect();
    assert_eq!(codes.len(), 3);
    assert!(codes.iter().all(|code| [0, 3, 5].contains(code)), "{}", stderr(&output));
    let worst = if codes.contains(&5) { 5 } else { codes.into_iter().max().unwrap() };
    assert_eq!(output.status.code(), Some(worst as i32));
    for (step, kind) in
        document["steps"].as_array().unwrap().iter().zip(["bench", "load", "search"])
    {
        assert_eq!(step["document"]["kind"], kind);
        assert_eq!(step["document"]["labels"]["purpose"], "example");
    }
    let only = text(&folder.expect(0, &["run", "f.toml", "--dry-run", "--only", "server"]));
    assert_eq!(
        only,
        "udperf load --preset=echo --rate=2k --time=500ms '--fail-if=no_reply>50%' \
         '--fail-if=unmatched>0' --label=purpose=example 127.0.0.1:7788\n"
    );
}

#[test]
fn nothing_is_sent_before_all_steps_are_checked() {
    let folder = Folder::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let target = server.local_addr().unwrap();
    let first = format!(
        "[[step]]\nname = 'first'\ncommand = 'load'\ntarget = '{target}'\npreset = 'echo'\n\
         count = 5\n"
    );
    for (second, code, part) in [
        (
            "command = 'load'\ntarget = '127.0.0.1:9'\ntext = 'x'\nmatch = 'none'\noutstanding = 5\n",
            2,
            "f.toml:13:15: step 'second': --outstanding needs replies",
        ),
        ("command = 'bench'\ncsv = '/no/such/folder/x'\n", 1, "f.toml:10:7: step 'second': cannot"),
        ("command = 'bench'\nbaseline = 'none.json'\n", 1, "f.toml:10:12: cannot read none.json"),
        (
            "command = 'ab'\na = '-e plain'\ninner = { command = 'bench', engine = 'plain' }\n",
            2,
            "step 'second': -e is in the command and in --a",
        ),
        (
            "command = 'search'\ngoal = 'loss<=0'\ninner = { command = 'bench', rate = 5 }\n",
            2,
            "step 'second': bench --rate: the search chooses rates",
        ),
        ("command = 'bench'\njson = 'x.json'\n", 2, "f.toml:10:8: json: run itself writes x.json"),
        ("command = 'bench'\njson = './x.json'\n", 2, "json: run itself writes ./x.json"),
        ("command = 'bench'\ncsv = './f.toml'\n", 2, "csv: the steps are read from ./f.toml"),
        (
            "command = 'bench'\njson = './b.json'\nbaseline = 'b.json'\n",
            2,
            "f.toml:10:8: json: a baseline is read from ./b.json",
        ),
        (
            "command = 'load'\ntarget = '127.0.0.1:9'\ntext = 'x'\nserver_pid = 4294967295\n",
            1,
            "f.toml:12:14: step 'second': --server-pid 4294967295: there is no such process",
        ),
        ("command = 'bench'\nrate = '5x'\n", 2, "f.toml:10:8: step 'second': invalid value '5x'"),
    ] {
        folder.write(&format!("{first}[[step]]\nname = 'second'\n{second}"));
        let output = folder.expect(code, &["run", "f.toml", "-J=x.json"]);
        let error = stderr(&output);
        assert!(error.contains(part), "{second}{error}");
        assert!(output.stdout.is_empty(), "{second}");
    }
    let received = server.recv(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(received, Err(ErrorKind::WouldBlock));
}

#[test]
fn a_failed_step_stops_the_others_only_if_asked() {
    let folder = Folder::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let steps = format!(
        "[[step]]\nname = 'held'\nfail_if = 'sent>0'\n{QUICK}\
         [[step]]\nname = 'taken'\ncommand = 'bench'\nport = {port}\ntime = '10ms'\n\
         [[step]]\nname = 'good'\n{QUICK}"
    );
    folder.write(&steps);
    // With the document on standard output, no report is.
    let output = folder.expect(1, &["run", "f.toml", "-J"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(exits(&document), [Some(3), Some(1), Some(0)]);
    let step = |at: usize| &document["steps"][at];
    assert_eq!(step(0)["result"], "sent>0 in null/64/max");
    assert!(step(1)["document"].is_null());
    let error = step(1)["error"].as_str().unwrap();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    folder.write(&format!("stop_on_failure = true\n{steps}"));
    folder.expect(3, &["run", "f.toml", "-q", "-J=o.json", "--junit=j.xml"]);
    assert_eq!(exits(&folder.document()), [Some(3), None, None]);
    let junit = fs::read_to_string(folder.path("j.xml")).unwrap();
    assert_eq!(junit.matches("<skipped message=\"not run: an earlier step failed\"/>").count(), 2);
    assert!(
        junit.contains("<failure message=\"exit code 3: sent&gt;0 in null/64/max\""),
        "{junit}"
    );
}

#[test]
fn a_step_is_compared_with_its_baseline() {
    let folder = Folder::new();
    let step = format!("[[step]]\nname = 'null'\ntrials = 10\n{QUICK}");
    folder.write(&step);
    folder.expect(0, &["run", "f.toml", "-q", "-J=base.json", "--label=side=old"]);
    let baseline = "baseline = { base = 'base.json', metric = 'loss', noise = 'none' }\n";
    folder.write(&(step.clone() + baseline));
    let words = ["run", "f.toml", "-J=o.json", "--junit=j.xml", "--label=side=new"];
    let printed = text(&folder.expect(0, &words));
    assert!(printed.contains("same compared with its baseline"), "{printed}");
    let verdict = &folder.document()["steps"][0]["verdict"];
    assert_eq!(verdict["verdict"], "same");
    assert_eq!(
        (&verdict["base"]["labels"][0], &verdict["new"]["labels"][0]),
        (&"side=old".into(), &"side=new".into(),)
    );
    assert!(
        printed.contains("labels side=old") && printed.contains("labels side=new"),
        "{printed}"
    );
    let junit = fs::read_to_string(folder.path("j.xml")).unwrap();
    assert!(junit.contains("<testcase name=\"null/64/max loss\" classname=\"null\">"), "{junit}");
    // The kept document has no step of that name.
    folder.write(&(step.replace("'null'\ntrials", "'other'\ntrials") + baseline));
    let error = stderr(&folder.expect(1, &["run", "f.toml"]));
    assert!(error.contains("base.json has no run of a step 'other'"), "{error}");
}

#[test]
#[cfg(unix)]
fn an_interrupt_ends_the_run_with_what_there_is() {
    let folder = Folder::new();
    folder.write(&format!(
        "[[step]]\nname = 'long'\ncommand = 'bench'\nengine = 'plain'\nsize = 64\nrate = 100\n\
         time = 60\nevents = 'e.json'\n[[step]]\nname = 'next'\n{QUICK}"
    ));
    let mut command = udperf();
    command.current_dir(&folder.0).args(["run", "f.toml", "-q", "-J=o.json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_measuring =
        |path: &Path| fs::read_to_string(path).is_ok_and(|events| events.contains("\"cell\""));
    while !is_measuring(&folder.path("e.json")) {
        std::thread::yield_now();
    }
    common::signals::signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let document = folder.document();
    assert_eq!((exits(&document), &document["exit"]), (vec![Some(130), None], &130.into()));
    let long = &document["steps"][0]["document"];
    assert_eq!(cells(long)[0]["cut_short_because"], "interrupted");
    assert_eq!(document["steps"][1]["result"], "not run: interrupted");
}

#[test]
fn labels_are_kept_and_shown() {
    let folder = Folder::new();
    let bench = "bench -e null -l 64 -n 2000 -r max --warmup 0 --trials 4";
    let run = |name: &str, label: &str| {
        let json = format!("--json={name}");
        let words = bench.split(' ').chain([&*json, "--label", label, "--label", "a=1"]);
        text(&folder.expect(0, &words.collect::<Vec<_>>()))
    };
    let printed = run("1.json", "build=x y=z");
    assert!(printed.contains("\nlabels  a=1 build=x y=z\n"), "{printed}");
    run("2.json", "build=2");
    // A label is one line, whatever it holds.
    let printed = run("3.json", "build=x\nInvalid: y");
    assert!(!printed.contains("\nInvalid: y") && printed.contains("Invalid: y"), "{printed}");
    let kept = text(&folder.expect(0, &["report", "1.json", "-J"]));
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["labels"]["build"], "x y=z");
    folder.expect(0, &["report", "1.json", "-q", "--csv=c.csv", "--html=p.html"]);
    let csv = fs::read_to_string(folder.path("c.csv")).unwrap();
    assert!(csv.lines().next().unwrap().ends_with(",labels"), "{csv}");
    assert!(csv.lines().nth(1).unwrap().ends_with(",a=1;build=x y=z"), "{csv}");
    let page = fs::read_to_string(folder.path("p.html")).unwrap();
    assert!(page.contains("labels  a=1 build=x y=z"));
    let compared = folder.run(&["compare", "1.json", "2.json", "--noise=none", "--label", "c=3"]);
    let compared = text(&compared);
    for part in ["labels a=1 build=2", "labels a=1 build=x y=z", "\nlabels  c=3\n"] {
        assert!(compared.contains(part), "{part}: {compared}");
    }
    let history = text(&folder.expect(0, &["report", "1.json", "2.json", "--history"]));
    assert!(history.contains("labels build=x y=z → build=2"), "{history}");
    let error = stderr(&folder.expect(2, &["bench", "--label", "=x"]));
    assert!(error.contains("no name before a ="), "{error}");
    let error = stderr(&folder.expect(2, &["report", "1.json", "--label", "a=2"]));
    assert!(error.contains("omit it here"), "{error}");
}
