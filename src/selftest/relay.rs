//! A relay between a sender and a receiver of one cell. It does what its orders say, and keeps an
//! account of that: the truth with which a report is compared.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use super::orders::{Action, Orders, Truth, tag_of};
use crate::net::{Options, Udp};
use crate::run::RunError;
use crate::sys::{self, ThreadStall};
use crate::unit::Nanos;
use crate::wire;

/// How often the relay checks whether it is to end; arbitrary.
const LOOK: Nanos = Nanos::from_millis(5);
/// Datagrams whose times are kept; arbitrary, more than any check with times sends.
const MOST_STAMPS: usize = 10_000;
/// How long the receiver stalls at least. Arbitrary: many times the shortest stall that counts.
const STALL: Nanos = Nanos::from_millis(30);
/// When a stall ends by itself; arbitrary.
const STALL_MOST: Nanos = Nanos::from_millis(2_000);
/// The thread of the only receiver, as `run::worker_pool` names it.
const RECEIVER: &str = "udperf-rx-0";

/// When a datagram came and was passed on, on the monotonic clock in ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct RelayStamp {
    /// When it was due, since the phase began.
    pub(super) due_ns: u64,
    pub(super) came_ns: u64,
    /// Before and after the call that passed it on; `None`: it was not passed on.
    pub(super) passed_ns: Option<(u64, u64)>,
}

/// What a relay did.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// Datagrams that came.
    pub(super) came: u64,
    /// Datagrams that the relay's own socket dropped because its buffer was full.
    pub(super) dropped_by_socket: u64,
    /// Sends that failed.
    pub(super) refused: u64,
    /// What the receiver must count.
    pub(super) truth: Truth,
    /// Of the first datagrams.
    pub(super) stamps: Vec<RelayStamp>,
    /// When the latest one was passed on.
    pub(super) last_ns: u64,
    /// How long the receiver's thread was held up; `None`: it was not.
    pub(super) stalled: Option<Nanos>,
}

impl Account {
    /// Datagrams that were sent to the relay.
    pub(super) fn sent(&self) -> u64 {
        self.came + self.dropped_by_socket
    }
}

/// A running relay.
pub(super) struct Relay {
    /// Where senders send to.
    pub(super) at: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Account>>,
}

impl Relay {
    /// To this receiver, from a free port of loopback.
    pub(super) fn start(to: SocketAddr, orders: Orders) -> Result<Self, RunError> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let open = || Udp::open(&Options { bind: here, ..Options::default() });
        let (front, back) = (open()?, open()?);
        back.connect(to)?;
        let (at, stop) = (front.local, Arc::new(AtomicBool::new(false)));
        let ended = Arc::clone(&stop);
        let work = move || Work::new(front, back, orders).run(&ended);
        let thread = Builder::new().name("udperf-relay".to_owned()).spawn(work);
        let thread = thread.map_err(|source| RunError::Spawn { source })?;
        Ok(Self { at, stop, thread: Some(thread) })
    }

    /// Ends it once it has read everything; `None` if its thread panicked.
    pub(super) fn stop(mut self) -> Option<Account> {
        self.end()
    }

    fn end(&mut self) -> Option<Account> {
        self.stop.store(true, Ordering::Release);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end();
    }
}

/// A datagram that waits.
struct Waiting {
    bytes: Vec<u8>,
    stamp: Option<usize>,
}

struct Work {
    front: Udp,
    back: Udp,
    orders: Orders,
    account: Account,
    tag: u16,
    /// Held until the datagram of this index.
    held: Vec<(usize, Waiting)>,
    /// Kept for the delay, until this moment.
    delayed: VecDeque<(u64, Waiting)>,
    stall: Option<(ThreadStall, u64)>,
}

impl Work {
    fn new(front: Udp, back: Udp, orders: Orders) -> Self {
        let (held, delayed, account) = (Vec::new(), VecDeque::new(), Account::default());
        Self { front, back, orders, account, tag: 0, held, delayed, stall: None }
    }

    fn run(mut self, stop: &AtomicBool) -> Account {
        let mut buffer = [0; 2_048];
        loop {
            // Read before the socket is found empty, so that nothing is left in it.
            let is_over = stop.load(Ordering::Acquire);
            self.pass_delayed(is_over);
            match self.front.socket.recv(&mut buffer) {
                Ok(len) => self.treat(&mut buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if is_over {
                        break;
                    }
                    self.wait();
                }
                // Of an earlier send, or a signal.
                Err(_) => {}
            }
        }
        let held: Vec<_> = self.held.drain(..).collect();
        held.into_iter().for_each(|(_, one)| self.pass(one));
        self.end_stall();
        self.account.dropped_by_socket = sys::socket_drops(&self.front.socket).map_or(0, u64::from);
        self.account
    }

    /// Waits for a datagram, or until a delayed one is due.
    fn wait(&self) {
        let due =
            self.delayed.front().map(|(due, _)| Nanos(*due).since(Nanos(sys::monotonic_ns())));
        let most = due.map_or(LOOK, |due| due.min(LOOK));
        sys::wait_readable(&self.front.socket, most.0);
    }

    fn treat(&mut self, bytes: &mut [u8]) {
        let came_ns = sys::monotonic_ns();
        let index = self.account.came as usize;
        self.account.came += 1;
        if index == 0 {
            self.tag = tag_of(bytes);
        }
        self.orders.renumber(index, bytes);
        let due_ns = wire::decode_own(bytes, self.tag).map(|header| header.intended_ns);
        let stamp = due_ns.filter(|_| index < MOST_STAMPS).map(|due_ns| {
            self.account.stamps.push(RelayStamp { due_ns, came_ns, passed_ns: None });
            self.account.stamps.len() - 1
        });
        if self.orders.stall.is_some_and(|(from, _)| from == index) {
            let stall = ThreadStall::begin(RECEIVER, STALL_MOST.0);
            self.stall = stall.ok().map(|stall| (stall, sys::monotonic_ns()));
        }
        match self.orders.action(index) {
            Action::Drop => {}
            Action::Pass => self.pass_later(came_ns, Waiting { bytes: bytes.to_vec(), stamp }),
            Action::Repeat => {
                for stamp in [stamp, None] {
                    self.pass(Waiting { bytes: bytes.to_vec(), stamp });
                }
            }
            Action::Hold(until) => {
                self.held.push((until, Waiting { bytes: bytes.to_vec(), stamp }));
            }
            Action::Damage(bit) => self.pass(flipped(bytes, bit)),
            Action::Copy(bit) => {
                self.pass(flipped(bytes, bit));
                self.pass(Waiting { bytes: bytes.to_vec(), stamp });
            }
            Action::Foreign => {
                self.pass(flipped(bytes, 0));
                self.pass(Waiting { bytes: bytes.to_vec(), stamp });
            }
        }
        let ripe: Vec<_> = self.held.extract_if(.., |(until, _)| *until == index).collect();
        ripe.into_iter().for_each(|(_, one)| self.pass(one));
        if self.orders.stall.is_some_and(|(_, until)| until == index) {
            self.end_stall();
        }
    }

    fn end_stall(&mut self) {
        if let Some((stall, since_ns)) = self.stall.take() {
            sys::sleep_until_ns(since_ns + STALL.0);
            self.account.stalled = stall.end().map(Nanos);
        }
    }

    /// Passes it on after the delay.
    fn pass_later(&mut self, came_ns: u64, one: Waiting) {
        match self.orders.delay {
            Nanos::ZERO => self.pass(one),
            delay => self.delayed.push_back((came_ns + delay.0, one)),
        }
    }

    fn pass_delayed(&mut self, all: bool) {
        while let Some((due, _)) = self.delayed.front() {
            if !all && *due > sys::monotonic_ns() {
                return;
            }
            if let Some((_, one)) = self.delayed.pop_front() {
                self.pass(one);
            }
        }
    }

    fn pass(&mut self, Waiting { bytes, stamp }: Waiting) {
        let before_ns = sys::monotonic_ns();
        let sent = loop {
            match self.back.socket.send(&bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sys::wait_writable(&self.back.socket, LOOK.0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let after_ns = sys::monotonic_ns();
        if sent.is_err() {
            self.account.refused += 1;
            return;
        }
        self.account.truth.count(&bytes, self.tag);
        self.account.last_ns = after_ns;
        let stamp = stamp.and_then(|at| self.account.stamps.get_mut(at));
        stamp.into_iter().for_each(|stamp| stamp.passed_ns = Some((before_ns, after_ns)));
    }
}

/// A copy with this bit flipped.
fn flipped(bytes: &[u8], bit: usize) -> Waiting {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Waiting { bytes, stamp: None }
}
