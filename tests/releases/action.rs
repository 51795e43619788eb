//! `packaging/action/run`: the exit codes of udperf, the summary, and the comment, with the
//! program on this host and a server in place of GitHub's.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{has, script, stderr, stdout};

/// A cell that takes neither system calls nor time.
const QUICK: &str = "bench -e null -l 64 -n 2000 -r max --warmup 0";

/// What a job leaves behind.
struct Job {
    folder: TempDir,
    output: Output,
}

impl Job {
    fn run(folder: TempDir, inputs: &[(&str, &str)]) -> Self {
        let mut command = script("packaging/action/run", folder.path());
        command.env("UDPERF", env!("CARGO_BIN_EXE_udperf")).env_remove("CI");
        for (name, file) in [("GITHUB_STEP_SUMMARY", "summary"), ("GITHUB_OUTPUT", "outputs")] {
            command.env(name, folder.path().join(file));
        }
        command.env("RUNNER_TEMP", folder.path());
        let output = command.envs(inputs.iter().copied()).output().unwrap();
        Self { folder, output }
    }

    fn new(inputs: &[(&str, &str)]) -> Self {
        Self::run(tempfile::tempdir().unwrap(), inputs)
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        let said = format!("{}{}", stdout(&self.output), stderr(&self.output));
        assert_eq!(self.output.status.code(), Some(code), "{said}");
        self
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.folder.path().join("summary")).unwrap_or_default()
    }

    /// The value of an output of the step.
    fn value(&self, name: &str) -> Option<String> {
        let outputs = fs::read_to_string(self.folder.path().join("outputs")).unwrap_or_default();
        let line = outputs.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.map(str::to_owned)
    }

    fn document(&self) -> Value {
        let path = self.value("document").unwrap();
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }
}

#[test]
fn the_result_is_on_the_summary_and_its_exit_code_is_passed_on() {
    let job = Job::new(&[("COMMAND", QUICK)]).expect(0);
    let summary = job.summary();
    assert!(summary.starts_with("## udperf bench\n\nexit code 0\n\n"), "{summary}");
    assert!(summary.contains("\n| bytes |"), "{summary}");
    assert_eq!(job.value("exit-code").as_deref(), Some("0"));
    assert_eq!(fs::read_to_string(job.value("markdown").unwrap()).unwrap(), summary);
    assert_eq!(job.document()["kind"], "bench");

    // Arguments are split as a shell splits, and nothing in them is expanded or run.
    let args = "--label 'a=$(touch ran) \"b' --fail-if 'sent>0'";
    let job = Job::new(&[("COMMAND", QUICK), ("ARGS", args), ("TITLE", "Gate")]).expect(3);
    assert_eq!(job.document()["labels"]["a"], "$(touch ran) \"b");
    assert!(!job.folder.path().join("ran").exists());
    assert!(job.summary().starts_with("## Gate\n\nexit code 3\n\n"), "{}", job.summary());
    // What is printed in between is not taken for commands of the runner.
    let printed = stdout(&job.output);
    let token = printed.lines().find_map(|line| line.strip_prefix("::stop-commands::")).unwrap();
    assert!(printed.ends_with(&format!("::{token}::\n")), "{printed}");

    let job = Job::new(&[("COMMAND", "bench --sizes 64")]).expect(2);
    assert!(job.summary().contains("unexpected argument '--sizes'"), "{}", job.summary());
    assert_eq!((job.value("exit-code").as_deref(), job.value("document")), (Some("2"), None));
}

#[test]
fn inputs_that_exclude_each_other_are_refused() {
    for (inputs, why) in [
        (&[][..], "give 'scenario', a file, or 'command'"),
        (&[("COMMAND", QUICK), ("SCENARIO", "f.toml")], "not both"),
        (&[("BASELINE", "b.json"), ("SCENARIO", "f.toml")], "baselines of its own"),
        (&[("COMMAND", "bench 'x")], "close all quotes"),
        (&[("COMMAND", "sink --once")], "'sink' writes no Markdown"),
    ] {
        let job = Job::new(inputs).expect(2);
        assert!(stderr(&job.output).contains(why), "{inputs:?}: {}", stderr(&job.output));
        assert!(job.summary().is_empty());
    }
    let job = Job::new(&[("COMMAND", QUICK), ("UDPERF", "/no/such/udperf")]).expect(1);
    assert!(stderr(&job.output).contains("no program '/no/such/udperf'"));
}

#[test]
fn a_baseline_and_a_scenario_file_end_with_the_worst_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let steps = "[[step]]\nname = 'quick'\ncommand = 'bench'\nengine = 'null'\nsize = 64\n\
                 count = 2000\nrate = 'max'\nwarmup = 0\nfail_if = 'sent>0'\n";
    fs::write(folder.path().join("f.toml"), steps).unwrap();
    let job = Job::run(folder, &[("SCENARIO", "f.toml"), ("ARGS", "--only quick")]).expect(3);
    assert!(job.summary().starts_with("## udperf run\n\nexit code 3\n"), "{}", job.summary());
    assert_eq!(job.document()["steps"][0]["exit"], 3);

    let with_base = |allow: &str, command: &str| {
        let folder = tempfile::tempdir().unwrap();
        let first = Job::run(folder, &[("COMMAND", QUICK)]).expect(0);
        let base = first.value("document").unwrap();
        let inputs = [("COMMAND", command), ("BASELINE", &base), ("ALLOW_UNDECIDED", allow)];
        for file in ["summary", "outputs"] {
            fs::remove_file(first.folder.path().join(file)).unwrap();
        }
        Job::run(first.folder, &inputs)
    };
    // One run of each side tells too little.
    let job = with_base("false", QUICK).expect(4);
    assert_eq!(job.document()["kind"], "bench");
    assert!(job.summary().contains("undecided"), "{}", job.summary());
    let job = with_base("true", QUICK).expect(0);
    assert!(job.summary().contains("undecided, which is allowed"), "{}", job.summary());
    // A limit that is exceeded counts more than a comparison without an answer.
    with_base("true", &format!("{QUICK} --fail-if sent>0")).expect(3);
}

/// Answers each request with the next response; returns the requests and their bodies.
fn github(responses: Vec<(u16, Value)>) -> (String, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let serve = |(status, response): (u16, Value)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let has_token = lines.iter().any(|line| line == "Authorization: Bearer secret");
            assert!(has_token, "{lines:?}");
            let len = lines.iter().find_map(|line| line.strip_prefix("Content-Length: "));
            let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
            reader.read_exact(&mut body).unwrap();
            let text = response.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", text.len());
            write!(stream, "{head}Connection: close\r\n\r\n{text}").unwrap();
            let request = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
            (request, serde_json::from_slice(&body).unwrap_or_default())
        };
        responses.into_iter().map(serve).collect()
    });
    (at, served)
}

/// Runs a job for pull request 7 whose comments are written to this server.
fn commented(at: &str) -> Job {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    fs::write(&event, json!({ "pull_request": { "number": 7 } }).to_string()).unwrap();
    let inputs = [
        ("COMMAND", QUICK),
        ("COMMENT", "true"),
        ("TOKEN", "secret"),
        ("GITHUB_API_URL", at),
        ("GITHUB_REPOSITORY", "owner/server"),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_RUN_ID", "99"),
        ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
    ];
    Job::run(folder, &inputs)
}

#[test]
fn one_comment_is_written_and_then_updated() {
    if !has(&["curl", "jq", "iconv"]) {
        return;
    }
    let mark = "<!-- udperf: udperf bench -->\n";
    let other = json!({ "id": 1, "body": "<!-- udperf: another title -->\n…" });
    let (at, served) = github(vec![(200, json!([other])), (201, json!({}))]);
    let summary = commented(&at).expect(0).summary();
    let requests = served.join().unwrap();
    let list = "GET /repos/owner/server/issues/7/comments?per_page=100&page=1";
    assert_eq!(requests[0].0, list);
    assert_eq!(requests[1].0, "POST /repos/owner/server/issues/7/comments");
    let link = "[All of it](https://github.example/owner/server/actions/runs/99)";
    assert_eq!(requests[1].1["body"], format!("{mark}{summary}\n{link}\n"));

    // It is on the second page.
    let full = vec![other; 100];
    let ours = json!([{ "id": 5, "body": format!("{mark}of before") }]);
    let (at, served) = github(vec![(200, json!(full)), (200, ours), (200, json!({}))]);
    commented(&at).expect(0);
    let requests = served.join().unwrap();
    assert_eq!(requests[1].0, list.replace("&page=1", "&page=2"));
    assert_eq!(requests[2].0, "PATCH /repos/owner/server/issues/comments/5");
}

#[test]
fn a_comment_that_is_refused_is_a_warning() {
    if !has(&["curl", "jq"]) {
        return;
    }
    let (at, served) = github(vec![(200, json!([])), (403, json!({ "message": "no" }))]);
    let job = commented(&at).expect(0);
    served.join().unwrap();
    let said = stdout(&job.output);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("::warning::udperf: no comment was written: "), "{said}");
    assert!(last.contains("pull-requests: write"), "{said}");
    assert!(!said.contains("secret") && !stderr(&job.output).contains("secret"));
}
