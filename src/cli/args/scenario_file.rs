//! `udperf run`, as typed.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::{OutputArgs, output::parse_pair};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Each step is a command that measures, with its flags as keys: rate = \"50k\", size = [64, 1472],
df = true. udperf checks the whole file before the first step runs. A failed step does not stop
the steps after it. docs/scenarios.md describes the file.

Examples:
  udperf run --init tests.toml                 an example to begin with
  udperf run tests.toml --dry-run              check it, and print the commands
  udperf run tests.toml --set server=lab7:53   with another value of a variable
  udperf run tests.toml --only tag:quick --junit steps.xml -J=steps.json
  udperf report steps.json --html steps.html

Exit codes: that of the worst step, in this order: 130 interrupted · 2 usage · 1 could not run ·
5 invalid · 3 a --fail-if held, no rate was found, or worse · 4 undecided · 0 success")]
pub(crate) struct ScenarioArgs {
    /// The scenario file (TOML)
    #[arg(value_name = "FILE", required_unless_present = "init")]
    pub(crate) file: Option<PathBuf>,
    /// Write an example to FILE, which must not exist, or without FILE to standard output
    #[arg(long, conflicts_with_all = ["only", "set", "dry_run", "json", "html"])]
    #[arg(conflicts_with_all = ["markdown", "junit"])]
    pub(crate) init: bool,
    /// Run only the step NAME, or the steps with a tag: tag:TAG; repeatable
    #[arg(long, value_name = "STEP", action = ArgAction::Append)]
    pub(crate) only: Vec<String>,
    /// Set a variable of the file to this value; repeatable
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    #[arg(value_parser = parse_pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Check the file and print the command of each step; send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Write Markdown to standard output instead of text, or to FILE in addition
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "-", help_heading = "Output")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write JUnit to a file: one suite per step
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) junit: Option<PathBuf>,
}

impl ScenarioArgs {
    pub(crate) fn files(&self) -> [(&'static str, Option<&Path>); 2] {
        [("markdown", self.markdown.as_deref()), ("junit", self.junit.as_deref())]
    }
}
