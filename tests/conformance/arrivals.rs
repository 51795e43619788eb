//! What others send: other segments, last ones that are shorter, nothing at all, too much.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use udperf::run::ReceiveProbe;
use udperf::sys;
use udperf::unit::{Nanos, PayloadSize};

use crate::engines::{Long, Pair, has, loopbacks, receivers};
use crate::ours::{TAG, stamp};
use crate::rig::{Inbox, Rig, Setup, options};

/// A sender that none of our engines is.
struct Stranger {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Stranger {
    fn new(ip: IpAddr, to: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind((ip, 0)).unwrap(), to }
    }

    fn send(&self, payload: &[u8]) {
        assert_eq!(self.socket.send_to(payload, self.to).unwrap(), payload.len());
    }

    /// Has the kernel split these bytes into segments, the last of which may be shorter.
    fn send_cut(&self, payload: &[u8], segment: u16) {
        sys::set_udp_segment(&self.socket, segment).unwrap();
        self.send(payload);
        sys::set_udp_segment(&self.socket, 0).unwrap();
    }
}

/// Bytes that tell where they belong.
fn bytes(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + salt) % 251) as u8).collect()
}

#[test]
fn segments_of_any_length_come_out_as_they_went_in() {
    if !has("segments that end short", &["gso"]) {
        return;
    }
    let cuts = [
        (100, 250),
        (100, 200),
        (100, 101),
        (1, 64),
        (16, 64 * 16),
        (17, 63 * 17 + 1),
        (1_471, 10 * 1_471 - 1),
        (1_472, 44 * 1_472 + 3),
        (8_972, 6 * 8_972 + 8_971),
        (20_000, 60_001),
        (32_753, 65_507),
        (65_400, 65_507),
    ];
    for rx in receivers() {
        for ip in loopbacks() {
            for (salt, &(segment, len)) in cuts.iter().enumerate() {
                // Where slots have one length it has to suffice; otherwise nothing is promised.
                let planned = if rx.long == Long::Whole { 64 } else { segment };
                let size = PayloadSize::Fixed(planned);
                let mut inbox = Inbox::open(rx, &options(ip), size, None);
                let payload = bytes(len, salt);
                Stranger::new(ip, inbox.at).send_cut(&payload, segment);
                let sent: Vec<_> = payload.chunks(segment.into()).collect();
                let got = inbox.take(sent.len() as u64);
                let name = format!("{}: {len} bytes in segments of {segment}", inbox.name);
                let equal = got.iter().zip(&sent).all(|((got, _), sent)| got == sent);
                assert!(equal, "{name}");
                assert_eq!((inbox.tally.truncated, inbox.tally.errors), (0, 0), "{name}");
            }
        }
    }
}

#[test]
fn what_a_buffer_held_before_leaves_no_trace() {
    if !has("segments among single datagrams", &["gso"]) {
        return;
    }
    for rx in receivers() {
        for ip in loopbacks() {
            let mut inbox = Inbox::open(rx, &options(ip), PayloadSize::Fixed(1_472), None);
            let stranger = Stranger::new(ip, inbox.at);
            for round in 0..8 {
                let mut sent = Vec::new();
                // Whole, cut and empty ones change places in the buffers from round to round.
                for (turn, segment) in [100, 0, 33, 1_472, 30, 0, 1_000].into_iter().enumerate() {
                    let len = [250, 70, 0, 1_472, 30, 1, 999][(turn + round) % 7];
                    let payload = bytes(len, round + turn);
                    stranger.send_cut(&payload, segment);
                    let chunk = if segment == 0 { 1_472 } else { usize::from(segment) };
                    sent.extend(payload.chunks(chunk).map(<[u8]>::to_vec));
                    if payload.is_empty() {
                        sent.push(payload);
                    }
                }
                let got = inbox.take(sent.len() as u64);
                let got: Vec<_> = got.into_iter().map(|(payload, _)| payload).collect();
                assert!(got == sent, "{}: round {round}", inbox.name);
            }
            assert_eq!((inbox.tally.truncated, inbox.tally.errors), (0, 0), "{}", inbox.name);
        }
    }
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    for rx in receivers() {
        for ip in loopbacks() {
            let mut inbox = Inbox::open(rx, &options(ip), PayloadSize::Fixed(16), None);
            let stranger = Stranger::new(ip, inbox.at);
            (0..5).for_each(|_| stranger.send(&[]));
            let got = inbox.take(5);
            assert!(got.iter().all(|(payload, _)| payload.is_empty()), "{}", inbox.name);
            assert_eq!((inbox.tally.packets, inbox.tally.uncut), (5, 0), "{}", inbox.name);
            assert_eq!((inbox.tally.truncated, inbox.tally.errors), (0, 0), "{}", inbox.name);
        }
    }
}

#[test]
fn what_is_longer_than_planned_is_not_ours_whatever_its_header_says() {
    for rx in receivers() {
        for ip in loopbacks() {
            let size = PayloadSize::Fixed(64);
            let mut inbox = Inbox::open(rx, &options(ip), size, None);
            let stranger = Stranger::new(ip, inbox.at);
            let mut probe = probe(1, size);
            let mut cut = 0;
            let lens = [64, 65, 128, 129, 192, 193, 1_000, 64, 65_507, 64];
            let mut ours = 0;
            for len in lens {
                let mut payload = bytes(len, 0);
                stamp(0, ours, &mut payload);
                stranger.send(&payload);
                ours += u64::from(len == 64);
                cut += u64::from(len > SLOT_MOST);
            }
            inbox.pull_all(lens.len() as u64, &mut |payload, waited| {
                assert!(payload.len() >= 64);
                probe.datagram(payload, NOW, waited);
            });
            probe.pull_ends();
            let (tally, name) = (&probe.tally, &inbox.name);
            assert_eq!((tally.received, tally.corrupt), (ours, lens.len() as u64 - ours), "{name}");
            match rx.long {
                Long::Cut | Long::Whole => assert_eq!(inbox.tally.truncated, 0, "{name}"),
                Long::CutAndTold => assert!(inbox.tally.truncated >= cut, "{name}"),
            }
        }
    }
}

/// No slot for 64 bytes is longer: a cache line of slack, and rounded up to one.
const SLOT_MOST: usize = 192;

/// Behind all that [`stamp`] intends.
const NOW: Nanos = Nanos(1 << 40);

fn probe(flows: usize, size: PayloadSize) -> ReceiveProbe {
    let mut probe = ReceiveProbe::new(0, flows, size);
    probe.start(TAG, false, NOW);
    probe
}

#[test]
fn strangers_in_between_disturb_nobody() {
    for pair in Pair::all() {
        let setup = Setup { flows: 2, ..Setup::fixed(200) };
        let mut rig = Rig::new(pair, &setup);
        let stranger = Stranger::new(pair.ip, rig.inbox.at);
        let mut probe = probe(2, setup.size);
        for round in 0..3 {
            rig.push_all(7);
            stranger.send(&bytes(200, round));
            rig.push_all(20);
            stranger.send(&[]);
            // Ours by its tag, and shorter than ours.
            let mut payload = vec![0; 199];
            stamp(0, 0, &mut payload);
            stranger.send(&payload);
            rig.push_all(1);
            stranger.send(b"abc");
        }
        rig.inbox.pull_all(3 * (28 + 4), &mut |payload, waited| {
            probe.datagram(payload, NOW, waited);
        });
        probe.pull_ends();
        let tally = &probe.tally;
        assert_eq!((tally.received, tally.foreign, tally.corrupt), (3 * 28, 9, 3), "{pair}");
        assert_eq!((tally.duplicate, tally.late, tally.reordered), (0, 0, 0), "{pair}");
        assert_eq!(rig.inbox.tally.truncated, 0, "{pair}");
    }
}
