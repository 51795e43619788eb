//! Reads stored documents, and refuses those that are foreign, damaged or inconsistent.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use crate::document::{Cell, EchoDocument, Report, SCHEMA, Side, SinkDocument};
use crate::measure::ledger_identities;
use crate::report::checks::intervals;
use crate::report::checks::validity::judge_validity;
use crate::unit::is_control;

/// A text that is not a document of cells.
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
    /// Of another schema, by the udperf of this version.
    #[error(
        "it is of schema {0}, and udperf {own} reads {SCHEMA}; {advice}",
        own = env!("CARGO_PKG_VERSION"),
        advice = upgrade(.1.as_deref())
    )]
    OtherSchema(String, Option<String>),
    /// A document of udperf without cells that can be compared.
    #[error("it is of kind '{0}'; give one of bench, blast, load or ping")]
    NoCells(String),
    /// A field is missing, or of another type.
    #[error("it is damaged ({0}); take it as udperf wrote it")]
    Damaged(String),
    /// Figures of a cell (id, trial) that cannot be of one run, and the rule that does not hold.
    #[error("cell {0} (trial {1}): {2} does not hold; take it as udperf wrote it")]
    Inconsistent(String, u32, &'static str),
}

impl ReadError {
    /// Whether the text is not a document of udperf, rather than a damaged one.
    pub(crate) const fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign | Self::NoCells { .. })
    }
}

fn upgrade(writer: Option<&str>) -> String {
    match writer {
        Some(version) => format!("install udperf {version}, which wrote it, or later"),
        None => "install a later udperf".to_owned(),
    }
}

#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    tool: Value,
}

/// Kinds of documents whose cells are the result; those of a search are its steps.
pub(crate) const WITH_CELLS: [&str; 4] = ["bench", "blast", "load", "ping"];

/// Reads a document of cells.
///
/// # Errors
/// [`ReadError`], which says whether the text is a document of udperf.
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
    let mut seen = HashSet::new();
    for cell in &report.cells {
        // With --bidir, both directions are measured at once, and what max is comes on top.
        let is_new = seen.insert((&cell.id, cell.trial, &cell.direction, cell.calibration));
        let repeated = (!is_new).then_some("each cell has each trial once: that");
        check_cell(cell)?;
        repeated.map_or(Ok(()), |rule| Err(inconsistent(cell, rule)))?;
    }
    // Older documents lack it, and edited ones may be wrong.
    judge_validity(&mut report);
    Ok(report)
}

/// Checks that the figures of a cell can be of one run.
pub(crate) fn check_cell(cell: &Cell) -> Result<(), ReadError> {
    broken_rule(cell).map_or(Ok(()), |rule| Err(inconsistent(cell, rule)))
}

/// Checks the intervals of an echo server.
pub(crate) fn check_echo(echo: &EchoDocument) -> Result<(), ReadError> {
    damaged_if(intervals::broken_rule_of_echo(echo))
}

/// Checks the intervals of a sink.
pub(crate) fn check_sink(sink: &SinkDocument) -> Result<(), ReadError> {
    damaged_if(intervals::broken_rule_of_sink(sink))
}

fn damaged_if(broken: Option<&str>) -> Result<(), ReadError> {
    broken.map_or(Ok(()), |rule| Err(ReadError::Damaged(format!("{rule} does not hold"))))
}

fn inconsistent(cell: &Cell, rule: &'static str) -> ReadError {
    ReadError::Inconsistent(cell.id.clone(), cell.trial, rule)
}

/// The kind of document that a text says it is.
pub(crate) fn kind(text: &str) -> Result<String, ReadError> {
    let head: Head = serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        match error.classify() {
            Category::Eof if text.trim().is_empty() => ReadError::NotJson("it is empty".to_owned()),
            Category::Eof => ReadError::Truncated(reason),
            // A cut behind the `-` of a number is a syntax error at the end.
            Category::Syntax if is_at_end(text, &error) => ReadError::Truncated(reason),
            Category::Data => ReadError::Foreign,
            _ => ReadError::NotJson(reason),
        }
    })?;
    let found = head.schema.ok_or(ReadError::Foreign)?;
    match found.as_str() {
        SCHEMA => Ok(strip_control(&head.kind.unwrap_or_default())),
        ours if ours.starts_with("udperf/") => {
            let version = head.tool["version"].as_str().map(strip_control);
            Err(ReadError::OtherSchema(strip_control(ours), version))
        }
        _ => Err(ReadError::Foreign),
    }
}

fn is_at_end(text: &str, error: &serde_json::Error) -> bool {
    let last = text.lines().last().unwrap_or_default();
    text.starts_with('{') && error.line() == text.lines().count() && error.column() >= last.len()
}

/// Reads what is known to be a document of a kind, without control characters in its strings. Only
/// the words of its command keep line breaks and tabs.
pub(crate) fn of_kind<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    let damaged = |error: serde_json::Error| ReadError::Damaged(error.to_string());
    let mut value: Value = serde_json::from_str(text).map_err(damaged)?;
    let command = value.get_mut("command").map(Value::take);
    let mut value = without_control(value, "");
    if let (Some(fields), Some(command)) = (value.as_object_mut(), command) {
        fields.insert("command".to_owned(), without_control(command, "\n\t"));
    }
    serde_json::from_value(value).map_err(damaged)
}

fn without_control(value: Value, kept: &str) -> Value {
    match value {
        Value::String(text) => Value::String(replace_control(&text, kept)),
        Value::Array(all) => all.into_iter().map(|one| without_control(one, kept)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (strip_control(&name), without_control(value, kept)))
            .collect(),
        other => other,
    }
}

/// The text with U+FFFD in place of control characters.
fn strip_control(text: &str) -> String {
    replace_control(text, "")
}

fn replace_control(text: &str, kept: &str) -> String {
    text.replace(|c: char| is_control(c) && !kept.contains(c), "\u{fffd}")
}

/// The longest name in bytes. Arbitrary, below the widest column (65,535, `std::fmt`).
const LONGEST_NAME: usize = 1_024;

/// How much longer than its window a cell uses CPUs, in ns. Arbitrary: draining takes seconds.
const LONGEST_DRAIN_NS: u128 = 60_000_000_000;

/// The first rule that this cell breaks.
fn broken_rule(cell: &Cell) -> Option<&'static str> {
    // A newer udperf may have drop locations that this one lacks: those known may be fewer.
    let [attempted, sent, lost, arrived] = ledger_identities(&cell.ledger);
    let answered = cell.exchange.as_ref().is_none_or(|exchange| {
        Some(exchange.requests) == exchange.matched.checked_add(exchange.timeouts)
    });
    let has_rate = |side: &Side| {
        let seconds = cell.elapsed_ns as f64 / 1e9;
        let agrees = |pps: f64| {
            // Written with all its digits, so that only rounding is between the two.
            (pps * seconds - side.datagrams_in_window as f64).abs() <= 1.0 + pps * seconds * 1e-6
        };
        side.pps.is_none_or(|pps| pps.is_finite() && pps >= 0.0 && agrees(pps))
    };
    let ascends = cell.latency.as_ref().is_none_or(|l| {
        let points = [l.min_ns, l.p50_ns, l.p90_ns, l.p99_ns, l.p99_9_ns, l.p99_99_ns];
        // Percentiles are within 0.1 % (the histogram), minimum and maximum exact.
        let rounded_up = |ns: f64| ns * 1.002 + 1.0;
        let most = l.max_ns.map_or(f64::INFINITY, |ns| rounded_up(ns as f64));
        let known: Vec<f64> = points.into_iter().flatten().map(|ns| ns as f64).collect();
        known.is_sorted_by(|a, b| *a <= rounded_up(*b)) && known.iter().all(|ns| *ns <= most)
    });
    let in_schedule = cell.schedule.as_ref().is_none_or(|one| one.missed <= one.scheduled);
    let is_lost = lost.right <= lost.left.unwrap_or(0);
    // Two sides, each with so many threads.
    let threads = 2 * u128::from(cell.threads.max(1));
    let cpu_most_ns = (u128::from(cell.elapsed_ns) + LONGEST_DRAIN_NS).saturating_mul(threads);
    let cpu = cell.intervals.iter().map(|one| one.cpu_ns).chain([cell.tx.cpu_ns]);
    let mut cpu = cpu.chain(cell.rx.iter().map(|rx| rx.cpu_ns)).flatten();
    let has_cpu = cpu.all(|ns| u128::from(ns) <= cpu_most_ns);
    let rules = [
        (ascends, "latency ascends from min to max: that"),
        (attempted.holds(), attempted.name),
        (sent.holds(), sent.name),
        (is_lost, "lost_at + unaccounted is at most lost: that"),
        (arrived.holds(), arrived.name),
        (in_schedule, "schedule.missed is at most schedule.scheduled: that"),
        (answered, "requests = matched + timeouts"),
        (has_rate(&cell.tx), "tx.pps = tx.datagrams_in_window / elapsed_ns"),
        (cell.rx.as_ref().is_none_or(has_rate), "rx.pps = rx.datagrams_in_window / elapsed_ns"),
        (has_cpu, "cpu_ns is at most what the threads have in elapsed_ns: that"),
    ];
    let broken = rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule);
    broken.or_else(|| intervals::broken_rule(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use serde_json::json;

    fn document() -> Value {
        serde_json::to_value(fixture::default_run()).unwrap()
    }

    #[test]
    fn strings_keep_no_control_characters() {
        assert_eq!(read(&document().to_string()), Ok(fixture::default_run()));
        let mut document = document();
        document["cells"][0]["id"] = json!("a\u{1b}[31m\u{7}\u{9b}\r\u{8}\u{c}\tb\nc\\u001b\u{fc}");
        let report = read(&document.to_string()).unwrap();
        let shown =
            "a\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}b\u{fffd}c\\u001b\u{fc}";
        assert_eq!(report.cells[0].id, shown);
        document["cells"][0]["id"] = json!("a\u{202e}b\u{2028}");
        document["command"] = json!(["udperf", "--text", "a\tb\nc\u{1b}"]);
        let report = read(&document.to_string()).unwrap();
        assert_eq!(report.cells[0].id, "a\u{fffd}b\u{fffd}");
        assert_eq!(report.command[2], "a\tb\nc\u{fffd}");
        document["kind"] = json!("a\u{1b}b");
        assert_eq!(read(&document.to_string()), Err(ReadError::NoCells("a\u{fffd}b".to_owned())));
    }

    #[test]
    fn rejects_damaged_documents() {
        let complete = document().to_string();
        let error = |text: &str| read(text).unwrap_err();
        for cut in [
            &complete[..complete.len() / 2],
            r#"{"schema": -"#,
            r#"{"schema": 1."#,
            r#"{"schema": 1e"#,
            r#"{"schema": tr"#,
        ] {
            assert!(matches!(error(cut), ReadError::Truncated(_)), "{cut}");
        }
        for text in ["", "{'a': 1}"] {
            assert!(matches!(error(text), ReadError::NotJson(_)), "{text}");
        }
        for foreign in ["{}", "[1]", "7", "{\"schema\": \"iperf/3\"}", "{\"schema\": 3}"] {
            assert_eq!(error(foreign), ReadError::Foreign, "{foreign}");
            assert!(error(foreign).is_foreign());
        }
        let edited = |field: &str, value: &str| {
            let mut edited = document();
            edited[field] = json!(value);
            error(&edited.to_string())
        };
        assert_eq!(
            edited("schema", "udperf/2"),
            ReadError::OtherSchema("udperf/2".to_owned(), Some("0.1.0".to_owned()))
        );
        assert_eq!(edited("kind", "sink"), ReadError::NoCells("sink".to_owned()));
        for (path, value, is_read) in [
            ("/ledger/sent", json!(-3), false),
            ("/id", json!("x".repeat(1_024)), true),
            ("/id", json!("x".repeat(1_025)), false),
            ("/rate", json!("x".repeat(70_000)), false),
        ] {
            let mut damaged = document();
            *damaged["cells"][0].pointer_mut(path).unwrap() = value;
            let is_damaged = matches!(read(&damaged.to_string()), Err(ReadError::Damaged(_)));
            assert_eq!(is_damaged, !is_read, "{path}");
        }
    }

    #[test]
    fn rejects_contradicting_figures() {
        let late = crate::document::Schedule { missed: 1, ..Default::default() };
        for (path, value, expected) in [
            ("/ledger/lost_at/receive_buffer", json!(u64::MAX), "lost_at + unaccounted"),
            ("/ledger/unaccounted", json!(1), "lost_at + unaccounted"),
            ("/tx/cpu_ns", json!(u64::MAX), "cpu_ns"),
            (
                "/intervals",
                json!([{ "start_ns": 5, "end_ns": 4, "sent": 0, "refused": 0,
                "stalls": 0, "stalled_ns": 0 }]),
                "intervals follow",
            ),
            ("/schedule", serde_json::to_value(late).unwrap(), "schedule.missed"),
            ("/ledger/attempted", json!(1), "attempted = sent + refused"),
            ("/ledger/received", json!(1), "sent = received + lost"),
            ("/ledger/lost", json!(u64::MAX), "sent = received + lost"),
            ("/rx/pps", json!(9e9), "rx.pps = rx.datagrams_in_window / elapsed_ns"),
            ("/tx/datagrams_in_window", json!(1), "tx.pps"),
        ] {
            let mut edited = document();
            *edited["cells"][0].pointer_mut(path).unwrap() = value;
            let error = read(&edited.to_string()).unwrap_err();
            let holds =
                matches!(error, ReadError::Inconsistent(.., rule) if rule.starts_with(expected));
            assert!(holds, "{path}: {error}");
        }
    }
}
