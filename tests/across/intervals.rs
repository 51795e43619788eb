//! Intervals between two hosts: what a relay does to a datagram counts where that was due.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;

use crate::common::{number, together};
use crate::nets::{Nets, Place, SINK, Side};
use crate::proc::{PATIENCE, Proc};
use crate::relay::{Account, Action, Orders, Relay, Way};
use crate::rig::{Sink, any, blast, of, only, report, sum};

/// A field of each interval.
fn column(cell: &Value, field: &str) -> Vec<u64> {
    let intervals = cell["intervals"].as_array().unwrap();
    intervals.iter().map(|interval| number(interval, field)).collect()
}

/// Of 5,000 datagrams, 1,000 an interval: 600 of the third are dropped, one of the second repeated,
/// and the last one of the first arrives behind three of the second.
fn orders(way: Way) -> Orders {
    let orders =
        (2_000..2_600).fold(Orders::default(), |orders, at| orders.on(way, at, Action::Drop));
    orders.on(way, 1_500, Action::Repeat(1)).on(way, 999, Action::Delay(3))
}

#[track_caller]
fn check(cell: &Value, id: &str) {
    let [lost, duplicate, reordered, missed] =
        ["lost", "duplicate", "reordered", "missed"].map(|field| column(cell, field));
    let sum = |all: &[u64]| all.iter().sum::<u64>();
    assert_eq!((sum(&lost), sum(&duplicate), sum(&reordered)), (600, 1, 1), "{id}");
    // A missed slot makes every later datagram due later.
    if sum(&missed[..3]) == 0 {
        assert_eq!(lost[..4], [0, 0, 600, 0], "{id}");
        assert_eq!((duplicate[1], reordered[0]), (1, 1), "{id}");
    }
    assert_eq!(lost[..2], [0, 0], "{id}");
}

#[test]
fn a_loss_on_the_path_shows_in_the_interval_in_which_it_was_due() {
    let _together = together();
    let sink = Sink::here("");
    for (way, flag) in [(Way::Forward, ""), (Way::Back, "--reverse")] {
        let relay = Relay::start(any("127.0.0.1"), sink.at, orders(way)).unwrap();
        let words = format!("-e plain -l 64 -n 5000 -r 5k -i 200ms {flag}");
        let report = report(&Place::here(), relay.at, &words);
        relay.stop().sound();
        check(only(&report), flag);
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn both_directions_have_intervals_of_their_own() {
    let _together = together();
    let sink = Sink::here("");
    let relay = Relay::start(any("127.0.0.1"), sink.at, orders(Way::Back)).unwrap();
    let words = "-e plain -l 64 -n 5000 -r 5k -i 200ms --bidir";
    let report = report(&Place::here(), relay.at, words);
    relay.stop().sound();
    check(of(&report, "reverse"), "reverse");
    let forward = of(&report, "forward");
    assert_eq!(column(forward, "lost").iter().sum::<u64>(), 0);
    assert_eq!(column(forward, "received").iter().sum::<u64>(), 5_000);
    sink.end();
}

#[test]
fn a_sink_shows_the_loss_of_a_client_in_one_of_its_intervals() {
    let _together = together();
    let sink = Sink::here("-J -i 250ms");
    let relay = Relay::start(any("127.0.0.1"), sink.at, orders(Way::Forward)).unwrap();
    let client = report(&Place::here(), relay.at, "-e plain -l 64 -n 5000 -r 5k -i 200ms");
    relay.stop().sound();
    let document = sink.end().document();
    let [lost, received, duplicate, reordered] =
        ["lost", "received", "duplicate", "reordered"].map(|field| column(&document, field));
    let sum = |all: &[u64]| all.iter().sum::<u64>();
    assert_eq!((sum(&lost), sum(&received)), (600, 4_400), "{document}");
    assert_eq!((sum(&duplicate), sum(&reordered)), (1, 1), "{document}");
    assert_eq!(number(&document["clients"][0], "lost"), 600);
    // Sent by the client in one interval, they are lost in one.
    if column(only(&client), "lost").contains(&600) {
        assert_eq!(lost.iter().filter(|lost| **lost > 0).count(), 1, "{lost:?}");
    }
}

#[test]
fn metrics_of_a_sink_have_the_losses_of_a_client_that_is_there() {
    let _together = together();
    let at = SocketAddr::from(([127, 0, 0, 1], crate::common::ports::free()));
    let sink = Sink::here(&format!("--metrics {at}"));
    let orders = (10..17)
        .fold(Orders::default(), |orders, index| orders.on(Way::Forward, index, Action::Drop));
    let relay = Relay::start(any("127.0.0.1"), sink.at, orders).unwrap();
    // The first cell loses them; many more follow.
    let words = "-e plain -l 64 -n 100 -r 2k --trials 1000";
    let mut client = blast(&Place::here(), relay.at, words);
    let begin = Instant::now();
    let lost = r#"udperf_datagrams_total{direction="forward",outcome="lost"} 7"#;
    let has_lost = || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines().any(|line| line == lost)
    };
    while !has_lost() {
        assert!(begin.elapsed() < PATIENCE, "{lost}");
    }
    assert!(client.is_alive());
    client.interrupt();
    client.finish(PATIENCE).expect(130);
    relay.stop().sound();
    sink.end();
}

#[test]
fn each_host_reads_its_drops_by_interval() {
    let Some(nets) = Nets::make(&["python3"]) else { return };
    let _together = together();
    let sink = Sink::start(&nets.place(Side::A), "");
    nets.run(Side::A, "ip link set lo up");
    // To a port of the sink's host at which nothing listens, for a minute at most.
    let closed = "import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print('ready', file=sys.stderr, flush=True)
for n in range(6000): s.sendto(b'x', ('10.78.0.1', 9)); time.sleep(0.01)";
    let mut python = nets.place(Side::A).command("python3");
    python.args(["-c", closed]);
    let mut others = Proc::start(python);
    others.line("ready");
    let report = report(&nets.place(Side::B), SINK, "-e plain -r 1k -t 3 -i 1");
    others.kill9();
    let cell = only(&report);
    let drops = cell["intervals"].as_array().unwrap().iter().map(|one| &one["kernel_drops"]);
    for field in ["receive_buffer", "backlog", "device", "tx_device", "checksum", "no_port"] {
        assert!(drops.clone().all(|drops| drops[field].is_u64()), "{field}: {cell}");
    }
    let by_interval: Vec<u64> = drops.map(|drops| number(drops, "no_port")).collect();
    assert!(by_interval.iter().all(|drops| *drops > 0), "{by_interval:?}");
    assert_eq!(by_interval.iter().sum::<u64>(), number(cell, "kernel.no_ports"));
    assert_eq!(sum(cell, "ledger.lost_at"), 0, "{}", cell["ledger"]);
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_counts_the_cell_of_a_client_that_was_killed() {
    let _together = together();
    for way in ["", "--bidir", "--reverse"] {
        let sink = Sink::here("-J -i 250ms");
        let relay = Relay::start(any("127.0.0.1"), sink.at, Orders::default()).unwrap();
        let first = report(&Place::here(), relay.at, "-e plain -n 100 -r 5k");
        assert_eq!(number(only(&first), "ledger.received"), 100);
        let before = relay.account();
        let client = blast(&Place::here(), relay.at, &format!("-e plain -r 5k -t 20 {way}"));
        let middle = |account: &Account| {
            account.forward.came.max(account.back.came) > before.forward.came + 2_000
        };
        assert!(relay.wait_for(PATIENCE, middle), "{way}: {:?}", relay.account());
        client.kill9();
        client.finish(PATIENCE);
        let account = relay.stop();
        let document = sink.end().document();
        let clients = document["clients"].as_array().unwrap();
        let [whole, cut] = &clients[..] else { panic!("{way}: {document}") };
        assert_eq!((number(whole, "cells"), number(whole, "cells_cut_short")), (1, 0));
        assert_eq!((number(whole, "received"), number(whole, "lost")), (100, 0));
        assert_eq!((number(cut, "cells"), number(cut, "cells_cut_short")), (1, 1), "{way}: {cut}");
        let warnings = document["warnings"].as_array().unwrap();
        assert!(warnings.iter().any(|one| one["code"] == "cut_short"), "{way}: {document}");
        let [received, sent] = ["received", "sent"].map(|field| column(&document, field));
        assert_eq!(
            received.iter().sum::<u64>(),
            number(cut, "received") + 100,
            "{way}: {document}"
        );
        assert_eq!(sent.iter().sum::<u64>(), number(cut, "sent"), "{way}: {document}");
        let intervals = document["intervals"].as_array().unwrap();
        let is_unknown = intervals.iter().any(|interval| interval["lost"].is_null());
        if way == "--reverse" {
            assert!(number(cut, "sent") >= account.back.came && account.back.came > 2_000);
            assert_eq!((number(cut, "lost"), is_unknown), (0, false), "{way}: {document}");
        } else {
            assert_eq!(number(cut, "received"), account.forward.came - before.forward.came);
            assert_eq!(number(cut, "bytes"), 64 * number(cut, "received"), "{cut}");
            assert!(cut["lost"].is_null() && is_unknown, "{way}: {document}");
        }
    }
}
