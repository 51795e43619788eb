//! Options of EDNS in queries: as a second encoder writes them, and as a real server takes them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::common::{number, together};
use crate::recorder::Recorder;
use crate::rig::{load, only, run, skip};
use crate::servers::nsd;

/// Writes queries for `www.example.test` with a subnet, an option and a cookie, in hex, each with
/// the id 0; independent of udperf's encoder.
const ENCODE: &str = r#"
import ipaddress, struct, sys
question = b"".join(bytes([len(part)]) + part for part in [b"www", b"example", b"test"]) + b"\0" + struct.pack(">HH", 1, 1)
def option(code, data):
    return struct.pack(">HH", code, len(data)) + data
def subnet(text):
    net = ipaddress.ip_network(text, strict=False)
    data = net.network_address.packed[:(net.prefixlen + 7) // 8]
    return option(8, struct.pack(">HBB", 1 if net.version == 4 else 2, net.prefixlen, 0) + data)
for text in sys.argv[1:]:
    options = option(10, bytes.fromhex("0102030405060708")) + option(65001, b"\x0a\x0b") + subnet(text)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options
    print((struct.pack(">HHHHHH", 0, 0x0100, 1, 0, 0, 1) + question + opt).hex())
"#;

#[test]
fn subnets_of_a_file_are_sent_as_another_encoder_writes_them() {
    let subnets = ["10.1.2.0/24", "10.9.128.0/18", "192.0.2.0/23", "2001:db8::/22"];
    let python = Command::new("python3").args(["-c", ENCODE]).args(subnets).output();
    let Some(python) = python.ok().filter(|python| python.status.success()) else {
        return skip("no python3");
    };
    let expected: Vec<_> =
        std::str::from_utf8(&python.stdout).unwrap().lines().map(str::to_owned).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subnets");
    std::fs::write(&path, subnets.join("\n")).unwrap();
    for (order, in_turns) in [("turns", true), ("random", false)] {
        let server = Recorder::silent();
        let words = format!(
            "--preset dns --name www.example.test --ecs {} --cookie=0102030405060708 \
             --edns-option 65001:0a0b --order {order} -n 200 -r 4k -P 1 --timeout 50ms",
            path.display()
        );
        let done = run("load", &server.at.to_string(), &words);
        assert_eq!(done.code, Some(5), "nothing was answered: {done:?}");
        let mut requests = server.end().into_iter().map(|(_, request)| request);
        let mut all = requests.by_ref().filter(|request| !request.is_empty()).map(|mut request| {
            request[..2].fill(0);
            request.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        let all: Vec<String> = all.by_ref().collect();
        assert_eq!(all.len(), 200);
        if in_turns {
            all.iter().zip(expected.iter().cycle()).for_each(|pair| assert_eq!(pair.0, pair.1));
        } else {
            assert_eq!(all.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
            assert!(all.windows(2).any(|pair| pair[0] == pair[1]));
        }
    }
}

#[test]
fn nsd_takes_options_and_repeats_cookies() {
    let _together = together();
    let Some(nsd) = nsd("answer-cookie: yes\n nsid: \"ascii_lab\"\n") else { return };
    let all_answered = |words: &str| {
        let words =
            format!("--preset dns --no-recursion --name www.example.test -n 200 -r 2k {words}");
        let report = load(nsd.at, &words);
        assert_eq!(number(only(&report), "exchange.matched"), 200, "{words}");
        assert_eq!(only(&report)["exchange"]["errors"], Value::Object(serde_json::Map::new()));
    };
    all_answered("--cookie");
    all_answered("--cookie=0102030405060708 --edns-option 3: --edns-option 65001:0a0b");
    all_answered("--ecs 10.1.0.0/16 --cookie");
    all_answered("--ecs 2001:db8::/56");
    // It does have the cookie, and its own part after it.
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\x01\x03www\x07example\x04test\0\0\x01\0\x01\
                  \0\0\x29\x04\xD0\0\0\0\0\0\x0C\0\x0A\0\x08\x01\x02\x03\x04\x05\x06\x07\x08";
    let reply = nsd.ask(query).unwrap();
    let cookie = b"\0\x0A\0\x18\x01\x02\x03\x04\x05\x06\x07\x08";
    assert!(reply.windows(cookie.len()).any(|part| part == cookie), "{reply:02x?}");
}

/// The cookie of a query for `www.example.test` with no other options; empty without one.
fn cookie_of(query: &[u8]) -> &[u8] {
    // Header, question, OPT without its data, and the head of the option.
    let data = &query[12 + 22..];
    let (head, cookie) = (data.get(..15).unwrap(), data.get(15..).unwrap());
    let (all, len) = (cookie.len() as u8 + 4, cookie.len() as u8);
    assert_eq!(head[9..], [0, all, 0, 10, 0, len], "lengths of OPT and of the option");
    cookie
}

#[test]
fn each_port_sends_back_the_latest_cookie_of_the_server() {
    let _together = together();
    for (engine, words) in
        [("plain", "-n 200 --outstanding 1"), ("batch", "-n 400 --outstanding 8 -P 4 --threads 2")]
    {
        // A double of RFC 7873: it refuses queries without its cookie, which differs in each reply.
        let server = Recorder::start(|at, query| {
            let (question, cookie) = (&query[12..34], cookie_of(query));
            let (low, high) = if cookie.len() == 8 { (7, 1) } else { (0, 0) };
            let header = [&query[..2], &[0x84, low], b"\0\x01\0\0\0\0\0\x01"].concat();
            let opt = [0, 0, 41, 4, 208, high, 0, 0, 0, 0, 28, 0, 10, 0, 24];
            let own = [[0xAA; 8], (at as u64).to_be_bytes()].concat();
            vec![[&header[..], question, &opt, &cookie[..8], &own].concat()]
        });
        let words = format!("--preset dns --name www.example.test --cookie -e {engine} {words}");
        let report = load(server.at, &words);
        let queries = server.end();
        let mut without = 0;
        for (at, (port, query)) in queries.iter().enumerate() {
            match cookie_of(query) {
                [_, _, _, _, _, _, _, _] => without += 1,
                cookie => {
                    assert_eq!(cookie[..16], [&cookie[..8], &[0xAA; 8]].concat());
                    let from = u64::from_be_bytes(cookie[16..].try_into().unwrap()) as usize;
                    assert!(from < at && queries[from].0 == *port, "{words}: {from} {at}");
                    // In a closed loop of 1, the latest reply is that to the query before.
                    assert!(words.contains("-P") || from + 1 == at, "{from} {at}");
                }
            }
        }
        let cell = only(&report);
        assert_eq!(number(cell, "exchange.matched"), queries.len() as u64);
        assert_eq!(number(cell, "exchange.errors.BADCOOKIE"), without);
        assert!((1..=200).contains(&without), "{without}");
    }
}

#[test]
fn nsd_gets_back_its_cookie() {
    let _together = together();
    let Some(nsd) = nsd("answer-cookie: yes\n") else { return };
    let at = nsd.at;
    let given = std::sync::Mutex::new(Vec::new());
    // Passes queries on to NSD; its replies hold the question of the query.
    let relay = Recorder::start(move |_, query| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(query, at).unwrap();
        let mut slot = [0; 1_500];
        let (len, _) = crate::shim::heard(&socket, &mut slot).unwrap();
        let (cookie, mut given) = (cookie_of(query), given.lock().unwrap());
        assert_eq!(
            cookie.get(8..),
            given.last().map_or(Some(&[][..]), |last: &Vec<u8>| Some(last.as_slice()))
        );
        // NSD puts OPT behind the answer, with the cookie as its only option.
        given.push(slot[len - 16..len].to_vec());
        vec![slot[..len].to_vec()]
    });
    let words =
        "--preset dns --no-recursion --name www.example.test --cookie --outstanding 1 -n 50";
    let report = load(relay.at, words);
    assert_eq!(relay.end().len(), 50);
    assert_eq!(number(only(&report), "exchange.matched"), 50);
    assert_eq!(only(&report)["exchange"]["errors"], Value::Object(serde_json::Map::new()));
}

/// Puts another client's cookie into replies, or none.
#[test]
fn replies_with_the_cookie_of_another_client_are_unmatched() {
    let _together = together();
    let server = Recorder::start(|number, request| {
        let mut reply = request.to_vec();
        (reply[2], reply[3]) = (0x81, 0);
        let end = reply.len();
        if number % 4 == 0 {
            reply[end - 1] ^= 0xFF;
        }
        vec![reply]
    });
    let words = "--preset dns --name a.example --cookie -n 200 -r 2k --timeout 100ms";
    let report = load(server.at, words);
    let counts = |name: &str| number(only(&report), &format!("exchange.{name}"));
    assert_eq!(["requests", "matched", "unmatched", "timeouts"].map(counts), [200, 150, 50, 50]);
    server.end();
}

#[test]
fn options_that_cannot_be_sent_are_refused_before_anything_is() {
    let server = Recorder::silent();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subnets");
    std::fs::write(&path, "10.1.0.0/24\n10.0.0.0/8\n").unwrap();
    let path = path.display().to_string();
    for (words, code, part) in [
        ("--ecs 10.0.0.0/33".to_owned(), 2, "'10.0.0.0/33' is not a client subnet"),
        ("--ecs /none".to_owned(), 1, "cannot read /none for --ecs"),
        (format!("--ecs {path}"), 1, "line 2: this client subnet has 1 bytes of address"),
        ("--cookie=0102".to_owned(), 2, "a cookie of DNS cannot have 2 bytes"),
        ("--cookie=xyz".to_owned(), 2, "is not a hex digit"),
        ("--edns-option 3".to_owned(), 2, "use CODE:HEX"),
        ("--edns-option 10: --cookie".to_owned(), 2, "option 10 of EDNS is given twice"),
        ("--edns-option 3: --no-edns".to_owned(), 2, "cannot be used with"),
    ] {
        let words = format!("--preset dns --name a.example -n 1 -r 1 {words}");
        let done = run("load", &server.at.to_string(), &words);
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains(part), "{part}: {done:?}");
    }
    assert!(server.end().is_empty());
}
