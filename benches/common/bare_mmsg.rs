//! Many messages per system call: `sendmmsg` against `recvmmsg`, also with UDP_SEGMENT and UDP_GRO.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use udperf::sys;

use super::{ALIGN, Shape, race};

/// Payload that fits into one packet of IPv4: 65,535 bytes less its header of 20 and UDP's of 8.
const PAYLOAD_MAX: usize = 65_507;
/// UDP_MAX_SEGMENTS of include/linux/udp.h since Linux 6.9.
const SEGMENTS_MAX: usize = 128;
/// The same before Linux 6.9.
const SEGMENTS_MAX_BEFORE: usize = 64;
/// Most bytes of all super-packets of a `sendmmsg`: half of the 1 MiB of L2 cache per core of the
/// machine on which the defaults were measured.
const ARENA_BYTES: usize = 512 << 10;
/// Most super-packets per `sendmmsg`, of any size. Measured: 64 were no faster than 4.
const SUPERS_MAX: usize = 16;

/// `sendmmsg` against `recvmmsg`.
pub fn batch(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    let transmit = move |socket| Ok(sender(socket, Messages::new(shape.batch, size)));
    race(time, shape.idle, transmit, move |socket| Ok(receiver(socket, size, shape)))
}

/// UDP_SEGMENT against `recvmmsg`: the kernel splits at the receiving socket.
pub fn gso(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    let transmit = move |socket| segmenting(socket, size, shape);
    race(time, shape.idle, transmit, move |socket| Ok(receiver(socket, size, shape)))
}

/// UDP_SEGMENT against UDP_GRO: super-packets are never split.
pub fn offload(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    let transmit = move |socket| segmenting(socket, size, shape);
    race(time, shape.idle, transmit, move |socket| coalescing(socket, shape.buffers))
}

fn sender(socket: UdpSocket, mut messages: Messages) -> impl FnMut() {
    move || messages.send(&socket)
}

fn receiver(socket: UdpSocket, size: usize, shape: Shape) -> impl FnMut() -> u64 {
    let mut messages = Messages::new(shape.batch, size);
    move || messages.receive(&socket) as u64
}

fn segmenting(socket: UdpSocket, size: usize, shape: Shape) -> io::Result<impl FnMut()> {
    sys::set_udp_segment(&socket, size as u16)?;
    let segments = shape.segments.min(PAYLOAD_MAX / size).clamp(1, segments_max()?);
    let fit = (ARENA_BYTES / (size * segments)).clamp(1, SUPERS_MAX);
    Ok(sender(socket, Messages::new(shape.supers.unwrap_or(fit), size * segments)))
}

/// The limit of this kernel, found by trying the highest value.
fn segments_max() -> io::Result<usize> {
    let (tx, rx) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    sys::set_udp_segment(&tx, 1)?;
    let sent = tx.send_to(&[0; SEGMENTS_MAX], rx.local_addr()?);
    Ok(if sent.is_ok() { SEGMENTS_MAX } else { SEGMENTS_MAX_BEFORE })
}

/// Messages with their own memory, written before the measurement.
struct Messages {
    headers: Vec<libc::mmsghdr>,
    iovs: Vec<libc::iovec>,
    arena: Vec<u8>,
}

impl Messages {
    fn new(count: usize, bytes: usize) -> Self {
        let stride = bytes.next_multiple_of(ALIGN);
        let mut arena = vec![0x55; count * stride];
        let mut iovs: Vec<_> = arena
            .chunks_exact_mut(stride)
            .map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: bytes })
            .collect();
        let headers = iovs
            .iter_mut()
            .map(|iov| {
                // SAFETY: a message header is plain old data, for which zeroes are a valid value.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = iov;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { headers, iovs, arena }
    }

    fn send(&mut self, socket: &UdpSocket) {
        let count = self.headers.len() as libc::c_uint;
        // SAFETY: as many headers as are passed along, whose vectors name memory of `arena`.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, 0) };
    }

    /// Returns the number of received messages.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        let (headers, count) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        let flags = libc::MSG_DONTWAIT as _;
        // SAFETY: as many headers as are passed along, whose vectors name memory of `arena`, or of
        // a caller's control buffers, that lives as long as they do.
        let n = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers, count, flags, std::ptr::null_mut())
        };
        usize::try_from(n).unwrap_or(0)
    }
}

/// Space for the one control message, which has the segment size: CMSG_SPACE of the c_int that
/// `udp_cmsg_recv` of include/linux/udp.h puts there has 24 bytes at most.
type Control = [u64; 3];

fn coalescing(socket: UdpSocket, buffers: usize) -> io::Result<impl FnMut() -> u64> {
    sys::set_udp_gro(&socket, true)?;
    let mut controls = vec![Control::default(); buffers];
    let mut messages = Messages::new(buffers, PAYLOAD_MAX);
    Ok(move || {
        for (header, control) in messages.headers.iter_mut().zip(&mut controls) {
            // The kernel writes the used length; each call needs the full length.
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        let count = messages.receive(&socket);
        let received = messages.headers[..count].iter();
        received.map(|header| u64::from(header.msg_len.div_ceil(segment_size(header)))).sum()
    })
}

/// The segment size of the control message. A single datagram has no message and is one segment.
fn segment_size(header: &libc::mmsghdr) -> u32 {
    // SAFETY: the header was filled by recvmmsg, and its control buffer lives beside it.
    let size = unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
        match cmsg.as_ref() {
            Some(c) if c.cmsg_level == libc::SOL_UDP && c.cmsg_type == libc::UDP_GRO => {
                libc::CMSG_DATA(cmsg).cast::<libc::c_int>().read_unaligned() as u32
            }
            _ => header.msg_len,
        }
    };
    size.max(1)
}
