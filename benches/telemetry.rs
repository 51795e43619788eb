//! What reports during a run cost: the rate delivered with each of them, and without, in
//! interleaved pairs of runs of the program. Prints the ratio of each pair, the median, and the
//! target.
//!
//! `cargo bench --bench telemetry -- --pairs 10 --time 3`
#![allow(missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use clap::Parser;
use common::Runs;
use serde_json::Value;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Engines by word
    #[arg(long, value_delimiter = ',', default_value = "plain,offload")]
    engines: Vec<String>,
}

/// A report, the flags of a run with it, and of one without it. Runs have five intervals.
const REPORTS: &[(&str, &str, &str)] = &[
    ("intervals", "-i WIDTH", "-i 0"),
    // Metrics come from intervals, whose cost is the other row.
    ("metrics", "-i WIDTH --metrics 127.0.0.1:0", "-i WIDTH"),
    #[cfg(unix)]
    ("live", "-i WIDTH --live", "-i WIDTH"),
];

/// The sides of a comparison.
const SIDES: [&str; 2] = ["with", "without"];

/// The lowest ratio of rates. A target: reports take at most 1 %.
const TARGET: f64 = 0.99;

/// Between two scrapes: the shortest that is common.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// The rate that a run with these flags delivers, in datagrams per second.
fn delivered_pps(engine: &str, flags: &str, time: Duration) -> Result<f64, String> {
    let time = time.as_secs_f64();
    let flags = flags.replace("WIDTH", &(time / 5.0).to_string());
    let warmup = time / 10.0;
    let words = format!("bench -l 64 -e {engine} -r max -t {time} --warmup {warmup} {flags}");
    let document = match flags.contains("--live") {
        true => on_terminal(&words)?,
        false => without_terminal(&format!("{words} -J -q"))?,
    };
    let pps = document["cells"][0]["rx"]["pps"].as_f64();
    pps.ok_or_else(|| format!("{words}: nothing was delivered"))
}

/// The document of a run on a pseudo-terminal, which shows the view.
#[cfg(unix)]
fn on_terminal(words: &str) -> Result<Value, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("run.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    command.args(words.split(' ')).arg(format!("-J={}", path.display())).env("TERM", "xterm");
    let failed = |error: rexpect::error::Error| error.to_string();
    let mut session = rexpect::session::spawn_command(command, None).map_err(failed)?;
    let shown = session.exp_eof().map_err(failed)?;
    // The sequence that opens the alternate screen (xterm, "DEC Private Mode Set").
    if !shown.contains("\x1b[?1049h") {
        return Err(format!("{words}: the view was not shown: {shown}"));
    }
    let text = std::fs::read(&path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| format!("{words}: {error}"))
}

#[cfg(not(unix))]
fn on_terminal(_: &str) -> Result<Value, String> {
    Err("this system has no pseudo-terminals".to_owned())
}

/// The document of a run; its metrics are scraped meanwhile if it serves any.
fn without_terminal(words: &str) -> Result<Value, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_udperf"))
        .args(words.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let scraper = words.contains("--metrics").then(|| scraping(&mut child)).transpose()?;
    let output = child.wait_with_output().map_err(failed)?;
    if let Some((end, scraper)) = scraper {
        drop(end);
        match scraper.join() {
            Ok(scrapes) if scrapes > 0 => {}
            _ => return Err("the metrics were not scraped".to_owned()),
        }
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{words}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A thread that scrapes a run until the sender is dropped; it returns how often.
type Scraper = (std::sync::mpsc::Sender<()>, thread::JoinHandle<u64>);

fn scraping(child: &mut Child) -> Result<Scraper, String> {
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let mut stderr = BufReader::new(stderr);
    let mut line = String::new();
    stderr.read_line(&mut line).map_err(|error| error.to_string())?;
    let at = line.trim().strip_prefix("udperf: metrics: http://");
    let at =
        at.and_then(|url| url.strip_suffix("/metrics")).ok_or_else(|| line.clone())?.to_owned();
    let (end, ended) = channel();
    Ok((end, thread::spawn(move || scrape_until(&ended, &at, stderr))))
}

/// `stderr` stays open meanwhile.
fn scrape_until(ended: &Receiver<()>, at: &str, _stderr: impl Read) -> u64 {
    let mut scrapes = 0;
    loop {
        let scrape = || {
            let mut stream = TcpStream::connect(at)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
            stream.read_to_string(&mut String::new())
        };
        scrapes += u64::from(scrape().is_ok_and(|length| length > 0));
        if ended.recv_timeout(SCRAPE_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return scrapes;
        }
    }
}

fn main() {
    let args = Args::parse();
    let (mut rows, time) = (Vec::new(), args.runs.time());
    for engine in &args.engines {
        for (report, with, without) in REPORTS {
            let title = format!("{report} {engine}, pps");
            let with = || delivered_pps(engine, with, time);
            let without = || delivered_pps(engine, without, time);
            let row = args.runs.compare(&title, SIDES, false, Some(TARGET), with, without);
            rows.push(row.unwrap_or_else(|reason| {
                assert!(engine != "plain", "{title}: {reason}");
                println!("SKIPPED: {title}: {reason}");
                format!("{title:<26} skipped")
            }));
        }
    }
    common::print_table(SIDES, &rows);
}
