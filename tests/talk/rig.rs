//! Programs in conversation, and plain sockets at the other end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Output, Stdio};
use std::time::Duration;

use crate::common::signals::signal;
use crate::common::udperf;

/// How long a test waits for what must come, before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it with these words and all of its standard input.
pub(crate) fn talk(words: &str, stdin: &[u8]) -> Output {
    Talking::start(words).finish(stdin)
}

/// What was printed.
pub(crate) fn text(output: &Output) -> (i32, &str, &str) {
    let utf8 = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), utf8(&output.stdout), utf8(&output.stderr))
}

/// A running `udperf talk`.
pub(crate) struct Talking {
    child: Option<Child>,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) stderr: BufReader<ChildStderr>,
}

impl Talking {
    pub(crate) fn start(words: &str) -> Self {
        let mut command = udperf();
        command.arg("talk").args(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child: Some(child), stdin, stdout, stderr }
    }

    /// One that waits for others, and where.
    pub(crate) fn listen(words: &str) -> (Self, String) {
        let mut talking = Self::start(words);
        let line = talking.notice();
        let place = line.strip_prefix("udperf: talk on ").unwrap_or_else(|| panic!("{line}"));
        (talking, place.to_owned())
    }

    /// The next line on standard error.
    pub(crate) fn notice(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next line on standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().unwrap().id(), name);
    }

    /// Writes the last of its standard input, and waits for its end.
    pub(crate) fn finish(mut self, stdin: &[u8]) -> Output {
        if let Some(mut pipe) = self.stdin.take() {
            // One that has ended already has no use for it.
            let _ = pipe.write_all(stdin);
        }
        self.end()
    }

    /// With which code it ends, though nobody reads what it writes.
    #[cfg(target_os = "linux")]
    pub(crate) fn ends_unread(&mut self) -> Option<i32> {
        let began = std::time::Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        None
    }

    /// Waits for its end, with standard input left open.
    pub(crate) fn end(mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.stdout.read_to_end(&mut stdout).unwrap();
        self.stderr.read_to_end(&mut stderr).unwrap();
        let status = self.child.take().unwrap().wait().unwrap();
        Output { status, stdout, stderr }
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // A test that failed before its end leaves nothing behind.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A plain UDP socket.
pub(crate) struct Plain(pub(crate) UdpSocket);

impl Plain {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn recv(&self) -> (Vec<u8>, SocketAddr) {
        let mut slot = vec![0; 65_536];
        let (len, from) = self.0.recv_from(&mut slot).unwrap();
        slot.truncate(len);
        (slot, from)
    }

    pub(crate) fn send(&self, bytes: &[u8], to: impl std::net::ToSocketAddrs) {
        assert_eq!(self.0.send_to(bytes, to).unwrap(), bytes.len());
    }
}

/// A port at which nobody listens, by UDP or TCP.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], crate::common::ports::free()))
}
