//! `udperf doctor TARGET`: over loopback, and across a router with a smaller MTU, where the path MTU,
//! the ICMP errors and the neighbour are known.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::net::UdpSocket;
use std::process::Command;

use common::serving::Serving;
use serde_json::{Value, json};

/// The document of a check, which succeeds whatever it finds.
#[track_caller]
fn doctor(target: &str) -> Value {
    let output = common::run(&format!("doctor {target} -J"));
    assert_eq!(output.status.code(), Some(0), "{target}: {}", common::stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["schema"], &document["kind"]), (&"udperf/1".into(), &"doctor".into()));
    document
}

#[test]
fn flags_that_a_check_does_not_use_are_refused() {
    for (words, part) in [
        ("-4", "give a TARGET"),
        ("-6", "give a TARGET"),
        ("127.0.0.1 --threads 2", "cannot be used with"),
        ("127.0.0.1 -w 1M", "cannot be used with"),
    ] {
        let output = common::run(&format!("doctor {words}"));
        let text = common::stderr(&output);
        assert!(output.status.code() == Some(2) && text.contains(part), "{words}: {text}");
    }
}

/// The grade of each check by subject.
fn grades(document: &Value) -> Value {
    let checks = document["checks"].as_array().unwrap().iter();
    checks.map(|one| (one["subject"].as_str().unwrap().to_owned(), one["grade"].clone())).collect()
}

#[test]
fn says_what_a_target_is() {
    // A reply that is late is asked for again.
    let _alone = common::alone();
    let sink = Serving::start("-B 127.0.0.1");
    let document = doctor(&format!("127.0.0.1:{}", sink.port));
    let path = &document["path"];
    assert_eq!(path["target"], "sink", "{path}");
    assert_eq!((&path["device"], &path["source"]), (&"lo".into(), &"127.0.0.1".into()));
    assert_eq!((&path["rtt"]["sent"], &path["rtt"]["answered"]), (&5.into(), &5.into()));
    assert_eq!((&path["mtu"]["bytes"], &path["mtu"]["is_proved"]), (&65_535.into(), &true.into()));
    assert_eq!((&path["clock"]["same"], &path["icmp"]), (&true.into(), &json!([])));
    assert_eq!(path["datagrams"], 6, "five pings and the largest datagram: {path}");
    // The sink counts them: nothing else was sent to it.
    let sunk = sink.end();
    assert_eq!(sunk["others"]["datagrams"], 6, "{sunk}");
    assert_eq!(sunk["others"]["size_max"], 65_507, "{sunk}");

    let echo = Serving::of("echo", "-B 127.0.0.1");
    let path = doctor(&format!("127.0.0.1:{}", echo.port))["path"].take();
    assert_eq!((&path["target"], &path["clock"]), (&"echo".into(), &Value::Null), "{path}");
    assert_eq!(path["mtu"]["bytes"], 65_535, "{path}");
    echo.end();

    let document = doctor(&common::ports::closed().to_string());
    let path = &document["path"];
    assert_eq!((&path["target"], &path["rtt"]), (&"refused".into(), &Value::Null), "{path}");
    let icmp = &path["icmp"][0];
    assert_eq!((&icmp["code"], &icmp["from"]), (&"ICMP 3/3".into(), &"127.0.0.1".into()));
    assert_eq!(
        (&icmp["meaning"], &grades(&document)["target"]),
        (&"port unreachable".into(), &"bad".into())
    );

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let path = doctor(&silent.local_addr().unwrap().to_string())["path"].take();
    assert_eq!((&path["target"], &path["rtt"]), (&"silent".into(), &Value::Null), "{path}");
    let unknown = json!({
        "bytes": null, "is_proved": null, "at_least": null, "at_most": 65_535, "vanish": null,
        "fragments_arrive": null
    });
    assert_eq!((&path["mtu"], &path["icmp"]), (&unknown, &json!([])));
    let mut got = 0;
    silent.set_nonblocking(true).unwrap();
    while silent.recv(&mut [0; 16]).is_ok() {
        got += 1;
    }
    assert_eq!(path["datagrams"], got, "{path}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_sink_with_a_key_shows_itself_to_those_who_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let [key, other] = ["key", "other"].map(|name| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("a secret named {name}")).unwrap();
        path.display().to_string()
    });
    let sink = Serving::start(&format!("-B 127.0.0.1 --key-file {key}"));
    let target = format!("127.0.0.1:{}", sink.port);
    // It answers no pings.
    assert_eq!(doctor(&target)["path"]["target"], "silent");
    let path = doctor(&format!("{target} --key-file {key}"))["path"].take();
    assert_eq!((&path["target"], &path["clock"]["same"]), (&"sink".into(), &true.into()), "{path}");
    let path = doctor(&format!("{target} --key-file {other}"))["path"].take();
    // The sink refuses another key only after longer than a check lasts.
    assert_eq!((&path["target"], &path["clock"]), (&"silent".into(), &Value::Null), "{path}");
    // What is stored is shown again.
    let stored = folder.path().join("doctor.json");
    let (file, folder) = (stored.display(), folder.path().display());
    let output = common::run(&format!("doctor {target} --json={file} --html {folder}/page"));
    let again = common::run(&format!("report {file} --html {folder}/again"));
    assert_eq!(again.status.code(), Some(0), "{}", common::stderr(&again));
    assert_eq!(output.stdout, again.stdout);
    let page = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    assert!(page("page").starts_with("<!DOCTYPE html>") && page("page") == page("again"));
    sink.end();
}

#[test]
fn a_server_of_another_protocol_is_told_from_silence() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap();
    let serves = std::thread::spawn(move || {
        // It answers the first datagram of all.
        let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
        server.send_to(b"what?", from).unwrap();
        server
    });
    let path = doctor(&target.to_string())["path"].take();
    assert_eq!((&path["target"], &path["rtt"]), (&"other".into(), &Value::Null), "{path}");
    serves.join().unwrap();
}

/// A name server that answers so many queries, and what it received first.
fn name_server(address: &str, queries: usize) -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let server = UdpSocket::bind(address).unwrap();
    let target = server.local_addr().unwrap().to_string();
    let serves = std::thread::spawn(move || {
        let (mut buffer, mut first) = ([0; 512], Vec::new());
        for _ in 0..queries {
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            if first.is_empty() {
                first = buffer[..len].to_vec();
            }
            // QR, RFC 1035 section 4.1.1.
            buffer[2] |= 0x80;
            server.send_to(&buffer[..len], from).unwrap();
        }
        first
    });
    (target, serves)
}

#[test]
fn a_server_of_a_known_protocol_is_named() {
    // As above.
    let _alone = common::alone();
    // By the preset, and by the port at an address that no other test uses.
    for (address, words) in [("127.0.0.1:0", "--preset dns"), ("127.53.0.1:5300", "")] {
        let (target, serves) = name_server(address, 3);
        let document = doctor(&format!("{target} {words}"));
        let path = &document["path"];
        assert_eq!(
            (&path["target"], &path["protocol"]),
            (&"other".into(), &"dns".into()),
            "{path}"
        );
        assert_eq!((&path["rtt"]["sent"], &path["rtt"]["answered"]), (&3.into(), &3.into()));
        let checks = document["checks"].as_array().unwrap();
        let target = checks.iter().find(|check| check["subject"] == "target").unwrap();
        assert_eq!(target["found"], "answers dns: 3 of 3 requests");
        // The root, NS, IN.
        let query = serves.join().unwrap();
        assert_eq!(query[12..17], [0, 0, 2, 0, 1], "{query:?}");
    }
    // An echo server at that port does not answer queries, but pings.
    let echo = Serving::of("echo", "-B 127.0.0.1");
    let path = doctor(&format!("127.0.0.1:{} --preset dns", echo.port))["path"].take();
    assert_eq!((&path["target"], &path["protocol"]), (&"echo".into(), &Value::Null), "{path}");
    assert_eq!((&path["rtt"]["sent"], &path["rtt"]["answered"]), (&5.into(), &5.into()), "{path}");
    assert_eq!(path["datagrams"], 3 + 5 + 1, "{path}");
    echo.end();
    // A closed port refuses the first request of any protocol.
    let closed = common::ports::closed();
    for preset in ["ntp", "stun", "coap", "quic-vn", "sip-options", "snmp-get", "bedrock-ping"] {
        let path = doctor(&format!("{closed} --preset {preset}"))["path"].take();
        assert_eq!(
            (&path["target"], &path["protocol"]),
            (&"refused".into(), &Value::Null),
            "{path}"
        );
    }
}

#[test]
fn targets_that_must_not_be_probed_are_refused() {
    for (target, part) in [
        ("192.0.2.1", "is a public address; add --allow-public"),
        ("239.1.2.3:9", "is not the address of one host"),
        ("255.255.255.255:9", "is not the address of one host"),
        ("127.0.0.1 -B ::1", "different address families"),
        ("127.0.0.1 -6", "no address of that family"),
        ("-B 127.0.0.1", "<TARGET>"),
        ("--preset dns", "<TARGET>"),
        (
            "127.0.0.1 --preset radius-status",
            "no request of this protocol that only reads; use dns, ntp",
        ),
    ] {
        // In a namespace without a route: nothing could be sent if it were not refused.
        let udperf = format!("{} doctor {target}", env!("CARGO_BIN_EXE_udperf"));
        let output = Command::new("unshare").arg("-rn").args(udperf.split(' ')).output();
        let Ok(output) = output else { return common::skip::missing("there is no unshare") };
        let error = common::stderr(&output);
        if error.contains("unshare") {
            return common::skip::missing(error.trim());
        }
        assert_eq!(output.status.code(), Some(2), "{target}: {error}");
        assert!(error.contains(part), "{target}: {error}");
    }
}

/// This host (10.78.0.1), a router R whose link to C has an MTU of 1400, and C (10.79.0.2), whose
/// sink listens at any address.
const ROUTED: &str = "\
    set -e
    command -v iptables ss >/dev/null
    mount -t tmpfs none /run
    ip netns add R; ip netns add C
    no_dad='echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad || true'
    sh -c \"$no_dad\"; ip netns exec R sh -c \"$no_dad\"; ip netns exec C sh -c \"$no_dad\"
    ip link add a0 type veth peer name r0 netns R
    ip -n R link add r1 type veth peer name c0 netns C
    ip addr add 10.78.0.1/24 dev a0; ip link set lo up; ip link set a0 up
    ip -n R addr add 10.78.0.2/24 dev r0; ip -n R link set r0 up
    ip -n R addr add 10.79.0.1/24 dev r1; ip -n R link set r1 mtu 1400 up
    ip -n C addr add 10.79.0.2/24 dev c0; ip -n C link set c0 mtu 1400 up; ip -n C link set lo up
    ip netns exec R sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    ip route add default via 10.78.0.2; ip -n C route add default via 10.79.0.1
    echo 100 > /proc/sys/net/ipv4/neigh/a0/retrans_time_ms
    ip netns exec C $U sink -4 -q --idle-timeout 30 > /dev/null 2>&1 & SINK=$!
    until ip netns exec C ss -lun | grep -q :7788; do :; done";

#[test]
fn finds_the_mtu_of_a_router_with_and_without_its_icmp_errors() {
    let script = "\
        check() { $U doctor $1 -J; ip route flush cache; echo ====; }
        check 10.79.0.2; check 10.79.0.2:9; check 10.78.0.9
        ip netns exec C iptables -A OUTPUT -p udp -j DROP; check 10.79.0.2
        ip netns exec C iptables -F; ip netns exec R iptables -A OUTPUT -p icmp -j DROP
        check 10.79.0.2; $U doctor 10.79.0.2
        kill -INT $SINK; wait $SINK || true";
    let Some((found, error)) = common::in_namespaces(ROUTED, script) else { return };
    let [sink, closed, missing, silent, vanishing, text] = &found[..] else {
        panic!("{found:?}\n{error}")
    };
    let [sink, closed, missing, silent, vanishing] = [sink, closed, missing, silent, vanishing]
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    let mtu = |is_proved: bool, vanish: bool, arrive: Value| {
        json!({
            "bytes": 1_400, "is_proved": is_proved, "at_least": if is_proved { 1_400.into() } else { Value::Null },
            "at_most": 1_400, "vanish": vanish, "fragments_arrive": arrive
        })
    };
    let too_big = |path: &Value| {
        let list = path["icmp"].as_array().unwrap();
        let found = list.iter().find(|one| one["code"] == "ICMP 3/4").unwrap();
        assert_eq!(
            (&found["from"], &found["mtu"]),
            (&"10.78.0.2".into(), &1_400.into()),
            "{found}"
        );
    };
    let path = &sink["path"];
    assert_eq!(path["target"], "sink", "{path}");
    assert_eq!((&path["gateway"], &path["source"]), (&"10.78.0.2".into(), &"10.78.0.1".into()));
    assert_eq!((&path["device"], &path["device_mtu"]), (&"a0".into(), &1_500.into()));
    assert_eq!(
        (&path["mtu"], &path["clock"]["same"]),
        (&mtu(true, false, true.into()), &true.into())
    );
    too_big(path);
    assert_eq!(grades(&sink)["path MTU"], "note");

    let path = &closed["path"];
    assert_eq!(path["target"], "refused", "{path}");
    let icmp = path["icmp"].as_array().unwrap();
    let port = icmp.iter().find(|one| one["code"] == "ICMP 3/3").unwrap();
    assert_eq!(
        (&port["from"], &port["meaning"]),
        (&"10.79.0.2".into(), &"port unreachable".into())
    );

    let path = &missing["path"];
    assert_eq!(
        (&path["target"], &path["neighbour"]),
        (&"unreachable".into(), &"failed".into()),
        "{path}"
    );
    assert_eq!((&path["gateway"], &path["mtu"]["bytes"]), (&Value::Null, &Value::Null), "{path}");
    let grades_of = grades(&missing);
    assert_eq!((&grades_of["neighbour"], &grades_of["target"]), (&"bad".into(), &"bad".into()));

    let path = &silent["path"];
    assert_eq!(
        (&path["target"], &path["mtu"]),
        (&"silent".into(), &mtu(false, false, Value::Null)),
        "{path}"
    );
    too_big(path);

    let path = &vanishing["path"];
    assert_eq!(
        (&path["target"], &path["mtu"]),
        (&"sink".into(), &mtu(true, true, true.into())),
        "{path}"
    );
    assert_eq!((&path["icmp"], &grades(&vanishing)["path MTU"]), (&json!([]), &"warn".into()));
    assert!(path["datagrams"].as_u64().unwrap() <= 40, "{path}");
    for part in [
        "via 10.78.0.2 by a0 (MTU 1500), from 10.78.0.1",
        "1400 bytes: payloads of up to 1372 bytes",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn finds_the_mtu_of_a_router_of_ipv6() {
    let set_up = format!(
        "{ROUTED}
        ip addr add fd00:1::1/64 dev a0 nodad; ip -6 route add default via fd00:1::2
        ip -n R addr add fd00:1::2/64 dev r0 nodad; ip -n R addr add fd00:2::1/64 dev r1 nodad
        ip -n C addr add fd00:2::2/64 dev c0 nodad; ip -n C -6 route add default via fd00:2::1
        ip netns exec R sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
        ip netns exec C $U sink -6 -p 7789 -q --idle-timeout 30 > /dev/null 2>&1 & SIX=$!
        until ip netns exec C ss -lun | grep -q :7789; do :; done"
    );
    let script = "$U doctor [fd00:2::2]:7789 -J; kill -INT $SINK $SIX; wait $SINK $SIX || true";
    let Some((found, _)) = common::in_namespaces(&set_up, script) else { return };
    let document: Value = serde_json::from_str(&found[0]).unwrap();
    let path = &document["path"];
    assert_eq!(
        (&path["target"], &path["gateway"]),
        (&"sink".into(), &"fd00:1::2".into()),
        "{path}"
    );
    assert_eq!(
        (&path["mtu"]["bytes"], &path["mtu"]["is_proved"]),
        (&1_400.into(), &true.into()),
        "{path}"
    );
    let found = &path["icmp"][0];
    assert_eq!((&found["code"], &found["mtu"]), (&"ICMPv6 2/0".into(), &1_400.into()), "{path}");
}
