//! Notes on requests: their steps and sources, the file they come from, and their server.

use super::rows::measured;
use super::style::{NBSP, counted, first_few, grouped, item, no_break};
use crate::document::{Cell, InputSummary, Report, SourceCounts};
use crate::unit::{show_bytes, show_nanos, sum_counts};

/// Both steps of exchanges of two requests, in the first cells.
pub(super) fn steps(report: &Report) -> Option<String> {
    let exchanges = measured(report).filter_map(|cell| Some((cell, cell.exchange.as_ref()?)));
    let cells: Vec<_> = exchanges.filter(|(_, exchange)| !exchange.steps.is_empty()).collect();
    let is_one = cells.len() == 1;
    first_few(&cells, "cell", |(cell, exchange)| {
        let steps = exchange.steps.iter().zip(["first", "second"]).map(|(step, name)| {
            let mut text = format!("{name} {}", grouped(step.sent));
            if let Some((answered, timeouts)) = step.answered.zip(step.timeouts) {
                text +=
                    &format!(" = {} + {}", item("answered", answered), item("timeouts", timeouts));
            }
            let refused = (step.refused > 0).then(|| item("refused", step.refused));
            let latency = step.latency.and_then(|leg| leg.p50_ns.zip(leg.p99_ns));
            let latency = latency.map(|(p50_ns, p99_ns)| {
                format!("p50 {}, p99 {}", show_nanos(p50_ns), show_nanos(p99_ns))
            });
            let more = refused.into_iter().chain(latency);
            no_break(&[text].into_iter().chain(more).collect::<Vec<_>>().join(", "))
        });
        let steps = steps.collect::<Vec<_>>().join("; ");
        if is_one { steps } else { format!("{} {steps}", cell.id) }
    })
}

/// What the processes of the server used.
pub(super) fn server(report: &Report) -> Option<String> {
    let cells = measured(report).filter_map(|cell| Some((cell, cell.server?)));
    let cells: Vec<_> = cells.collect();
    first_few(&cells, "cell", |(cell, server)| {
        let whole = |share: f64| format!("{:.0}%", share * 100.0);
        let busiest = server.busiest_share(cell.elapsed_ns).filter(|_| server.threads > 1);
        let busiest = busiest.map(|share| format!("busiest thread {}", whole(share)));
        let processes = (server.processes != 1).then(|| grouped(server.processes));
        let parts = [
            busiest,
            processes.map(|count| count + " processes"),
            Some(counted(server.threads, "thread")),
            server.context_switches.map(|of| {
                let all = sum_counts([of.voluntary, of.involuntary]);
                format!("{} context switches", grouped(all))
            }),
            server.rss_bytes.map(|bytes| format!("RSS {}", show_bytes(bytes))),
            Some(match server.socket_drops {
                Some(drops) => format!("{} dropped at its sockets", grouped(drops)),
                None => "drops unknown".to_owned(),
            }),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().map(|part| no_break(&part)).collect();
        format!("{}{NBSP}{}", cell.id, parts.join(", "))
    })
}

/// The records of the file of requests, if parts of it were not sent.
pub(super) fn input(report: &Report) -> Option<String> {
    let is_partial = |input: &&InputSummary| !input.left_out.is_empty() || input.reassembled > 0;
    let input = report.input.as_ref().filter(is_partial)?;
    let without = sum_counts(input.left_out.values().copied());
    let sent = input.records.saturating_sub(without);
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
    let joined = match input.reassembled {
        0 => String::new(),
        count => {
            let (fragments, datagrams) = (grouped(input.fragments), counted(count, "datagram"));
            format!(", of which {fragments} are fragments of {datagrams}")
        }
    };
    let left_out = left_out.collect::<Vec<_>>().join(", ");
    let left_out = if left_out.is_empty() { left_out } else { format!("; left out: {left_out}") };
    let (sent, records) = (grouped(sent), grouped(input.records));
    Some(format!("{}{types}: {sent} of {records} {what} are sent{joined}{left_out}", input.format))
}

/// The sources that stand out, of the cell with most of them.
pub(super) fn sources(report: &Report) -> Option<String> {
    let standing = |cell: &Cell| cell.sources.iter().filter(|one| one.stands_out).count();
    let cell = measured(report).filter(|cell| !cell.sources.is_empty());
    let cell = cell.max_by_key(|cell| standing(cell))?;
    let all = sum_counts(cell.sources.iter().map(|one| one.sources));
    let worst: Vec<_> = cell.sources.iter().filter(|one| one.stands_out).collect();
    let of = |name: &str, lost: u64, sent: u64| {
        no_break(&format!("{name} {} of {}", grouped(lost), grouped(sent)))
    };
    let show = |row: &&SourceCounts| {
        of(row.address.as_deref().unwrap_or("further"), row.lost.unwrap_or_default(), row.sent)
    };
    let Some(list) = first_few(&worst, "source", show) else {
        let is_known = cell.sources.iter().all(|one| one.lost.is_some());
        let text = if is_known { ", none stands out" } else { "" };
        return Some(grouped(all) + text);
    };
    let others = cell.sources.iter().filter(|one| !one.stands_out);
    let (lost, sent) = others.fold((0_u64, 0_u64), |(lost, sent), one| {
        (lost.saturating_add(one.lost.unwrap_or_default()), sent.saturating_add(one.sent))
    });
    let what = if cell.exchange.is_some() { "unanswered" } else { "lost" };
    Some(format!("{}; {what}: {list}; {}", grouped(all), of("the others", lost, sent)))
}
