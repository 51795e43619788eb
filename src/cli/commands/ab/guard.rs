//! What undoes a set-up, whatever becomes of this program.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;

/// Waits for the end of its standard input, then runs its argument. Whatever interrupts the program
/// shall not interrupt this: a shell hands what it ignores on to the commands that it runs (POSIX,
/// sh, trap). Nor shall what asks the terminal be stopped for that, and never go on: it fails.
const WAIT: &str = "trap '' HUP INT QUIT TERM TSTP TTIN TTOU; read -r nothing; \
                    exec </dev/null; eval \"$1\"";

/// A shell that runs a command when told to, or when this program ends, even by SIGKILL.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    said: File,
}

impl Guard {
    pub(super) fn post(command: &str) -> io::Result<Self> {
        let said = tempfile::tempfile()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WAIT, "sh", command]);
        // A signal to the process group of this program, as from a terminal, does not end it.
        sys::in_group_of_its_own(&mut shell);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said.try_clone()?);
        Ok(Self { shell: shell.spawn()?, said })
    }

    /// Runs the command now and waits for it; returns its error output.
    pub(super) fn relieve(&mut self) -> io::Result<(ExitStatus, String)> {
        drop(self.shell.stdin.take());
        let status = self.shell.wait()?;
        Ok((status, all_of(&mut self.said)?))
    }
}

pub(super) fn all_of(said: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for the child; after an interrupt, kills it when `grace` is over.
pub(super) fn wait(
    child: &mut Child,
    stop: &AtomicBool,
    grace: Duration,
) -> io::Result<ExitStatus> {
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
