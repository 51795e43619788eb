//! A real Prometheus scrapes a run, its linter has no complaint, and the dashboard of the manual
//! shows what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::metrics::{
    SENT, Samples, check_totals, endpoint, free, has_ended, reaches, request, request_accepting,
    scrape,
};
use crate::common;

use common::serving::Serving;
use common::{number, only, skip, udperf};
use serde_json::Value;

/// How long a program may take to start or to scrape. Arbitrary: long on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that scrapes five times a second.
struct Prometheus {
    child: Child,
    at: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it; `None` if there is none here.
    fn scraping(targets: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (config, at) = (folder.path().join("prometheus.yml"), free());
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: udperf, static_configs: [{{targets: {targets:?}}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={at}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        match started {
            Ok(child) => Some(Self { child, at, _folder: folder }),
            Err(error) => {
                skip::missing(format_args!("no prometheus: {error}"));
                None
            }
        }
    }

    /// The result of a query; none before it listens.
    fn query(&self, query: &str) -> Vec<Value> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        if std::net::TcpStream::connect(&self.at).is_err() {
            return Vec::new();
        }
        let response = request(&self.at, &format!("GET /api/v1/query?query={escaped}"));
        let body = response.split_once("\r\n\r\n").unwrap().1;
        let Ok(body) = serde_json::from_str::<Value>(body) else { return Vec::new() };
        assert_eq!(body["status"], "success", "{query}: {body}");
        body["data"]["result"].as_array().unwrap().clone()
    }

    /// All samples of a target, as they are in the text that was scraped.
    fn samples(&self, target: &str) -> Samples {
        let sample = |one: Value| {
            let order = ["le", "direction", "outcome", "place", "client", "version", "git"];
            let label = |name| Some((name, one["metric"][name].as_str()?));
            let labels = order.into_iter().filter_map(label);
            let labels: Vec<_> = labels.map(|(name, is)| format!("{name}=\"{is}\"")).collect();
            let name = one["metric"]["__name__"].as_str().unwrap();
            let labels = match labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", labels.join(",")),
            };
            (format!("{name}{labels}"), one["value"][1].as_str().unwrap().parse().unwrap())
        };
        let all = format!(r#"{{__name__=~"udperf_.+", instance="{target}"}}"#);
        self.query(&all).into_iter().map(sample).collect()
    }

    /// The samples of a target once they are these.
    fn await_samples(&self, target: &str, expected: &Samples) {
        let began = Instant::now();
        loop {
            let samples = self.samples(target);
            if samples == *expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{target}: {samples:?}, not {expected:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run whose metrics stay until its document is read: that is larger than a pipe.
struct Running {
    child: Child,
    at: String,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(words: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = udperf()
            .args(words.split(' '))
            .args("-t 2 -i 10ms -J --metrics 127.0.0.1:0 --events".split(' '))
            .arg(folder.path().join("events"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let at = endpoint(&mut child);
        Self { child, at, folder }
    }

    /// Waits for the end of its only cell; its last metrics.
    fn ended(&self) -> Samples {
        let (events, began) = (self.folder.path().join("events"), Instant::now());
        while !has_ended(&events) {
            assert!(began.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        scrape(&self.at)
    }

    fn document(mut self) -> Value {
        let mut json = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut json).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&json).unwrap()
    }
}

/// The datagrams that a server received from clients at 127.0.0.1.
fn received() -> String {
    SENT.replace("\"}", "\",client=\"127.0.0.1\"}").replace("sent", "received")
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn prometheus_has_what_the_document_has() {
    let _together = common::together();
    let [at_sink, at_echo] = [free(), free()];
    let sink = Serving::start(&format!("--metrics {at_sink} --metrics-clients"));
    let echo = Serving::of("echo", &format!("-B 127.0.0.1 --metrics {at_echo} --metrics-clients"));
    let load = format!("load 127.0.0.1:{} --text {{id}} -r 500", echo.port);
    let runs = ["bench -e plain -l 64 -r 1k", &load].map(Running::start);
    let [bench, load] = runs.each_ref().map(|run| run.at.as_str());
    let Some(prometheus) = Prometheus::scraping(&[bench, load, &at_sink, &at_echo]) else {
        return;
    };
    let cell = sink.blast("-l 64 -r 1k -t 200ms");
    reaches(&at_sink, &received(), number(only(&cell), "ledger.received"));
    let last = runs.each_ref().map(Running::ended);
    for (run, last) in runs.iter().zip(&last) {
        prometheus.await_samples(&run.at, last);
    }
    for (title, expression) in expressions() {
        let query = expression.replace("$__rate_interval", "1m").replace("$instance", ".*");
        let began = Instant::now();
        // A rate takes two scrapes.
        while prometheus.query(&query).is_empty() {
            assert!(began.elapsed() < PATIENCE, "{title}: nothing for {query}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let mut requests = 0;
    for (run, last) in runs.into_iter().zip(&last) {
        let document = run.document();
        let cell = only(&document);
        check_totals(cell, last);
        requests += cell["exchange"]["requests"].as_u64().unwrap_or(0);
    }
    let arrived = reaches(&at_echo, &received(), requests);
    let [of_sink, of_echo] = [&at_sink, &at_echo].map(|at| {
        let last = scrape(at);
        prometheus.await_samples(at, &last);
        last[&received()]
    });
    assert_eq!(of_echo, arrived as f64);
    assert_eq!(of_echo, number(&echo.end(), "received") as f64);
    assert_eq!(of_sink, number(&sink.end()["clients"][0], "received") as f64);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn the_linter_of_prometheus_has_no_complaint() {
    let _together = common::together();
    let running = Running::start("bench -e plain -l 64 -r 1k");
    let at = free();
    let sink = Serving::start(&format!("--metrics {at} --metrics-clients"));
    sink.blast("-l 64 -n 20");
    reaches(&at, &received(), 20);
    running.ended();
    for at in [&running.at, &at] {
        let response = request_accepting(at, "GET /metrics", "text/plain");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut promtool = match promtool {
            Ok(promtool) => promtool,
            Err(error) => return skip::missing(format_args!("no promtool: {error}")),
        };
        promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{complaints}\n{body}");
    }
    running.document();
    sink.end();
}

/// The panels of the dashboard: titles and expressions.
fn expressions() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grafana.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let expressions = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap().clone();
        let of = move |target: Value| (title.clone(), target["expr"].as_str().unwrap().to_owned());
        targets.into_iter().map(of)
    };
    dashboard["panels"].as_array().unwrap().iter().flat_map(expressions).collect()
}

/// The labels that samples have, and their values, by name of the sample.
fn labels(samples: &Samples) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> {
    let mut all = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
    for sample in samples.keys() {
        let (name, rest) = sample.split_once('{').unwrap_or((sample, "}"));
        let of = all.entry(name).or_default();
        for label in rest.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            of.entry(label).or_default().insert(value.trim_matches('"'));
        }
    }
    all
}

/// Words of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_').filter(|one| !one.is_empty())
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let _together = common::together();
    let running = Running::start("bench -e plain -l 64 -r 1k");
    let at = free();
    let echo = Serving::of("echo", &format!("--metrics {at} --metrics-clients -B 127.0.0.1"));
    let ping = common::run(&format!("ping 127.0.0.1:{} -q -n 20", echo.port));
    assert!(ping.status.success());
    reaches(&at, &received(), 20);
    let mut samples = running.ended();
    samples.extend(scrape(&at));
    let known = labels(&samples);
    for (title, expression) in expressions() {
        let mut rest = expression.as_str();
        let mut metrics = 0;
        while let Some(start) = rest.find("udperf_") {
            let name = words(&rest[start..]).next().unwrap();
            let labels = known.get(name).unwrap_or_else(|| panic!("{title}: no {name}"));
            let (selector, after) = rest[start + name.len()..].split_once('}').unwrap();
            for matcher in selector.trim_start_matches('{').split(", ") {
                let label = words(matcher).next().unwrap();
                let values = labels.get(label);
                assert!(values.is_some() || label == "instance", "{title}: {name} has no {label}");
                let wanted = matcher.split('"').nth(1).unwrap();
                for value in wanted.split('|').filter(|one| !one.is_empty() && *one != "$instance")
                {
                    assert!(values.is_some_and(|all| all.contains(value)), "{title}: {value}");
                }
            }
            for by in expression.split("by (").skip(1) {
                for label in words(by.split(')').next().unwrap()) {
                    let is_known = label == "instance" || labels.contains_key(label);
                    assert!(is_known, "{title}: {name} has no {label}");
                }
            }
            (rest, metrics) = (after, metrics + 1);
        }
        assert!(metrics > 0, "{title}");
    }
    running.document();
    echo.end();
}
