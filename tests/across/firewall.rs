//! Losses by netfilter, which counts them: the report has to lose exactly as many.

use serde_json::Value;

use crate::common::{alone, number};
use crate::nets::{Nets, SINK, Side};
use crate::rig::{Sink, engines, located, only, report};

/// Payload bytes of each datagram: what `rig::blast` asks for.
const SIZE: u64 = 64;

/// Bytes of IPv4 and UDP headers (RFC 791, RFC 768), which a firewall counts, too.
const HEADERS: u64 = 28;

/// Drops every tenth packet of data: those whose payload begins with a tag of 64 or more.
const RULE: &str = "iptables -F INPUT; iptables -A INPUT -i x0 -p udp \
     -m u32 --u32 '28>>16=0x40:0xFFFF' -m statistic --mode nth --every 10 --packet 0 -j DROP";

/// What the rule has dropped: packets, and the datagrams in them.
fn dropped(nets: &Nets, side: Side) -> (u64, u64) {
    let listed = nets.run(side, "iptables -L INPUT -v -x -n | tail -1");
    let mut words = listed.split_whitespace().map(|word| word.parse::<u64>().unwrap());
    let (packets, bytes) = (words.next().unwrap(), words.next().unwrap());
    assert_eq!((bytes - HEADERS * packets) % SIZE, 0, "{listed}");
    (packets, (bytes - HEADERS * packets) / SIZE)
}

/// The side that the datagrams of this direction arrive at; the sink is on A.
fn receiving(direction: &str) -> Side {
    if direction == "forward" { Side::A } else { Side::B }
}

/// What holds where a firewall has dropped so many, and the kernel maybe more elsewhere.
fn compare(cell: &Value, datagrams: u64, context: &str) {
    let id = format!("{context}: {}", cell["ledger"]);
    assert_eq!(number(cell, "ledger.lost"), datagrams + located(cell), "{id}");
    assert_eq!(number(cell, "ledger.unaccounted"), datagrams, "{id}");
    for none in ["duplicate", "late", "reordered", "foreign", "corrupt"] {
        assert_eq!(number(cell, &format!("ledger.{none}")), 0, "{id}");
    }
}

/// Sends so many datagrams with the engine `plain`, and so many with each other engine.
fn lost_to_the_datagram(direction: &str, plain: u64, others: u64) {
    let _alone = alone();
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    nets.cut(Side::A);
    nets.cut(Side::B);
    let at = receiving(direction);
    let way = if direction == "reverse" { "--reverse" } else { "" };
    let sink = Sink::start(&nets.place(Side::A), "");
    for engine in engines() {
        let count = if engine == "plain" { plain } else { others };
        nets.run(at, RULE);
        let words = format!("-e {engine} -n {count} -r 20k {way}");
        let report = report(&nets.place(Side::B), SINK, &words);
        let cell = only(&report);
        let (packets, datagrams) = dropped(&nets, at);
        assert_eq!(packets, datagrams, "{engine}: split before the firewall");
        assert_eq!(cell["direction"], direction);
        assert_eq!(number(cell, "ledger.sent"), count, "{engine}");
        compare(cell, datagrams, engine);
        // As long as nothing else was lost on the way, each tenth was.
        if located(cell) == 0 {
            assert_eq!(
                (number(cell, "ledger.lost"), datagrams),
                (count / 10, count / 10),
                "{engine}"
            );
        }
    }
    sink.end();
}

#[test]
fn drops_of_the_sinks_firewall_are_lost_exactly() {
    lost_to_the_datagram("forward", 5_000, 5_000);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn drops_of_the_sinks_firewall_are_lost_exactly_in_long_runs() {
    lost_to_the_datagram("forward", 100_000, 20_000);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn drops_of_the_clients_firewall_are_lost_exactly_in_long_runs() {
    lost_to_the_datagram("reverse", 100_000, 20_000);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn super_packets_that_a_firewall_drops_are_lost_with_all_they_held() {
    let _alone = alone();
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "");
    for engine in engines().into_iter().filter(|word| *word == "offload" || *word == "gso/batch") {
        for (direction, way) in [("forward", ""), ("reverse", "--reverse")] {
            let at = receiving(direction);
            nets.run(at, RULE);
            let words = format!("-e {engine} --batch 50 -n 5000 -r max {way}");
            let report = report(&nets.place(Side::B), SINK, &words);
            let (packets, datagrams) = dropped(&nets, at);
            assert!(packets > 0 && datagrams > packets, "{engine}: nothing came in one piece");
            compare(only(&report), datagrams, &format!("{engine} {direction}"));
        }
    }
    sink.end();
}

/// At most speed, the report has what the firewall dropped, and each other loss has its location.
fn all_losses_are_located(count: u64) {
    let _alone = alone();
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    let sink = Sink::start(&nets.place(Side::A), "");
    for (direction, way) in [("forward", ""), ("reverse", "--reverse")] {
        let at = receiving(direction);
        nets.run(at, RULE);
        let words = format!("-e plain -n {count} -r max {way}");
        let report = report(&nets.place(Side::B), SINK, &words);
        assert_eq!(number(only(&report), "ledger.sent"), count, "{direction}");
        compare(only(&report), dropped(&nets, at).1, direction);
    }
    sink.end();
}

#[test]
fn every_loss_at_full_rate_is_located() {
    all_losses_are_located(20_000);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn every_loss_of_a_long_run_at_full_rate_is_located() {
    all_losses_are_located(100_000);
}
