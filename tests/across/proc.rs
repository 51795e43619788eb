//! A running program of ours: what it says as it says it, its end within a bound, its memory.
//! It dies with the thread of the test that began it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long to wait for what is sure to come; only a failure takes as long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a running process is asked for its memory. Arbitrary.
const LOOK: Duration = Duration::from_millis(20);

/// A running program.
pub struct Proc {
    child: Child,
    words: String,
    lines: Receiver<String>,
    said: String,
    output: Receiver<Vec<u8>>,
    peak_kib: u64,
}

/// One that has ended.
pub struct Done {
    pub words: String,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The most resident memory it was seen with.
    pub peak_kib: u64,
}

impl Proc {
    #[allow(unsafe_code)]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: prctl(2) is async-signal-safe, and PR_SET_PDEATHSIG takes a signal number.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let words = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{words}: {error}"));
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell_line, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(err).split(b'\n').map_while(Result::ok) {
                let _ = tell_line.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let (tell_output, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = out.read_to_end(&mut bytes);
            let _ = tell_output.send(bytes);
        });
        Self { child, words, lines, said: String::new(), output, peak_kib: 0 }
    }

    /// Waits for a line on standard error that begins so; gives its rest.
    pub fn line(&mut self, begin: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if let Some(rest) = line.strip_prefix(begin) {
                        return rest.to_owned();
                    }
                }
                Err(_) => panic!("{}: never said '{begin}', but: {}", self.words, self.said),
            }
        }
    }

    #[allow(unsafe_code)]
    pub fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.id()).unwrap();
        // SAFETY: kill(2) takes numbers; the child is not waited for yet, so its id is its own.
        unsafe { libc::kill(pid, signal) };
    }

    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    pub fn kill9(&self) {
        self.signal(libc::SIGKILL);
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// A line of /proc/PID/status in KiB: `VmRSS`, `VmHWM`; `None` where the process has ended.
    pub fn memory_kib(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// How many entries a folder of /proc/PID has.
    fn entries(&self, name: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{name}", self.id())).unwrap().count()
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Threads that it has.
    pub fn threads(&self) -> usize {
        self.entries("task")
    }

    /// Files that it has open.
    pub fn files(&self) -> usize {
        self.entries("fd")
    }

    /// Its end, which has to come within `patience`.
    pub fn finish(mut self, patience: Duration) -> Done {
        let end = Instant::now() + patience;
        // Its output ends when it does.
        let stdout = loop {
            self.peak_kib = self.peak_kib.max(self.memory_kib("VmHWM").unwrap_or(0));
            match self.output.recv_timeout(LOOK) {
                Ok(bytes) => break String::from_utf8_lossy(&bytes).into_owned(),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => {}
                Err(_) => {
                    let _ = self.child.kill();
                    self.said.extend(self.lines.try_iter().map(|line| line + "\n"));
                    panic!("{}: not over after {patience:?}: {}", self.words, self.said);
                }
            }
        };
        let status = self.child.wait().unwrap();
        let rest: String = self.lines.iter().map(|line| line + "\n").collect();
        Done {
            words: self.words.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: std::mem::take(&mut self.said) + &rest,
            peak_kib: self.peak_kib,
        }
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    /// It has ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// It has failed as an error does: exit code 1, and one word on why that names all of `words`.
    #[track_caller]
    pub fn expect_error(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.stderr.lines().any(|line| line.starts_with("udperf: ")), "{self:?}");
        let said = self.stderr.to_lowercase();
        words.iter().for_each(|word| assert!(said.contains(word), "no '{word}': {self:?}"));
    }

    /// Its document.
    #[track_caller]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head: String = self.stdout.chars().take(300).collect();
        let Self { words, code, signal, stderr, .. } = self;
        write!(out, "{words}\nended with {code:?}, signal {signal:?}\n{stderr}\n{head}")
    }
}
