//! Datagrams that neither a device nor a socket dropped: the next hop's address was not resolved,
//! fragments were missing, the receiver's IP layer discarded them. The report names the place and
//! does not call it the path. And what a server's namespace counts is never certain to be ours.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{codes, number, together};
use crate::nets::{Nets, Side};
use crate::proc::{PATIENCE, Proc};
use crate::rig::{only, settle};

/// Runs a command on side B to its document, whatever its exit code: nothing may arrive here.
fn document(nets: &Nets, side: Side, words: &str) -> Value {
    let mut command = nets.place(side).command(env!("CARGO_BIN_EXE_udperf"));
    command.args(words.split_whitespace()).args(["-J", "-q", "--warmup", "0"]);
    Proc::start(command).finish(2 * PATIENCE).document()
}

/// Sends from side B to side A, with receivers of the same process there.
fn bench(nets: &Nets, bind: &str, words: &str) -> Value {
    let there = nets.name(Side::A);
    let ways = format!("bench -B {bind} --to 10.78.0.1 --to-netns {there} -e plain");
    let report = document(nets, Side::B, &format!("{ways} {words}"));
    settle(only(&report), words);
    report
}

/// What was lost at this place.
fn at(cell: &Value, place: &str) -> u64 {
    number(cell, &format!("ledger.lost_at.{place}"))
}

#[test]
fn what_waits_for_address_resolution_is_not_lost_on_the_path() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    nets.run(Side::B, "ip neigh del 10.78.0.1 dev x0");
    nets.run(Side::A, "ip link set x0 arp off");
    let report = bench(&nets, "10.78.0.2", "-l 64 -n 200 -r 2k");
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.lost")), (200, 200), "{id}");
    assert_eq!((at(cell, "neighbour"), number(cell, "ledger.unaccounted")), (200, 0), "{id}");
    assert_eq!(cell["kernel"]["neighbour_unresolved"], true, "{id}");
    let codes = codes(&report);
    assert!(codes.contains(&"neighbour_unresolved".to_owned()), "{codes:?}");
    assert!(!codes.contains(&"lost_between".to_owned()), "{codes:?}");
    // Where the address is known, none is lost there.
    nets.run(Side::A, "ip link set x0 arp on");
    nets.run(Side::B, "ip neigh replace 10.78.0.1 lladdr 02:00:00:00:00:01 dev x0 nud permanent");
    let report = bench(&nets, "10.78.0.2", "-l 64 -n 200 -r 2k");
    let cell = only(&report);
    assert_eq!((number(cell, "ledger.received"), at(cell, "neighbour")), (200, 0));
    assert_eq!(cell["kernel"]["neighbour_unresolved"], false);
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn an_address_that_nobody_has_is_named_by_every_command() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let words = "load 10.78.0.77:9 --text ask --match any --timeout 100ms -n 50 -r 500";
    let report = document(&nets, Side::B, words);
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    let (sent, neighbour) = (number(cell, "ledger.sent"), at(cell, "neighbour"));
    assert_eq!((sent, neighbour, number(cell, "ledger.unaccounted")), (50, 50, 0), "{id}");
    assert!(codes(&report).contains(&"neighbour_unresolved".to_owned()), "{:?}", codes(&report));
    // Without a receiver, loss is unknown, and the cause is reported.
    let report = document(&nets, Side::B, "blast 10.78.0.78 --no-peer -l 64 -n 50 -r 500");
    assert!(only(&report)["ledger"]["lost_at"]["neighbour"].is_null());
    assert!(codes(&report).contains(&"neighbour_unresolved".to_owned()), "{:?}", codes(&report));
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn fragments_without_room_are_lost_at_reassembly() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    for limit in ["low", "high"] {
        nets.run(Side::A, &format!("echo 0 > /proc/sys/net/ipv4/ipfrag_{limit}_thresh"));
    }
    let report = bench(&nets, "10.78.0.2", "-l 3000 -n 100 -r 2k");
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.received")), (100, 0), "{id}");
    assert_eq!((at(cell, "reassembly"), number(cell, "ledger.unaccounted")), (100, 0), "{id}");
    // Three fragments of each, and every one of them was counted.
    assert_eq!(number(cell, "kernel.reassembly_failures"), 300, "{id}");
    assert_eq!(cell["ledger"]["estimated"], json!(["reassembly"]), "{id}");
    assert!(codes(&report).contains(&"reassembly_loss".to_owned()), "{:?}", codes(&report));
}

#[test]
fn datagrams_whose_last_fragment_is_dropped_are_counted_exactly() {
    let _together = together();
    let Some(nets) = Nets::make(&["nft"]) else { return };
    nets.run(
        Side::A,
        "nft 'table ip t { chain c { type filter hook prerouting priority -300; \
           ip frag-off & 0x1fff != 0 numgen inc mod 5 == 0 counter drop; }; }'",
    );
    let report = bench(&nets, "10.78.0.2", "-l 2000 -n 200 -r 2k");
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.lost")), (200, 40), "{id}");
    assert_eq!((at(cell, "reassembly"), number(cell, "ledger.unaccounted")), (40, 0), "{id}");
    assert_eq!(cell["ledger"]["estimated"], json!([]), "{id}");
    assert_eq!(cell["ledger"]["shared"], json!([]), "{id}");
}

#[test]
fn what_the_receivers_ip_layer_discards_is_counted_exactly() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    // The receiver has no route back to this address, and so takes nothing from it.
    nets.run(Side::B, "ip addr add 10.99.0.9/32 dev lo");
    for device in ["all", "x0"] {
        nets.run(Side::A, &format!("echo 1 > /proc/sys/net/ipv4/conf/{device}/rp_filter"));
    }
    let report = bench(&nets, "10.99.0.9", "-l 64 -n 100 -r 2k");
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.lost")), (100, 100), "{id}");
    assert_eq!((at(cell, "rx_ip"), number(cell, "ledger.unaccounted")), (100, 0), "{id}");
    assert_eq!(cell["ledger"]["shared"], json!([]), "{id}");
}

#[test]
fn what_is_refused_without_a_route_is_not_lost() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    let words = format!(
        "bench -B 10.78.0.2 --to 10.78.0.1 --to-netns {} -e plain -l 64 -t 4 -r 1k -J -q \
         --warmup 0",
        nets.name(Side::A)
    );
    let mut command = nets.place(Side::B).command(env!("CARGO_BIN_EXE_udperf"));
    command.args(words.split_whitespace());
    let mut client = Proc::start(command);
    let arrived = || {
        let path = "cat /sys/class/net/x0/statistics/rx_packets";
        nets.run(Side::A, path).trim().parse::<u64>().unwrap()
    };
    while arrived() < 100 {
        assert!(client.is_alive(), "{:?}", client.finish(PATIENCE));
    }
    nets.run(Side::B, "ip route del 10.78.0.0/24 dev x0");
    let report = client.finish(2 * PATIENCE).document();
    let cell = only(&report);
    settle(cell, &words);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert!(number(cell, "ledger.refused.unreachable") > 0, "{id}");
    assert!(number(cell, "kernel.ip_out_no_routes") > 0, "{id}");
    assert_eq!((at(cell, "tx_ip"), number(cell, "ledger.lost")), (0, 0), "{id}");
}

/// Runs a load on side A against a server there that never answers; `reads`: whether it takes what
/// comes. At the first request, others lose so many datagrams at a socket of their own.
fn load_without_answers(nets: &Nets, reads: bool, others: usize) -> Value {
    let (enter, (told, hears)) = (nets.entrance(Side::A), mpsc::channel());
    let (stop, stopped) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        enter().unwrap();
        let server = UdpSocket::bind((Side::A.ip(), 0)).unwrap();
        let full = UdpSocket::bind((Side::A.ip(), 0)).unwrap();
        if !reads {
            // The least that the kernel grants (`SOCK_MIN_RCVBUF`).
            socket2::SockRef::from(&server).set_recv_buffer_size(1).unwrap();
        }
        socket2::SockRef::from(&full).set_recv_buffer_size(1).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        told.send(server.local_addr().unwrap()).unwrap();
        let (mut buffer, mut first) = ([0; 64], true);
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let came = if reads { server.recv(&mut buffer) } else { server.peek(&mut buffer) };
            match came {
                Ok(_) if std::mem::take(&mut first) => {
                    let to = full.local_addr().unwrap();
                    (0..others).for_each(|_| _ = server.send_to(&[0; 64], to).unwrap());
                }
                Ok(_) if !reads => std::thread::sleep(Duration::from_millis(5)),
                Ok(_) => {}
                Err(error) => {
                    let none = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(none.contains(&error.kind()), "{error}");
                }
            }
        }
    });
    let to: SocketAddr = hears.recv().unwrap();
    let words = format!("load {to} --text ask --match any --timeout 100ms -n 400 -r 2k");
    let report = document(nets, Side::A, &words);
    stop.send(()).unwrap();
    server.join().unwrap();
    report
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn drops_of_others_are_not_charged_to_requests() {
    let _together = together();
    let Some(nets) = Nets::make(&[]) else { return };
    // Requests are read and not answered, while 2,000 datagrams of others find a full buffer.
    let report = load_without_answers(&nets, true, 2_000);
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    assert_eq!((number(cell, "ledger.sent"), number(cell, "ledger.lost")), (400, 400), "{id}");
    assert!(number(cell, "kernel.rcvbuf_errors") > 1_000, "{id}");
    assert!(at(cell, "receive_buffer") <= 400 - number(cell, "kernel.in_datagrams"), "{id}");
    let told = cell["warnings"].to_string() + &report["warnings"].to_string();
    assert!(told.contains("no_reply") && !told.contains("the server's full buffer"), "{told}");
    // Alone on the host, the server has dropped them, and still the counter is everybody's.
    let report = load_without_answers(&nets, false, 0);
    let cell = only(&report);
    let id = format!("{} {}", cell["ledger"], cell["kernel"]);
    let drops = number(cell, "kernel.rcvbuf_errors");
    assert!(drops > 0, "{id}");
    assert_eq!(
        (at(cell, "receive_buffer"), number(cell, "kernel.socket_drops")),
        (drops, 0),
        "{id}"
    );
    assert_eq!(cell["ledger"]["shared"], json!(["receive_buffer"]), "{id}");
}
