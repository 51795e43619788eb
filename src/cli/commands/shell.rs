//! `udperf explain`, `completions` and `man`.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::error::{CliError, CliResult, EXITS, Exit, usage};
use crate::cli::output::{OutputTarget, print};
use crate::report::checks::topics::{Topic, topics};
use crate::report::format::text::wrap;
use crate::unit::{did_you_mean, nearest};

/// The version in manual pages.
const SOURCE: &str = concat!("udperf ", env!("CARGO_PKG_VERSION"));

pub(crate) fn completions(shell: Shell) -> CliResult {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "udperf", &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(crate) fn man(command: Option<&str>, dir: Option<&Path>) -> CliResult {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives commands the names that they have as pages: udperf-bench.
    program.build();
    if let Some(folder) = dir {
        let failed = |source| CliError::File { flag: "dir", path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let pages = std::iter::once(&program).chain(program.get_subcommands());
        let pages: Vec<(OutputTarget, String)> = pages
            .map(|command| {
                let name = command.get_display_name().unwrap_or_else(|| command.get_name());
                let path = folder.join(format!("{name}.1"));
                Ok((OutputTarget::check("dir", &path)?, page(command)?))
            })
            .collect::<CliResult<_>>()?;
        pages.iter().try_for_each(|(target, text)| target.write(text))?;
        return Ok(Exit::Success);
    }
    let Some(word) = command else { return print(&page(&program)?) };
    match program.find_subcommand(word) {
        Some(command) => print(&page(command)?),
        None => {
            let names: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
            let hint = did_you_mean(word, names.iter().copied());
            usage(format!("unknown command '{word}'; {hint}use one of {}", names.join(", ")))
        }
    }
}

fn page(command: &Command) -> CliResult<String> {
    let mut text = Vec::new();
    let page = Man::new(command.clone()).source(SOURCE).manual("udperf manual");
    page.render(&mut text).map_err(CliError::Stdout)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Columns of the text. Arbitrary: what every terminal has.
const WIDTH: usize = 80;
/// Columns before the long text. Arbitrary.
const INDENT: usize = 2;

pub(crate) fn explain(names: &[String]) -> CliResult {
    if names.is_empty() {
        return print(&short());
    }
    let texts: Result<Vec<_>, _> = names.iter().map(|name| long(name)).collect();
    print(&texts?.join("\n"))
}

fn all() -> Vec<Topic> {
    let exits = EXITS.iter().map(|(exit, title, text)| Topic {
        kind: "exit code",
        name: (*exit as u8).to_string(),
        title,
        text: (*text).to_owned(),
    });
    topics().into_iter().chain(exits).collect()
}

fn short() -> String {
    let row = |topic: &Topic| format!("  {:<22} {}\n", topic.name, topic.title);
    let group = |topics: &[Topic]| {
        format!("{}:\n{}", topics[0].kind, topics.iter().map(row).collect::<String>())
    };
    let groups = all();
    groups.chunk_by(|a, b| a.kind == b.kind).map(group).collect::<Vec<_>>().join("\n")
}

fn long(name: &str) -> CliResult<String> {
    let lower = name.strip_prefix("sink_").unwrap_or(name).to_lowercase();
    if lower.trim().is_empty() {
        return Ok(short());
    }
    let all = all();
    let found = all.iter().filter(|topic| topic.name.to_lowercase() == lower);
    let texts: Vec<_> = found.map(topic_page).collect();
    if !texts.is_empty() {
        return Ok(texts.join("\n"));
    }
    let names = all.iter().map(|topic| topic.name.as_str());
    let near: Vec<_> = nearest(&lower, names).into_iter().take(3).collect();
    let hint = match near.is_empty() {
        true => "`udperf explain` lists all names".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    let cut = if name.chars().nth(WIDTH).is_some() { "…" } else { "" };
    let name: String = name.chars().take(WIDTH).collect();
    usage(format!("cannot explain '{name}{cut}': unknown name; {hint}"))
}

fn topic_page(topic: &Topic) -> String {
    let title = format!("{} {}: {}\n", topic.kind, topic.name, topic.title);
    let lines = wrap(&topic.text, WIDTH - INDENT, 0);
    lines.iter().fold(title, |page, line| format!("{page}{:INDENT$}{line}\n", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands::scenario_file::schema::scenario_file;
    use crate::cli::output;
    use crate::compare::Comparison;
    use crate::document::{
        DoctorDocument, EchoDocument, Report, SearchDocument, SelftestDocument, SinkDocument,
    };
    use crate::report::schema::{self, schema_of};
    use crate::scenario_result::ScenarioDocument;

    #[test]
    fn schemas_are_those_of_the_structures() {
        for (word, committed, value) in [
            ("run", schema::RUN, schema_of::<Report>("udperf report")),
            ("comparison", schema::COMPARISON, schema_of::<Comparison>("udperf comparison")),
            ("search", schema::SEARCH, schema_of::<SearchDocument>("udperf search")),
            ("sink", schema::SINK, schema_of::<SinkDocument>("udperf sink")),
            ("echo", schema::ECHO, schema_of::<EchoDocument>("udperf echo")),
            (
                "scenario-result",
                schema::SCENARIO_RESULT,
                schema_of::<ScenarioDocument>("udperf run"),
            ),
            ("scenario-file", schema::SCENARIO_FILE, scenario_file()),
            ("doctor", schema::DOCTOR, schema_of::<DoctorDocument>("udperf doctor")),
            ("selftest", schema::SELFTEST, schema_of::<SelftestDocument>("udperf selftest")),
        ] {
            let current = output::pretty(&value);
            if std::env::var_os("UDPERF_UPDATE_DOCS").is_some() {
                let path = format!("{}/docs/schema/{word}.json", env!("CARGO_MANIFEST_DIR"));
                std::fs::write(path, &current).unwrap();
                continue;
            }
            let advice = "UDPERF_UPDATE_DOCS=1 cargo test --lib schemas";
            assert!(current == committed, "docs/schema/{word}.json is not current: {advice}");
        }
    }

    fn manual() -> String {
        let mut out = "# Explanations\n\nWhat `udperf explain NAME` prints. Generated: run \
                       `UDPERF_UPDATE_DOCS=1 cargo test --lib manual` after a change.\n"
            .to_owned();
        for topics in all().chunk_by(|a, b| a.kind == b.kind) {
            let (first, rest) = topics[0].kind.split_at(1);
            out += &format!("\n## {}{rest}s\n", first.to_uppercase());
            for Topic { name, title, text, .. } in topics {
                out += &format!("\n### {name}\n\n**{title}**\n\n{text}\n");
            }
        }
        out
    }

    #[test]
    fn the_manual_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md");
        if std::env::var_os("UDPERF_UPDATE_DOCS").is_some() {
            std::fs::write(path, manual()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), manual());
    }

    #[test]
    fn explains_names_and_suggests_similar_ones() {
        for (name, part) in [
            ("receive_buffer_loss", "--socket-buffer"),
            ("sink_busy_host", "warning busy_host: "),
            ("CPU TX/RX", "column CPU tx/rx: "),
            ("5", "exit code 5: "),
            (" ", &short()),
        ] {
            assert!(long(name).unwrap().contains(part), "{name}");
        }
        for (name, part) in [
            ("recieve_buffer_loss", "did you mean receive_buffer_loss"),
            ("stall", "stalls"),
            ("§", "lists all names"),
        ] {
            let error = long(name).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(long(&"x".repeat(10_000)).unwrap_err().to_string().len() < 200);
        let text = short();
        assert!(all().iter().all(|topic| text.contains(topic.title)));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
