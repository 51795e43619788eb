//! Full queues at the sender's device: what `tc` counts as dropped was refused or lost, no more
//! and no less.

use crate::common::{alone, number};
use crate::nets::{Nets, SINK, Side};
use crate::rig::{Sink, engines, located, only, report, sum};

/// Data waits in a narrow queue, control passes beside it: the payload's first two bytes, 28 bytes
/// behind the beginning of the IPv4 header, are 00 01.
///
/// The queue takes no packet that is longer than its burst: a super-packet it splits, and counts
/// each part that it drops (`tbf_segment`, net/sched/sch_tbf.c). Of shorter ones it would count the
/// whole as one. On the wire a datagram of 64 bytes is 106 long, and what a super-packet counts as
/// is that of its parts together, so a burst of 160 has each with two datagrams or more split.
fn narrow(port: &str) -> String {
    format!(
        "tc qdisc add dev x0 root handle 1: htb default 2; \
         tc class add dev x0 parent 1: classid 1:2 htb rate 1gbit; \
         tc class add dev x0 parent 1: classid 1:3 htb rate 1gbit; \
         tc qdisc add dev x0 parent 1:3 handle 30: tbf rate 2mbit burst 160 limit 10kb; \
         tc filter add dev x0 parent 1: protocol ip prio 1 u32 \
           match u16 0x0001 0xffff at 28 flowid 1:2; \
         tc filter add dev x0 parent 1: protocol ip prio 2 u32 \
           match ip {port} 7788 0xffff flowid 1:3"
    )
}

/// The number behind `word` in the lines of the narrow queue.
fn counted(nets: &Nets, side: Side, word: &str) -> u64 {
    let shown = nets.run(side, "tc -s qdisc show dev x0 | grep -A1 ' 30: '");
    let rest = shown.split_once(word).unwrap().1.trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_a_queue_drops_is_refused_or_lost_to_the_datagram() {
    let _alone = alone();
    // Where all parts of a super-packet are dropped, the sender is told, and it was refused as a
    // whole; where only some are, nobody is told: they were sent, and are lost.
    for engine in engines() {
        for (side, port, way) in [(Side::B, "dport", ""), (Side::A, "sport", "--reverse")] {
            let Some(nets) = Nets::make(&["tc"]) else { return };
            nets.run(side, &narrow(port));
            let sink = Sink::start(&nets.place(Side::A), "");
            let words = format!("-e {engine} -t 150ms -r max {way}");
            let report = report(&nets.place(Side::B), SINK, &words);
            let (cell, dropped) = (only(&report), counted(&nets, side, "dropped"));
            let id = format!("{engine} {way}: {dropped} dropped, {}", cell["ledger"]);
            assert!(dropped > 0, "{id}");
            let refused = sum(cell, "ledger.refused");
            assert_eq!(number(cell, "ledger.refused.would_block"), 0, "{id}");
            let elsewhere =
                located(cell) - cell["ledger"]["lost_at"]["qdisc"].as_u64().unwrap_or(0);
            assert_eq!(refused + number(cell, "ledger.lost"), dropped + elsewhere, "{id}");
            assert_eq!(cell["ends"], "apart", "{id}");
            assert!(number(cell, "ledger.received") > 0, "{id}");
            assert_eq!(cell["engine"]["tx_active"], cell["engine"]["tx"], "{id}");
            let in_parts = cell["engine"]["tx"] == "gso";
            assert_eq!(number(cell, "ledger.lost") > elsewhere, in_parts, "{id}");
            sink.end();
        }
    }
}
