//! From what a sink counted to its document.

use crate::document::{
    Head, SinkClient, SinkDocument, SinkListener, SinkOthers, SinkSequences, SinkSource,
    SocketBuffer,
};
use crate::host::HostFacts;
use crate::measure::{
    ClientStats, ListenerTally, SinkTally, UnsolicitedSource, UnsolicitedTraffic,
};
use crate::report::checks::warnings::{doubles_buffers, of_listeners};
use crate::unit::Nanos;

/// The document of these counters; `host` is where they were counted.
#[must_use]
pub fn sink(head: Head, tally: &SinkTally, host: &HostFacts) -> SinkDocument {
    let (began, ended) = tally.time;
    SinkDocument {
        head,
        elapsed_ns: ended.since(began).0,
        clients: tally.served.iter().map(|served| client(served, began)).collect(),
        more_clients: tally.served_more,
        others: others(&tally.unsolicited, began),
        listeners: tally.listeners.iter().map(listener).collect(),
        stray_control: tally.unsolicited.stray_control,
        cpu_throttling: None,
        warnings: of_listeners(tally, doubles_buffers(host)),
    }
}

fn client(served: &ClientStats, began: Nanos) -> SinkClient {
    let (came, left) = served.time;
    SinkClient {
        from: served.from.to_string(),
        came_ns: came.since(began).0,
        left_ns: left.since(began).0,
        cells: served.cells,
        received: served.rx.received,
        bytes: served.rx.bytes,
        lost: served.lost,
        duplicate: served.rx.duplicate,
        late: served.rx.late,
        foreign: served.rx.foreign,
        corrupt: served.rx.corrupt,
        sent: served.sent,
        why: served.why.clone(),
    }
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
    let gaps = &unsolicited.gaps;
    let mut sources: Vec<_> = unsolicited.sources.iter().collect();
    // The address decides between equals, so that equal runs have equal reports.
    sources.sort_by_key(|(from, source)| (std::cmp::Reverse(source.datagrams), **from));
    let source = |(from, source): (&std::net::SocketAddr, &UnsolicitedSource)| SinkSource {
        from: from.to_string(),
        datagrams: source.datagrams,
        bytes: source.bytes,
        size_min: source.size_min,
        size_max: source.size_max,
        first_ns: source.first.since(began).0,
        last_ns: source.last.since(began).0,
        gap_max_ns: source.gap_max.0,
        sequences: source.sequences().map(|counts| SinkSequences {
            unique: counts.unique,
            lost: counts.lost,
            duplicate: counts.duplicate,
            late: counts.late,
            reordered: counts.reordered,
            other: source.datagrams.saturating_sub(counts.arrived()),
        }),
    };
    SinkOthers {
        datagrams: unsolicited.datagrams,
        bytes: unsolicited.bytes,
        sizes: unsolicited.sizes.to_vec(),
        size_min: unsolicited.size.map(|(least, _)| least),
        size_max: unsolicited.size.map(|(_, most)| most),
        first_ns: unsolicited.span.map(|(first, _)| first.since(began).0),
        last_ns: unsolicited.span.map(|(_, last)| last.since(began).0),
        gap_mean_ns: unsolicited.gap_mean().map(|gap| gap.0),
        gap_p50_ns: gaps.quantile_ns(0.5),
        gap_p99_ns: gaps.quantile_ns(0.99),
        gap_max_ns: gaps.max_ns(),
        sources: sources.into_iter().map(source).collect(),
        of_other_sources: unsolicited.of_others,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::measure::{Numbered, RxTally};
    use crate::report::format::text;

    fn tally() -> SinkTally {
        let from = |port: u16| std::net::SocketAddr::from(([192, 0, 2, 1], port));
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
        let served = vec![ClientStats { from, time, cells: 2, rx, lost: 55, sent: 0, why }];
        SinkTally { served, unsolicited, listeners, time, ..SinkTally::default() }
    }

    fn shown(tally: &SinkTally) -> String {
        let style = text::Style { color: false, width: 100, verbose: false };
        text::sink(&sink(Head::default(), tally, &HostFacts::default()), style)
    }

    #[test]
    fn a_document_reads_back_and_keeps_to_its_schema() {
        let document = sink(Head::default(), &tally(), &HostFacts::default());
        crate::report::schema::read_back(&document, crate::report::schema::SINK);
        let others = &document.others;
        assert_eq!((others.size_min, others.size_max), (Some(60), Some(64)));
        assert_eq!(others.gap_mean_ns, Some(1_000));
    }

    #[test]
    fn counts_of_any_size_are_shown() {
        let mut value =
            serde_json::to_value(sink(Head::default(), &tally(), &HostFacts::default())).unwrap();
        let client = value["clients"][0].clone();
        value["clients"].as_array_mut().unwrap().push(client);
        // Classes beyond those of any datagram.
        value["others"]["sizes"] = serde_json::json!(vec![1; 70]);
        let read = |value: &serde_json::Value| SinkDocument::deserialize(value);
        crate::report::hostile::enlarge(&mut value, |value| read(value).is_ok());
        let text = text::sink(
            &read(&value).unwrap(),
            text::Style { color: false, width: 200, verbose: false },
        );
        for part in ["≤9223372036854775808 18,446", "· larger 18,446", "duplicate 18,446"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn the_text_has_drops_and_stray_messages() {
        let text = shown(&tally());
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
            "! 7 datagrams (58.33 %) dropped: receive buffer full",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let mut clean = tally();
        (clean.unsolicited.stray_control, clean.listeners[1].drops) = (0, Some(0));
        let text = shown(&clean);
        for none in ["dropped", "stray", "!"] {
            assert!(!text.contains(none), "{none} is in:\n{text}");
        }
        clean.listeners[1].drops = None;
        assert!(shown(&clean).contains("dropped       unknown"), "{}", shown(&clean));
    }
}
