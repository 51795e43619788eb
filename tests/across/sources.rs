//! Sources that this host does not have: root sends from them, and they are answered if they are
//! routed here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;

use crate::common::{number, together};
use crate::nets::{Nets, Place, Side};
use crate::proc::{Done, PATIENCE, Proc};
use crate::rig::only;

/// Requests by source address, as the server counts them.
type Seen = BTreeMap<IpAddr, u64>;

/// A server on side A that returns so many requests.
fn server(nets: &Nets, ip: &'static str, count: usize) -> (SocketAddr, JoinHandle<Seen>) {
    let enter = nets.entrance(Side::A);
    let bound = std::thread::spawn(move || {
        enter().unwrap();
        UdpSocket::bind((ip.parse::<IpAddr>().unwrap(), 0)).unwrap()
    });
    let socket = bound.join().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    let serve = move || {
        let (mut slot, mut seen) = ([0; 2_048], Seen::new());
        for _ in 0..count {
            let (len, from) = socket.recv_from(&mut slot).unwrap();
            *seen.entry(from.ip()).or_default() += 1;
            // Without a route, it is lost here.
            let _ = socket.send_to(&slot[..len], from);
        }
        seen
    };
    (at, std::thread::spawn(serve))
}

fn load(place: &Place, at: SocketAddr, words: &str) -> Done {
    let mut command = place.command(env!("CARGO_BIN_EXE_udperf"));
    let words = format!("load {at} --preset echo -J -q --warmup 0 --timeout 300ms {words}");
    command.args(words.split_whitespace());
    Proc::start(command).finish(PATIENCE)
}

/// The same place without the rights to send from other addresses (capabilities(7)).
fn without_rights(place: &Place) -> Place {
    place.behind("setpriv --bounding-set -net_admin,-net_raw")
}

#[test]
fn root_sends_from_addresses_that_are_routed_here() {
    let _together = together();
    let Some(nets) = Nets::make(&["setpriv"]) else { return };
    nets.run(Side::A, "ip route add 10.79.0.0/24 via 10.78.0.2 dev x0");
    let words = "-n 140 -r 2k --source 10.79.0.0/28";
    let here = nets.place(Side::B);
    let all = |seen: Seen| (seen.len(), seen.values().copied().min(), seen.values().copied().max());
    let expected = (14, Some(10), Some(10));
    // Without the rights, nothing is sent.
    let done = load(&without_rights(&here), SocketAddr::new(Side::A.ip().into(), 9), words);
    let why = "--source 10.79.0.1 is not an address of this host; add it (ip addr add 10.79.0.1 ";
    assert!(done.expect(1).stderr.contains(why));
    // With them, datagrams leave, but replies do not end here.
    let (at, serving) = server(&nets, "10.78.0.1", 140);
    let report = load(&here, at, words).expect(5).document();
    assert_eq!(all(serving.join().unwrap()), expected);
    assert_eq!(number(only(&report), "exchange.timeouts"), 140);
    let sources = only(&report)["sources"].as_array().unwrap();
    assert!(sources.iter().all(|one| one["stands_out"] == false && number(one, "lost") == 10));
    // Addresses that are routed to this host need no rights.
    nets.run(Side::B, "ip route add local 10.79.0.0/28 dev lo");
    for place in [here.clone(), without_rights(&here)] {
        let (at, serving) = server(&nets, "10.78.0.1", 140);
        let report = load(&place, at, words).expect(0).document();
        assert_eq!(all(serving.join().unwrap()), expected);
        assert_eq!(number(only(&report), "exchange.matched"), 140);
    }
}

#[test]
fn a_network_of_ipv6_that_is_routed_here_needs_no_rights() {
    let _together = together();
    let Some(nets) = Nets::make(&["setpriv"]) else { return };
    nets.run(Side::A, "ip addr add fd79::1/128 dev lo; ip route add local fd79::/64 dev lo");
    let (at, serving) = server(&nets, "fd79::1", 150);
    let words = "-n 150 -r 2k --source fd79::1:0/124";
    let done = load(&without_rights(&nets.place(Side::A)), at, words).expect(0);
    let seen = serving.join().unwrap();
    assert_eq!((seen.len(), number(only(&done.document()), "exchange.matched")), (15, 150));
    assert!(seen.values().all(|requests| *requests == 10), "{seen:?}");
}
