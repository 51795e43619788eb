//! The text of an echo server's and of a sink's document.

use super::ledger::reasons;
use super::style::{
    MIN_WIDTH, NBSP, Style, UNKNOWN, add_up, align_within, counted, grouped as count, items,
    percent, wrap,
};
use super::table::{Grid, Title};
use super::{labels, plain, warnings};
use crate::document::{
    EchoDocument, SinkClient, SinkDocument, SinkListener, SinkSequences, SinkSource, Warning,
};
use crate::unit::{show_bytes, show_nanos, show_pps, sum_counts};

/// Maximum number of listed sources; the document has all. Arbitrary: they fit on a screen.
const MAX_SOURCES: usize = 20;

/// Columns of tables that a narrow terminal omits, the least useful first.
const OPTIONAL: [&str; 8] =
    ["longest gap", "bytes", "cells", "reordered", "duplicate", "sizes", "sent", "left"];

/// Width of the labels of lines: that of the longest label, and a gap.
const LABEL: usize = 14;

/// The content of a server's text without its layout, for formats that lay it out themselves.
pub(in crate::report) struct ServerOutline<'a> {
    /// What became of the datagrams, in a line.
    pub(in crate::report) verdict: String,
    /// Whether datagrams arrived, and none was lost or stayed unanswered.
    pub(in crate::report) is_complete: bool,
    pub(in crate::report) title: String,
    pub(in crate::report) labels: Option<String>,
    pub(in crate::report) sections: Vec<Section>,
    pub(in crate::report) warnings: &'a [Warning],
}

/// A table, or labelled lines, or both.
#[derive(Default)]
pub(in crate::report) struct Section {
    pub(in crate::report) grid: Option<Grid>,
    /// Label and text.
    pub(in crate::report) lines: Vec<(String, String)>,
    /// About the table.
    pub(in crate::report) notes: Vec<String>,
}

impl Section {
    fn add(&mut self, name: &str, text: &str) {
        self.lines.push((name.to_owned(), text.replace(NBSP, " ")));
    }

    fn add_count(&mut self, name: &str, many: u64, text: &str) {
        if many > 0 {
            self.add(name, &format!("{} {text}", count(many)));
        }
    }

    fn add_items(&mut self, name: &str, items: &[String]) {
        if !items.is_empty() {
            self.add(name, &items.join(" · "));
        }
    }

    fn draw(&self, width: usize) -> String {
        let mut lines = Vec::new();
        if let Some(Grid { columns, rows }) = &self.grid {
            let titles = columns.iter().map(|title| title.text.clone()).collect();
            let rows: Vec<_> = std::iter::once(titles).chain(rows.iter().cloned()).collect();
            let column = |name: &&str| columns.iter().position(|title| title.text == *name);
            let optional: Vec<_> = OPTIONAL.iter().filter_map(column).collect();
            let (text, omitted) = align_within(&rows, |at| columns[at].is_left, &optional, width);
            lines.push(text);
            let names: Vec<_> = optional[..omitted].iter().map(|at| &*columns[*at].text).collect();
            let note = format!("omitted to fit {width} columns: {}; see -J", names.join(", "));
            lines.extend((omitted > 0).then(|| wrap(&note, width, 2)).into_iter().flatten());
        }
        for (name, text) in &self.lines {
            let text = wrap(text, width.saturating_sub(LABEL), 0);
            let text = text.join(&format!("\n{:LABEL$}", ""));
            lines.push(format!("{:<LABEL$}{text}", name.as_str()));
        }
        lines.extend(self.notes.iter().flat_map(|note| wrap(note, width, 2)));
        lines.join("\n") + "\n"
    }
}

fn draw(outline: &ServerOutline<'_>, style: Style) -> String {
    let style = Style { width: style.width.max(MIN_WIDTH), ..style };
    let head = [&outline.title].into_iter().chain(&outline.labels);
    let head: Vec<_> = head.flat_map(|line| wrap(line, style.width, 2)).collect();
    let mut parts = vec![head.join("\n") + "\n"];
    parts.extend(outline.sections.iter().map(|section| section.draw(style.width)));
    parts.extend(warnings::of_run(outline.warnings, style).map(|text| text + "\n"));
    parts.join("\n")
}

fn known(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), show_nanos)
}

fn amount(datagrams: u64, bytes: u64) -> String {
    format!("{} datagrams, {}", count(datagrams), show_bytes(bytes))
}

pub(crate) fn echo(document: &EchoDocument, style: Style) -> String {
    draw(&echo_outline(document), style)
}

pub(in crate::report) fn echo_outline(document: &EchoDocument) -> ServerOutline<'_> {
    let threads = match document.threads {
        0 | 1 => String::new(),
        threads => format!(" · {threads} threads"),
    };
    let (version, engine) = (&document.head.tool.version, &document.engine);
    let elapsed = show_nanos(document.elapsed_ns);
    let verdict = match (document.received, document.returned) {
        (0, _) => "no datagram arrived".to_owned(),
        (all, returned) if all == returned => format!("all {} datagrams returned", count(all)),
        (all, returned) => format!("{} of {} datagrams returned", count(returned), count(all)),
    };
    ServerOutline {
        verdict,
        is_complete: document.received > 0 && document.returned == document.received,
        title: format!("udperf {version} · echo · {engine}{threads} · {elapsed}"),
        labels: labels(&document.head.labels).map(plain),
        sections: vec![echo_lines(document)],
        warnings: &[],
    }
}

fn echo_lines(document: &EchoDocument) -> Section {
    let mut lines = Section::default();
    lines.add("received", &amount(document.received, document.received_bytes));
    let rate = match (document.pps, document.active_ns) {
        (Some(pps), Some(ns)) => format!(", {} over {}", show_pps(pps), show_nanos(ns)),
        _ => String::new(),
    };
    lines.add("returned", &(amount(document.returned, document.returned_bytes) + &rate));
    let drop = document.drop.as_deref().unwrap_or_default();
    lines.add_count("dropped", document.dropped, &format!("by --drop {drop}"));
    let reasons = items(reasons(&document.refused)).join(" · ");
    lines.add_count("refused", refused(document), &format!("by the system: {reasons}"));
    for (name, many, text) in [
        ("unanswered", document.unanswered, "whose sender might answer the reply"),
        ("overflow", document.overflow, "beyond the size of the delay queue"),
        ("waiting", document.waiting, "in the delay queue at the end"),
        ("truncated", document.truncated, "longer than the receive buffer"),
        ("unreachable", document.told_unreachable, "ICMP errors for replies"),
        ("split", document.cut, "super-packets refused, sent as single datagrams"),
        ("errors", document.errors, "failed receive calls"),
        ("socket drops", document.socket_drops.unwrap_or(0), "at full receive buffers"),
    ] {
        lines.add_count(name, many, text);
    }
    if document.received > 0 {
        let least = if document.more_clients { "at least " } else { "" };
        lines.add("clients", &format!("{least}{}", count(document.clients)));
    }
    if document.threads > 1 {
        let each: Vec<_> = document.by_worker.iter().map(|&many| count(many)).collect();
        lines.add_items("by thread", &each);
    }
    if document.received > 0 {
        lines.add_items("cost", &cost(document));
    }
    if let (Some(delay), Some(late)) = (document.delay_ns, &document.lateness) {
        let [p50, p99, max] = [late.p50_ns, late.p99_ns, late.max_ns].map(known);
        let delay = show_nanos(delay);
        lines.add("delay", &format!("{delay} · late by p50 {p50} · p99 {p99} · max {max}"));
    }
    lines
}

/// Replies that the system refused.
pub(in crate::report) fn refused(document: &EchoDocument) -> u64 {
    sum_counts(reasons(&document.refused).map(|(_, many)| many))
}

fn cost(document: &EchoDocument) -> Vec<String> {
    let received = document.received as f64;
    // Calls that found the queue empty are not a cost of a datagram.
    let calls = document.syscalls.saturating_sub(document.empty_calls) as f64;
    let mut parts = vec![format!("{:.2} system calls per datagram", calls / received)];
    if document.packets < document.received && document.packets > 0 {
        let each = received / document.packets as f64;
        parts.push(format!("{each:.1} datagrams per super-packet"));
    }
    parts.extend(document.cpu_ns.map(|cpu_ns| format!("{} CPU time", show_nanos(cpu_ns))));
    parts
}

pub(crate) fn sink(document: &SinkDocument, style: Style) -> String {
    draw(&sink_outline(document), style)
}

pub(in crate::report) fn sink_outline(document: &SinkDocument) -> ServerOutline<'_> {
    let (version, elapsed) = (&document.head.tool.version, show_nanos(document.elapsed_ns));
    let mut sections = Vec::new();
    if !document.clients.is_empty() {
        sections.push(clients(&document.clients));
    }
    sections.push(unsolicited(document));
    if document.others.datagrams > 0 {
        sections.push(sources(document));
    }
    let (received, lost) = received_and_lost(document);
    ServerOutline {
        verdict: sink_verdict(document),
        is_complete: (received > 0 || document.others.datagrams > 0)
            && lost == Some(0)
            && document.warnings.is_empty(),
        title: format!("udperf {version} · sink · {elapsed}"),
        labels: labels(&document.head.labels).map(plain),
        sections,
        warnings: &document.warnings,
    }
}

/// Datagrams of clients; losses are `None` if those of one are unknown.
fn received_and_lost(document: &SinkDocument) -> (u64, Option<u64>) {
    let clients = &document.clients;
    let lost: Option<Vec<_>> = clients.iter().map(|client| client.lost).collect();
    (sum_counts(clients.iter().map(|client| client.received)), lost.map(sum_counts))
}

fn sink_verdict(document: &SinkDocument) -> String {
    let (received, lost) = received_and_lost(document);
    let mut parts = Vec::new();
    if received > 0 || lost != Some(0) {
        let share = |lost| percent(lost as f64 / (received as f64 + lost as f64));
        let lost = lost.map_or_else(
            || "losses unknown".to_owned(),
            |lost| format!("{} lost ({})", count(lost), share(lost)),
        );
        let (of, received) = (counted(document.clients.len() as u64, "client"), count(received));
        parts.push(format!("{received} datagrams of {of}, {lost}"));
    }
    if document.others.datagrams > 0 {
        parts.push(format!("{} unsolicited datagrams", count(document.others.datagrams)));
    }
    if parts.is_empty() { "no datagram arrived".to_owned() } else { parts.join("; ") }
}

type SinkColumn<T> = (&'static str, fn(&T) -> String);

fn grid<T>(columns: &[SinkColumn<T>], is_left: impl Fn(usize) -> bool, all: &[T]) -> Grid {
    let title = |(at, (title, _)): (usize, &SinkColumn<T>)| Title::new(title, is_left(at));
    Grid {
        columns: columns.iter().enumerate().map(title).collect(),
        rows: all.iter().map(|one| columns.iter().map(|(_, cell)| cell(one)).collect()).collect(),
    }
}

fn clients(clients: &[SinkClient]) -> Section {
    let columns: [SinkColumn<SinkClient>; 7] = [
        ("client", |client| client.from.clone()),
        ("cells", |client| count(client.cells)),
        ("received", |client| count(client.received)),
        ("bytes", |client| show_bytes(client.bytes)),
        ("lost", |client| client.lost.map_or_else(|| UNKNOWN.to_owned(), count)),
        ("sent", |client| count(client.sent)),
        ("left", |client| client.why.clone()),
    ];
    let grid = Some(grid(&columns, |at| !(1..6).contains(&at), clients));
    let mut section = Section { grid, ..Section::default() };
    let outcomes = add_up(clients.iter().map(|client| {
        [
            ("duplicate", client.duplicate),
            ("late", client.late),
            ("foreign", client.foreign),
            ("corrupt", client.corrupt),
        ]
    }));
    section.add_items("of clients", &items(outcomes));
    section
}

/// The sizes that a class of unsolicited datagrams has: `≤64`.
pub(in crate::report) fn size_class(class: usize) -> String {
    let most = u32::try_from(class).ok().and_then(|bits| 1_u64.checked_shl(bits));
    most.map_or_else(|| "larger".to_owned(), |bytes| format!("≤{bytes}"))
}

/// Datagrams outside sessions, and what was dropped.
fn unsolicited(document: &SinkDocument) -> Section {
    let SinkDocument { others, listeners, elapsed_ns, stray_control, .. } = document;
    let mut lines = Section::default();
    let rate = show_pps(others.datagrams as f64 * 1e9 / (*elapsed_ns).max(1) as f64);
    let amount = amount(others.datagrams, others.bytes);
    lines.add("unsolicited", &format!("{amount}, {rate} on average"));
    let counts = |one: &SinkListener| one.socket_drops.is_some() || one.at.starts_with("unix:");
    if listeners.iter().all(counts) {
        let dropped = sum_counts(listeners.iter().filter_map(|one| one.socket_drops));
        lines.add_count("dropped", dropped, "datagrams at full receive buffers");
    } else {
        lines.add("dropped", "unknown: the system does not count drops at full receive buffers");
    }
    lines.add_count("stray", *stray_control, "control messages outside sessions");
    if others.datagrams == 0 {
        return lines;
    }
    let sizes = others.sizes.iter().enumerate().filter(|(_, datagrams)| **datagrams > 0);
    let sizes =
        sizes.map(|(class, datagrams)| format!("{} {}", size_class(class), count(*datagrams)));
    lines.add("sizes", &format!("{} (bytes)", sizes.collect::<Vec<_>>().join(" · ")));
    let is_shared = listeners.len() > 1;
    let of = if is_shared { "at each listener " } else { "" };
    let gaps = [others.gap_mean_ns, others.gap_p50_ns, others.gap_p99_ns, others.gap_max_ns];
    let [mean, p50, p99, max] = gaps.map(known);
    lines.add("gaps", &format!("mean {mean} · {of}p50 {p50} · p99 {p99} · longest {max}"));
    if is_shared {
        let each: Vec<_> = listeners.iter().map(|one| count(one.datagrams)).collect();
        lines.add_items("by listener", &each);
    }
    lines
}

/// The sources with most datagrams, with sequence numbers if they have them.
fn sources(document: &SinkDocument) -> Section {
    fn counted(source: &SinkSource, of: fn(&SinkSequences) -> u64) -> String {
        source.sequences.as_ref().map_or_else(|| "-".to_owned(), |one| count(of(one)))
    }
    let columns: [SinkColumn<SinkSource>; 10] = [
        ("source", |source| source.from.clone()),
        ("group", |source| source.group.clone().unwrap_or_else(|| "-".to_owned())),
        ("datagrams", |source| count(source.datagrams)),
        ("bytes", |source| count(source.bytes)),
        ("sizes", |source| match (source.size_min, source.size_max) {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}–{most}"),
        }),
        ("longest gap", |source| show_nanos(source.gap_max_ns)),
        ("unique", |source| counted(source, |one| one.unique)),
        ("lost", |source| counted(source, |one| one.lost)),
        ("duplicate", |source| counted(source, |one| one.duplicate)),
        ("reordered", |source| counted(source, |one| one.reordered)),
    ];
    let all = &document.others.sources;
    let listed = &all[..all.len().min(MAX_SOURCES)];
    let is_numbered = listed.iter().any(|source| source.sequences.is_some());
    let has_groups = listed.iter().any(|source| source.group.is_some());
    let numbers = ["unique", "lost", "duplicate", "reordered"];
    let is_shown = |name: &str| match name {
        "group" => has_groups,
        name => is_numbered || !numbers.contains(&name),
    };
    let columns: Vec<_> = columns.into_iter().filter(|(name, _)| is_shown(name)).collect();
    let left = if has_groups { 2 } else { 1 };
    let mut notes = Vec::new();
    if is_numbered {
        let note = "lost counts sequence numbers below the highest one that arrived; later losses \
                    are not counted";
        notes.push(note.to_owned());
    }
    let more = all.len() - listed.len();
    let of_others = document.others.of_other_sources;
    if more > 0 || of_others > 0 {
        let of_others = count(of_others);
        notes.push(format!("and {more} more sources, and {of_others} datagrams of others"));
    }
    Section { grid: Some(grid(&columns, |at| at < left, listed)), notes, ..Section::default() }
}
