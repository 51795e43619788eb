//! A sink that is killed while its client speaks to it without anybody between: the kernel answers
//! that nobody is there, and the client has to say so, whichever way data went.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::common::{interval_sum, number, together};
use crate::nets::{Nets, SINK, Side};
use crate::proc::PATIENCE;
use crate::rig::{NOTICED, Sink, blast, still_serves};

/// Datagrams after which a run is in its middle: more than any arrangement takes.
const MIDDLE: u64 = 2_000;

/// What one side's kernel has counted of UDP, received or sent, by its name in /proc/net/snmp.
fn counted(nets: &Nets, name: &str) -> u64 {
    let snmp = nets.run(Side::A, "cat /proc/net/snmp");
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut both = names.split(' ').zip(values.split(' '));
    both.find(|(found, _)| *found == name).unwrap().1.parse().unwrap()
}

/// Drops every tenth datagram of data between two sockets of one side.
const RULE: &str = "iptables -A INPUT -i lo -p udp -m length --length 92 \
     -m u32 --u32 '28>>16=0x40:0xFFFF' -m statistic --mode nth --every 10 --packet 0 -j DROP";

/// What the rule has dropped; 0 without it.
fn dropped(nets: &Nets) -> u64 {
    let listed = nets.run(Side::A, "command -v iptables >&2 || exit 0; iptables -L INPUT -vxn");
    let mut rules = listed.lines().filter(|line| line.contains("DROP"));
    let packets = rules.next_back().and_then(|line| line.split_whitespace().next());
    packets.map_or(0, |packets| packets.parse().unwrap())
}

/// Kills a sink in the middle of a run of this kind; then its client has to end by itself. In a
/// namespace of its own, so that nobody else's datagrams are taken for theirs.
fn killed_in_the_middle(nets: &Nets, from: Side, sink_words: &str, words: &str) {
    let moves = if words.contains("--reverse") { "OutDatagrams" } else { "InDatagrams" };
    let sink = Sink::start(&nets.place(Side::A), sink_words);
    let at = if sink.at.ip().is_unspecified() { SINK } else { sink.at };
    let before = counted(nets, moves);
    let client = blast(&nets.place(from), at, &format!("-t 600 -r 5k {words}"));
    let end = Instant::now() + PATIENCE;
    while counted(nets, moves) < before + MIDDLE {
        assert!(Instant::now() < end, "{words}: nothing moves");
    }
    sink.proc.kill9();
    let done = client.finish(NOTICED);
    done.expect_error(&[&at.to_string(), "for 2 s; start `udperf sink` there"]);
    assert!(!done.stderr.contains("panicked"), "{done:?}");
    assert_eq!(done.code, Some(1), "{done:?}");
    let report = done.document();
    assert_eq!(report["valid"], false, "{done:?}");
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), if words.contains("--bidir") { 2 } else { 1 }, "{done:?}");
    for cell in cells {
        assert_eq!(cell["cut_short_because"], "peer_lost", "{done:?}");
        let reasons = report["invalid_because"].as_array().unwrap();
        let is_of_cell = |one: &&Value| one["cell"] == cell["id"] && one["code"] == "peer_lost";
        assert_eq!(reasons.iter().filter(is_of_cell).count(), 1, "{done:?}");
        assert_eq!(interval_sum(cell, "sent"), number(cell, "ledger.sent"), "{done:?}");
        assert!(cell["ledger"]["lost"].is_null(), "{done:?}");
        if cell["direction"] == "reverse" {
            // What the sink sent is unknown, except for what sequence numbers showed.
            let received = number(cell, "ledger.received");
            let missing = number(cell, "ledger.sent") - received;
            assert!(received > 0 && missing >= dropped(nets).saturating_sub(1), "{done:?}");
            assert!(missing <= dropped(nets), "{done:?}");
            assert!(cell["tx"]["pps"].is_null() && cell["rx"]["pps"].is_f64(), "{done:?}");
            assert_eq!(number(cell, "latency.count"), received, "{done:?}");
            assert_eq!(interval_sum(cell, "received"), received, "{done:?}");
            assert!(cell["latency"]["p99_with_loss_ns"].is_null(), "{done:?}");
        } else {
            assert!(number(cell, "ledger.sent") >= MIDDLE && cell["rx"].is_null(), "{done:?}");
            assert!(cell["ledger"]["received"].is_null(), "{done:?}");
        }
    }
    // It reads back as it was written.
    let mut command = Command::new(env!("CARGO_BIN_EXE_udperf"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    std::fs::write(&path, &done.stdout).unwrap();
    let shown = command.arg("report").arg(&path).output().unwrap();
    assert_eq!(shown.status.code(), Some(5), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("the sink was lost"));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_client_hears_from_the_kernel_that_its_sink_is_gone() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    for words in ["-e plain", "-e plain --reverse", "-e plain --bidir", "-e batch"] {
        killed_in_the_middle(&nets, Side::B, "", words);
    }
    // The port is free for the next one.
    let sink = Sink::start(&nets.place(Side::A), "");
    still_serves(&nets.place(Side::B), SINK);
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn over_loopback_it_hears_so_too() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    killed_in_the_middle(&nets, Side::A, "-B 127.0.0.1", "-e plain");
    killed_in_the_middle(&nets, Side::A, "-B 127.0.0.1", "-e plain --reverse");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn gaps_in_the_numbers_of_a_lost_sink_count_as_sent() {
    let _together = together();
    let Some(nets) = Nets::make(&["iptables"]) else { return };
    nets.run(Side::A, RULE);
    for words in ["-e plain --reverse", "-e plain --reverse -P 5 -i 250ms"] {
        nets.run(Side::A, "iptables -Z INPUT");
        killed_in_the_middle(&nets, Side::A, "-B 127.0.0.1", words);
        assert!(dropped(&nets) > 50);
    }
}
