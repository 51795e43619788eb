//! Requests and replies as text.

use super::rows::{is_send_only, measured};
use super::style::{Color, Styler, distinct, grouped, item, items, join_dotted};
use crate::document::{Cell, Exchange, Report};
use crate::report::checks::validity::missed_share;
use crate::report::checks::warnings::server_drops;
use crate::unit::{show_nanos, sum_counts};

pub(super) fn ledger(report: &Report, styler: Styler) -> String {
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
        ("dropped by us", sum(|exchange| exchange.own_drops.unwrap_or(0))),
        ("errors", sum(|exchange| sum_counts(exchange.errors.values().copied()))),
    ]));
    join_dotted(&all)
}

/// The records of the file of requests, if parts of it were not sent.
pub(super) fn input(report: &Report) -> Option<String> {
    let input = report.input.as_ref().filter(|input| input.used < input.records)?;
    let more = match input.more_link_types {
        0 => String::new(),
        count => format!(", and {} more", grouped(count)),
    };
    let types = match &input.link_types[..] {
        [] => String::new(),
        types => format!(" of link type {}{more}", types.join(", ")),
    };
    let left_out = input.left_out.iter().map(|(cause, count)| item(cause, *count));
    let what = if input.format == "names" { "lines" } else { "packets" };
    Some(format!(
        "{}{types}: {} of {} {what} are sent; left out: {}",
        input.format,
        grouped(input.used),
        grouped(input.records),
        left_out.collect::<Vec<_>>().join(", ")
    ))
}

/// Warnings that the generator was the limit, not the server.
const GENERATOR: [&str; 4] =
    ["generator_dropped", "generator_limit", "behind_schedule", "refused_would_block"];

/// The cells where the generator was the limit, so that the figures are not the server's.
pub(super) fn generator(report: &Report) -> Option<String> {
    let is_limit = |cell: &&Cell| {
        let Some(exchange) = &cell.exchange else { return false };
        let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
        // With more timeouts than missed slots, the other side was the greater limit.
        let is_behind = missed > exchange.timeouts
            && missed_share(cell).is_some_and(|share| share > report.max_missed);
        // A server whose own buffer overflowed was a limit, too.
        server_drops(cell) == 0
            && cell.warnings.iter().any(|warning| match warning.code.as_str() {
                "behind_schedule" => is_behind,
                code => GENERATOR.contains(&code),
            })
    };
    let limited = distinct(report.cells.iter().filter(is_limit).map(|cell| cell.id.as_str()));
    (!limited.is_empty()).then(|| {
        format!(
            "The generator was the limit, not the server, in {}; see the warnings. These figures \
             do not include requests that it did not send.",
            limited.join(", ")
        )
    })
}

/// How requests and replies are matched, for the lines above the table.
pub(super) fn settings(report: &Report) -> Vec<String> {
    let options = &report.scenario["asking"];
    let word = |name: &str| options[name].as_str().filter(|word| !word.is_empty());
    let mut items: Vec<_> = word("requests").map(str::to_owned).into_iter().collect();
    items.extend(word("replies").map(|replies| format!("matched by {replies}")));
    if let Some(exchange) = report.cells.iter().find_map(|cell| cell.exchange.as_ref()) {
        items.push(match exchange.outstanding {
            Some(most) => format!("closed loop, {} outstanding", grouped(most)),
            None => "open loop".to_owned(),
        });
        items.push(format!("timeout {}", show_nanos(exchange.timeout_ns)));
    }
    items
}
