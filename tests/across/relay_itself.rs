//! The relay does what it is told, and says what it did: tried with bare sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use udperf::wire::{self, Header};

use crate::relay::{Action, Damage, Mistreat, Orders, Relay, Way};

/// How long to wait for what is sure to come; only a failure takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tag of data.
const TAG: u16 = 777;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn data(sequence: u64) -> [u8; 18] {
    let mut bytes = [0; 18];
    wire::encode(Header { tag: TAG, flow: 0, sequence, intended_ns: 0 }, &mut bytes);
    bytes
}

/// The numbers of the datagrams that come, so many, and who sent the last one.
fn numbers(socket: &UdpSocket, count: usize) -> (Vec<u64>, SocketAddr) {
    let (mut found, mut last) = (Vec::new(), any());
    while found.len() < count {
        let mut buffer = [0; 64];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        found.push(wire::decode_own(&buffer[..len], TAG).unwrap().sequence);
        last = from;
    }
    (found, last)
}

#[test]
fn actions_are_done_by_index_and_direction() {
    let (client, sink) = (socket(), socket());
    let orders = Orders::default()
        .on(Way::Forward, 1, Action::Drop)
        .on(Way::Forward, 3, Action::Repeat(2))
        .on(Way::Forward, 4, Action::Delay(2))
        .on(Way::Forward, 9, Action::Delay(5))
        .every(Way::Back, 2, 0, Action::Drop);
    let relay = Relay::start(any(), sink.local_addr().unwrap(), orders).unwrap();
    for number in 0..10 {
        client.send_to(&data(number), relay.at).unwrap();
    }
    // Nine is held for five that never come, until all is quiet.
    let (found, upstream) = numbers(&sink, 11);
    assert_eq!(found, [0, 2, 3, 3, 3, 5, 6, 4, 7, 8, 9]);
    for number in 0..4 {
        sink.send_to(&data(number), upstream).unwrap();
    }
    assert_eq!(numbers(&client, 2), (vec![1, 3], relay.at));
    let account = relay.stop().sound();
    let (forward, back) = (account.forward, account.back);
    assert_eq!((forward.came, forward.dropped, forward.repeated), (10, 1, 2));
    assert_eq!((forward.distinct, forward.duplicate, forward.delayed), (9, 2, 2));
    assert_eq!((forward.reordered, forward.extent), (1, 2));
    assert_eq!((back.came, back.dropped, back.distinct, back.reordered), (4, 2, 2, 0));
    assert_eq!(account.sources, 1);
}

#[test]
fn damage_and_a_longer_way_are_done_as_ordered() {
    let (client, sink) = (socket(), socket());
    let orders = Orders::default()
        .on(Way::Forward, 0, Action::Damage(Damage::Bit(127)))
        .on(Way::Forward, 1, Action::Copy(Damage::Number(20)))
        .lag(Way::Forward, Duration::from_millis(200));
    let relay = Relay::start(any(), sink.local_addr().unwrap(), orders).unwrap();
    let begun = Instant::now();
    for number in 0..3 {
        client.send_to(&data(number), relay.at).unwrap();
    }
    let mut bytes = [0; 18];
    sink.recv(&mut bytes).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    bytes[15] ^= 0x80;
    assert_eq!(bytes, data(0));
    assert_eq!(numbers(&sink, 3).0, [1 | 1 << 20, 1, 2]);
    let lane = relay.stop().sound().forward;
    assert_eq!((lane.came, lane.damaged, lane.distinct), (3, 2, 2));
}

#[test]
fn sources_stay_apart_and_control_is_left_alone() {
    let (one, two, sink) = (socket(), socket(), socket());
    let orders = Orders::default().every(Way::Forward, 1, 0, Action::Drop);
    let relay = Relay::start(any(), sink.local_addr().unwrap(), orders).unwrap();
    let mut seen = Vec::new();
    for (client, mark) in [(&one, 1), (&two, 2), (&one, 3)] {
        client.send_to(&data(7), relay.at).unwrap();
        client.send_to(&[0, 1, mark], relay.at).unwrap();
        let mut buffer = [0; 64];
        let (len, from) = sink.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], [0, 1, mark]);
        seen.push(from);
        sink.send_to(&[0, 1, 9], from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 3);
    }
    assert_eq!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[1]);
    // All bits that count phases: a socket that shows itself, which is no data.
    one.send_to(&[1, 0x5F, 0], relay.at).unwrap();
    assert_eq!(sink.recv(&mut [0; 64]).unwrap(), 3);
    let account = relay.stop().sound();
    assert_eq!(account.forward.shown, 1);
    assert_eq!((account.sources, account.forward.control, account.back.control), (2, 3, 3));
    assert_eq!((account.forward.came, account.forward.dropped), (3, 3));
    assert_eq!(account.messages.len(), 7);
    assert_eq!(account.messages[1], (Way::Back, vec![0, 1, 9]));
}

#[test]
fn control_is_mistreated_by_seed() {
    let mistreated = |seed| {
        let (client, sink) = (socket(), socket());
        let how = Mistreat { seed, drop: 50, repeat: 20, delay: 20 };
        let to = sink.local_addr().unwrap();
        let relay = Relay::start(any(), to, Orders::default().mistreat(how)).unwrap();
        for number in 0..200 {
            client.send_to(&[0, 1, number], relay.at).unwrap();
        }
        assert!(relay.wait_for(PATIENCE, |account| account.forward.control == 200));
        let lane = relay.stop().sound().forward;
        sink.set_nonblocking(true).unwrap();
        let mut found = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(len) = sink.recv(&mut buffer) {
            assert_eq!(len, 3);
            found.push(buffer[2]);
        }
        assert!(found.len() as u64 >= 200 - lane.control_dropped);
        assert!((60..140).contains(&lane.control_dropped), "{lane:?}");
        // Where a stall lets the relay believe in silence, what is held leaves early: only which
        // ones come is a matter of the seed, not their order.
        found.sort_unstable();
        found
    };
    let found = mistreated(3);
    assert_eq!(found, mistreated(3));
    assert_ne!(found, mistreated(4));
}

#[test]
fn ten_thousand_pass_unharmed() {
    let (client, sink) = (socket(), socket());
    let relay = Relay::start(any(), sink.local_addr().unwrap(), Orders::default()).unwrap();
    for hundred in 0..100 {
        for number in 0..100 {
            client.send_to(&data(hundred * 100 + number), relay.at).unwrap();
        }
        let (found, _) = numbers(&sink, 100);
        assert!(found.into_iter().eq(hundred * 100..hundred * 100 + 100));
    }
    let account = relay.stop().sound();
    assert_eq!((account.forward.came, account.forward.distinct), (10_000, 10_000));
    assert_eq!((account.forward.duplicate, account.forward.reordered), (0, 0));
}
