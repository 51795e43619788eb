//! `udperf completions`, `udperf man` and `udperf schema`.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::args::{Cli, CompletionsArgs, ManArgs, SchemaArgs, SchemaOf};
use crate::cli::error::{CliError, Exit};
use crate::cli::output::{OutputTarget, print};
use crate::report::schema;

/// What pages are of.
const SOURCE: &str = concat!("udperf ", env!("CARGO_PKG_VERSION"));

pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit, CliError> {
    print(match args.of {
        SchemaOf::Run => schema::RUN,
        SchemaOf::Comparison => schema::COMPARISON,
        SchemaOf::Search => schema::SEARCH,
        SchemaOf::Sink => schema::SINK,
        SchemaOf::Echo => schema::ECHO,
    })
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "udperf", &mut text);
    print(&String::from_utf8_lossy(&text))
}

pub(crate) fn man(args: &ManArgs) -> Result<Exit, CliError> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives commands the names that they have as pages: udperf-bench.
    program.build();
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder).map_err(|source| CliError::File {
            flag: "dir",
            path: folder.clone(),
            source,
        })?;
        let pages = std::iter::once(&program).chain(program.get_subcommands());
        let pages: Vec<(OutputTarget, String)> = pages
            .map(|command| {
                let path = folder.join(format!("{}.1", name(command)));
                Ok((OutputTarget::check("dir", &path)?, page(command)?))
            })
            .collect::<Result<_, CliError>>()?;
        pages.iter().try_for_each(|(target, text)| target.write(text))?;
        return Ok(Exit::Well);
    }
    let Some(asked) = &args.command else { return print(&page(&program)?) };
    match program.find_subcommand(asked) {
        Some(command) => print(&page(command)?),
        None => {
            let names: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
            let why = format!("unknown command '{asked}'; use one of {}", names.join(", "));
            Err(CliError::Contradiction(why))
        }
    }
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> Result<String, CliError> {
    let mut text = Vec::new();
    let failed =
        |error: std::io::Error| CliError::Render { what: "manual page", reason: error.to_string() };
    Man::new(command.clone())
        .source(SOURCE)
        .manual("udperf manual")
        .render(&mut text)
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Comparison;
    use crate::document::{EchoDocument, Report, SearchDocument, SinkDocument};
    use crate::report::schema::schema_of;

    #[test]
    fn schemas_are_those_of_the_structures() {
        for (word, committed, value) in [
            ("run", schema::RUN, schema_of::<Report>("udperf report")),
            ("comparison", schema::COMPARISON, schema_of::<Comparison>("udperf comparison")),
            ("search", schema::SEARCH, schema_of::<SearchDocument>("udperf search")),
            ("sink", schema::SINK, schema_of::<SinkDocument>("udperf sink")),
            ("echo", schema::ECHO, schema_of::<EchoDocument>("udperf echo")),
        ] {
            let current = crate::cli::output::pretty(&value);
            if std::env::var_os("UDPERF_UPDATE_DOCS").is_some() {
                let path = format!("{}/docs/schema/{word}.json", env!("CARGO_MANIFEST_DIR"));
                std::fs::write(path, &current).unwrap();
                continue;
            }
            let advice = "UDPERF_UPDATE_DOCS=1 cargo test --lib schemas";
            assert!(current == committed, "docs/schema/{word}.json is not current: {advice}");
        }
    }
}
