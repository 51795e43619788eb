//! `udperf selftest`: compares what reports say with what happened, on this host.
//!
//! A relay between sender and receiver drops, repeats, reorders, damages and delays datagrams, and
//! keeps its own account. Cells are measured and documented by the code of every run; only the
//! relay and the deliberate faults are added.

mod cell;
mod fault;
mod finding;
mod ledger;
mod netns;
mod orders;
mod overhead;
mod relay;
mod timing;
mod verdicts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::document::{Head, SelftestCheck, SelftestDocument};
use crate::engine::ENGINES;
use crate::host::{self, HostFacts};
use crate::plan::EnginePair;
use crate::run::RunError;
use crate::sys;
use cell::TestContext;
pub(crate) use fault::DeliberateFault;
use finding::{CheckFinding, CheckResult, SelftestError};
pub(crate) use netns::unavailable as netns_unavailable;

/// How often a check that was disturbed is made at most. Arbitrary.
const TRIES: u32 = 3;

/// What to check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SelftestOptions {
    pub(crate) quick: bool,
    /// Whether to check in network namespaces, too.
    pub(crate) netns: bool,
    pub(crate) seed: u64,
    pub(crate) fault: Option<DeliberateFault>,
}

/// A check: its id, its engine if that matters, and how it is made.
type Check<'a> =
    (&'static str, Option<EnginePair>, Box<dyn Fn(&TestContext<'_>) -> CheckResult + 'a>);

/// Makes all checks; `progress` gets the id of each before it is made. The error is the first one
/// that left a check undecided.
pub(crate) fn run(
    options: SelftestOptions,
    head: Head,
    facts: &HostFacts,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> (SelftestDocument, Option<String>) {
    let SelftestOptions { quick, netns, seed, fault } = options;
    let machine = host::machine(facts);
    let context = TestContext { machine: &machine, facts, stop, fault, quick, seed, repeats: 0 };
    let began_ns = sys::monotonic_ns();
    let (all, mut checks, mut first) = (checks(&context, netns), Vec::new(), None);
    for (done, (id, engine, check)) in all.iter().enumerate() {
        progress(id, done, all.len());
        match repeated(&context, check) {
            // A signal ends the programs that a check runs, too.
            Err(_) if stop.load(Ordering::Relaxed) => break,
            found => {
                let (check, error) = document(id, *engine, found);
                checks.push(check);
                first = first.or(error);
            }
        }
    }
    let document = SelftestDocument {
        head,
        quick,
        netns,
        seed,
        fault: fault.map(|fault| fault.word().to_owned()),
        elapsed_ns: sys::monotonic_ns() - began_ns,
        interrupted: stop.load(Ordering::Relaxed),
        checks,
    };
    (document, first)
}

/// All checks on this host.
fn checks(context: &TestContext<'_>, netns: bool) -> Vec<Check<'static>> {
    let pairs = ENGINES.iter().filter_map(|row| row.auto);
    let here: Vec<_> = pairs.filter(|pair| context.machine.lacks(*pair).is_none()).collect();
    type OfHost = fn(&TestContext<'_>) -> CheckResult;
    type OfEngine = fn(&TestContext<'_>, EnginePair) -> CheckResult;
    let of_engine = |id: &'static str, pair: EnginePair, check: OfEngine| -> Check<'static> {
        (id, Some(pair), Box::new(move |context| check(context, pair)))
    };
    let mut checks: Vec<_> =
        here.iter().map(|pair| of_engine("ledger", *pair, ledger::ledger)).collect();
    let others: [(&str, OfHost); 10] = [
        ("tail", ledger::tail),
        ("window", ledger::window),
        ("receive_buffer", ledger::receive_buffer),
        ("delay", timing::delay),
        ("stall", timing::stall),
        ("pacing", timing::pacing),
        ("clock", timing::clock),
        ("overhead", overhead::overhead),
        ("compare_same", verdicts::same),
        ("compare_worse", verdicts::worse),
    ];
    checks.extend(others.map(|(id, check)| -> Check<'static> { (id, None, Box::new(check)) }));
    if netns {
        checks.extend(here.iter().map(|pair| of_engine("netfilter", *pair, netns::netfilter)));
        checks.push(("queue", None, Box::new(netns::queue)));
    }
    checks
}

/// Makes a check, again if it was disturbed.
fn repeated(
    context: &TestContext<'_>,
    check: &dyn Fn(&TestContext<'_>) -> CheckResult,
) -> CheckResult {
    let mut found = check(context)?;
    for repeats in 1..TRIES {
        if found.ok.is_some() {
            break;
        }
        let note = found.note.take();
        found = check(&TestContext { repeats, ..*context })?;
        found.note = found.note.or_else(|| note.map(|note| format!("repeated: {note}")));
    }
    Ok(found)
}

/// The check as documented. What cannot run is undecided, with the error as its reason: no report
/// was found to be wrong.
fn document(
    id: &str,
    engine: Option<EnginePair>,
    found: CheckResult,
) -> (SelftestCheck, Option<String>) {
    let (finding, error) = match found {
        Ok(finding) => (finding, None),
        Err(SelftestError::Run(error @ RunError::Panicked { .. })) => {
            (CheckFinding::of(false, "a result", error.to_string()), None)
        }
        Err(error @ (SelftestError::Run(_) | SelftestError::CannotRun(_))) => {
            let note = Some(error.to_string());
            (CheckFinding { note: note.clone(), ..CheckFinding::default() }, note)
        }
        Err(error) => (CheckFinding::of(false, "a result", error.to_string()), None),
    };
    let CheckFinding { ok, expected, seen, note } = finding;
    let engine = engine.map(|engine| engine.to_string());
    (SelftestCheck { id: id.to_owned(), engine, ok, expected, seen, note }, error)
}
