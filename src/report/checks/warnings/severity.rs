//! Severity of a warning in a cell: of cells with the same warning, the worst one is quoted.

use crate::document::{Cell, Warning};
use crate::unit::sum_counts;

/// The severity of this warning in this cell. Comparable only between warnings of the same code: by
/// the first number, then by the second.
pub(crate) fn severity(warning: &Warning, cell: &Cell) -> (f64, f64) {
    let code = warning.code.as_str();
    let found = of_ledger(code, cell).or_else(|| of_exchange(code, cell));
    let found = found.or_else(|| of_timing(code, cell)).or_else(|| of_packets(code, cell));
    // Of a code that is not listed, its message leads with its size.
    found.unwrap_or_else(|| (first_number(&warning.message), 0.0))
}

/// A share and, where shares are alike, the number itself.
fn share(part: impl Into<Option<u64>>, whole: u64) -> (f64, f64) {
    let part = part.into().unwrap_or(0) as f64;
    (part / whole.max(1) as f64, part)
}

fn count(count: impl Into<Option<u64>>) -> (f64, f64) {
    (count.into().unwrap_or(0) as f64, 0.0)
}

fn of_ledger(code: &str, cell: &Cell) -> Option<(f64, f64)> {
    let ledger = &cell.ledger;
    let refused = |part| share(part, ledger.attempted);
    Some(match code {
        "unaccounted" | "lost_between" => share(ledger.unaccounted, ledger.sent),
        "shared_counters" | "estimated_places" => share(ledger.lost, ledger.sent),
        "receive_buffer_loss" => share(ledger.lost_at.receive_buffer, ledger.sent),
        "backlog_loss" => share(ledger.lost_at.backlog, ledger.sent),
        "refused_would_block" => refused(ledger.refused.would_block),
        "refused_no_buffers" => refused(ledger.refused.no_buffers),
        "refused_unreachable" => refused(ledger.refused.unreachable),
        "refused_too_big" => refused(ledger.refused.too_big),
        "refused_other" => refused(ledger.refused.other),
        "foreign" => count(ledger.foreign),
        "corrupt" => count(ledger.corrupt),
        "duplicate" => count(ledger.duplicate),
        "late" => count(ledger.late),
        _ => return None,
    })
}

fn of_exchange(code: &str, cell: &Cell) -> Option<(f64, f64)> {
    let exchange = cell.exchange.as_ref()?;
    let requests = |part: u64| share(part, exchange.requests);
    Some(match code {
        "generator_dropped" => requests(exchange.own_drops.unwrap_or(0)),
        "order_lost" | "no_reply" => requests(exchange.timeouts),
        "from_elsewhere" => count(exchange.elsewhere),
        "unmatched" => share(exchange.unmatched, exchange.replies),
        "error_replies" => {
            let errors = sum_counts(exchange.errors.values().copied());
            share(errors, exchange.matched)
        }
        "late_replies" => count(exchange.late),
        "duplicate_replies" => count(exchange.duplicate),
        _ => return None,
    })
}

fn of_timing(code: &str, cell: &Cell) -> Option<(f64, f64)> {
    let stalls = &cell.stalls;
    Some(match code {
        "behind_schedule" | "window_full" => {
            let schedule = cell.schedule.as_ref()?;
            let lag = schedule.lag.p99_ns.unwrap_or(0);
            (share(schedule.missed, schedule.scheduled).0, lag as f64)
        }
        "stalls" => {
            let rx = stalls.rx.as_ref().map_or(0, |rx| rx.total_ns);
            count(stalls.tx.total_ns.saturating_add(rx))
        }
        "stolen" => share(stalls.stolen_ns, cell.elapsed_ns),
        "clamped" => count(cell.latency.as_ref()?.clamped),
        // The least is the worst.
        "short_run" => (-count(cell.rx.as_ref()?.datagrams).0, -(cell.elapsed_ns as f64)),
        _ => return None,
    })
}

fn of_packets(code: &str, cell: &Cell) -> Option<(f64, f64)> {
    let packets = &cell.packets;
    Some(match code {
        "segments_never_cut" => share(packets.uncut, cell.ledger.arrived.unwrap_or(0)),
        "segments_fell" => share(packets.segments_at_first, packets.segments_at_last.unwrap_or(1)),
        "no_buffers" => count(packets.no_buffers),
        "truncated" => count(packets.truncated),
        "flow_starved" => count(cell.flows.as_ref()?.starved),
        "receiver_skew" => {
            let workers = cell.workers.as_ref()?;
            share(workers.iter().copied().max(), sum_counts(workers.iter().copied()))
        }
        _ => return None,
    })
}

/// The first number in a text; 0 where there is none.
fn first_number(text: &str) -> f64 {
    let from = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let rest = &text[from..];
    let to = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..to].trim_end_matches('.').parse().unwrap_or(0.0)
}

/// The codes that are listed above.
#[cfg(test)]
pub(crate) const CODES: [&str; 35] = [
    "unaccounted",
    "lost_between",
    "shared_counters",
    "estimated_places",
    "receive_buffer_loss",
    "backlog_loss",
    "refused_would_block",
    "refused_no_buffers",
    "refused_unreachable",
    "refused_too_big",
    "refused_other",
    "foreign",
    "corrupt",
    "duplicate",
    "late",
    "generator_dropped",
    "order_lost",
    "no_reply",
    "from_elsewhere",
    "unmatched",
    "error_replies",
    "late_replies",
    "duplicate_replies",
    "behind_schedule",
    "window_full",
    "stalls",
    "stolen",
    "clamped",
    "short_run",
    "segments_never_cut",
    "segments_fell",
    "no_buffers",
    "truncated",
    "flow_starved",
    "receiver_skew",
];

#[cfg(test)]
mod tests {
    use super::super::tests::clean_cell;
    use super::*;
    use crate::report::fixture::warning;

    #[test]
    fn numbers_are_found_in_texts() {
        for (text, number) in
            [("", 0.0), ("no number", 0.0), ("12 of 30", 12.0), ("lost 3.25 %.", 3.25), ("8.", 8.0)]
        {
            assert_eq!(first_number(text), number, "{text}");
        }
    }

    #[test]
    fn worse_cells_compare_as_worse() {
        let of = |code: &str, change: &dyn Fn(&mut Cell)| {
            let mut cell = clean_cell();
            change(&mut cell);
            severity(&warning(code, "7 datagrams"), &cell)
        };
        let loss = |lost| {
            of("receive_buffer_loss", &move |cell| {
                cell.ledger.lost_at.receive_buffer = Some(lost);
            })
        };
        assert!(loss(40_000) > loss(500) && loss(500) > loss(0));
        let short =
            |received| of("short_run", &move |cell| cell.rx.as_mut().unwrap().datagrams = received);
        assert!(short(3) > short(900));
        assert_eq!(of("a_code_of_tomorrow", &|_| {}), (7.0, 0.0));
    }
}
