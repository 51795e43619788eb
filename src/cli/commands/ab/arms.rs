//! What A is and what B is: programs, their arguments, and what is set up for them.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use super::setup::Setup;
use crate::cli::args::{AbArgs, Cli, Command};
use crate::cli::error::CliError;
use crate::compare::order::Arm;
use crate::compare::store::reason;
use crate::report::read::WITH_CELLS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AbSide {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    /// Whether the program is not this one.
    is_other: bool,
    pub(super) args: Vec<String>,
    /// Its flags as typed.
    flags: String,
    setup: Option<(String, Option<String>)>,
}

/// Flags that the runs' own documents, or the number of runs, hang on.
const OWN: &str = "--trials, --fail-if, -q, -J and other files are for single runs; omit them \
                   and give ab its own --trials, -q and -J";

pub(super) fn sides(args: &AbArgs) -> Result<[AbSide; 2], CliError> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::Program { path: "udperf".into(), why: error.to_string() })?;
    let word = args.command.first().map_or("", String::as_str);
    if !WITH_CELLS.contains(&word) {
        let why = format!("ab cannot run '{word}'; name one of {} after --", WITH_CELLS.join(", "));
        return Err(CliError::Contradiction(why));
    }
    let side = |arm: Arm| -> Result<AbSide, CliError> {
        let (name, flags, program, setup, undo) = match arm {
            Arm::A => ("A", &args.a, &args.bin_a, &args.setup_a, &args.undo_a),
            Arm::B => ("B", &args.b, &args.bin_b, &args.setup_b, &args.undo_b),
        };
        let lower = name.to_ascii_lowercase();
        let words = shlex::split(flags).ok_or_else(|| {
            let why = format!("--{lower} '{flags}' has an unclosed quote; close it");
            CliError::Contradiction(why)
        })?;
        let side = AbSide {
            name,
            is_other: program.is_some(),
            program: absolute(program.as_deref().unwrap_or(&own))?,
            args: args.command.iter().cloned().chain(words).collect(),
            flags: flags.clone(),
            setup: setup.clone().map(|setup| (setup, undo.clone())),
        };
        side.check()?;
        if let Some(flag) = twice(&args.command, &side.args[args.command.len()..]) {
            let why = format!(
                "{flag} is in the command and in --{lower}: it would have both values; omit it \
                 away after --, and name it in --a and --b"
            );
            return Err(CliError::Contradiction(why));
        }
        Ok(side)
    };
    Ok([side(Arm::A)?, side(Arm::B)?])
}

/// The first flag of a side that the command has, too: a list would grow, not be replaced.
fn twice(command: &[String], side: &[String]) -> Option<String> {
    let program = Cli::command();
    let known = program.find_subcommand(command.first()?)?;
    let flag = |word: &String| {
        let matches = |arg: &&clap::Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == long.split('=').next(),
            None => word.strip_prefix('-').and_then(|rest| rest.chars().next()) == arg.get_short(),
        };
        let of_flags = |arg: &&clap::Arg| arg.get_long().is_some() || arg.get_short().is_some();
        let mut args = known.get_arguments().filter(of_flags);
        word.starts_with('-').then(|| args.find(matches))?.map(|arg| arg.get_id().clone())
    };
    let of_command: Vec<_> = command.iter().filter_map(flag).collect();
    side.iter().find(|word| flag(word).is_some_and(|id| of_command.contains(&id))).cloned()
}

/// An absolute path: children would look for a bare name in PATH.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::fs::canonicalize(path)
        .map_err(|error| CliError::Program { path: path.to_owned(), why: reason(&error) })
}

impl AbSide {
    /// Whether both sides are equal, so that they differ by noise only.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.program == other.program && self.args == other.args && self.setup == other.setup
    }

    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        if self.is_other {
            words.push(self.program.display().to_string());
        }
        words.extend((!self.flags.is_empty()).then(|| self.flags.clone()));
        words.extend(self.setup.as_ref().map(|(setup, _)| format!("after '{setup}'")));
        if words.is_empty() { "as it is".to_owned() } else { words.join(" ") }
    }

    /// The setup of this side, ready to be undone.
    pub(super) fn setup(&self) -> Result<Option<Setup>, CliError> {
        let Some((command, undo)) = &self.setup else { return Ok(None) };
        Setup::new(self.name, command, undo.as_deref()).map(Some)
    }

    /// Refuses what this program does not understand; another program may understand more.
    fn check(&self) -> Result<(), CliError> {
        let words = ["udperf"].into_iter().chain(self.args.iter().map(String::as_str));
        let parsed = Cli::try_parse_from(words);
        if self.is_other && parsed.is_err() {
            return Ok(());
        }
        let cli = parsed.map_err(|error| {
            let text = error.to_string();
            let text = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
            CliError::Contradiction(format!(
                "{}: {text}; see udperf {} --help",
                self.name, self.args[0]
            ))
        })?;
        let cells = match &cli.command {
            Command::Bench(args) => &args.cells,
            Command::Blast(args) => &args.cells,
            Command::Load(args) => &args.exchange.cells,
            Command::Ping(args) => &args.exchange.cells,
            _ => return Ok(()),
        };
        let output = &cells.output;
        if output.common.json.is_some()
            || output.files().iter().any(|(_, file)| file.is_some())
            || !output.fail_if.is_empty()
            || output.common.quiet
            || cells.trials != 1
        {
            return Err(CliError::Contradiction(OWN.to_owned()));
        }
        Ok(())
    }
}
