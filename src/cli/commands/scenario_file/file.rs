//! Reads and checks a scenario file.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;
use toml::de::{DeTable, DeValue};

use super::source::{Entry, Source, entries};
use super::words::{COMMANDS, CommandWords, StepOutput, find, is_step, key_of, program};
use crate::cli::args::{self, HIDDEN};
use crate::cli::error::{CliError, CliResult, similar, usage};
use crate::report::read::WITH_CELLS;
use crate::unit::did_you_mean;

/// Keys of the whole file, beside the defaults of flags.
const OF_FILE: [&str; 4] = ["variables", "labels", "stop_on_failure", "step"];
/// Keys of a step, beside the flags of its command.
const OF_STEP: [&str; 5] = ["name", "command", "tags", "baseline", "inner"];

pub(super) struct ScenarioFile {
    /// Those that are part of secrets are hidden.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) stop_on_failure: bool,
    pub(super) steps: Vec<PlannedStep>,
}

pub(super) struct PlannedStep {
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    /// The words of its command, without the program.
    pub(super) words: Vec<String>,
    pub(super) command: args::Command,
    /// The words of `compare` up to its second document.
    pub(super) baseline: Option<Baseline>,
    pub(super) outputs: Vec<StepOutput>,
    /// Its first byte in the file.
    pub(super) at: usize,
    /// Its flags and arguments, and those of its inner command, with the places of their values.
    places: Vec<Place>,
}

impl PlannedStep {
    /// The place of the first flag that an error names, else that of the step.
    pub(super) fn place_of(&self, error: &CliError) -> usize {
        let text = error.to_string();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let named = |key: &str| match error {
            CliError::Target { .. } if key == "target" => Some(0),
            _ => {
                let flag = format!("--{key}");
                let mut found = text.match_indices(&flag);
                let ends = |at: usize| !text[at + flag.len()..].starts_with(is_word);
                found.find(|(at, _)| ends(*at)).map(|(at, _)| at)
            }
        };
        let found = self.places.iter().filter_map(|(key, at)| Some((named(key)?, *at)));
        found.min().map_or(self.at, |(_, at)| at)
    }
}

pub(super) struct Baseline {
    pub(super) flags: Vec<String>,
    /// A document, or the name of an earlier step.
    pub(super) base: String,
    pub(super) is_step: bool,
    pub(super) outputs: Vec<StepOutput>,
    pub(super) at: usize,
}

/// A name and its value.
type Setting = (String, String);
/// A flag or an argument, and the first byte of its value in the file.
type Place = (String, usize);

/// The parts of a file that all steps share.
struct Shared<'a> {
    source: &'a Source<'a>,
    program: &'a Command,
    defaults: Vec<Entry<'a>>,
    labels: &'a BTreeMap<String, String>,
}

impl ScenarioFile {
    /// Reads the text; `settings` replace values of its variables, and labels are added.
    pub(super) fn read(
        path: &Path,
        text: &str,
        settings: &[Setting],
        more_labels: &[Setting],
    ) -> CliResult<Self> {
        let mut source = Source::new(path, text);
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            source.at(at, CliError::Usage(format!("not TOML: {}", error.message())))
        })?;
        let all = entries(table.get_ref());
        let own = |name: &str| all.iter().find(|entry| own_key(entry) == name).copied();
        if let Some(entry) = own("variables") {
            source.variables = named_values(&source, entry)?;
        }
        for (name, value) in settings {
            if let Some(variable) = source.variables.get_mut(name) {
                variable.clone_from(value);
                continue;
            }
            let known: Vec<_> = source.variables.keys().map(String::as_str).collect();
            let hint = did_you_mean(name, known.iter().copied());
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let of = path.display();
            return usage(format!(
                "--set {name}: {of} has no such variable; {hint}it has: {known}"
            ));
        }
        let mut labels = match own("labels") {
            Some(entry) => named_values(&source, entry)?,
            None => BTreeMap::new(),
        };
        labels.extend(more_labels.iter().cloned());
        let stop_on_failure = own("stop_on_failure").map(|entry| source.switch(entry));
        let stop_on_failure = stop_on_failure.transpose()?.unwrap_or_default();
        let program = program();
        let defaults = defaults(&source, &program, &all)?;
        let shared = Shared { source: &source, program: &program, defaults, labels: &labels };
        let steps = match own("step").map(|entry| (entry, entry.value)) {
            Some((entry, DeValue::Array(items))) if items.is_empty() => {
                return source.refuse(entry.at, "it has no step; write [[step]]");
            }
            Some((entry, DeValue::Array(items))) => items
                .iter()
                .map(|item| {
                    let (value, at) = (item.get_ref(), item.span().start);
                    shared.step(Entry { value, at, ..entry })
                })
                .collect::<CliResult<Vec<_>>>()?,
            Some((entry, DeValue::Table(_))) => {
                let why = "[step] is a single table; write [[step]] before each step";
                return source.refuse(entry.key_at, why);
            }
            Some((entry, _)) => {
                return source.refuse(entry.at, "steps are tables; write [[step]] before each");
            }
            None => return source.refuse(0, "it has no step; write [[step]], or see run --init"),
        };
        refuse_twice(&source, &steps)?;
        check_base_steps(&source, &steps)?;
        let Source { mut variables, secret_variables, .. } = source;
        for name in secret_variables.take() {
            variables.insert(name, HIDDEN.to_owned());
        }
        Ok(Self { variables, labels, stop_on_failure, steps })
    }
}

/// A key of the file or a step, without a dash before it, which would make it a flag.
fn own_key(entry: &Entry<'_>) -> String {
    entry.key.replace(|c: char| c == '-' && !entry.key.starts_with('-'), "_")
}

fn named_values(source: &Source<'_>, entry: Entry<'_>) -> CliResult<BTreeMap<String, String>> {
    let table = source.table(entry, &format!("[{}]", entry.key))?;
    let named = |one: Entry<'_>| match one.key.contains('=') || one.key.is_empty() {
        // It is a part of NAME=VALUE.
        true => source.refuse(one.key_at, format!("'{}' is no name; use one without =", one.key)),
        false => Ok((one.key.to_owned(), source.scalar(one)?)),
    };
    table.into_iter().map(named).collect()
}

/// The flags of the whole file, each of which some command must have.
fn defaults<'a>(
    source: &Source<'_>,
    program: &Command,
    all: &[Entry<'a>],
) -> CliResult<Vec<Entry<'a>>> {
    let defaults: Vec<_> =
        all.iter().copied().filter(|one| !OF_FILE.contains(&own_key(one).as_str())).collect();
    for entry in &defaults {
        let commands = || program.get_subcommands().filter(|command| is_step(command));
        if OF_STEP.contains(&own_key(entry).as_str()) {
            let key = entry.key;
            let flag = if key == "name" { "; the flag --name is the key --name" } else { "" };
            return source.refuse(entry.key_at, format!("{key} belongs in a [[step]]{flag}"));
        }
        if !commands().any(|command| find(command, entry.key).is_some()) {
            let keys = commands().flat_map(|one| one.get_arguments().filter_map(key_of));
            let keys: Vec<_> = keys.collect();
            let keys = keys.iter().map(String::as_str).chain(OF_FILE);
            let hint = similar(&entry.key.replace('_', "-"), keys);
            let hint = hint.unwrap_or_else(|| "no command has this flag".to_owned());
            return source.refuse(entry.key_at, format!("unknown key '{}'; {hint}", entry.key));
        }
    }
    Ok(defaults)
}

impl<'a> Shared<'a> {
    fn step(&self, item: Entry<'a>) -> CliResult<PlannedStep> {
        let source = self.source;
        let all = source.table(item, "[[step]]")?;
        let own = |name: &str| all.iter().find(|entry| own_key(entry) == name).copied();
        let Some(name_entry) = own("name") else {
            return source.refuse(item.at, "a step needs a name, such as name = \"smoke\"");
        };
        let name = source.scalar(name_entry)?;
        if name.trim().is_empty() || name.starts_with("tag:") {
            let why = format!("invalid name '{name}'; use a word or a few, not tag:");
            return source.refuse(name_entry.at, why);
        }
        let tags = own("tags").map(|entry| source.list(entry)).transpose()?.unwrap_or_default();
        let definition = self.definition(&all, item.at, &COMMANDS)?;
        let mut words = CommandWords::new(definition);
        for entry in all.iter().filter(|one| !OF_STEP.contains(&own_key(one).as_str())) {
            if OF_FILE.contains(&own_key(entry).as_str()) {
                let why = format!("{} is of the whole file; put it before all steps", entry.key);
                return source.refuse(entry.key_at, why);
            }
            words.add(source, self.program, *entry)?;
        }
        for entry in &self.defaults {
            words.add_default(source, *entry)?;
        }
        for (key, value) in self.labels {
            words.add_value("label", &format!("{key}={value}"));
        }
        let (mut outputs, mut places) = (words.outputs(source)?, words.places());
        let (inner, inner_places) = self.inner(definition, own("inner"), item.at, &name)?;
        places.extend(inner_places);
        let (words, command) = words.parse(source, inner, (item.at, &name))?;
        let baseline = match own("baseline") {
            Some(entry) if WITH_CELLS.contains(&definition.get_name()) => {
                Some(self.baseline(entry, &name)?)
            }
            Some(entry) => {
                let command = definition.get_name();
                let why = format!("{command} has no baseline, only {}", WITH_CELLS.join(", "));
                return source.refuse(entry.key_at, why);
            }
            None => None,
        };
        outputs.extend(baseline.iter().flat_map(|baseline| baseline.outputs.clone()));
        let at = name_entry.key_at;
        Ok(PlannedStep { name, tags, words, command, baseline, outputs, at, places })
    }

    /// The definition of the command that a table names.
    fn definition(
        &self,
        table: &[Entry<'_>],
        at: usize,
        allowed: &[&str],
    ) -> CliResult<&'a Command> {
        let names = allowed.join(", ");
        let Some(entry) = table.iter().find(|entry| entry.key == "command") else {
            return self.source.refuse(at, format!("a step needs a command, one of {names}"));
        };
        let word = self.source.scalar(*entry)?;
        let found = allowed.contains(&word.as_str()).then(|| self.program.find_subcommand(&word));
        found.flatten().map_or_else(
            || {
                let hint = similar(&word, allowed.iter().copied());
                let hint = hint.unwrap_or_else(|| format!("use one of {names}"));
                self.source.refuse(entry.at, format!("'{word}' cannot be a step; {hint}"))
            },
            Ok,
        )
    }

    /// The words of the command inside a search or ab, and the places of its values.
    fn inner(
        &self,
        definition: &Command,
        entry: Option<Entry<'a>>,
        at: usize,
        name: &str,
    ) -> CliResult<(Vec<String>, Vec<Place>)> {
        let has_inner = definition.get_arguments().any(clap::Arg::is_last_set);
        let (command, example) = (definition.get_name(), "inner = { command = \"load\", … }");
        match entry {
            Some(entry) if !has_inner => {
                let why = format!("{command} has no inner command; only search and ab have");
                self.source.refuse(entry.key_at, why)
            }
            Some(entry) => {
                let table = self.source.table(entry, example)?;
                let mut words =
                    CommandWords::new(self.definition(&table, entry.at, &WITH_CELLS)?);
                for entry in table.iter().filter(|entry| entry.key != "command") {
                    words.add(self.source, self.program, *entry)?;
                }
                let places = words.places();
                Ok((words.parse(self.source, Vec::new(), (entry.at, name))?.0, places))
            }
            None if has_inner => {
                self.source.refuse(at, format!("{command} needs an inner command: {example}"))
            }
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    /// How to compare the step with its baseline: a path, or a table of keys of `compare`.
    fn baseline(&self, entry: Entry<'a>, name: &str) -> CliResult<Baseline> {
        let source = self.source;
        let Some(definition) = self.program.find_subcommand("compare") else {
            return source.refuse(entry.at, "there is no compare");
        };
        let table = match entry.value {
            DeValue::Table(table) => entries(table),
            _ => vec![Entry { key: "base", ..entry }],
        };
        let find = |key: &str| table.iter().find(|one| one.key == key).copied();
        let (base, is_step) = match (find("base"), find("step")) {
            (Some(base), None) => (base, false),
            (None, Some(step)) => (step, true),
            (Some(_), Some(step)) => {
                return source.refuse(step.key_at, "a baseline has base or step, not both");
            }
            (None, None) => {
                let why =
                    "a baseline needs base, a document, or step, an earlier step of this file";
                return source.refuse(entry.at, why);
            }
        };
        let base = source.scalar(base)?;
        let mut words = CommandWords::new(definition);
        for one in table.iter().filter(|one| one.key != "step") {
            words.add(source, self.program, *one)?;
        }
        let outputs = words.outputs(source)?;
        if is_step {
            words.set_positional("base", "BASE");
        }
        // The document of the step is not known yet.
        words.set_positional("new", "NEW");
        let (mut flags, _) = words.parse(source, Vec::new(), (entry.at, name))?;
        flags.truncate(flags.len() - 2);
        let any_scenario = "--any-scenario".to_owned();
        // Steps of one file differ on purpose.
        if is_step && !flags.contains(&any_scenario) {
            flags.push(any_scenario);
        }
        Ok(Baseline { flags, base, is_step, outputs, at: entry.at })
    }
}

/// Refuses baselines that are no earlier step with cells.
fn check_base_steps(source: &Source<'_>, steps: &[PlannedStep]) -> CliResult<()> {
    for (number, step) in steps.iter().enumerate() {
        let Some(baseline) = step.baseline.as_ref().filter(|baseline| baseline.is_step) else {
            continue;
        };
        let earlier = steps[..number].iter().filter(|one| WITH_CELLS.contains(&&*one.words[0]));
        let earlier: Vec<_> = earlier.map(|one| one.name.as_str()).collect();
        if !earlier.contains(&baseline.base.as_str()) {
            let hint = did_you_mean(&baseline.base, earlier.iter().copied());
            let all = if earlier.is_empty() { "none".to_owned() } else { earlier.join(", ") };
            let why = format!(
                "no earlier step '{}' that measures cells; {hint}earlier ones are: {all}",
                baseline.base
            );
            return source.refuse(baseline.at, why);
        }
    }
    Ok(())
}

/// Refuses two steps of one name, and two outputs to one file.
fn refuse_twice(source: &Source<'_>, steps: &[PlannedStep]) -> CliResult<()> {
    let mut written: Vec<(&str, &StepOutput)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if steps[..number].iter().any(|other| other.name == step.name) {
            let why = format!("two steps have the name '{}'; rename one", step.name);
            return source.refuse(step.at, why);
        }
        for output in &step.outputs {
            let is_same = |(_, other): &&(_, &StepOutput)| output.replaces(Path::new(&other.file));
            if let Some((name, other)) = written.iter().find(is_same) {
                let StepOutput { key, file, at } = output;
                let why = match *name == step.name {
                    true => format!("{key}: {} writes {file}, too; name two files", other.key),
                    false => format!(
                        "{key}: steps '{name}' and '{}' would both write {file}; name two files",
                        step.name
                    ),
                };
                return source.refuse(*at, why);
            }
            written.push((&step.name, output));
        }
    }
    Ok(())
}
