//! The ledger line: all datagrams by outcome, in full so that the line adds up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rows::{has_requests, is_send_only, measured};
use super::style::{
    Color, LISTED, NBSP, Styler, add_up, grouped, item, items, join_dotted, no_break,
};
use crate::document::{Cell, Exchange, Ledger, Refused, Report};
use crate::report::checks::warnings::is_path;
use crate::unit::sum_counts;

pub(super) fn draw(report: &Report, styler: Styler) -> String {
    if has_requests(report) {
        return of_requests(report, styler);
    }
    let ledgers = || report.cells.iter().map(|cell| &cell.ledger);
    let sum = |of: fn(&Ledger) -> Option<u64>| sum_counts(ledgers().filter_map(of));
    let sent = item("sent", sum(|ledger| Some(ledger.sent)));
    let reasons = add_up(ledgers().map(|ledger| reasons(&ledger.refused)));
    let refused = item("refused", sum_counts(reasons.iter().map(|(_, count)| *count)));
    let refused = refused + &in_brackets(&items(reasons));
    if is_send_only(report) {
        return join_dotted(&[sent, refused]);
    }
    let received = item("received", sum(|ledger| ledger.received));
    let lost = item("lost", sum(|ledger| ledger.lost)) + &in_brackets(&places(report));
    // Of cells whose sink was lost, part of the outcome is unknown.
    let is_unknown = |ledger: &&Ledger| ledger.lost.is_none();
    let left = |ledger: &Ledger| ledger.sent.saturating_sub(ledger.received.unwrap_or(0));
    let unknown = sum_counts(ledgers().filter(is_unknown).map(left));
    let mut all = match (ledgers().all(|ledger| is_unknown(&ledger)), unknown) {
        (true, _) => vec![received, no_break("loss unknown"), refused],
        (_, 0) => vec![format!("{sent} = {received} + {lost}"), refused],
        (_, _) => {
            vec![format!("{sent} = {received} + {lost} + {}", item("unknown", unknown)), refused]
        }
    };
    all.extend(items([
        ("duplicate", sum(|ledger| ledger.duplicate)),
        ("late", sum(|ledger| ledger.late)),
        ("reordered", sum(|ledger| ledger.reordered)),
        ("foreign", sum(|ledger| ledger.foreign)),
        ("corrupt", sum(|ledger| ledger.corrupt)),
    ]));
    if ledgers().any(|ledger| !is_unknown(&ledger)) {
        all.push(unaccounted(report, sum(|ledger| ledger.unaccounted), styler));
    }
    join_dotted(&all)
}

fn of_requests(report: &Report, styler: Styler) -> String {
    let exchanges = || measured(report).filter_map(|cell| cell.exchange.as_ref());
    let sum = |of: fn(&Exchange) -> u64| sum_counts(exchanges().map(of));
    let refused = |cell: &Cell| cell.ledger.attempted.saturating_sub(cell.ledger.sent);
    let refused = item("refused", sum_counts(measured(report).map(refused)));
    let requests = item("requests", sum(|exchange| exchange.requests));
    if is_send_only(report) {
        return join_dotted(&[format!("{requests} (no reply is expected)"), refused]);
    }
    let answered = item("answered", sum(|exchange| exchange.matched));
    let timeouts = sum(|exchange| exchange.timeouts);
    let color = if timeouts == 0 { Color::Good } else { Color::Warning };
    let timeouts = styler.paint(color, &item("timeouts", timeouts));
    let mut all = vec![format!("{requests} = {answered} + {timeouts}"), refused];
    all.extend(items([
        ("late", sum(|exchange| exchange.late)),
        ("duplicate", sum(|exchange| exchange.duplicate)),
        ("of the warm-up", sum(|exchange| exchange.stale)),
        ("continued", sum(|exchange| exchange.continued.saturating_sub(exchange.acknowledged))),
        ("acknowledged", sum(|exchange| exchange.acknowledged)),
        ("incomplete", sum(|exchange| exchange.incomplete)),
        ("unmatched", sum(|exchange| exchange.unmatched)),
        ("unreachable", sum(|exchange| exchange.unreachable)),
        ("dropped by udperf", sum(|exchange| exchange.own_drops.unwrap_or(0))),
    ]));
    all.extend(errors(exchanges()));
    join_dotted(&all)
}

/// Errors with their names, the most frequent first.
fn errors<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> Option<String> {
    let mut sums = BTreeMap::new();
    for (name, count) in exchanges.flat_map(|exchange| &exchange.errors) {
        let sum: &mut u64 = sums.entry(name.as_str()).or_default();
        *sum = sum.saturating_add(*count);
    }
    let total = sum_counts(sums.values().copied());
    let mut names: Vec<_> = sums.into_iter().collect();
    names.sort_by_key(|(_, count)| Reverse(*count));
    let others = sum_counts(names.iter().skip(LISTED).map(|(_, count)| *count));
    let shown = items(names.into_iter().take(LISTED).chain([("others", others)]));
    (total > 0).then(|| item("errors", total) + &in_brackets(&shown))
}

pub(super) const fn reasons(refused: &Refused) -> [(&'static str, u64); 5] {
    [
        ("send buffer full", refused.would_block),
        ("no buffers", refused.no_buffers),
        ("unreachable", refused.unreachable),
        ("too big", refused.too_big),
        ("other", refused.other),
    ]
}

/// Lost datagrams by place; estimates are marked.
fn places(report: &Report) -> Vec<String> {
    let counts = report
        .cells
        .iter()
        .map(|cell| cell.ledger.lost_at.places().map(|(place, count)| (place, count.unwrap_or(0))));
    let show = |(place, count)| {
        let name = match place {
            "tx_device" => "sender's device".to_owned(),
            "rx_ip" => "receiver's IP layer".to_owned(),
            "tx_ip" => "sender's IP layer".to_owned(),
            "neighbour" => "unresolved next hop".to_owned(),
            "xdp_ring" => "ring of AF_XDP".to_owned(),
            place => place.replace('_', " "),
        };
        let mut estimated = report.cells.iter().flat_map(|cell| cell.ledger.estimated.iter());
        let is_estimated = estimated.any(|places| places.iter().any(|one| one == place));
        let about = if is_estimated { "~" } else { "" };
        no_break(&format!("{name} {about}{}", grouped(count)))
    };
    add_up(counts).into_iter().filter(|(_, count)| *count > 0).map(show).collect()
}

fn in_brackets(parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Losses in no counter. Within one host they are a bug; between two hosts they are the loss of the
/// network.
fn unaccounted(report: &Report, count: u64, styler: Styler) -> String {
    let path = report.cells.iter().find(|cell| is_path(cell));
    let place = match path.map(|cell| cell.ends.as_deref()) {
        None => "",
        Some(Some("apart")) => " (the path)",
        Some(_) => " (the network)",
    };
    let known = item(&format!("unaccounted{place}"), count);
    match count {
        0 => styler.paint(Color::Good, &known),
        _ if path.is_some() => styler.paint(Color::Warning, &known),
        // Visible without colour, too.
        _ => styler.paint(Color::Bad, &format!("{known}{NBSP}(!)")),
    }
}
