//! The document as an HdrHistogram interval log, for the tools that read those.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::document::{Cell, Latency, Report};
use crate::measure::{LatencyHistograms, read_histogram};
use crate::report::error::RenderError;
use crate::report::format::text::measured;

/// The latencies of all cells, from the schedule, in ns: one interval per cell, tagged with the
/// cell's id. Intervals follow each other without a gap; a cell without latencies takes its time
/// but has no line.
///
/// # Errors
/// [`RenderError`] where the start or a histogram cannot be read.
pub fn render(report: &Report) -> Result<String, RenderError> {
    let start = humantime::parse_rfc3339(&report.started_at)
        .map_err(|_| RenderError::StartedAt(report.started_at.clone()))?;
    let bounds = report.cells.iter().filter_map(|cell| Some(cell.latency.as_ref()?.bound_ns));
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        // Readers of the Java implementation require this first line.
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!(
            "udperf {} {}, one interval a cell, latency from the schedule in ns",
            report.tool.version, report.kind
        ))
        .add_comment(&known_within(bounds.max().unwrap_or(0)))
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
            // Without characters that end a tag.
            let tag = cell.id.replace([',', ' ', '\r', '\n'], "_");
            log.write_histogram(&histogram, offset, length, Tag::new(&tag)).map_err(log_error)?;
        }
        offset += length;
    }
    String::from_utf8(out).map_err(log_error)
}

/// The error bound of latencies; buckets below it are in the file, but mean little.
pub(super) fn known_within(bound_ns: u64) -> String {
    match bound_ns {
        1.. => format!("known within ±{bound_ns} ns: the clocks of two hosts"),
        0 => "exact: one clock".to_owned(),
    }
}

/// The latencies of all trials of a cell, from the schedule.
pub(super) struct Distribution<'a> {
    /// The first trial.
    pub(super) cell: &'a Cell,
    pub(super) histogram: Histogram<u64>,
    /// The largest error bound of the trials in ns.
    pub(super) bound_ns: u64,
}

impl Distribution<'_> {
    /// `one way from schedule`, `round trip from departure`.
    pub(super) fn kind(&self) -> String {
        let way = match self.cell.latency.as_ref().map(|latency| latency.kind.as_str()) {
            Some("round_trip") => "round trip",
            _ => "one way",
        };
        let from = if self.cell.pace.is_some() { "schedule" } else { "departure" };
        format!("{way} from {from}")
    }
}

/// A distribution for each cell that has latencies, in the order in which the cells ran.
pub(super) fn distributions(report: &Report) -> Result<Vec<Distribution<'_>>, RenderError> {
    let mut all: Vec<Distribution<'_>> = Vec::new();
    for cell in measured(report) {
        let Some(latency) = &cell.latency else { continue };
        let histogram = decode(cell, latency)?;
        let at = all.iter().position(|one| one.cell.id == cell.id).unwrap_or_else(|| {
            // With fixed bounds: those of a document may be of any size, and need as much memory.
            let own = LatencyHistograms::default().histogram().clone();
            all.push(Distribution { cell, histogram: own, bound_ns: 0 });
            all.len() - 1
        });
        let one = &mut all[at];
        one.bound_ns = one.bound_ns.max(latency.bound_ns);
        let damaged = |reason: String| RenderError::Histogram(cell.id.clone(), reason);
        one.histogram.add(&histogram).map_err(|error| damaged(error.to_string()))?;
    }
    all.retain(|one| !one.histogram.is_empty());
    Ok(all)
}

fn decode(cell: &Cell, latency: &Latency) -> Result<Histogram<u64>, RenderError> {
    read(latency).map_err(|reason| RenderError::Histogram(cell.id.clone(), reason))
}

pub(crate) fn read(latency: &Latency) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(&latency.histogram).map_err(|error| error.to_string())?;
    read_histogram(&bytes).map_err(|error| error.to_string())
}

fn log_error(error: impl ToString) -> RenderError {
    RenderError::Log(error.to_string())
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
        report.cells[2].id += ",b c\r\nd";
        let log = render(&report).unwrap();
        assert!(log.contains("#exact: one clock\n"));
        let (mut found, mut base) = (Vec::new(), None);
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                    let tag = interval.tag().unwrap().as_str();
                    let (start, duration) = (interval.start_timestamp(), interval.duration());
                    found.push((tag, start, duration, read_histogram(&bytes).unwrap()));
                }
                LogEntry::BaseTime(time) | LogEntry::StartTime(time) => base = Some(time),
            }
        }
        // date -u -d 2026-07-18T12:00:00Z +%s
        assert_eq!(base, Some(Duration::from_secs(1_784_376_000)));
        let half = Duration::from_millis(500);
        let of = |at: usize| read(report.cells[at].latency.as_ref().unwrap()).unwrap();
        assert_eq!(of(0).len(), 1_000);
        let expected = [
            ("plain/64/max", Duration::ZERO, half, of(0)),
            ("batch/64/max_b_c__d", 2 * half, half, of(2)),
        ];
        assert_eq!(found, expected);
        fixture::two_clocks(&mut report.cells[2], 12_000);
        let log = render(&report).unwrap();
        assert!(log.contains("#known within ±12000 ns: the clocks of two hosts\n"), "{log}");
        report.started_at = "yesterday".to_owned();
        let error = render(&report).unwrap_err().to_string();
        assert!(error.contains("started_at 'yesterday' is not a time"), "{error}");
    }
}
