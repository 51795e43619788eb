//! The keys of a step as words of a command line. They follow clap's definitions: each flag is a
//! key, by its long name.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, CommandFactory, Parser, error::Error};
use toml::de::DeValue;

use super::source::{Entry, Source};
use crate::cli::args::{self, Cli};
use crate::cli::error::{CliError, CliResult, similar};
use crate::cli::output::{TO_STDOUT, replaced_file};

/// The commands that can be steps: those that measure or compare.
pub(super) const COMMANDS: [&str; 7] =
    ["bench", "blast", "load", "ping", "search", "ab", "compare"];

pub(super) fn is_step(command: &Command) -> bool {
    COMMANDS.contains(&command.get_name())
}

/// The definition of the command line.
pub(super) fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

/// A file that a step writes.
#[derive(Clone)]
pub(super) struct StepOutput {
    pub(super) key: String,
    pub(super) file: String,
    /// The place of its value in the file of steps.
    pub(super) at: usize,
}

impl StepOutput {
    /// Whether it replaces this file, which may not exist yet.
    pub(super) fn replaces(&self, other: &Path) -> bool {
        let own = replaced_file(Path::new(&self.file));
        own.is_some() && own == replaced_file(other)
    }
}

/// The words of a command, while its keys are read.
pub(super) struct CommandWords<'a> {
    definition: &'a Command,
    flags: Vec<String>,
    /// By place on the command line.
    positionals: Vec<(usize, Vec<String>)>,
    /// The flags that have a value, and their keys.
    given: Vec<(&'a Arg, Entry<'a>)>,
}

/// The key of a flag or an argument: the long name, else the letter, else the name of the value.
pub(super) fn key_of(arg: &Arg) -> Option<String> {
    if arg.is_last_set() || ["help", "version"].contains(&arg.get_id().as_str()) {
        return None;
    }
    let letter = || arg.get_short().map(String::from);
    let value = || Some(arg.get_value_names()?.first()?.to_lowercase());
    arg.get_long().map(str::to_owned).or_else(letter).or_else(value)
}

/// A key in the form of a flag: without dashes before it, and with dashes in it.
pub(super) fn flag_name(key: &str) -> String {
    key.trim_start_matches('-').replace('_', "-")
}

pub(super) fn find<'a>(definition: &'a Command, key: &str) -> Option<&'a Arg> {
    let name = flag_name(key);
    definition.get_arguments().find(|arg| key_of(arg).as_ref() == Some(&name))
}

/// Whether clap refuses both of these together.
fn exclude(definition: &Command, one: &Arg, other: &Arg) -> bool {
    let names = |from: &Arg, to: &Arg| {
        definition.get_arg_conflicts_with(from).iter().any(|arg| arg.get_id() == to.get_id())
    };
    let mut groups = definition.get_groups().cloned().filter_map(|mut group| {
        let is_exclusive = !group.is_multiple();
        is_exclusive.then_some(group)
    });
    let is_one_of =
        |arg: &Arg, group: &clap::ArgGroup| group.get_args().any(|id| id == arg.get_id());
    names(one, other)
        || names(other, one)
        || groups.any(|group| is_one_of(one, &group) && is_one_of(other, &group))
}

/// Whether a flag names a file to write.
pub(super) fn is_output(arg: &Arg) -> bool {
    let name = arg.get_value_names().and_then(|names| names.first());
    arg.get_help_heading() == Some("Output")
        && name.is_some_and(|name| name.starts_with("FILE") || name.as_str() == "PREFIX")
}

impl<'a> CommandWords<'a> {
    pub(super) const fn new(definition: &'a Command) -> Self {
        Self { definition, flags: Vec::new(), positionals: Vec::new(), given: Vec::new() }
    }

    /// Adds a key of the command itself.
    pub(super) fn add(
        &mut self,
        source: &Source<'_>,
        program: &Command,
        entry: Entry<'a>,
    ) -> CliResult<()> {
        let Some(arg) = find(self.definition, entry.key) else {
            return source.refuse(entry.key_at, self.unknown(program, entry.key));
        };
        if let Some((_, before)) = self.given.iter().find(|(one, _)| one.get_id() == arg.get_id()) {
            let (key, other) = (entry.key, before.key);
            return source.refuse(entry.key_at, format!("{key} is given twice, also as {other}"));
        }
        self.put(source, arg, entry)
    }

    /// Adds a default, if the command has this flag, and neither it nor one that excludes it is
    /// given.
    pub(super) fn add_default(&mut self, source: &Source<'_>, entry: Entry<'a>) -> CliResult<()> {
        let Some(arg) = find(self.definition, entry.key) else { return Ok(()) };
        let is_taken = self.given.iter().any(|(given, _)| {
            given.get_id() == arg.get_id() || exclude(self.definition, given, arg)
        });
        if is_taken { Ok(()) } else { self.put(source, arg, entry) }
    }

    /// Adds a value for a flag that may have several, if the command has it.
    pub(super) fn add_value(&mut self, flag: &str, value: &str) {
        if find(self.definition, flag).is_some() {
            self.flags.push(format!("--{flag}={value}"));
        }
    }

    /// Adds the value of an argument without a flag.
    pub(super) fn set_positional(&mut self, key: &str, value: &str) {
        let index = find(self.definition, key).and_then(Arg::get_index);
        self.positionals.push((index.unwrap_or(usize::MAX), vec![value.to_owned()]));
    }

    /// The flags and arguments that have a value, each with the place of the value.
    pub(super) fn places(&self) -> Vec<(String, usize)> {
        let given = self.given.iter().filter_map(|(arg, entry)| Some((key_of(arg)?, entry.at)));
        given.collect()
    }

    /// The files to write.
    pub(super) fn outputs(&self, source: &Source<'_>) -> CliResult<Vec<StepOutput>> {
        let outputs = self.given.iter().filter(|(arg, _)| is_output(arg));
        outputs
            .map(|(_, entry)| {
                let (key, file) = (entry.key.to_owned(), source.scalar(*entry)?);
                Ok(StepOutput { key, file, at: entry.at })
            })
            .collect()
    }

    fn put(&mut self, source: &Source<'_>, arg: &'a Arg, entry: Entry<'a>) -> CliResult<()> {
        let Entry { key, at, value, .. } = entry;
        let is_optional = arg.is_require_equals_set();
        let values = match value {
            DeValue::Boolean(is_on) if !arg.get_action().takes_values() || is_optional => {
                if !is_on {
                    return Ok(());
                }
                Vec::new()
            }
            _ if !arg.get_action().takes_values() => {
                return source.switch(entry).map(drop);
            }
            DeValue::Array(_) if !matches!(arg.get_action(), ArgAction::Append) => {
                return source.refuse(at, format!("{key} takes one value, not a list"));
            }
            _ => source.list(entry)?,
        };
        let goes_to_stdout = values.first().is_none_or(|value| value == "-");
        if let Some(long) = arg.get_long()
            && TO_STDOUT.contains(&long)
            && goes_to_stdout
        {
            let why = "standard output has the reports of the steps";
            return source.refuse(at, format!("{key}: {why}; name a file"));
        }
        self.given.push((arg, entry));
        match (arg.get_long(), arg.get_short()) {
            (Some(long), _) if values.is_empty() => self.flags.push(format!("--{long}")),
            (Some(long), _) => {
                let values = match arg.get_value_delimiter() {
                    Some(delimiter) => vec![values.join(&delimiter.to_string())],
                    None => values,
                };
                self.flags.extend(values.iter().map(|value| format!("--{long}={value}")));
            }
            (None, Some(letter)) => {
                self.flags.push(format!("-{letter}"));
                self.flags.extend(values);
            }
            (None, None) => {
                if let Some(flag) = values.iter().find(|value| value.starts_with('-')) {
                    return source.refuse(at, format!("{key}: '{flag}' begins with a dash"));
                }
                self.positionals.push((arg.get_index().unwrap_or(usize::MAX), values));
            }
        }
        Ok(())
    }

    fn unknown(&self, program: &Command, key: &str) -> String {
        let name = self.definition.get_name();
        let others = program.get_subcommands().filter(|command| is_step(command));
        let others = others.filter(|command| find(command, key).is_some());
        let others: Vec<_> = others.map(Command::get_name).collect();
        let own: Vec<_> = self.definition.get_arguments().filter_map(key_of).collect();
        let hint = similar(&flag_name(key), own.iter().map(String::as_str));
        match (hint, others.is_empty()) {
            (_, false) => {
                format!("'{key}' is not a flag of {name}, only of {}; omit it", others.join(", "))
            }
            (Some(hint), true) => format!("unknown key '{key}' of {name}; {hint}"),
            (None, true) => {
                format!("unknown key '{key}' of {name}; see udperf {name} --help for its flags")
            }
        }
    }

    /// The words, and the command that clap parses them into. Errors without a key are at `place`.
    pub(super) fn parse(
        self,
        source: &Source<'_>,
        inner: Vec<String>,
        place: (usize, &str),
    ) -> CliResult<(Vec<String>, args::Command)> {
        let Self { definition, flags, mut positionals, given } = self;
        positionals.sort_by_key(|(index, _)| *index);
        let positionals = positionals.into_iter().flat_map(|(_, values)| values);
        let command = definition.get_name().to_owned();
        let mut words: Vec<_> = [command].into_iter().chain(flags).chain(positionals).collect();
        if !inner.is_empty() {
            words.push("--".to_owned());
            words.extend(inner);
        }
        let program = OsString::from("udperf");
        let all = [program].into_iter().chain(words.iter().map(OsString::from));
        match Cli::try_parse_from(all) {
            Ok(cli) => Ok((words, cli.command)),
            Err(error) => {
                let (at, name) = place;
                let key = invalid_key(&error, &given);
                let why = CliError::Usage(format!("step '{name}': {}", args::reason(&error)));
                Err(source.at(key.map_or(at, |entry| entry.at), why))
            }
        }
    }
}

/// The entry that clap refuses.
fn invalid_key<'a>(error: &Error, given: &[(&Arg, Entry<'a>)]) -> Option<Entry<'a>> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let word = shown.split([' ', '=']).next().unwrap_or_default();
    let word = word.trim_matches(['-', '<', '>', '[', ']', '.']).to_lowercase();
    given.iter().find(|(arg, _)| key_of(arg).as_ref() == Some(&word)).map(|(_, entry)| *entry)
}
