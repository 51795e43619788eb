//! `plain` against the bare loop of the same system call, in interleaved pairs: what the full ledger
//! and latency cost. Prints the ratio of each pair and the median of all.
//!
//! `cargo bench --bench pairs -- --pairs 12 --time 1 64 1472`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use common::{bare, median};
use udperf::plan::{Limit, Machine, Pinning, Plan, Scenario};
use udperf::run;
use udperf::unit::{Nanos, PayloadSize, Rate};

#[derive(Parser)]
struct Args {
    /// Pairs to run
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 1.0)]
    time: f64,
    /// Passed by cargo
    #[arg(long)]
    bench: bool,
    /// Payload sizes
    #[arg(default_values_t = [64, 1472])]
    sizes: Vec<u16>,
}

fn plain(size: u16, time: Duration) -> f64 {
    let (tx, rx) = *common::CORES.get_or_init(common::cores);
    let scenario = Scenario {
        sizes: vec![PayloadSize::Fixed(size)],
        rates: vec![Rate::Max],
        limit: Limit::Time(Nanos::from(time)),
        warmup: Nanos::ZERO,
        pin: Pinning::Cores { tx: vec![tx], rx: vec![rx] },
        ..Scenario::default()
    };
    let plan = Plan::new(scenario, &Machine { cpus: vec![tx, rx], ..Machine::default() }).unwrap();
    let outcome = run::run(&plan, &Arc::new(AtomicBool::new(false)), &mut ());
    let harvest = &outcome.measured[0].harvest;
    assert_eq!(harvest.ledger().unaccounted, 0);
    harvest.rx.in_window as f64 / harvest.elapsed.as_secs_f64()
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let testing = !std::env::args().any(|arg| arg == "--bench");
    let mut args = Args::parse();
    if testing {
        (args.pairs, args.time) = (1, 0.05);
    }
    let time = Duration::from_secs_f64(args.time);
    for size in args.sizes {
        let mut ratios = Vec::new();
        for pair in 0..args.pairs {
            // The order within a pair alternates, so that neither side always goes first.
            let (ours, theirs) = if pair % 2 == 0 {
                let ours = plain(size, time);
                (ours, bare(usize::from(size), time, u64::MAX).pps())
            } else {
                let theirs = bare(usize::from(size), time, u64::MAX).pps();
                (plain(size, time), theirs)
            };
            println!(
                "{size} B: plain {ours:.0} pps, bare {theirs:.0} pps, ratio {:.3}",
                ours / theirs
            );
            ratios.push(ours / theirs);
        }
        println!("{size} B: median ratio {:.3} of {} pairs", median(ratios), args.pairs);
    }
}
