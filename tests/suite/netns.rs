//! Two network namespaces joined by a pair of devices: what really crosses a network. Needs root,
//! `unshare` and `ip`; where something is missing, each test says so loudly and passes.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::process::Command;

use common::{cells, number};
use serde_json::Value;

/// Makes and joins two namespaces, whose names are visible in this mount namespace only.
const SET_UP: &str = "\
set -e
mkdir -p /run/netns; mount -t tmpfs none /run/netns
ip netns add a; ip netns add b
ip link add v0 netns a type veth peer name v1 netns b
ip -n a addr add 10.9.0.1/24 dev v0; ip -n b addr add 10.9.0.2/24 dev v1
ip -n a addr add fd09::1/64 dev v0 nodad; ip -n b addr add fd09::2/64 dev v1 nodad
for n in a b; do ip -n $n link set lo up; done
ip -n a link set v0 up; ip -n b link set v1 up
A='ip netns exec a'; B='ip netns exec b'
until $A grep -qx up /sys/class/net/v0/operstate; do :; done
until $B grep -qx up /sys/class/net/v1/operstate; do :; done
rx() { $B cat /sys/class/net/v1/statistics/rx_packets; }
serve() {
  rm -f $T/said
  $B $U sink -q -J -p 7788 \"$@\" >$T/sink 2>$T/said &
  until grep -qs 'sink on' $T/said; do :; done
}
";

/// What a script prints there.
fn between_two(script: &str) -> Option<Vec<String>> {
    common::in_namespaces(SET_UP, script).map(|(parts, _)| parts)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Whether no datagram of this one cell was lost; how many were sent.
fn all_arrived(report: &Value) -> u64 {
    let [cell] = cells(report) else { panic!("one cell") };
    common::check(cell, "between two namespaces");
    assert_eq!(number(cell, "ledger.lost"), 0);
    assert_eq!(number(cell, "ledger.received"), number(cell, "ledger.sent"));
    number(cell, "ledger.sent")
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_path_on_which_nothing_arrives_is_no_result() {
    // Frames to an address of nobody: the other end's device drops them.
    let bench =
        "$A $U bench --to 10.9.0.2 --to-netns b -l 200 -e plain -n 100 -r 10k --warmup 0 -q";
    let Some(parts) = between_two(&format!(
        "ip -n a neigh replace 10.9.0.2 lladdr 02:00:00:00:00:99 dev v0 nud permanent
         code=0; {bench} -J --max-missed 100% || code=$?; echo ====; echo $code
         code=0; {bench} --fail-if 'sent<0' >/dev/null 2>&1 || code=$?; echo $code"
    )) else {
        return;
    };
    let report = json(&parts[0]);
    let [cell] = cells(&report) else { panic!("one cell") };
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.received")), (100, 0));
    assert_eq!((&report["valid"], parts[1].as_str()), (&false.into(), "5\n5\n"));
    assert_eq!(report["invalid_because"][0]["code"], "nothing_arrived", "{report}");
}

#[test]
fn what_is_sent_to_another_namespace_crosses_the_devices() {
    let flags = "-l 200 -e plain -n 2000 -r 20k --warmup 0 -q -J";
    let script = format!(
        "rx; echo ====
         $A $U bench -B 10.9.0.1 --to 10.9.0.2 --to-netns b {flags}; echo ====
         rx; echo ====
         serve --once; $A $U blast 10.9.0.2 {flags}; wait; echo ====
         rx; echo ====
         $A $U bench --to fd09::2 --to-netns /run/netns/b {flags}; echo ====
         rx"
    );
    let Some(parts) = between_two(&script) else { return };
    let rx = |part: usize| parts[part].trim().parse::<u64>().unwrap();
    // One process, then two, then the other family: the same path, and the same ledger.
    for (before, report) in [(0, 1), (2, 3), (4, 5)] {
        let report = json(&parts[report]);
        assert_eq!(all_arrived(&report), 2_000);
        assert!(rx(before + 2) - rx(before) >= 2_000);
        let kernel = &cells(&report)[0]["kernel"];
        assert!(kernel["in_datagrams"].as_u64().unwrap() >= 2_000, "the receivers': {kernel}");
        let codes = common::codes(&report);
        assert!(!codes.contains(&"over_loopback".to_owned()), "{codes:?}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn auto_goes_by_whether_the_path_cuts() {
    let flags = "-l 200 -n 500 --warmup 0 -q -J";
    let script = format!(
        "serve --once; $A $U blast 10.9.0.2 -e auto {flags} -r 5k; wait; echo ====
         $A $U bench -B 10.9.0.1 --to 10.9.0.2 --to-netns b -e auto {flags} -r 5k; echo ====
         ip -n a link set v0 gso_max_segs 1
         serve --once; $A $U blast 10.9.0.2 -e auto {flags} -r max; wait"
    );
    let Some(parts) = between_two(&script) else { return };
    let engines = |choice: &Value, list: &str| -> Vec<String> {
        let all = choice[list].as_array().unwrap().iter();
        all.map(|one| one["engine"].as_str().unwrap().to_owned()).collect()
    };
    for part in &parts[..2] {
        let choice = &json(part)["choice"];
        assert_eq!(engines(choice, "left_out"), ["offload"], "{choice}");
        assert_ne!(choice["engine"], "offload");
    }
    // Split before they leave: what arrives are single datagrams, so offload takes part.
    let choice = &json(&parts[2])["choice"];
    assert_eq!(engines(choice, "left_out"), [""; 0], "{choice}");
    assert!(engines(choice, "trials").contains(&"offload".to_owned()), "{choice}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn sizes_that_do_not_fit_the_path_are_named() {
    let flags = "-l 64,1472 -e plain -n 50 -r 1k --warmup 0 -q -J";
    let script = format!(
        "ip -n a link set v0 mtu 1280; ip -n b link set v1 mtu 1280
         run() {{ $A $U bench -B 10.9.0.1 --to 10.9.0.2 --to-netns b {flags} $* || :; }}
         run; echo ====
         run --df; echo ====
         $B nft 'table ip t {{ chain c {{ type filter hook prerouting priority -450; \
           ip frag-off & 0x3fff != 0 counter drop; }}; }}'
         run"
    );
    let Some(parts) = between_two(&script) else { return };
    let told = |part: usize, code: &str| {
        let report = json(&parts[part]);
        assert_eq!(report["path_mtu"], 1_280);
        let warnings = report["warnings"].as_array().unwrap().clone();
        let found = warnings.into_iter().find(|one| one["code"] == code)?;
        Some(found["message"].as_str().unwrap().to_owned())
    };
    let fragmented = told(0, "fragmented").unwrap();
    assert!(fragmented.starts_with("1472 B sent in 2 fragments at MTU 1280"), "{fragmented}");
    assert!(fragmented.contains("--size 1252"), "{fragmented}");
    assert_eq!(told(0, "large_lost"), None);
    assert_eq!(told(1, "fragmented"), None, "refused, not fragmented");
    let lost = told(2, "large_lost").unwrap();
    assert!(lost.starts_with("no datagram of 1472 B or more arrived, but 64 B did"), "{lost}");
}

#[test]
fn what_a_narrow_queue_drops_is_refused_or_lost_there() {
    let has_tc = Command::new("tc").arg("-V").output().is_ok_and(|run| run.status.success());
    if !has_tc {
        return common::skip::missing("no tc");
    }
    for engine in ["plain", "batch", "gso/batch"] {
        // Nothing else is on that wire: no neighbours are asked for, and none of IPv6.
        let script = format!(
            "$A sh -c 'echo 1 > /proc/sys/net/ipv6/conf/v0/disable_ipv6'
             ip -n a neigh replace 10.9.0.2 dev v0 nud permanent \
               lladdr $($B cat /sys/class/net/v1/address)
             $A tc qdisc add dev v0 root tbf rate 20mbit burst 16k limit 40k
             $A $U bench -B 10.9.0.1 --to 10.9.0.2 --to-netns b -l 777 -e {engine} -n 2000 \
               -r max --warmup 0 -q -J; echo ====
             $A tc -s qdisc show dev v0"
        );
        let Some(parts) = between_two(&script) else { return };
        let report = json(&parts[0]);
        let [cell] = cells(&report) else { panic!("one cell") };
        common::check(cell, engine);
        let rest = parts[1].split_once("dropped ").unwrap().1;
        let dropped: u64 = rest.split(',').next().unwrap().parse().unwrap();
        let id = format!("{engine}: {dropped} dropped, {}", cell["ledger"]);
        // Of a later datagram of a call, the kernel keeps the reason to itself.
        let refused =
            number(cell, "ledger.refused.no_buffers") + number(cell, "ledger.refused.other");
        assert!(dropped > 0, "{id}");
        assert_eq!(refused + number(cell, "ledger.lost_at.qdisc"), dropped, "{id}");
        assert_eq!(cell["ledger"]["shared"], Value::Array(Vec::new()), "{id}");
    }
}

#[test]
fn between_two_addresses_of_one_host_nothing_crosses_a_device() {
    let script = "rx; echo ====
         $A $U bench -B 10.9.0.1 -l 64 -e plain -n 1000 -r 20k --warmup 0 -q -J; echo ====
         rx";
    let Some(parts) = between_two(script) else { return };
    let report = json(&parts[1]);
    assert_eq!(all_arrived(&report), 1_000);
    assert!(common::codes(&report).contains(&"over_loopback".to_owned()));
    let rx = |part: usize| parts[part].trim().parse::<u64>().unwrap();
    assert!(rx(2) - rx(0) < 1_000);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn groups_and_broadcast_reach_the_other_side() {
    let flags = "--no-peer -r 10k -n 300 --warmup 0 -q";
    // A link-local address of its own needs a moment that nobody announces; this one does not.
    let script = format!(
        "ip -n a addr add fe80::9/64 dev v0 nodad
         serve --join ff02::4d9e%v1 --idle-timeout 3
         $A $U blast '[ff02::4d9e%v0]' {flags} >/dev/null; wait; cat $T/sink; echo ====
         serve --join 239.1.2.3%v1 --idle-timeout 3
         $A $U blast 239.1.2.3 --dev v0 {flags} >/dev/null; wait; cat $T/sink; echo ====
         serve --idle-timeout 3
         $A $U blast 10.9.0.255 --broadcast {flags} >/dev/null
         $A $U blast 255.255.255.255 --broadcast --dev v0 {flags} >/dev/null; wait; cat $T/sink"
    );
    let Some(parts) = between_two(&script) else { return };
    for (part, expected) in parts.iter().zip([300, 300, 600]) {
        assert_eq!(number(&json(part), "others.datagrams"), expected, "{parts:?}");
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn ten_thousand_flows_have_a_port_each() {
    let script = "serve --once
         $A $U blast 10.9.0.2 -P 10000 --port-range 20000-40000 -e plain -n 20000 -r 20k \
             --warmup 0 -q -J; wait";
    // A process needs a file for each, and some beside them.
    let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output().unwrap();
    let limit = String::from_utf8(limit.stdout).unwrap();
    if limit.trim().parse::<u64>().is_ok_and(|limit| limit < 10_100) {
        return common::skip::unavailable(format_args!("the hard limit of open files is {limit}"));
    }
    let Some(parts) = between_two(script) else { return };
    let report = json(&parts[0]);
    let [cell] = cells(&report) else { panic!("one cell") };
    common::check(cell, "ten thousand flows");
    assert_eq!(number(cell, "streams"), 10_000);
    assert_eq!(number(cell, "ledger.sent"), 20_000);
    assert_eq!(number(cell, "ledger.foreign"), 0);
}

#[test]
fn the_device_on_the_way_is_told_at_both_ends() {
    let flags = "-l 200 -e plain -n 100 -r 20k --warmup 0 -q -J";
    let script = format!(
        "ip -n a link set v0 mtu 1400; ip -n b link set v1 mtu 1400
         $A $U bench -B 10.9.0.1 --to 10.9.0.2 --to-netns b {flags}; echo ====
         serve --once; $A $U blast 10.9.0.2 {flags}; wait; echo ====
         cat $T/sink; echo ====
         serve --once -B 10.9.0.2; $A $U blast 10.9.0.2 {flags} >/dev/null; wait; cat $T/sink
         echo ====
         $A $U bench -B 10.9.0.1 {flags}; echo ====
         ip netns exec a tc qdisc show dev v0 2>/dev/null || true"
    );
    let Some(parts) = between_two(&script) else { return };
    let is = |device: &Value, name: &str| {
        assert_eq!(device["name"], name, "{device}");
        assert_eq!((&device["mtu"], &device["driver"]), (&1_400.into(), &"veth".into()));
        assert!(device["qdisc"].is_string(), "{device}");
        assert!(device["rx_queues"].as_u64() >= Some(1) && device["tx_queues"].as_u64() >= Some(1));
        let masks = device["rps_cpus"].as_array().unwrap().len();
        assert_eq!(Some(masks as u64), device["rx_queues"].as_u64());
        assert!(device["offloads"]["tx-udp-segmentation"].is_boolean(), "{device}");
    };
    is(&json(&parts[0])["host"]["device"], "v0");
    let blast = json(&parts[1]);
    is(&blast["host"]["device"], "v0");
    // Bound to any address, a sink knows the way to each client, and no device of its own.
    is(&blast["host"]["peer"]["device"], "v1");
    assert!(json(&parts[2])["host"]["device"].is_null());
    is(&json(&parts[3])["host"]["device"], "v1");
    // What a host sends to itself passes none but loopback.
    assert_eq!(json(&parts[4])["host"]["device"]["name"], "lo");
    if let Some(rest) = parts[5].strip_prefix("qdisc ") {
        let kind = rest.split_whitespace().next().unwrap();
        assert_eq!(blast["host"]["device"]["qdisc"], kind);
    }
}

#[test]
fn a_namespace_that_cannot_be_entered_is_named() {
    let run = |netns: &str| {
        let words = "bench --to 127.0.0.1 -e plain -l 64 -n 1 --warmup 0 -q --to-netns";
        let output = common::run(&format!("{words} {netns}"));
        (output.status.code(), common::stderr(&output))
    };
    let (code, error) = run("no-such-udperf-namespace");
    assert_eq!(code, Some(1));
    assert!(error.contains("/run/netns/no-such-udperf-namespace"), "{error}");
    assert!(error.contains("ip netns add"), "{error}");
    let (code, error) = run("/dev/null");
    assert_eq!(code, Some(1));
    assert!(error.contains("cannot enter the network namespace /dev/null"), "{error}");
}
