//! The pages of a sink and of an echo server.

use super::timeline::{Panel, chart, share};
use super::{Chart, ChartRow, QUIET, Tone, draw_grid, element, notes, page, run, titled, warnings};
use crate::document::{EchoDocument, Head, Interval, ServerInterval, SinkDocument};
use crate::report::format::text::style::grouped;
use crate::report::format::text::{ServerOutline, echo_outline, refused, sink_outline, size_class};
use crate::unit::RateUnit;

/// The most bars of a chart. Arbitrary: as many sources as the table has.
const MOST_BARS: usize = 20;

/// A name, a count of datagrams, and its colour.
type Count = (String, u64, Tone);

pub(in crate::report::format) fn sink(document: &SinkDocument) -> String {
    let clients = document.clients.iter().flat_map(|client| {
        let lost = client.lost.filter(|lost| *lost > 0);
        let lost = lost.map(|lost| (client.from.clone() + " lost", lost, Tone::Bad));
        [(client.from.clone(), client.received, Tone::Plain)].into_iter().chain(lost)
    });
    let others = &document.others;
    let sources = others.sources.iter().flat_map(|one| {
        let group = one.group.as_ref().map_or_else(String::new, |group| format!(" to {group}"));
        let name = one.from.clone() + &group;
        let lost = one.sequences.map(|sequences| sequences.lost).filter(|lost| *lost > 0);
        let lost = lost.map(|lost| (name.clone() + " lost", lost, Tone::Bad));
        [(name, one.datagrams, Tone::Plain)].into_iter().chain(lost)
    });
    let sizes = others.sizes.iter().enumerate();
    let sizes = sizes.map(|(class, many)| (size_class(class) + " bytes", *many, Tone::Plain));
    let charts = [
        bars("Clients", "datagrams received", clients),
        bars("Sources", "unsolicited datagrams", sources),
        bars("Sizes", "of unsolicited datagrams", sizes),
    ];
    let over_time = over_time(&document.intervals);
    server(&sink_outline(document), &document.head, charts, over_time)
}

pub(in crate::report::format) fn echo(document: &EchoDocument) -> String {
    let outcomes = [
        ("returned", document.returned, Tone::Plain),
        ("dropped", document.dropped, Tone::Warning),
        ("unanswered", document.unanswered, Tone::Warning),
        ("waiting", document.waiting, Tone::Warning),
        ("overflow", document.overflow, Tone::Bad),
        ("refused", refused(document), Tone::Bad),
        ("socket drops", document.socket_drops.unwrap_or(0), Tone::Bad),
    ];
    let outcomes = outcomes.map(|(name, many, tone)| (name.to_owned(), many, tone));
    let threads = document.by_worker.iter().enumerate();
    let threads = threads.map(|(at, many)| (format!("thread {}", at + 1), *many, Tone::Plain));
    let charts = [
        bars("Outcomes", "of datagrams", outcomes.into_iter()),
        bars("Threads", "datagrams received", threads).filter(|_| document.threads > 1),
    ];
    let over_time = over_time(&document.intervals);
    server(&echo_outline(document), &document.head, charts, over_time)
}

/// A bar for each count that is not 0; `None` without any.
fn bars(title: &str, caption: &str, counts: impl Iterator<Item = Count>) -> Option<Chart> {
    let counts: Vec<_> = counts.filter(|(_, many, _)| *many > 0).collect();
    let most = counts.iter().map(|(_, many, _)| *many).max()?;
    let row = |(name, many, tone): &Count| ChartRow {
        name: name.clone(),
        shown: grouped(*many),
        value: Some(*many as f64),
        tone: *tone,
        ..ChartRow::default()
    };
    let rows: Vec<_> = counts.iter().take(MOST_BARS).map(row).collect();
    let caption = match counts.len() - rows.len() {
        0 => caption.to_owned(),
        more => format!("{caption}; {more} more"),
    };
    Some(Chart::of_rows(title.to_owned(), caption, (0.0, most as f64), rows.len()).bars(&rows))
}

/// What is known of each interval; `None` without any.
fn over_time(document_intervals: &[ServerInterval]) -> Option<Chart> {
    let intervals: Vec<_> = document_intervals.iter().map(|one| one.counts.clone()).collect();
    let all = || intervals.iter();
    let has_sent = all().any(|one| one.sent > 0);
    let loss = |one: &Interval| share(one.lost, one.received?.saturating_add(one.lost?));
    let rate = |label, counts: &mut dyn Iterator<Item = Option<u64>>| {
        Panel::of_rate((label, RateUnit::Packets), &intervals, counts)
    };
    let mut unsolicited = document_intervals.iter().map(|one| one.unsolicited);
    let mut panels = vec![
        rate("received per second", &mut all().map(|one| one.received)),
        rate("sent per second", &mut all().map(|one| has_sent.then_some(one.sent))),
        rate("unsolicited per second", &mut unsolicited),
        Panel::of_loss("lost", all().map(loss)),
    ];
    panels.retain(Panel::is_known);
    (!panels.is_empty()).then(|| chart("Datagrams".to_owned(), &intervals, &panels))
}

fn server<const N: usize>(
    outline: &ServerOutline<'_>,
    head: &Head,
    charts: [Option<Chart>; N],
    over_time: Option<Chart>,
) -> String {
    let tag = if outline.is_complete { "p class=\"valid\"" } else { "p class=\"doubt\"" };
    let mut body = element("h1", &outline.title) + &element(tag, &outline.verdict);
    body.extend(outline.labels.iter().map(|line| element(QUIET, line)));
    for section in &outline.sections {
        body += "<section>\n";
        body.extend(section.grid.as_ref().map(draw_grid));
        body += &notes(&section.lines);
        body.extend(section.notes.iter().map(|note| element(QUIET, note)));
        body += "</section>\n";
    }
    let charts: Vec<_> = charts.into_iter().flatten().collect();
    body += &titled("Datagrams", "", &charts);
    let note = match head.kind.as_str() {
        "sink" => {
            "Losses count where sequence numbers showed them. A client's interval counts in the \
             sink's interval that has its middle, so a wider one shows as a peak."
        }
        _ => "By arrival.",
    };
    body += &titled("Over time", note, over_time.as_slice());
    let listed = outline.warnings.iter().map(|one| (one.message.clone(), String::new()));
    body += &warnings(&listed.collect::<Vec<_>>());
    body += &run((&head.started_at, &head.host, &head.tool), &[], &head.command);
    page(&outline.title, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_count_of_an_interval_is_a_point() {
        let interval = |at: u64| ServerInterval {
            counts: Interval {
                start_ns: at * 1_000_000_000,
                end_ns: (at + 1) * 1_000_000_000,
                received: Some(900 * at),
                lost: Some(100 * at),
                ..Interval::default()
            },
            unsolicited: Some(5),
            ..ServerInterval::default()
        };
        let points = |document_intervals: &[ServerInterval]| {
            let figure = over_time(document_intervals).unwrap().figure();
            let lines = figure.split(" points=\"").skip(1);
            let lines = lines.map(|line| line.split('"').next().unwrap().split(' ').count());
            (lines.collect::<Vec<_>>(), figure)
        };
        let mut intervals: Vec<_> = (0..4).map(interval).collect();
        let (lines, figure) = points(&intervals);
        // Of no datagrams, no share is lost.
        assert_eq!(lines, [4, 4, 3]);
        for shown in [
            "<b>Datagrams</b> 4 intervals of 1 s",
            "<title>1 s–2 s: 900 pps</title>",
            "<title>3 s–4 s: 5.00 pps</title>",
            "<title>1 s–2 s: 10.0%</title>",
        ] {
            assert!(figure.contains(shown), "{shown}: {figure}");
        }
        // As of an echo server.
        for one in &mut intervals {
            (one.unsolicited, one.counts.lost, one.counts.sent) = (None, None, 7);
        }
        let (lines, figure) = points(&intervals);
        assert_eq!(lines, [4, 4]);
        assert!(figure.contains("<title>0 s–1 s: 7.00 pps</title>"), "{figure}");
        assert!(over_time(&[]).is_none());
    }

    #[test]
    fn counts_that_are_not_0_have_bars() {
        let count = |many| (format!("<{many}>"), many, Tone::Plain);
        let counts = [0, 7, 14].into_iter().chain(std::iter::repeat_n(1, 30)).map(count);
        let page = titled("", "", &[bars("A", "of b", counts).unwrap()]);
        for part in ["<b>A</b> of b; 12 more<", "<title>&lt;14&gt;: 14</title>"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("<rect class=\"bar\"").count(), MOST_BARS);
        assert!(!page.contains("&lt;0&gt;"), "{page}");
        assert!(bars("A", "", [count(0)].into_iter()).is_none());
    }
}
