//! The command that makes a trial.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use crate::cli::args::{CellCommand, Cli, Command, OutputArgs, RunOutputArgs, with_hint};
use crate::cli::error::{CliResult, Exit, usage};
use crate::cli::scenario::{SIZE, refuse_repeats};
use crate::plan::EngineWord;
use crate::unit::PayloadSize;

/// The inner command, or the exit code after its help or an error was printed.
pub(super) fn parse(words: &[OsString]) -> CliResult<Result<CellCommand, Exit>> {
    let program = OsString::from("udperf");
    let cli = match Cli::try_parse_from([&program].into_iter().chain(words)) {
        Ok(cli) => cli,
        Err(message) => {
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Success };
            let _ = with_hint(message).print();
            return Ok(Err(exit));
        }
    };
    let Command::Measure(mut command) = cli.command else {
        let word = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        return usage(format!(
            "search makes its trials by bench, blast, load or ping, and '{word}' is none of them; \
             write such as: udperf search 'loss<=0.1%' -- bench"
        ));
    };
    refuse(&command)?;
    if let CellCommand::Bench(args) = &mut command {
        let cells = &mut args.cells;
        if cells.engines.is_empty() {
            cells.engines = vec![EngineWord::Auto];
        }
        if cells.sizes.is_empty() {
            cells.sizes = vec![vec![PayloadSize::Fixed(SIZE)]];
        }
    }
    Ok(Ok(command))
}

/// Refuses flags that the search sets itself, and commands without a rate.
fn refuse(command: &CellCommand) -> CliResult<()> {
    let cells = command.cells();
    // By name, so that a flag to come is not forgotten. A search judges by --max-missed itself.
    let RunOutputArgs {
        common: OutputArgs { json, html, labels, quiet, color, verbose: _ },
        csv,
        csv_intervals,
        hdr,
        hgrm,
        markdown,
        fail_if,
        max_missed: _,
        junit,
    } = &cells.output;
    let rate = "the search chooses rates; bound them with --start and --max-rate of search";
    let to_search = "the search has one result; give this flag to search, before --";
    let format =
        "a search has text, JSON, CSV and HTML output; give it --json, --csv or --html, before --";
    let goal = "conditions are goals of the search; give it as a GOAL, before --";
    let trials = "the search repeats trials itself; set the number with --repeat of search";
    let own_rates = cells.pace.has_own_rates();
    let interval_log = "a search has no interval log; its document (-J) has all histograms";
    let many = "a search is many short runs; omit it, and use the document of the search (-J)";
    let time = "the search chooses times; set the longest one with --time of search";
    let way = "a search has one direction; search each separately, with and without --reverse";
    let closed = "a closed loop has no rate to search for; omit it";
    let once = "standard input can be read only once, but every trial reads it; give a file";
    let (bidir, outstanding, stdin) = match command {
        CellCommand::Bench(_) => (false, None, None),
        CellCommand::Blast(args) => (args.bidir, None, None),
        CellCommand::Ping(args) => (false, args.outstanding, None),
        CellCommand::Load(args) => {
            let stdin = args.requests.files().find(|(_, path)| *path == Path::new("-"));
            (false, args.exchange.outstanding, stdin.map(|(flag, _)| flag))
        }
    };
    let stdin_flag = format!("--{}", stdin.unwrap_or_default());
    let flags = [
        ("--rate", !cells.rates.is_empty(), rate),
        ("-b", cells.bits.is_some(), rate),
        ("--time", cells.time.is_some(), time),
        ("--count", cells.count.is_some(), time),
        ("--trials", cells.trials != 1, trials),
        ("--pace", own_rates, "this pace defines its own rates; use even, burst:N or poisson"),
        ("--json", json.is_some(), to_search),
        ("--html", html.is_some(), to_search),
        ("--csv", csv.is_some(), to_search),
        ("--label", !labels.is_empty(), to_search),
        ("--quiet", *quiet, to_search),
        ("--color", *color != clap::ColorChoice::Auto, to_search),
        ("--csv-intervals", csv_intervals.is_some(), format),
        ("--hdr", hdr.is_some(), interval_log),
        ("--hgrm", hgrm.is_some(), format),
        ("--markdown", markdown.is_some(), format),
        ("--junit", junit.is_some(), goal),
        ("--events", cells.telemetry.events.is_some(), many),
        ("--metrics", cells.telemetry.metrics.metrics.is_some(), many),
        ("--live", cells.telemetry.live.live, many),
        ("--fail-if", !fail_if.is_empty(), goal),
        ("--bidir", bidir, way),
        ("--outstanding", outstanding.is_some(), closed),
        (stdin_flag.as_str(), stdin.is_some(), once),
    ];
    refuse_repeats(cells)?;
    let refused = flags.into_iter().find(|(_, is_given, _)| *is_given);
    let Some((flag, _, why)) = refused else { return Ok(()) };
    usage(format!("{} {flag}: {why}", command.name()))
}
