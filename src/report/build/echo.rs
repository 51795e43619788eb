//! From what an echo server counted to its document.

use crate::document::{EchoDocument, Head};
use crate::measure::EchoTally;
use crate::plan::{DropRule, EchoKind, EngineKind, WaitKind};
use crate::report::build::servers::server_intervals;
use crate::report::build::spread;
use crate::unit::Nanos;

/// The document of these counters, and of how the server replied.
pub fn echo(
    head: Head,
    tally: &EchoTally,
    (engine, wait): (EchoKind, WaitKind),
    delay: Option<Nanos>,
    drop: Option<DropRule>,
) -> EchoDocument {
    let (began, ended) = tally.time;
    let active_ns = tally.active.map(|(first, last)| last.since(first).0);
    let counters = &tally.counters;
    copy_fields!(EchoDocument from counters {
        received, received_bytes, packets, truncated, returned, returned_bytes, cut, syscalls,
        errors,
    }
        head: head,
        engine: engine.word().to_owned(),
        threads: tally.by_worker.len() as u64,
        wait: wait.word().to_owned(),
        realtime: None,
        delay_ns: delay.map(|delay| delay.0),
        drop: drop.map(|drop| drop.to_string()),
        elapsed_ns: ended.since(began).0,
        active_ns: active_ns,
        pps: active_ns.filter(|&ns| ns > 0).map(|ns| counters.returned as f64 * 1e9 / ns as f64),
        refused: counters.refused,
        dropped: tally.dropped,
        unanswered: tally.unanswered,
        overflow: tally.overflow,
        waiting: tally.waiting,
        lateness: delay.map(|_| spread(&tally.lateness)),
        told_unreachable: counters.queued_errors,
        socket_drops: tally.socket_drops,
        empty_calls: counters.empty,
        cpu_ns: tally.cpu.map(|cpu| cpu.0),
        clients: tally.clients.count(),
        more_clients: tally.clients.more(),
        by_worker: tally.by_worker.clone(),
        intervals: server_intervals(
            &tally.intervals, ended.since(began), false, tally.socket_drops.is_some(),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::EchoCounters;
    use crate::report::format::text;
    use crate::report::{hostile, schema};

    fn document() -> EchoDocument {
        let mut tally = EchoTally::default();
        let mut worker = EchoTally {
            counters: EchoCounters {
                received: 1_000,
                received_bytes: 64_000,
                packets: 1_000,
                returned: 890,
                returned_bytes: 56_960,
                syscalls: 9_000,
                empty: 7_000,
                ..EchoCounters::default()
            },
            dropped: 100,
            unanswered: 4,
            overflow: 1,
            waiting: 2,
            socket_drops: Some(7),
            active: Some((Nanos(1_000), Nanos(1_001_000))),
            cpu: Some(Nanos(500_000)),
            ..EchoTally::default()
        };
        worker.counters.refused.no_buffers = 3;
        tally.merge(worker);
        tally.time = (Nanos(0), Nanos(5_000_000));
        let (delay, drop) = (Some(Nanos(10_000_000)), Some(DropRule::Share(0.1)));
        echo(Head::default(), &tally, (EchoKind::Batch, WaitKind::Hybrid), delay, drop)
    }

    fn shown(document: &EchoDocument) -> String {
        text::echo(document, text::Style { color: false, width: 100, verbose: false })
    }

    #[test]
    fn reads_back_and_shows_counts_of_any_size() {
        let mut value = schema::read_back(&document(), schema::ECHO);
        assert_eq!(value["pps"], 890_000.0);
        let read = |value: &serde_json::Value| serde_json::from_value(value.clone());
        hostile::enlarge(&mut value, |value| read(value).is_ok());
        let document = read(&value).unwrap();
        let shown = shown(&document);
        let sum = "refused       18,446,744,073,709,551,615 by the system";
        assert!(shown.contains(sum), "{shown}");
        let page = hostile::page(&document);
        assert!(page.contains("<title>refused: 18,446,744,073,709,551,615</title>"), "{page}");
    }

    #[test]
    fn the_text_has_only_outcomes_that_occurred() {
        let text = shown(&document());
        for part in [
            "batch",
            "received      1,000 datagrams",
            "returned      890",
            "dropped       100 by --drop 10%",
            "no buffers 3",
            "unanswered    4",
            "overflow      1",
            "waiting       2",
            "socket drops  7",
            "2.00 system calls per datagram",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let quiet = EchoDocument { dropped: 0, drop: None, unanswered: 0, ..document() };
        let text = shown(&quiet);
        assert!(!text.contains("--drop") && !text.contains("unanswered"), "{text}");
    }
}
