//! Requests and replies as text.

use super::style::{Color, GLUE, Styler, distinct, glue, grouped, wrap};
use crate::document::{Cell, Exchange, Report};
use crate::report::checks::validity::missed_share;
use crate::report::checks::warnings::server_drops;
use crate::unit::sum_counts;

pub(super) fn asks(report: &Report) -> bool {
    report.cells.iter().any(|cell| cell.exchange.is_some())
}

fn hears(cell: &Cell) -> bool {
    cell.rx.is_some()
}

/// All requests and replies of the run by outcome.
pub(super) fn ledger(report: &Report, styler: Styler) -> String {
    let cells = || report.cells.iter().filter(|cell| !cell.calibration);
    let all: Vec<_> = cells().filter_map(|cell| cell.exchange.as_ref()).collect();
    let sum = |of: fn(&Exchange) -> u64| sum_counts(all.iter().map(|one| of(one)));
    let item = |name: &str, count: u64| glue(&format!("{name} {}", grouped(count)));
    let refused = |cell: &Cell| {
        let ledger = &cell.ledger;
        ledger.attempted - ledger.sent.min(ledger.attempted)
    };
    let refused = item("refused", sum_counts(cells().map(refused)));
    let requests = item("requests", sum(|exchange| exchange.requests));
    if !report.cells.iter().any(hears) {
        return format!("{requests} (no reply is expected){GLUE}· {refused}");
    }
    let timeouts = sum(|exchange| exchange.timeouts);
    let color = if timeouts == 0 { Color::Good } else { Color::Warning };
    let mut items = vec![
        format!(
            "{requests} = {} + {}",
            item("answered", sum(|exchange| exchange.matched)),
            styler.paint(color, &item("timeouts", timeouts))
        ),
        refused,
    ];
    for (name, count) in [
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
    ] {
        if count > 0 {
            items.push(item(name, count));
        }
    }
    items.join(&format!("{GLUE}· "))
}

/// The account of the file of requests, if parts of it were not sent.
pub(super) fn input(report: &Report) -> Option<String> {
    let input = report.input.as_ref().filter(|input| input.used < input.records)?;
    let what = match &input.link_types[..] {
        [] => input.format.clone(),
        types => {
            let more = match input.more_link_types {
                0 => String::new(),
                count => format!(", and {} more", grouped(count)),
            };
            format!("{} of link type {}{more}", input.format, types.join(", "))
        }
    };
    let left_out = input.left_out.iter();
    let left_out: Vec<_> =
        left_out.map(|(cause, count)| glue(&format!("{cause} {}", grouped(*count)))).collect();
    let (used, records) = (grouped(input.used), grouped(input.records));
    let of = if input.format == "names" { "lines" } else { "packets" };
    Some(format!("{what}: {used} of {records} {of} are sent; left out: {}", left_out.join(", ")))
}

/// Warnings that the generator was the limit, not the server.
const GENERATOR: [&str; 4] =
    ["generator_dropped", "generator_limit", "behind_schedule", "refused_would_block"];

/// A line for cells where the generator was the limit, and the figures are not the server's.
pub(super) fn generator(report: &Report, styler: Styler, width: usize) -> Option<String> {
    let is_limit = |cell: &&Cell| {
        let exceeds = missed_share(cell).is_some_and(|share| share > report.max_missed);
        let missed = exceeds
            && cell.schedule.as_ref().is_some_and(|schedule| {
                // What is missing on the other side is more.
                schedule.missed > cell.exchange.as_ref().map_or(0, |asked| asked.timeouts)
            });
        // A server whose own buffer overflowed was a limit, too.
        cell.exchange.is_some()
            && server_drops(cell) == 0
            && cell.warnings.iter().any(|warning| match warning.code.as_str() {
                "behind_schedule" => missed,
                code => GENERATOR.contains(&code),
            })
    };
    let limited = distinct(report.cells.iter().filter(is_limit).map(|cell| cell.id.as_str()));
    if limited.is_empty() {
        return None;
    }
    let text = format!(
        "The generator was the limit, not the server, in {}: see below why. What it did not ask is \
         not in these figures.",
        limited.join(", ")
    );
    Some(styler.paint_lines(Color::Warning, wrap(&text, width, 2)).join("\n"))
}

/// How requests and replies were paired, for the lines above the table.
pub(super) fn settings(report: &Report) -> Vec<String> {
    let asking = &report.scenario["asking"];
    let word = |name: &str| asking[name].as_str().filter(|word| !word.is_empty());
    let mut items = Vec::new();
    items.extend(word("requests").map(str::to_owned));
    items.extend(word("replies").map(|replies| format!("matched by {replies}")));
    if let Some(exchange) = report.cells.iter().find_map(|cell| cell.exchange.as_ref()) {
        items.push(match exchange.outstanding {
            Some(most) => format!("closed loop, {} outstanding", grouped(most)),
            None => "open loop".to_owned(),
        });
        let timeout = crate::unit::show_nanos(exchange.timeout_ns);
        items.push(format!("timeout {timeout}"));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::InputSummary;
    use crate::report::fixture::{default_run, warning};

    #[test]
    fn missing_up_to_max_missed_is_no_generator_limit() {
        let mut report = default_run();
        report.cells.truncate(2);
        let cell = &mut report.cells[1];
        cell.exchange = Some(Exchange::default());
        cell.warnings.push(warning("behind_schedule", "x"));
        let schedule = cell.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (1_000, 50);
        for (max_missed, is_shown) in [(0.01, true), (0.049, true), (0.05, false), (1.0, false)] {
            report.max_missed = max_missed;
            let shown = generator(&report, Styler { color: false }, 80);
            assert_eq!(shown.is_some(), is_shown, "{max_missed}");
        }
    }

    #[test]
    fn records_left_out_of_a_file_are_shown() {
        let mut report = default_run();
        assert_eq!(input(&report), None);
        let whole = InputSummary { records: 3, used: 3, ..InputSummary::default() };
        report.input = Some(whole.clone());
        assert_eq!(input(&report), None);
        let left_out = [("fragment".to_owned(), 1), ("not_udp".to_owned(), 1)].into();
        let (format, link_types) = ("pcap".to_owned(), vec!["PPP".to_owned()]);
        report.input = Some(InputSummary { format, link_types, used: 1, left_out, ..whole });
        let shown = input(&report).unwrap().replace(GLUE, " ");
        let expected =
            "pcap of link type PPP: 1 of 3 packets are sent; left out: fragment 1, not_udp 1";
        assert_eq!(shown, expected);
    }
}
