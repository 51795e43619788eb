//! The trials of `auto`: every engine that this host has, for a moment.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::session::CellRunner;
use super::{RunError, session};
use crate::document::{Choice, Failed, LeftOut, Tried};
use crate::engine::ENGINES;
use crate::plan::{EnginePair, EngineWord, Limit, Machine, PaceKind, Plan, Route, Scenario};
use crate::unit::{Nanos, PacketRate, PayloadSize, Rate};

/// The length of a trial. Arbitrary: thousands of datagrams even with the slowest engine, and less
/// than half a second for all trials.
const TRIAL: Nanos = Nanos::from_millis(20);
/// Warm-up of a trial; arbitrary, enough for caches and routes.
const WARMUP: Nanos = Nanos::from_millis(5);
/// Trials of each engine, in turns. The best counts: disturbances only slow a trial down.
const ROUNDS: u32 = 2;
/// Why `auto` does not select a pair if no trial has shown that the path splits its super-packets.
const UNSPLIT: &str = "no trial showed that this path splits its super-packets, so this may not be \
                       a rate of single datagrams; use --engine to measure it";

/// The rate of trials: flat out, but if datagrams leave this process, at most the requested rate.
fn rate(scenario: &Scenario, size: Option<PayloadSize>) -> Rate {
    let ramp = match scenario.pace {
        PaceKind::Ramp(from, to) => vec![from, to],
        _ => Vec::new(),
    };
    let pps = |rate: &Rate| {
        let rate = rate.at_size(size.map_or(0.0, PayloadSize::mean)).ok().flatten();
        rate.map_or(f64::INFINITY, PacketRate::pps)
    };
    let requested = scenario.rates.iter().chain(&ramp).copied();
    let highest = requested.max_by(|a, b| pps(a).total_cmp(&pps(b)));
    highest
        .filter(|highest| scenario.route != Route::Local && pps(highest).is_finite())
        .unwrap_or(Rate::Max)
}

struct Candidate {
    engine: EnginePair,
    pps: f64,
    /// Whether datagrams may stay in super-packets: no trial has shown that the path splits them.
    unsplit: bool,
}

/// Finds the engine that delivers most on this machine, flat out at the smallest size of the
/// scenario, where the cost of a datagram shows most. Engines whose super-packets may stay whole
/// are not chosen: theirs is no rate of single datagrams.
///
/// # Errors
/// [`RunError`] of the last trial if none succeeded.
pub fn choose(
    scenario: &Scenario,
    machine: &Machine,
    runner: &mut dyn CellRunner,
    stop: &Arc<AtomicBool>,
) -> Result<(EnginePair, Choice), RunError> {
    let size = scenario.sizes.iter().copied().min_by_key(|size| size.largest());
    // Without a receiver, pairs that differ only in the receiving engine count as one.
    let is_tried = |&pair: &EnginePair| {
        let one_ended = scenario.route == Route::SendOnly && pair == EnginePair::OFFLOAD;
        machine.lacks(pair).is_none() && !one_ended
    };
    let candidates = ENGINES.iter().filter_map(|row| row.auto).filter(is_tried);
    let mut tried: Vec<Candidate> = Vec::new();
    let mut failed = Vec::new();
    for engine in (0..ROUNDS).flat_map(|_| candidates.clone()) {
        let trial = Scenario {
            sizes: size.into_iter().collect(),
            engines: vec![EngineWord::Pair(engine)],
            rates: vec![rate(scenario, size)],
            pace: PaceKind::Even,
            limit: Limit::Time(TRIAL),
            warmup: WARMUP,
            trials: 1,
            ..scenario.clone()
        };
        let outcome = session::run(&Plan::new(trial, machine)?, runner, stop, &mut ());
        for measured in &outcome.measured {
            let pps = measured.result.delivered_pps().unwrap_or(0.0);
            let unsplit = engine == EnginePair::OFFLOAD && !measured.result.was_split();
            match tried.iter_mut().find(|one| one.engine == engine) {
                Some(one) => (one.pps, one.unsplit) = (one.pps.max(pps), one.unsplit && unsplit),
                None => tried.push(Candidate { engine, pps, unsplit }),
            }
        }
        failed.extend(outcome.error.map(|error| (engine, error)));
        if outcome.interrupted {
            break;
        }
    }
    tried.sort_by(|a, b| b.pps.total_cmp(&a.pps));
    let (unsplit, split): (Vec<_>, Vec<_>) = tried.into_iter().partition(|one| one.unsplit);
    let (Some(best), Some(size)) = (split.first(), size) else {
        return Err(failed.pop().map_or(RunError::NothingTried, |(_, error)| error));
    };
    let trials = split.iter().map(|one| Tried { engine: one.engine.to_string(), pps: one.pps });
    let left_out = unsplit.iter().map(|one| LeftOut {
        engine: one.engine.to_string(),
        pps: one.pps,
        why: UNSPLIT.to_owned(),
    });
    let failed = failed
        .iter()
        .map(|(engine, error)| Failed { engine: engine.to_string(), why: error.to_string() });
    let choice = Choice {
        asked: "auto".to_owned(),
        engine: best.engine.to_string(),
        size: size.mean().round() as u64,
        trial_ns: TRIAL.0,
        trials: trials.collect(),
        left_out: left_out.collect(),
        failed: failed.collect(),
    };
    Ok((best.engine, choice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_do_not_exceed_the_requested_rate() {
        let size = Some(PayloadSize::Fixed(100));
        let scenario = |route, rates| Scenario { route, rates, ..Scenario::default() };
        let (low, bits): (Rate, Rate) = ("500".parse().unwrap(), "8Mbit".parse().unwrap());
        assert_eq!(rate(&scenario(Route::Forward, vec![low, bits]), size), bits);
        assert_eq!(rate(&scenario(Route::SendOnly, vec![low]), size), low);
        assert_eq!(rate(&scenario(Route::Reverse, vec![low, Rate::OfMax(0.5)]), size), Rate::Max);
        assert_eq!(rate(&scenario(Route::Local, vec![low]), size), Rate::Max);
        let ramp = Scenario { pace: PaceKind::Ramp(low, bits), ..scenario(Route::Both, vec![]) };
        assert_eq!(rate(&ramp, size), bits);
    }
}
