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
mod sources;
mod stop;
mod target;
mod telemetry;
mod version;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{self, ExitCode};

use commands::{
    ab, cell_command, compare, doctor, fleet_check, report, scenario_file, search, selftest,
    server, shell, talk,
};

pub use args::Cli;
use args::Command;
pub use commands::report::render_stored;
pub use commands::scenario_file::read_scenario;

use crate::report::format::text::style::wrap_messages;
use crate::unit::{Keep, is_control, strip_control};

/// Runs the program on its arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = args::parse().unwrap_or_else(|error| exit_with(&error));
    if let Err(error) = fleet::check_command(&cli) {
        output::warn_stderr(&error.to_string());
        return error.exit().into();
    }
    let result = error::guarded("command", || match &cli.command {
        Command::Measure(command) => cell_command::run(command),
        Command::Sink(args) => server::sink(args),
        Command::Search(args) => search::run(args),
        Command::Talk(args) => talk::run(args),
        Command::Echo(args) => server::echo(args),
        Command::Ab(args) => ab::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Report(args) => report::run(args),
        Command::Run(args) => scenario_file::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Selftest(args) => selftest::run(args),
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
            let left = output::leave_for_run(output::ERROR_OF_STEP, || error.to_string());
            left.unwrap_or_else(|error| output::warn_stderr(&error.to_string()));
            error.exit().into()
        }
    }
}

/// As [`clap::Error::exit`], with the lines of an error broken between words at the width of a
/// terminal, and without control characters of arguments.
fn exit_with(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    let has_control = |arg: OsString| arg.to_string_lossy().contains(is_control);
    // Colours of the message cannot be told from those that an argument would switch on.
    let text = match std::env::args_os().any(has_control) {
        true => strip_control(&error.render().to_string(), Keep::Lines),
        false => error.render().ansi().to_string(),
    };
    let text = wrap_messages(&text, output::stderr_width().unwrap_or(usize::MAX));
    let _ = anstream::stderr().write_all(text.as_bytes());
    process::exit(error.exit_code())
}
