//! One run: a program of its own, so that nothing of the run before is left in it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::arms::AbSide;
use super::guard::wait;
use crate::cli::error::CliError;
use crate::document::Report;
use crate::report::read::read;
use crate::sys;

/// Time for an interrupted run to end by itself. Arbitrary: longer than any drain.
const GRACE: Duration = Duration::from_secs(2);

/// Exit codes of runs that wrote a document. From [`crate::cli::Exit`].
const WITH_DOCUMENT: [i32; 2] = [0, 5];

/// Measures once; `None` if interrupted.
pub(super) fn run(
    side: &AbSide,
    number: usize,
    stop: &AtomicBool,
) -> Result<Option<Report>, CliError> {
    let fails = |why: String| CliError::Arm { side: side.name, number, why };
    let mut command = Command::new(&side.program);
    command.args(&side.args).args(["-J", "-q"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The run ends with this program: nobody would read its document.
    let child = sys::end_with_parent(&mut command).spawn();
    let mut child =
        child.map_err(|error| fails(format!("cannot run {}: {error}", side.program.display())))?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let status = wait(&mut child, stop, GRACE).map_err(|error| fails(error.to_string()))?;
    let join = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (join(stdout), join(stderr));
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match status.code() {
        Some(code) if WITH_DOCUMENT.contains(&code) => {
            let report = read(&stdout).map_err(|error| fails(format!("its document: {error}")))?;
            Ok(Some(report))
        }
        _ => {
            // Usage errors end with advice; the first line is the error.
            let said = |prefix| stderr.lines().find_map(|line| line.strip_prefix(prefix));
            let why = said("error: ").or_else(|| said("udperf: "));
            let why = why.or_else(|| stderr.trim().lines().last()).unwrap_or_default();
            Err(fails(if why.is_empty() { status.to_string() } else { why.to_owned() }))
        }
    }
}

/// Reads all output on a thread: a full pipe would block the run.
fn reader(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What was read before an error is all there is.
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
