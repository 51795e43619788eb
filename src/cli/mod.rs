//! The command line: arguments become a scenario, a run becomes a report and an exit code.

mod args;
mod commands;
mod document;
mod error;
mod guard;
mod judge;
mod noise;
mod output;
mod progress;
mod recorded;
mod requests;
mod scenario;
mod target;

use std::process::ExitCode;

use commands::{
    ab, bench, blast, compare, doctor, echo, explain, load, report, search, shell, sink, talk,
};

pub use args::Cli;
use args::Command;

/// Runs the program on its arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = args::parse();
    let result = guard::guarded("command", || match &cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Blast(args) => blast::run(args),
        Command::Sink(args) => sink::run(args),
        Command::Load(args) => load::load(args),
        Command::Ping(args) => load::ping(args),
        Command::Search(args) => search::run(args),
        Command::Talk(args) => talk::run(args),
        Command::Echo(args) => echo::run(args),
        Command::Ab(args) => ab::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Schema(args) => shell::schema(args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    });
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::warn_stderr(&error.to_string());
            error.exit().into()
        }
    }
}
