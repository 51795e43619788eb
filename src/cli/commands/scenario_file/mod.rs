//! `udperf run`: runs the steps of a scenario file in turn. Each step is a process of its own, so
//! that it measures as the same command does alone.

mod example;
mod file;
mod process;
mod result;
#[cfg(test)]
pub(crate) mod schema;
mod source;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::measure::head;
use super::{ab, cell_command, compare, search};
use crate::cli::args::{self, HIDDEN, ScenarioArgs, hide_secrets};
use crate::cli::error::{CliError, CliResult, Exit, similar, usage, worst};
use crate::cli::output::{Outputs, print, shown, warn_stderr};
use crate::cli::stop::{StopFlag, stop_gently, stop_on_signals};
use crate::compare::store::reason;
use crate::document::Head;
use crate::fleet::Launcher;
use crate::host::{self, Depth};
use crate::report::format::RenderOptions;
use crate::scenario_result::{ScenarioDocument, ScenarioStep, heading};
use crate::unit::{Keep, show_bytes, strip_control};
use file::{PlannedStep, ScenarioFile};
use process::Runner;

/// Longest file of steps. Arbitrary: far more than people write.
const MAX_BYTES: u64 = 16 << 20;

pub(crate) fn run(args: &ScenarioArgs) -> CliResult {
    let Some(path) = args.file.as_deref().filter(|_| !args.init) else {
        return example::write(args.file.as_deref());
    };
    let started_at = SystemTime::now();
    if let Some(Launcher { name, processes }) = Launcher::of(|name| std::env::var(name).ok()) {
        return usage(format!(
            "{name} started {processes} processes, and each would run all steps; start one process"
        ));
    }
    let text = read(path).map_err(|reason| {
        let path = path.display();
        CliError::Failed(format!("cannot read {path}: {reason}; write one by udperf run --init"))
    })?;
    let file = ScenarioFile::read(path, &text, &args.set, &args.output.labels)?;
    let mut outputs = Outputs::check::<ScenarioDocument>(&args.output, &args.files())?;
    let steps = chosen(&file, &args.only)?;
    outputs.protect(baselines(&steps).chain([path]))?;
    check(args, (path, &text), &steps)?;
    if args.dry_run {
        let lines = steps
            .iter()
            .map(|step| format!("{}\n", shell_words(&hide_secrets(step.words.clone()))));
        return print(&strip_control(&lines.collect::<String>(), Keep::Lines));
    }
    // A setup is undone, whatever signals come.
    let restores = steps.iter().any(|step| matches!(step.command, args::Command::Ab(_)));
    let stop = if restores { stop_gently()? } else { stop_on_signals()? };
    let mut document = ScenarioDocument {
        head: Head {
            labels: file.labels.clone(),
            ..head("run", &args.output, started_at, &host::host_info(Depth::Quick))
        },
        file: shown(path),
        variables: file.variables.clone(),
        exit: 0,
        steps: Vec::new(),
        is_printed: outputs.prints_text(),
    };
    hide_settings(&mut document);
    let exit = run_steps(&file, &steps, (args, &outputs), &stop, &mut document)?;
    document.exit = exit as u8;
    outputs.write(&document, &RenderOptions::default())?;
    Ok(exit)
}

/// Hides the values of `--set` for hidden variables.
fn hide_settings(document: &mut ScenarioDocument) {
    for (name, _) in document.variables.iter().filter(|(_, value)| *value == HIDDEN) {
        for word in &mut document.head.command {
            for start in [format!("--set={name}="), format!("{name}=")] {
                if word.starts_with(&start) {
                    *word = format!("{start}{HIDDEN}");
                }
            }
        }
    }
}

/// Runs the steps in turn, and returns the exit code of the worst.
fn run_steps(
    file: &ScenarioFile,
    steps: &[&PlannedStep],
    (args, outputs): (&ScenarioArgs, &Outputs),
    stop: &StopFlag,
    document: &mut ScenarioDocument,
) -> CliResult {
    let runner = Runner::new(args, document.is_printed, stop)?;
    let mut exits = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let is_stopped = stop.load(Ordering::Relaxed) || exits.contains(&Exit::Interrupted);
        let failed = exits.iter().any(|exit| *exit != Exit::Success);
        let skipped = match is_stopped {
            true => Some("not run: interrupted"),
            false if failed && file.stop_on_failure => Some("not run: an earlier step failed"),
            false => None,
        };
        let mut result = ScenarioStep {
            name: step.name.clone(),
            tags: step.tags.clone(),
            command: hide_secrets(["udperf".to_owned()].into_iter().chain(step.words.clone())),
            ..ScenarioStep::default()
        };
        if let Some(why) = skipped {
            why.clone_into(&mut result.result);
        } else {
            let title = heading(number + 1, steps.len(), &result, outputs.style());
            match document.is_printed {
                true => drop(print(&strip_control(&(title + "\n\n"), Keep::LinesAndColors))?),
                false if args.output.quiet => {}
                false => {
                    let of = steps.len();
                    warn_stderr(&format!("step {} of {of}: {}", number + 1, step.name));
                }
            }
            exits.push(runner.step(&document.steps, step, &mut result));
            if document.is_printed {
                print("\n")?;
            }
        }
        document.steps.push(result);
    }
    Ok(match stop.load(Ordering::Relaxed) {
        true => Exit::Interrupted,
        false => worst(exits),
    })
}

/// The steps to run, in the order of the file.
fn chosen<'a>(file: &'a ScenarioFile, only: &[String]) -> CliResult<Vec<&'a PlannedStep>> {
    let is_meant = |step: &PlannedStep, word: &str| match word.strip_prefix("tag:") {
        Some(tag) => step.tags.iter().any(|own| own == tag),
        None => step.name == word,
    };
    for word in only {
        if !file.steps.iter().any(|step| is_meant(step, word)) {
            let tags = file.steps.iter().flat_map(|step| &step.tags);
            let tags: BTreeSet<_> = tags.map(|tag| format!("tag:{tag}")).collect();
            let names = file.steps.iter().map(|step| step.name.as_str());
            let all: Vec<_> = names.chain(tags.iter().map(String::as_str)).collect();
            let hint = similar(word, all.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("there are: {}", all.join(", ")));
            return usage(format!("--only {word}: no step has this name or tag; {hint}"));
        }
    }
    let is_chosen =
        |step: &&PlannedStep| only.is_empty() || only.iter().any(|word| is_meant(step, word));
    let chosen: Vec<_> = file.steps.iter().filter(is_chosen).collect();
    for step in &chosen {
        let Some(base) = step.baseline.as_ref().filter(|one| one.is_step).map(|one| &one.base)
        else {
            continue;
        };
        if !chosen.iter().any(|one| one.name == *base) {
            let name = &step.name;
            return usage(format!(
                "--only: step '{name}' is compared with '{base}'; add that step"
            ));
        }
    }
    Ok(chosen)
}

/// The text of a file of steps, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| reason(&error))?;
    match file.take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(bytes) if bytes as u64 > MAX_BYTES => {
            Err(format!("it has more than {}", show_bytes(MAX_BYTES)))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err("not text in UTF-8".to_owned()),
        Err(error) => Err(reason(&error)),
    }
}

/// The files that steps are compared with.
fn baselines<'a>(steps: &'a [&PlannedStep]) -> impl Iterator<Item = &'a Path> {
    let baselines = steps.iter().filter_map(|step| step.baseline.as_ref());
    baselines.filter(|baseline| !baseline.is_step).map(|baseline| Path::new(&baseline.base))
}

/// Checks all steps, as far as possible without sending.
fn check(
    args: &ScenarioArgs,
    (path, text): (&Path, &str),
    steps: &[&PlannedStep],
) -> CliResult<()> {
    let source = source::Source::new(path, text);
    let machine = host::machine(&host::host_info(Depth::Quick));
    let common = [args.output.json.as_deref(), args.output.html.as_deref()];
    let files = args.files().map(|(_, file)| file).into_iter().chain(common);
    let files: Vec<_> = files.flatten().collect();
    for step in steps {
        for output in &step.outputs {
            let taken = if files.iter().any(|file| output.replaces(file)) {
                "run itself writes"
            } else if output.replaces(path) {
                "the steps are read from"
            } else if baselines(steps).any(|base| output.replaces(base)) {
                "a baseline is read from"
            } else {
                continue;
            };
            let why = format!("{}: {taken} {}; name another", output.key, output.file);
            return source.refuse(output.at, why);
        }
        let checked = match &step.command {
            args::Command::Measure(command) => cell_command::check(command, &machine),
            args::Command::Search(args) => search::check(args, &machine),
            args::Command::Ab(args) => ab::check(args),
            args::Command::Compare(args) => compare::check(args),
            _ => usage("it cannot be a step"),
        };
        checked.map_err(|error| {
            let at = step.place_of(&error);
            let failed = CliError::Step { name: step.name.clone(), source: Box::new(error) };
            source.at(at, failed)
        })?;
        if let Some(baseline) = step.baseline.as_ref().filter(|baseline| !baseline.is_step) {
            process::check_baseline(&step.name, baseline)
                .map_err(|error| source.at(baseline.at, error))?;
        }
    }
    Ok(())
}

/// The command as a shell takes it.
fn shell_words(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let quoted = |word: &str| match word.chars().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        // Words with a NUL, which no command line can have, are the only error.
        false => shlex::try_quote(word).map(Into::into).unwrap_or_default(),
    };
    let words = words.iter().map(|word| quoted(word));
    ["udperf".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// Reads a text as a scenario file, for fuzzing: the words of each step, and its line of
/// `--dry-run`; or why it cannot be run.
pub fn read_scenario(text: &str) -> Result<Vec<(Vec<String>, String)>, String> {
    let file = ScenarioFile::read(Path::new("FILE"), text, &[], &[]);
    let steps = file.map_err(|error| error.to_string())?.steps;
    let both = |step: PlannedStep| {
        let line = shell_words(&step.words);
        (step.words, line)
    };
    Ok(steps.into_iter().map(both).collect())
}
