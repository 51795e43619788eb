//! `udperf run --init`: an example of a scenario file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::cli::error::{CliError, CliResult, Exit};
use crate::cli::output::{print, shown, warn_stderr};

/// The example, which a test runs.
pub(super) const EXAMPLE: &str = include_str!("example.toml");

pub(super) fn write(path: Option<&Path>) -> CliResult {
    let Some(path) = path else { return print(EXAMPLE) };
    let failed = |source| CliError::File { flag: "init", path: path.to_owned(), source };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(EXAMPLE.as_bytes()).map_err(failed)?;
    let path = shown(path);
    warn_stderr(&format!("wrote an example to {path}; run it with udperf run {path}"));
    Ok(Exit::Success)
}
