//! How the program ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::compare::{CompareError, store::StoreError};
use crate::payload::PayloadError;
use crate::plan::{PlanError, WordError};
use crate::report::RenderError;
use crate::run::RunError;
use crate::search::SearchError;
use crate::talk::TalkError;
use crate::unit::UnitError;

/// Exit codes that users and scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Well,
    /// Could not run, or ended early by an error.
    Failed,
    /// Not understood.
    Usage,
    /// A `--fail-if` held, no rate met the goal of a search, or something was found to be worse.
    ConditionHeld,
    /// Runs did not tell, and that was not to pass.
    Undecided,
    /// The run did not test what was asked; the reasons are in `invalid_because`.
    Invalid,
    /// Interrupted, after the partial report.
    Interrupted,
}

/// The exit code after a signal: 128 + SIGINT, the convention of shells.
pub(crate) const INTERRUPTED: u8 = 130;

/// All exit codes: what each means, and more about it.
pub(crate) const EXITS: &[(Exit, &str, &str)] = &[
    (Exit::Well, "success", "The run ended as asked, and every --fail-if passed."),
    (
        Exit::Failed,
        "could not run, or ended early by an error",
        "The message on standard error says what is wrong and what to do.",
    ),
    (Exit::Usage, "invalid command line", "See --help of the command."),
    (
        Exit::ConditionHeld,
        "a --fail-if held, a search found no rate, or B is worse",
        "The report has the result of each condition.",
    ),
    (
        Exit::Undecided,
        "the runs do not decide which side is better",
        "More --trials or longer runs may decide.",
    ),
    (
        Exit::Invalid,
        "invalid: the run did not test what was asked",
        "Nothing was sent, arrived or was answered, too much of the schedule was missed, or the \
         target was unreachable. The field invalid_because has the reasons.",
    ),
    (
        Exit::Interrupted,
        "interrupted by a signal",
        "The report covers what was measured until then. 128 + SIGINT, as shells do.",
    ),
];

impl Exit {
    /// The number that the program ends with.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::ConditionHeld => 3,
            Self::Undecided => 4,
            Self::Invalid => 5,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the program could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A number with a unit was not one.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// A word was none of those it could be.
    #[error(transparent)]
    Word(#[from] WordError),
    /// The whole cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Runs that cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Stored runs that cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of many runs failed.
    #[error("run {number} of {side}: {why}")]
    Arm {
        /// `A` or `B`.
        side: &'static str,
        /// Which, from 1.
        number: usize,
        /// What it said.
        why: String,
    },
    /// A setting that could not be put back, as it cannot be read.
    #[error(
        "what {name} is now cannot be read ({why}), so it could not be put back; see sysctl -a"
    )]
    Sysctl {
        /// Its name.
        name: String,
        /// What was said.
        why: String,
    },
    /// A program that is not there.
    #[error("cannot run {path}: {why}; name a udperf")]
    Program {
        /// As asked.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// What was to be set up could not be.
    #[error("the setup of {side}, '{command}', failed: {why}")]
    Setup {
        /// `A` or `B`.
        side: &'static str,
        /// As typed.
        command: String,
        /// What it said.
        why: String,
    },
    /// What was set up could not be undone.
    #[error("the setup of {side} is still there: '{command}' failed ({why}); do it by hand")]
    Undo {
        /// `A` or `B`.
        side: &'static str,
        /// What undoes it.
        command: String,
        /// What it said.
        why: String,
    },
    /// The run ended early.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A conversation ended early.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// A kept run that cannot be shown as asked.
    #[error("cannot show {path}: {source}")]
    Kept {
        /// Its file.
        path: PathBuf,
        /// What is wrong, and what mends it.
        source: RenderError,
    },
    /// Runs that have nothing of what was asked for.
    #[error("{0}")]
    NothingToShow(String),
    /// A search cannot go on.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// Two flags that exclude each other by their values.
    #[error("{0}")]
    Contradiction(String),
    /// A target that cannot be, or shall not be.
    #[error("target '{target}': {why}")]
    Target {
        /// As typed.
        target: String,
        /// What is wrong, and what mends it.
        why: String,
    },
    /// A key that cannot be read.
    #[error("no key in {from}: {why}; give a file or a variable that holds one")]
    Key {
        /// Where it was looked for.
        from: String,
        /// What is wrong.
        why: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {why}; see getrandom(2)")]
    Random {
        /// What it says.
        why: String,
    },
    /// Requests that cannot be made as asked.
    #[error("{from}: {source}")]
    Requests {
        /// The flag that they come from, with its file.
        from: String,
        /// What is wrong, and what mends it.
        source: PayloadError,
    },
    /// A file that cannot be read, or is not what it should be.
    #[error("cannot read {path} for --{flag}: {why}")]
    Input {
        /// The flag that names it.
        flag: &'static str,
        /// As asked.
        path: PathBuf,
        /// What is wrong, and what mends it.
        why: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {}; choose another path for --{flag}", file_reason(.source))]
    File {
        /// The flag that asked for it.
        flag: &'static str,
        /// As asked.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Standard output failed, other than by being closed.
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    /// Signals could not be taken.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// A step after the run panicked, which is a bug in udperf.
    #[error("internal error in the {part}: {reason}; this is a bug in udperf; please report it")]
    Bug {
        /// Which part.
        part: String,
        /// The message of the panic.
        reason: String,
    },
    /// A format that could not be rendered.
    #[error(transparent)]
    Format(#[from] RenderError),
    /// Something could not be put into text, which is a bug in udperf.
    #[error("cannot render the {what}: {reason}; please report this")]
    Render {
        /// What it is.
        what: &'static str,
        /// What it says.
        reason: String,
    },
}

/// Why a file cannot be written, without the name of the temporary file beside it.
fn file_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        kind => kind.to_string(),
    }
}

impl CliError {
    /// The exit code that says so.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            // Stopped before there was anything to report.
            Self::Run(RunError::NothingTried) => Exit::Interrupted,
            // Well said, but not on this host.
            Self::Plan(PlanError::NoEngine { .. }) => Exit::Failed,
            // A file that holds nothing to send.
            Self::Requests { source, .. } if source.is_of_a_file() => Exit::Failed,
            Self::Unit(_)
            | Self::Word(_)
            | Self::Plan(_)
            | Self::Requests { .. }
            | Self::Contradiction(_)
            | Self::Target { .. } => Exit::Usage,
            Self::Run(_)
            | Self::Talk(_)
            | Self::Compare(_)
            | Self::Store(_)
            | Self::Arm { .. }
            | Self::Sysctl { .. }
            | Self::Program { .. }
            | Self::Setup { .. }
            | Self::Undo { .. }
            | Self::Kept { .. }
            | Self::NothingToShow(_)
            | Self::Search(_)
            | Self::File { .. }
            | Self::Input { .. }
            | Self::Key { .. }
            | Self::Random { .. }
            | Self::Stdout(_)
            | Self::Signals(_)
            | Self::Bug { .. }
            | Self::Format(_)
            | Self::Render { .. } => Exit::Failed,
        }
    }
}
