//! Compares each engine with a bare loop of the same system calls, in interleaved pairs, to show
//! the cost of the full ledger and latency. Prints the ratio of each pair, the median, and the
//! target.
//!
//! `cargo bench --bench engines -- --pairs 10 --time 1 --engines plain,batch,offload 64 1472`
//! Run as root, `xdp` uses a veth pair between two network namespaces that the bench makes.
//!
//! `cargo bench --bench engines -- --bare-only --segments 64 --supers 4 64`
#![allow(missing_docs)]

mod common;

use clap::Parser;
#[cfg(target_os = "linux")]
use common::bare_mmsg;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
use common::bare_xdp;
use common::{BareLoop, OURS_AND_BARE, Runs, Shape, flat_out, measure, received_pps};
use udperf::plan::{EngineWord, Limit, Scenario};
use udperf::run::LocalRunner;
use udperf::unit::Nanos;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Engines by word: plain, batch, gso/batch, offload (gso/gro), uring, xdp
    #[arg(long, value_delimiter = ',', default_value = "plain,batch,gso/batch,offload,uring,xdp")]
    engines: Vec<String>,
    /// Only the bare loops, to compare their shapes
    #[arg(long)]
    bare_only: bool,
    #[command(flatten)]
    shape: Shape,
    /// Payload sizes
    #[arg(default_values_t = [64, 1472], value_parser = clap::value_parser!(u16).range(16..))]
    sizes: Vec<u16>,
}

/// Where copies begin to cost more than other work. Arbitrary, between the targets' 64 and 1472.
const LARGE_BYTES: u16 = 1_000;

/// The bare loop of an engine, its name in udperf, and the target share of the bare loop's rate:
/// for small datagrams, and from [`LARGE_BYTES`] on. Targets, not measurements.
type Contest = (BareLoop, &'static str, Option<(f64, f64)>);

fn contest(engine: &str) -> Result<Contest, String> {
    Ok(match engine {
        "plain" => (common::bare_plain::run, "plain", Some((0.97, 0.97))),
        #[cfg(target_os = "linux")]
        "batch" => (bare_mmsg::batch, "batch", Some((0.97, 0.97))),
        #[cfg(target_os = "linux")]
        "gso/batch" => (bare_mmsg::gso, "gso/batch", Some((0.9, 0.9))),
        #[cfg(target_os = "linux")]
        "offload" | "gso/gro" => (bare_mmsg::offload, "gso/gro", Some((0.7, 0.95))),
        #[cfg(target_os = "linux")]
        "uring" => (common::bare_uring::run, "uring", None),
        #[cfg(all(target_os = "linux", not(udperf_portable)))]
        "xdp" => (bare_xdp::run, "xdp", Some((0.9, 0.9))),
        _ => return Err("there is no bare loop of this name on this system".to_owned()),
    })
}

/// The row of an engine and size, where the engine works.
fn row(title: &str, engine: &str, size: u16, args: &Args) -> Result<String, String> {
    #[cfg(all(target_os = "linux", not(udperf_portable)))]
    if engine == "xdp" {
        let adapt = bare_xdp::between;
        return bare_xdp::between_namespaces(|| compare(title, engine, size, args, adapt));
    }
    compare(title, engine, size, args, |scenario| scenario)
}

fn compare(
    title: &str,
    engine: &str,
    size: u16,
    args: &Args,
    adapt: fn(Scenario) -> Scenario,
) -> Result<String, String> {
    let (bare, engine, target) = contest(engine)?;
    let target = target.map(|(small, large)| if size < LARGE_BYTES { small } else { large });
    let time = args.runs.time();
    let bare = || {
        let pps = bare(usize::from(size), args.shape, time);
        pps.map_err(|error| format!("bare loop: {error}"))
    };
    // A test runs both halves, also if this build lacks the engine.
    if args.bare_only || args.runs.is_test() {
        let runs = (0..args.runs.pairs()).map(|_| bare()).collect::<Result<Vec<_>, _>>()?;
        // The fastest run is the least disturbed one.
        let max = runs.into_iter().fold(0.0, f64::max);
        println!("{title}: bare, at most {max:.0} pps");
        if args.bare_only {
            return Ok(format!("{title:<26} {:>12} {max:>12.0}", ""));
        }
    }
    let engine = engine.parse::<EngineWord>().map_err(|error| error.to_string())?;
    let ours = || {
        let scenario = adapt(flat_out(engine, size, Limit::Time(Nanos::from(time))));
        let result = measure(scenario, &mut LocalRunner::default())?;
        assert_eq!(result.ledger().unaccounted, Some(0));
        Ok(received_pps(&result))
    };
    args.runs.compare(title, OURS_AND_BARE, false, target, ours, bare)
}

fn main() {
    let args = Args::parse();
    let mut rows = Vec::new();
    for engine in &args.engines {
        for &size in &args.sizes {
            let title = format!("{engine} {size} B, pps");
            rows.push(row(&title, engine, size, &args).unwrap_or_else(|reason| {
                println!("SKIPPED: {title}: {reason}");
                format!("{title:<26} skipped")
            }));
        }
    }
    common::print_table(OURS_AND_BARE, &rows);
}
