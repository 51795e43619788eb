//! The listening sockets: each counts datagrams of no session and those that the kernel drops; all
//! after the first have a thread each.

use std::io;
use std::net::SocketAddr;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::SinkOptions;
use crate::clock::Clock;
use crate::measure::{ListenerTally, Numbered, Snapshot, UnsolicitedTraffic};
use crate::net::steer::{CONTROL_TAG, SLOT_SHIFT};
use crate::net::{
    Bound, BoundSender, Group, GroupOptions, MAX_DATAGRAM, Options, Udp, max_queued, pin_to,
};
use crate::payload::answer_ping;
use crate::run::{Drops, RunError};
use crate::unit::Nanos;
use crate::wire::decode_own;

/// The counters of one listening socket.
#[derive(Debug)]
pub(super) struct ControlListener {
    at: SocketAddr,
    /// A duplicate of the socket, to read its kernel counters.
    counter_socket: Option<Udp>,
    drops: Drops,
    requested: usize,
    pub(super) core: Option<usize>,
    pub(super) unsolicited: UnsolicitedTraffic,
}

impl ControlListener {
    /// For the socket at `at`, for which a receive buffer of `requested` bytes was asked.
    pub(super) fn new(at: SocketAddr, requested: usize, counter_socket: Option<Udp>) -> Self {
        let mut drops = Drops::default();
        if let Some(socket) = &counter_socket {
            drops.restart(from_ref(&socket.socket));
        }
        let unsolicited =
            UnsolicitedTraffic { since: Clock::Monotonic.now(), ..UnsolicitedTraffic::default() };
        Self { at, counter_socket, drops, requested, core: None, unsolicited }
    }

    pub(super) fn count(&mut self, from: SocketAddr, datagram: &[u8], now: Nanos) {
        self.unsolicited.count(from, datagram.len(), numbered(datagram), now);
    }

    /// The most datagrams that the receive buffer holds: at the end, no more are read.
    pub(super) fn waiting(&self) -> usize {
        max_queued(self.granted().unwrap_or(self.requested))
    }

    /// The size of the receive buffer that the system granted, in bytes.
    fn granted(&self) -> Option<usize> {
        self.counter_socket.as_ref()?.receive_buffer
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        Snapshot { drops: self.sample(), ..self.unsolicited.snapshot() }
    }

    /// Datagrams dropped so far. Call it before the kernel's 32-bit counter wraps.
    fn sample(&mut self) -> u64 {
        let socket = self.counter_socket.as_ref();
        socket.map_or(0, |socket| self.drops.sample(from_ref(&socket.socket)))
    }

    /// The final counts, of the socket and by source.
    fn end(mut self) -> (ListenerTally, UnsolicitedTraffic) {
        self.sample();
        let granted = self.granted();
        let tally = ListenerTally {
            at: self.at,
            core: self.core,
            datagrams: self.unsolicited.datagrams,
            drops: self.drops.known_total(),
            asked: self.requested as u64,
            granted: granted.map(|bytes| bytes as u64),
        };
        (tally, self.unsolicited)
    }
}

/// The header fields of a datagram sent without a session (`blast --no-peer`): it has no slot.
fn numbered(datagram: &[u8]) -> Option<Numbered> {
    let tag = u16::from_be_bytes(*datagram.first_chunk()?);
    let is_ours = tag > CONTROL_TAG && tag >> SLOT_SHIFT == 0;
    let header = decode_own(datagram, tag).filter(|_| is_ours)?;
    Some(Numbered {
        phase: u32::from(tag) << 16 | u32::from(header.flow),
        sequence: header.sequence,
        intended: Nanos(header.intended_ns),
    })
}

/// The final counts of all listeners.
pub(super) fn sum(
    all: impl Iterator<Item = ControlListener>,
) -> (Vec<ListenerTally>, UnsolicitedTraffic) {
    let (tallies, each): (Vec<_>, Vec<_>) = all.map(ControlListener::end).unzip();
    let mut sum = UnsolicitedTraffic::default();
    each.into_iter().for_each(|unsolicited| sum.merge(unsolicited));
    (tallies, sum)
}

/// How often a loop reports progress and checks whether to end; arbitrary.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// The threads of the listeners after the first.
#[derive(Debug, Default)]
pub(super) struct ListenerThreads {
    threads: Vec<JoinHandle<ControlListener>>,
    progress: Vec<Arc<ListenerProgress>>,
    is_over: Arc<AtomicBool>,
}

/// The state of a running listener thread.
#[derive(Debug, Default)]
struct ListenerProgress {
    /// The counts, updated every [`TICK`].
    snapshot: Mutex<Snapshot>,
    /// When the last datagram arrived, in ns of the monotonic clock; only the thread writes it.
    heard_ns: AtomicU64,
}

impl ListenerThreads {
    /// Opens the listeners of one address. Returns the first one, for the event loop of the server;
    /// starts a thread for each other. `answers`: they answer pings.
    pub(super) fn listen(
        &mut self,
        socket: &Options,
        options: &SinkOptions,
        answers: bool,
    ) -> Result<(Group, Option<(UdpSocket, ControlListener)>), RunError> {
        let threads = usize::from(options.threads);
        let group = GroupOptions {
            socket: socket.clone(),
            listeners: threads,
            per_slot: threads,
            steer: true,
        };
        let group = Group::open(&group)?;
        let accounts = group.listener_handles()?.into_iter();
        let accounts = accounts.map(|counter_socket| {
            ControlListener::new(group.local(), socket.buffer, Some(counter_socket))
        });
        let mut all = group.listeners()?.into_iter().zip(accounts);
        let first = all.next();
        for (other, (socket, listener)) in all.enumerate() {
            self.add(other + 1, socket, listener, options.core(other + 1), answers)?;
        }
        Ok((group, first))
    }

    /// Starts the thread of a listener; `answers`: it answers pings.
    fn add(
        &mut self,
        worker: usize,
        socket: UdpSocket,
        listener: ControlListener,
        core: Option<usize>,
        answers: bool,
    ) -> Result<(), RunError> {
        let is_over = Arc::clone(&self.is_over);
        let progress = Arc::new(ListenerProgress::default());
        self.progress.push(Arc::clone(&progress));
        let thread = Builder::new()
            .name(format!("udperf-sink-{worker}"))
            .spawn(move || count(socket, listener, core, answers, &is_over, &progress))
            .map_err(|source| RunError::Spawn { source })?;
        self.threads.push(thread);
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let each = self.progress.iter();
        let each = each.map(|one| *one.snapshot.lock().unwrap_or_else(PoisonError::into_inner));
        each.fold(Snapshot::default(), Snapshot::and)
    }

    /// When the last datagram arrived at any of them.
    pub(super) fn heard_at(&self) -> Nanos {
        let each = self.progress.iter().map(|one| one.heard_ns.load(Ordering::Relaxed));
        Nanos(each.max().unwrap_or(0))
    }

    pub(super) fn end(&mut self) -> Vec<ControlListener> {
        self.is_over.store(true, Ordering::Relaxed);
        // A thread that panicked has reported it on standard error.
        self.threads.drain(..).filter_map(|one| one.join().ok()).collect()
    }
}

/// Ends the threads, also when opening the sink fails.
impl Drop for ListenerThreads {
    fn drop(&mut self) {
        self.end();
    }
}

/// Counts the datagrams of one socket in an event loop of its own.
fn count(
    socket: UdpSocket,
    mut listener: ControlListener,
    core: Option<usize>,
    answers: bool,
    is_over: &AtomicBool,
    progress: &ListenerProgress,
) -> ControlListener {
    // It also works unpinned.
    listener.core = core.filter(|&core| pin_to(core).is_ok());
    let mut socket = Bound::udp(socket);
    let Ok(mut poll) = Poll::new() else { return listener };
    // Without it, the loop sleeps for TICK at a time.
    let _ = poll.registry().register(&mut socket, Token(0), Interest::READABLE);
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut show_at = Nanos::ZERO;
    let mut left = listener.waiting();
    loop {
        // Datagrams that wait in the buffer at the end are counted.
        let ends = is_over.load(Ordering::Relaxed);
        if ends && left == 0 {
            break;
        }
        left -= usize::from(ends);
        let moment = Clock::Monotonic.now();
        if moment >= show_at {
            show_at = moment + Nanos::from(TICK);
            let snapshot = listener.snapshot();
            *progress.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
        match socket.recv_from(&mut buffer) {
            Ok(BoundSender { len, from, called, to_many }) => {
                progress.heard_ns.store(moment.0, Ordering::Relaxed);
                let Some(sender) = from else { continue };
                listener.count(sender, &buffer[..len], moment);
                if answers && !to_many && answer_ping(&mut buffer[..len]) {
                    socket.send_to(&buffer[..len], sender, called);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ends {
                    break;
                }
                let _ = poll.poll(&mut events, Some(TICK));
            }
            Err(_) => {}
        }
    }
    listener
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_end_with_their_owner() {
        let socket = Options { bind: ([127, 0, 0, 1], 0).into(), ..Options::default() };
        let Ok(udp) = Udp::open(&socket) else { panic!("a socket of loopback") };
        let mut others = ListenerThreads::default();
        let listener = ControlListener::new(udp.local, 65_536, None);
        others.add(1, udp.socket, listener, None, false).unwrap();
        let is_over = Arc::downgrade(&others.is_over);
        drop(others);
        // The thread held the last reference.
        assert!(is_over.upgrade().is_none());
    }
}
