//! Processes: one for each run, so that it keeps nothing of the run before, and shells that apply
//! and always undo setups.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::output::{STEP_FOLDER, warn_stderr};
use crate::document::Report;
use crate::report::read::read;
use crate::sys;

/// Time for an interrupted run to end by itself. Arbitrary: longer than any drain.
const GRACE: Duration = Duration::from_secs(2);
/// Exit codes of runs that wrote a document. From [`crate::cli::Exit`].
const WITH_DOCUMENT: [i32; 2] = [0, 5];

/// Measures once; `None` if interrupted.
pub(super) fn measure_in_child(
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
fn run_to_end(
    command: &mut Command,
    stop: &AtomicBool,
    grace: Duration,
) -> io::Result<(ExitStatus, String)> {
    let mut stderr = tempfile::tempfile()?;
    command.env_remove(STEP_FOLDER).stdin(Stdio::null()).stderr(stderr.try_clone()?);
    let mut child = sys::end_with_parent(command).spawn()?;
    let status = wait(&mut child, stop, grace)?;
    Ok((status, read_all(&mut stderr)?))
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

#[derive(Debug)]
pub(super) struct Setup {
    side: &'static str,
    command: String,
    undo: String,
}

/// An applied setup; dropping it undoes it, after errors and panics, too.
#[derive(Debug)]
pub(super) struct SetupState<'a> {
    setup: &'a Setup,
    /// The shell that undoes it, even after SIGKILL, and its error output; `None` once it has.
    guard: Option<(Child, File)>,
}

impl Setup {
    /// Determines how to undo the command before it runs.
    pub(super) fn new(side: &'static str, command: &str, undo: Option<&str>) -> CliResult<Self> {
        let undo =
            undo.map_or_else(|| undo_of_sysctl(side, command), |undo| Ok(undo.to_owned()))?;
        Ok(Self { side, command: command.to_owned(), undo })
    }

    /// Runs the command. Where it fails, it is undone all the same: it may have come half way.
    pub(super) fn apply(&self, stop: &AtomicBool) -> CliResult<SetupState<'_>> {
        let Self { side, command, undo } = self;
        let fails =
            |why| CliError::Failed(format!("the setup of {side}, '{command}', failed: {why}"));
        let guard = start_guard(undo)
            .map_err(|error| fails(format!("cannot run sh, which would undo it: {error}")))?;
        let state = SetupState { setup: self, guard: Some(guard) };
        let Err(why) = shell(command, stop) else { return Ok(state) };
        Err(fails(match state.undo() {
            Ok(()) => format!("{why}; it was undone ('{undo}')"),
            Err(_) => format!("{why}; undoing it failed, too ('{undo}'): undo it by hand"),
        }))
    }
}

impl SetupState<'_> {
    pub(super) fn undo(mut self) -> CliResult<()> {
        let Setup { side, undo, .. } = self.setup;
        self.put_back().map_err(|why| {
            CliError::Failed(format!(
                "the setup of {side} is not undone: '{undo}' failed ({why}); undo it by hand"
            ))
        })
    }

    fn put_back(&mut self) -> Result<(), String> {
        let Some((mut shell, mut stderr)) = self.guard.take() else { return Ok(()) };
        drop(shell.stdin.take());
        let ended = shell.wait().and_then(|status| Ok((status, read_all(&mut stderr)?)));
        let (status, stderr) = ended.map_err(|error| error.to_string())?;
        verdict(status, &stderr)
    }
}

impl Drop for SetupState<'_> {
    fn drop(&mut self) {
        if let Err(why) = self.put_back() {
            warn_stderr(&format!("'{}' failed ({why}); undo it by hand", self.setup.undo));
        }
    }
}

fn shell(command: &str, stop: &AtomicBool) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdout(Stdio::null());
    // After an interrupt it is killed at once: it must not run on while it is undone.
    let (status, stderr) = run_to_end(&mut shell, stop, Duration::ZERO)
        .map_err(|error| format!("cannot run sh: {error}"))?;
    if stop.load(Ordering::Relaxed) && !status.success() {
        return Err("interrupted".to_owned());
    }
    verdict(status, &stderr)
}

fn verdict(status: ExitStatus, stderr: &str) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    let last = stderr.trim().lines().last().unwrap_or_default();
    Err(if last.is_empty() { status.to_string() } else { format!("{status}: {last}") })
}

/// The command that restores the current values that `sysctl -w a.b=c` changes.
fn undo_of_sysctl(side: &str, command: &str) -> CliResult<String> {
    let Some(settings) = sysctls(command) else {
        let lower = side.to_ascii_lowercase();
        return usage(format!(
            "--setup-{lower} '{command}': only sysctl is undone automatically; add --undo-{lower} \
             with the command that undoes it, or --undo-{lower} true where nothing has to be"
        ));
    };
    let mut undo = vec!["sysctl".to_owned(), "-q".to_owned(), "-w".to_owned()];
    for name in settings {
        let failed = |why: String| {
            CliError::Failed(format!(
                "cannot read {name} ({why}), so it could not be restored later; see sysctl -a"
            ))
        };
        let output = Command::new("sysctl").args(["-n", &name]).stdin(Stdio::null()).output();
        let output = output.map_err(|error| failed(format!("sysctl: {error}")))?;
        let [value, error] = [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        if !output.status.success() {
            return Err(failed(error));
        }
        undo.push(format!("{name}={value}"));
    }
    // No argument of a process has a NUL, the only error.
    Ok(shlex::try_join(undo.iter().map(String::as_str)).unwrap_or_default())
}

/// The names that a plain `sysctl` command sets; `None` for any other command.
fn sysctls(command: &str) -> Option<Vec<String>> {
    // A second command behind the first would not be undone.
    if command.contains([';', '&', '|', '\n', '`', '$', '>', '<', '(']) {
        return None;
    }
    let mut words = shlex::split(command)?.into_iter();
    let program = words.next()?;
    if program != "sysctl" && !program.ends_with("/sysctl") {
        return None;
    }
    let mut names = Vec::new();
    for word in words {
        match word.as_str() {
            "-w" | "-q" | "-qw" | "-wq" | "--write" | "--quiet" => {}
            word => {
                let (name, _) = word.split_once('=').filter(|_| !word.starts_with('-'))?;
                // These set more than what they read.
                if name.contains('*') || name.split(['.', '/']).any(|part| part == "all") {
                    return None;
                }
                names.push(name.trim().to_owned());
            }
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Waits for the end of its standard input, then runs its argument. It ignores the signals that end
/// this program, as do the commands that it runs (POSIX, sh, trap); one that asks the terminal
/// fails instead of being stopped for good.
const WAIT: &str = "trap '' HUP INT QUIT TERM TSTP TTIN TTOU; read -r nothing; \
                    exec </dev/null; eval \"$1\"";

/// Starts a shell that runs a command once its standard input ends.
fn start_guard(command: &str) -> io::Result<(Child, File)> {
    let stderr = tempfile::tempfile()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", WAIT, "sh", command]);
    // A signal to the process group of this program, as from a terminal, does not end it.
    sys::in_group_of_its_own(&mut shell);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
    Ok((shell.spawn()?, stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undoes_only_plain_sysctl() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        for (command, expected) in [
            (
                "sysctl -w net.core.rmem_max=1 net.ipv4.udp_mem='1 2 3'",
                names(&["net.core.rmem_max", "net.ipv4.udp_mem"]),
            ),
            ("/sbin/sysctl -qw a.b=1", names(&["a.b"])),
            ("ethtool -K eth0 gro off", None),
            ("sysctl -p", None),
            ("sysctl -w a.b=1; reboot", None),
            ("sysctl -w a.b=1 && true", None),
            ("sysctl", None),
            ("sysctl -w a.b=$(cat x)", None),
            ("sysctl -w net.ipv4.conf.all.rp_filter=0", None),
            ("sysctl -w net.ipv4.conf.*.rp_filter=0", None),
            ("", None),
        ] {
            assert_eq!(sysctls(command), expected, "{command}");
        }
    }

    #[test]
    fn undoes_once_and_leaves_processes_running() {
        let folder = tempfile::tempdir().unwrap();
        let [log, pid] = ["log", "pid"].map(|name| folder.path().join(name).display().to_string());
        let start = format!("echo up >> {log}; sleep 600 & echo $! > {pid}");
        let undo = format!("echo down >> {log}; kill $(cat {pid})");
        let setup = Setup::new("A", &start, Some(&undo)).unwrap();
        let stop = AtomicBool::new(false);
        // A pipe held by the process would block this for ten minutes.
        setup.apply(&stop).unwrap().undo().unwrap();
        drop(setup.apply(&stop).unwrap());
        assert_eq!(std::fs::read_to_string(log).unwrap(), "up\ndown\nup\ndown\n");
    }
}
