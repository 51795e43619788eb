//! `udperf ab`, as typed.

use std::path::PathBuf;

use clap::Args;

use super::{VerdictArgs, VerdictOutput};

/// Two settings, measured in interleaved runs and compared.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AbArgs {
    /// Flags of A, in addition to those of the command: --a '--engine plain'
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    #[arg(hide_default_value = true)]
    pub(crate) a: String,
    /// Flags of B, the judged setting
    #[arg(long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    #[arg(hide_default_value = true)]
    pub(crate) b: String,
    /// The udperf that runs A [default: this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin_a: Option<PathBuf>,
    /// The udperf that runs B
    #[arg(long, value_name = "PATH")]
    pub(crate) bin_b: Option<PathBuf>,
    /// A command for sh(1) before each run of A; undone after each
    ///
    /// sysctl settings are restored automatically, to their values before the first run. Any other
    /// command needs --undo-a.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) setup_a: Option<String>,
    /// The same for B
    #[arg(long, value_name = "COMMAND")]
    pub(crate) setup_b: Option<String>,
    /// The command that undoes --setup-a; true(1) if nothing needs undoing
    #[arg(long, value_name = "COMMAND", requires = "setup_a")]
    pub(crate) undo_a: Option<String>,
    /// The command that undoes --setup-b
    #[arg(long, value_name = "COMMAND", requires = "setup_b")]
    pub(crate) undo_b: Option<String>,
    /// Runs of A, and of B
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) trials: u32,
    /// Runs of each before these, not counted
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) warm: u32,
    /// Seed of the order of runs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep all documents: DIR/a/001.json, DIR/b/001.json …
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verdict: VerdictArgs,
    #[command(flatten)]
    pub(crate) output: VerdictOutput,
    /// The command that both run: bench, blast, load or ping, and its flags
    #[arg(last = true, required = true, value_name = "COMMAND", allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Shown below the long help.
const EXAMPLES: &str = "\
Examples:
  udperf ab --a '-e plain' --b '-e batch' -- bench -l 64 -r max -t 300ms
  udperf ab --b '-w 64K' -- bench -l 1472 -e plain
  udperf ab --setup-b 'sysctl -w net.core.busy_poll=50' -- load 192.168.1.7:53 --preset dns \
      --name a.example
  udperf ab --bin-a ./old/udperf --bin-b ./new/udperf -- bench -l 64 -e plain
  udperf ab --trials 20 -- bench -l 64 -e plain      A/A: the noise floor of this machine

A and B differ only in the given flags, programs and commands. Without any of these, both are equal:
their difference is stored as the noise floor (A/A) of this machine and these cells, and compare and
ab treat smaller changes as noise from then on.

Exit codes: 0 success · 1 could not run · 2 usage · 3 B is worse in a cell · 4 undecided (0 with
--allow-undecided) · 5 cannot compare: runs of A or B are invalid · 130 interrupted, after the
verdict on the finished runs";
