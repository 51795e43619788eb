//! Files of names in dnsperf's format: a name per line, blanks, a type; the rest is ignored. Lines
//! that begin with `;` or `#` are comments.

use std::collections::BTreeMap;

use super::dns::{Dns, rtype};
use crate::payload::compile::Compiler;
use crate::payload::encoding::without_mark;
use crate::payload::{Input, PayloadError};

/// Maximum skipped lines shown, and columns of each. Arbitrary: enough to see what is wrong.
const SHOWN: usize = 5;
/// As above.
const COLUMNS: usize = 80;
/// The longest character of UTF-8 in bytes; RFC 3629 §3.
const LONGEST_CHARACTER: usize = 4;
/// The longest name as text, in bytes: 255 bytes (RFC 1035 §2.3.4), each up to `\DDD` (§5.1).
const LONGEST_NAME: usize = 4 * 255;

/// Why a line is skipped: a word for documents, and what is wrong.
struct Fault {
    word: &'static str,
    why: String,
}

#[derive(Default)]
struct Skipped {
    causes: BTreeMap<&'static str, u64>,
    /// The first ones, and what is wrong with them.
    shown: Vec<PayloadError>,
}

impl Dns {
    /// Adds a query for each good line; a bad one is an error if `strict`.
    pub(super) fn lines(
        &self,
        bytes: &[u8],
        strict: bool,
        default: u16,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<(), PayloadError> {
        let (mut used, mut skipped) = (0, Skipped::default());
        for (line, number) in without_mark(bytes).split(|byte| *byte == b'\n').zip(1..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii().is_empty() || line.starts_with(b";") || line.starts_with(b"#") {
                continue;
            }
            let Err(Fault { word, why }) = self.line(line, default, to, seed)? else {
                used += 1;
                continue;
            };
            let error = || PayloadError::Question { line: shown(line), why }.in_line(number);
            if strict {
                return Err(error());
            }
            *skipped.causes.entry(word).or_default() += 1;
            if skipped.shown.len() < SHOWN {
                skipped.shown.push(error());
            }
        }
        let bad: u64 = skipped.causes.values().sum();
        let notes = skipped.notes(used);
        if used == 0
            && let Some(first) = skipped.shown.into_iter().next()
        {
            return Err(PayloadError::NoNames { lines: bad, first: Box::new(first) });
        }
        let (format, link_types, more_link_types, clock) = ("names", Vec::new(), 0, None);
        let (records, left_out) = (used + bad, skipped.causes);
        let input = Input { format, link_types, more_link_types, records, used, left_out, clock };
        to.read_from(input, notes);
        Ok(())
    }

    fn line(
        &self,
        line: &[u8],
        default: u16,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<Result<(), Fault>, PayloadError> {
        let fault = |word, why: &str| Ok(Err(Fault { word, why: why.to_owned() }));
        // With a blank in front, the first word is empty, and what follows is its type.
        let mut words = line.split(u8::is_ascii_whitespace);
        let name = words.next().unwrap_or_default();
        if name.is_empty() {
            return fault("empty_name", "it begins with a blank, so the name is empty");
        }
        // Checked before it is decoded, as lines have any length.
        if name.len() > LONGEST_NAME {
            let len = name.len();
            return fault("bad_name", &format!("the name has {len} bytes, more than any name"));
        }
        let kind = words.find(|word| !word.is_empty()).map_or(Some(default), rtype);
        let Some(kind) = kind else {
            return fault("unknown_type", "the record type is unknown");
        };
        match self.query(name, kind, seed) {
            Ok(query) => to.line(&query).map(Ok),
            Err(why) => {
                let behind = self.random_subdomain.map_or("", |_| ", with the random label");
                fault("bad_name", &format!("{why}{behind}"))
            }
        }
    }
}

impl Skipped {
    fn notes(&self, used: u64) -> Vec<String> {
        let bad: u64 = self.causes.values().sum();
        if bad == 0 {
            return Vec::new();
        }
        let lines = used + bad;
        let head = format!(
            "{bad} of {lines} lines of names are skipped{}; --names-strict refuses such a file",
            if bad as usize > SHOWN { format!(", the first {SHOWN} are:") } else { String::new() }
        );
        let each = self.shown.iter().map(ToString::to_string);
        std::iter::once(head).chain(each).collect()
    }
}

/// A line as shown in messages: its first columns, without control characters.
fn shown(line: &[u8]) -> String {
    // Cut before it is copied: each character fills a column at least.
    let line = &line[..line.len().min(LONGEST_CHARACTER * (COLUMNS + 1))];
    let text = String::from_utf8_lossy(line);
    let mut columns = text.chars().flat_map(|c| {
        // Of these, quotes and backslashes need no escape here.
        let is_plain = matches!(c, '\'' | '"' | '\\');
        let escaped = (!is_plain).then(|| c.escape_debug());
        is_plain.then_some(c).into_iter().chain(escaped.into_iter().flatten())
    });
    let mut shown: String = columns.by_ref().take(COLUMNS).collect();
    if columns.next().is_some() {
        shown.push('…');
    }
    shown
}
