//! Words in, exit code out: what is typed becomes a scenario, a run becomes a report and a verdict.

mod ab;
mod args;
mod ask;
mod bench;
mod blast;
mod cells;
mod compare;
mod doctor;
mod document;
mod echo;
mod error;
mod explain;
mod guard;
mod judge;
mod lower;
mod noise;
mod output;
mod progress;
mod recorded;
mod report;
mod requests;
mod search;
mod shell;
mod sink;
mod talk;
mod target;

use std::process::ExitCode;

use clap::Parser;

pub use args::{
    AbArgs, BenchArgs, BlastArgs, CellArgs, Cli, ColorWhen, Command, CompareArgs, CompletionsArgs,
    DoctorArgs, EchoArgs, ExchangeArgs, ExplainArgs, LoadArgs, ManArgs, MulticastGroup, OutputArgs,
    PingArgs, PresetArgs, PresetWord, ReportArgs, RequestArgs, SchemaArgs, SchemaOf, SearchArgs,
    SinkArgs, SourceArgs, Spread, TalkArgs, Turn, VerdictArgs, VerdictOutput,
};
pub use error::{CliError, Exit};

/// Runs the program on its arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = guard::guarded("command", || match &cli.command {
        Command::Bench(args) => bench::run(args),
        Command::Blast(args) => blast::run(args),
        Command::Sink(args) => sink::run(args),
        Command::Load(args) => ask::load(args),
        Command::Ping(args) => ask::ping(args),
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
            output::complain(&error.to_string());
            error.exit().into()
        }
    }
}
