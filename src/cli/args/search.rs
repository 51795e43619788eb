//! `udperf search`, as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::OutputArgs;
use crate::report::{Condition, checks::metric::MetricKind};
use crate::unit::{Nanos, PacketRate, Rate};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Short trials narrow the interval first, longer ones later. A rate counts only after several trials
of full length, and a rate a tenth below the result must pass, too. The lowest rate is ten datagrams
per short trial. If the generator cannot keep a rate, it bounds the search, and the report says so.
Each trial of blast is a separate client: a sink with --once ends after the first.

Examples:
  udperf search 'loss<=0.1%' 'p99<=200us' -- load 127.0.0.1:53 --preset dns --name example.test
  udperf search 'loss<=0' -- bench -l 64,1472 -e plain,gso/batch
  udperf search 'loss<=0.5%' --max-rate 500k -J=found.json -- blast lab7 -l rfc2544
  udperf search 'loss<=0.1%' --budget 60 -- bench -l 1472 -e plain
  udperf search 'p99.9<=1ms,loss<=0' -t 10 --repeat 3/5 -- ping lab7 -l 64 --wait spin

Exit codes: 0 found · 1 could not run · 2 usage · 3 no rate passed · 5 invalid · 130 interrupted")]
pub(crate) struct SearchArgs {
    /// Conditions for a rate to pass, all of which must hold: 'loss<=0.1%' 'p99<=200us'
    ///
    /// As in --fail-if, but stating the good case: a metric or a number field of a cell by its
    /// path, a comparison, and a value.
    #[arg(value_name = "GOAL", required = true, value_delimiter = ',')]
    pub(crate) goals: Vec<Condition>,
    /// Length of the trials that decide; earlier ones are shorter
    #[arg(short = 't', long, value_name = "DUR", default_value = "2s")]
    pub(crate) time: Nanos,
    /// Distance of the highest passing and the lowest failing rate at the end
    #[arg(long, value_name = "PCT", default_value = "1%", value_parser = parse_precision)]
    pub(crate) precision: f64,
    /// A rate passes if the goals hold in K of N trials, and fails once they cannot
    #[arg(long, value_name = "K/N", default_value = "2/3", value_parser = parse_repeat)]
    pub(crate) repeat: (u32, u32),
    /// Begin at this rate [default: what a trial at max delivers]
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) start: Option<PacketRate>,
    /// Highest rate to try
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) max_rate: Option<PacketRate>,
    /// End within this time, with the interval found so far [default: no limit]
    ///
    /// No trial begins that would end later; a running one is not cut short. The searches of
    /// several sizes and engines share the time equally.
    #[arg(long, value_name = "DUR")]
    pub(crate) budget: Option<Nanos>,
    /// Omit the trials below the result that show how latency rises
    #[arg(long)]
    pub(crate) no_curve: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Write one CSV row per trial to a file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// The command of each trial: bench, blast, load or ping with its flags, except rates, times,
    /// trials and output; bench: 64 bytes by engine auto, unless given
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

/// The maximum of `--precision`, as a share. Arbitrary: a probe is as precise.
const MAX_PRECISION: f64 = 0.5;
/// The minimum of `--precision`, as a share. Arbitrary: no measurement repeats that precisely.
const MIN_PRECISION: f64 = 0.0005;
/// The maximum of N in `--repeat`. Arbitrary: more than a search has.
const MAX_REPEATS: u32 = 25;

fn parse_precision(word: &str) -> Result<f64, String> {
    let share = MetricKind::Share
        .read(word)
        .filter(|share| (MIN_PRECISION..=MAX_PRECISION).contains(share));
    share.ok_or_else(|| format!("invalid precision '{word}'; use 0.05% to 50%, such as 1%"))
}

fn parse_repeat(word: &str) -> Result<(u32, u32), String> {
    let parts = word.split_once('/');
    let parts = parts.and_then(|(k, n)| Some((k.trim().parse().ok()?, n.trim().parse().ok()?)));
    parts
        .filter(|&(k, n): &(u32, u32)| 1 <= k && k <= n && n <= MAX_REPEATS)
        .ok_or_else(|| format!("invalid repeat '{word}'; use K/N up to 25, such as 2/3"))
}

fn parse_rate(word: &str) -> Result<PacketRate, String> {
    match word.parse() {
        Ok(Rate::Pps(rate)) => Ok(rate),
        Ok(_) => Err(format!("invalid rate '{word}'; use datagrams per second, such as 100k")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_arguments() {
        assert_eq!(parse_precision("1%"), Ok(0.01));
        assert_eq!(parse_repeat("2/3"), Ok((2, 3)));
        assert_eq!(parse_rate("100k").map(PacketRate::pps), Ok(100e3));
        assert!(["0%", "51%", "2", "x"].iter().all(|word| parse_precision(word).is_err()));
        assert!(["3/2", "0/1", "1", "1/26"].iter().all(|word| parse_repeat(word).is_err()));
        assert!(["max", "50%", "1Gbit", "0"].iter().all(|word| parse_rate(word).is_err()));
    }
}
