//! Files of names in dnsperf's format: a name per line, blanks, a type; of the rest only the word
//! `+ecs=SUBNET` has a meaning. Lines that begin with `;` or `#` are comments.

use std::sync::Arc;

use memchr::memmem;

use super::dns::Dns;
use super::edns::Subnet;
use super::question::{self, NAME_BUFFER_LEN, QuestionFault};
use super::{Compiler, PayloadError};
use crate::document::InputSummary;
use crate::payload::compile::Shape;
use crate::payload::lines::{LineFile, LineIndex, LineKind, lines_of};

/// Maximum skipped lines shown, and their columns. Arbitrary: enough to see what is wrong.
const SHOWN: usize = 5;
const COLUMNS: usize = 80;
/// The longest character of UTF-8 in bytes; RFC 3629 §3.
const LONGEST_CHARACTER: usize = 4;
/// What precedes the client subnet of a line, as in the options of dig.
const SUBNET: &[u8] = b"+ecs=";

impl Dns {
    /// Adds a query for each valid line; an invalid one is an error if `strict`. Queries of a large
    /// file are composed when they are sent.
    pub(super) fn lines(
        &self,
        bytes: &Arc<Vec<u8>>,
        strict: bool,
        rtype: u16,
        to: &mut Compiler,
        seed: u64,
    ) -> Result<(), PayloadError> {
        let mut input = InputSummary { format: "names".to_owned(), ..InputSummary::default() };
        let (before, after) = self.around_name(None, seed);
        // Queries of lines with subnets have several lengths, and are not composed.
        let has_subnets = memmem::find(bytes, SUBNET).is_some();
        let (mut least, mut most, mut sum) = (usize::MAX, 0, 0);
        let mut index = (bytes.len() > to.large_file && !has_subnets).then(LineIndex::default);
        let (mut first_bad, mut name) = (Vec::new(), [0; NAME_BUFFER_LEN]);
        for (line, number, start) in lines_of(bytes) {
            let is_blank = line.trim_ascii_start().is_empty() || matches!(line[0], b';' | b'#');
            let question = (!is_blank).then(|| {
                let (len, rtype) = self.line(line, rtype, &mut name)?;
                Ok((len, rtype, if has_subnets { self.subnet(line)? } else { None }))
            });
            if let Some(index) = &mut index {
                index.add(start, matches!(question, Some(Ok(_))))?;
            }
            let fault = match question {
                None => continue,
                Some(Ok((len, rtype, subnet))) => {
                    input.used += 1;
                    if index.is_some() {
                        (least, most, sum) = (least.min(len), most.max(len), sum + len);
                    } else {
                        to.line(&self.query(&name[..len], rtype, subnet, seed))?;
                    }
                    continue;
                }
                Some(Err(fault)) => fault,
            };
            let error = || {
                let why = self.why(fault);
                PayloadError::Question { line: shown(line), why }.in_line(number)
            };
            if strict {
                return Err(error());
            }
            *input.left_out.entry(cause(fault).to_owned()).or_default() += 1;
            if first_bad.len() < SHOWN {
                first_bad.push(error());
            }
        }
        if let Some(index) = index {
            if input.used > 0 {
                let mut shape = Shape::of(&[&before[..], &after].concat());
                shape.bytes(size_of_val(&rtype));
                shape.part(least, sum as f64 / input.used as f64, most);
                to.composed(&shape, index.count())?;
            }
            let kind = LineKind::Names { before, after, rtype };
            to.set_file(LineFile { bytes: Arc::clone(bytes), index, kind });
        }
        input.records = input.used + input.left_out.values().sum::<u64>();
        to.requests.input = Some(summary(input, first_bad)?);
        Ok(())
    }

    /// Writes the name of a line, and returns its length and the type.
    fn line(
        &self,
        line: &[u8],
        rtype: u16,
        name: &mut [u8; NAME_BUFFER_LEN],
    ) -> Result<(usize, u16), QuestionFault> {
        let (len, rtype) = question::read(line, rtype, name)?;
        self.check(len).map_err(QuestionFault::Name)?;
        Ok((len, rtype))
    }

    /// The client subnet that a line has behind its type.
    fn subnet(&self, line: &[u8]) -> Result<Option<Subnet>, QuestionFault> {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(word) = words.skip(2).find_map(|word| word.strip_prefix(SUBNET)) else {
            return Ok(None);
        };
        let subnet = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        subnet.filter(|_| self.edns.is_some()).map(Some).ok_or(QuestionFault::Subnet)
    }

    fn why(&self, fault: QuestionFault) -> String {
        let label = self.random_subdomain.map_or("", |_| ", with the random label");
        match fault {
            QuestionFault::EmptyName => "it begins with a blank, so the name is empty".to_owned(),
            QuestionFault::Name(why) => format!("{why}{label}"),
            QuestionFault::LongText(len) => {
                format!("the name has {len} bytes, more than any name")
            }
            QuestionFault::Type => "the record type is unknown".to_owned(),
            QuestionFault::Subnet => {
                "the subnet after +ecs= is invalid; use such as 10.1.0.0/16".to_owned()
            }
        }
    }
}

/// The word for a fault in documents.
const fn cause(fault: QuestionFault) -> &'static str {
    match fault {
        QuestionFault::EmptyName => "empty_name",
        QuestionFault::Name(_) | QuestionFault::LongText(_) => "bad_name",
        QuestionFault::Type => "unknown_type",
        QuestionFault::Subnet => "bad_subnet",
    }
}

/// Adds notes on skipped lines, of which these are the first.
fn summary(
    mut input: InputSummary,
    first_bad: Vec<PayloadError>,
) -> Result<InputSummary, PayloadError> {
    let (lines, bad) = (input.records, input.records - input.used);
    if bad > 0 {
        let list = match bad > SHOWN as u64 {
            true => format!("; the first {SHOWN} are:"),
            false => String::new(),
        };
        input.notes.push(format!(
            "{bad} of {lines} lines of names are skipped; --names-strict refuses such a file{list}"
        ));
        input.notes.extend(first_bad.iter().map(ToString::to_string));
    }
    match first_bad.into_iter().next() {
        Some(first) if input.used == 0 => {
            Err(PayloadError::NoNames { lines, first: Box::new(first) })
        }
        _ => Ok(input),
    }
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
