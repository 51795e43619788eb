//! The document as CSV, one row per cell, for spreadsheets and data frames.

use serde::Serialize;
use serde_json::Value;

use crate::document::{Cell, Report, SearchDocument, ServerInterval};
use crate::report::error::RenderError;
use crate::unit::sum_counts;

/// The columns: paths in the document. New ones go to the end, and names never change.
const COLUMNS: &str = "\
    id trial engine.tx engine.rx engine.tx_active engine.rx_active size size_mix streams threads \
    rate rate_pps pace elapsed_ns calibration cut_short direction ends cut_short_because outages \
    tx.datagrams tx.bytes tx.pps tx.bits_per_second tx.syscalls tx.cpu_ns \
    tx.socket_buffer.granted rx.datagrams rx.datagrams_in_window rx.bytes rx.pps \
    rx.bits_per_second rx.syscalls rx.cpu_ns rx.socket_buffer.granted rx.datagrams_after_window \
    packets.sent packets.received packets.uncut packets.segments_at_first \
    packets.segments_at_last packets.truncated packets.no_buffers ledger.attempted ledger.sent \
    ledger.refused.would_block ledger.refused.no_buffers ledger.refused.unreachable \
    ledger.refused.too_big ledger.refused.other ledger.received ledger.lost \
    ledger.lost_at.receive_buffer ledger.lost_at.backlog ledger.lost_at.device \
    ledger.lost_at.qdisc ledger.lost_at.checksum ledger.lost_at.no_port ledger.lost_at.tx_device \
    ledger.lost_at.rx_ip ledger.lost_at.reassembly ledger.lost_at.tx_ip ledger.lost_at.neighbour \
    ledger.unaccounted ledger.arrived ledger.duplicate ledger.late ledger.reordered \
    ledger.reorder_extent ledger.foreign ledger.corrupt latency.count latency.min_ns \
    latency.mean_ns latency.stdev_ns latency.p50_ns latency.p90_ns latency.p99_ns \
    latency.p99_9_ns latency.p99_99_ns latency.max_ns latency.bound_ns latency.p99_with_loss_ns \
    latency.upper_limits.min_ns latency.upper_limits.p50_ns latency.upper_limits.p90_ns \
    latency.upper_limits.p99_ns latency.upper_limits.p99_9_ns latency.upper_limits.p99_99_ns \
    latency.upper_limits.p99_with_loss_ns latency.outside_stalls.max_ns from_send.p50_ns \
    from_send.p99_ns from_send.upper_limits.p50_ns from_send.upper_limits.p99_ns to_socket.p50_ns \
    to_socket.p99_ns to_socket.upper_limits.p50_ns to_socket.upper_limits.p99_ns in_socket.p50_ns \
    in_socket.p99_ns schedule.scheduled schedule.missed schedule.lag.p99_ns schedule.gap.p50_ns \
    schedule.gap.p99_ns jitter_ns stalls.tx.count stalls.tx.total_ns stalls.tx.max_ns \
    stalls.rx.count stalls.rx.total_ns stalls.rx.max_ns flows.received.min flows.received.max \
    flows.loss_max flows.starved flows.fairness exchange.requests exchange.replies \
    exchange.matched exchange.unmatched exchange.duplicate exchange.late exchange.continued \
    exchange.stale exchange.timeouts exchange.given_up exchange.errors exchange.unreachable \
    exchange.in_flight_max exchange.room exchange.own_drops exchange.elsewhere exchange.idle_ns \
    exchange.outstanding exchange.timeout_ns warnings per_datagram.syscalls \
    per_datagram.context_switches per_datagram.cpu_ns per_datagram.instructions \
    exchange.incomplete exchange.acknowledged exchange.no_room exchange.no_room_ns \
    exchange.repeated_labels exchange.reused_message_ids latency.upper_limits.mean_ns \
    latency.upper_limits.max_ns latency.outside_stalls.upper_limits.max_ns server.time_ns \
    server.processes server.threads server.cpu_ns server.busiest_thread_ns server.rss_bytes \
    server.context_switches server.socket_drops exchange.acknowledgements_sent \
    exchange.steps.0.answered exchange.steps.0.timeouts exchange.steps.0.latency.p50_ns \
    exchange.steps.0.latency.p99_ns exchange.steps.1.sent exchange.steps.1.refused \
    exchange.steps.1.answered exchange.steps.1.timeouts exchange.steps.1.latency.p50_ns \
    exchange.steps.1.latency.p99_ns ledger.lost_at.xdp_ring arrival_gap.p50_ns arrival_gap.p99_ns";

/// Columns of an interval, after those of [`OF_CELL`]: paths in it. New ones go to the end.
const OF_INTERVALS: &str = "\
    start_ns end_ns sent refused missed received lost duplicate late reordered timeouts errors \
    latency.p50_ns latency.p90_ns latency.p99_ns latency.p99_9_ns latency.max_ns lag_p99_ns stalls \
    stalled_ns kernel_drops.receive_buffer kernel_drops.backlog kernel_drops.device \
    kernel_drops.tx_device kernel_drops.qdisc kernel_drops.checksum kernel_drops.no_port cpu_ns \
    latency_histogram server.time_ns server.processes server.threads server.cpu_ns \
    server.busiest_thread_ns server.rss_bytes server.context_switches server.socket_drops \
    first_step.answered first_step.mean_ns first_step.max_ns second_step.answered \
    second_step.mean_ns second_step.max_ns kernel_drops.xdp_ring";

/// Columns of an interval of a server, after those of an interval of a cell. New ones go to the
/// end.
const OF_SERVERS: &str = "received_bytes unsolicited unsolicited_bytes socket_drops";

/// The columns that name the cell of an interval.
const OF_CELL: [&str; 3] = ["id", "trial", "direction"];

/// Columns of the trials of a search, after its id: paths in a trial.
const OF_TRIALS: &str =
    "rate_pps time_ns purpose sent_pps delivered_pps loss p50_ns p99_ns verdict reason";

/// Beginnings of paths, and their form in names.
const SHORTENED: [(&str, &str); 5] = [
    ("ledger.", ""),
    ("schedule.lag", "lag"),
    ("schedule.gap", "gap"),
    ("latency.p99_with", "p99_with"),
    ("latency.outside", "outside"),
];

/// The name of the column with this path: its steps, joined by underscores.
fn name(path: &str) -> String {
    let shortened = SHORTENED
        .iter()
        .find_map(|(long, short)| path.strip_prefix(long).map(|rest| format!("{short}{rest}")));
    shortened.unwrap_or_else(|| path.to_owned()).replace('.', "_")
}

/// A cell whose mean and maximum are bounded, too, which older documents have as measured.
fn bounded(cell: &Cell) -> Cell {
    let mut cell = cell.clone();
    if let Some(latency) = &mut cell.latency {
        let (bound_ns, mut limits) = (latency.bound_ns, latency.upper_limits.unwrap_or_default());
        let (mean, max) = (latency.mean(), latency.max());
        (latency.mean_ns, limits.mean_ns) = mean;
        (latency.max_ns, limits.max_ns) = max;
        latency.upper_limits = Some(limits);
        if let Some(outside) = &mut latency.outside_stalls {
            let mut limits = outside.upper_limits.unwrap_or_default();
            (outside.max_ns, limits.max_ns) = outside.max(bound_ns);
            outside.upper_limits = Some(limits);
        }
    }
    cell
}

/// The fields of these columns; unknown is empty.
pub(super) fn fields(value: &impl Serialize, paths: &str) -> Vec<String> {
    // Made of strings, numbers and lists, which cannot fail to serialise.
    let value = serde_json::to_value(value).unwrap_or_default();
    paths.split(' ').map(|path| field(&value, path)).collect()
}

fn field(cell: &Value, path: &str) -> String {
    match (path, cell.pointer(&format!("/{}", path.replace('.', "/")))) {
        ("outages", Some(Value::Array(all))) => all.len().to_string(),
        ("warnings", Some(Value::Array(all))) => {
            all.iter().filter_map(|one| one["code"].as_str()).collect::<Vec<_>>().join(";")
        }
        (_, Some(Value::Object(counts))) => {
            sum_counts(counts.values().filter_map(Value::as_u64)).to_string()
        }
        (_, None | Some(Value::Null)) => String::new(),
        (_, Some(Value::String(text))) => text.clone(),
        // Without the decimals of a whole number.
        (_, Some(Value::Number(number))) if number.is_f64() => {
            number.as_f64().unwrap_or_default().to_string()
        }
        (_, Some(value)) => value.to_string(),
    }
}

/// Columns after those of a cell: whether it is valid, the codes of the reasons if not, and the
/// labels of its run.
const OF_REPORT: [&str; 3] = ["valid", "invalid_because", "labels"];

fn of_report(report: &Report, cell: &Cell) -> [String; 3] {
    let of_run = report.invalid_because.iter().filter(|reason| reason.cell.is_none());
    let reasons = report.invalid_cell(cell).chain(of_run);
    let codes: Vec<_> = reasons.map(|reason| reason.code.as_str()).collect();
    // A document may say that it is invalid, and not why.
    let is_valid = codes.is_empty() && (report.valid || !report.invalid_because.is_empty());
    let labels = report.labels.iter().map(|(name, value)| format!("{name}={value}"));
    [is_valid.to_string(), codes.join(";"), labels.collect::<Vec<_>>().join(";")]
}

/// The cells of a document, calibration included, below a row of names.
pub(crate) fn render(report: &Report) -> Result<String, RenderError> {
    rows([], std::iter::once(([], report)))
}

/// The intervals of all cells of a document, below a row of names.
pub(crate) fn intervals(report: &Report) -> Result<String, RenderError> {
    interval_rows([], std::iter::once(([], report)))
}

/// The intervals of a server, below a row of names.
pub(crate) fn server_intervals(intervals: &[ServerInterval]) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let columns = format!("{OF_INTERVALS} {OF_SERVERS}");
    writer.write_record(columns.split(' ').map(name))?;
    for interval in intervals {
        writer.write_record(fields(interval, &columns))?;
    }
    finish(writer)
}

/// The same of several documents, after the columns `file` and `started_at`.
pub(crate) fn all_intervals(reports: &[(String, &Report)]) -> Result<String, RenderError> {
    interval_rows(OF_RUN, reports.iter().map(of_run))
}

/// The cells of several documents, after two columns: `file`, the given name of the document, and
/// `started_at`.
pub(crate) fn render_all(reports: &[(String, &Report)]) -> Result<String, RenderError> {
    rows(OF_RUN, reports.iter().map(of_run))
}

/// The columns that name the document of a row.
const OF_RUN: [&str; 2] = ["file", "started_at"];

fn of_run<'a>((file, report): &(String, &'a Report)) -> ([String; 2], &'a Report) {
    ([file.clone(), report.started_at.clone()], report)
}

fn rows<'a, const N: usize>(
    first: [&str; N],
    reports: impl Iterator<Item = ([String; N], &'a Report)>,
) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let names = COLUMNS.split(' ').map(name).chain(OF_REPORT.map(str::to_owned));
    writer.write_record(first.map(str::to_owned).into_iter().chain(names))?;
    for (run, report) in reports {
        for cell in &report.cells {
            let fields = fields(&bounded(cell), COLUMNS).into_iter();
            writer
                .write_record(run.iter().cloned().chain(fields).chain(of_report(report, cell)))?;
        }
    }
    finish(writer)
}

fn interval_rows<'a, const N: usize>(
    first: [&str; N],
    reports: impl Iterator<Item = ([String; N], &'a Report)>,
) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let names = first.into_iter().chain(OF_CELL).map(str::to_owned);
    writer.write_record(names.chain(OF_INTERVALS.split(' ').map(name)))?;
    for (run, report) in reports {
        for cell in &report.cells {
            let of_cell = [
                cell.id.clone(),
                cell.trial.to_string(),
                cell.direction.clone().unwrap_or_default(),
            ];
            for interval in &cell.intervals {
                let names = run.iter().chain(&of_cell).cloned();
                writer.write_record(names.chain(fields(interval, OF_INTERVALS)))?;
            }
        }
    }
    finish(writer)
}

pub(crate) fn trials(document: &SearchDocument) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["search"].into_iter().chain(OF_TRIALS.split(' ')))?;
    for found in &document.searches {
        for trial in &found.trials {
            writer.write_record([found.id.clone()].into_iter().chain(fields(trial, OF_TRIALS)))?;
        }
    }
    finish(writer)
}

fn finish(writer: ::csv::Writer<Vec<u8>>) -> Result<String, RenderError> {
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    // Made of strings and their separators only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::document::{Interval, IntervalLatency, IntervalStep, KernelDrops, ServerUsage};
    use crate::report::{fixture, hostile, judge_validity};

    fn rows(report: &Report) -> Vec<HashMap<String, String>> {
        let text = render(report).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }

    #[test]
    fn each_cell_is_a_row_with_named_columns() {
        let mut report = fixture::default_run();
        report.cells[0].latency = None;
        report.cells[5].warnings.push(fixture::warning("late_generator", "x"));
        fixture::one_ended(&mut report.cells[6]);
        report.cells[6].ledger.refused.unreachable = report.cells[6].ledger.sent;
        judge_validity(&mut report);
        let rows = rows(&report);
        assert_eq!(rows.len(), 24);
        for (at, name, value) in [
            (0, "id", "plain/64/max"),
            (0, "valid", "true"),
            (0, "rx_pps", "271000"),
            (0, "lost_at_receive_buffer", "0"),
            (0, "lost_at_tx_device", ""),
            (0, "latency_p99_ns", ""),
            (0, "warnings", ""),
            (1, "rate_pps", "135500"),
            (1, "lag_p99_ns", "630"),
            (4, "lost", "16382"),
            (5, "warnings", "segments_never_cut;late_generator"),
            (6, "rx_pps", ""),
            (6, "valid", "false"),
            (6, "invalid_because", "target_unreachable"),
        ] {
            assert_eq!(rows[at][name], value, "{name}");
        }
    }

    #[test]
    fn figures_below_the_bound_are_empty_beside_their_limit() {
        let mut cell = fixture::cell("plain", 64, "50%", 135e3);
        fixture::stall(&mut cell, 290_000);
        fixture::two_clocks(&mut cell, 300_000);
        // Older documents give mean and maximum as measured.
        let mut older = cell.clone();
        let latency = older.latency.as_mut().unwrap();
        let limits = latency.upper_limits.take().unwrap();
        latency.mean_ns = limits.mean_ns.map(|limit| limit - 300_000);
        latency.max_ns = limits.max_ns.map(|limit| limit - 300_000);
        let outside = latency.outside_stalls.as_ref().unwrap().max_ns.unwrap();
        for row in rows(&fixture::report_of(vec![cell, older])) {
            for (column, limit) in [
                ("latency{}_mean_ns", limits.mean_ns),
                ("latency{}_max_ns", limits.max_ns),
                ("outside_stalls{}_max_ns", Some(outside + 300_000)),
            ] {
                assert_eq!(row[&column.replace("{}", "")], "", "{column}");
                let shown = &row[&column.replace("{}", "_upper_limits")];
                assert_eq!(*shown, limit.unwrap().to_string(), "{column}");
            }
        }
    }

    #[test]
    fn each_interval_is_a_row_with_every_field() {
        let full = Interval {
            latency: Some(IntervalLatency::default()),
            kernel_drops: Some(KernelDrops { qdisc: Some(7), ..KernelDrops::default() }),
            server: Some(ServerUsage::default()),
            first_step: Some(IntervalStep::default()),
            second_step: Some(IntervalStep::default()),
            end_ns: 1_000_000_000,
            sent: 5,
            lost: Some(2),
            ..Interval::default()
        };
        let mut paths = Vec::new();
        leaves(&serde_json::to_value(&full).unwrap(), "", &mut paths);
        let mut columns: Vec<_> = OF_INTERVALS.split(' ').collect();
        columns.sort_unstable();
        paths.sort_unstable();
        assert_eq!(columns, paths);

        let mut report = fixture::default_run();
        report.cells[1].trial = 3;
        report.cells[1].direction = Some("reverse".to_owned());
        report.cells[1].intervals = vec![full.clone(), Interval::default()];
        report.cells[2].intervals = vec![full];
        let text = intervals(&report).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<HashMap<String, String>> =
            reader.deserialize().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 3);
        for (at, name, value) in [
            (0, "id", "plain/64/50%"),
            (0, "trial", "3"),
            (0, "direction", "reverse"),
            (0, "end_ns", "1000000000"),
            (0, "lost", "2"),
            (0, "kernel_drops_qdisc", "7"),
            (1, "sent", "0"),
            (1, "lost", ""),
            (1, "latency_p99_ns", ""),
            (2, "direction", ""),
        ] {
            assert_eq!(rows[at][name], value, "{at} {name}");
        }
        let both = all_intervals(&[("a.json".to_owned(), &report)]).unwrap();
        assert!(both.starts_with("file,started_at,id,trial,direction,start_ns,"), "{both}");
        assert_eq!(both.lines().filter(|line| line.starts_with("a.json,")).count(), 3);
    }

    #[test]
    fn a_value_that_a_spreadsheet_may_take_for_a_formula_is_as_in_the_document() {
        let id = "=cmd|' /C calc'!A0,\"x\"\n-1";
        let mut report = fixture::default_run();
        report.cells.truncate(1);
        report.cells[0].id = id.to_owned();
        report.cells[0].intervals = vec![Interval::default()];
        assert_eq!(rows(&report)[0]["id"], id);
        let text = intervals(&report).unwrap();
        let row = ::csv::Reader::from_reader(text.as_bytes()).records().next().unwrap().unwrap();
        assert_eq!(&row[0], id);
    }

    /// The paths of all values that are no objects.
    fn leaves(value: &Value, at: &str, paths: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                leaves(value, format!("{at}.{name}").trim_start_matches('.'), paths);
            }),
            _ => paths.push(at.to_owned()),
        }
    }

    #[test]
    fn every_column_is_a_field_of_the_document_and_has_its_own_name() {
        let cell = serde_json::to_value(bounded(&hostile::cell("50%", true))).unwrap();
        let mut names = HashSet::new();
        for path in COLUMNS.split(' ') {
            let found = cell.pointer(&format!("/{}", path.replace('.', "/")));
            assert!(found.is_some() && names.insert(name(path)), "{path}");
        }
        let text = render(&fixture::report_of(Vec::new())).unwrap();
        assert!(text.starts_with("id,trial,engine_tx,"), "names without cells: {text}");
        assert_eq!(text.lines().count(), 1);
    }
}
