//! The result of a capacity probe: three lines before all others.

use super::rows::{TableModel, measured, p99};
use super::style::{Color, Styler, counted, distinct, note};
use crate::document::{Capacity, CapacityLimit, Cell, CellLimit, Report};
use crate::unit::show_requests;

/// Capacity, 99th percentile at half of it, and limit, each with its label; empty without a probe.
pub(super) fn lines(report: &Report) -> Vec<(String, String)> {
    let Some(capacity) = &report.capacity else { return Vec::new() };
    let limit = capacity.limited_by.map_or("unknown", CapacityLimit::word);
    let limit = format!("{limit}: {}", capacity.evidence);
    let lines =
        [("capacity", rate(capacity)), ("p99", latency(report, capacity)), ("limit", limit)];
    lines.map(|(label, text)| (label.to_owned(), text)).into()
}

/// The limits of the cells that have one, in one line: each once, with the cell that it affected
/// most.
pub(super) fn of_cells(report: &Report) -> Option<String> {
    let limited: Vec<_> =
        measured(report).filter_map(|cell| Some((cell, cell.limit.as_ref()?))).collect();
    let limits = distinct(limited.iter().map(|(_, limit)| limit.limited_by)).into_iter();
    let list = limits.filter_map(|by| {
        let alike: Vec<_> = limited.iter().filter(|(_, limit)| limit.limited_by == by).collect();
        // The first one of several that are equal.
        let most = |one: &&&(&Cell, &CellLimit), other: &&&(&Cell, &CellLimit)| {
            unanswered(one.0).total_cmp(&unanswered(other.0))
        };
        let (cell, limit) = alike.iter().rev().max_by(most)?;
        let by = by.map_or("unknown", CapacityLimit::word);
        let trial = if cell.trial > 0 { format!(" (trial {})", cell.trial) } else { String::new() };
        let more = match alike.len() as u64 - 1 {
            0 => String::new(),
            more => format!(" and {}", counted(more, "more cell")),
        };
        Some(format!("{by} in {}{trial}{more}: {}", cell.id, limit.evidence))
    });
    let list: Vec<_> = list.collect();
    (!list.is_empty()).then(|| format!("Limit: {}.", list.join("; ")))
}

/// The share of the due requests of a cell that were not answered.
fn unanswered(cell: &Cell) -> f64 {
    let Some(exchange) = &cell.exchange else { return 0.0 };
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let due = exchange.requests.saturating_add(missed);
    due.saturating_sub(exchange.matched) as f64 / due.max(1) as f64
}

/// The lines as a paragraph.
pub(super) fn draw(report: &Report, styler: Styler, width: usize) -> Option<String> {
    let draw = |(at, (label, text)): (usize, &(String, String))| {
        let text = if at == 0 { styler.paint(Color::Title, text) } else { text.clone() };
        note(styler, label, &text, width)
    };
    let lines: Vec<_> = lines(report).iter().enumerate().map(draw).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn rate(capacity: &Capacity) -> String {
    let within = format!("within {}% loss", capacity.loss_limit * 100.0);
    let Some(rate) = capacity.requests_per_s else {
        let is_answered = capacity.steps.iter().any(|step| step.answered > 0);
        let why = if is_answered { "no rate was answered " } else { "nothing was answered " };
        return format!("unknown: {why}{}", if is_answered { within } else { String::new() });
    };
    let is_more_possible = capacity.limited_by == Some(CapacityLimit::Generator);
    let most = if is_more_possible || capacity.failed_per_s.is_none() { "at least " } else { "" };
    let failed = capacity.failed_per_s.filter(|_| !is_more_possible);
    let failed = failed.map_or_else(String::new, |rate| format!("; not {}", show_requests(rate)));
    format!("{most}{} answered {within}{failed}", show_requests(rate))
}

/// The 99th percentiles at the shares of the capacity.
fn latency(report: &Report, capacity: &Capacity) -> String {
    let table = TableModel::of(report);
    let mut parts = table.rows.iter().filter(|row| row.rate.ends_with('%')).map(|row| {
        let rate = row.speed.first().and_then(|cell| cell.rate_pps).map(show_requests);
        let rate = rate.map_or_else(String::new, |rate| format!(" ({rate})"));
        format!("{} at {}{rate}", row.percentile(0.99, p99).show(), row.rate)
    });
    match (parts.next(), capacity.requests_per_s) {
        (Some(half), _) => [half].into_iter().chain(parts).collect::<Vec<_>>().join(", "),
        (None, Some(_)) => "unknown: nothing was measured at 50%".to_owned(),
        (None, None) => "unknown: there is no capacity to take 50% of".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Exchange;
    use crate::report::fixture;
    use crate::report::format::{html, markdown};

    fn shown(report: &Report) -> Vec<String> {
        lines(report).into_iter().map(|(label, text)| format!("{label}: {text}")).collect()
    }

    #[test]
    fn a_limit_of_several_cells_is_named_once_with_the_worst() {
        let cell = |rate: &str, trial, matched, by| {
            let mut cell = fixture::cell("plain", 64, rate, 50e3);
            let evidence = format!("{matched} of 9");
            let exchange = Exchange { requests: 9, matched, ..Exchange::default() };
            (cell.trial, cell.exchange) = (trial, Some(exchange));
            cell.limit = Some(CellLimit { limited_by: Some(by), evidence });
            cell
        };
        let (server, path) = (CapacityLimit::Server, CapacityLimit::Path);
        let cells = [
            cell("1k", 0, 5, server),
            cell("1k", 1, 3, server),
            cell("2k", 0, 3, server),
            cell("2k", 1, 4, path),
        ];
        let line = |count| of_cells(&fixture::report_of(cells[..count].to_vec())).unwrap();
        assert_eq!(line(1), "Limit: server in plain/64/1k: 5 of 9.");
        assert_eq!(line(2), "Limit: server in plain/64/1k (trial 1) and 1 more cell: 3 of 9.");
        let all = "Limit: server in plain/64/1k (trial 1) and 2 more cells: 3 of 9; \
                   path in plain/64/2k (trial 1): 4 of 9.";
        assert_eq!(line(4), all);
        let mut report = fixture::report_of(cells.to_vec());
        report.cells.iter_mut().for_each(|cell| cell.limit = None);
        assert_eq!(of_cells(&report), None);
    }

    #[test]
    fn three_lines_say_how_much_how_late_and_what_the_limit_was() {
        let cells = [("50%", 50e3), ("80%", 80e3)];
        let cells = cells.map(|(rate, pps)| fixture::cell("plain", 64, rate, pps));
        let mut report = fixture::report_of(cells.to_vec());
        assert!(shown(&report).is_empty(), "without a probe");
        report.capacity = Some(fixture::capacity());
        let expected = [
            "capacity: 100k requests/s answered within 1% loss; not 106k requests/s",
            "p99: 74.9 µs at 50% (50.0k requests/s), 74.9 µs at 80% (80.0k requests/s)",
            "limit: server: 3,000 requests dropped at its full receive buffer",
        ];
        assert_eq!(shown(&report), expected);
        let text = markdown::render(&report);
        assert!(text.starts_with("- **capacity** 100k requests/s"), "{text}");
        let page = html::render(&[("", &report)]).unwrap();
        assert!(page.contains("<dd>100k requests/s answered within"), "{page}");
        let (_, chart) = page.split_once("<h2>Capacity probe</h2>").unwrap();
        // Each step at its rate, the one that did not hold with what was not answered.
        for part in ["1 in flight", "asked 100k requests/s", "no reply 10.0%", "capacity 100k"] {
            assert!(chart.contains(part), "{part}: {chart}");
        }

        let capacity = report.capacity.as_mut().unwrap();
        capacity.limited_by = Some(CapacityLimit::Generator);
        assert!(shown(&report)[0].starts_with("capacity: at least 100k requests/s answered"));
        let capacity = report.capacity.as_mut().unwrap();
        (capacity.requests_per_s, capacity.limited_by) = (None, None);
        report.cells.clear();
        let unknown = [
            "capacity: unknown: no rate was answered within 1% loss",
            "p99: unknown: there is no capacity to take 50% of",
            "limit: unknown: 3,000 requests dropped at its full receive buffer",
        ];
        assert_eq!(shown(&report), unknown);
    }
}
