//! A sink that runs while a test lasts.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use super::signals::signal;

/// A sink on any free port, with its document to standard output.
pub struct Serving {
    /// Until it was ended.
    child: Option<Child>,
    /// Where it listens; 0 where that is a path.
    pub port: u16,
    /// Kept open: it may say more.
    _stderr: BufReader<ChildStderr>,
}

impl Serving {
    /// Starts it with these words, separated by blanks, and waits until it is bound.
    pub fn start(words: &str) -> Self {
        Self::of("sink", words)
    }

    /// The same with another command that listens.
    pub fn of(kind: &str, words: &str) -> Self {
        let mut command = super::udperf();
        command.args([kind, "-q", "-J", "-p", "0"]).args(words.split_whitespace());
        Self::of_command(kind, command)
    }

    /// The same with a command that becomes one that listens.
    pub fn of_command(kind: &str, mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("{kind} says: {line}"));
        Self { child: Some(child), port, _stderr: stderr }
    }

    /// The document of `udperf blast` against it with these words; the run must succeed.
    #[track_caller]
    pub fn blast(&self, words: &str) -> Value {
        let output = super::run(&format!("blast 127.0.0.1:{} -J -q {words}", self.port));
        assert_eq!(output.status.code(), Some(0), "{words}: {}", super::stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it once it has read all that arrived; its document.
    pub fn end(self) -> Value {
        while self.waiting() > 0 {
            std::thread::yield_now();
        }
        signal(self.process(), "INT");
        self.ended(130)
    }

    /// Waits until it ends by itself, with this code; its document.
    pub fn ended(mut self, code: i32) -> Value {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Bytes in the receive queues of all sockets at its port, as proc(5) has them.
    pub fn waiting(&self) -> u64 {
        let files = ["/proc/net/udp", "/proc/net/udp6"];
        let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let port = format!(":{:04X}", self.port);
        let queue = |line: &str| {
            let mut fields = line.split_whitespace();
            let (local, queues) = (fields.nth(1)?, fields.nth(2)?);
            let hex = queues.split_once(':').filter(|_| local.ends_with(&port))?.1;
            u64::from_str_radix(hex, 16).ok()
        };
        texts.iter().flat_map(|text| text.lines()).filter_map(queue).sum()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A test that failed before its end leaves nothing behind.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
