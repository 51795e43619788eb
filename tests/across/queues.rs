//! Full queues at the sender's device: what `tc` counts as dropped was refused or lost, no more
//! and no less.

use crate::common::number;
use crate::nets::{Nets, SINK, Side};
use crate::rig::{Sink, alone, engines, located, only, report, sum};

/// Data waits in a narrow queue, control passes beside it: the payload's first two bytes, 28 bytes
/// behind the beginning of the IPv4 header, are 00 01.
fn narrow(port: &str) -> String {
    format!(
        "tc qdisc add dev x0 root handle 1: htb default 2; \
         tc class add dev x0 parent 1: classid 1:2 htb rate 1gbit; \
         tc class add dev x0 parent 1: classid 1:3 htb rate 1gbit; \
         tc qdisc add dev x0 parent 1:3 handle 30: tbf rate 2mbit burst 5kb limit 10kb; \
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
fn what_a_queue_drops_is_refused_or_lost_to_the_datagram() {
    let _alone = alone();
    // Parts of a super-packet are dropped in silence: engines that send such are left out here.
    for engine in engines().into_iter().filter(|word| ["plain", "batch", "uring"].contains(word)) {
        for (side, port, way) in [(Side::B, "dport", ""), (Side::A, "sport", "--reverse")] {
            let Some(nets) = Nets::make(&["tc"]) else { return };
            nets.run(side, &narrow(port));
            let sink = Sink::start(&nets.place(Side::A), "");
            let words = format!("-e {engine} -t 300ms -r max {way}");
            let report = report(&nets.place(Side::B), SINK, &words);
            let (cell, dropped) = (only(&report), counted(&nets, side, "dropped"));
            let id = format!("{engine} {way}: {dropped} dropped, {}", cell["ledger"]);
            assert!(dropped > 0, "{id}");
            let refused = sum(cell, "ledger.refused");
            assert_eq!(number(cell, "ledger.refused.would_block"), 0, "{id}");
            let elsewhere =
                located(cell) - cell["ledger"]["lost_at"]["qdisc"].as_u64().unwrap_or(0);
            assert_eq!(refused + number(cell, "ledger.lost"), dropped + elsewhere, "{id}");
            assert!(number(cell, "ledger.received") > 0, "{id}");
            sink.end();
        }
    }
}
