//! From what a sink counted to its document.

use super::document::{Host, SinkClient, SinkDocument, SinkOthers, SinkSource, Tool};
use crate::measure::{Served, SinkTally, Source, Strangers};
use crate::unit::Nanos;

/// The document, without what only the program knows: versions, arguments, host.
#[must_use]
pub fn sink(tally: &SinkTally) -> SinkDocument {
    let (began, ended) = tally.time;
    SinkDocument {
        schema: String::new(),
        kind: String::new(),
        tool: Tool {
            version: String::new(),
            git: None,
            profile: String::new(),
            features: Vec::new(),
        },
        command: Vec::new(),
        started_at: String::new(),
        host: Host::default(),
        elapsed_ns: ended.since(began).0,
        clients: tally.served.iter().map(|served| client(served, began)).collect(),
        more_clients: tally.served_more,
        others: others(&tally.strangers, began),
    }
}

fn client(served: &Served, began: Nanos) -> SinkClient {
    let (came, left) = served.time;
    SinkClient {
        from: served.from.to_string(),
        came_ns: came.since(began).0,
        left_ns: left.since(began).0,
        cells: served.cells,
        received: served.received,
        sent: served.sent,
        why: served.why.clone(),
    }
}

fn others(strangers: &Strangers, began: Nanos) -> SinkOthers {
    let gaps = &strangers.gaps;
    let mut sources: Vec<_> = strangers.sources.iter().collect();
    // The address decides between equals, so that equal runs have equal reports.
    sources.sort_by_key(|(from, source)| (std::cmp::Reverse(source.datagrams), **from));
    let source = |(from, source): (&std::net::SocketAddr, &Source)| SinkSource {
        from: from.to_string(),
        datagrams: source.datagrams,
        bytes: source.bytes,
        size_min: source.size_min,
        size_max: source.size_max,
        first_ns: source.first.since(began).0,
        last_ns: source.last.since(began).0,
        gap_max_ns: source.gap_max.0,
    };
    SinkOthers {
        datagrams: strangers.datagrams,
        bytes: strangers.bytes,
        sizes: strangers.sizes.to_vec(),
        gap_p50_ns: gaps.quantile_ns(0.5),
        gap_p99_ns: gaps.quantile_ns(0.99),
        gap_max_ns: gaps.max_ns(),
        sources: sources.into_iter().map(source).collect(),
        of_other_sources: strangers.of_others,
    }
}
