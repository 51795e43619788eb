//! AF_XDP: rings and memory (UMEM) shared with the kernel. Through them, frames pass to and from
//! one queue of a device, and bypass the socket layer.
//!
//! Not a crate: crate `xdp` gives all rings of a queue to one owner, and here one thread may send
//! and another receive on the same queue. So each queue has two sockets on one memory: the first
//! receives, the second sends, and each half moves to its thread.
#![allow(unsafe_code)]

mod queue;
mod ring;
mod rx;
mod tx;

pub use queue::RingCounter;
pub use rx::XskRx;
pub use tx::{XskSend, XskTx};

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use self::queue::{HEADROOM, XskQueue, get};
use self::ring::{Mapping, Ring};
use super::check;
use crate::sys::XskOptions;

/// Sizes of a chunk of memory, which holds one received frame: `XDP_UMEM_MIN_CHUNK_SIZE`, and a
/// page, the largest (`xdp_umem_reg` of `net/xdp/xdp_umem.c`).
const CHUNKS: [usize; 2] = [2_048, 4_096];

/// `XDP_MAX_TX_SKB_BUDGET` of `include/uapi/linux/if_xdp.h`, since Linux 6.17: frames that one kick
/// sends at most, 32 without it. Set to all slots, so that each batch takes one call.
const MAX_TX_SKB_BUDGET: libc::c_int = 9;

/// Microseconds of `SO_BUSY_POLL`, as in `Documentation/networking/af_xdp.rst`. A call that does
/// not block polls once, whatever the value.
const BUSY_POLL_US: libc::c_int = 20;

/// Frames that one busy poll takes at most: `NAPI_POLL_WEIGHT` of `include/linux/netdevice.h`.
const BUSY_POLL_BUDGET: libc::c_int = 64;

/// How long to wait for a queue whose last socket was closed just now: the kernel releases it in a
/// worker of its own (`xp_release_deferred`). Arbitrary: longer than a busy host delays that.
const RELEASE_MS: u64 = 1_000;

/// Opens the sockets of a queue, with memory for both halves. Waits a moment if the queue is still
/// in use. Needs CAP_NET_RAW.
pub fn open_xsk(options: &XskOptions) -> io::Result<(XskTx, XskRx)> {
    let is_busy = |error: &io::Error| error.raw_os_error() == Some(libc::EBUSY);
    super::wait_while(RELEASE_MS, is_busy, || open(options))
}

/// The bytes from slot to slot of the sending half, for payloads up to this length: a power of two,
/// so that no slot crosses a chunk.
pub const fn xsk_stride(headroom: usize, payload: usize) -> usize {
    (headroom + payload).next_power_of_two()
}

fn chunk_for(options: &XskOptions) -> io::Result<usize> {
    let stride = xsk_stride(options.slot_headroom, options.payload);
    let needed = (HEADROOM + options.slot_headroom + options.payload).max(stride);
    let found = CHUNKS.into_iter().find(|chunk| *chunk >= needed);
    found.ok_or_else(|| {
        let most = CHUNKS[CHUNKS.len() - 1] - HEADROOM - options.slot_headroom;
        let why = format!(
            "datagrams of {} bytes; AF_XDP takes at most {most}; use a smaller --size",
            options.payload
        );
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}

fn open(options: &XskOptions) -> io::Result<(XskTx, XskRx)> {
    let chunk = chunk_for(options)?;
    let stride = xsk_stride(options.slot_headroom, options.payload);
    let sending = (options.tx_slots as usize * stride).next_multiple_of(chunk);
    // One more chunk: the last slot's payload is lent with the bytes up to the next slot's.
    let receiving_at = sending + chunk;
    let memory = Mapping::anonymous(receiving_at + options.rx_frames as usize * chunk)?;
    let (rx, tx) = (socket()?, socket()?);
    let registered = libc::xdp_umem_reg {
        addr: memory.start().as_ptr() as u64,
        len: memory.len() as u64,
        chunk_size: chunk as u32,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    set(rx.as_fd(), libc::XDP_UMEM_REG, &registered).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::ENOBUFS) => io::Error::other(format!(
                "{} bytes cannot be locked in memory; raise ulimit -l, or grant CAP_IPC_LOCK",
                memory.len()
            )),
            _ => error,
        }
    })?;
    let (frames, slots) = (options.rx_frames, options.tx_slots);
    set(rx.as_fd(), libc::XDP_UMEM_FILL_RING, &frames)?;
    set(rx.as_fd(), libc::XDP_UMEM_COMPLETION_RING, &slots)?;
    set(rx.as_fd(), libc::XDP_RX_RING, &frames)?;
    set(tx.as_fd(), libc::XDP_TX_RING, &slots)?;
    let offsets: libc::xdp_mmap_offsets = get(rx.as_fd(), libc::XDP_MMAP_OFFSETS)?;
    let mut fill =
        Ring::<u64>::map(rx.as_fd(), libc::XDP_UMEM_PGOFF_FILL_RING, offsets.fr, frames)?;
    // Before bind(2): some drivers take frames at once.
    for frame in 0..frames {
        fill.set(frame, (receiving_at + frame as usize * chunk) as u64);
    }
    fill.publish(frames);
    let completions = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
    let completion = Ring::map(rx.as_fd(), completions, offsets.cr, slots)?;
    let received = Ring::map(rx.as_fd(), libc::XDP_PGOFF_RX_RING as u64, offsets.rx, frames)?;
    let offsets: libc::xdp_mmap_offsets = get(tx.as_fd(), libc::XDP_MMAP_OFFSETS)?;
    let ring = Ring::map(tx.as_fd(), libc::XDP_PGOFF_TX_RING as u64, offsets.tx, slots)?;
    bind(options, &rx, None)?;
    bind(options, &tx, Some(&rx))?;
    // Kernels before 6.17 lack it, and send 32 frames a kick.
    let _ = set(tx.as_fd(), MAX_TX_SKB_BUDGET, &slots);
    let granted: libc::xdp_options = get(rx.as_fd(), libc::XDP_OPTIONS)?;
    let zero_copy = granted.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
    let busy_polls = if options.busy_poll { enable_busy_poll(rx.as_fd()) } else { Some(false) };
    let queue = Arc::new(XskQueue { number: options.queue, memory, rx, tx, zero_copy });
    let tx = XskTx::new(Arc::clone(&queue), ring, completion, slots);
    Ok((tx, XskRx::new(queue, received, fill, chunk, busy_polls)))
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
    // SAFETY: a new file that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Binds a socket to its queue: the first with its own memory, the other with that of the first.
fn bind(options: &XskOptions, socket: &OwnedFd, first: Option<&OwnedFd>) -> io::Result<()> {
    let copy = if options.copy { libc::XDP_COPY } else { 0 };
    let flags = match first {
        Some(_) => libc::XDP_SHARED_UMEM,
        None => libc::XDP_USE_NEED_WAKEUP | copy,
    };
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: options.device,
        sxdp_queue_id: options.queue,
        sxdp_shared_umem_fd: first.map_or(0, |first| first.as_raw_fd() as u32),
    };
    // SAFETY: the address is of its type and length.
    check(unsafe {
        let len = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
        libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), len)
    })?;
    Ok(())
}

/// Lets receive calls run the driver's poll (NAPI) on their CPU; returns whether they will. They
/// cannot if the socket has no NAPI. In copy mode, the kernel before 6.13 gives it one with the
/// first frame, so this is `None`, and later kernels never (`net/xdp/xsk.c`).
fn enable_busy_poll(fd: BorrowedFd<'_>) -> Option<bool> {
    let options = [
        (libc::SO_PREFER_BUSY_POLL, 1),
        (libc::SO_BUSY_POLL, BUSY_POLL_US),
        (libc::SO_BUSY_POLL_BUDGET, BUSY_POLL_BUDGET),
    ];
    let level = libc::SOL_SOCKET;
    if !options.iter().all(|(option, value)| set_at(fd, level, *option, value).is_ok()) {
        return Some(false);
    }
    queue::has_napi(fd).then_some(true)
}

fn set<T>(fd: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    set_at(fd, libc::SOL_XDP, option, value)
}

fn set_at<T>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the value lives during the call, and its length is that of its type.
    check(unsafe {
        let len = size_of::<T>() as libc::socklen_t;
        let value = std::ptr::from_ref(value).cast();
        libc::setsockopt(fd.as_raw_fd(), level, option, value, len)
    })?;
    Ok(())
}
