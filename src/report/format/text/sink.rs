//! The text of a sink document.

use super::style::{align, grouped as count};
use std::fmt::Write as _;

use super::{NARROWEST, Style, warnings};
use crate::document::{SinkClient, SinkDocument, SinkListener, SinkSource};
use crate::unit::{show_bytes, show_nanos, show_pps, sum_counts};

/// Maximum number of listed sources; the document has all. Arbitrary: they fit on a screen.
const LISTED: usize = 20;

/// The clients and counters of a sink, for people.
#[must_use]
pub fn sink(document: &SinkDocument, style: Style) -> String {
    let mut out = String::new();
    let elapsed = show_nanos(document.elapsed_ns);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "udperf {} · sink · {elapsed}", document.head.tool.version);
    if !document.clients.is_empty() {
        let titles = ["client", "cells", "received", "bytes", "lost", "sent", "left"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(document.clients.iter().map(|client| {
            vec![
                client.from.clone(),
                count(client.cells),
                count(client.received),
                show_bytes(client.bytes),
                count(client.lost),
                count(client.sent),
                client.why.clone(),
            ]
        }));
        let _ = writeln!(out, "\n{}", align(&rows, |at| !(1..6).contains(&at)));
        odd(&mut out, &document.clients);
    }
    others(&mut out, document);
    let style = Style { width: style.width.max(NARROWEST), ..style };
    if let Some(shown) = warnings::of_run(&document.warnings, style) {
        let _ = writeln!(out, "\n{shown}");
    }
    out
}

/// Lost, repeated and other datagrams of clients, if any.
fn odd(out: &mut String, clients: &[SinkClient]) {
    let sum = |of: fn(&SinkClient) -> u64| sum_counts(clients.iter().map(of));
    let outcomes = [
        ("duplicate", sum(|one| one.duplicate)),
        ("late", sum(|one| one.late)),
        ("foreign", sum(|one| one.foreign)),
        ("corrupt", sum(|one| one.corrupt)),
    ];
    let counts = outcomes.iter().filter(|(_, many)| *many > 0);
    let counts: Vec<_> = counts.map(|(name, many)| format!("{name} {}", count(*many))).collect();
    if !counts.is_empty() {
        let _ = writeln!(out, "of clients    {}", counts.join(" · "));
    }
}

fn others(out: &mut String, document: &SinkDocument) {
    let SinkDocument { others, listeners, elapsed_ns, stray_control, .. } = document;
    let (datagrams, bytes) = (count(others.datagrams), show_bytes(others.bytes));
    let rate = show_pps(others.datagrams as f64 * 1e9 / (*elapsed_ns).max(1) as f64);
    let _ = writeln!(out, "\nunsolicited   {datagrams} datagrams, {bytes}, {rate} on average");
    if let Some(dropped) = dropped(listeners) {
        let _ = writeln!(out, "dropped       {dropped}");
    }
    if *stray_control > 0 {
        let stray = count(*stray_control);
        let _ = writeln!(out, "stray         {stray} control messages outside sessions");
    }
    if others.datagrams == 0 {
        return;
    }
    let sizes = others.sizes.iter().enumerate().filter(|(_, datagrams)| **datagrams > 0);
    let most = |class: usize| u32::try_from(class).ok().and_then(|bits| 1_u64.checked_shl(bits));
    let sizes: Vec<_> = sizes
        .map(|(class, datagrams)| match most(class) {
            Some(bytes) => format!("≤{bytes} {}", count(*datagrams)),
            None => format!("larger {}", count(*datagrams)),
        })
        .collect();
    let _ = writeln!(out, "sizes         {} (bytes)", sizes.join(" · "));
    let shares = listeners.len() > 1;
    let of = if shares { "at each listener " } else { "" };
    let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), show_nanos);
    let _ = writeln!(
        out,
        "gaps          mean {} · {of}p50 {} · p99 {} · longest {}",
        known(others.gap_mean_ns),
        known(others.gap_p50_ns),
        known(others.gap_p99_ns),
        known(others.gap_max_ns)
    );
    if shares {
        let each: Vec<_> = listeners.iter().map(|one| count(one.datagrams)).collect();
        let _ = writeln!(out, "by listener   {}", each.join(" · "));
    }
    sources(out, &others.sources);
    let more = others.sources.len().saturating_sub(LISTED);
    if more > 0 || others.of_other_sources > 0 {
        let beyond = count(others.of_other_sources);
        let _ = writeln!(out, "and {more} more sources, and {beyond} datagrams of others");
    }
}

/// The sources with most datagrams, with sequence numbers if they have them.
fn sources(out: &mut String, sources: &[SinkSource]) {
    let listed = &sources[..sources.len().min(LISTED)];
    let mut head = vec!["source", "datagrams", "bytes", "sizes", "longest gap"];
    let numbered = listed.iter().any(|source| source.sequences.is_some());
    if numbered {
        head.extend(["unique", "lost", "duplicate"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for source in listed {
        let mut row = vec![
            source.from.clone(),
            count(source.datagrams),
            count(source.bytes),
            match source.size_min == source.size_max {
                true => source.size_min.to_string(),
                false => format!("{}–{}", source.size_min, source.size_max),
            },
            show_nanos(source.gap_max_ns),
        ];
        if numbered {
            let counts = source.sequences.map(|one| [one.unique, one.lost, one.duplicate]);
            row.extend(counts.map_or_else(|| ["-"; 3].map(str::to_owned), |all| all.map(count)));
        }
        rows.push(row);
    }
    let _ = writeln!(out, "\n{}", align(&rows, |at| at == 0));
    if numbered {
        let what = "lost counts sequence numbers below the highest one that arrived";
        let _ = writeln!(out, "{what}; later losses are not counted");
    }
}

/// Datagrams dropped at the listeners' full receive buffers; `None` if 0.
fn dropped(listeners: &[SinkListener]) -> Option<String> {
    let counts = |one: &SinkListener| one.socket_drops.is_some() || one.at.starts_with("unix:");
    if !listeners.iter().all(counts) {
        return Some("unknown: the system does not count drops at full receive buffers".into());
    }
    let sum = sum_counts(listeners.iter().filter_map(|one| one.socket_drops));
    (sum > 0).then(|| format!("{} datagrams at full receive buffers", count(sum)))
}
