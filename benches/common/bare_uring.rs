//! io_uring: sends submitted in batches, against one multishot receive into provided buffers. The
//! receiver polls memory that it shares with the kernel, and makes a system call only for work.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::{ALIGN, Shape, race};

/// Buffers that the kernel may fill before the receiver returns some; a power of two, as
/// `io_register_pbuf_ring` of io_uring/kbuf.c requires. Measured: 1024 were no faster.
const BUFFERS: u16 = 256;
/// Group id of the ring of buffers; arbitrary, since there is only one.
const GROUP: u16 = 0;
/// Index of the only socket of each ring.
const SOCKET: Fixed = Fixed(0);

/// Runs the loop.
pub fn run(size: usize, shape: Shape, time: Duration) -> io::Result<f64> {
    let transmit =
        move |socket| Tx::new(socket, shape.batch, size).map(|mut tx| move || tx.burst());
    let receive = move |socket| Rx::new(socket, size).map(|mut rx| move || rx.pull());
    race(time, shape.idle, transmit, receive)
}

/// A ring whose one thread runs the kernel's deferred work itself (DEFER_TASKRUN). Measured:
/// running it at any system call (COOP_TASKRUN) was 4 % slower.
fn ring(socket: &UdpSocket, submissions: u32, completions: u32) -> io::Result<IoUring> {
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions)
        .build(submissions)?;
    ring.submitter().register_files(&[socket.as_raw_fd()])?;
    Ok(ring)
}

struct Tx {
    ring: IoUring,
    entries: Vec<squeue::Entry>,
    payloads: Vec<u8>,
    socket: UdpSocket,
}

impl Tx {
    fn new(socket: UdpSocket, batch: usize, size: usize) -> io::Result<Self> {
        let payloads = vec![0x55; batch * size.next_multiple_of(ALIGN)];
        let slots = payloads.chunks_exact(size.next_multiple_of(ALIGN));
        let entries = slots.map(|slot| {
            // A successful send posts no completion.
            let send = opcode::Send::new(SOCKET, slot.as_ptr(), size as u32).build();
            send.flags(squeue::Flags::SKIP_SUCCESS)
        });
        let entries = entries.collect();
        let entries_max = batch.next_power_of_two() as u32;
        Ok(Self { ring: ring(&socket, entries_max, 2 * entries_max)?, entries, payloads, socket })
    }

    fn burst(&mut self) {
        // SAFETY: the entries name memory of `payloads`, which nothing touches while the ring lives.
        let pushed = unsafe { self.ring.submission().push_multiple(&self.entries) };
        if pushed.is_ok() {
            let _ = self.ring.submit();
            // Only failures complete.
            self.ring.completion().for_each(drop);
        }
    }
}

/// Page-aligned memory for the ring that the kernel maps.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// Provided buffers. The kernel uses them in the order of their ring and gets them back in that
/// order, so the entries are written once, and moving the tail returns a buffer.
struct Provided {
    pages: Vec<Page>,
    tail: u16,
}

impl Provided {
    fn new(buffers: &mut [u8], bytes: usize) -> Self {
        let entries = usize::from(BUFFERS) * size_of::<BufRingEntry>();
        let mut pages = vec![Page([0; 4096]); entries.div_ceil(size_of::<Page>())];
        let base = pages.as_mut_ptr().cast::<BufRingEntry>();
        for (id, slot) in (0..BUFFERS).zip(buffers.chunks_exact_mut(bytes.next_multiple_of(ALIGN)))
        {
            // SAFETY: the pages hold that many entries, for which zeroes are a valid value.
            let entry = unsafe { &mut *base.add(usize::from(id)) };
            entry.set_addr(slot.as_mut_ptr() as u64);
            entry.set_len(bytes as u32);
            entry.set_bid(id);
        }
        Self { pages, tail: 0 }
    }

    fn base(&self) -> *const BufRingEntry {
        self.pages.as_ptr().cast()
    }

    fn give(&mut self, count: u16) {
        self.tail = self.tail.wrapping_add(count);
        // SAFETY: the base is the ring's first entry; its tail is aligned, and this thread alone
        // writes it.
        let tail = unsafe { &*BufRingEntry::tail(self.base()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

struct Rx {
    ring: IoUring,
    provided: Provided,
    buffers: Vec<u8>,
    socket: UdpSocket,
}

impl Rx {
    fn new(socket: UdpSocket, size: usize) -> io::Result<Self> {
        let mut buffers = vec![0xAA; usize::from(BUFFERS) * size.next_multiple_of(ALIGN)];
        let mut provided = Provided::new(&mut buffers, size);
        // The one submission is the receive. Each buffer completes once, and so does its end.
        let ring = ring(&socket, 1, 2 * u32::from(BUFFERS))?;
        let (submitter, base) = (ring.submitter(), provided.base() as u64);
        // SAFETY: the pages outlive the ring, which is the first field to be dropped.
        unsafe { submitter.register_buf_ring_with_flags(base, BUFFERS, GROUP, 0)? };
        provided.give(BUFFERS);
        let mut rx = Self { ring, provided, buffers, socket };
        rx.arm();
        Ok(rx)
    }

    /// Submits the multishot receive, which runs until the kernel reports its end.
    fn arm(&mut self) {
        let receive = opcode::RecvMulti::new(SOCKET, GROUP).build();
        // SAFETY: what it fills are provided buffers, which live as long as the ring does.
        let pushed = unsafe { self.ring.submission().push(&receive) };
        // If the queue of one entry is still full, the code below or the next pull submits it.
        let _ = (pushed, self.ring.submit());
    }

    fn pull(&mut self) -> u64 {
        if self.ring.submission().taskrun() {
            // With the flag set, this call enters the kernel, which receives the waiting datagrams.
            let _ = self.ring.submit();
        }
        let (mut datagrams, mut ended) = (0, false);
        for completion in self.ring.completion() {
            datagrams += u16::from(cqueue::buffer_select(completion.flags()).is_some());
            ended |= !cqueue::more(completion.flags());
        }
        if datagrams > 0 {
            self.provided.give(datagrams);
        }
        if ended {
            self.arm();
        }
        u64::from(datagrams)
    }
}
