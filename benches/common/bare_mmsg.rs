//! Many messages per system call: `sendmmsg` against `recvmmsg`, with or without UDP_SEGMENT on the
//! one side and UDP_GRO on the other.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use super::{Delivered, Receive, Shape, Transmit, Until, race};

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

/// Payloads begin at cache lines, so that no two share one.
const ALIGN: usize = 64;

/// `sendmmsg` against `recvmmsg`.
pub fn batch(size: usize, shape: Shape, until: Until) -> io::Result<Delivered> {
    race(
        until,
        shape.idle,
        move |socket| Ok(Tx::new(socket, shape.batch, size, 1)),
        move |socket| Ok(Rx::new(socket, shape.batch, size)),
    )
}

/// UDP_SEGMENT against `recvmmsg`: the kernel cuts at the receiving socket.
pub fn gso(size: usize, shape: Shape, until: Until) -> io::Result<Delivered> {
    race(
        until,
        shape.idle,
        move |socket| segmenting(socket, size, shape),
        move |socket| Ok(Rx::new(socket, shape.batch, size)),
    )
}

/// UDP_SEGMENT against UDP_GRO: super-packets are never cut.
pub fn offload(size: usize, shape: Shape, until: Until) -> io::Result<Delivered> {
    race(
        until,
        shape.idle,
        move |socket| segmenting(socket, size, shape),
        move |socket| {
            set(&socket, libc::UDP_GRO, 1)?;
            Ok(GroRx::new(socket, shape.buffers))
        },
    )
}

fn segmenting(socket: UdpSocket, size: usize, shape: Shape) -> io::Result<Tx> {
    set(&socket, libc::UDP_SEGMENT, size)?;
    let segments = shape.segments.min(PAYLOAD_MAX / size).clamp(1, segments_max()?);
    let fit = (ARENA_BYTES / (size * segments)).clamp(1, SUPERS_MAX);
    Ok(Tx::new(socket, shape.supers.unwrap_or(fit), size, segments))
}

/// The limit of this kernel, found by trying the highest value.
fn segments_max() -> io::Result<usize> {
    let (tx, rx) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    set(&tx, libc::UDP_SEGMENT, 1)?;
    let sent = tx.send_to(&[0; SEGMENTS_MAX], rx.local_addr()?);
    Ok(if sent.is_ok() { SEGMENTS_MAX } else { SEGMENTS_MAX_BEFORE })
}

fn set(socket: &UdpSocket, option: libc::c_int, value: usize) -> io::Result<()> {
    let value = value as libc::c_int;
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: pointer and length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, option, (&raw const value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

    /// Returns the number of received messages.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        // SAFETY: as many headers as are passed along, whose vectors name memory of `arena`, or of
        // a caller's control buffers, that lives as long as they do.
        let n = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(n).unwrap_or(0)
    }
}

struct Tx {
    socket: UdpSocket,
    messages: Messages,
    segments: u64,
}

impl Tx {
    fn new(socket: UdpSocket, messages: usize, size: usize, segments: usize) -> Self {
        let bytes = size * segments;
        Self { socket, messages: Messages::new(messages, bytes), segments: segments as u64 }
    }
}

impl Transmit for Tx {
    fn burst(&mut self, room: u64) -> u64 {
        let headers = &mut self.messages.headers;
        let count = room.div_ceil(self.segments).min(headers.len() as u64);
        // SAFETY: `count` headers at most are there, whose vectors name memory of the arena.
        let n = unsafe {
            libc::sendmmsg(self.socket.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0)
        };
        // A refused call sent 0 messages. If all calls are refused, the loop ends with its time.
        u64::try_from(n).unwrap_or(0) * self.segments
    }
}

struct Rx {
    socket: UdpSocket,
    messages: Messages,
}

impl Rx {
    fn new(socket: UdpSocket, messages: usize, size: usize) -> Self {
        Self { socket, messages: Messages::new(messages, size) }
    }
}

impl Receive for Rx {
    fn pull(&mut self) -> u64 {
        self.messages.receive(&self.socket) as u64
    }
}

/// Space for the one control message, which has the segment size.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; Self::BYTES]);

impl Control {
    /// CMSG_SPACE of the c_int that `udp_cmsg_recv` of include/linux/udp.h puts there.
    // SAFETY: only arithmetic.
    const BYTES: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::c_int>() as u32) } as usize;
}

struct GroRx {
    socket: UdpSocket,
    messages: Messages,
    controls: Vec<Control>,
}

impl GroRx {
    fn new(socket: UdpSocket, messages: usize) -> Self {
        let mut controls = vec![Control([0; Control::BYTES]); messages];
        let mut messages = Messages::new(messages, PAYLOAD_MAX);
        for (header, control) in messages.headers.iter_mut().zip(&mut controls) {
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = Control::BYTES as _;
        }
        Self { socket, messages, controls }
    }
}

impl Receive for GroRx {
    fn pull(&mut self) -> u64 {
        let came = self.messages.receive(&self.socket);
        let mut datagrams = 0;
        for header in &mut self.messages.headers[..came] {
            datagrams += u64::from(header.msg_len.div_ceil(segment_size(header)));
            // The kernel has written the used length; the next call needs the full length again.
            header.msg_hdr.msg_controllen = Control::BYTES as _;
        }
        datagrams
    }
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
