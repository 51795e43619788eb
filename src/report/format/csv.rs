//! The document as CSV: a row a cell, for spreadsheets and data frames.

mod trials;

pub use trials::trials;

use crate::document::{
    Cell, Exchange, Flows, Latency, Report, Schedule, Side, StallSum, UpperLimits,
};
use crate::report::error::RenderError;
use crate::unit::sum_counts;

/// A column: its name, and what it says of a cell. Unknown is empty.
type Column = (&'static str, fn(&Cell) -> String);

/// Names are the paths in the document, joined by underscores; `ledger` is left away, and so is
/// what the contract leaves away for brevity. New columns go to the end of their group, and names
/// never change.
const COLUMNS: &[Column] = &[
    ("id", |c| c.id.clone()),
    ("trial", |c| c.trial.to_string()),
    ("engine_tx", |c| c.engine.tx.clone()),
    ("engine_rx", |c| c.engine.rx.clone()),
    ("engine_tx_active", |c| c.engine.tx_active.clone()),
    ("engine_rx_active", |c| or_empty(c.engine.rx_active.as_ref())),
    ("size", |c| c.size.to_string()),
    ("size_mix", |c| or_empty(c.size_mix.as_ref())),
    ("streams", |c| c.streams.to_string()),
    ("threads", |c| c.threads.to_string()),
    ("rate", |c| c.rate.clone()),
    ("rate_pps", |c| or_empty(c.rate_pps)),
    ("pace", |c| or_empty(c.pace.as_ref())),
    ("elapsed_ns", |c| c.elapsed_ns.to_string()),
    ("calibration", |c| c.calibration.to_string()),
    ("cut_short", |c| c.cut_short.to_string()),
    ("direction", |c| or_empty(c.direction.as_ref())),
    ("ends", |c| or_empty(c.ends.as_ref())),
    ("cut_short_because", |c| or_empty(c.cut_short_because.as_ref())),
    ("outages", |c| c.outages.len().to_string()),
    ("tx_datagrams", |c| c.tx.datagrams.to_string()),
    ("tx_bytes", |c| c.tx.bytes.to_string()),
    ("tx_pps", |c| or_empty(c.tx.pps)),
    ("tx_bits_per_second", |c| or_empty(c.tx.bits_per_second)),
    ("tx_syscalls", |c| c.tx.syscalls.to_string()),
    ("tx_cpu_ns", |c| or_empty(c.tx.cpu_ns)),
    ("tx_socket_buffer_granted", |c| or_empty(c.tx.socket_buffer.granted)),
    ("rx_datagrams", |c| receiver(c, |rx| Some(rx.datagrams))),
    ("rx_datagrams_in_window", |c| receiver(c, |rx| Some(rx.datagrams_in_window))),
    ("rx_bytes", |c| receiver(c, |rx| Some(rx.bytes))),
    ("rx_pps", |c| receiver(c, |rx| rx.pps)),
    ("rx_bits_per_second", |c| receiver(c, |rx| rx.bits_per_second)),
    ("rx_syscalls", |c| receiver(c, |rx| Some(rx.syscalls))),
    ("rx_cpu_ns", |c| receiver(c, |rx| rx.cpu_ns)),
    ("rx_socket_buffer_granted", |c| receiver(c, |rx| rx.socket_buffer.granted)),
    ("rx_datagrams_after_window", |c| receiver(c, |rx| rx.datagrams_after_window)),
    ("packets_sent", |c| c.packets.sent.to_string()),
    ("packets_received", |c| or_empty(c.packets.received)),
    ("packets_uncut", |c| or_empty(c.packets.uncut)),
    ("packets_segments_at_first", |c| or_empty(c.packets.segments_at_first)),
    ("packets_segments_at_last", |c| or_empty(c.packets.segments_at_last)),
    ("packets_truncated", |c| or_empty(c.packets.truncated)),
    ("packets_no_buffers", |c| or_empty(c.packets.no_buffers)),
    ("attempted", |c| c.ledger.attempted.to_string()),
    ("sent", |c| c.ledger.sent.to_string()),
    ("refused_would_block", |c| c.ledger.refused.would_block.to_string()),
    ("refused_no_buffers", |c| c.ledger.refused.no_buffers.to_string()),
    ("refused_unreachable", |c| c.ledger.refused.unreachable.to_string()),
    ("refused_too_big", |c| c.ledger.refused.too_big.to_string()),
    ("refused_other", |c| c.ledger.refused.other.to_string()),
    ("received", |c| or_empty(c.ledger.received)),
    ("lost", |c| or_empty(c.ledger.lost)),
    ("lost_at_receive_buffer", |c| or_empty(c.ledger.lost_at.receive_buffer)),
    ("lost_at_backlog", |c| or_empty(c.ledger.lost_at.backlog)),
    ("lost_at_device", |c| or_empty(c.ledger.lost_at.device)),
    ("lost_at_qdisc", |c| or_empty(c.ledger.lost_at.qdisc)),
    ("lost_at_checksum", |c| or_empty(c.ledger.lost_at.checksum)),
    ("lost_at_no_port", |c| or_empty(c.ledger.lost_at.no_port)),
    ("lost_at_tx_device", |c| or_empty(c.ledger.lost_at.tx_device)),
    ("lost_at_rx_ip", |c| or_empty(c.ledger.lost_at.rx_ip)),
    ("lost_at_reassembly", |c| or_empty(c.ledger.lost_at.reassembly)),
    ("lost_at_tx_ip", |c| or_empty(c.ledger.lost_at.tx_ip)),
    ("lost_at_neighbour", |c| or_empty(c.ledger.lost_at.neighbour)),
    ("unaccounted", |c| or_empty(c.ledger.unaccounted)),
    ("arrived", |c| or_empty(c.ledger.arrived)),
    ("duplicate", |c| or_empty(c.ledger.duplicate)),
    ("late", |c| or_empty(c.ledger.late)),
    ("reordered", |c| or_empty(c.ledger.reordered)),
    ("reorder_extent", |c| or_empty(c.ledger.reorder_extent)),
    ("foreign", |c| or_empty(c.ledger.foreign)),
    ("corrupt", |c| or_empty(c.ledger.corrupt)),
    ("latency_count", |c| latency(c, |l| Some(l.count))),
    ("latency_min_ns", |c| latency(c, |l| l.min_ns)),
    ("latency_mean_ns", |c| latency(c, |l| l.mean().0)),
    ("latency_stdev_ns", |c| latency(c, |l| Some(l.stdev_ns))),
    ("latency_p50_ns", |c| latency(c, |l| l.p50_ns)),
    ("latency_p90_ns", |c| latency(c, |l| l.p90_ns)),
    ("latency_p99_ns", |c| latency(c, |l| l.p99_ns)),
    ("latency_p99_9_ns", |c| latency(c, |l| l.p99_9_ns)),
    ("latency_p99_99_ns", |c| latency(c, |l| l.p99_99_ns)),
    ("latency_max_ns", |c| latency(c, |l| l.max().0)),
    ("latency_bound_ns", |c| latency(c, |l| Some(l.bound_ns))),
    ("p99_with_loss_ns", |c| or_empty(c.latency.as_ref().and_then(|l| l.p99_with_loss_ns))),
    ("latency_upper_limits_min_ns", |c| limit(c.latency.as_ref(), |u| u.min_ns)),
    ("latency_upper_limits_p50_ns", |c| limit(c.latency.as_ref(), |u| u.p50_ns)),
    ("latency_upper_limits_p90_ns", |c| limit(c.latency.as_ref(), |u| u.p90_ns)),
    ("latency_upper_limits_p99_ns", |c| limit(c.latency.as_ref(), |u| u.p99_ns)),
    ("latency_upper_limits_p99_9_ns", |c| limit(c.latency.as_ref(), |u| u.p99_9_ns)),
    ("latency_upper_limits_p99_99_ns", |c| limit(c.latency.as_ref(), |u| u.p99_99_ns)),
    ("latency_upper_limits_p99_with_loss_ns", |c| {
        limit(c.latency.as_ref(), |u| u.p99_with_loss_ns)
    }),
    ("outside_stalls_max_ns", |c| latency(c, |l| l.outside_stalls.as_ref()?.max(l.bound_ns).0)),
    ("from_send_p50_ns", |c| or_empty(c.from_send.as_ref().and_then(|l| l.p50_ns))),
    ("from_send_p99_ns", |c| or_empty(c.from_send.as_ref().and_then(|l| l.p99_ns))),
    ("from_send_upper_limits_p50_ns", |c| limit(c.from_send.as_ref(), |u| u.p50_ns)),
    ("from_send_upper_limits_p99_ns", |c| limit(c.from_send.as_ref(), |u| u.p99_ns)),
    ("to_socket_p50_ns", |c| or_empty(c.to_socket.as_ref().and_then(|l| l.p50_ns))),
    ("to_socket_p99_ns", |c| or_empty(c.to_socket.as_ref().and_then(|l| l.p99_ns))),
    ("to_socket_upper_limits_p50_ns", |c| limit(c.to_socket.as_ref(), |u| u.p50_ns)),
    ("to_socket_upper_limits_p99_ns", |c| limit(c.to_socket.as_ref(), |u| u.p99_ns)),
    ("in_socket_p50_ns", |c| or_empty(c.in_socket.as_ref().and_then(|l| l.p50_ns))),
    ("in_socket_p99_ns", |c| or_empty(c.in_socket.as_ref().and_then(|l| l.p99_ns))),
    ("schedule_scheduled", |c| schedule(c, |s| Some(s.scheduled))),
    ("schedule_missed", |c| schedule(c, |s| Some(s.missed))),
    ("lag_p99_ns", |c| schedule(c, |s| s.lag.p99_ns)),
    ("gap_p50_ns", |c| schedule(c, |s| s.gap.p50_ns)),
    ("gap_p99_ns", |c| schedule(c, |s| s.gap.p99_ns)),
    ("jitter_ns", |c| or_empty(c.jitter_ns)),
    ("stalls_tx_count", |c| stalls(Some(&c.stalls.tx), |s| s.count)),
    ("stalls_tx_total_ns", |c| stalls(Some(&c.stalls.tx), |s| s.total_ns)),
    ("stalls_tx_max_ns", |c| stalls(Some(&c.stalls.tx), |s| s.max_ns)),
    ("stalls_rx_count", |c| stalls(c.stalls.rx.as_ref(), |s| s.count)),
    ("stalls_rx_total_ns", |c| stalls(c.stalls.rx.as_ref(), |s| s.total_ns)),
    ("stalls_rx_max_ns", |c| stalls(c.stalls.rx.as_ref(), |s| s.max_ns)),
    ("flows_received_min", |c| flows(c, |f| Some(f.received.min))),
    ("flows_received_max", |c| flows(c, |f| Some(f.received.max))),
    ("flows_loss_max", |c| flows(c, |f| f.loss_max)),
    ("flows_starved", |c| flows(c, |f| Some(f.starved))),
    ("flows_fairness", |c| flows(c, |f| f.fairness)),
    ("exchange_requests", |c| exchange(c, |e| Some(e.requests))),
    ("exchange_replies", |c| exchange(c, |e| Some(e.replies))),
    ("exchange_matched", |c| exchange(c, |e| Some(e.matched))),
    ("exchange_unmatched", |c| exchange(c, |e| Some(e.unmatched))),
    ("exchange_duplicate", |c| exchange(c, |e| Some(e.duplicate))),
    ("exchange_late", |c| exchange(c, |e| Some(e.late))),
    ("exchange_continued", |c| exchange(c, |e| Some(e.continued))),
    ("exchange_stale", |c| exchange(c, |e| Some(e.stale))),
    ("exchange_timeouts", |c| exchange(c, |e| Some(e.timeouts))),
    ("exchange_given_up", |c| exchange(c, |e| Some(e.given_up))),
    ("exchange_errors", |c| exchange(c, |e| Some(sum_counts(e.errors.values().copied())))),
    ("exchange_unreachable", |c| exchange(c, |e| Some(e.unreachable))),
    ("exchange_in_flight_max", |c| exchange(c, |e| Some(e.in_flight_max))),
    ("exchange_room", |c| exchange(c, |e| Some(e.room))),
    ("exchange_own_drops", |c| exchange(c, |e| e.own_drops)),
    ("exchange_elsewhere", |c| exchange(c, |e| e.elsewhere)),
    ("exchange_idle_ns", |c| exchange(c, |e| Some(e.idle_ns))),
    ("exchange_outstanding", |c| exchange(c, |e| e.outstanding)),
    ("exchange_timeout_ns", |c| exchange(c, |e| Some(e.timeout_ns))),
    ("warnings", |c| {
        let codes: Vec<_> = c.warnings.iter().map(|warning| warning.code.as_str()).collect();
        codes.join(";")
    }),
    ("per_datagram_syscalls", |c| or_empty(c.per_datagram.syscalls)),
    ("per_datagram_context_switches", |c| or_empty(c.per_datagram.context_switches)),
    ("per_datagram_cpu_ns", |c| or_empty(c.per_datagram.cpu_ns)),
    ("per_datagram_instructions", |c| or_empty(c.per_datagram.instructions)),
    ("exchange_incomplete", |c| exchange(c, |e| Some(e.incomplete))),
    ("exchange_acknowledged", |c| exchange(c, |e| Some(e.acknowledged))),
    ("exchange_no_room", |c| exchange(c, |e| Some(e.no_room))),
    ("exchange_no_room_ns", |c| exchange(c, |e| Some(e.no_room_ns))),
    ("exchange_repeated_labels", |c| exchange(c, |e| e.repeated_labels)),
    ("exchange_reused_message_ids", |c| exchange(c, |e| e.reused_message_ids)),
    ("latency_upper_limits_mean_ns", |c| latency(c, |l| l.mean().1)),
    ("latency_upper_limits_max_ns", |c| latency(c, |l| l.max().1)),
    ("outside_stalls_upper_limits_max_ns", |c| {
        latency(c, |l| l.outside_stalls.as_ref()?.max(l.bound_ns).1)
    }),
];

/// Columns after those of a cell: whether it is valid, and the codes of the reasons if not.
const VALIDITY: [&str; 2] = ["valid", "invalid_because"];

fn validity(report: &Report, cell: &Cell) -> [String; 2] {
    let of_run = report.invalid_because.iter().filter(|reason| reason.cell.is_none());
    let reasons = report.invalid_cell(cell).chain(of_run);
    let codes: Vec<_> = reasons.map(|reason| reason.code.as_str()).collect();
    // A document may say that it is invalid, and not why.
    let is_valid = codes.is_empty() && (report.valid || !report.invalid_because.is_empty());
    [is_valid.to_string(), codes.join(";")]
}

/// The cells of a document, calibration included, below a row of names.
///
/// # Errors
/// [`RenderError::Csv`], which would be a bug.
pub fn render(report: &Report) -> Result<String, RenderError> {
    rows([], std::iter::once(([], report)))
}

/// The cells of several documents, two columns before those of one: `file`, what the document is
/// called here, and `started_at`.
///
/// # Errors
/// [`RenderError::Csv`], which would be a bug.
pub fn render_all(reports: &[(String, &Report)]) -> Result<String, RenderError> {
    let run = |(file, report): &(String, &Report)| [file.clone(), report.started_at.clone()];
    rows(["file", "started_at"], reports.iter().map(|one| (run(one), one.1)))
}

/// The cells of these documents, each behind the first columns of its document.
fn rows<'a, const N: usize>(
    first: [&str; N],
    reports: impl Iterator<Item = ([String; N], &'a Report)>,
) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let names = COLUMNS.iter().map(|(name, _)| *name).chain(VALIDITY);
    writer.write_record(first.into_iter().chain(names))?;
    for (run, report) in reports {
        for cell in &report.cells {
            let columns = COLUMNS.iter().map(|(_, of)| of(cell)).chain(validity(report, cell));
            writer.write_record(run.iter().cloned().chain(columns))?;
        }
    }
    finish(writer)
}

fn finish(writer: ::csv::Writer<Vec<u8>>) -> Result<String, RenderError> {
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    // Made of strings and their separators only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn latency(cell: &Cell, of: fn(&Latency) -> Option<u64>) -> String {
    or_empty(cell.latency.as_ref().and_then(of))
}

/// The upper limit of a figure that is withheld.
fn limit(latency: Option<&Latency>, of: fn(&UpperLimits) -> Option<u64>) -> String {
    or_empty(latency.and_then(|latency| of(latency.upper_limits.as_ref()?)))
}

fn schedule(cell: &Cell, of: fn(&Schedule) -> Option<u64>) -> String {
    or_empty(cell.schedule.as_ref().and_then(of))
}

fn exchange(cell: &Cell, of: fn(&Exchange) -> Option<u64>) -> String {
    or_empty(cell.exchange.as_ref().and_then(of))
}

fn stalls(stalls: Option<&StallSum>, of: fn(&StallSum) -> u64) -> String {
    or_empty(stalls.map(of))
}

fn receiver<T: ToString>(cell: &Cell, of: fn(&Side) -> Option<T>) -> String {
    or_empty(cell.rx.as_ref().and_then(of))
}

fn flows<T: ToString>(cell: &Cell, of: fn(&Flows) -> Option<T>) -> String {
    or_empty(cell.flows.as_ref().and_then(of))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::report::fixture;

    fn rows(report: &Report) -> Vec<HashMap<String, String>> {
        let text = render(report).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }

    #[test]
    fn a_row_a_cell_by_name() {
        let mut report = fixture::default_run();
        report.cells[0].latency = None;
        fixture::two_clocks(&mut report.cells[3], 12_000);
        report.cells[5].warnings.push(fixture::warning("late_generator", "x"));
        fixture::one_ended(&mut report.cells[6]);
        report.cells[6].ledger.refused.unreachable = report.cells[6].ledger.sent;
        crate::report::judge_validity(&mut report);
        let rows = rows(&report);
        assert_eq!(rows.len(), 24);
        let unknown = ["rx_pps", "received", "unaccounted", "stalls_rx_count", "packets_uncut"];
        let is = |at: usize, name: &str, value: &str| assert_eq!(rows[at][name], value, "{name}");
        unknown.iter().for_each(|name| is(6, name, ""));
        is(6, "tx_pps", "262000");
        is(6, "direction", "forward");
        is(6, "valid", "false");
        is(6, "invalid_because", "target_unreachable");
        is(0, "valid", "true");
        is(0, "invalid_because", "");
        is(0, "ends", "together");
        is(0, "lost_at_tx_device", "");
        is(0, "id", "plain/64/max");
        is(0, "rate_pps", "");
        is(0, "rx_pps", "271000");
        is(0, "latency_p99_ns", "");
        is(0, "schedule_missed", "");
        is(0, "lost_at_receive_buffer", "0");
        is(0, "lost_at_qdisc", "");
        is(0, "warnings", "");
        is(0, "per_datagram_syscalls", "2");
        is(0, "per_datagram_instructions", "");
        is(1, "rate", "50%");
        is(1, "rate_pps", "135500");
        is(1, "stalls_tx_count", "1");
        is(1, "lag_p99_ns", "630");
        is(1, "latency_bound_ns", "0");
        is(3, "latency_bound_ns", "12000");
        is(3, "latency_p50_ns", "");
        is(3, "latency_upper_limits_p50_ns", "20535");
        is(3, "latency_upper_limits_p99_ns", "");
        is(3, "from_send_upper_limits_p50_ns", "20535");
        is(1, "latency_upper_limits_p50_ns", "");
        is(3, "from_send_p50_ns", "");
        is(3, "latency_p99_ns", "74943");
        is(4, "lost", "16382");
        is(4, "engine_rx", "gro");
        is(5, "schedule_missed", "1203");
        is(5, "warnings", "segments_never_cut;late_generator");
    }

    #[test]
    fn what_is_below_the_bound_is_empty_beside_its_limit() {
        let mut cell = fixture::cell("plain", 64, "50%", 135e3);
        fixture::stall(&mut cell, 290_000);
        fixture::two_clocks(&mut cell, 300_000);
        let mut report = fixture::report_of(vec![cell]);
        // Older documents give mean and maximum as measured.
        report.cells.push(report.cells[0].clone());
        let latency = report.cells[1].latency.as_mut().unwrap();
        let [mean, max] =
            [latency.upper_limits.unwrap().mean_ns, latency.upper_limits.unwrap().max_ns]
                .map(|limit| limit.unwrap());
        (latency.mean_ns, latency.max_ns) = (Some(mean - 300_000), Some(max - 300_000));
        latency.upper_limits = None;
        let outside = latency.outside_stalls.as_ref().unwrap().max_ns.unwrap() + 300_000;
        for row in rows(&report) {
            for (name, limit) in [
                ("latency_mean_ns", mean),
                ("latency_max_ns", max),
                ("outside_stalls_max_ns", outside),
            ] {
                assert_eq!(row[name], "", "{name}");
                let limits = name.replace("latency_", "latency_upper_limits_");
                let limits = limits.replace("stalls_max", "stalls_upper_limits_max");
                assert_eq!(row[&limits], limit.to_string(), "{limits}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_plain() {
        let mut names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(names.iter().all(|name| name.chars().all(plain)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }

    #[test]
    fn without_cells_the_names_remain() {
        let text = render(&fixture::report_of(Vec::new())).unwrap();
        assert!(text.starts_with("id,trial,engine_tx,"));
        assert_eq!(text.lines().count(), 1);
    }
}
