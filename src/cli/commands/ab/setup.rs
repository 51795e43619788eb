//! Commands before each run, and what undoes them: always, whatever happens in between.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::guard::{Guard, all_of, wait};
use crate::cli::error::CliError;
use crate::cli::output::warn_stderr;
use crate::sys;

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
    pub(super) fn new(
        side: &'static str,
        command: &str,
        undo: Option<&str>,
    ) -> Result<Self, CliError> {
        let undo = match undo {
            Some(undo) => undo.to_owned(),
            None => undo_of_sysctl(side, command)?,
        };
        Ok(Self { side, command: command.to_owned(), undo })
    }

    /// Runs the command. Where it fails, it is undone all the same: it may have come half way.
    pub(super) fn apply(&self, stop: &AtomicBool) -> Result<SetupState<'_>, CliError> {
        let fails = |why: String| {
            let (side, command) = (self.side, self.command.clone());
            CliError::Setup { side, command, why }
        };
        // Before there is anything to undo.
        let guard = Guard::post(&self.undo)
            .map_err(|error| fails(format!("cannot run sh, which would undo it: {error}")))?;
        let standing = SetupState { setup: self, guard: Some(guard) };
        match shell(&self.command, stop) {
            Ok(()) => Ok(standing),
            Err(why) => {
                let undo = &self.undo;
                let also = match standing.undo() {
                    Ok(()) => format!("it was undone ('{undo}')"),
                    Err(_) => format!("undoing it failed, too ('{undo}'): undo it by hand"),
                };
                Err(fails(format!("{why}; {also}")))
            }
        }
    }
}

impl SetupState<'_> {
    pub(super) fn undo(mut self) -> Result<(), CliError> {
        self.put_back().map_err(|why| CliError::Undo {
            side: self.setup.side,
            command: self.setup.undo.clone(),
            why,
        })
    }

    /// Undoes it once.
    fn put_back(&mut self) -> Result<(), String> {
        let Some(mut guard) = self.guard.take() else { return Ok(()) };
        let (status, said) = guard.relieve().map_err(|error| error.to_string())?;
        verdict(status, &said)
    }
}

impl Drop for SetupState<'_> {
    fn drop(&mut self) {
        if let Err(why) = self.put_back() {
            warn_stderr(&format!("'{}' failed ({why}); undo it by hand", self.setup.undo));
        }
    }
}

/// Runs it by sh(1); its output goes to no pipe, which a server that it starts would keep open.
fn shell(command: &str, stop: &AtomicBool) -> Result<(), String> {
    let (status, said) = run(command, stop).map_err(|error| format!("cannot run sh: {error}"))?;
    if stop.load(Ordering::Relaxed) && !status.success() {
        return Err("interrupted".to_owned());
    }
    verdict(status, &said)
}

/// The error of an exit status, with the last line of the output.
fn verdict(status: ExitStatus, said: &str) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    let last = said.trim().lines().last().unwrap_or_default();
    Err(if last.is_empty() { status.to_string() } else { format!("{status}: {last}") })
}

fn run(command: &str, stop: &AtomicBool) -> io::Result<(ExitStatus, String)> {
    let mut said = tempfile::tempfile()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?);
    // It must not run on while it is undone.
    let mut child = sys::end_with_parent(&mut shell).spawn()?;
    let status = wait(&mut child, stop, Duration::ZERO)?;
    Ok((status, all_of(&mut said)?))
}

/// The command that restores the current values that `sysctl -w a.b=c` changes.
fn undo_of_sysctl(side: &str, command: &str) -> Result<String, CliError> {
    let lower = side.to_ascii_lowercase();
    let unknown = || {
        CliError::Contradiction(format!(
            "--setup-{lower} '{command}': only sysctl is undone automatically; add --undo-{lower} \
             with the command that undoes it, or --undo-{lower} true where nothing has to be"
        ))
    };
    let settings = sysctls(command).ok_or_else(unknown)?;
    let mut undo = vec!["sysctl".to_owned(), "-q".to_owned(), "-w".to_owned()];
    for name in settings {
        let output = Command::new("sysctl").args(["-n", &name]).stdin(Stdio::null()).output();
        let fails = |why: String| CliError::Sysctl { name: name.clone(), why };
        let output = output.map_err(|error| fails(format!("sysctl: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(fails(said));
        }
        let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        undo.push(format!("{name}={value}"));
    }
    shlex::try_join(undo.iter().map(String::as_str)).map_err(|_| unknown())
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
    fn sysctl_alone_is_known_to_be_undone() {
        let names = |command: &str| sysctls(command);
        assert_eq!(
            names("sysctl -w net.core.rmem_max=1 net.ipv4.udp_mem='1 2 3'"),
            Some(vec!["net.core.rmem_max".to_owned(), "net.ipv4.udp_mem".to_owned()])
        );
        assert_eq!(names("/sbin/sysctl -qw a.b=1"), Some(vec!["a.b".to_owned()]));
        for other in [
            "ethtool -K eth0 gro off",
            "sysctl -p",
            "sysctl -w a.b=1; reboot",
            "sysctl -w a.b=1 && true",
            "sysctl",
            "sysctl -w a.b=$(cat x)",
            "sysctl -w net.ipv4.conf.all.rp_filter=0",
            "sysctl -w net.ipv4.conf.*.rp_filter=0",
            "",
        ] {
            assert_eq!(names(other), None, "{other}");
        }
        let error = undo_of_sysctl("B", "ethtool -K eth0 gro off").unwrap_err().to_string();
        assert!(error.contains("add --undo-b"), "{error}");
    }

    #[test]
    fn what_stands_is_undone_once_and_always() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let say = |word: &str| format!("echo {word} >> {}", log.display());
        let read = || std::fs::read_to_string(&log).unwrap();
        let setup = Setup::new("A", &say("up"), Some(&say("down"))).unwrap();
        let stop = AtomicBool::new(false);
        setup.apply(&stop).unwrap().undo().unwrap();
        assert_eq!(read(), "up\ndown\n");
        drop(setup.apply(&stop).unwrap());
        assert_eq!(read(), "up\ndown\nup\ndown\n");
    }

    #[test]
    fn what_a_setup_starts_may_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let start = format!("sleep 600 & echo $! > {}", pid.display());
        let kill = format!("kill $(cat {})", pid.display());
        let setup = Setup::new("A", &start, Some(&kill)).unwrap();
        // Held by what was started, a pipe would keep this waiting for ten minutes.
        setup.apply(&AtomicBool::new(false)).unwrap().undo().unwrap();
    }
}
