//! `udperf selftest`, as typed.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::OutputArgs;
use crate::selftest::DeliberateFault;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  udperf selftest                    all checks, within 20 s
  udperf selftest --quick            the same with fewer datagrams, within 5 s
  sudo udperf selftest --netns       with a firewall and a queue of the kernel, too
  udperf selftest -J | jq '.checks[] | select(.ok == false)'

Exit codes: 0 every report was true · 1 could not run · 2 usage · 3 a check failed · \
130 interrupted")]
pub(crate) struct SelftestArgs {
    /// Fewer datagrams in each check
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also compare with the counters of a firewall and a queue, in network namespaces of its own
    ///
    /// Needs root, and the programs unshare, ip, tc and nft.
    #[arg(long)]
    pub(crate) netns: bool,
    /// Seed of what the relay drops, repeats, reorders and damages
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Falsify the figures of this check, which must then fail
    #[arg(long, value_name = "CHECK", hide = true)]
    #[arg(value_parser = PossibleValuesParser::new(DeliberateFault::words()))]
    pub(crate) fault: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
