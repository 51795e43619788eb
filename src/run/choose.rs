//! What `auto` stands for: every engine that this host has, tried for a moment.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::session::Bed;
use super::{RunError, session};
use crate::plan::{
    Choice, EnginePair, EngineWord, Limit, Machine, PaceKind, Plan, RxKind, Scenario, TxKind,
};
use crate::unit::{Nanos, Rate};

/// How long each is tried. Arbitrary: thousands of datagrams even of the slowest, and all trials
/// together take less than half a second.
const TRIAL: Nanos = Nanos::from_millis(20);

/// What comes before a trial; arbitrary, enough for caches and routes.
const WARMUP: Nanos = Nanos::from_millis(5);

/// How often each is tried, in turns. The best counts: what disturbs a trial makes it slower only.
const ROUNDS: u32 = 2;

/// The pairs worth trying: each way of sending with the way of receiving made for it, and
/// super-packets with a receiver that knows nothing of them.
const CANDIDATES: [EnginePair; 5] = [
    EnginePair::OFFLOAD,
    EnginePair { tx: TxKind::Gso, rx: RxKind::Batch },
    EnginePair::URING,
    EnginePair::BATCH,
    EnginePair::PLAIN,
];

/// Finds out which engines deliver most on this machine, flat out at the smallest size of the
/// scenario, where the cost of a datagram shows most.
///
/// # Errors
/// [`RunError`] of the last trial, where none could be made.
pub fn choose(
    scenario: &Scenario,
    machine: &Machine,
    bed: &mut dyn Bed,
    stop: &Arc<AtomicBool>,
) -> Result<Choice, RunError> {
    let size = scenario.sizes.iter().copied().min_by_key(|size| size.largest());
    let candidates = CANDIDATES.into_iter().filter(|&pair| machine.lacks(pair).is_none());
    let mut tried: Vec<(EnginePair, f64)> = Vec::new();
    let mut failed = Vec::new();
    for engine in (0..ROUNDS).flat_map(|_| candidates.clone()) {
        let trial = Scenario {
            sizes: size.into_iter().collect(),
            engines: vec![EngineWord::Pair(engine)],
            rates: vec![Rate::Max],
            pace: PaceKind::Even,
            limit: Limit::Time(TRIAL),
            warmup: WARMUP,
            trials: 1,
            ..scenario.clone()
        };
        let outcome = session::run(&Plan::new(trial, machine)?, bed, stop, &mut ());
        for measured in &outcome.measured {
            let pps = measured.harvest.delivered_pps().unwrap_or(0.0);
            match tried.iter_mut().find(|(pair, _)| *pair == engine) {
                Some((_, best)) => *best = best.max(pps),
                None => tried.push((engine, pps)),
            }
        }
        failed.extend(outcome.error.map(|error| (engine, error)));
        if outcome.interrupted {
            break;
        }
    }
    tried.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    match (tried.first(), size) {
        (Some(&(engine, _)), Some(size)) => {
            let failed = failed.into_iter().map(|(pair, error)| (pair, error.to_string()));
            Ok(Choice { engine, size, trial: TRIAL, tried, failed: failed.collect() })
        }
        _ => Err(failed.pop().map_or(RunError::NothingTried, |(_, error)| error)),
    }
}
