//! The text of an echo document.

use super::style::grouped as count;
use std::fmt::Write as _;

use super::Style;
use crate::document::EchoDocument;
use crate::unit::{show_bytes, show_nanos, show_pps, sum_counts};

/// The counters of an echo server as text.
#[must_use]
pub fn echo(document: &EchoDocument, _style: Style) -> String {
    let mut out = String::new();
    let elapsed = show_nanos(document.elapsed_ns);
    let threads = match document.threads {
        0 | 1 => String::new(),
        threads => format!(" · {threads} threads"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "udperf {} · echo · {}{threads} · {elapsed}\n",
        document.head.tool.version, document.engine
    );
    for (name, what) in lines(document) {
        let _ = writeln!(out, "{name:<13} {what}");
    }
    out
}

fn lines(document: &EchoDocument) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("received", amount(document.received, document.received_bytes)),
        ("returned", returned(document)),
    ];
    let mut add = |name, many: u64, what: &str| {
        if many > 0 {
            lines.push((name, format!("{}{what}", count(many))));
        }
    };
    let drop = document.drop.as_deref().unwrap_or_default();
    add("dropped", document.dropped, &format!(" by --drop {drop}"));
    let refused = &document.refused;
    let reasons = [
        ("send buffer full", refused.would_block),
        ("no buffers", refused.no_buffers),
        ("unreachable", refused.unreachable),
        ("too big", refused.too_big),
        ("other", refused.other),
    ];
    let all = sum_counts(reasons.map(|(_, many)| many));
    let reasons: Vec<_> = reasons.iter().filter(|(_, many)| *many > 0).collect();
    let reasons: Vec<_> =
        reasons.into_iter().map(|(why, many)| format!("{why} {}", count(*many))).collect();
    add("refused", all, &format!(" by the system: {}", reasons.join(" · ")));
    add("unanswered", document.unanswered, " whose sender might answer the reply");
    add("overflow", document.overflow, " beyond the size of the delay queue");
    add("waiting", document.waiting, " in the delay queue at the end");
    add("truncated", document.truncated, " longer than the receive buffer");
    add("unreachable", document.told_unreachable, " ICMP errors for replies");
    add("cut", document.cut, " super-packets refused, sent as single datagrams");
    add("errors", document.errors, " failed receive calls");
    add("socket drops", document.socket_drops.unwrap_or(0), " at full receive buffers");
    if document.received > 0 {
        let least = if document.more_clients { "at least " } else { "" };
        lines.push(("clients", format!("{least}{}", count(document.clients))));
    }
    if document.threads > 1 {
        let each: Vec<_> = document.by_worker.iter().map(|&many| count(many)).collect();
        lines.push(("by thread", each.join(" · ")));
    }
    if document.received > 0 {
        lines.push(("cost", cost(document)));
    }
    if let (Some(delay), Some(late)) = (document.delay_ns, &document.lateness) {
        let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), show_nanos);
        let (p50, p99, max) = (known(late.p50_ns), known(late.p99_ns), known(late.max_ns));
        let delay = show_nanos(delay);
        lines.push(("delay", format!("{delay} · late by p50 {p50} · p99 {p99} · max {max}")));
    }
    lines
}

fn amount(datagrams: u64, bytes: u64) -> String {
    format!("{} datagrams, {}", count(datagrams), show_bytes(bytes))
}

fn returned(document: &EchoDocument) -> String {
    let amount = amount(document.returned, document.returned_bytes);
    match (document.pps, document.active_ns) {
        (Some(pps), Some(ns)) => format!("{amount}, {} over {}", show_pps(pps), show_nanos(ns)),
        _ => amount,
    }
}

fn cost(document: &EchoDocument) -> String {
    let received = document.received as f64;
    // How often it looked in vain is no cost of a datagram.
    let calls = document.syscalls.saturating_sub(document.empty_calls) as f64;
    let mut parts = vec![format!("{:.2} system calls per datagram", calls / received)];
    if document.packets < document.received && document.packets > 0 {
        let each = received / document.packets as f64;
        parts.push(format!("{each:.1} datagrams per super-packet"));
    }
    if let Some(cpu) = document.cpu_ns {
        parts.push(format!("{} CPU time", show_nanos(cpu)));
    }
    parts.join(" · ")
}
