//! Processes: one for each run, so that it keeps nothing of the run before, and shells that undo
//! setups, even if this program is killed.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::document::Report;
use crate::report::read::read;
use crate::sys;

/// Time for an interrupted run to end by itself. Arbitrary: longer than any drain.
const GRACE: Duration = Duration::from_secs(2);

/// Exit codes of runs that wrote a document. From [`crate::cli::Exit`].
const WITH_DOCUMENT: [i32; 2] = [0, 5];

/// Measures once; `None` if interrupted.
pub(super) fn run(
    program: &Path,
    args: &[String],
    stop: &AtomicBool,
) -> Result<Option<Report>, String> {
    let measure = || {
        let mut stdout = tempfile::tempfile()?;
        let mut command = Command::new(program);
        command.args(args).args(["-J", "-q"]).stdout(stdout.try_clone()?);
        let (status, stderr) = run_to_end(&mut command, stop, GRACE)?;
        Ok((status, read_all(&mut stdout)?, stderr))
    };
    let (status, stdout, stderr) = measure()
        .map_err(|error: io::Error| format!("cannot run {}: {error}", program.display()))?;
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    if status.code().is_some_and(|code| WITH_DOCUMENT.contains(&code)) {
        return read(&stdout).map(Some).map_err(|error| format!("its document: {error}"));
    }
    // Usage errors end with advice; the first line is the error.
    let line = |prefix| stderr.lines().find_map(|line| line.strip_prefix(prefix));
    let why = line("error: ").or_else(|| line("udperf: "));
    let why = why.or_else(|| stderr.trim().lines().last()).unwrap_or_default();
    Err(if why.is_empty() { status.to_string() } else { why.to_owned() })
}

/// Runs a command, which ends with this program; returns its error output. Output goes to files: a
/// server that a setup starts would keep a pipe open.
pub(super) fn run_to_end(
    command: &mut Command,
    stop: &AtomicBool,
    grace: Duration,
) -> io::Result<(ExitStatus, String)> {
    let mut stderr = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stderr(stderr.try_clone()?);
    let mut child = sys::end_with_parent(command).spawn()?;
    let status = wait(&mut child, stop, grace)?;
    Ok((status, read_all(&mut stderr)?))
}

/// Waits for the end of its standard input, then runs its argument. It ignores the signals that end
/// this program, as do the commands that it runs (POSIX, sh, trap); one that asks the terminal
/// fails instead of being stopped for good.
const WAIT: &str = "trap '' HUP INT QUIT TERM TSTP TTIN TTOU; read -r nothing; \
                    exec </dev/null; eval \"$1\"";

/// A shell that runs a command on request, or when this program ends, even by SIGKILL.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    stderr: File,
}

impl Guard {
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let stderr = tempfile::tempfile()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WAIT, "sh", command]);
        // A signal to the process group of this program, as from a terminal, does not end it.
        sys::in_group_of_its_own(&mut shell);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
        Ok(Self { shell: shell.spawn()?, stderr })
    }

    pub(super) fn run(&mut self) -> io::Result<(ExitStatus, String)> {
        drop(self.shell.stdin.take());
        let status = self.shell.wait()?;
        Ok((status, read_all(&mut self.stderr)?))
    }
}

fn read_all(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for the child; after an interrupt, kills it when `grace` is over.
fn wait(child: &mut Child, stop: &AtomicBool, grace: Duration) -> io::Result<ExitStatus> {
    let mut until: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            let until = *until.get_or_insert_with(|| Instant::now() + grace);
            if Instant::now() >= until {
                child.kill()?;
            }
        }
        thread::sleep(LOOK);
    }
}

/// Interval between checks for the end of a run. Arbitrary: seldom enough not to disturb it.
const LOOK: Duration = Duration::from_millis(20);
