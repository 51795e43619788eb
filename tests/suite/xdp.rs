//! The engine `xdp` in namespaces: what it refuses before anything is sent, what is left after a
//! kill, and requests. Needs root, `unshare` and `ip`, and for requests NSD.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use common::{cells, number};
use serde_json::Value;

/// Makes and joins two namespaces, whose names are visible in this mount namespace only. `t0` is a
/// tunnel.
const SET_UP: &str = "\
set -e
mkdir -p /run/netns; mount -t tmpfs none /run/netns
ip netns add a; ip netns add b
ip link add v0 netns a type veth peer name v1 netns b
ip -n a addr add 10.9.0.1/24 dev v0; ip -n b addr add 10.9.0.2/24 dev v1
for n in a b; do ip -n $n link set lo up; done
ip -n a link set v0 up; ip -n b link set v1 up
ip -n a tuntap add mode tun name t0; ip -n a addr add 10.10.0.1/24 dev t0; ip -n a link set t0 up
A='ip netns exec a'; B='ip netns exec b'
until $A grep -qx up /sys/class/net/v0/operstate; do :; done
until $B grep -qx up /sys/class/net/v1/operstate; do :; done
fails() { code=0; \"$@\" >/dev/null 2>$T/said || code=$?; echo $code; cat $T/said; echo ====; }
";

/// Makes their devices again, with two queues each.
const TWO_QUEUES: &str = "\
ip -n a link del v0
ip link add v0 netns a numrxqueues 2 numtxqueues 2 type veth \
    peer name v1 netns b numrxqueues 2 numtxqueues 2
ip -n a addr add 10.9.0.1/24 dev v0; ip -n b addr add 10.9.0.2/24 dev v1
ip -n a link set v0 up; ip -n b link set v1 up
until $A grep -qx up /sys/class/net/v0/operstate; do :; done
";

/// The parts of what a script prints there; `None` where the engine or a tool is missing.
fn between_two(script: &str) -> Option<Vec<String>> {
    if !common::available(&[("xdp", &["xdp"])]).contains(&"xdp") {
        return None;
    }
    common::in_namespaces_as_root(SET_UP, script).map(|(parts, _)| parts)
}

/// The document of a bench between the namespaces, during which `change` happens.
fn changed_in_mid_run(bench: &str, change: &str) -> Option<Value> {
    let parts = between_two(&format!(
        "$A $U bench --to 10.9.0.2 --to-netns b {bench} -l 64 --warmup 0 -q -J --max-missed 100% \\
             >$T/json & PID=$!
         packets() {{ $B cat /sys/class/net/v1/statistics/rx_packets; }}
         until [ $(packets) -gt 50 ]; do kill -0 $PID; done
         {change}
         wait $PID || true
         cat $T/json"
    ))?;
    Some(serde_json::from_str(&parts[0]).unwrap())
}

#[test]
fn what_it_cannot_do_is_refused_before_anything_is_sent() {
    let Some(parts) = between_two(
        "BENCH='bench --to 10.9.0.2 --to-netns b -n 10 -r 1k --warmup 0 -q'
         BLAST='blast --no-peer -n 10 -r 1k --warmup 0 -q -l 64'
         fails $A $U bench -e xdp/plain -l 64 -n 10 -r 1k --warmup 0 -q
         fails $A $U bench -B 10.9.0.1 -e plain/xdp -l 64 -n 10 -r 1k --warmup 0 -q
         fails $A $U $BENCH -e xdp/plain -l 1473
         fails $A $U $BENCH -e plain/xdp -l 1473
         fails $A $U $BENCH -e xdp/plain -l 64 --xdp-queue 900
         fails $A $U $BENCH -e plain/xdp -l 64 --xdp-queue 900
         fails $A $U $BENCH -e xdp/plain -l 64 --threads 64
         fails $A $U $BLAST -e xdp 10.10.0.2:9
         fails $A $U $BLAST -e xdp 10.9.0.77:9
         fails $A $U $BLAST -e xdp 10.9.0.1:9
         fails $A setpriv --bounding-set=-all $U $BLAST -e xdp 10.9.0.2:9
         LOAD='load 10.9.0.2:53 --preset dns --name a.example -e xdp -r 1k -n 10'
         fails $A $U $LOAD --threads 2
         fails $A $U $LOAD --dev lo
         fails $A $U bench --to 10.9.0.2 --to-netns b --dev lo -e plain/xdp -l 64 -n 10 -r 1k
         fails $A $U $LOAD --xdp-queue 0-x
         fails sh -c \"mount -t tmpfs none /proc; exec $A $U $BENCH -l 64 -e plain/xdp\"",
    ) else {
        return;
    };
    let expected = [
        "2\n|which loopback joins; use --to ADDR --to-netns NAME",
        "2\n|which loopback joins; use --to ADDR --to-netns NAME",
        "1\n|1501 bytes exceed the MTU of v0 (1500)",
        "1\n|1501 bytes exceed the MTU of v1 (1500), and it cannot receive fragments",
        "1\n|there is no such queue",
        "1\n|there is no such queue",
        "1\n|64 threads need a queue each",
        "1\n|10.10.0.2 leaves by t0, which is not an Ethernet device",
        "1\n|no MAC address of 10.9.0.77 on v0",
        "1\n|10.9.0.1 is an address of this host, which loopback reaches without Ethernet",
        "1\n|setcap cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock+ep",
        "1\n|2 threads need a queue each, and v0 has 1 to use",
        "1\n|10.9.0.2 leaves by lo, which is not an Ethernet device",
        "1\n|lo is not an Ethernet device; use another engine",
        "2\n|invalid queue '0-x'; use 0 to 1023, or a range such as 0-3",
        "1\n|cannot read /proc/thread-self/ns/net",
    ];
    for (part, expected) in parts.iter().zip(expected) {
        let (code, text) = expected.split_once('|').unwrap();
        assert!(part.starts_with(code) && part.contains(text), "{expected}: {part}");
    }
    assert_eq!(parts.len(), expected.len() + 1, "{parts:?}");
}

#[test]
fn a_device_has_one_program_which_ends_with_its_process() {
    let Some(parts) = between_two(
        "BENCH='bench --to 10.9.0.2 --to-netns b -e plain/xdp -l 64 -r 1k --warmup 0 -q'
         $A $U $BENCH -t 60 >/dev/null 2>&1 & FIRST=$!
         attached() { ip -n b -d link show v1 | grep -q prog/xdp; }
         until attached; do kill -0 $FIRST; done
         fails $A $U $BENCH -n 10
         kill -9 $FIRST; wait $FIRST || true
         attached && echo left || echo gone
         echo ====
         $A $U $BENCH -n 10 -J
         attached && exit 1; true",
    ) else {
        return;
    };
    let second = &parts[0];
    assert!(second.starts_with("1\n") && second.contains("another XDP program"), "{second}");
    assert_eq!(parts[1].trim(), "gone");
    let report: Value = serde_json::from_str(&parts[2]).unwrap();
    let [cell] = cells(&report) else { panic!("one cell") };
    assert_eq!(number(cell, "ledger.received"), 10, "the next run works");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_device_that_vanishes_makes_the_target_unreachable() {
    let change = "ip -n a link del v0";
    let Some(report) = changed_in_mid_run("-e xdp -r 1k -t 3", change) else { return };
    let [cell] = cells(&report) else { panic!("one cell") };
    let ledger = &cell["ledger"];
    assert!(number(cell, "ledger.refused.unreachable") > 0, "{ledger}");
    assert_eq!(number(cell, "ledger.refused.other"), 0, "{ledger}");
    let (sent, received) = (number(cell, "ledger.sent"), number(cell, "ledger.received"));
    assert!(sent > 0 && sent == received + number(cell, "ledger.lost"), "{ledger}");
}

#[test]
fn loss_at_a_queue_that_is_not_read_has_a_hint() {
    // The kernel spreads 64 flows over both queues.
    let Some(parts) = between_two(&format!(
        "{TWO_QUEUES}
         $A $U bench --to 10.9.0.2 --to-netns b -e plain/xdp --xdp-queue 1 -l 64 -P 64 -r 2k \
             -n 640 --warmup 0 --max-missed 100% -q -J || true",
    )) else {
        return;
    };
    let report: Value = serde_json::from_str(&parts[0]).unwrap();
    let [cell] = cells(&report) else { panic!("one cell") };
    let ledger = &cell["ledger"];
    let (sent, received) = (number(cell, "ledger.sent"), number(cell, "ledger.received"));
    let lost = number(cell, "ledger.lost");
    assert!(received > 0 && lost > 0 && sent == received + lost, "{ledger}");
    assert_eq!(number(cell, "ledger.unaccounted"), lost, "{ledger}");
    let warnings = cell["warnings"].as_array().unwrap();
    let hint = warnings.iter().find(|one| one["code"] == "lost_between").unwrap();
    assert!(hint.to_string().contains("see --xdp-queue"), "{hint}");
}

#[test]
fn flags_choose_mode_and_queue() {
    let Some(parts) = between_two(
        "BENCH='bench --to 10.9.0.2 --to-netns b -e xdp -l 64 -r 1k --warmup 0 -q -J'
         for mode in generic native auto; do
           $A $U $BENCH -t 60 --xdp-mode $mode --xdp-queue 0 >/dev/null 2>&1 & PID=$!
           until ip -n b -d link show v1 | grep prog/xdp >/dev/null; do kill -0 $PID; done
           ip -n b link show v1 | grep -o 'xdp[a-z]*' | head -1
           kill -9 $PID; wait $PID || true
         done
         echo ====
         $A $U $BENCH -n 100 --xdp-mode generic --xdp-queue 0",
    ) else {
        return;
    };
    assert_eq!(parts[0], "xdpgeneric\nxdp\nxdp\n");
    let report: Value = serde_json::from_str(&parts[1]).unwrap();
    let asked = &report["scenario"]["xdp"];
    assert_eq!((&asked["mode"], &asked["queues"][0]), (&"generic".into(), &0.into()), "{asked}");
    let [cell] = cells(&report) else { panic!("one cell") };
    assert_eq!(number(cell, "ledger.received"), 100);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn frames_follow_a_next_hop_that_changes_its_address() {
    let change = "ip -n b link set v1 address 02:00:00:00:00:99
         ip -n a neighbour replace 10.9.0.2 lladdr 02:00:00:00:00:99 dev v0";
    let bench = "-e xdp/plain -r 1k -n 9000 -i 1";
    let Some(report) = changed_in_mid_run(bench, change) else { return };
    let [cell] = cells(&report) else { panic!("one cell") };
    let [sent, received, lost] =
        ["sent", "received", "lost"].map(|field| number(cell, &format!("ledger.{field}")));
    assert_eq!((sent, received + lost), (9_000, 9_000), "{}", cell["ledger"]);
    assert!(lost > 0, "frames to the old address: {}", cell["ledger"]);
    let intervals = cell["intervals"].as_array().unwrap();
    let by_interval: Vec<_> = intervals.iter().map(|one| number(one, "lost")).collect();
    assert_eq!(by_interval.iter().sum::<u64>(), lost, "{by_interval:?}");
    // The address is asked for every second, and this cell takes nine.
    assert_eq!(by_interval.last(), Some(&0), "{by_interval:?}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn requests_to_nsd_are_all_answered() {
    if std::process::Command::new("nsd").arg("-v").output().is_err() {
        return common::skip::missing("nsd");
    }
    let conf = "server:\\n ip-address: 10.9.0.2@5353\\n do-ip6: no\\n server-count: 1\\n \
        username: \\\"\\\"\\n chroot: \\\"\\\"\\n zonesdir: \\\"$T\\\"\\n pidfile: \\\"$T/pid\\\"\\n \
        xfrdfile: \\\"$T/xfrd\\\"\\n database: \\\"\\\"\\n zonelistfile: \\\"$T/zones\\\"\\n \
        rrl-ratelimit: 0\\nremote-control:\\n control-enable: no\\nzone:\\n \
        name: example.test\\n zonefile: zone\\n";
    let Some(parts) = between_two(&format!(
        "{TWO_QUEUES}
         printf \"{conf}\" > $T/conf
         printf '$ORIGIN example.test.\\n$TTL 60\\n@ IN SOA n r 1 60 60 60 60\\n@ IN NS n\\n\
         n IN A 10.9.0.2\\nwww IN A 10.9.0.2\\n' > $T/zone
         $B nsd -d -c $T/conf 2>$T/nsd & NSD=$!
         until $B ss -lun | grep -q :5353; do kill -0 $NSD; done
         LOAD='load 10.9.0.2:5353 --preset dns --name www.example.test --warmup 0 -q -J --max-missed 100%'
         for more in '-e xdp -r 2k -n 2000' '-e xdp --outstanding 16 -n 2000' \
                     '-e xdp/plain -r 2k -n 1000' '-e xdp -P 16 -r 2k -n 2000' \
                     '-e xdp/batch --threads 2 -P 8 -r 2k -n 2000' \
                     '-e xdp --threads 2 -P 8 -r 2k -n 2000' \
                     '-e xdp --threads 2 -P 8 --outstanding 16 -n 2000'; do
           $A $U $LOAD $more || cat $T/nsd; echo ====
         done
         kill $NSD"
    )) else {
        return;
    };
    let counts = [2_000, 2_000, 1_000, 2_000, 2_000, 2_000, 2_000];
    for (part, count) in parts.iter().zip(counts) {
        let report: Value =
            serde_json::from_str(part).unwrap_or_else(|error| panic!("{error}: {part}"));
        let [cell] = cells(&report) else { panic!("one cell") };
        let ledger = &cell["ledger"];
        let threads = number(cell, "threads");
        let queues = cell["tx"]["xdp"]["queues"].as_array().unwrap();
        assert_eq!(queues.len() as u64, threads, "a queue for each thread: {queues:?}");
        assert_eq!(number(cell, "ledger.sent"), count, "{ledger}");
        assert_eq!(number(cell, "ledger.received"), count, "{ledger}");
        assert_eq!(number(cell, "ledger.foreign"), 0, "{ledger}");
        let warnings = &cell["warnings"];
        let codes: Vec<_> = warnings.as_array().unwrap().iter().map(|one| &one["code"]).collect();
        assert!(codes.iter().all(|code| *code != "kernel_mismatch"), "{codes:?}");
    }
    assert_eq!(parts.len(), counts.len() + 1);
}
