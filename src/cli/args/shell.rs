//! `udperf completions`, `udperf man` and `udperf schema`, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Prints a schema.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The kind of document
    #[arg(value_name = "OF", default_value = "run")]
    pub(crate) of: SchemaOf,
}

/// Explains what reports contain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Names as printed, such as stalls, p99.9, receive_buffer or 5 [default: list all]
    #[arg(value_name = "CODE")]
    pub(crate) names: Vec<String>,
}

/// A form of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Document of bench, blast, load and ping
    Run,
    /// Document of compare and ab
    Comparison,
    /// Document of search
    Search,
    /// Document of sink
    Sink,
    /// Document of echo
    Echo,
}

/// Prints completions.
#[derive(Debug, Args)]
#[command(after_long_help = COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Prints manual pages.
#[derive(Debug, Args)]
#[command(after_long_help = MAN)]
pub(crate) struct ManArgs {
    /// The page of this command [default: udperf]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Write the pages of all commands to this folder: udperf.1, udperf-bench.1 …
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}

/// Shown below the long help; folders from the manuals of the shells.
const COMPLETIONS: &str = "\
Examples:
  udperf completions bash > ~/.local/share/bash-completion/completions/udperf
  udperf completions zsh > \"${fpath[1]}/_udperf\"
  udperf completions fish > ~/.config/fish/completions/udperf.fish";

/// Shown below the long help.
const MAN: &str = "\
Examples:
  udperf man | man -l -
  udperf man bench | man -l -
  udperf man --dir ~/.local/share/man/man1";
