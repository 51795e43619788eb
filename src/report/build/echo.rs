//! From what an echo server counted to its document.

use crate::document::{EchoDocument, Head};
use crate::measure::EchoTally;
use crate::plan::{DropRule, EchoKind, EngineKind, WaitKind};
use crate::report::build::spread;
use crate::unit::Nanos;

/// How an echo server was to answer.
#[derive(Debug, Clone, Copy)]
pub struct EchoFacts {
    /// By which engine.
    pub engine: EchoKind,
    /// How workers waited.
    pub wait: WaitKind,
    /// How long each answer was held back.
    pub delay: Option<Nanos>,
    /// Which datagrams were not to be answered.
    pub drop: Option<DropRule>,
}

/// The document of these counters.
#[must_use]
pub fn echo(head: Head, tally: &EchoTally, facts: EchoFacts) -> EchoDocument {
    let (began, ended) = tally.time;
    let active_ns = tally.active.map(|(first, last)| last.since(first).0);
    let counters = &tally.counters;
    EchoDocument {
        head,
        engine: facts.engine.word().to_owned(),
        threads: tally.by_worker.len() as u64,
        wait: facts.wait.word().to_owned(),
        delay_ns: facts.delay.map(|delay| delay.0),
        drop: facts.drop.map(|drop| drop.to_string()),
        elapsed_ns: ended.since(began).0,
        active_ns,
        received: counters.received,
        received_bytes: counters.received_bytes,
        packets: counters.packets,
        truncated: counters.truncated,
        returned: counters.returned,
        returned_bytes: counters.returned_bytes,
        pps: active_ns.filter(|&ns| ns > 0).map(|ns| counters.returned as f64 * 1e9 / ns as f64),
        refused: super::counts::refused(counters.refused),
        dropped: tally.dropped,
        unanswered: tally.unanswered,
        overflow: tally.overflow,
        waiting: tally.waiting,
        lateness: facts.delay.map(|_| spread(&tally.lateness)),
        told_unreachable: counters.queued_errors,
        cut: counters.cut,
        socket_drops: tally.socket_drops,
        syscalls: counters.syscalls,
        empty_calls: counters.empty,
        errors: counters.errors,
        cpu_ns: tally.cpu.map(|cpu| cpu.0),
        clients: tally.clients.count(),
        more_clients: tally.clients.more(),
        by_worker: tally.by_worker.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::EchoCounters;
    use crate::report::format::text;

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
        let facts = EchoFacts {
            engine: EchoKind::Batch,
            wait: WaitKind::Hybrid,
            delay: Some(Nanos(10_000_000)),
            drop: Some(DropRule::Share(0.1)),
        };
        echo(Head::default(), &tally, facts)
    }

    #[test]
    fn a_document_reads_back_and_keeps_to_its_schema() {
        let value = crate::report::schema::read_back(&document(), crate::report::schema::ECHO);
        assert_eq!(value["pps"], 890_000.0);
    }

    #[test]
    fn counts_of_any_size_are_shown() {
        let mut value = serde_json::to_value(document()).unwrap();
        let read = |value: &serde_json::Value| -> Result<EchoDocument, _> {
            serde_json::from_value(value.clone())
        };
        crate::report::hostile::enlarge(&mut value, |value| read(value).is_ok());
        let shown = text::echo(
            &read(&value).unwrap(),
            text::Style { color: false, width: 100, verbose: false },
        );
        let sum = "refused       18,446,744,073,709,551,615 by the system";
        assert!(shown.contains(sum), "{shown}");
    }

    #[test]
    fn the_text_has_every_outcome_that_occurred_and_no_other() {
        let style = text::Style { color: false, width: 100, verbose: false };
        let shown = text::echo(&document(), style);
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
            assert!(shown.contains(part), "{part} is not in:\n{shown}");
        }
        let quiet = EchoDocument { dropped: 0, drop: None, unanswered: 0, ..document() };
        let shown = text::echo(&quiet, style);
        assert!(!shown.contains("--drop") && !shown.contains("unanswered"), "{shown}");
    }
}
