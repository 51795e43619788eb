//! Errors and exit codes; and the one place where a panic is caught.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::compare::{CompareError, store::StoreError};
use crate::fleet::FleetError;
use crate::host::ServerError;
use crate::payload::PayloadError;
use crate::plan::PlanError;
use crate::report::RenderError;
use crate::run::RunError;
use crate::search::SearchError;
use crate::talk::TalkError;
use crate::unit::{UnitError, did_you_mean};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    /// A `--fail-if` held, no rate met the goal of a search, something was found to be worse, or a
    /// check of `selftest` failed.
    ConditionHeld = 3,
    Undecided = 4,
    Invalid = 5,
    /// 128 + SIGINT, the convention of shells.
    Interrupted = 130,
}

impl Exit {
    /// All of them, the worst first.
    const BY_SEVERITY: [Self; 7] = [
        Self::Interrupted,
        Self::Usage,
        Self::Failed,
        Self::Invalid,
        Self::ConditionHeld,
        Self::Undecided,
        Self::Success,
    ];

    /// That of this code.
    pub(crate) fn of(code: u8) -> Option<Self> {
        Self::BY_SEVERITY.into_iter().find(|exit| *exit as u8 == code)
    }
}

/// The exit code of several: the worst.
pub(crate) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    let rank = |exit: &Exit| Exit::BY_SEVERITY.iter().position(|one| one == exit);
    exits.into_iter().min_by_key(rank).unwrap_or(Exit::Success)
}

/// All exit codes: what each means, and more about it.
pub(crate) const EXITS: &[(Exit, &str, &str)] = &[
    (Exit::Success, "success", "The run ended as asked, and every --fail-if passed."),
    (
        Exit::Failed,
        "could not run, or ended early by an error",
        "The message on standard error says what is wrong and what to do.",
    ),
    (Exit::Usage, "invalid command line", "See --help of the command."),
    (
        Exit::ConditionHeld,
        "a --fail-if held, a search found no rate, B is worse, or selftest failed",
        "The report has the result of each condition and check.",
    ),
    (
        Exit::Undecided,
        "the runs do not decide which side is better",
        "More --trials or longer runs may decide.",
    ),
    (
        Exit::Invalid,
        "invalid: the run did not test what was asked",
        "In one cell or more, no datagram was sent, arrived or was answered, the target was \
         unreachable, more of the schedule was missed than --max-missed allows, or no second \
         request of --then was sent. The field invalid_because has the reasons.",
    ),
    (
        Exit::Interrupted,
        "interrupted by a signal",
        "The report covers what was measured until then. 128 + SIGINT, as shells do.",
    ),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error("cannot show {path}: {source}")]
    Stored { path: PathBuf, source: RenderError },
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("{0}")]
    Usage(String),
    #[error("target '{target}': {why}")]
    Target { target: String, why: String },
    #[error("{from}: {source}")]
    Requests { from: String, source: PayloadError },
    #[error("cannot read {path} for --{flag}: {why}")]
    Input { flag: &'static str, path: PathBuf, why: String },
    #[error("cannot write {path}: {}; choose another path for --{flag}", file_reason(.source))]
    File { flag: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    #[error("cannot serve metrics on {address}: {source}; choose another address for --metrics")]
    Metrics { address: SocketAddr, source: io::Error },
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    #[error("internal error in the {part}: {reason}; this is a bug in udperf; please report it")]
    Bug { part: String, reason: String },
    #[error(transparent)]
    Format(#[from] RenderError),
    #[error("{place}: {source}")]
    InFile { place: String, source: Box<Self> },
    #[error("step '{name}': {source}")]
    Step { name: String, source: Box<Self> },
}

fn file_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such folder".to_owned(),
        io::ErrorKind::AlreadyExists => "it exists".to_owned(),
        io::ErrorKind::NotConnected => "no program reads it".to_owned(),
        kind => kind.to_string(),
    }
}

impl CliError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            // Stopped before there was anything to report.
            Self::Run(RunError::NothingTried) => Exit::Interrupted,
            // Valid arguments, but not supported on this host.
            Self::Plan(PlanError::NoEngine { .. }) => Exit::Failed,
            Self::Requests { source, .. } if source.is_of_a_file() => Exit::Failed,
            Self::Unit(_) | Self::Plan(_) | Self::Requests { .. } => Exit::Usage,
            Self::Usage(_) | Self::Target { .. } => Exit::Usage,
            Self::InFile { source, .. } | Self::Step { source, .. } => source.exit(),
            _ => Exit::Failed,
        }
    }
}

pub(crate) type CliResult<T = Exit> = Result<T, CliError>;

pub(crate) fn usage<T>(why: impl Into<String>) -> CliResult<T> {
    Err(CliError::Usage(why.into()))
}

/// `did you mean …?`, if a name is like the word.
pub(crate) fn similar<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    Some(did_you_mean(word, names).trim_end().to_owned()).filter(|hint| !hint.is_empty())
}

/// In debug builds, the step named by this variable panics, for tests.
#[cfg(debug_assertions)]
const PANIC_IN: &str = "UDPERF_TEST_PANIC_IN";

/// Runs a step after a run. A panic becomes an error that names the step.
pub(crate) fn guarded<T>(part: &str, work: impl FnOnce() -> T) -> CliResult<T> {
    let work = || {
        #[cfg(debug_assertions)]
        if std::env::var(PANIC_IN).is_ok_and(|name| part.starts_with(&name)) {
            panic!("{PANIC_IN} asks for it");
        }
        work()
    };
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("no message").to_owned();
        CliError::Bug { part: part.to_owned(), reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let error = guarded("text", || Vec::<u64>::new()[3]).unwrap_err().to_string();
        assert!(error.starts_with("internal error in the text: index out of bounds"), "{error}");
        let error = guarded("cell", || std::panic::panic_any(3_u8)).unwrap_err().to_string();
        assert!(error.contains("no message"), "{error}");
    }
}
