//! Round trips of sockperf, if it is installed: its client and its server, each spinning on a core.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long its server may take to listen; arbitrary.
const START: Duration = Duration::from_secs(5);

/// Whether it is installed.
pub fn is_installed() -> bool {
    let help = Command::new("sockperf").arg("--version").stdout(Stdio::null()).status();
    help.is_ok()
}

/// The median round trip in ns.
pub fn round_trip(size: u16, time: Duration) -> Result<f64, String> {
    let (client, server) = super::cores();
    let port = super::ports::free();
    let mut child = Server(start(server, &["server"], port, &[])?);
    let started = Instant::now();
    // Once it listens, nobody else can bind its port.
    while UdpSocket::bind(("127.0.0.1", port)).is_ok() {
        if started.elapsed() > START || child.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Err("the server of sockperf does not listen; run it by hand".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // It takes whole seconds.
    let (size, time) = (size.to_string(), time.as_secs_f64().ceil().to_string());
    let words = ["-m", &size, "-t", &time, "--full-rtt"];
    let ended = start(client, &["ping-pong"], port, &words)?.wait_with_output();
    let output = ended.map_err(|error| format!("sockperf: {error}"))?.stdout;
    let output = String::from_utf8_lossy(&output);
    let mut medians = output.lines().filter_map(|line| line.split_once("percentile 50.000 ="));
    let us = medians.find_map(|(_, us)| us.trim().parse::<f64>().ok());
    us.map(|us| us * 1e3).ok_or_else(|| format!("sockperf printed no median: {output}"))
}

fn start(core: usize, command: &[&str], port: u16, words: &[&str]) -> Result<Child, String> {
    Command::new("taskset")
        .args(["-c", &core.to_string(), "sockperf"])
        .args(command)
        .args(["-i", "127.0.0.1", "-p", &port.to_string(), "--nonblocked"])
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start sockperf by taskset: {error}"))
}

/// Ends with its value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
