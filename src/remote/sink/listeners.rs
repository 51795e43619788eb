//! The listening sockets. The event loop of the server reads the first of each address, where
//! control messages arrive; all others have a thread each.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token};

use super::SinkOptions;
use crate::clock::Clock;
use crate::measure::{
    IntervalSeries, ListenerTally, Numbered, ServerRecorder, ServerSums, SinkTally, Snapshot,
    TrafficSource, UnsolicitedTraffic,
};
use crate::net::steer::{CONTROL_TAG, SLOT_SHIFT};
use crate::net::{
    Bound, BoundSender, Group, GroupOptions, MAX_DATAGRAM, Options, Udp, max_queued, pin_to,
};
use crate::payload::answer_ping;
use crate::remote::lock;
use crate::remote::rpc::Outgoing;
use crate::run::{Drops, RunError};
use crate::sys::{self, LocalAddr};
use crate::unit::Nanos;
use crate::wire::decode_own;

/// The first listener of each address, and the local address that each client uses.
#[derive(Debug, Default)]
pub(super) struct ControlSockets {
    pub(super) sockets: Vec<Bound>,
    /// By client with an open session.
    pub(super) called: HashMap<SocketAddr, LocalAddr>,
}

impl ControlSockets {
    /// Registers all sockets; their tokens are their indices.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        self.sockets
            .iter_mut()
            .enumerate()
            .try_for_each(|(at, socket)| registry.register(socket, Token(at), Interest::READABLE))
    }

    /// Sends messages from the addresses that clients use, `latest` among them; clients retry.
    pub(super) fn send(&mut self, out: &mut Outgoing, latest: Option<&BoundSender>) {
        for (to, message) in out.drain(..) {
            let called = match latest {
                Some(sender) if sender.from == Some(to) => sender.called,
                _ => self.called.get(&to).copied(),
            };
            let _sent = self.sockets.iter_mut().any(|socket| socket.send_to(&message, to, called));
        }
    }
}

/// Pins the event loop to its core while there is no session. During a session, receivers run on
/// the same cores, and the session threads that the loop starts must not inherit its affinity.
#[derive(Debug)]
pub(super) struct AffinityGuard {
    /// The core, unless pinning failed.
    pub(super) core: Option<usize>,
    allowed: Vec<usize>,
    is_pinned: bool,
}

impl AffinityGuard {
    /// Pins the calling thread, if the core and the present affinity are known.
    pub(super) fn on(core: Option<usize>) -> Self {
        let allowed = core.and_then(|_| sys::affinity()).unwrap_or_default();
        let core = core.filter(|_| !allowed.is_empty());
        let mut affinity = Self { core, allowed, is_pinned: false };
        affinity.pin();
        affinity
    }

    pub(super) fn pin(&mut self) {
        if let Some(core) = self.core.filter(|_| !self.is_pinned) {
            self.is_pinned = pin_to(core).is_ok();
            self.core = self.core.filter(|_| self.is_pinned);
        }
    }

    pub(super) fn unpin(&mut self) {
        if self.is_pinned {
            self.is_pinned = !sys::set_affinity(&self.allowed);
        }
    }
}

impl Drop for AffinityGuard {
    fn drop(&mut self) {
        self.unpin();
    }
}

#[derive(Debug)]
pub(super) struct ControlListener {
    pub(super) at: SocketAddr,
    /// A duplicate of the socket, to read its kernel counters.
    counter_socket: Udp,
    drops: Drops,
    requested: usize,
    pub(super) core: Option<usize>,
    pub(super) unsolicited: UnsolicitedTraffic,
    /// Its datagrams by interval, if a thread of its own counted them.
    intervals: IntervalSeries,
}

impl ControlListener {
    pub(super) fn new(at: SocketAddr, requested: usize, counter_socket: Udp) -> Self {
        let mut drops = Drops::default();
        drops.restart(from_ref(&counter_socket.socket));
        let since = Clock::Monotonic.now();
        let unsolicited = UnsolicitedTraffic { since, ..UnsolicitedTraffic::default() };
        let intervals = IntervalSeries::default();
        Self { at, counter_socket, drops, requested, core: None, unsolicited, intervals }
    }

    pub(super) fn count(
        &mut self,
        (from, group): (SocketAddr, Option<IpAddr>),
        datagram: &[u8],
        now: Nanos,
    ) {
        let from = TrafficSource { from, group };
        self.unsolicited.count(from, datagram.len(), numbered(datagram), now);
    }

    /// The most datagrams that the receive buffer holds: at the end, no more are read.
    pub(super) fn waiting(&self) -> usize {
        max_queued(self.counter_socket.receive_buffer.unwrap_or(self.requested))
    }

    /// The counts so far. Call it before the kernel's 32-bit counter of drops wraps.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let drops = self.drops.sample(from_ref(&self.counter_socket.socket));
        Snapshot { drops, ..self.unsolicited.snapshot() }
    }

    /// What intervals have of it.
    pub(super) fn sums(&mut self) -> ServerSums {
        let drops = self.drops.sample(from_ref(&self.counter_socket.socket));
        let totals = &self.unsolicited.totals;
        [totals.datagrams, totals.bytes, 0, 0, drops]
    }

    /// Adds its counts up to the latest [`Self::sums`].
    pub(super) fn end(self, tally: &mut SinkTally) {
        tally.intervals.unsolicited.merge(&self.intervals);
        tally.listeners.push(ListenerTally {
            at: self.at,
            core: self.core,
            datagrams: self.unsolicited.totals.datagrams,
            drops: self.drops.known_total(),
            asked: self.requested as u64,
            granted: self.counter_socket.receive_buffer.map(|bytes| bytes as u64),
        });
        tally.unsolicited.merge(self.unsolicited);
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

/// How often a loop reports progress and checks whether to end; arbitrary.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// When a loop reports next: at the end of an interval since `began`, or after [`TICK`].
pub(super) fn next_tick(width: Option<Nanos>, began: Nanos, now: Nanos) -> Nanos {
    let end = |width: Nanos| began + Nanos((now.since(began).0 / width.0 + 1) * width.0);
    width.map_or(Nanos::NEVER, end).min(now + Nanos::from(TICK))
}

/// The threads of the listeners after the first.
#[derive(Debug, Default)]
pub(super) struct ListenerThreads {
    threads: Vec<JoinHandle<ControlListener>>,
    progress: Vec<Arc<ListenerProgress>>,
    is_over: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct ListenerProgress {
    /// The counts, updated every [`TICK`].
    snapshot: Mutex<Snapshot>,
    /// When the last datagram arrived, in ns of the monotonic clock; only the thread writes it.
    received_ns: AtomicU64,
}

impl ListenerThreads {
    /// Opens the listeners of one address; returns the first one. `answers`: they answer pings;
    /// `began`: when the sink did.
    pub(super) fn listen(
        &mut self,
        socket: &Options,
        options: &SinkOptions,
        (answers, began): (bool, Nanos),
    ) -> Result<(Group, Option<(UdpSocket, ControlListener)>), RunError> {
        let threads = usize::from(options.threads);
        let (buffer, socket) = (socket.buffer, socket.clone());
        let group = GroupOptions { socket, listeners: threads, per_slot: threads, steer: true };
        let group = Group::open_passed(&group, options.passed.at(group.socket.bind)?)?;
        let listener = |counter_socket| ControlListener::new(group.local(), buffer, counter_socket);
        let listeners = group.listener_handles()?.into_iter().map(listener);
        let mut all = group.listeners()?.into_iter().zip(listeners);
        let first = all.next();
        for (worker, (socket, listener)) in (1..).zip(all) {
            let recorder = options.recorder(began);
            self.add((worker, socket), listener, options.core(worker), answers, recorder)?;
        }
        Ok((group, first))
    }

    fn add(
        &mut self,
        (worker, socket): (usize, UdpSocket),
        listener: ControlListener,
        core: Option<usize>,
        answers: bool,
        recorder: Option<ServerRecorder>,
    ) -> Result<(), RunError> {
        let is_over = Arc::clone(&self.is_over);
        let progress = Arc::new(ListenerProgress::default());
        self.progress.push(Arc::clone(&progress));
        let thread = Builder::new()
            .name(format!("udperf-sink-{worker}"))
            .spawn(move || count(socket, listener, core, answers, (&is_over, &progress), recorder))
            .map_err(|source| RunError::Spawn { source })?;
        self.threads.push(thread);
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let each = self.progress.iter().map(|one| *lock(&one.snapshot));
        each.fold(Snapshot::default(), Snapshot::and)
    }

    pub(super) fn received_at(&self) -> Nanos {
        let each = self.progress.iter().map(|one| one.received_ns.load(Ordering::Relaxed));
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
    (is_over, progress): (&AtomicBool, &ListenerProgress),
    mut recorder: Option<ServerRecorder>,
) -> ControlListener {
    listener.core = core.filter(|&core| pin_to(core).is_ok());
    let mut socket = Bound::udp(socket);
    let Ok(mut poll) = Poll::new() else { return listener };
    // Without it, the loop sleeps for TICK at a time.
    let _ = poll.registry().register(&mut socket, Token(0), Interest::READABLE);
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut show_at = Nanos::ZERO;
    let mut left = listener.waiting();
    while left > 0 {
        // Datagrams that wait in the buffer at the end are counted.
        let ends = is_over.load(Ordering::Relaxed);
        left -= usize::from(ends);
        let now = Clock::Monotonic.now();
        if let Some(recorder) = &mut recorder {
            recorder.observe(now, || listener.sums());
        }
        if now >= show_at {
            show_at = now + Nanos::from(TICK);
            *lock(&progress.snapshot) = listener.snapshot();
        }
        match socket.recv_from(&mut buffer) {
            Ok(BoundSender { len, from, called, to_many, group }) => {
                progress.received_ns.store(now.0, Ordering::Relaxed);
                let Some(sender) = from else { continue };
                listener.count((sender, group), &buffer[..len], now);
                if answers && !to_many && answer_ping(&mut buffer[..len]) {
                    socket.send_to(&buffer[..len], sender, called);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && ends => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll.poll(&mut events, Some(TICK));
            }
            Err(_) => {}
        }
    }
    let sums = listener.sums();
    listener.intervals = ended(recorder, sums);
    listener
}

/// The intervals of a thread that has ended with these sums; empty without.
pub(super) fn ended(recorder: Option<ServerRecorder>, sums: ServerSums) -> IntervalSeries {
    let series = recorder.map(|recorder| recorder.into_series(Clock::Monotonic.now(), sums));
    series.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_at_the_end_of_each_interval() {
        let [began, width] = [7, 1_000].map(Nanos::from_millis);
        let at = |ms| next_tick(Some(width), began, Nanos::from_millis(ms));
        let expected = [257, 1_007, 1_257, 2_007].map(Nanos::from_millis);
        assert_eq!([at(7), at(800), at(1_007), at(2_000)], expected);
        assert_eq!(next_tick(None, began, began), began + Nanos::from(TICK));
    }

    #[test]
    fn listeners_end_with_their_owner() {
        let socket = Options { bind: ([127, 0, 0, 1], 0).into(), ..Options::default() };
        let udp = Udp::open(&socket).unwrap();
        let mut others = ListenerThreads::default();
        let listener = ControlListener::new(udp.local, 65_536, udp.duplicate().unwrap());
        others.add((1, udp.socket), listener, None, false, None).unwrap();
        let is_over = Arc::downgrade(&others.is_over);
        drop(others);
        // The thread held the last reference.
        assert!(is_over.upgrade().is_none());
    }

    #[test]
    fn unpinning_restores_the_affinity() {
        let Some(before) = sys::affinity().filter(|cores| cores.len() > 1) else {
            eprintln!("SKIPPED: there are no two cores to choose from");
            return;
        };
        let core = before[before.len() - 1];
        let mut affinity = AffinityGuard::on(Some(core));
        assert_eq!((affinity.core, sys::affinity()), (Some(core), Some(vec![core])));
        affinity.unpin();
        assert_eq!(sys::affinity(), Some(before.clone()));
        affinity.pin();
        assert_eq!(sys::affinity(), Some(vec![core]));
        drop(affinity);
        assert_eq!(sys::affinity(), Some(before.clone()));
        // A core that does not exist.
        assert_eq!(AffinityGuard::on(Some(1_000)).core, None);
        assert_eq!(AffinityGuard::on(None).core, None);
        assert_eq!(sys::affinity(), Some(before));
    }
}
