//! Super-packets received whole (`UDP_GRO`), several a `recvmmsg`, and cut here: how long each
//! datagram is, the kernel says in a control message.

use std::io;

use mio::net::UdpSocket;

use super::arena::Arena;
use super::inbox::Inbox;
use super::{Pull, Rx, SEGMENTS};
use crate::net::Datagram;
use crate::sys::{self, RecvMetadata};
use crate::unit::Nanos;

/// Bytes of a buffer: the longest UDP payload, and so the longest super-packet.
const SLOT_LEN: usize = 65_536;

/// Default super-packets per call, as in the sender. 1, 4 and 16 differ by less than 2 % (measured
/// in bare loops over loopback).
const MESSAGES: usize = 4;

/// CPU pauses before the next look at an empty queue, about 1 µs (30 ns each, measured), as each
/// look takes a cache line from the sender's core. In interleaved runs 32 delivered 7 % more than 1
/// at 64 bytes and 13 % more at 1472; 200 no more at 64.
const PAUSES: u32 = 32;

/// Receives super-packets, several by one call.
#[derive(Debug)]
pub struct GroRx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    /// The one that is looked at.
    at: usize,
    inbox: Inbox,
    /// Whether the latest look found nothing.
    was_empty: bool,
}

impl<S: Datagram> GroRx<S> {
    /// Receives about `batch` datagrams per call at most, but always one super-packet. Fails
    /// without super-packets, or without wanted timestamps.
    // cold: set-up
    pub fn new(socket: S, batch: Option<usize>, stamps: bool) -> io::Result<Self> {
        Self::many(vec![socket], batch, stamps)
    }

    /// The same on several sockets, one at a time.
    // cold: set-up
    pub fn many(sockets: Vec<S>, batch: Option<usize>, stamps: bool) -> io::Result<Self> {
        sockets.iter().try_for_each(sys::set_udp_gro)?;
        if stamps {
            sockets.iter().try_for_each(sys::set_timestamps)?;
        }
        let wanted = batch.map_or(MESSAGES, |batch| batch.div_ceil(SEGMENTS));
        let slots = Arena::fitting(SLOT_LEN, wanted);
        let metadata = RecvMetadata { segments: true, stamps, ..RecvMetadata::default() };
        let inbox = Inbox::new(slots, SLOT_LEN, metadata);
        Ok(Self { sockets, at: 0, inbox, was_empty: false })
    }
}

impl<S: Datagram> Rx for GroRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        if self.was_empty {
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        let pull = self.inbox.pull(&self.sockets[self.at]);
        self.was_empty = pull.packets == 0;
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for (message, waited) in self.inbox.messages() {
            if message.payload.is_empty() {
                visit(message.payload, waited);
            }
            message.payload.chunks(message.segment).for_each(|segment| visit(segment, waited));
        }
    }

    fn takes_super_packets(&self) -> bool {
        true
    }

    fn turn_to(&mut self, at: usize) {
        (self.at, self.was_empty) = (at, false);
    }

    fn sockets(&mut self) -> &mut [S] {
        &mut self.sockets
    }
}
