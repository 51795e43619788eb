//! The first fields of every document.

use serde::{Deserialize, Serialize};

use super::host::Host;

/// The first fields of every document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Head {
    /// Always `udperf/1`.
    pub schema: String,
    /// Which command made it.
    pub kind: String,
    /// The program that made it.
    pub tool: Tool,
    /// Its arguments, the program's name first.
    pub command: Vec<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The host it ran on.
    pub host: Host,
}

/// The version and build of a program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The short commit of the sources; with `+` if they had changes.
    pub git: Option<String>,
    /// `release` (any optimised build) or `debug`.
    pub profile: String,
    /// Optional features of the build.
    pub features: Vec<String>,
}
