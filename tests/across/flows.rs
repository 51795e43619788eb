//! Many flows: each has a port of the range that was asked for, memory stays within its bound, and
//! loss of one flow is reported for that flow.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{codes, number, together};
use crate::nets::{Nets, Place, SINK, Side};
use crate::proc::PATIENCE;
use crate::relay::{Orders, Relay, Way};
use crate::rig::{Sink, any, blast, clean, only, report, settled};

/// Flows of the crowd, and the datagrams of each.
const FLOWS: u64 = 10_000;
/// See [`FLOWS`].
const EACH: u64 = 2;

/// The first port of a range that has one for each flow, and none left. Arbitrary.
const FIRST: u64 = 20_000;

/// The most resident memory of either end with 10,000 flows, in KiB: 256 MiB.
const MEMORY_KIB: u64 = 256 << 10;

/// Whether a process may have a file for each flow, and some beside them.
fn may_have_so_many_files() -> bool {
    let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output().unwrap();
    let limit = String::from_utf8(limit.stdout).unwrap();
    let few = limit.trim().parse::<u64>().is_ok_and(|limit| limit < FLOWS + 100);
    if few {
        crate::common::skip::unavailable(format_args!("the hard limit of open files is {limit}"));
    }
    !few
}

/// Counts data, by whether its source port is of the range, is one in its middle, or is neither.
fn counting() -> String {
    let (last, one) = (FIRST + FLOWS - 1, FIRST + FLOWS / 2);
    // Data begin with a tag of 64 or more; the largest phase shows sockets, and is none.
    let data = "iptables -A INPUT -i x0 -p udp --dport 7788 -m u32 --u32 '28>>16=0x40:0xFFFF'";
    format!("{data} --sport {one}; {data} --sport {FIRST}:{last}; {data}")
}

/// What the rules of [`counting`] have counted.
fn counted(nets: &Nets) -> Vec<u64> {
    let listed = nets.run(Side::A, "iptables -L INPUT -v -x -n | tail -n +3");
    listed.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ten_thousand_flows_of_two_threads_keep_to_their_ports_and_their_memory() {
    let _together = together();
    if !may_have_so_many_files() {
        return;
    }
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    nets.run(Side::A, &counting());
    let sink = Sink::start(&nets.place(Side::A), "--threads 2");
    let (count, last) = (FLOWS * EACH, FIRST + FLOWS - 1);
    let ports = format!("--threads 2 --port-range {FIRST}-{last}");
    let words = format!("-e plain -P {FLOWS} -n {count} -r 10k {ports}");
    let done = blast(&nets.place(Side::B), SINK, &words).finish(2 * PATIENCE).expect(0);
    let report = settled(&done);
    let cell = only(&report);
    clean(cell, count, &words);
    assert_eq!(number(cell, "streams"), FLOWS);
    assert_eq!(number(cell, "flows.count"), FLOWS);
    assert_eq!(number(cell, "flows.received.max"), EACH);
    // Each of the ports was used, and by one flow.
    assert_eq!(counted(&nets), [EACH, count, count]);
    let workers = cell["workers"].as_array().unwrap();
    let received: u64 = workers.iter().filter_map(Value::as_u64).sum();
    assert_eq!((workers.len(), received), (2, number(cell, "ledger.received")), "{workers:?}");
    assert!((1..=MEMORY_KIB).contains(&done.peak_kib), "client: {} KiB", done.peak_kib);
    let peak = sink.proc.memory_kib("VmHWM").unwrap();
    assert!((1..=MEMORY_KIB).contains(&peak), "sink: {peak} KiB");
    sink.end();
}

/// Datagrams of each of eight flows.
const SENT: u64 = 100;

/// Of eight flows, 3 was silenced and 5 lost every fourth datagram, the first one, too: the cell
/// says so, and of no other.
#[track_caller]
fn three_and_five_suffered(report: &Value, lost: u64, context: &str) {
    let cell = only(report);
    let id = format!("{context}: {} {}", cell["flows"], cell["ledger"]);
    assert_eq!(number(cell, "ledger.sent"), 8 * SENT, "{id}");
    assert_eq!(number(cell, "ledger.lost"), lost, "{id}");
    let flows = &cell["flows"];
    let [silenced, thinned] = &flows["worst"].as_array().unwrap()[..] else { panic!("{id}") };
    assert_eq!((&silenced["flow"], &thinned["flow"]), (&json!(3), &json!(5)), "{id}");
    let lost_of = |flow: &Value| number(flow, "sent") - number(flow, "received");
    assert_eq!(number(silenced, "received"), 0, "{id}");
    assert_eq!(lost_of(thinned), number(thinned, "sent").div_ceil(4), "{id}");
    assert_eq!(lost_of(silenced) + lost_of(thinned), lost, "{id}");
    assert_eq!((&flows["count"], &flows["starved"]), (&json!(8), &json!(1)), "{id}");
    assert_eq!((&flows["loss_max"], &flows["received"]["min"]), (&json!(1.0), &json!(0)), "{id}");
    assert!(codes(report).contains(&"flow_starved".to_owned()), "{:?}", codes(report));
}

/// Where flows have one datagram in turn, each has as many as the others.
#[track_caller]
fn each_had_its_share(report: &Value) {
    let flows = &only(report)["flows"];
    assert_eq!(flows["received"], json!({"min": 0, "p50": SENT, "max": SENT}), "{flows}");
    assert_eq!(
        (&flows["worst"][0]["sent"], &flows["worst"][1]["sent"]),
        (&json!(SENT), &json!(SENT))
    );
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_befalls_one_flow_is_told_of_that_flow() {
    let _together = together();
    let words = format!("-P 8 -n {} -r 2k", 8 * SENT);
    for sink_words in ["", "--threads 2"] {
        let sink = Sink::here(sink_words);
        for (engine, threads) in [("plain", 1), ("batch", 1), ("plain", 2)] {
            for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
                let orders = Orders::default().thin(way, 3, 1).thin(way, 5, 4);
                let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
                let words = format!("{words} -e {engine} --threads {threads} {flag}");
                let report = report(&Place::here(), relay.at, &words);
                let lost = relay.stop().sound().lane(way).dropped;
                three_and_five_suffered(&report, lost, &format!("{words}, sink {sink_words}"));
                if engine == "plain" {
                    each_had_its_share(&report);
                }
            }
        }
        sink.end();
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_port_that_a_firewall_closes_is_one_flow_starved() {
    let _together = together();
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    // The first flow has the first port, and so on.
    nets.run(Side::A, "iptables -A INPUT -i x0 -p udp --sport 20003 -j DROP");
    let fourth = "-m statistic --mode nth --every 4 --packet 0 -j DROP";
    nets.run(Side::A, &format!("iptables -A INPUT -i x0 -p udp --sport 20005 {fourth}"));
    let sink = Sink::start(&nets.place(Side::A), "");
    let words = format!("-e plain -P 8 -n {} -r 2k --port-range 20000-20007", 8 * SENT);
    let report = report(&nets.place(Side::B), SINK, &words);
    three_and_five_suffered(&report, SENT + SENT / 4, &words);
    each_had_its_share(&report);
    sink.end();
}
