//! The face of a bound receiver.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::Style;
use super::ink::grouped as count;
use crate::report::document::{SinkDocument, SinkOthers};
use crate::unit::{show_bytes, show_nanos, show_pps};

/// Sources that are listed; the document has all. Arbitrary: what fits on a screen.
const LISTED: usize = 20;

/// What a sink served and counted, for people.
#[must_use]
pub fn sink(document: &SinkDocument, style: Style) -> String {
    let mut out = String::new();
    let elapsed = show_nanos(document.elapsed_ns);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "udperf {} · sink · {elapsed}", document.tool.version);
    if !document.clients.is_empty() {
        let mut table = table(style, &["client", "cells", "received", "sent", "left"]);
        for client in &document.clients {
            table.add_row([
                client.from.clone(),
                count(client.cells),
                count(client.received),
                count(client.sent),
                client.why.clone(),
            ]);
        }
        align(&mut table, 1..4);
        let _ = writeln!(out, "\n{table}");
    }
    others(&mut out, &document.others, document.elapsed_ns, style);
    out
}

fn others(out: &mut String, others: &SinkOthers, elapsed_ns: u64, style: Style) {
    let (datagrams, bytes) = (count(others.datagrams), show_bytes(others.bytes));
    let rate = show_pps(others.datagrams as f64 * 1e9 / elapsed_ns.max(1) as f64);
    let _ = writeln!(out, "\nof no client  {datagrams} datagrams, {bytes}, {rate} on average");
    if others.datagrams == 0 {
        return;
    }
    let sizes = others.sizes.iter().enumerate().filter(|(_, datagrams)| **datagrams > 0);
    let sizes: Vec<_> = sizes
        .map(|(class, datagrams)| format!("≤{} {}", 1_u64 << class, count(*datagrams)))
        .collect();
    let _ = writeln!(out, "sizes         {} (bytes)", sizes.join(" · "));
    let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), show_nanos);
    let _ = writeln!(
        out,
        "gaps          p50 {} · p99 {} · longest {}",
        known(others.gap_p50_ns),
        known(others.gap_p99_ns),
        known(others.gap_max_ns)
    );
    let mut table = table(style, &["source", "datagrams", "bytes", "sizes", "longest gap"]);
    for source in others.sources.iter().take(LISTED) {
        table.add_row([
            source.from.clone(),
            count(source.datagrams),
            count(source.bytes),
            match source.size_min == source.size_max {
                true => source.size_min.to_string(),
                false => format!("{}–{}", source.size_min, source.size_max),
            },
            show_nanos(source.gap_max_ns),
        ]);
    }
    align(&mut table, 1..5);
    let _ = writeln!(out, "\n{table}");
    let more = others.sources.len().saturating_sub(LISTED);
    if more > 0 || others.of_other_sources > 0 {
        let beyond = count(others.of_other_sources);
        let _ = writeln!(out, "and {more} more sources, and {beyond} datagrams of others");
    }
}

fn table(style: Style, head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head);
    table.set_width(style.width.try_into().unwrap_or(u16::MAX));
    table
}

fn align(table: &mut Table, columns: std::ops::Range<usize>) {
    for at in columns {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
