//! The command that makes a trial.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::cli::args::{
    BenchArgs, BlastArgs, CellArgs, Cli, ColorWhen, Command, LoadArgs, OutputArgs, PingArgs,
    RunOutputArgs,
};
use crate::cli::commands::measure::RunOutput;
use crate::cli::commands::{bench, blast, load};
use crate::cli::error::{CliError, Exit};
use crate::cli::scenario::refuse_repeats;
use crate::plan::EngineWord;
use crate::plan::PaceShape;
use crate::unit::PayloadSize;

/// A command whose rates and times the search sets.
#[derive(Debug)]
pub(super) enum Inner {
    Bench(Box<BenchArgs>),
    Blast(Box<BlastArgs>),
    Load(Box<LoadArgs>),
    Ping(Box<PingArgs>),
}

/// The result of parsing the inner command.
pub(super) enum Parsed {
    Command(Inner),
    /// Help or an error was printed.
    Said(Exit),
}

impl Inner {
    pub(super) fn parse(words: &[OsString]) -> Result<Parsed, CliError> {
        let program = OsString::from("udperf");
        let cli = match Cli::try_parse_from([&program].into_iter().chain(words)) {
            Ok(cli) => cli,
            Err(said) => {
                let exit = if said.use_stderr() { Exit::Usage } else { Exit::Well };
                let _ = said.print();
                return Ok(Parsed::Said(exit));
            }
        };
        let mut inner = match cli.command {
            Command::Bench(args) => Self::Bench(args),
            Command::Blast(args) => Self::Blast(args),
            Command::Load(args) => Self::Load(args),
            Command::Ping(args) => Self::Ping(args),
            _ => {
                let word = words.first().map(|word| word.to_string_lossy().into_owned());
                let why = format!(
                    "search makes its trials by bench, blast, load or ping, and '{}' is none of \
                     them; write such as: udperf search 'loss<=0.1%' -- bench",
                    word.unwrap_or_default()
                );
                return Err(CliError::Contradiction(why));
            }
        };
        inner.refuse()?;
        if let Self::Bench(args) = &mut inner {
            let cells = &mut args.cells;
            if cells.engines.is_empty() {
                cells.engines = vec![EngineWord::Auto];
            }
            if cells.sizes.is_empty() {
                cells.sizes = vec![vec![PayloadSize::Fixed(crate::cli::scenario::SIZE)]];
            }
        }
        Ok(Parsed::Command(inner))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Bench(_) => "bench",
            Self::Blast(_) => "blast",
            Self::Load(_) => "load",
            Self::Ping(_) => "ping",
        }
    }

    pub(super) const fn cells(&self) -> &CellArgs {
        match self {
            Self::Bench(args) => &args.cells,
            Self::Blast(args) => &args.cells,
            Self::Load(args) => &args.exchange.cells,
            Self::Ping(args) => &args.exchange.cells,
        }
    }

    pub(super) const fn cells_mut(&mut self) -> &mut CellArgs {
        match self {
            Self::Bench(args) => &mut args.cells,
            Self::Blast(args) => &mut args.cells,
            Self::Load(args) => &mut args.exchange.cells,
            Self::Ping(args) => &mut args.exchange.cells,
        }
    }

    /// Whether it may send to public addresses.
    pub(super) const fn is_public(&self) -> bool {
        match self {
            Self::Bench(_) => false,
            Self::Blast(args) => args.allow_public,
            Self::Load(args) => args.exchange.allow_public,
            Self::Ping(args) => args.exchange.allow_public,
        }
    }

    pub(super) fn measure(&self, stop: &Arc<AtomicBool>) -> Result<RunOutput, CliError> {
        match self {
            Self::Bench(args) => bench::measure(args, stop),
            Self::Blast(args) => blast::measure(args, stop),
            Self::Load(args) => load::measure_load(args, stop),
            Self::Ping(args) => load::measure_ping(args, stop),
        }
    }

    /// Refuses flags that the search sets itself, and commands without a rate.
    fn refuse(&self) -> Result<(), CliError> {
        let cells = self.cells();
        // By name, so that a flag to come is not forgotten. A search judges by --max-missed itself.
        let RunOutputArgs {
            common: OutputArgs { json, quiet, color, verbose: _ },
            csv,
            hdr,
            markdown,
            html,
            fail_if,
            max_missed: _,
            junit,
        } = &cells.output;
        let rate = "the search chooses rates; bound them with --start and --max-rate of search";
        let to_search = "the search has one result; give this flag to search, before --";
        let format =
            "a search has text, JSON and CSV output; give search --json or --csv, before --";
        let goal = "conditions are goals of the search; give it as a GOAL, before --";
        let trials = "the search repeats trials itself; set the number with --repeat of search";
        let own_rates = cells.pace.shape() == PaceShape::OwnRates;
        let interval_log = "a search has no interval log; its document (-J) has all histograms";
        let time = "the search chooses times; set the longest one with --time of search";
        let flags = [
            ("--rate", !cells.rates.is_empty(), rate),
            ("-b", cells.bits.is_some(), rate),
            ("--time", cells.time.is_some(), time),
            ("--count", cells.count.is_some(), time),
            ("--trials", cells.trials != 1, trials),
            ("--pace", own_rates, "this pace defines its own rates; use even, burst:N or poisson"),
            ("--json", json.is_some(), to_search),
            ("--csv", csv.is_some(), to_search),
            ("--quiet", *quiet, to_search),
            ("--color", *color != ColorWhen::Auto, to_search),
            ("--hdr", hdr.is_some(), interval_log),
            ("--markdown", markdown.is_some(), format),
            ("--html", html.is_some(), format),
            ("--junit", junit.is_some(), goal),
            ("--fail-if", !fail_if.is_empty(), goal),
        ];
        let closed = "a closed loop has no rate to search for; omit it";
        let (way, once) = (
            "a search has one direction; search each separately, with and without --reverse",
            "standard input can be read only once, but every trial reads it; give a file",
        );
        refuse_repeats(cells)?;
        let own = match self {
            Self::Bench(_) => None,
            Self::Blast(args) => args.bidir.then_some(("--bidir", way)),
            Self::Ping(args) => args.outstanding.map(|_| ("--outstanding", closed)),
            Self::Load(args) => args
                .outstanding
                .map(|_| ("--outstanding", closed))
                .or_else(|| standard_input(args).map(|flag| (flag, once))),
        };
        let found = flags.into_iter().find(|(_, given, _)| *given);
        match found.map(|(flag, _, why)| (flag, why)).or(own) {
            Some((flag, why)) => {
                Err(CliError::Contradiction(format!("{} {flag}: {why}", self.name())))
            }
            None => Ok(()),
        }
    }
}

fn standard_input(args: &LoadArgs) -> Option<&'static str> {
    let (source, preset) = (&args.requests.source, &args.requests.preset);
    let files = [
        ("--lines", &source.lines),
        ("--file", &source.file),
        ("--pcap", &source.pcap),
        ("--names", &preset.names),
    ];
    let is_standard = |path: &Option<_>| path.as_deref() == Some(Path::new("-"));
    files.into_iter().find(|(_, path)| is_standard(path)).map(|(flag, _)| flag)
}
