//! Returning datagrams: those that one multishot has received go back by one request each, from the
//! same buffers, all by one `io_uring_enter`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::{IoUring, opcode, types};
use mio::net::UdpSocket;

use super::super::Rx;
use super::super::echo::plain::{send_one_by_one, send_reply};
use super::super::echo::post::{Next, classify_failure, send_replies};
use super::super::echo::{EchoCounters, PendingReply, ReplyFilter, Responder, SLOT_LEN};
use super::{UringRx, is_temporary, register, ring};
use crate::sys::{self, Reply, ReplyBatch};

/// Datagrams a turn; as many as `batch` has.
const BATCH: usize = 64;

/// Buffers: as many as a pull takes. What finds none left waits in the socket for the next pull.
const BUFFERS: usize = BATCH;

/// Room for the control messages of one datagram: `CMSG_SPACE` of in_pktinfo (32) and in6_pktinfo
/// (40), in multiples of 16 bytes.
const CONTROL_LEN: usize = 80;

/// The result of what was not tried: what the kernel says of requests that it has dropped.
const NOT_TRIED: i32 = -libc::ECANCELED;

/// Returns many datagrams by two calls, through two rings.
pub struct UringEcho {
    rx: UringRx<UdpSocket>,
    ring: IoUring,
    outbox: ReplyBatch,
    pending: Box<[PendingReply]>,
    results: Box<[i32]>,
    broken: bool,
}

impl UringEcho {
    /// Replies in the calling thread; `anywhere`: the socket is bound to any address. Fails without
    /// a sufficient io_uring or destination addresses.
    // cold: set-up
    pub fn new(socket: UdpSocket, ipv6: bool, anywhere: bool) -> io::Result<Self> {
        if anywhere {
            sys::enable_pktinfo(&socket, ipv6)?;
        }
        let control_len = if anywhere { CONTROL_LEN } else { 0 };
        let ring = ring(BATCH, BATCH)?;
        register(&ring, &[socket.as_fd().as_raw_fd()])?;
        Ok(Self {
            rx: UringRx::with_layout(socket, SLOT_LEN, BATCH, control_len, BUFFERS)?,
            ring,
            outbox: ReplyBatch::new(BATCH),
            pending: PendingReply::buffers(BATCH),
            results: vec![NOT_TRIED; BATCH].into_boxed_slice(),
            broken: false,
        })
    }

    #[inline]
    fn send_pending(&mut self, count: usize, counters: &mut EchoCounters) {
        let (rx, pending) = (&self.rx, &self.pending[..count]);
        let reply = |pending: &PendingReply| pending.reply(rx.bytes(pending.message, pending.len));
        if self.broken {
            let outbox = &mut self.outbox;
            let send = |socket: &UdpSocket, reply: Reply<'_>| outbox.send_one(socket, reply);
            return send_one_by_one(rx.socket(), pending.iter().map(reply), counters, send);
        }
        self.outbox.fill_headers(pending.iter().map(reply));
        let mut queue = self.ring.submission();
        let mut pushed = 0;
        for number in 0..count {
            let send = opcode::SendMsg::new(types::Fixed(0), self.outbox.header(number));
            let send = send.flags(libc::MSG_DONTWAIT as u32).build().user_data(number as u64);
            // SAFETY: the header and all that it points to stay where they are until the kernel has
            // done with them, for which this waits below: the payload in buffers that were not
            // given back yet, the rest in the outbox, which nobody writes meanwhile.
            let queued = unsafe { queue.push(&send) };
            debug_assert!(queued.is_ok(), "a turn leaves no requests behind");
            // Where there is no room after all, what is left counts as not tried.
            if queued.is_err() {
                break;
            }
            pushed += 1;
        }
        drop(queue);
        let mut results = 0;
        // Nothing waits, so one call brings all results, unless a signal comes between.
        while results < pushed {
            counters.syscalls += 1;
            let entered = self.ring.submit_and_wait(pushed - results);
            for result in self.ring.completion() {
                self.results[result.user_data() as usize % BATCH] = result.result();
                results += 1;
            }
            if entered.is_err_and(|error| !is_temporary(&error)) {
                // What was not tried is sent without it, as all that follows.
                self.broken = true;
                break;
            }
        }
        self.complete_all(count, counters);
    }

    #[inline]
    fn complete_all(&mut self, count: usize, counters: &mut EchoCounters) {
        let Self { rx, outbox, pending, results, .. } = self;
        let mut earlier = None;
        for (pending, result) in pending[..count].iter().zip(results) {
            let reply = pending.reply(rx.bytes(pending.message, pending.len));
            let again = match std::mem::replace(result, NOT_TRIED) {
                0.. => {
                    counters.count_reply(&reply);
                    false
                }
                NOT_TRIED => true,
                code => {
                    // All results are in by now, so the queue is looked at once for all of them.
                    let earlier = *earlier.get_or_insert_with(|| {
                        let (queued, _) = sys::drain_error_queue(rx.socket());
                        counters.queued_errors += queued;
                        queued > 0
                    });
                    let earlier = earlier && !matches!(-code, libc::EAGAIN | libc::ENOBUFS);
                    let error = io::Error::from_raw_os_error(-code);
                    earlier
                        || classify_failure(&error, rx.socket(), &reply, &mut true, counters)
                            == Next::Again
                }
            };
            if again {
                send_reply(rx.socket(), reply, counters, |socket, reply| {
                    outbox.send_one(socket, reply)
                });
            }
        }
    }
}

impl Responder for UringEcho {
    #[inline]
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool {
        let pull = self.rx.pull();
        counters.syscalls += pull.syscalls;
        counters.empty += if pull.datagrams == 0 { pull.syscalls } else { 0 };
        counters.truncated += pull.truncated;
        if pull.errors > 0 {
            match sys::drain_error_queue(self.rx.socket()) {
                (0, _) => counters.errors += pull.errors,
                (queued, _) => counters.queued_errors += queued,
            }
        }
        if pull.datagrams > 0 {
            filter.read();
            let (pending, mut count) = (&mut self.pending, 0);
            self.rx.each_request(|message, request| {
                if let Some(reply) = PendingReply::to(request, message, filter, counters) {
                    pending[count] = reply;
                    count += 1;
                }
            });
            if count > 0 {
                self.send_pending(count, counters);
            }
            self.rx.release();
        }
        pull.drained
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        counters: &mut EchoCounters,
    ) {
        send_replies(&mut self.outbox, self.rx.socket(), replies, counters);
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        self.rx.sockets()
    }
}

impl Drop for UringEcho {
    fn drop(&mut self) {
        // A closed ring releases its sockets only after a while.
        let _ = self.ring.submitter().unregister_files();
    }
}
