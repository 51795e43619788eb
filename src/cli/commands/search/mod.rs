//! `udperf search`: trials of another command, until the highest rate is known at which goals hold.

mod inner;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::inner::{Inner, Parsed};
use crate::cli::args::SearchArgs;
use crate::cli::commands::measure::{RunOutput, stop_on_signals};
use crate::cli::error::{CliError, Exit};
use crate::cli::guard::guarded;
use crate::cli::judge::{is_of_target, validity_guarded};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress::StatusLine;
use crate::document::{Cell, Choice, Found, MAX_MISSED, Report, SearchDocument, Warning};
use crate::plan::{EnginePair, EngineWord};
use crate::report::checks::validity::{UNREACHABLE, ends_invalid, invalid_lines, judge_search};
use crate::report::checks::warning_codes;
use crate::report::format::RenderOptions;
use crate::report::format::text::style::distinct;
use crate::search::{Search, SearchPoint, Settings, TrialOutcome, TrialRequest, found, outcome};
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate, show_pps};

/// Start of a search at a public address, as a share of its --max-rate. Arbitrary.
const PUBLIC_START: f64 = 0.1;

pub(crate) fn run(args: &SearchArgs) -> Result<Exit, CliError> {
    let inner = match Inner::parse(&args.command)? {
        Parsed::Command(inner) => inner,
        Parsed::Said(exit) => return Ok(exit),
    };
    let settings = settings(args, &inner)?;
    let files = [("csv", args.csv.as_deref())];
    let outputs = Outputs::check::<SearchDocument>(&args.output, &files)?;
    let stop = stop_on_signals()?;
    let mut hunt = Hunt::new(args, inner, settings, stop);
    let ended = hunt.all();
    let interrupted = hunt.interrupted;
    let Some((document, bug)) = hunt.finish() else {
        // Without a document, the error is the only result.
        return ended.map(|()| Exit::Interrupted);
    };
    let ended = ended.and_then(|()| bug.map_or(Ok(()), Err));
    let written = outputs.write(&document, &RenderOptions::default());
    if args.output.json_to_stdout() && !args.output.quiet {
        for Warning { code, message } in &document.report.warnings {
            warn_stderr(&format!("{code}: {message}"));
        }
    }
    written?;
    ended?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    if ends_invalid(&document.report, true) {
        invalid_lines(&document.report).iter().for_each(|line| warn_stderr(line));
        return Ok(Exit::Invalid);
    }
    let is_found = document.searches.iter().any(|one| one.low_pps.is_some());
    Ok(if is_found { Exit::Well } else { Exit::ConditionHeld })
}

fn settings(args: &SearchArgs, inner: &Inner) -> Result<Settings, CliError> {
    /// What a trial may last at least. Arbitrary: below it, set-up is most of it.
    const LEAST: Nanos = Nanos::from_millis(10);
    let contradiction = |why: String| Err(CliError::Contradiction(why));
    if args.time < LEAST {
        return contradiction(format!("--time {}: trials need at least 10ms", args.time));
    }
    let (start, max) = (args.start.map(PacketRate::pps), args.max_rate.map(PacketRate::pps));
    if let (Some(start), Some(max)) = (start, max)
        && start > max
    {
        let (start, max) = (show_pps(start), show_pps(max));
        return contradiction(format!("--start {start} is above --max-rate {max}; lower it"));
    }
    let public = max.filter(|_| inner.is_public()).map(|max| max * PUBLIC_START);
    if inner.is_public() && max.is_none() {
        let why = "--allow-public: traffic to a public address needs a bound; give search \
                   a --max-rate";
        return contradiction(why.to_owned());
    }
    Ok(Settings {
        time: args.time,
        precision: args.precision,
        repeat: args.repeat,
        start_pps: start.or(public),
        max_pps: max,
        curve: !args.no_curve,
    })
}

struct Hunt<'a> {
    args: &'a SearchArgs,
    inner: Inner,
    settings: Settings,
    stop: Arc<AtomicBool>,
    line: StatusLine,
    sizes: Vec<PayloadSize>,
    engines: Vec<EngineWord>,
    /// Common facts of all trials, and the cells of the final ones.
    report: Option<Report>,
    searches: Vec<Found>,
    interrupted: bool,
}

impl<'a> Hunt<'a> {
    fn new(args: &'a SearchArgs, inner: Inner, settings: Settings, stop: Arc<AtomicBool>) -> Self {
        let line = StatusLine::new(args.output.quiet);
        let (sizes, engines) =
            (distinct(inner.cells().sizes.concat()), inner.cells().engines.clone());
        let (report, searches, interrupted) = (None, Vec::new(), false);
        Self { args, inner, settings, stop, line, sizes, engines, report, searches, interrupted }
    }

    fn all(&mut self) -> Result<(), CliError> {
        // Requests have their own length unless sizes are given.
        let sizes: Vec<Option<PayloadSize>> = match self.sizes.is_empty() {
            true => vec![None],
            false => self.sizes.iter().copied().map(Some).collect(),
        };
        for size in sizes {
            if self.interrupted {
                return Ok(());
            }
            let cells = self.inner.cells_mut();
            cells.sizes = size.map(|size| vec![size]).into_iter().collect();
            cells.engines.clone_from(&self.engines);
            let probed = match self.probe() {
                // Errors after a signal are caused by it.
                Err(_) if self.stop.load(Ordering::Relaxed) => {
                    self.interrupted = true;
                    return Ok(());
                }
                probed => probed?,
            };
            for cell in probed {
                if self.interrupted {
                    return Ok(());
                }
                self.one(&cell)?;
            }
        }
        Ok(())
    }

    /// Measures without a rate, or at the first one if a rate is required: one cell per engine.
    fn probe(&mut self) -> Result<Vec<Cell>, CliError> {
        let at = self.settings.start_pps.or(self.settings.max_pps);
        let rate = at.map_or(Ok(Rate::Max), |pps| PacketRate::from_pps(pps).map(Rate::Pps))?;
        // The notes about requests are equal in each probe.
        let quiet = self.args.output.quiet || self.report.is_some();
        let cells = self.measure(rate, self.settings.short(), quiet)?;
        if let (Some(pps), Some(report)) = (at, &mut self.report)
            && !matches!(self.inner, Inner::Bench(_))
        {
            let known =
                report.warnings.iter().any(|one| one.code == warning_codes::ENGINE_AT_RATE.name);
            let doubt = doubt_of_choice(report.choice.as_ref(), pps).filter(|_| !known);
            report.warnings.extend(doubt);
        }
        Ok(cells.into_iter().filter(|cell| !cell.calibration).collect())
    }

    fn measure(&mut self, rate: Rate, time: Nanos, quiet: bool) -> Result<Vec<Cell>, CliError> {
        let cells = self.inner.cells_mut();
        (cells.rates, cells.time) = (vec![rate], Some(time));
        cells.output.common.quiet = quiet;
        let RunOutput { mut report, error, interrupted } = self.inner.measure(&self.stop)?;
        self.interrupted |= interrupted;
        if interrupted {
            let message = "interrupted: later searches are missing";
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

    /// Searches by the engine of this cell.
    fn one(&mut self, probe: &Cell) -> Result<(), CliError> {
        let id = probe.id.rsplit_once('/').map_or(probe.id.as_str(), |(id, _)| id);
        self.inner.cells_mut().engines = vec![engine(probe)?];
        let delivered_pps = probe.rx.as_ref().and_then(|rx| rx.pps);
        let sent_pps = probe.tx.pps.unwrap_or_default();
        let mut search =
            Search::new(self.settings.clone(), SearchPoint { delivered_pps, sent_pps });
        // A panic loses neither earlier trials nor earlier searches.
        let ended = guarded(&format!("trials of {id}"), || self.trials(&mut search, id));
        let result = guarded(&format!("result of {id}"), || Ok(found(&search, id, probe.size)));
        let kept = result.map(|found| self.searches.push(found));
        ended.and(kept)
    }

    fn trials(&mut self, search: &mut Search, id: &str) -> Result<(), CliError> {
        while let Some(ask) = search.next() {
            let number = search.trials.len() + 1;
            let rate = show_pps(ask.rate_pps);
            self.line.show(|| format!("{id} · {number} {} at {rate}", ask.purpose.word()));
            let Some(outcome) = self.trial(ask)? else { break };
            // No lower rate would help.
            let unreachable = outcome.invalid_because.iter().any(|code| code == UNREACHABLE);
            search.record(outcome)?;
            if unreachable {
                break;
            }
        }
        Ok(())
    }

    fn trial(&mut self, ask: TrialRequest) -> Result<Option<TrialOutcome>, CliError> {
        let rate = PacketRate::from_pps(ask.rate_pps)?;
        let cells = self.measure(Rate::Pps(rate), ask.time, true)?;
        let Some(mut cell) = cells.into_iter().find(|cell| !cell.calibration) else {
            return Ok(None);
        };
        if self.interrupted {
            return Ok(None);
        }
        let max_missed = self.inner.cells().output.max_missed.unwrap_or(MAX_MISSED);
        let outcome = outcome(&cell, ask.rate_pps, &self.args.goals, max_missed);
        // As many cells as trials of full length, in the same order.
        let is_kept = ask.purpose.is_final() && outcome.held.is_some();
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
        if let Some(scenario) = report.scenario.as_object_mut() {
            // The first probe had one size of these, and a rate of its own.
            scenario.remove("rates");
            if !self.sizes.is_empty() {
                let sizes: Vec<_> = self.sizes.iter().map(ToString::to_string).collect();
                scenario.insert("sizes".to_owned(), sizes.into());
            }
            scenario.insert("limit".to_owned(), format!("{}ns", self.settings.time.0).into());
        }
        report.max_missed = self.inner.cells().output.max_missed.unwrap_or(report.max_missed);
        let mut document = SearchDocument {
            report,
            inner: self.inner.name().to_owned(),
            goals: self.args.goals.iter().map(ToString::to_string).collect(),
            searches: self.searches,
        };
        let bug = validity_guarded(&mut document, |document| &mut document.report, judge_search);
        Some((document, bug))
    }
}

/// What is wrong with an engine that `auto` chose at a rate, where datagrams go to others.
fn doubt_of_choice(choice: Option<&Choice>, pps: f64) -> Option<Warning> {
    let choice = choice.filter(|choice| choice.trials.len() > 1)?;
    let message = format!(
        "auto tried its engines at {}, where all that can keep up deliver alike, so chance may \
         have chosen {}; name one by -e of the inner command",
        show_pps(pps),
        choice.engine
    );
    Some(warning_codes::ENGINE_AT_RATE.warning(message))
}

fn engine(cell: &Cell) -> Result<EngineWord, CliError> {
    let word = format!("{}/{}", cell.engine.tx, cell.engine.rx);
    let pair: Result<EnginePair, _> = word.parse();
    pair.map(EngineWord::Pair)
        .map_err(|error| CliError::Render { what: "engine", reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Tried;

    #[test]
    fn an_engine_that_was_chosen_at_a_rate_is_doubted() {
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
        let doubt = doubt_of_choice(Some(&choice), 5e3).unwrap();
        assert_eq!(doubt.code, warning_codes::ENGINE_AT_RATE.name);
        assert!(doubt.message.contains("chosen gso/batch; name one by -e"), "{}", doubt.message);
        choice.trials.pop();
        assert_eq!(doubt_of_choice(Some(&choice), 5e3), None);
        assert_eq!(doubt_of_choice(None, 5e3), None);
    }
}
