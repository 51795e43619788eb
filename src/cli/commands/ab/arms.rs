//! The sides A and B: their programs, arguments and setups.

use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use super::setup::Setup;
use crate::cli::args::{AbArgs, Cli, Command};
use crate::cli::error::{CliError, CliResult, usage};
use crate::compare::store::reason;
use crate::report::read::WITH_CELLS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AbSide {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    is_other: bool,
    pub(super) args: Vec<String>,
    flags: String,
    setup: Option<(String, Option<String>)>,
}

pub(super) fn sides(args: &AbArgs) -> CliResult<[AbSide; 2]> {
    let word = args.command.first().map_or("", String::as_str);
    if !WITH_CELLS.contains(&word) {
        let names = WITH_CELLS.join(", ");
        return usage(format!("ab cannot run '{word}'; name one of {names} after --"));
    }
    let own = std::env::current_exe()
        .map_err(|error| CliError::Program { path: "udperf".into(), why: error.to_string() })?;
    let side = |name: &'static str, flags: &String, program: &Option<PathBuf>, setup| {
        let lower = name.to_ascii_lowercase();
        let Some(words) = shlex::split(flags) else {
            return usage(format!("--{lower} '{flags}' has an unclosed quote; close it"));
        };
        let is_other = program.is_some();
        let path = program.as_ref().unwrap_or(&own);
        // An absolute path: children would look for a bare name in PATH.
        let program = std::fs::canonicalize(path)
            .map_err(|error| CliError::Program { path: path.clone(), why: reason(&error) })?;
        let side = AbSide {
            name,
            is_other,
            program,
            args: args.command.iter().chain(&words).cloned().collect(),
            flags: flags.clone(),
            setup,
        };
        side.check()?;
        match twice(&args.command, &words) {
            Some(flag) => usage(format!(
                "{flag} is in the command and in --{lower}: it would have both values; omit it \
                 after --, and name it in --a and --b"
            )),
            None => Ok(side),
        }
    };
    let setup_a = args.setup_a.clone().map(|setup| (setup, args.undo_a.clone()));
    let setup_b = args.setup_b.clone().map(|setup| (setup, args.undo_b.clone()));
    Ok([side("A", &args.a, &args.bin_a, setup_a)?, side("B", &args.b, &args.bin_b, setup_b)?])
}

/// The first flag of a side that the command has, too: a list would grow, not be replaced.
fn twice(command: &[String], side: &[String]) -> Option<String> {
    let program = Cli::command();
    let known = program.find_subcommand(command.first()?)?;
    let flag = |word: &String| {
        let rest = word.strip_prefix('-')?;
        let mut args = known.get_arguments().filter(|arg| !arg.is_positional());
        let arg = args.find(|arg| match rest.strip_prefix('-') {
            Some(long) => arg.get_long() == long.split('=').next(),
            None => rest.starts_with(|short| arg.get_short() == Some(short)),
        });
        arg.map(|arg| arg.get_id().clone())
    };
    let of_command: Vec<_> = command.iter().filter_map(flag).collect();
    side.iter().find(|word| flag(word).is_some_and(|id| of_command.contains(&id))).cloned()
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

    pub(super) fn setup(&self) -> CliResult<Option<Setup>> {
        let Some((command, undo)) = &self.setup else { return Ok(None) };
        Setup::new(self.name, command, undo.as_deref()).map(Some)
    }

    /// Refuses what this program does not understand; another program may understand more.
    fn check(&self) -> CliResult<()> {
        let words = ["udperf"].into_iter().chain(self.args.iter().map(String::as_str));
        let cli = match Cli::try_parse_from(words) {
            Ok(cli) => cli,
            Err(_) if self.is_other => return Ok(()),
            Err(error) => {
                let text = error.to_string();
                let text = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
                let (name, command) = (self.name, &self.args[0]);
                return usage(format!("{name}: {text}; see udperf {command} --help"));
            }
        };
        let Command::Measure(command) = &cli.command else { return Ok(()) };
        let cells = command.cells();
        let output = &cells.output;
        if output.common.json.is_some()
            || output.files().iter().any(|(_, file)| file.is_some())
            || output.is_gated()
            || output.common.quiet
            || cells.trials != 1
        {
            return usage(
                "--trials, --fail-if, -q, -J and other files are for single runs; omit them and \
                 give ab its own --trials, -q and -J",
            );
        }
        Ok(())
    }
}
