//! The document as an HdrHistogram interval log, for the tools that read those.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::document::{Cell, Latency, Report};
use crate::measure::read_histogram;
use crate::report::error::RenderError;

/// The latencies of all cells, from the schedule, in ns: an interval a cell, tagged with the cell's
/// id. Intervals follow each other as if nothing had been between the cells; a cell without
/// latencies takes its time, and has no line.
///
/// # Errors
/// [`RenderError`] where the start or a histogram cannot be read.
pub fn render(report: &Report) -> Result<String, RenderError> {
    let start = humantime::parse_rfc3339(&report.started_at)
        .map_err(|_| RenderError::StartedAt { asked: report.started_at.clone() })?;
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        // What readers of the Java implementation look for in the first line.
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "udperf {} {}, one interval a cell, latency from the schedule in ns",
            report.tool.version, report.kind
        ))
        .add_comment(&known_within(report))
        // Both: some readers take offsets from the one, some from the other.
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(&mut out, &mut serializer)
        .map_err(log_error)?;
    let mut offset = Duration::ZERO;
    for cell in &report.cells {
        let length = Duration::from_nanos(cell.elapsed_ns);
        if let Some(latency) = &cell.latency {
            let histogram = decode(cell, latency)?;
            let tag = tag(&cell.id);
            log.write_histogram(&histogram, offset, length, Tag::new(&tag)).map_err(log_error)?;
        }
        offset += length;
    }
    String::from_utf8(out).map_err(log_error)
}

/// How well the latencies are known; buckets below that are in the log, and mean little.
fn known_within(report: &Report) -> String {
    let bounds = report.cells.iter().filter_map(|cell| cell.latency.as_ref());
    match bounds.map(|latency| latency.bound_ns).max() {
        Some(bound_ns @ 1..) => format!("known within ±{bound_ns} ns: the clocks of two hosts"),
        _ => "exact: one clock".to_owned(),
    }
}

pub(super) fn decode(cell: &Cell, latency: &Latency) -> Result<Histogram<u64>, RenderError> {
    read(latency).map_err(|reason| RenderError::Histogram { cell: cell.id.clone(), reason })
}

/// The same; why it cannot be read, where it cannot.
pub(crate) fn read(latency: &Latency) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(&latency.histogram).map_err(|error| error.to_string())?;
    read_histogram(&bytes).map_err(|error| error.to_string())
}

/// The id without what would end a tag.
fn tag(id: &str) -> String {
    id.replace([',', ' ', '\r', '\n'], "_")
}

fn log_error(error: impl ToString) -> RenderError {
    RenderError::Log { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_log_reads_back() {
        let mut report = fixture::default_run();
        report.cells.truncate(3);
        report.cells[1].latency = None;
        let log = render(&report).unwrap();
        let mut intervals = Vec::new();
        let mut base = None;
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            match entry.unwrap() {
                LogEntry::Interval(interval) => intervals.push(interval),
                LogEntry::BaseTime(time) | LogEntry::StartTime(time) => base = Some(time),
            }
        }
        // date -u -d 2026-07-18T12:00:00Z +%s
        assert_eq!(base, Some(Duration::from_secs(1_784_376_000)));
        let half = Duration::from_millis(500);
        let tags: Vec<_> = intervals.iter().map(|one| one.tag().unwrap().as_str()).collect();
        assert_eq!(tags, ["plain/64/max", "batch/64/max"]);
        assert_eq!(intervals[0].start_timestamp(), Duration::ZERO);
        assert_eq!(intervals[1].start_timestamp(), 2 * half);
        assert_eq!(intervals[1].duration(), half);
        for (interval, at) in intervals.iter().zip([0, 2]) {
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let read = read_histogram(&bytes).unwrap();
            let latency = report.cells[at].latency.as_ref().unwrap();
            assert_eq!(read, decode(&report.cells[at], latency).unwrap());
            assert_eq!(read.len(), 1_000);
        }
    }

    #[test]
    fn the_log_states_the_bound() {
        let mut report = fixture::default_run();
        assert!(render(&report).unwrap().contains("#exact: one clock\n"));
        fixture::two_clocks(&mut report.cells[1], 12_000);
        let log = render(&report).unwrap();
        assert!(log.contains("#known within ±12000 ns: the clocks of two hosts\n"), "{log}");
    }

    #[test]
    fn a_damaged_histogram_is_reported() {
        let mut report = fixture::default_run();
        report.cells[2].latency.as_mut().unwrap().histogram = "no histogram".to_owned();
        let error = render(&report).unwrap_err().to_string();
        assert!(error.contains("histogram of batch/64/max is damaged"), "{error}");
        report.started_at = "yesterday".to_owned();
        let error = render(&report).unwrap_err().to_string();
        assert!(error.contains("started_at 'yesterday' is no time"), "{error}");
    }

    #[test]
    fn tags_do_not_break_lines() {
        assert_eq!(tag("a,b c\r\nd/50%"), "a_b_c__d/50%");
    }
}
