//! Sockets that share one port: each datagram reaches exactly the socket that its first bytes name,
//! whatever is added to the group or given back meanwhile.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common::{ports, skip};

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use udperf::net::steer::{BY_SOURCE, CONTROL_TAG, MAX_SLOTS, SLOT_SHIFT};
use udperf::net::{Group, GroupOptions, Options, Slot, SocketError};
use udperf::sys;

/// How often an empty socket is looked at again before a datagram counts as lost: loopback may
/// deliver a little after the send returned.
const LOOKS: usize = 1_000_000;

fn options(ip: IpAddr, listeners: usize, per_slot: usize) -> GroupOptions {
    let bind = SocketAddr::new(ip, 0);
    let socket = Options { bind, buffer: 1 << 20, ..Options::default() };
    GroupOptions { socket, listeners, per_slot, steer: true }
}

/// A group, or `None` where this system cannot steer.
fn group(ip: IpAddr, listeners: usize, per_slot: usize) -> Option<Group> {
    let group = match Group::open(&options(ip, listeners, per_slot)) {
        Ok(group) => group,
        Err(error) if ip.is_ipv6() => {
            skip::unavailable(format_args!("{error}"));
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    if !group.can_steer() {
        let may_lack_it = cfg!(any(udperf_portable, not(target_os = "linux")));
        assert!(may_lack_it, "Linux steers");
        skip::unavailable(format_args!("this system does not steer"));
        return None;
    }
    Some(group)
}

const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn source(group: &Group) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(group.local().ip(), 0)).unwrap();
    socket.connect(group.local()).unwrap();
    socket
}

/// A datagram of this tag and flow, with a number behind it.
fn datagram(tag: u16, flow: u16, number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&tag.to_be_bytes());
    bytes[2..4].copy_from_slice(&flow.to_be_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn tag(slot: &Slot) -> u16 {
    slot.number << SLOT_SHIFT
}

/// All sockets of a test in one row, and who of them holds something.
struct Ears(Vec<mio::net::UdpSocket>);

impl Ears {
    fn new(group: &Group, slots: Vec<Slot>) -> Self {
        let of_slots = slots.into_iter().flat_map(|slot| slot.sockets);
        let listeners = group.listeners().unwrap().into_iter();
        Self(listeners.chain(of_slots.map(|udp| udp.socket)).collect())
    }

    /// Who got the only datagram under way, which is `expected`.
    fn hear(&self, expected: &[u8]) -> usize {
        let mut heard = None;
        for _ in 0..LOOKS {
            heard = self.look(expected);
            if heard.is_some() {
                break;
            }
        }
        assert_eq!(self.look(expected), None, "one arrived twice");
        heard.unwrap_or_else(|| panic!("{expected:?} was lost"))
    }

    fn look(&self, expected: &[u8]) -> Option<usize> {
        let mut buffer = [0; 2_048];
        self.0.iter().position(|socket| match socket.recv(&mut buffer) {
            Ok(len) => {
                assert_eq!(&buffer[..len], expected);
                true
            }
            Err(_) => false,
        })
    }
}

#[test]
fn datagrams_of_slots_reach_the_socket_of_their_flow() {
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 2, 3) else { continue };
        let slots: Vec<_> = (0..4).map(|_| group.take_slot(1 << 16).unwrap()).collect();
        assert_eq!(slots.iter().map(|slot| slot.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(slots.iter().all(|slot| slot.port.is_none() && slot.sockets.len() == 3));
        let tags: Vec<_> = slots.iter().map(tag).collect();
        let (ears, source) = (Ears::new(&group, slots), source(&group));
        for (slot, tag) in tags.iter().enumerate() {
            for flow in [0_u16, 1, 2, 3, 7, 65_535] {
                for phase in [0, 1, 0x1F] {
                    let sent = datagram(tag | phase, flow, 9);
                    source.send(&sent).unwrap();
                    let at = 2 + slot * 3 + usize::from(flow) % 3;
                    assert_eq!(ears.hear(&sent), at, "{ip} slot {slot} flow {flow}");
                }
            }
        }
    }
}

#[test]
fn by_source_a_slot_has_one_socket_for_each_source_and_uses_them_all() {
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 1, 4) else { continue };
        let slots = vec![group.take_slot(1 << 16).unwrap(), group.take_slot(1 << 16).unwrap()];
        let tag = tag(&slots[1]) | BY_SOURCE;
        let ears = Ears::new(&group, slots);
        let mut used = BTreeSet::new();
        for _ in 0..64 {
            let source = source(&group);
            let mut heard = (0..8_u16).map(|flow| {
                let sent = datagram(tag, flow, 1);
                source.send(&sent).unwrap();
                ears.hear(&sent)
            });
            let first = heard.next().unwrap();
            assert!(heard.all(|other| other == first), "one source, one socket");
            used.insert(first);
        }
        assert_eq!(used, (5..9).collect(), "{ip}");
    }
}

#[test]
fn strangers_reach_listeners_each_its_own_and_control_the_first() {
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 3, 2) else { continue };
        let slots = vec![group.take_slot(1 << 16).unwrap()];
        let known = tag(&slots[0]);
        let ears = Ears::new(&group, slots);
        let mut used = BTreeSet::new();
        for number in 0..48 {
            let source = source(&group);
            // Too short to be steered, though the first bytes name a slot; unknown slots; no slot.
            let mut strange: Vec<Vec<u8>> =
                (0..4).map(|len| datagram(known, 1, 0)[..len].to_vec()).collect();
            for tag in [2 << SLOT_SHIFT, MAX_SLOTS << SLOT_SHIFT, 0, 2, BY_SOURCE] {
                strange.push(datagram(tag, 1, number).to_vec());
            }
            strange.push(vec![0; 1_400]);
            let mut heard = strange.iter().map(|sent| {
                source.send(sent).unwrap();
                ears.hear(sent)
            });
            let first = heard.next().unwrap();
            assert!(first < 3 && heard.all(|other| other == first), "one source, one listener");
            used.insert(first);
            let control = datagram(CONTROL_TAG, 7, number);
            source.send(&control).unwrap();
            assert_eq!(ears.hear(&control), 0);
        }
        assert_eq!(used, (0..3).collect(), "{ip}");
    }
}

#[test]
fn what_is_taken_and_given_back_leaves_others_alone() {
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 2, 2) else { continue };
        let slot = group.take_slot(1 << 16).unwrap();
        let (tag, own) = (tag(&slot), slot.number);
        let (ears, source) = (Ears::new(&group, vec![slot]), source(&group));
        let (stop, exchanged) = (AtomicBool::new(false), 3_000_u32);
        std::thread::scope(|scope| {
            let (stop, ears) = (&stop, &ears);
            scope.spawn(move || {
                for number in 0..exchanged {
                    let sent = datagram(tag, number as u16, number);
                    source.send(&sent).unwrap();
                    assert_eq!(ears.hear(&sent), 2 + number as usize % 2);
                }
                stop.store(true, Ordering::Release);
            });
            let (mut most, mut rounds) = (0, 0);
            // Until the other has come to its end, which it does whether it fails or not.
            while !stop.load(Ordering::Acquire) && rounds < 1_000 {
                let taken: Vec<_> =
                    (0..1 + rounds % 40).map(|_| group.take_slot(4_096).unwrap()).collect();
                assert!(taken.iter().all(|slot| slot.number != own));
                let numbers: BTreeSet<_> = taken.iter().map(|slot| slot.number).collect();
                assert_eq!(numbers.len(), taken.len());
                drop(taken);
                most = most.max(numbers.len());
                numbers.into_iter().for_each(|number| group.release_slot(number, 0));
                rounds += 1;
            }
            assert!(rounds > 0);
        });
        // No more were added than were taken at once.
        let mut numbers: Vec<_> = (0..40).map(|_| group.take_slot(4_096).unwrap().number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (2..42).collect::<Vec<_>>());
    }
}

#[test]
fn a_slot_that_is_taken_again_is_empty_and_as_new() {
    let Some(mut group) = group(LOOPBACKS[0], 1, 1) else { return };
    let slot = group.take_slot(1 << 18).unwrap();
    let (tag, number, granted) = (tag(&slot), slot.number, slot.sockets[0].receive_buffer);
    let source = source(&group);
    // Stale datagrams, some of them super-packets.
    sys::set_udp_gro(&slot.sockets[0].socket, true).unwrap();
    sys::set_timestamps(&slot.sockets[0].socket).unwrap();
    let sent = datagram(tag, 0, 1);
    (0..100).for_each(|_| _ = source.send(&sent).unwrap());
    sys::set_udp_segment(&source, 8).unwrap();
    (0..10).for_each(|_| _ = source.send(&sent.repeat(5)).unwrap());
    drop(slot);
    group.release_slot(number, 0);
    group.release_slot(number, 0);
    group.release_slot(0, 0);
    group.release_slot(99, 0);
    // Datagrams to a released slot go to the listener.
    source.send(&sent.repeat(5)).unwrap();
    let listener = &group.listeners().unwrap()[0];
    let foreign = (0..LOOKS).filter(|_| listener.recv(&mut [0; 64]).is_ok()).count();
    assert_eq!(foreign, 5);
    let slot = group.take_slot(1 << 18).unwrap();
    assert_eq!((slot.number, slot.sockets[0].receive_buffer), (number, granted));
    let ears = Ears::new(&group, vec![slot]);
    assert_eq!(ears.look(&[]), None);
    // What comes now is split into datagrams again.
    source.send(&sent.repeat(5)).unwrap();
    for _ in 0..5 {
        let heard = (0..LOOKS).find_map(|_| ears.look(&sent));
        assert_eq!(heard, Some(1));
    }
    assert_eq!(ears.look(&[]), None);
    assert_eq!(group.take_slot(4_096).unwrap().number, number + 1, "it was given back once");
}

#[test]
fn super_packets_reach_the_socket_of_their_flow() {
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 1, 2) else { continue };
        let slots = vec![group.take_slot(1 << 16).unwrap(), group.take_slot(1 << 16).unwrap()];
        let tag = tag(&slots[1]);
        // The sockets of flow 1 keep super-packets whole, those of flow 0 have them split.
        sys::set_udp_gro(&slots[1].sockets[1].socket, true).unwrap();
        let (ears, source) = (Ears::new(&group, slots), source(&group));
        sys::set_udp_segment(&source, 8).unwrap();
        for round in 0..50 {
            let cut = datagram(tag, 0, round);
            source.send(&cut.repeat(20)).unwrap();
            for _ in 0..20 {
                let heard = (0..LOOKS).find_map(|_| ears.look(&cut));
                assert_eq!(heard, Some(3), "{ip}");
            }
            let whole = datagram(tag, 1, round).repeat(20);
            source.send(&whole).unwrap();
            assert_eq!(ears.hear(&whole), 4, "{ip}");
        }
    }
}

#[test]
fn a_port_that_anybody_has_is_refused_with_what_mends_it() {
    let [ip, _] = LOOPBACKS;
    let name = "socket_group::a_port_that_anybody_has_is_refused_with_what_mends_it";
    let Some(port) = ports::by_itself(name) else { return };
    let mut same = options(ip, 2, 1);
    same.socket.bind.set_port(port);
    let first = Group::open(&same).unwrap();
    let error = Group::open(&same).unwrap_err();
    assert!(matches!(error, SocketError::Bind { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot bind {}: address in use; choose another --port or stop the other process",
            first.local()
        )
    );
    drop(first);
    assert!(Group::open(&same).is_ok(), "a closed group keeps its port");
}

#[test]
fn both_families_share_a_number_of_port() {
    if group(Ipv6Addr::UNSPECIFIED.into(), 1, 1).is_none() {
        return;
    }
    let port = ports::free();
    let [four, six] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()].map(|ip| {
        let mut options = options(ip, 1, 1);
        options.socket.bind.set_port(port);
        Group::open(&options).unwrap()
    });
    assert_eq!(four.local().port(), six.local().port());
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    source.send_to(b"hello", ("127.0.0.1", six.local().port())).unwrap();
    let ears = Ears([four, six].iter().flat_map(|group| group.listeners().unwrap()).collect());
    assert_eq!(ears.hear(b"hello"), 0);
}

#[test]
fn slots_end_with_an_error_that_says_so() {
    sys::raise_open_files();
    let Some(mut group) = group(LOOPBACKS[0], 1, 1) else { return };
    for number in 1..=MAX_SLOTS {
        assert_eq!(group.take_slot(4_096).unwrap().number, number);
    }
    let error = group.take_slot(4_096).unwrap_err();
    assert!(matches!(error, SocketError::Slots { slots: MAX_SLOTS, .. }), "{error}");
    group.release_slot(77, 0);
    assert_eq!(group.take_slot(4_096).unwrap().number, 77);
}

#[test]
fn without_steering_each_slot_has_a_port_of_its_own() {
    for ip in LOOPBACKS {
        let wanted = GroupOptions { steer: false, ..options(ip, 3, 2) };
        let mut group = match Group::open(&wanted) {
            Ok(group) => group,
            Err(error) => {
                skip::unavailable(format_args!("{error}"));
                continue;
            }
        };
        assert!(!group.can_steer());
        let slots = vec![group.take_slot(1 << 16).unwrap(), group.take_slot(1 << 16).unwrap()];
        assert!(slots.iter().all(|slot| slot.sockets.len() == 1));
        let port = slots[1].port.unwrap();
        assert_eq!(port, slots[1].sockets[0].local.port());
        assert_ne!(port, group.local().port());
        let (ears, source) = (Ears::new(&group, slots), source(&group));
        assert_eq!(ears.0.len(), 1 + 2);
        let sent = datagram(2 << SLOT_SHIFT, 1, 5);
        source.send(&sent).unwrap();
        assert_eq!(ears.hear(&sent), 0, "the group's port has the listener alone");
        source.send_to(&sent, SocketAddr::new(ip, port)).unwrap_or_else(|_| {
            // Some systems send nowhere else than to the peer they are connected to.
            let other = UdpSocket::bind(SocketAddr::new(ip, 0)).unwrap();
            other.send_to(&sent, SocketAddr::new(ip, port)).unwrap()
        });
        assert_eq!(ears.hear(&sent), 2);
        group.release_slot(1, 0);
        assert_eq!(group.take_slot(4_096).unwrap().number, 1);
        assert_eq!(group.take_slot(4_096).unwrap().number, 3);
    }
}

/// Ports that are closed. Arbitrary: among a few sockets, hardly one would be spared what comes
/// back from so many.
#[cfg(all(target_os = "linux", not(udperf_portable)))]
const CLOSED: u16 = 300;

#[cfg(all(target_os = "linux", not(udperf_portable)))]
#[test]
fn what_comes_back_for_one_slots_datagrams_disturbs_no_other() {
    let closed = ports::free_range(CLOSED);
    for ip in LOOPBACKS {
        let Some(mut group) = group(ip, 2, 2) else { continue };
        let slots: Vec<_> = (0..2).map(|_| group.take_slot(1 << 16).unwrap()).collect();
        let sender = slots[0].sockets[0].duplicate().unwrap();
        sender.report_queue_drops().unwrap();
        for port in closed.0..=closed.1 {
            // What came back for an earlier one may be told instead.
            let _ = sender.socket.send_to(&[0; 8], SocketAddr::new(ip, port));
        }
        // The kernel has the last word on who is told: some of it comes to the sender.
        let told = (0..LOOKS).find_map(|_| sys::drain_error_queue(&sender.socket).1);
        let why = told.and_then(sys::SendError::unreachable).unwrap();
        assert!(why.is_closed_port(), "{ip}: {why}");
        assert_eq!(why.reported_by(), Some(ip.to_string()), "{why}");
        let of_slots = slots.iter().flat_map(|slot| &slot.sockets).map(|udp| &udp.socket).skip(1);
        let listeners = group.listeners().unwrap();
        for (at, other) in listeners.iter().chain(of_slots).enumerate() {
            assert_eq!(sys::drain_error_queue(other).1, None, "{ip}: {at}");
            assert!(other.take_error().unwrap().is_none(), "{ip}: {at}");
        }
        // Whoever has the slot next is as deaf as if it were new.
        drop(slots);
        group.release_slot(1, 0);
        assert!(!sys::reports_queue_drops(&sender.socket, ip.is_ipv6()));
        assert_eq!(sys::drain_error_queue(&sender.socket).1, None);
    }
}
