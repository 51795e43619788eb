//! Sending: frames into the ring of a queue, and one call for all of a batch.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;

use super::super::{Push, Tx, XdpOptions, len_at, lens, place};
use super::frame::{HEADROOM, Hop, Template, fold, packet_len, sum};
use super::next_hop::NextHopWatch;
use super::queues::{Halves, take_tx};
use crate::net::Datagram;
use crate::sys::{self, RingCounter, SendError, XdpGranted, XskTx, send_error_of};
use crate::unit::PayloadSize;
use crate::wire::LAG_END;

/// Default datagrams per call, as in `batch`, for comparison. Measured over a veth pair, ten
/// interleaved runs of 64 bytes: 32 deliver 0.89 times as many, and 128 as many within the noise.
const BATCH: usize = 64;

/// Pushes per check for ICMP errors, which reach the socket that holds the port.
/// Arbitrary: one system call in 64, or in 4,096 datagrams flat out.
const PUSHES_PER_CHECK: u32 = 64;

/// TTL and hop limit where none is asked for: `IPDEFTTL` of `include/uapi/linux/ip.h`; of groups 1
/// (RFC 1112 section 6.1).
const TTL: u8 = 64;
const MULTICAST_TTL: u8 = 1;

/// Sends many frames by one call.
#[derive(Debug)]
pub struct XdpTx {
    half: XskTx,
    sockets: Vec<UdpSocket>,
    /// One per flow, or one for all.
    flows: Vec<Template>,
    size: PayloadSize,
    lens: Vec<u16>,
    batch: usize,
    stride: usize,
    /// The first slot of the next lease.
    next: usize,
    /// Which slots the kernel holds.
    busy: Vec<bool>,
    /// [`sum`] of a payload from [`LAG_END`] on, by its length; empty if it may change.
    sums: Vec<u16>,
    pushes: u32,
    next_hop: NextHopWatch,
    /// Keeps the other half of the queue open.
    _halves: Arc<Halves>,
}

impl XdpTx {
    /// Sends to `to` from the ports of the sockets, one per flow or one for all. `fill` writes the
    /// payload, once; `is_constant`: only the header of 18 bytes changes later.
    // cold: set-up
    pub fn new(
        sockets: Vec<UdpSocket>,
        to: SocketAddr,
        size: PayloadSize,
        options: &XdpOptions,
        is_constant: bool,
        fill: impl Fn(&mut [u8]),
    ) -> io::Result<Self> {
        let from = sockets.first().map(UdpSocket::local_addr).transpose()?.map(|from| from.ip());
        let from = from.filter(|from| !from.is_unspecified());
        let path = sys::ethernet_path(to, from, options.device.as_deref());
        let path = path.map_err(io::Error::other)?;
        let len = packet_len(to.is_ipv6(), size.largest());
        if len > path.mtu as usize {
            return Err(io::Error::other(format!(
                "packets of {len} bytes exceed the MTU of {} ({}); use a smaller --size",
                path.device.name, path.mtu
            )));
        }
        let (half, halves) = take_tx(options, &path, size.largest())?;
        let ttl = if to.ip().is_multicast() { MULTICAST_TTL } else { TTL };
        let (ttl, tos) = (options.ttl.unwrap_or(ttl), options.dscp.unwrap_or(0) << 2);
        let hop = Hop { from: path.source_mac, to: path.next_mac };
        let flow = |socket: &UdpSocket| {
            let mut from = socket.local_addr()?;
            if from.ip().is_unspecified() {
                from.set_ip(path.source);
            }
            Ok(Template::new(hop, from, to, ttl, tos))
        };
        let flows = sockets.iter().map(flow).collect::<io::Result<Vec<_>>>()?;
        let stride = sys::xsk_stride(HEADROOM, size.largest());
        let slots = half.slots();
        let mut tx = Self {
            half,
            sockets,
            flows,
            size,
            lens: Vec::with_capacity(0),
            batch: options.batch.unwrap_or(BATCH).clamp(1, slots),
            stride,
            next: 0,
            busy: [false].repeat(slots),
            sums: Vec::with_capacity(0),
            pushes: 0,
            next_hop: NextHopWatch::watch(&path, to, from, options.device.as_deref()),
            _halves: halves,
        };
        tx.lens = lens(size, tx.batch);
        for slot in 0..slots {
            fill(tx.half.bytes_mut(slot * stride + HEADROOM, size.largest()));
        }
        if is_constant {
            let payload = tx.half.bytes_mut(HEADROOM, size.largest());
            tx.sums = constant_sums(payload);
        }
        Ok(tx)
    }

    /// Writes the headers of the frame in a slot and puts it into the ring.
    #[inline]
    fn put(&mut self, slot: usize, flow: usize, len: usize) {
        let at = slot * self.stride;
        let bytes = self.half.bytes_mut(at, HEADROOM + len);
        let Some((headers, payload)) = bytes.split_first_chunk_mut::<HEADROOM>() else {
            return;
        };
        let payload_sum = match self.sums.get(len) {
            Some(&rest) => sum(&payload[..len.min(LAG_END)]) + u64::from(rest),
            None => sum(payload),
        };
        let start = self.flows[flow].write(headers, len, payload_sum);
        self.half.put(at + start, HEADROOM - start + len);
    }

    /// Takes back the slots of frames that were sent.
    #[inline]
    fn reclaim(&mut self) {
        let shift = self.stride.trailing_zeros();
        let busy = &mut self.busy;
        self.half.complete(|addr| {
            if let Some(slot) = busy.get_mut((addr >> shift) as usize) {
                *slot = false;
            }
        });
    }

    /// An error of an earlier datagram that ICMP reported.
    #[inline]
    fn reported(&mut self, flow: usize) -> Option<SendError> {
        self.pushes = self.pushes.wrapping_add(1);
        if !self.pushes.is_multiple_of(PUSHES_PER_CHECK) {
            return None;
        }
        self.sockets.get(place(&self.sockets, flow))?.drain_error_queue()
    }
}

/// [`sum`] of the payload from [`LAG_END`] to each length.
// cold: set-up
fn constant_sums(payload: &[u8]) -> Vec<u16> {
    let rest = |len: usize| payload.get(LAG_END..len).map_or(0, |rest| fold(sum(rest)));
    (0..=payload.len()).map(rest).collect()
}

impl Tx for XdpTx {
    type Socket = UdpSocket;

    fn batch(&self, _paced: bool) -> usize {
        self.batch
    }

    #[inline]
    fn lease(&mut self, want: usize) -> &mut [u8] {
        self.reclaim();
        if self.next == self.busy.len() {
            self.next = 0;
        }
        let free = self.busy[self.next..].iter().take(want.min(self.batch));
        let count = free.take_while(|busy| !**busy).count();
        // Chunks of a stride that begin with a payload; each reaches to that of the next slot.
        self.half.bytes_mut(self.next * self.stride + HEADROOM, count * self.stride)
    }

    #[inline]
    fn stride(&self) -> usize {
        self.stride
    }

    #[inline]
    fn lens(&mut self) -> &mut [u16] {
        &mut self.lens
    }

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        if let Some(error) = self.reported(flow) {
            return Push { refused: 1, error: Some(error), syscalls: 1, ..Push::default() };
        }
        if count == 0 {
            // No slot was free: the device is behind.
            return Push { refused: 1, error: Some(SendError::WouldBlock), ..Push::default() };
        }
        if let Some(mac) = self.next_hop.changed() {
            self.flows.iter_mut().for_each(|flow| flow.set_next_hop(mac));
        }
        let template = place(&self.flows, flow);
        for i in 0..count {
            let len = len_at(&self.lens, i, self.size, first_sequence);
            self.put(self.next + i, template, len);
        }
        let sent = self.half.send();
        self.busy[self.next..self.next + sent.taken].fill(true);
        self.next += sent.taken;
        let error = match sent.error {
            // As a socket reports it if the device drops a frame.
            _ if sent.dropped => Some(SendError::NoBuffers),
            Some(error) => Some(send_error_of(&error)),
            None => None,
        };
        let left = sent.taken - usize::from(sent.dropped);
        Push {
            sent: left,
            packets: left as u64,
            refused: usize::from(error.is_some()),
            error,
            syscalls: sent.syscalls,
        }
    }

    // cold: between phases
    fn ring_counter(&self) -> Option<RingCounter> {
        Some(self.half.ring_counter())
    }

    // cold: set-up
    fn granted(&self) -> Option<XdpGranted> {
        Some(self.half.granted())
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        &mut self.sockets
    }
}
