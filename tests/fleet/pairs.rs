//! From one process to another: what each pair sent, and the network of its receiver dropped.

use serde_json::Value;

use crate::common::signals::signal;
use crate::common::{cells, number, only, together};
use crate::rig::{Fleet, UDPERF, can_run, check_members, members, read};

/// The document of `udperf bench` and these words.
fn bench(hosts: u16, options: &[&str], words: &str) -> Value {
    let words = format!("{UDPERF} bench -J -q -e plain -l 777 --warmup 0 {words}");
    let command: Vec<_> = words.split_whitespace().collect();
    let text = Fleet::start(hosts, options, &command).end(|code| code == 0).stdout;
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    check_members(&report);
    report
}

/// A sender: its rank and host, those of its receiver, and what it sent and lost.
type Pair<'a> = (u64, &'a str, u64, &'a str, u64, u64);

fn pair(member: &Value, cell: usize) -> Pair<'_> {
    let ranks = ["rank", "to_rank"].map(|name| number(member, name));
    let hosts = ["hostname", "to_hostname"].map(|name| member[name].as_str().unwrap());
    let cell = &member["cells"][cell];
    let counts = ["ledger.sent", "ledger.lost"].map(|path| number(cell, path));
    (ranks[0], hosts[0], ranks[1], hosts[1], counts[0], counts[1])
}

#[test]
fn loss_at_the_receiver_of_a_pair_is_of_this_pair_alone() {
    if !can_run() {
        return;
    }
    let _together = together();
    // Only datagrams of the measurement have this size.
    let drop_tenth = "ip netns exec host2 nft 'table ip t { chain c { \
        type filter hook prerouting priority -450; \
        iifname udperf0 udp length 785 numgen inc mod 10 0 drop; }; }'";
    let words = "--pairs --net 10.99.0.0/16 -n 2000 -r 4k -i 100ms";
    let report = bench(4, &["--own-clocks", "--setup", drop_tenth], words);
    let pairs: Vec<_> = members(&report).iter().map(|member| pair(member, 0)).collect();
    assert_eq!(pairs, [(0, "host1", 1, "host2", 1_000, 100), (2, "host3", 3, "host4", 1_000, 0)]);
    let cell = only(&report);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.received")), (2_000, 1_900));
    assert_eq!((&cell["direction"], &cell["ends"]), (&"forward".into(), &"across".into()));
    assert_eq!(report["host"]["peer"]["hostname"], "host2");
}

#[test]
fn all_send_to_the_last() {
    if !can_run() {
        return;
    }
    let _together = together();
    let report = bench(3, &[], "--incast -p 7788 -n 1001 -r 4k --trials 2");
    assert_eq!(cells(&report).len(), 2);
    for (trial, cell) in cells(&report).iter().enumerate() {
        let pairs: Vec<_> = members(&report).iter().map(|member| pair(member, trial)).collect();
        assert_eq!(pairs, [(0, "host1", 2, "host3", 501, 0), (1, "host2", 2, "host3", 500, 0)]);
        assert_eq!(number(cell, "ledger.received"), 1_001);
    }
}

#[test]
fn pairs_on_one_host_use_loopback() {
    if !can_run() {
        return;
    }
    let _together = together();
    let drop_others = "ip netns exec host1 nft 'table ip t { chain c { \
        type filter hook output priority 0; udp length 785 ip daddr != 127.0.0.0/8 drop; }; }'";
    let options = ["--ranks", "4", "--setup", drop_others];
    let report = bench(1, &options, "--pairs -n 200 -r 1k --per-rank");
    let pairs: Vec<_> = members(&report).iter().map(|member| pair(member, 0)).collect();
    assert_eq!(pairs, [(0, "host1", 1, "host1", 200, 0), (2, "host1", 3, "host1", 200, 0)]);
    assert_eq!(only(&report)["ends"], "together");
}

#[test]
fn what_makes_no_pairs_ends_at_once() {
    if !can_run() {
        return;
    }
    let _together = together();
    for (hosts, words, expected, part) in [
        (3, "--pairs", 2, "an odd number of processes (3) makes no pairs; start 2 or 4"),
        (2, "--pairs --net 10.97.0.0/16", 1, "rank 1 on host2: it has no address in 10.97.0.0/16"),
        (2, "--incast -e null", 2, "null"),
        (3, "--incast --dev udperf9", 1, "rank 2 on host3"),
    ] {
        let words = format!("{UDPERF} bench -q {words}");
        let command: Vec<_> = words.split_whitespace().collect();
        let done = Fleet::start(hosts, &[], &command).end(|code| code == expected);
        assert!(done.stderr.contains(part), "{done:?}");
    }
}

#[test]
fn the_report_of_a_sender_outlives_its_receiver() {
    if !can_run() {
        return;
    }
    let _together = together();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let words = format!(
        "{UDPERF} bench --pairs -e plain -l 64 -r 2k -t 10m --warmup 0 -i 100ms -q --json={}",
        report.display()
    );
    let command: Vec<_> = words.split_whitespace().collect();
    let fleet = Fleet::start(2, &[], &command);
    fleet.await_cell(0);
    signal(fleet.process_of(1), "KILL");
    fleet.end(|code| code != 0);
    let report = read(&report);
    assert_eq!(only(&report)["cut_short_because"], "member_lost");
    let [sender] = members(&report) else { panic!("{report}") };
    assert_eq!((number(sender, "rank"), number(sender, "to_rank")), (0, 1));
    // What arrived is not known, and so is not 0. Only one process sent.
    assert_eq!(only(&report)["start_skew_ns"], Value::Null);
    assert_eq!(sender["cells"][0]["ledger"]["received"], Value::Null);
    assert_ne!(number(&sender["cells"][0], "ledger.sent"), 0);
}
