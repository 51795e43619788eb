//! Places that are neither the receiver's buffer nor the sender's queue: the report charges each
//! with what the kernel counted there, to the datagram, and with nothing that happened elsewhere.

use std::net::{Ipv4Addr, UdpSocket};

use serde_json::Value;

use crate::common::{codes, number, together};
use crate::nets::{Nets, SINK, Side, skip};
use crate::proc::PATIENCE;
use crate::rig::{Sink, blast, located, only, report, settled};

/// Every tenth datagram of data that comes to the sink meets with this; its answers by ICMP, which
/// would keep the sender back, are lost.
fn every_tenth(action: &str) -> String {
    format!(
        "nft 'table ip t {{ chain c {{ type filter hook prerouting priority -300; \
           udp dport 7788 @th,64,16 >= 0x40 numgen inc mod 10 == 0 counter {action}; }}; \
         chain d {{ type filter hook output priority 0; ip protocol icmp drop; }}; }}'"
    )
}

/// What that has met so far.
fn met(nets: &Nets) -> u64 {
    let listed = nets.run(Side::A, "nft list table ip t");
    let rest = listed.split_once("counter packets ").unwrap().1;
    rest.split_once(' ').unwrap().0.parse().unwrap()
}

/// A counter of UDP on the sink's side.
fn udp(nets: &Nets, name: &str) -> u64 {
    let shown = nets.run(Side::A, "grep ^Udp: /proc/net/snmp");
    let mut lines = shown.lines().map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(values).find(|(known, _)| *known == name).unwrap().1.parse().unwrap()
}

/// What a device of the sink's side dropped of what came.
fn rx_dropped(nets: &Nets, device: &str) -> u64 {
    let path = format!("cat /sys/class/net/{device}/statistics/rx_dropped");
    nets.run(Side::A, &path).trim().parse().unwrap()
}

/// Has the device of this side leave checksums to software, so that they are on the wire and the
/// other side has to look at them. False where it cannot.
#[allow(unsafe_code)]
fn write_checksums(nets: &Nets, side: Side) -> bool {
    /// `ETHTOOL_STXCSUM` of `include/uapi/linux/ethtool.h`.
    const SET_TX_CHECKSUM: u32 = 0x17;
    /// `SIOCETHTOOL` of `include/uapi/linux/sockios.h`.
    const ETHTOOL: libc::c_ulong = 0x8946;
    let enter = nets.entrance(side);
    let set = std::thread::spawn(move || {
        use std::os::fd::AsRawFd;
        enter().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut order = [SET_TX_CHECKSUM, 0];
        // SAFETY: a structure of numbers and a pointer, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name[..2].copy_from_slice(&[b'x' as libc::c_char, b'0' as libc::c_char]);
        request.ifr_ifru.ifru_data = order.as_mut_ptr().cast();
        // SAFETY: `request` names a device and points to the order's two numbers, all alive.
        unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL as _, &raw mut request) == 0 }
    });
    set.join().unwrap()
}

fn at(cell: &Value, place: &str) -> u64 {
    number(cell, &format!("ledger.lost_at.{place}"))
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn closed_ports_and_wrong_checksums_are_charged_to_the_datagram() {
    let _together = together();
    let actions = [
        ("no_port", "udp dport set 9", "NoPorts", true),
        ("checksum", "udp checksum set 0x1234", "InCsumErrors", false),
    ];
    for (place, action, counter, doubted) in actions {
        let Some(nets) = Nets::make(&["nft"]) else { return };
        if !write_checksums(&nets, Side::B) {
            return skip("no veth(4) whose checksums can be left to software");
        }
        nets.run(Side::A, &every_tenth(action));
        let sink = Sink::start(&nets.place(Side::A), "");
        for engine in ["plain", "batch"] {
            // Short ones fail before a socket is looked for, long ones at the socket itself.
            for size in [64, 1_000] {
                let (met_before, before) = (met(&nets), udp(&nets, counter));
                let words = format!("-e {engine} -l {size} -n 3000 -r 5k");
                let report = report(&nets.place(Side::B), SINK, &words);
                let cell = only(&report);
                let id = format!("{place} {words}: {}, {}", cell["ledger"], cell["kernel"]);
                let counted = udp(&nets, counter) - before;
                assert_eq!(met(&nets) - met_before, 300, "{id}");
                // The checksum that the rule writes is right for one datagram in 65,536.
                let by_chance = if place == "checksum" { 2 } else { 0 };
                assert!((300 - by_chance..=300).contains(&counted), "{id}: {counted}");
                assert_eq!(number(cell, "ledger.sent"), 3_000, "{id}");
                assert_eq!(at(cell, place), counted, "{id}");
                assert_eq!(number(cell, "ledger.unaccounted"), 0, "{id}");
                let elsewhere = at(cell, "receive_buffer") + at(cell, "backlog");
                assert_eq!(located(cell), counted + elsewhere, "{id}");
                assert_eq!(cell["ledger"]["shared"], Value::Array(Vec::new()), "{id}");
                assert_eq!(cell["ledger"]["estimated"], Value::Array(Vec::new()), "{id}");
                let told = codes(&report).contains(&"shared_counters".to_owned());
                assert_eq!(told, doubted, "{id}: {:?}", codes(&report));
            }
        }
        sink.end();
    }
}

#[test]
fn what_the_receivers_device_drops_is_charged_to_the_datagram() {
    let _together = together();
    let Some(nets) = Nets::make(&["tc"]) else { return };
    // Of the mix, it takes all but the longest, 1472 bytes and their headers. Behind a queue, no
    // send is refused for that.
    nets.run(Side::A, "ip link set x0 mtu 1400");
    nets.run(Side::B, "tc qdisc add dev x0 root pfifo limit 10000");
    let sink = Sink::start(&nets.place(Side::A), "");
    for engine in ["plain", "batch"] {
        let before = rx_dropped(&nets, "x0");
        let words = format!("-e {engine} -l imix -n 3000 -r 5k");
        let report = report(&nets.place(Side::B), SINK, &words);
        let cell = only(&report);
        let dropped = rx_dropped(&nets, "x0") - before;
        let id = format!("{words}: {dropped} dropped, {}, {}", cell["ledger"], cell["kernel"]);
        assert!(dropped > 0, "{id}");
        assert_eq!(at(cell, "backlog") + at(cell, "device"), dropped, "{id}");
        assert_eq!(number(cell, "kernel.device_drops"), dropped, "{id}");
        assert_eq!(number(cell, "ledger.unaccounted"), 0, "{id}");
        // Both ends of the wire count what was dropped at one.
        assert_eq!(number(cell, "kernel.tx_device_drops"), dropped, "{id}");
        assert_eq!(at(cell, "tx_device"), 0, "{id}");
        assert_eq!(cell["ledger"]["shared"], Value::Array(Vec::new()), "{id}");
    }
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_was_refused_is_not_lost_at_the_device_that_refused_it() {
    let _together = together();
    let Some(nets) = Nets::make(&["nft"]) else { return };
    nets.run(Side::A, &every_tenth("drop"));
    let sink = Sink::start(&nets.place(Side::A), "");
    let (met_before, before) = (met(&nets), rx_dropped(&nets, "x0"));
    let mut client = blast(&nets.place(Side::B), SINK, "-e plain -l 1472 -n 6000 -r 2k");
    while met(&nets) == met_before {
        assert!(client.is_alive(), "{:?}", client.finish(PATIENCE));
    }
    // For as long as it takes to drop some, the device takes none as long as these.
    nets.run(Side::A, "ip link set x0 mtu 1400");
    while rx_dropped(&nets, "x0") < before + 50 {
        assert!(client.is_alive(), "{:?}", client.finish(PATIENCE));
    }
    nets.run(Side::A, "ip link set x0 mtu 1500");
    let report = settled(&client.finish(2 * PATIENCE).expect(0));
    let (dropped, met) = (rx_dropped(&nets, "x0") - before, met(&nets) - met_before);
    let cell = only(&report);
    let id = format!("{dropped} dropped, {}, {}", cell["ledger"], cell["kernel"]);
    // Older kernels than 6.7 do not tell the sender: then they are lost at the device.
    let refused = number(cell, "ledger.refused.no_buffers");
    let elsewhere = at(cell, "backlog") + at(cell, "device");
    assert_eq!(refused + elsewhere, dropped, "{id}");
    assert_eq!(number(cell, "ledger.unaccounted"), met, "{id}");
    sink.end();
}

/// A second wire, 10.79.0.0/24; its end at the sink's side takes no datagram of 1400 bytes.
fn second_wire(nets: &Nets) {
    let there = nets.name(Side::A);
    nets.run(
        Side::B,
        &format!(
            "ip link add y0 type veth peer name y0 netns {there} address 02:00:00:00:00:11; \
             ip addr add 10.79.0.2/24 dev y0; ip link set y0 up; \
             ip neigh replace 10.79.0.1 lladdr 02:00:00:00:00:11 nud permanent dev y0"
        ),
    );
    nets.run(
        Side::A,
        "ip addr add 10.79.0.1/24 dev y0; ip link set y0 mtu 1000; ip link set y0 up",
    );
}

/// Sends datagrams of this length to a closed port of the sink's side, by the second wire.
fn disturb(nets: &Nets, datagrams: usize, len: usize) {
    let enter = nets.entrance(Side::B);
    let send = move || {
        enter().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::new(10, 79, 0, 2), 0)).unwrap();
        for _ in 0..datagrams {
            socket.send_to(&vec![0; len], (Ipv4Addr::new(10, 79, 0, 1), 9)).unwrap();
        }
    };
    std::thread::spawn(send).join().unwrap();
}

/// A run in which every tenth of 6000 datagrams is lost in silence, and meanwhile those others.
fn disturbed(nets: &Nets, datagrams: usize, len: usize) -> Value {
    let before = met(nets);
    let mut client = blast(&nets.place(Side::B), SINK, "-e plain -n 6000 -r 2k");
    // It measures as soon as it sends data.
    while met(nets) == before {
        assert!(client.is_alive(), "{:?}", client.finish(PATIENCE));
    }
    disturb(nets, datagrams, len);
    assert!(client.is_alive(), "the others came too late");
    let report = settled(&client.finish(2 * PATIENCE).expect(0));
    assert_eq!(met(nets) - before, 600);
    report
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_another_device_drops_is_not_charged_to_us() {
    let _together = together();
    let Some(nets) = Nets::make(&["nft"]) else { return };
    nets.run(Side::A, &every_tenth("drop"));
    second_wire(&nets);
    let sink = Sink::start(&nets.place(Side::A), "");
    let report = disturbed(&nets, 300, 1_400);
    assert_eq!(rx_dropped(&nets, "y0"), 300);
    let cell = only(&report);
    let id = format!("{}, {}", cell["ledger"], cell["kernel"]);
    assert_eq!(number(cell, "ledger.unaccounted"), 600, "{id}");
    assert_eq!(at(cell, "device") + at(cell, "tx_device") + at(cell, "backlog"), 0, "{id}");
    assert_eq!(number(cell, "kernel.device_drops"), 0, "{id}");
    assert_eq!(number(cell, "kernel.tx_device_drops"), 0, "{id}");
    sink.end();
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn what_others_may_have_lost_is_told() {
    let _together = together();
    let Some(nets) = Nets::make(&["nft"]) else { return };
    nets.run(Side::A, &every_tenth("drop"));
    second_wire(&nets);
    let sink = Sink::start(&nets.place(Side::A), "");
    for (others, ours, shared) in [(250, 250, [].as_slice()), (700, 600, &["no_port"])] {
        let before = udp(&nets, "NoPorts");
        let report = disturbed(&nets, others, 10);
        assert_eq!(udp(&nets, "NoPorts") - before, others as u64);
        let cell = only(&report);
        let id = format!("{others}: {}, {}", cell["ledger"], cell["kernel"]);
        assert_eq!(at(cell, "no_port"), ours, "{id}");
        assert_eq!(number(cell, "ledger.unaccounted"), 600 - ours, "{id}");
        assert_eq!(cell["ledger"]["shared"], serde_json::json!(shared), "{id}");
        assert!(codes(&report).contains(&"shared_counters".to_owned()), "{:?}", codes(&report));
    }
    sink.end();
}
