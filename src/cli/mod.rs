//! The command line: arguments become a scenario, a run becomes a report and an exit code.

mod args;
mod commands;
mod error;
mod fleet;
mod live;
mod output;
mod progress;
mod requests;
mod scenario;
mod target;
mod telemetry;

use std::process::ExitCode;

use commands::{ab, compare, fleet_check, report, run, search, server, shell, talk};

pub use args::Cli;
use args::Command;

/// Runs the program on its arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = args::parse();
    let result = error::guarded("command", || match &cli.command {
        Command::Measure(command) => run::run(command),
        Command::Sink(args) => server::sink(args),
        Command::Search(args) => search::run(args),
        Command::Talk(args) => talk::run(args),
        Command::Echo(args) => server::echo(args),
        Command::Ab(args) => ab::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Doctor { socket_buffer, threads, color } => {
            shell::doctor(*socket_buffer, *threads, *color)
        }
        Command::FleetCheck { rounds } => fleet_check::run(*rounds),
        Command::Explain { names } => shell::explain(names),
        Command::Schema { schema } => output::print(schema),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { command, dir } => shell::man(command.as_deref(), dir.as_deref()),
    });
    match result.and_then(|result| result) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::warn_stderr(&error.to_string());
            error.exit().into()
        }
    }
}
