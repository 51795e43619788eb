//! `udperf load` without a rate: a capacity probe, then cells at shares of what it found.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use udperf::sys;

use crate::common::serving::Serving;
use crate::common::{cells, number, together, udperf};
use crate::proc::{Done, PATIENCE, Proc};
use crate::rig::{adds_up, only, run, run_aloud, settle};
use crate::shim::heard;

/// An echo server that answers so many requests in each [`SLOT`], and drops all others.
struct Limited {
    at: SocketAddr,
    stopper: UdpSocket,
    thread: JoinHandle<u64>,
}

/// A slot of its budget: short, so that no step of a probe gets much more than its share.
const SLOT: Duration = Duration::from_millis(10);

impl Limited {
    fn start(per_slot: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        let at = socket.local_addr().unwrap();
        let stopper = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stop_at = stopper.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut slot, mut bytes) = ((Instant::now(), 0), vec![0; 2_048]);
            let mut came = 0;
            while let Ok((len, from)) = heard(&socket, &mut bytes) {
                if from == stop_at {
                    break;
                }
                came += 1;
                if slot.0.elapsed() >= SLOT {
                    slot = (Instant::now(), 0);
                }
                if slot.1 < per_slot {
                    slot.1 += 1;
                    socket.send_to(&bytes[..len], from).unwrap();
                }
            }
            came + u64::from(sys::socket_drops(&socket).unwrap_or(0))
        });
        Self { at, stopper, thread }
    }

    /// The requests that came to its socket, those that it dropped included.
    fn end(self) -> u64 {
        self.stopper.send_to(b"", self.at).unwrap();
        self.thread.join().unwrap()
    }
}

/// Runs `udperf load` with text on standard output; its document is in a file.
fn with_text(at: &str, words: &str) -> (Done, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let mut command = udperf();
    command.args(["load", at, "--warmup", "0", "--json"]).arg(&file);
    command.args(words.split_whitespace());
    let done = Proc::start(command).finish(PATIENCE);
    let document = std::fs::read(&file).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done, serde_json::from_slice(&document).unwrap())
}

#[test]
fn cells_have_shares_of_what_a_server_answers() {
    let _together = together();
    let (per_slot, seconds) = (10, SLOT.as_secs_f64());
    let server = Limited::start(per_slot);
    let (done, report) = with_text(&server.at.to_string(), "--preset echo -t 500ms");
    let done = done.expect(0);
    let capacity = &report["capacity"];
    let rate = capacity["requests_per_s"].as_f64().unwrap_or_else(|| panic!("{capacity}"));
    // It cannot answer more than its budget, of which a step may begin and end within a slot.
    let budget = per_slot as f64 / seconds;
    assert!(rate > 0.0 && rate <= budget * 1.05, "{capacity}");
    assert!(capacity["failed_per_s"].as_f64().unwrap() > rate, "{capacity}");
    assert_eq!(capacity["limited_by"], "server", "{capacity}");
    assert_eq!(capacity["loss_limit"], 0.01);
    for (cell, share) in cells(&report).iter().zip([0.5, 0.8]) {
        settle(cell, &done.words);
        let asked = cell["rate_pps"].as_f64().unwrap();
        // A rate is a whole number of thousandths.
        assert!((asked - share * rate).abs() <= 0.001, "{share}: {asked}, {capacity}");
        assert!(cell["id"].as_str().unwrap().ends_with(&format!("/{}%", share * 100.0)));
    }
    assert_eq!(cells(&report).len(), 2);
    // What was sent is in the document, all of it.
    let steps = capacity["steps"].as_array().unwrap();
    let of_steps: u64 = steps.iter().map(|step| number(step, "requests")).sum();
    let of_cells: u64 = cells(&report).iter().map(|cell| number(cell, "ledger.sent")).sum();
    assert_eq!(server.end(), of_steps + of_cells);
    let windows: Vec<_> = steps.iter().filter_map(|step| step["outstanding"].as_u64()).collect();
    assert!(windows[0] == 1 && windows.windows(2).all(|pair| pair[1] == 2 * pair[0]));
    let open = |step: &&Value| step["rate_per_s"].is_number();
    assert_eq!(steps.iter().filter(open).count() + windows.len(), steps.len());
    // The first three lines answer, and standard error says what is sent before it is.
    let lines: Vec<_> = done.stdout.lines().collect();
    for (line, word) in lines.iter().zip(["capacity  ", "p99       ", "limit     server: "]) {
        assert!(line.starts_with(word), "{}", done.stdout);
    }
    assert!(lines[0].contains("requests/s answered within 1% loss; not "), "{}", lines[0]);
    assert!(lines[1].contains(" at 50% (") && lines[1].contains(" at 80% ("), "{}", lines[1]);
    assert!(done.stdout.contains("answered/s") && !done.stdout.contains("pps"), "{}", done.stdout);
    let said: Vec<_> = done.stderr.lines().collect();
    assert!(said[0].starts_with("udperf: capacity probe of 127.0.0.1:"), "{done:?}");
    assert!(said[1].contains("50% and 80%") && said[2].contains("; next "), "{done:?}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn without_a_probe_the_rate_is_a_thousand() {
    let _together = together();
    for (words, probed) in [
        ("--preset echo -t 100ms --probe off", false),
        ("--preset echo -n 20", false),
        ("--preset echo -n 20 -r 500", false),
        ("--preset echo -n 20 --outstanding 3", false),
        ("--preset echo -l 64,128 -t 200ms", true),
        ("--preset echo -e plain,batch -t 200ms", true),
        ("--preset statsd -t 200ms", true),
    ] {
        let server = Limited::start(u64::MAX);
        let report = adds_up(&run("load", &server.at.to_string(), words).expect(0), "load");
        assert!(report["capacity"].is_null(), "{words}");
        let sent: u64 = cells(&report).iter().map(|cell| number(cell, "ledger.sent")).sum();
        assert_eq!(server.end(), sent, "{words}");
        if !words.contains("-r") && !words.contains("--outstanding") {
            let at = |cell: &Value| cell["rate"] == "1k";
            assert!(cells(&report).iter().all(at), "{words}: {report}");
        }
        // Those that might be probed say why they are not.
        let server = Limited::start(u64::MAX);
        let done = run_aloud("load", &server.at.to_string(), words).expect(0);
        assert_eq!(done.stderr.contains("no capacity probe, 1k requests/s: "), probed, "{done:?}");
        server.end();
    }
    for (words, says) in [
        ("--preset echo -r 1k", "omit --rate"),
        ("--preset echo --outstanding 9", "omit --rate"),
        ("--preset echo --pace ramp:1k..2k", "omit --rate"),
        ("--preset statsd", "no replies are expected"),
        ("--preset echo -l 64,128", "give one by --size"),
        ("--preset echo -e plain,batch", "give one by --engine"),
    ] {
        let done = run("load", "127.0.0.1:9", &format!("{words} --probe on")).expect(2);
        assert!(done.stderr.contains("--probe on: ") && done.stderr.contains(says), "{done:?}");
    }
}

#[test]
fn a_server_that_answers_nothing_has_no_capacity_and_is_no_valid_run() {
    let _together = together();
    let server = Limited::start(0);
    let (done, report) =
        with_text(&server.at.to_string(), "--preset echo -t 100ms --timeout 100ms");
    let done = done.expect(5);
    let capacity = &report["capacity"];
    assert!(capacity["requests_per_s"].is_null() && capacity["limited_by"].is_null());
    assert_eq!(report["invalid_because"][0]["code"], "nothing_answered", "{done:?}");
    assert!(only(&report)["id"].as_str().unwrap().ends_with("/max"), "{done:?}");
    assert!(done.stdout.starts_with("capacity  unknown: nothing was answered\n"), "{done:?}");
    let step = &capacity["steps"][0];
    assert_eq!((number(step, "answered"), &step["held"]), (0, &Value::Bool(false)));
    assert_eq!(server.end(), number(step, "requests") + number(only(&report), "ledger.sent"));
}

#[test]
fn an_interrupt_ends_a_probe_with_the_report_so_far() {
    let _together = together();
    // The first step waits for the timeout.
    let server = Limited::start(0);
    let mut command = udperf();
    command.args(["load", &server.at.to_string(), "--preset", "echo", "-J", "--timeout", "10m"]);
    let mut client = Proc::start(command);
    client.line("udperf: then 50% and 80%");
    client.interrupt();
    let done = client.finish(PATIENCE).expect(130);
    let report = done.document();
    assert_eq!(report["capacity"]["cut_short_because"], "interrupted", "{done:?}");
    assert!(cells(&report).is_empty() && report["valid"] == false, "{done:?}");
    server.end();
}

#[test]
fn both_settings_of_ab_have_the_same_rate() {
    let _together = together();
    let server = Limited::start(u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = udperf();
    command.args(["ab", "--trials", "1", "--warm", "0", "-q", "--keep"]).arg(folder.path());
    command.args(["--", "load", &server.at.to_string(), "--preset", "echo", "-t", "50ms"]);
    command.args(["--warmup", "0"]);
    // One run each decides nothing.
    Proc::start(command).finish(PATIENCE);
    for side in ["a", "b"] {
        let kept = std::fs::read(folder.path().join(side).join("001.json")).unwrap();
        let report: Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!((&only(&report)["rate"], &report["capacity"]), (&"1k".into(), &Value::Null));
    }
    server.end();
}

#[test]
fn a_run_without_a_probe_names_its_limit_too() {
    let _together = together();
    let echo = Serving::of("echo", "-B 127.0.0.1 --drop 50%");
    let at = format!("127.0.0.1:{}", echo.port);
    // Without a schedule, the generator misses nothing.
    let words = "--preset echo --outstanding 1 -n 40 --timeout 50ms";
    let (done, report) = with_text(&at, words);
    let done = done.expect(0);
    let cell = only(&report);
    assert!(number(cell, "exchange.timeouts") > 0, "{done:?}");
    let limit = &cell["limit"];
    assert_eq!(limit["limited_by"], "server", "{limit}");
    assert!(limit["evidence"].as_str().is_some_and(|text| text.contains(" requests/s")), "{limit}");
    let line = format!("Limit: server in {}: ", cell["id"].as_str().unwrap());
    assert!(done.stdout.contains(&line), "{line}: {}", done.stdout);
    // What held has none.
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let at = format!("127.0.0.1:{}", echo.port);
    let (done, report) = with_text(&at, "--preset echo --outstanding 1 -n 40");
    assert!(only(&report)["limit"].is_null(), "{report}");
    assert!(!done.expect(0).stdout.contains("Limit: "));
}
