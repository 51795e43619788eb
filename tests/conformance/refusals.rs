//! What the kernel refuses: closed ports behind an ICMP error, and super-packets it cannot sum.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use udperf::engine::Push;
use udperf::sys::SendError;

use crate::engines::{Pair, has};
use crate::rig::{Rig, Setup};

/// Two flows to a receiver that is connected to the second one: to the first its port is closed.
/// Nobody else can take that port meanwhile.
fn half_closed(pair: Pair, batch: Option<usize>) -> Rig {
    // A queue of errors so short that it overflows; that must not keep any from being told.
    let send_buffer = batch.map(|_| 4_096);
    let setup = Setup { batch, send_buffer, flows: 2, ..Setup::fixed(64) };
    let mut rig = Rig::new(pair, &setup);
    let open = rig.from[1];
    rig.inbox.rx.sockets()[0].connect(open).unwrap();
    rig
}

/// Whether it says that the port is closed.
fn is_closed(error: SendError) -> bool {
    error.unreachable().is_some_and(|why| why.is_closed_port())
}

#[test]
fn a_closed_port_is_counted_as_unreachable_and_the_engine_goes_on() {
    for pair in Pair::all() {
        for batch in [None, Some(2), Some(7)] {
            let mut rig = half_closed(pair, batch);
            let want = batch.unwrap_or(300);
            let (mut pushes, mut others) = (Vec::<Push>::new(), 0);
            for _ in 0..40 {
                // Some of each, so that refusals find calls of every length to end.
                pushes.push(rig.push(0, want.min(1 + pushes.len())));
                let push = rig.push(1, want.min(5));
                assert_eq!((push.refused, push.error), (0, None), "{}: open port", rig.name);
                rig.read(push.sent as u64);
                others += push.sent;
            }
            let name = &rig.name;
            let sent: usize = pushes.iter().map(|push| push.sent).sum();
            let refused: usize = pushes.iter().map(|push| push.refused).sum();
            assert!(sent > 0 && refused > 0, "{name}");
            let kinds = pushes.iter().filter_map(|push| push.error);
            kinds.for_each(|kind| assert!(is_closed(kind), "{name}: {kind:?}"));
            assert_eq!(rig.sent.refused.unreachable, refused as u64, "{name}");
            assert_eq!(rig.sent.refused.total(), refused as u64, "{name}");
            assert_eq!(rig.sent.sent, (sent + others) as u64, "{name}");
            if let Some(segments) = rig.tx.segments() {
                assert_eq!(segments.now, segments.at_first, "{name}: no fault of offload");
            }
        }
    }
}

#[test]
fn a_call_that_fails_behind_its_first_message_tells_both() {
    for pair in Pair::all() {
        let mut rig = half_closed(pair, None);
        // Two messages, whatever one holds: the first leaves, its error ends the second.
        let want = rig.segments() + 1;
        let both = (0..20).map(|_| rig.push(0, want)).filter(|p| p.sent > 0 && p.refused > 0);
        let both: Vec<_> = both.collect();
        assert!(!both.is_empty(), "{pair}");
        for push in both {
            assert_eq!((push.sent, push.refused), (want - 1, 1), "{pair}: {push:?}");
            assert!(push.error.is_some_and(is_closed), "{pair}: {push:?}");
        }
    }
}

#[test]
fn a_port_that_opens_is_reached_after_one_refusal_at_most() {
    for pair in Pair::all() {
        let mut rig = half_closed(pair, None);
        (0..5).for_each(|_| _ = rig.push(0, 3));
        let sent_in_vain = rig.sent.sent;
        assert!(sent_in_vain > 0);
        let first = rig.from[0];
        rig.inbox.rx.sockets()[0].connect(first).unwrap();
        // The error of the latest one that left in vain is still to be told.
        let push = rig.push(0, 3);
        assert!(push.error.is_none_or(is_closed), "{pair}: {push:?}");
        let mut left = 500;
        rig.read(push.sent as u64);
        while left > 0 {
            let push = rig.push(0, left);
            assert_eq!((push.refused, push.error), (0, None), "{pair}: {push:?}");
            rig.read(push.sent as u64);
            left -= push.sent;
        }
        assert_eq!(rig.inbox.tally.received, rig.sent.sent - sent_in_vain, "{pair}");
    }
}

/// `SO_NO_CHECK` of `include/uapi/asm-generic/socket.h`, for IPv4.
const SO_NO_CHECK: (libc::c_int, libc::c_int) = (libc::SOL_SOCKET, 11);

/// `UDP_NO_CHECK6_TX` and `UDP_NO_CHECK6_RX` of `include/uapi/linux/udp.h`.
const NO_CHECK6: [(libc::c_int, libc::c_int); 2] = [(libc::SOL_UDP, 101), (libc::SOL_UDP, 102)];

fn turn_on(socket: &impl AsFd, (level, option): (libc::c_int, libc::c_int)) {
    let on: libc::c_int = 1;
    let len = size_of_val(&on) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer and length describe `on`, which outlives the call.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), len) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Without checksums the kernel refuses all super-packets (EINVAL, `udp_send_skb`), and takes
/// single datagrams: the refusal that a kernel which takes fewer segments gives.
#[test]
fn super_packets_that_are_refused_become_datagrams() {
    if !has("super-packets without checksums", &["gso"]) {
        return;
    }
    for pair in Pair::all() {
        for (size, flows, count) in [(64, 1, 700), (1_472, 3, 300), (20_000, 2, 31)] {
            let setup = Setup { flows, ..Setup::fixed(size) };
            let mut rig = Rig::with(pair, &setup, |udps, inbox| {
                for udp in udps {
                    let option = if pair.ip.is_ipv4() { SO_NO_CHECK } else { NO_CHECK6[0] };
                    turn_on(&udp.socket, option);
                }
                if pair.ip.is_ipv6() {
                    turn_on(&inbox.rx.sockets()[0], NO_CHECK6[1]);
                }
            });
            rig.transfer(count);
            assert_eq!(rig.sent.refused.total(), 0, "{}", rig.name);
            assert_eq!(rig.inbox.tally.packets, count as u64, "{}", rig.name);
            if let Some(segments) = rig.tx.segments() {
                assert!(segments.at_first > 1, "{}", rig.name);
                assert_eq!(segments.now, 1, "{}", rig.name);
            }
        }
    }
}
