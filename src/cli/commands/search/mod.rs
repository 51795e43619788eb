//! `udperf search`: trials of another command, to find the highest rate at which goals hold.

mod budget;
mod inner;

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::cell_command;
use super::measure::{RunInput, RunOutput, is_of_target};
use crate::cli::args::{CellCommand, SearchArgs};
use crate::cli::error::{CliError, CliResult, Exit, guarded, usage};
use crate::cli::fleet::Fleet;
use crate::cli::output::{Outputs, name_warnings, warn_stderr};
use crate::cli::progress::StatusLine;
use crate::cli::stop::{StopFlag, stop_on_signals};
use crate::document::{
    Cell, Choice, Found, MAX_MISSED, ProbeFigures, Report, SearchDocument, Warning,
};
use crate::host::{self, Depth};
use crate::plan::{EnginePair, EngineWord, Machine};
use crate::report::checks::validity::{invalid_lines, judge_search};
use crate::report::checks::warning_codes;
use crate::report::format::{RenderOptions, text::style::distinct};
use crate::search::{Search, Settings, TrialOutcome, TrialRequest, found, outcome};
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate, RateUnit, show_pps};
use budget::TimeBudget;

/// Start of a search at a public address, as a share of its --max-rate. Arbitrary.
const PUBLIC_START: f64 = 0.1;
/// The minimum of --time. Arbitrary: below it, set-up is most of a trial.
const MIN_TIME: Nanos = Nanos::from_millis(10);

pub(crate) fn run(args: &SearchArgs) -> CliResult {
    let command = match inner::parse(&args.command)? {
        Ok(command) => command,
        Err(exit) => return Ok(exit),
    };
    let settings = settings(args, &command)?;
    let files = [("csv", args.csv.as_deref())];
    let mut outputs = Outputs::check::<SearchDocument>(&args.output, &files)?;
    outputs.protect(command.inputs())?;
    let sizes = distinct(command.cells().sizes.concat());
    let engines = command.cells().engines.clone();
    let searches = sizes.len().max(1).saturating_mul(engine_count(&engines));
    let budget = TimeBudget::new(args, &command, searches)?;
    let stop = stop_on_signals()?;
    let fleet = match cell_command::join(&command, &args.command, &stop)? {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    let mut runner = SearchRunner {
        args,
        settings,
        stop,
        fleet,
        line: StatusLine::new(args.output.quiet),
        sizes,
        engines,
        budget,
        command,
        report: None,
        searches: Vec::new(),
        interrupted: false,
    };
    let ended = runner.search_all();
    let interrupted = runner.interrupted;
    let Some((document, bug)) = runner.finish() else {
        // Without a document, the error is the only result.
        return ended.map(|()| Exit::Interrupted);
    };
    let ended = ended.and_then(|()| bug.map_or(Ok(()), Err));
    let written = outputs.write(&document, &RenderOptions::default());
    name_warnings(&args.output, &document.report.warnings);
    written?;
    ended?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    if !document.report.valid {
        if !outputs.shows_text() {
            invalid_lines(&document.report).iter().for_each(|line| warn_stderr(line));
        }
        return Ok(Exit::Invalid);
    }
    let is_found = document.searches.iter().any(|one| one.low_pps.is_some());
    Ok(if is_found { Exit::Success } else { Exit::ConditionHeld })
}

/// Checks what can be checked before anything is sent.
pub(crate) fn check(args: &SearchArgs, machine: &Machine) -> CliResult<()> {
    let Ok(command) = inner::parse(&args.command)? else {
        return usage("the inner command shows help only");
    };
    settings(args, &command)?;
    let files = [("csv", args.csv.as_deref())];
    Outputs::check::<SearchDocument>(&args.output, &files)?.protect(command.inputs())?;
    let sizes = distinct(command.cells().sizes.concat());
    let searches = sizes.len().max(1).saturating_mul(engine_count(&command.cells().engines));
    TimeBudget::new(args, &command, searches)?;
    cell_command::check_plan(&command, machine)
}

/// How many engines these words select here, at least one.
fn engine_count(words: &[EngineWord]) -> usize {
    if !words.contains(&EngineWord::All) {
        return words.len().max(1);
    }
    let machine = host::machine(&host::host_info(Depth::Quick));
    EnginePair::all().filter(|&pair| machine.lacks(pair).is_none()).count().max(1)
}

fn settings(args: &SearchArgs, command: &CellCommand) -> CliResult<Settings> {
    if args.time < MIN_TIME {
        return usage(format!("--time {}: trials need at least 10ms", args.time));
    }
    let (start, max) = (args.start.map(PacketRate::pps), args.max_rate.map(PacketRate::pps));
    if let (Some(start), Some(max)) = (start, max)
        && start > max
    {
        let show = RateUnit::of_kind(command.name()).show();
        let (start, max) = (show(start), show(max));
        return usage(format!("--start {start} is above --max-rate {max}; lower it"));
    }
    if command.is_public() && max.is_none() {
        return usage(
            "--allow-public: traffic to a public address needs a bound; give search a --max-rate",
        );
    }
    let public = max.filter(|_| command.is_public()).map(|max| max * PUBLIC_START);
    Ok(Settings {
        time: args.time,
        precision: args.precision,
        repeat: args.repeat,
        start_pps: start.or(public),
        max_pps: max,
        curve: !args.no_curve,
    })
}

struct SearchRunner<'a> {
    args: &'a SearchArgs,
    command: CellCommand,
    settings: Settings,
    stop: StopFlag,
    fleet: Fleet,
    line: StatusLine,
    sizes: Vec<PayloadSize>,
    engines: Vec<EngineWord>,
    budget: Option<TimeBudget>,
    /// Common facts of all trials, and the cells of the final ones.
    report: Option<Report>,
    searches: Vec<Found>,
    interrupted: bool,
}

impl SearchRunner<'_> {
    fn search_all(&mut self) -> CliResult<()> {
        // Requests have their own length unless sizes are given.
        let sizes: Vec<Vec<_>> = match self.sizes.is_empty() {
            true => vec![Vec::new()],
            false => self.sizes.iter().map(|size| vec![vec![*size]]).collect(),
        };
        let mut engines = engine_count(&self.engines);
        let count = sizes.len();
        for (at, sizes) in sizes.into_iter().enumerate() {
            let short = self.settings.short();
            // The first size has time, as the budget was checked.
            if at > 0 && self.budget.as_ref().is_some_and(|one| !one.fits(engines, short)) {
                self.warn_of_budget(self.sizes[at], count - at - 1);
                return Ok(());
            }
            let cells = self.command.cells_mut();
            cells.sizes = sizes;
            cells.engines.clone_from(&self.engines);
            let probed = match self.probe() {
                // Errors after a signal are caused by it.
                Err(_) if self.stop.load(Ordering::Relaxed) => {
                    self.interrupted = true;
                    return Ok(());
                }
                probed => probed?,
            };
            engines = probed.len();
            for (done, cell) in probed.into_iter().enumerate() {
                if let Some(budget) = &mut self.budget {
                    budget.begin_search((count - at) * engines - done);
                }
                if self.interrupted {
                    return Ok(());
                }
                self.search_engine(&cell)?;
            }
            if self.interrupted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Names the first of `more` sizes that are not searched.
    fn warn_of_budget(&mut self, size: PayloadSize, more: usize) {
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        let text =
            format!("--budget ended before size {size}{more} was searched; use a longer one");
        let warning = warning_codes::BUDGET_ENDED.warning(text);
        if let Some(report) = &mut self.report {
            report.warnings.push(warning);
        }
    }

    /// Measures without a rate, or at the first one if a rate is required: one cell per engine.
    fn probe(&mut self) -> CliResult<Vec<Cell>> {
        let at = self.settings.start_pps.or(self.settings.max_pps);
        let rate = at.map_or(Ok(Rate::Max), |pps| PacketRate::from_pps(pps).map(Rate::Pps))?;
        // The notes about requests are equal in each probe.
        let quiet = self.args.output.quiet || self.report.is_some();
        let cells = self.measure(rate, self.settings.short(), quiet)?;
        if let (Some(pps), Some(report)) = (at, &mut self.report)
            && !matches!(self.command, CellCommand::Bench(_))
        {
            let known =
                report.warnings.iter().any(|one| one.code == warning_codes::ENGINE_AT_RATE.name);
            let warning = engine_at_rate(report.choice.as_ref(), pps).filter(|_| !known);
            report.warnings.extend(warning);
        }
        Ok(cells.into_iter().filter(|cell| !cell.calibration).collect())
    }

    fn measure(&mut self, rate: Rate, time: Nanos, quiet: bool) -> CliResult<Vec<Cell>> {
        let cells = self.command.cells_mut();
        (cells.rates, cells.time) = (vec![rate], Some(time));
        cells.output.common.quiet = quiet;
        let run = RunInput { stop: &self.stop, outputs: None, fleet: &self.fleet };
        let RunOutput { mut report, error, interrupted, .. } =
            cell_command::measure(&self.command, run)?;
        self.interrupted |= interrupted;
        if interrupted {
            let message = "interrupted, later searches are missing; repeat them";
            report.warnings.push(warning_codes::INTERRUPTED.warning(message));
        }
        let cells = std::mem::take(&mut report.cells);
        match &mut self.report {
            Some(known) => {
                for warning in report.warnings {
                    if !known.warnings.iter().any(|other| other.code == warning.code) {
                        known.warnings.push(warning);
                    }
                }
            }
            None => self.report = Some(report),
        }
        match error {
            // Its cell has the reason.
            Some(CliError::Run(error)) if is_of_target(&error) => Ok(cells),
            Some(error) => Err(error),
            None => Ok(cells),
        }
    }

    fn search_engine(&mut self, probe: &Cell) -> CliResult<()> {
        let id = probe.id.rsplit_once('/').map_or(probe.id.as_str(), |(id, _)| id);
        let pair: Result<EnginePair, _> =
            format!("{}/{}", probe.engine.tx, probe.engine.rx).parse();
        let bug = |reason| CliError::Bug { part: "engine".to_owned(), reason };
        let pair = pair.map_err(|error| bug(error.to_string()))?;
        self.command.cells_mut().engines = vec![EngineWord::Pair(pair)];
        let delivered_pps = probe.rx.as_ref().and_then(|rx| rx.pps);
        let point = ProbeFigures { delivered_pps, sent_pps: probe.tx.pps.unwrap_or_default() };
        let mut search = Search::new(self.settings.clone(), point);
        // A panic loses neither earlier trials nor earlier searches.
        let ended = guarded(&format!("trials of {id}"), || self.trials(&mut search, id)).flatten();
        let result = guarded(&format!("result of {id}"), || found(&search, id, probe.size));
        let stored = result.map(|found| self.searches.push(found));
        ended.and(stored)
    }

    fn trials(&mut self, search: &mut Search, id: &str) -> CliResult<()> {
        loop {
            if let Some(budget) = &self.budget {
                let (left, extra) = budget.left();
                search.fit_into(left, extra);
            }
            let Some(request) = search.next() else { break };
            let number = search.trials.len() + 1;
            let rate = show_pps(request.rate_pps);
            self.line.show(|| format!("{id} · {number} {} at {rate}", request.purpose.word()));
            let started = Instant::now();
            let Some(outcome) = self.trial(request)? else {
                search.cut_short = self.interrupted.then_some("interrupted");
                break;
            };
            if let Some(budget) = &mut self.budget {
                budget.note_trial(request.time, started);
            }
            // No lower rate would help.
            let unreachable = outcome
                .invalid_because
                .iter()
                .any(|code| code == warning_codes::TARGET_UNREACHABLE.name);
            search.record(outcome)?;
            if unreachable {
                search.cut_short = search.next().map(|_| "unreachable");
                break;
            }
        }
        Ok(())
    }

    fn trial(&mut self, request: TrialRequest) -> CliResult<Option<TrialOutcome>> {
        let rate = PacketRate::from_pps(request.rate_pps)?;
        let cells = self.measure(Rate::Pps(rate), request.time, true)?;
        let Some(mut cell) = cells.into_iter().find(|cell| !cell.calibration) else {
            return Ok(None);
        };
        if self.interrupted {
            return Ok(None);
        }
        let max_missed = self.command.cells().output.max_missed.unwrap_or(MAX_MISSED);
        let outcome = outcome(&cell, request.rate_pps, &self.args.goals, max_missed);
        // As many cells as trials of full length, in the same order.
        let is_kept = request.purpose.is_final() && outcome.held.is_some();
        if let Some(report) = self.report.as_mut().filter(|_| is_kept) {
            cell.trial = report.cells.iter().filter(|other| other.id == cell.id).count() as u32;
            report.cells.push(cell);
        }
        Ok(Some(outcome))
    }

    /// The document, where there is anything to be in it, and what failed in judging it.
    fn finish(self) -> Option<(SearchDocument, Option<CliError>)> {
        drop(self.line);
        let mut report = self.report?;
        report.kind = "search".to_owned();
        report.labels = self.args.output.labels.iter().cloned().collect();
        if let Some(scenario) = report.scenario.as_object_mut() {
            // The first probe had one size of these, and a rate of its own.
            scenario.remove("rates");
            if !self.sizes.is_empty() {
                let sizes: Vec<_> = self.sizes.iter().map(ToString::to_string).collect();
                scenario.insert("sizes".to_owned(), sizes.into());
            }
            scenario.insert("limit".to_owned(), format!("{}ns", self.settings.time.0).into());
        }
        report.max_missed = self.command.cells().output.max_missed.unwrap_or(report.max_missed);
        let mut document = SearchDocument {
            report,
            inner: self.command.name().to_owned(),
            goals: self.args.goals.iter().map(ToString::to_string).collect(),
            budget_ns: self.budget.map(|budget| budget.total().0),
            searches: self.searches,
        };
        let bug = guarded("validity", || judge_search(&mut document)).err();
        // What was not judged is not valid.
        document.report.valid &= bug.is_none();
        Some((document, bug))
    }
}

/// Warns of an engine that `auto` chose at a rate, where the receiver is on another host.
fn engine_at_rate(choice: Option<&Choice>, pps: f64) -> Option<Warning> {
    let choice = choice.filter(|choice| choice.trials.len() > 1)?;
    let message = format!(
        "auto tried its engines at {}, where all that can keep up deliver alike, so chance may \
         have chosen {}; name one by -e of the inner command",
        show_pps(pps),
        choice.engine
    );
    Some(warning_codes::ENGINE_AT_RATE.warning(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Tried;

    #[test]
    fn warns_of_an_engine_chosen_at_a_rate() {
        let tried = |engine: &str| Tried { engine: engine.to_owned(), pps: 5e3 };
        let mut choice = Choice {
            asked: "auto".to_owned(),
            engine: "gso/batch".to_owned(),
            size: 64,
            trial_ns: 20_000_000,
            trials: vec![tried("gso/batch"), tried("plain/plain")],
            left_out: Vec::new(),
            failed: Vec::new(),
        };
        let warning = engine_at_rate(Some(&choice), 5e3).unwrap();
        assert!(warning.message.contains("chosen gso/batch; name one by -e"), "{warning:?}");
        choice.trials.pop();
        assert_eq!(engine_at_rate(Some(&choice), 5e3), None);
    }
}
