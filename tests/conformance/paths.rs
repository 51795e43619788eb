//! Paths that are too narrow, or become so: loopback with a small MTU, in a namespace of its own,
//! which needs `unshare` and `ip`; where one is missing or refused, the tests say so and pass.

use std::process::Command;

use udperf::sys::SendError;
use udperf::unit::PayloadSize;

use crate::engines::{Pair, has};
use crate::rig::{Rig, Setup};

/// Set in processes that run in a namespace of their own.
const INSIDE: &str = "UDPERF_CONFORMANCE_NAMESPACE";

/// MTU of the path; arbitrary, the usual one.
const MTU: u16 = 1_500;

/// True inside a new namespace, where loopback has this MTU; outside, it runs the test of this name
/// again inside of one, and is false.
fn in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script =
        format!("ip link set lo mtu {MTU} up || exit 77; exec \"$0\" --exact \"$1\" --nocapture");
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", &script])
        .args([exe.as_os_str(), test.as_ref()])
        .env(INSIDE, "yes")
        .output();
    let skip = |why: String| {
        crate::skip::missing(format_args!("{test}: no namespace: {why}"));
        false
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => return skip(format!("no unshare: {error}")),
    };
    let (said, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprint!("{error}");
    if !said.contains("running 1 test") {
        return skip(error.into_owned());
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn set_mtu(mtu: u16) {
    let mtu = mtu.to_string();
    let status = Command::new("ip").args(["link", "set", "lo", "mtu", &mtu]).status();
    assert!(status.unwrap().success());
}

/// The largest payload that an MTU takes whole: less the headers of IP and UDP.
const fn fits(pair: Pair, mtu: u16) -> u16 {
    mtu - if pair.ip.is_ipv4() { 28 } else { 48 }
}

#[test]
fn what_exceeds_the_path_is_too_big_where_fragments_are_forbidden() {
    if !in_namespace("paths::what_exceeds_the_path_is_too_big_where_fragments_are_forbidden") {
        return;
    }
    for pair in Pair::all() {
        let fits = fits(pair, MTU);
        for exceeds in [fits + 1, 8_972, 65_507] {
            let mut rig = Rig::new(pair, &Setup { df: true, ..Setup::fixed(exceeds) });
            let mut refused = 0;
            while refused < 20 {
                let push = rig.push(0, 500);
                assert_eq!((push.sent, push.packets), (0, 0), "{}: {push:?}", rig.name);
                if push.refused > 0 {
                    assert_eq!(push.error, Some(SendError::TooBig), "{}", rig.name);
                    // Super-packets are tried smaller first, and are no refusals.
                    assert_eq!(rig.segments(), 1, "{}", rig.name);
                }
                refused += push.refused as u64;
            }
            assert_eq!(rig.sent.refused.too_big, refused, "{}", rig.name);
            assert_eq!(rig.sent.refused.total(), refused, "{}", rig.name);
            if let Some(segments) = rig.tx.segments() {
                let at_first = (65_507 / usize::from(exceeds)).min(128);
                assert_eq!((segments.at_first, segments.now), (at_first, 1), "{}", rig.name);
            }
        }
        let mut rig = Rig::new(pair, &Setup { df: true, ..Setup::fixed(fits) });
        rig.transfer(200);
        if let Some(segments) = rig.tx.segments() {
            assert_eq!(segments.now, segments.at_first, "{}: it fits", rig.name);
        }
    }
}

#[test]
fn in_a_mix_only_what_exceeds_the_path_is_refused() {
    if !in_namespace("paths::in_a_mix_only_what_exceeds_the_path_is_refused") {
        return;
    }
    // Less than the 1,472 bytes of each twelfth datagram, with headers.
    set_mtu(1_400);
    for pair in Pair::all() {
        let setup = Setup { df: true, ..Setup::of(PayloadSize::Imix) };
        let mut rig = Rig::new(pair, &setup);
        let (mut number, mut refused) = (0_u64, 0);
        while number < 120 {
            let push = rig.push(0, 30);
            let small = |&number: &u64| PayloadSize::Imix.at(number) < 1_472;
            let ahead = (number..).take_while(small).count();
            assert!(push.sent <= ahead, "{pair}: {push:?}");
            number += push.sent as u64;
            if push.refused > 0 {
                // Told at once, although all before it left.
                assert_eq!((push.sent, push.refused), (ahead, 1), "{pair}: {push:?}");
                assert_eq!(push.error, Some(SendError::TooBig), "{pair}");
                rig.skip(0);
                (number, refused) = (number + 1, refused + 1);
            }
            rig.read(push.sent as u64);
        }
        let too_big = (0..number).filter(|&n| PayloadSize::Imix.at(n) == 1_472).count();
        assert_eq!(refused, too_big as u64, "{pair}");
        assert_eq!(rig.sent.refused.too_big, refused, "{pair}");
        assert_eq!(rig.sent.refused.total(), refused, "{pair}");
        assert_eq!(rig.sent.sent, number - refused, "{pair}");
        assert_eq!(rig.inbox.tally.received, rig.sent.sent, "{pair}");
    }
}

#[test]
fn what_exceeds_the_path_arrives_in_fragments_where_those_are_allowed() {
    if !in_namespace("paths::what_exceeds_the_path_arrives_in_fragments_where_those_are_allowed") {
        return;
    }
    for pair in Pair::all() {
        for size in [fits(pair, MTU) + 1, 8_972, 65_507] {
            let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(size) });
            rig.transfer(21);
            assert_eq!(rig.inbox.tally.packets, 21, "{}", rig.name);
            assert_eq!((rig.segments(), rig.sent.refused.total()), (1, 0), "{}", rig.name);
        }
    }
}

#[test]
fn a_path_that_becomes_narrow_costs_super_packets_and_no_datagram() {
    if !in_namespace("paths::a_path_that_becomes_narrow_costs_super_packets_and_no_datagram") {
        return;
    }
    for pair in Pair::all() {
        set_mtu(MTU);
        let mut rig = Rig::new(pair, &Setup { flows: 2, ..Setup::fixed(1_400) });
        rig.transfer(100);
        if let Some(segments) = rig.tx.segments() {
            assert_eq!(segments.now, segments.at_first, "{pair}");
        }
        // Not below 1,280, where there is no IPv6.
        set_mtu(1_300);
        rig.transfer(100);
        set_mtu(MTU);
        rig.transfer(100);
        assert_eq!((rig.sent.sent, rig.sent.refused.total()), (300, 0), "{pair}");
        if let Some(segments) = rig.tx.segments() {
            assert!(segments.now < segments.at_first, "{pair}: {segments:?}");
        }
    }
}

/// Puts a token bucket (tc-tbf(8)) before loopback; says so where this cannot be had.
fn queue(options: &str) -> bool {
    let tbf = format!("qdisc add dev lo root tbf {options}");
    let status = Command::new("tc").args(tbf.split(' ')).status();
    let is_there = status.is_ok_and(|status| status.success());
    if !is_there {
        crate::skip::missing("all behind a queue: no tc, or no tbf");
    }
    is_there
}

#[test]
fn a_queue_that_takes_super_packets_apart_is_no_lack_of_gro() {
    if !in_namespace("paths::a_queue_that_takes_super_packets_apart_is_no_lack_of_gro") {
        return;
    }
    // Of 128 datagrams of a byte, with their headers, more than its burst takes whole; so fast that
    // datagrams of them are there at once.
    if !queue("rate 10gbit burst 5kb limit 10mb") {
        return;
    }
    assert!(has("a queue that takes super-packets apart", &["gro"]));
}

#[test]
fn a_full_send_buffer_would_block_and_loses_nothing() {
    if !in_namespace("paths::a_full_send_buffer_would_block_and_loses_nothing") {
        return;
    }
    // A slow queue, and room in it for all that is sent: it is the socket's buffer that is full.
    if !queue("rate 8mbit burst 5kb limit 10mb") {
        return;
    }
    for pair in Pair::all() {
        let mut rig = Rig::new(pair, &Setup { send_buffer: Some(8_192), ..Setup::fixed(64) });
        while rig.sent.sent < 150 || rig.sent.refused.would_block == 0 {
            assert!(rig.sent.sent < 10_000, "{pair}: it takes all");
            let push = rig.push(0, 30);
            // A batch call that found room again keeps to itself why it ended before.
            let known = [None, Some(SendError::WouldBlock), Some(SendError::Unexplained)];
            assert!(known.contains(&push.error), "{pair}: {push:?}");
        }
        let (refused, name) = (rig.sent.refused, rig.name.clone());
        assert_eq!(refused.total(), refused.would_block + refused.other, "{name}");
        // The queue may split super-packets; each datagram comes once, and in order.
        rig.read(rig.sent.sent);
        assert_eq!(rig.inbox.tally.received, rig.sent.sent, "{name}");
    }
}
