//! Reads stored documents, and refuses those that are not ours, damaged or inconsistent.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::document::{Cell, Report, SCHEMA};
use crate::report::checks::identities::ledger_identities;
use crate::report::checks::validity::judge_validity;

/// A text that is no document to go on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It ends in the middle.
    #[error("it ends in the middle ({0}): it was not written whole; take another copy")]
    Truncated(String),
    /// No JSON at all.
    #[error("not JSON ({0}); give a document as -J writes it")]
    NotJson(String),
    /// JSON of something else.
    #[error("not a udperf document: it has no \"schema\": \"{SCHEMA}\"; give one that -J wrote")]
    Foreign,
    /// Of a udperf to come.
    #[error("it is of schema {0}, and this udperf reads {SCHEMA}; use the udperf that wrote it")]
    OtherSchema(String),
    /// Ours, but without cells that could be put beside others.
    #[error("it is of kind '{0}'; give one of bench, blast, load or ping")]
    NoCells(String),
    /// A field is missing, or of another type.
    #[error("it is damaged ({0}); take it as udperf wrote it")]
    Damaged(String),
    /// Figures that cannot be of one run.
    #[error("cell {cell} (trial {trial}): {rule} does not hold; take it as udperf wrote it")]
    Inconsistent {
        /// The cell's id.
        cell: String,
        /// Its trial.
        trial: u32,
        /// What should.
        rule: &'static str,
    },
}

impl ReadError {
    /// Whether the text is none of ours, rather than one of ours that is spoilt.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign | Self::NoCells { .. })
    }
}

#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
    kind: Option<String>,
}

/// Kinds of documents whose cells are the result; those of a search are its steps.
pub const WITH_CELLS: [&str; 4] = ["bench", "blast", "load", "ping"];

/// Reads a document of cells.
///
/// # Errors
/// [`ReadError`]; which says whether the text is none of ours.
pub fn read(text: &str) -> Result<Report, ReadError> {
    let kind = kind(text)?;
    if !WITH_CELLS.contains(&kind.as_str()) {
        return Err(ReadError::NoCells(kind));
    }
    let mut report: Report = of_kind(text)?;
    let names = report.cells.iter().flat_map(|cell| [&cell.id, &cell.rate, &cell.wait]);
    if names.chain([&report.started_at]).any(|name| name.len() > LONGEST_NAME) {
        let reason = format!("a name has more than {LONGEST_NAME} bytes");
        return Err(ReadError::Damaged(reason));
    }
    report.cells.iter().try_for_each(check)?;
    let mut seen = HashSet::new();
    for cell in &report.cells {
        // With --bidir, both directions are measured at once, and what max is comes on top.
        if !seen.insert((&cell.id, cell.trial, &cell.direction, cell.calibration)) {
            let (cell, trial) = (cell.id.clone(), cell.trial);
            let rule = "each cell has each trial once: that";
            return Err(ReadError::Inconsistent { cell, trial, rule });
        }
    }
    // Older documents lack it, and edited ones may be wrong.
    judge_validity(&mut report);
    Ok(report)
}

/// The kind of document that a text says it is.
///
/// # Errors
/// It is none of ours, not whole, or of another schema.
pub fn kind(text: &str) -> Result<String, ReadError> {
    let head: Head = serde_json::from_str(&without_controls(text)).map_err(|error| {
        let reason = error.to_string();
        match error.classify() {
            serde_json::error::Category::Eof if text.trim().is_empty() => {
                ReadError::NotJson("it is empty".to_owned())
            }
            serde_json::error::Category::Eof => ReadError::Truncated(reason),
            // A cut behind the `-` of a number is a syntax error at the end.
            serde_json::error::Category::Syntax if is_at_end(text, &error) => {
                ReadError::Truncated(reason)
            }
            serde_json::error::Category::Data => ReadError::Foreign,
            _ => ReadError::NotJson(reason),
        }
    })?;
    let found = head.schema.ok_or(ReadError::Foreign)?;
    if found != SCHEMA {
        let ours = found.starts_with("udperf/");
        return Err(if ours { ReadError::OtherSchema(found) } else { ReadError::Foreign });
    }
    Ok(head.kind.unwrap_or_default())
}

fn is_at_end(text: &str, error: &serde_json::Error) -> bool {
    let last = text.lines().last().unwrap_or_default();
    text.starts_with('{') && error.line() == text.lines().count() && error.column() >= last.len()
}

/// Reads what is known to be a document of a kind.
///
/// # Errors
/// [`ReadError::Damaged`]: a field is missing, or of another type.
pub fn of_kind<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    serde_json::from_str(&without_controls(text))
        .map_err(|error| ReadError::Damaged(error.to_string()))
}

/// The text without control characters in its strings, except line breaks and tabs; U+FFFD instead.
fn without_controls(text: &str) -> Cow<'_, str> {
    // JSON has these as they are, and all others escaped (RFC 8259, section 7).
    let is_raw = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
    let mut out = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = text[at..].find(|c| c == '\\' || is_raw(c)) {
        let here = at + found;
        let mut chars = text[here..].chars();
        let first = chars.next().map_or(0, char::len_utf8);
        let (length, is_control) = match chars.next() {
            _ if !text[here..].starts_with('\\') => (first, true),
            Some('b' | 'f' | 'r') => (2, true),
            Some('u') => {
                let code = text.get(here + 2..here + 6);
                let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                let control = code.and_then(char::from_u32).is_some_and(char::is_control);
                (if code.is_some() { 6 } else { 2 }, control && !matches!(code, Some(0x9 | 0xA)))
            }
            Some(other) => (1 + other.len_utf8(), false),
            None => (1, false),
        };
        if is_control {
            out.push_str(&text[kept..here]);
            out.push('\u{fffd}');
            kept = here + length;
        }
        at = here + length;
    }
    match kept {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(out + &text[kept..]),
    }
}

/// The longest name in bytes. Arbitrary, below the widest column (65,535, `std::fmt`).
const LONGEST_NAME: usize = 1_024;

fn check(cell: &Cell) -> Result<(), ReadError> {
    // A newer udperf may have drop locations that this one lacks: those known may be fewer.
    let [attempted, sent, lost, arrived] = ledger_identities(&cell.ledger);
    let asked = cell
        .exchange
        .as_ref()
        .map(|exchange| (Some(exchange.requests), exchange.matched.checked_add(exchange.timeouts)));
    let side = |side: &crate::document::Side| {
        let seconds = cell.elapsed_ns as f64 / 1e9;
        let agrees = |pps: f64| {
            // Written with all its digits, so that only rounding is between the two.
            (pps * seconds - side.datagrams_in_window as f64).abs() <= 1.0 + pps * seconds * 1e-6
        };
        side.pps.is_none_or(|pps| pps.is_finite() && pps >= 0.0 && agrees(pps))
    };
    let ascends = cell.latency.as_ref().is_none_or(|latency| {
        let points = [
            latency.min_ns,
            latency.p50_ns,
            latency.p90_ns,
            latency.p99_ns,
            latency.p99_9_ns,
            latency.p99_99_ns,
        ];
        // Percentiles are within 0.1 % (the histogram), minimum and maximum exact.
        let most = latency.max_ns.map_or(f64::INFINITY, |ns| ns as f64 * 1.002 + 1.0);
        let known: Vec<f64> = points.into_iter().flatten().map(|ns| ns as f64).collect();
        known.windows(2).all(|pair| pair[0] <= pair[1] * 1.002 + 1.0)
            && known.iter().all(|ns| *ns <= most)
    });
    let in_schedule = cell.schedule.as_ref().is_none_or(|one| one.missed <= one.scheduled);
    let rules = [
        (ascends, "latency ascends from min to max: that"),
        (attempted.holds(), attempted.name),
        (sent.holds(), sent.name),
        (
            lost.left.is_none_or(|all| lost.right <= all),
            "lost_at + unaccounted is at most lost: that",
        ),
        (arrived.holds(), arrived.name),
        (in_schedule, "schedule.missed is at most schedule.scheduled: that"),
        (asked.is_none_or(|(all, sum)| all == sum), "requests = matched + timeouts"),
        (side(&cell.tx), "tx.pps = tx.datagrams_in_window / elapsed_ns"),
        (cell.rx.as_ref().is_none_or(side), "rx.pps = rx.datagrams_in_window / elapsed_ns"),
    ];
    match rules.into_iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => {
            Err(ReadError::Inconsistent { cell: cell.id.clone(), trial: cell.trial, rule })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use serde_json::{Value, json};

    fn document() -> Value {
        serde_json::to_value(fixture::default_run()).unwrap()
    }

    #[test]
    fn a_document_reads_back() {
        let report = fixture::default_run();
        assert_eq!(read(&serde_json::to_string(&report).unwrap()), Ok(report));
    }

    #[test]
    fn strings_keep_no_control_characters() {
        let mut document = document();
        document["cells"][0]["id"] = json!("a\u{1b}[31m\u{7}\u{9b}\r\u{8}\u{c}\tb\nc\\u001b\u{fc}");
        let report = read(&document.to_string()).unwrap();
        let shown = "a\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\tb\nc\\u001b\u{fc}";
        assert_eq!(report.cells[0].id, shown);
        assert!(matches!(without_controls("{\"a\": \"\\\\ \\u00fc \\n\"}"), Cow::Borrowed(_)));
        for cut in ["\\", "\\u", "\\u00", "\\u001", "\\ü", "\u{80}"] {
            without_controls(cut);
        }
    }

    #[test]
    fn names_have_a_width_that_can_be_shown() {
        for (field, bytes, is_read) in
            [("id", 1_024, true), ("id", 1_025, false), ("rate", 70_000, false)]
        {
            let mut document = document();
            document["cells"][0][field] = json!("x".repeat(bytes));
            assert_eq!(read(&document.to_string()).is_ok(), is_read, "{field} {bytes}");
        }
    }

    #[test]
    fn damaged_documents_have_an_error_each() {
        let whole = document().to_string();
        let kind = |text: &str| read(text).unwrap_err();
        assert!(matches!(kind(&whole[..whole.len() / 2]), ReadError::Truncated { .. }));
        for cut in [r#"{"schema": -"#, r#"{"schema": 1."#, r#"{"schema": 1e"#, r#"{"schema": tr"#] {
            assert!(matches!(kind(cut), ReadError::Truncated { .. }), "{cut}");
        }
        assert!(matches!(kind(""), ReadError::NotJson { .. }));
        assert!(matches!(kind("{'a': 1}"), ReadError::NotJson { .. }));
        for foreign in ["{}", "[1]", "7", "{\"schema\": \"iperf/3\"}", "{\"schema\": 3}"] {
            assert_eq!(kind(foreign), ReadError::Foreign, "{foreign}");
            assert!(kind(foreign).is_foreign());
        }
        let mut newer = document();
        newer["schema"] = json!("udperf/2");
        let found = "udperf/2".to_owned();
        assert_eq!(kind(&newer.to_string()), ReadError::OtherSchema(found));
        let mut sink = document();
        sink["kind"] = json!("sink");
        assert_eq!(kind(&sink.to_string()), ReadError::NoCells("sink".to_owned()));
        let mut damaged = document();
        damaged["cells"][0]["ledger"]["sent"] = json!(-3);
        assert!(matches!(kind(&damaged.to_string()), ReadError::Damaged { .. }));
    }

    #[test]
    fn figures_that_contradict_each_other_are_refused() {
        let late = crate::document::Schedule { missed: 1, ..Default::default() };
        let late = serde_json::to_value(late).unwrap();
        let edits: [(&[&str], Value, &str); 7] = [
            (&["ledger", "lost_at", "receive_buffer"], json!(u64::MAX), "lost_at + unaccounted"),
            (&["schedule"], late, "schedule.missed"),
            (&["ledger", "attempted"], json!(1), "attempted = sent + refused"),
            (&["ledger", "received"], json!(1), "sent = received + lost"),
            (&["ledger", "lost"], json!(u64::MAX), "sent = received + lost"),
            (&["rx", "pps"], json!(9e9), "rx.pps = rx.datagrams_in_window / elapsed_ns"),
            (&["tx", "datagrams_in_window"], json!(1), "tx.pps"),
        ];
        for (path, value, expected) in edits {
            let mut edited = document();
            let mut place = &mut edited["cells"][0];
            for step in path {
                place = &mut place[*step];
            }
            *place = value;
            let ReadError::Inconsistent { rule, .. } = read(&edited.to_string()).unwrap_err()
            else {
                panic!("{path:?}");
            };
            assert!(rule.starts_with(expected), "{path:?}: {rule}");
        }
    }
}
