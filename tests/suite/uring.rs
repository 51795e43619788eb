//! The engine `uring` over loopback: what leaves, what arrives, what is refused, by count, order and
//! bytes. Where there is no io_uring, these tests say so and do nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use udperf::engine::{Pull, Push, Rx, Tx, URING_IS_BUILT_IN, UringRx, UringTx};
use udperf::host;
use udperf::host::Depth;
use udperf::sys::{SendError, Unreachable, UnreachableErrno};
use udperf::unit::PayloadSize;

const SIZE: PayloadSize = PayloadSize::Fixed(64);

/// Whether this build and this host have io_uring; says why not.
fn is_there() -> bool {
    let facts = host::host_info(Depth::Quick);
    let found = facts.capabilities.iter().find(|can| can.name == "uring").unwrap();
    if !found.available {
        common::skip::unavailable(format_args!("{}", found.detail));
    }
    found.available
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn mio(socket: UdpSocket) -> mio::net::UdpSocket {
    mio::net::UdpSocket::from_std(socket)
}

/// A receiver, and its address.
fn receiver(size: PayloadSize, batch: Option<usize>, stamps: bool) -> (UringRx, SocketAddr) {
    let socket = socket();
    let addr = socket.local_addr().unwrap();
    (UringRx::new(mio(socket), size, batch, stamps).unwrap(), addr)
}

/// A sender on one socket that is connected there.
fn sender(to: SocketAddr, size: PayloadSize, batch: Option<usize>) -> UringTx {
    let socket = socket();
    socket.connect(to).unwrap();
    UringTx::new(vec![mio(socket)], None, size, batch, |slot| slot.fill(7)).unwrap()
}

/// Sends `count` datagrams that carry their numbers from `first` on.
fn push(tx: &mut UringTx, flow: usize, first: u64, count: usize) -> Push {
    let stride = tx.stride();
    let slots = tx.lease(count);
    assert_eq!(slots.len(), count * stride);
    for (slot, number) in slots.chunks_exact_mut(stride).zip(first..) {
        slot[..8].copy_from_slice(&number.to_le_bytes());
    }
    tx.push(flow, first, count)
}

fn sent(count: usize) -> Push {
    Push { sent: count, packets: count as u64, syscalls: 1, ..Push::default() }
}

/// Pulls until the queue is empty; hands over each pull and its datagrams.
fn drain(rx: &mut UringRx, mut each: impl FnMut(Pull, &[Vec<u8>])) {
    loop {
        let pull = rx.pull();
        let mut payloads = Vec::new();
        rx.each(|payload, _| payloads.push(payload.to_vec()));
        assert_eq!(payloads.len(), pull.datagrams);
        assert_eq!(pull.packets, pull.datagrams as u64);
        assert_eq!((pull.errors, pull.uncut), (0, 0));
        each(pull, &payloads);
        rx.release();
        if pull.drained {
            return;
        }
    }
}

/// All numbers that have come.
fn numbers(rx: &mut UringRx) -> Vec<u64> {
    let mut found = Vec::new();
    drain(rx, |_, payloads| {
        let number = |payload: &Vec<u8>| u64::from_le_bytes(payload[..8].try_into().unwrap());
        found.extend(payloads.iter().map(number));
    });
    found
}

#[test]
fn all_arrive_once_in_order_and_whole() {
    if !is_there() {
        return;
    }
    for (batch, bytes) in [(None, 64), (Some(1), 18), (Some(3), 1_472), (Some(1_024), 100)] {
        let size = PayloadSize::Fixed(bytes);
        let (mut rx, addr) = receiver(size, batch, false);
        let mut tx = sender(addr, size, batch);
        let most = tx.batch(false);
        assert_eq!(most, batch.unwrap_or(64));
        let mut next = 0;
        for _ in 0..20 {
            // No more than the socket's buffer takes by default.
            let count = most.min(100);
            assert_eq!(push(&mut tx, 0, next, count), sent(count));
            let mut found = 0;
            drain(&mut rx, |pull, payloads| {
                assert!(pull.datagrams <= most);
                assert_eq!((pull.truncated, pull.no_buffers), (0, 0));
                for payload in payloads {
                    assert_eq!(payload.len(), usize::from(bytes));
                    assert_eq!(payload[..8], u64::to_le_bytes(next + found));
                    assert!(payload[8..].iter().all(|&byte| byte == 7));
                    found += 1;
                }
            });
            assert_eq!(found, count as u64);
            next += found;
        }
    }
}

#[test]
fn mixed_sizes_and_the_longest_arrive_whole() {
    if !is_there() {
        return;
    }
    for size in [PayloadSize::Imix, PayloadSize::Fixed(65_507)] {
        let (mut rx, addr) = receiver(size, None, false);
        let mut tx = sender(addr, size, None);
        for first in (0..40).step_by(2) {
            assert_eq!(push(&mut tx, 0, first, 2), sent(2));
            let mut lens = Vec::new();
            drain(&mut rx, |_, payloads| lens.extend(payloads.iter().map(Vec::len)));
            assert_eq!(lens, [size.at(first), size.at(first + 1)]);
        }
    }
}

#[test]
fn each_flow_has_its_socket_connected_or_not() {
    if !is_there() {
        return;
    }
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();
    for connected in [false, true] {
        let sockets = [socket(), socket(), socket()];
        let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
        if connected {
            sockets.iter().for_each(|socket| socket.connect(to).unwrap());
        }
        let sockets = sockets.map(mio).into_iter().collect();
        let dest = (!connected).then_some(to);
        let mut tx = UringTx::new(sockets, dest, SIZE, None, |_| {}).unwrap();
        for (flow, port) in ports.iter().enumerate() {
            assert_eq!(push(&mut tx, flow, 5, 2), sent(2));
            for number in [5_u64, 6] {
                let mut bytes = [0; 100];
                let (len, from) = target.recv_from(&mut bytes).unwrap();
                assert_eq!((len, from), (64, *port));
                assert_eq!(bytes[..8], number.to_le_bytes());
            }
        }
        assert_eq!(tx.sockets().len(), 3);
    }
}

#[test]
fn nothing_leaves_behind_a_refused_one() {
    if !is_there() {
        return;
    }
    let gone = SocketAddr::from(([127, 0, 0, 1], common::ports::free()));
    let mut tx = sender(gone, SIZE, None);
    // The first one leaves, and its ICMP error refuses the second one. Had the third one been
    // tried, it would have left, and its error would refuse the first one of the next push.
    let closed = Unreachable::returned(UnreachableErrno::ConnRefused);
    let error = Some(SendError::Unreachable(closed));
    for first in 0..10 {
        assert_eq!(push(&mut tx, 0, first, 8), Push { refused: 1, error, ..sent(1) });
    }
    // A refusal is not the end.
    let target = UdpSocket::bind(gone).unwrap();
    target.set_nonblocking(true).unwrap();
    let mut rx = UringRx::new(mio(target), SIZE, None, false).unwrap();
    assert_eq!(push(&mut tx, 0, 10, 8), sent(8));
    assert_eq!(numbers(&mut rx), [10, 11, 12, 13, 14, 15, 16, 17]);
}

#[test]
fn too_long_to_send_is_refused_by_its_name() {
    if !is_there() {
        return;
    }
    let (mut rx, addr) = receiver(PayloadSize::Fixed(65_507), None, false);
    let mut tx = sender(addr, PayloadSize::Fixed(65_508), None);
    let push = push(&mut tx, 0, 0, 2);
    assert_eq!((push.sent, push.refused, push.error), (0, 1, Some(SendError::TooBig)));
    assert!(numbers(&mut rx).is_empty());
}

#[test]
fn too_long_to_receive_is_told_and_empty_is_a_datagram() {
    if !is_there() {
        return;
    }
    let (mut rx, addr) = receiver(PayloadSize::Fixed(16), None, false);
    let other = socket();
    other.send_to(&[1; 1_000], addr).unwrap();
    other.send_to(&[], addr).unwrap();
    other.send_to(&[2; 17], addr).unwrap();
    let mut lens = Vec::new();
    let mut truncated = 0;
    drain(&mut rx, |pull, payloads| {
        truncated += pull.truncated;
        lens.extend(payloads.iter().map(Vec::len));
    });
    assert_eq!(truncated, 1);
    assert_eq!(lens[1..], [0, 17]);
    assert!((17..1_000).contains(&lens[0]), "longer than ours, and cut: {lens:?}");
}

#[test]
fn an_empty_queue_costs_no_system_call() {
    if !is_there() {
        return;
    }
    let (mut rx, addr) = receiver(SIZE, None, false);
    let armed = Pull { drained: true, syscalls: 1, ..Pull::default() };
    assert_eq!(rx.pull(), armed);
    for _ in 0..3 {
        assert_eq!(rx.pull(), Pull { syscalls: 0, ..armed });
    }
    socket().send_to(&[0; 64], addr).unwrap();
    assert_eq!(rx.pull(), Pull { datagrams: 1, packets: 1, ..armed });
    assert_eq!(rx.pull(), Pull { syscalls: 0, ..armed });
}

#[test]
fn timestamps_tell_how_long_it_waited() {
    if !is_there() {
        return;
    }
    for stamps in [false, true] {
        let (mut rx, addr) = receiver(SIZE, None, stamps);
        let sent = Instant::now();
        sender(addr, SIZE, None).push(0, 0, 4);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(rx.pull().datagrams, 4);
        let mut waits = Vec::new();
        rx.each(|_, waited| waits.extend(waited));
        assert_eq!(waits.len(), if stamps { 4 } else { 0 });
        // A busy kernel may deliver them after the call that sent them.
        let most = sent.elapsed();
        assert!(waits.iter().all(|waited| waited.0 > 0 && waited.to_duration() <= most));
    }
}

#[test]
fn a_datagram_wakes_who_sleeps_on_the_socket() {
    if !is_there() {
        return;
    }
    let (mut rx, addr) = receiver(SIZE, None, false);
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(4));
    for first in 0..20 {
        if first == 10 {
            // Entered anew, as after a busy time.
            poll.registry().deregister(&mut rx.sockets()[0]).unwrap();
        }
        assert!(numbers(&mut rx).is_empty());
        if first % 10 == 0 {
            poll.registry().register(&mut rx.sockets()[0], Token(0), Interest::READABLE).unwrap();
        }
        let sending = std::thread::spawn(move || push(&mut sender(addr, SIZE, None), 0, first, 3));
        // A ring that was closed a moment ago, as by a probe, interrupts once.
        while poll.poll(&mut events, Some(Duration::from_secs(60))).is_err() {}
        assert!(!events.is_empty(), "woken by nothing but the time");
        assert_eq!(sending.join().unwrap(), sent(3));
        assert_eq!(numbers(&mut rx), [first, first + 1, first + 2]);
    }
}

#[test]
fn the_port_is_free_once_the_engine_is_gone() {
    if !is_there() {
        return;
    }
    let name = "uring::the_port_is_free_once_the_engine_is_gone";
    let Some(port) = common::ports::by_itself(name) else { return };
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..20 {
        let socket = UdpSocket::bind(addr).unwrap();
        socket.set_nonblocking(true).unwrap();
        {
            let mut rx = UringRx::new(mio(socket), SIZE, None, false).unwrap();
            sender(addr, SIZE, None).push(0, 0, 2);
            assert_eq!(rx.pull().datagrams, 2);
        }
        let socket = UdpSocket::bind(addr).unwrap();
        socket.connect("127.0.0.1:9").unwrap();
        let mut tx = UringTx::new(vec![mio(socket)], None, SIZE, None, |_| {}).unwrap();
        assert_eq!(tx.push(0, 0, 1).sent, 1);
    }
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_bench_accounts_for_every_datagram() {
    if !is_there() {
        return;
    }
    for words in [
        "-e uring,uring/batch,plain/uring -l 64,1472 -n 20000 -r max",
        "-e uring -l 64 -n 5000 -r 50k --wait epoll",
        "-e uring -l 64,9000 -n 5000 -r max -w 4K",
        "-e uring -l 64 -n 20000 -r max -P 4 --threads 2",
        "-e uring -l imix -n 5000 -r max --connect off",
        "-e uring -l 64 -n 5000 -r 100k --timestamps kernel --batch 7",
        "-e uring -l 65507 -n 500 -r max --wait spin",
    ] {
        let report = common::bench(words);
        for cell in common::cells(&report) {
            assert!(common::number(cell, "ledger.received") > 0, "{words}");
        }
        let features = report["tool"]["features"].as_array().unwrap();
        assert!(features.contains(&"uring".into()), "{features:?}");
    }
}

#[test]
fn a_build_without_it_says_so() {
    let facts = host::host_info(Depth::Quick);
    let found = facts.capabilities.iter().find(|can| can.name == "uring").unwrap();
    if !URING_IS_BUILT_IN {
        assert!(!found.available);
        assert!(found.detail.contains("build with --features uring"), "{}", found.detail);
        let rx = UringRx::new(mio(socket()), SIZE, None, false);
        assert_eq!(rx.err().unwrap().kind(), std::io::ErrorKind::Unsupported);
    }
}
