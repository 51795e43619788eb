//! From what a sink counted to its document.

use crate::document::{
    Head, SinkClient, SinkDocument, SinkListener, SinkOthers, SinkSource, SocketBuffer,
};
use crate::host::HostFacts;
use crate::measure::{
    ClientStats, ListenerTally, SinkTally, TrafficSource, UnsolicitedSource, UnsolicitedTraffic,
};
use crate::report::build::servers::server_intervals;
use crate::report::checks::warnings::{doubles_buffers, listener_warnings};
use crate::unit::Nanos;

/// The document of these counters; `host` is where they were counted.
pub fn sink(head: Head, tally: &SinkTally, host: &HostFacts) -> SinkDocument {
    let (began, ended) = tally.time;
    let has_drops = tally.listeners.iter().all(|listener| listener.drops.is_some());
    SinkDocument {
        head,
        elapsed_ns: ended.since(began).0,
        clients: tally.served.iter().map(|served| client(served, began)).collect(),
        more_clients: tally.served_more,
        others: others(&tally.unsolicited, began),
        listeners: tally.listeners.iter().map(listener).collect(),
        stray_control: tally.unsolicited.stray_control,
        cpu_throttling: None,
        realtime: None,
        intervals: server_intervals(&tally.intervals, ended.since(began), true, has_drops),
        warnings: listener_warnings(tally, doubles_buffers(host)),
    }
}

fn client(served: &ClientStats, began: Nanos) -> SinkClient {
    let (first, last) = served.time;
    let rx = &served.rx;
    copy_fields!(SinkClient from rx { received, bytes, duplicate, late, foreign, corrupt }
        from: served.from.to_string(),
        came_ns: first.since(began).0,
        left_ns: last.since(began).0,
        cells: served.cells,
        cells_cut_short: served.cut_short,
        lost: served.lost,
        sent: served.sent,
        reordered: Some(rx.reordered),
        why: served.why.clone(),
    )
}

fn listener(listener: &ListenerTally) -> SinkListener {
    SinkListener {
        at: listener.at.to_string(),
        core: listener.core.map(|core| core as u64),
        datagrams: listener.datagrams,
        socket_drops: listener.drops,
        socket_buffer: SocketBuffer { asked: listener.asked, granted: listener.granted },
    }
}

fn others(unsolicited: &UnsolicitedTraffic, began: Nanos) -> SinkOthers {
    let UnsolicitedTraffic { totals, gaps, .. } = unsolicited;
    let mut sources: Vec<_> = unsolicited.sources.iter().collect();
    // The address decides between equals, so that equal runs have equal reports.
    sources.sort_by_key(|(from, source)| (std::cmp::Reverse(source.totals.datagrams), **from));
    let (size_min, size_max) = totals.size.unzip();
    let (first, last) = totals.span.unzip();
    let since = |at: Option<Nanos>| at.map(|at| at.since(began).0);
    SinkOthers {
        datagrams: totals.datagrams,
        bytes: totals.bytes,
        sizes: unsolicited.sizes.to_vec(),
        size_min,
        size_max,
        first_ns: since(first),
        last_ns: since(last),
        gap_mean_ns: totals.gap_mean().map(|gap| gap.0),
        gap_p50_ns: gaps.quantile_ns(0.5),
        gap_p99_ns: gaps.quantile_ns(0.99),
        gap_max_ns: gaps.max_ns(),
        sources: sources.into_iter().map(|(key, one)| source(*key, one, began)).collect(),
        of_other_sources: unsolicited.of_others,
    }
}

fn source(key: TrafficSource, source: &UnsolicitedSource, began: Nanos) -> SinkSource {
    let totals = &source.totals;
    let (size_min, size_max) = totals.size.unwrap_or_default();
    let (first, last) = totals.span.unwrap_or_default();
    SinkSource {
        from: key.from.to_string(),
        group: key.group.map(|group| group.to_string()),
        datagrams: totals.datagrams,
        bytes: totals.bytes,
        size_min,
        size_max,
        first_ns: first.since(began).0,
        last_ns: last.since(began).0,
        gap_max_ns: source.gap_max.0,
        sequences: source.sequences(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde::Deserialize;

    use super::*;
    use crate::measure::{Numbered, RxTally};
    use crate::report::format::text;
    use crate::report::{hostile, schema};

    fn tally() -> SinkTally {
        let from = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let mut unsolicited =
            UnsolicitedTraffic { stray_control: 3, ..UnsolicitedTraffic::default() };
        for at in 0..5 {
            let intended = Nanos(1_000 * at);
            let numbered = Numbered { phase: 2 << 16, sequence: at * 2, intended };
            unsolicited.count(from(9), 60 + at as usize, Some(numbered), intended);
        }
        let listener = |datagrams, drops| ListenerTally {
            at: from(7_788),
            core: Some(1),
            datagrams,
            drops,
            asked: 4 << 20,
            granted: Some(8 << 20),
        };
        let listeners = vec![listener(3, Some(0)), listener(2, Some(7))];
        let time = (Nanos(0), Nanos(10_000));
        let rx = RxTally { received: 1_234, bytes: 2_048, foreign: 6, ..RxTally::default() };
        let (from, why) = (from(5), "asked".to_owned());
        let (cells, cut_short, lost, sent) = (2, 0, Some(55), 0);
        let served =
            vec![ClientStats { from, time, cells, cut_short, rx, lost, known_lost: 0, sent, why }];
        SinkTally { served, unsolicited, listeners, time, ..SinkTally::default() }
    }

    fn document(tally: &SinkTally) -> SinkDocument {
        sink(Head::default(), tally, &HostFacts::default())
    }

    fn shown(document: &SinkDocument) -> String {
        text::sink(document, text::Style { color: false, width: 100, verbose: false })
    }

    #[test]
    fn reads_back_and_shows_counts_of_any_size() {
        let mut value = schema::read_back(&document(&tally()), schema::SINK);
        let others = &value["others"];
        assert_eq!((&others["size_min"], &others["size_max"]), (&60.into(), &64.into()));
        assert_eq!(others["gap_mean_ns"], 1_000);
        let client = value["clients"][0].clone();
        value["clients"].as_array_mut().unwrap().push(client);
        // Classes beyond those of any datagram.
        value["others"]["sizes"] = serde_json::json!(vec![1; 70]);
        let read = |value: &serde_json::Value| SinkDocument::deserialize(value);
        hostile::enlarge(&mut value, |value| read(value).is_ok());
        let style = text::Style { color: false, width: usize::MAX, verbose: false };
        let hostile = "<script>x</script>\"'&\u{1b}";
        value["clients"][0]["from"] = hostile.into();
        let document = read(&value).unwrap();
        let page = hostile::page(&document);
        assert!(!page.contains("<script>x"), "{page}");
        for part in ["<title>≤1 bytes: 18,446", "<title>&lt;script&gt;x"] {
            assert!(page.contains(part), "{part} is not in:\n{page}");
        }
        let text = text::sink(&document, style);
        for part in ["≤9223372036854775808 18,446", "· larger 18,446", "duplicate 18,446"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn the_text_fits_a_narrow_terminal() {
        let mut tally = tally();
        tally.served[0].why = "the client closed the session".to_owned();
        (tally.served[0].rx.received, tally.served[0].sent) = (12_345_678, 87_654_321);
        let document = document(&tally);
        for (width, omitted) in [(60, true), (80, true), (200, false)] {
            let style = text::Style { color: false, width, verbose: false };
            let text = text::sink(&document, style);
            let is_wide = |line: &&str| text::style::display_width(line) > width;
            assert_eq!(text.lines().find(is_wide), None, "{width}: {text}");
            assert_eq!(text.contains("omitted to fit "), omitted, "{text}");
            assert!(text.contains("12,345,678") && text.contains("192.0.2.1:5"), "{text}");
        }
    }

    #[test]
    fn the_text_has_drops_and_stray_messages() {
        let text = shown(&document(&tally()));
        for part in [
            "1,234  2 KiB    55     0  asked",
            "of clients    foreign 6",
            "unsolicited   5 datagrams",
            "dropped       7 datagrams at full receive buffers",
            "stray         3 control messages",
            "gaps          mean 1.00 µs · at each listener p50",
            "longest gap  unique  lost  duplicate",
            "1.00 µs       5     4          0",
            "lost counts sequence numbers below the highest one that arrived",
            "by listener   3 · 2",
            "! 7 datagrams (58.33%) dropped: receive buffer full",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let mut cut_short = tally();
        (cut_short.served[0].cut_short, cut_short.served[0].lost) = (1, None);
        let cut_short = document(&cut_short);
        let page = hostile::page(&cut_short);
        assert!(page.contains("1,234 datagrams of 1 client, losses unknown"), "{page}");
        let text = shown(&cut_short);
        for part in [
            "1,234  2 KiB     –     0  asked",
            "! 1 cell cut short: the client or the sink ended first, loss unknown; repeat the run",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let mut clean = tally();
        (clean.unsolicited.stray_control, clean.listeners[1].drops) = (0, Some(0));
        let text = shown(&document(&clean));
        for none in ["dropped", "stray", "!"] {
            assert!(!text.contains(none), "{none} is in:\n{text}");
        }
        clean.listeners[1].drops = None;
        let text = shown(&document(&clean));
        assert!(text.contains("dropped       unknown"), "{text}");
    }
}
