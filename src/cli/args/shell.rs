//! `udperf doctor`, `explain`, `schema`, `completions` and `man`, as typed.

use std::path::PathBuf;

use clap::{Args, ColorChoice};
use clap_complete::Shell;

use super::words;
use crate::report::schema;
use crate::unit::parse_buffer;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Socket buffer size that runs will request
    #[arg(short = 'w', long, value_name = "SIZE")]
    #[arg(value_parser = parse_buffer, default_value = "4M")]
    pub(crate) socket_buffer: usize,
    /// Sender threads, and receiver threads, that runs will have
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: u16,
    /// When to colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The kind of document
    #[arg(value_name = "OF", default_value = "run", value_parser = words([
        ("run", "Document of bench, blast, load and ping", schema::RUN),
        ("comparison", "Document of compare and ab", schema::COMPARISON),
        ("search", "Document of search", schema::SEARCH),
        ("sink", "Document of sink", schema::SINK),
        ("echo", "Document of echo", schema::ECHO),
    ]))]
    pub(crate) schema: &'static str,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Names as printed, such as stalls, p99.9, receive_buffer or 5 [default: list all]
    #[arg(value_name = "CODE")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_long_help = COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

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
