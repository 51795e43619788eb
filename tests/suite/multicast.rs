//! A sink that has joined multicast groups counts what is missing by source and group. In a network
//! namespace, where a script sends numbered datagrams over loopback.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use common::number;
use serde_json::Value;

/// Loopback has two sources, ports 5001 and 5002, and the way to all groups.
const LOOPBACK: &str = "\
    set -e
    command -v python3 ss >/dev/null
    ip link set lo up; ip link set lo multicast on; ip route add 224.0.0.0/4 dev lo
    ip addr add 10.9.0.1/32 dev lo; ip addr add 10.9.0.2/32 dev lo
    serve() {
        $U sink -q --idle-timeout 30 $* > $T/out 2>/dev/null & SINK=$!
        until ss -lun | grep -q :7788; do :; done
    }
    end() { kill -INT $SINK; wait $SINK || true; cat $T/out; echo ====; }";

/// Sends the numbers of the header (udperf's `wire`) from a source to a group; `other` has a member
/// that is not the sink.
const SEND: &str = r#"
import socket, struct
DECODE, BY_TIME, FIELD = 0xBB67AE8584CB, 0x9523AE4547A1, (1 << 48) - 1
def numbered(sequence):
    due = 1000 * sequence
    coded = (sequence + due * BY_TIME) * pow(DECODE, -1, 1 << 48) & FIELD
    return struct.pack(">HH", 2, 0) + due.to_bytes(6, "little") + coded.to_bytes(6, "little") + bytes(48)
def send(source, port, group, sequences):
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as tx:
        if kind == socket.AF_INET6:
            tx.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("d0"))
        else:
            tx.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
            tx.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        tx.bind((source, port))
        for sequence in sequences:
            tx.sendto(numbered(sequence), (group, 7788))
"#;

/// The entry of each source and group: unique, lost, duplicate, reordered.
fn sequences(sink: &Value) -> Vec<(String, [u64; 4])> {
    let entry = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or("none").to_owned();
        let count = |name| number(one, &format!("sequences.{name}"));
        let counts = ["unique", "lost", "duplicate", "reordered"].map(count);
        (format!("{} {}", text("from"), text("group")), counts)
    };
    let mut all: Vec<_> = sink["others"]["sources"].as_array().unwrap().iter().map(entry).collect();
    all.sort();
    all
}

#[test]
fn a_member_counts_gaps_by_source_and_group() {
    let script = format!(
        "send() {{ python3 - <<'END'\n{SEND}
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
member = socket.inet_aton('239.9.9.9') + socket.inet_aton('10.9.0.1')
other.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
send('10.9.0.1', 5001, '239.1.2.3', [0, 1, 2, 5, 4, 4, 9])
send('10.9.0.1', 5001, '239.1.2.4', [0, 1, 2])
send('10.9.0.1', 5001, '232.1.2.3', [0, 3])
send('10.9.0.2', 5002, '232.1.2.3', [0, 1, 2])
send('10.9.0.2', 5002, '239.1.2.3', [0, 1])
send('10.9.0.2', 5002, '239.9.9.9', [0, 1])
END
}}
JOIN='--join 239.1.2.3%lo --join 239.1.2.4%lo --join 10.9.0.1@232.1.2.3%lo'
serve -4 -J $JOIN; send; end
serve -4 $JOIN; send; end
serve -4 -J --join 239.1.2.3 --dev lo --html $T/page
$U blast 239.1.2.3 --no-peer --dev lo --ttl 1 -B 10.9.0.2 -n 100 -r 5k --warmup 0 -q >/dev/null
end; cat $T/page"
    );
    let Some((found, error)) = common::in_namespaces(LOOPBACK, &script) else { return };
    let [counts, text, blast, page] = &found[..] else { panic!("{found:?}\n{error}") };
    let sink: Value = serde_json::from_str(counts).unwrap();
    let expected = [
        ("10.9.0.1:5001 232.1.2.3", [2, 2, 0, 0]),
        ("10.9.0.1:5001 239.1.2.3", [6, 4, 1, 1]),
        ("10.9.0.1:5001 239.1.2.4", [3, 0, 0, 0]),
        ("10.9.0.2:5002 239.1.2.3", [2, 0, 0, 0]),
    ];
    let expected = expected.map(|(name, counts)| (name.to_owned(), counts));
    assert_eq!(sequences(&sink), expected, "{sink}");
    assert_eq!(number(&sink, "others.datagrams"), 14, "{sink}");
    let rows: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let row = |part: &str| rows.iter().find(|row| row.starts_with(part)).unwrap();
    let title = "source group datagrams bytes sizes longest gap unique lost duplicate reordered";
    assert!(rows.contains(&title.to_owned()), "{text}");
    assert!(row("10.9.0.1:5001 239.1.2.3 7 448 64").ends_with(" 6 4 1 1"), "{text}");
    let sink: Value = serde_json::from_str(blast).unwrap();
    let [(_, counts)] = &sequences(&sink)[..] else { panic!("{sink}") };
    assert_eq!(*counts, [100, 0, 0, 0], "{sink}");
    assert_eq!(sink["others"]["sources"][0]["group"], "239.1.2.3");
    assert!(page.contains(" to 239.1.2.3"), "{page}");
}

#[test]
fn a_member_of_ipv6_gets_the_datagrams_of_its_sources_only() {
    // The kernel routes no group of IPv6 to loopback.
    let set_up = format!(
        "{LOOPBACK}
        ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
        ip addr add fd00:9::1/64 dev d0 nodad; ip addr add fd00:9::2/64 dev d0 nodad"
    );
    let script = format!(
        "serve -6 -J --join fd00:9::1@ff35::7%d0 --join ff15::7%d0
python3 - <<'END'\n{SEND}
send('fd00:9::1', 5001, 'ff35::7', [0, 2])
send('fd00:9::2', 5002, 'ff35::7', [0, 1])
send('fd00:9::2', 5002, 'ff15::7', [0, 3, 3])
END
end"
    );
    let Some((found, _)) = common::in_namespaces(&set_up, &script) else { return };
    let sink: Value = serde_json::from_str(&found[0]).unwrap();
    let expected =
        [("[fd00:9::1]:5001 ff35::7", [2, 1, 0, 0]), ("[fd00:9::2]:5002 ff15::7", [2, 2, 1, 0])];
    let expected = expected.map(|(name, counts)| (name.to_owned(), counts));
    assert_eq!(sequences(&sink), expected, "{sink}");
}

#[test]
fn groups_that_cannot_be_joined_are_refused() {
    for (words, part) in [
        ("--join 10.0.0.1@10.0.0.2", "invalid multicast group '10.0.0.2'"),
        ("--join x@232.1.2.3", "invalid source 'x' of 232.1.2.3"),
        ("--join ::1@232.1.2.3", "invalid source '::1' of 232.1.2.3"),
        ("--join 239.1.1.1@232.1.2.3", "invalid source '239.1.1.1'"),
        ("--join 239.1.2.3 --join 239.1.2.3", "--join 239.1.2.3 is given twice"),
        ("--join 10.0.0.1@239.1.2.3 --join 239.1.2.3", "--join 239.1.2.3 is given twice"),
        ("-B 239.1.2.3 --join 239.1.2.3 --join 239.1.2.4", "receives no datagrams of that group"),
    ] {
        let output = common::run(&format!("sink {words}"));
        let error = common::stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words}: {error}");
        assert!(error.contains(part), "{words}: {error}");
    }
}
