//! Compares each engine with a bare loop of the same system calls, in interleaved pairs, to show
//! the cost of the full ledger and latency. Prints the ratio of each pair, the median, and the
//! target.
//!
//! `cargo bench --bench engines -- --pairs 10 --time 1 --engines plain,batch,offload 64 1472`
//! `cargo bench --bench engines -- --bare-only --segments 64 --supers 4 64`
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use common::{Bare, Delivered, Shape, Until, median};
use udperf::plan::{EngineWord, Limit, Machine, Pinning, Plan, Scenario};
use udperf::run;
use udperf::unit::{Nanos, PayloadSize, Rate};

#[derive(Parser)]
struct Args {
    /// Pairs of runs for each engine and size
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// Duration of each run in seconds
    #[arg(long, default_value_t = 1.0)]
    time: f64,
    /// Engines by word: plain, batch, gso/batch, offload (gso/gro), uring
    #[arg(long, value_delimiter = ',', default_value = "plain,batch,gso/batch,offload,uring")]
    engines: Vec<String>,
    /// Only the bare loops, to compare their shapes
    #[arg(long)]
    bare_only: bool,
    #[command(flatten)]
    shape: Shape,
    /// Passed by cargo
    #[arg(long)]
    bench: bool,
    /// Payload sizes
    #[arg(default_values_t = [64, 1472], value_parser = clap::value_parser!(u16).range(16..))]
    sizes: Vec<u16>,
}

/// One engine and the bare loop of its system calls.
struct Contest {
    /// As typed.
    word: String,
    bare: Bare,
    /// Its name in udperf.
    engine: &'static str,
    /// Target share of the bare loop's rate, if any: for small datagrams, and from `LARGE_BYTES`
    /// on. Targets, not measurements.
    target: Option<(f64, f64)>,
}

/// Where a copy begins to cost more than a datagram's own work. Arbitrary, between the 64 and the
/// 1472 bytes for which there are targets.
const LARGE_BYTES: u16 = 1_000;

impl Contest {
    fn of(word: &str) -> Result<Self, String> {
        let (bare, engine, target) = match word {
            "plain" => (Bare::Plain, "plain", Some((0.97, 0.97))),
            "batch" => (Bare::Batch, "batch", Some((0.97, 0.97))),
            "gso/batch" => (Bare::GsoBatch, "gso/batch", Some((0.9, 0.9))),
            "offload" | "gso/gro" => (Bare::Offload, "gso/gro", Some((0.7, 0.95))),
            "uring" => (Bare::Uring, "uring", None),
            _ => return Err("there is no bare loop of this name".to_owned()),
        };
        Ok(Self { word: word.to_owned(), bare, engine, target })
    }

    /// The target for this size and whether the ratio meets it, for the table.
    fn verdict(&self, size: u16, ratio: f64) -> String {
        let Some((small, large)) = self.target else { return format!("{:>7}", "-") };
        let target = if size < LARGE_BYTES { small } else { large };
        format!("{target:>7.2} {}", if ratio >= target { "met" } else { "missed" })
    }

    /// Datagrams per second that udperf delivers.
    fn ours(&self, size: u16, time: Duration) -> Result<f64, String> {
        let (tx, rx) = *common::CORES.get_or_init(common::cores);
        let scenario = Scenario {
            sizes: vec![PayloadSize::Fixed(size)],
            engines: vec![self.engine.parse::<EngineWord>().map_err(|error| error.to_string())?],
            rates: vec![Rate::Max],
            limit: Limit::Time(Nanos::from(time)),
            warmup: Nanos::ZERO,
            pin: Pinning::Cores { tx: vec![tx], rx: vec![rx] },
            ..Scenario::default()
        };
        let machine = Machine { cpus: vec![tx, rx], ..Machine::default() };
        let plan = Plan::new(scenario, &machine).map_err(|error| error.to_string())?;
        let outcome = run::run(
            &plan,
            &mut run::LocalRunner::default(),
            &Arc::new(AtomicBool::new(false)),
            &mut (),
        );
        if let Some(error) = outcome.error {
            return Err(error.to_string());
        }
        let result = &outcome.measured.first().ok_or("nothing was measured")?.result;
        assert_eq!(result.ledger().unaccounted, 0);
        Ok(result.rx.received as f64 / result.elapsed.as_secs_f64())
    }

    /// Datagrams per second that the bare loop delivers.
    fn bare(&self, size: u16, time: Duration, shape: Shape) -> Result<f64, String> {
        self.bare
            .run(usize::from(size), shape, Until::time(time))
            .map(Delivered::pps)
            .map_err(|error| format!("bare loop: {error}"))
    }

    /// Runs all pairs of one size; returns a row of the table.
    fn compare(&self, size: u16, args: &Args) -> Result<String, String> {
        let time = Duration::from_secs_f64(args.time);
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let word = &self.word;
        for pair in 0..args.pairs {
            // The order within a pair alternates, so that neither side always runs first.
            let (us, them) = if pair % 2 == 0 {
                let us = self.ours(size, time)?;
                (us, self.bare(size, time, args.shape)?)
            } else {
                let them = self.bare(size, time, args.shape)?;
                (self.ours(size, time)?, them)
            };
            println!("{word} {size} B: ours {us:.0} pps, bare {them:.0} pps, {:.3}", us / them);
            ratios.push(us / them);
            ours.push(us);
            bare.push(them);
        }
        let (ratio, ours, bare) = (median(ratios), median(ours), median(bare));
        println!(
            "{word} {size} B: median ratio {ratio:.3} of {} pairs (ours {ours:.0} pps, bare \
             {bare:.0} pps)",
            args.pairs
        );
        let verdict = self.verdict(size, ratio);
        Ok(format!("{word:<10} {size:>6} {ours:>12.0} {bare:>12.0} {ratio:>7.3} {verdict}"))
    }

    /// Runs the bare loop alone. Its fastest run is the least disturbed one.
    fn bare_only(&self, size: u16, args: &Args) -> Result<String, String> {
        let time = Duration::from_secs_f64(args.time);
        let runs: Result<Vec<_>, _> =
            (0..args.pairs).map(|_| self.bare(size, time, args.shape)).collect();
        let runs = runs?;
        let (word, most) = (&self.word, runs.iter().copied().fold(0.0, f64::max));
        println!("{word} {size} B: bare, most {most:.0} pps of {} runs", args.pairs);
        Ok(format!("{word:<10} {size:>6} {:>12} {:>12.0} most {most:.0}", "", median(runs)))
    }
}

fn main() {
    // `cargo test --benches` only checks that it runs.
    let testing = !std::env::args().any(|arg| arg == "--bench");
    let mut args = Args::parse();
    args.pairs = args.pairs.max(1);
    if testing {
        (args.pairs, args.time) = (1, 0.05);
    }
    let mut rows = Vec::new();
    for word in &args.engines {
        for &size in &args.sizes {
            let row = Contest::of(word).and_then(|contest| {
                // A test runs both halves, also if this build lacks the engine.
                let alone = (args.bare_only || testing).then(|| contest.bare_only(size, &args));
                match alone {
                    Some(row) if args.bare_only || row.is_err() => row,
                    _ => contest.compare(size, &args),
                }
            });
            match row {
                Ok(row) => rows.push(row),
                Err(reason) => {
                    println!("SKIPPED: engine {word}: {reason}");
                    rows.push(format!("{word:<10} {size:>6} skipped"));
                }
            }
        }
    }
    println!(
        "\n{:<10} {:>6} {:>12} {:>12} {:>7} {:>7}",
        "engine", "bytes", "ours pps", "bare pps", "ratio", "target"
    );
    for row in rows {
        println!("{row}");
    }
}
