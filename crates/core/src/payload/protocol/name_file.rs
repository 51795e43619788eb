//! Files of names in dnsperf's format: a name per line, blanks, a type; the rest is ignored. Lines
//! that begin with `;` or `#` are comments.

use super::dns::{self, Dns};
use super::{Compiler, PayloadError, Piece};
use crate::document::InputSummary;
use crate::payload::encoding::lines_of;

/// Maximum skipped lines shown, and their columns. Arbitrary: enough to see what is wrong.
const SHOWN: usize = 5;
const COLUMNS: usize = 80;
/// The longest character of UTF-8 in bytes; RFC 3629 §3.
const LONGEST_CHARACTER: usize = 4;
/// The longest name as text, in bytes: each of its bytes is up to `\DDD` (RFC 1035 §5.1).
const LONGEST_TEXT: usize = 4 * dns::LONGEST_NAME;

/// Why a line is skipped: a word for documents, and what is wrong.
type Fault = (&'static str, String);

impl Dns {
    /// Adds a query for each valid line; an invalid one is an error if `strict`.
    pub(super) fn lines(
        &self,
        bytes: &[u8],
        strict: bool,
        default: u16,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<(), PayloadError> {
        let mut input = InputSummary { format: "names".to_owned(), ..InputSummary::default() };
        let mut first_bad = Vec::new();
        for (line, number) in lines_of(bytes) {
            if line.trim_ascii().is_empty() || line.starts_with(b";") || line.starts_with(b"#") {
                continue;
            }
            input.records += 1;
            let (word, why) = match self.line(line, default, seed) {
                Ok(query) => {
                    to.line(&query)?;
                    input.used += 1;
                    continue;
                }
                Err(fault) => fault,
            };
            let error = || PayloadError::Question { line: shown(line), why }.in_line(number);
            if strict {
                return Err(error());
            }
            *input.left_out.entry(word.to_owned()).or_default() += 1;
            if first_bad.len() < SHOWN {
                first_bad.push(error());
            }
        }
        let (lines, bad) = (input.records, input.records - input.used);
        if bad > 0 {
            let list = match bad > SHOWN as u64 {
                true => format!(", the first {SHOWN} are:"),
                false => String::new(),
            };
            input.notes.push(format!(
                "{bad} of {lines} lines of names are skipped{list}; --names-strict refuses such a \
                 file"
            ));
            input.notes.extend(first_bad.iter().map(ToString::to_string));
        }
        match first_bad.into_iter().next() {
            Some(first) if input.used == 0 => {
                Err(PayloadError::NoNames { lines, first: Box::new(first) })
            }
            _ => {
                to.requests.input = Some(input);
                Ok(())
            }
        }
    }

    fn line(&self, line: &[u8], default: u16, seed: u64) -> Result<Vec<Piece>, Fault> {
        // With a blank in front, the first word is empty, and the next one is its type.
        let end = name_end(line);
        let (name, rest) = line.split_at(end);
        let mut words = rest.split(u8::is_ascii_whitespace);
        if name.is_empty() {
            let why = "it begins with a blank, so the name is empty";
            return Err(("empty_name", why.to_owned()));
        }
        // Checked before it is decoded, as lines have any length.
        if name.len() > LONGEST_TEXT {
            let why = format!("the name has {} bytes, more than any name", name.len());
            return Err(("bad_name", why));
        }
        let rtype = words.find(|word| !word.is_empty()).map_or(Some(default), dns::rtype);
        let rtype =
            rtype.ok_or_else(|| ("unknown_type", "the record type is unknown".to_owned()))?;
        let label = self.random_subdomain.map_or("", |_| ", with the random label");
        self.query(name, rtype, seed).map_err(|why| ("bad_name", format!("{why}{label}")))
    }
}

/// Where the name at the beginning of a line ends: at the first blank without a backslash in front,
/// which would make it part of a label (RFC 1035 §5.1).
fn name_end(line: &[u8]) -> usize {
    let mut is_quoted = false;
    let end = line.iter().position(|byte| {
        let is_end = byte.is_ascii_whitespace() && !is_quoted;
        is_quoted = *byte == b'\\' && !is_quoted;
        is_end
    });
    end.unwrap_or(line.len())
}

/// A line as shown in messages: its first columns, without control characters.
fn shown(line: &[u8]) -> String {
    // Cut before it is copied: each character fills a column at least.
    let line = &line[..line.len().min(LONGEST_CHARACTER * (COLUMNS + 1))];
    // Quotes and backslashes need no escape here.
    let escape = |c| match c {
        '\'' | '"' | '\\' => String::from(c),
        _ => c.escape_debug().to_string(),
    };
    let text: String = String::from_utf8_lossy(line).chars().map(escape).collect();
    match text.char_indices().nth(COLUMNS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
