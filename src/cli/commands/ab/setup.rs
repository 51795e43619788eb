//! Commands before each run, which are always undone.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::child::{Guard, run_to_end};
use crate::cli::error::{CliError, CliResult, usage};
use crate::cli::output::warn_stderr;

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
    /// `None` once it is undone.
    guard: Option<Guard>,
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
        let fails =
            |why: String| CliError::Setup { side: self.side, command: self.command.clone(), why };
        let guard = Guard::start(&self.undo)
            .map_err(|error| fails(format!("cannot run sh, which would undo it: {error}")))?;
        let state = SetupState { setup: self, guard: Some(guard) };
        match shell(&self.command, stop) {
            Ok(()) => Ok(state),
            Err(why) => {
                let undo = &self.undo;
                let also = match state.undo() {
                    Ok(()) => format!("it was undone ('{undo}')"),
                    Err(_) => format!("undoing it failed, too ('{undo}'): undo it by hand"),
                };
                Err(fails(format!("{why}; {also}")))
            }
        }
    }
}

impl SetupState<'_> {
    pub(super) fn undo(mut self) -> CliResult<()> {
        self.put_back().map_err(|why| CliError::Undo {
            side: self.setup.side,
            command: self.setup.undo.clone(),
            why,
        })
    }

    fn put_back(&mut self) -> Result<(), String> {
        let Some(mut guard) = self.guard.take() else { return Ok(()) };
        let (status, stderr) = guard.run().map_err(|error| error.to_string())?;
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
        let failed = |why: String| CliError::Sysctl { name: name.clone(), why };
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
