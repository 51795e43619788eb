//! Lines for servers that do not answer: statsd, and syslog, RFC 5424.

use crate::payload::compile::{Compiler, Piece};
use crate::payload::template::{self, TemplateBody};
use crate::payload::{Encoding, PayloadError};

/// The header of a syslog message: facility local0 and severity informational, version 1,
/// time, no host, our name, no process, no id, no structured data; RFC 5424 §6.
const SYSLOG: &str = "<134>1 {time:rfc3339} - udperf - - - ";

/// A metric of statsd as a template: `udperf.requests:1|c`.
pub(super) fn statsd(line: &str, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
    to.line(&text(line, seed)?)
}

/// A message of syslog, of which the last part is given, as a template.
pub(super) fn syslog(message: &str, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
    let mut pieces = text(SYSLOG, !seed)?;
    pieces.extend(text(message, seed)?);
    to.line(&pieces)
}

fn text(text: &str, seed: u64) -> Result<Vec<Piece>, PayloadError> {
    template::parse(text.as_bytes(), TemplateBody::Text(Encoding::UTF_8), seed)
}
