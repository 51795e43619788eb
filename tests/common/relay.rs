//! A UDP relay that stands between a client and a sink and harms datagrams by a written list, so
//! that what a report says can be compared with what was done.
//!
//! - Each source address has a socket of its own towards the sink, which so sees as many sources.
//! - A way may take longer, for control, too: [`Orders::lag`].
//! - Data datagrams (tag 64 and above) are counted for each direction, over all sources: 0, 1, 2…
//!   A action names one of them by that index, or every k-th.
//! - Control messages (first bytes 00 01) pass untouched, unless [`Orders::mistreat`] says so; and
//!   so do sockets' first words to whom they want to be sent to by, which are not measured.
//! - It keeps account of what it did, and of what a receiver must count, by a model of its own.
//!
//! It must not lose anything by itself: its buffers are large where root allows it, tests send
//! slowly enough, and [`Account::lost_by_relay`] tells what its sockets dropped all the same.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::{Events, Token, Waker};

/// Silence after which what is held back leaves: later datagrams will not come. Arbitrary: longer
/// than the gaps of a paced sender, shorter than any drain.
const QUIET: Duration = Duration::from_millis(20);

/// Datagrams read from one socket before the next one has its turn. Arbitrary.
const TURN: usize = 64;

/// Tags of data begin here; below are those of control. From the header's contract.
const FIRST_DATA_TAG: u16 = 64;

/// The bits of a tag that count phases. All of them set: no data, but a socket that shows itself to
/// whom it wants to be sent to by. From the header's contract.
const PHASES: u16 = 0x1F;

/// The tag of control messages.
const CONTROL_TAG: u16 = 1;

/// How many control messages are kept to be looked at or repeated. Arbitrary.
const KEPT: usize = 4_096;

#[path = "relay_orders.rs"]
mod orders;

pub use orders::{Account, Action, Damage, Mistreat, Orders, Way};
use orders::{Held, LaneWork, damaged, tag_of};

#[path = "relay_wiring.rs"]
mod wiring;

pub use wiring::is_root;
use wiring::{FRONT, WAKER, Wiring};

/// A running relay.
pub struct Relay {
    /// Where clients send to.
    pub at: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    account: Mutex<Account>,
    moved: Condvar,
}

impl Relay {
    /// Between `at` (port 0: any) and `sink`, in this network namespace.
    pub fn start(at: SocketAddr, sink: SocketAddr, orders: Orders) -> io::Result<Self> {
        Self::start_in(|| Ok(()), at, sink, orders)
    }

    /// The same, in a thread that has done `enter` first: such as entering a namespace.
    pub fn start_in(
        enter: impl FnOnce() -> io::Result<()> + Send + 'static,
        at: SocketAddr,
        sink: SocketAddr,
        orders: Orders,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (told, hears) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let made = enter().and_then(|()| Wiring::new(at, sink));
            match made.and_then(|wiring| Ok((wiring.told()?, wiring))) {
                Ok((facts, wiring)) => {
                    let _ = told.send(Ok(facts));
                    Work::new(wiring, orders, &theirs).run();
                }
                Err(error) => drop(told.send(Err(error))),
            }
        });
        let gone = |_| io::Error::other("the relay's thread is gone");
        let (at, waker) = hears.recv().map_err(gone)??;
        Ok(Self { at, shared, waker, thread: Some(thread) })
    }

    /// What it has done so far.
    pub fn account(&self) -> Account {
        self.shared.account.lock().unwrap().clone()
    }

    /// Waits until the account fulfils this; whether it did in time.
    pub fn wait_for(&self, patience: Duration, fulfils: impl Fn(&Account) -> bool) -> bool {
        let end = Instant::now() + patience;
        let mut account = self.shared.account.lock().unwrap();
        while !fulfils(&account) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            account = self.shared.moved.wait_timeout(account, left).unwrap().0;
        }
        true
    }

    /// Ends it; what is still held back leaves before.
    pub fn stop(mut self) -> Account {
        self.end();
        self.account()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end();
    }
}

/// The relay's thread.
struct Work<'a> {
    wiring: Wiring,
    orders: Orders,
    forward: LaneWork,
    back: LaneWork,
    random: Rng,
    shared: &'a Shared,
}

impl<'a> Work<'a> {
    fn new(wiring: Wiring, orders: Orders, shared: &'a Shared) -> Self {
        let random = Rng::with_seed(orders.how.map_or(0, |how| how.seed));
        let (forward, back) = (LaneWork::default(), LaneWork::default());
        Self { wiring, orders, forward, back, random, shared }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; 1 << 16];
        // Events tell that something came since they were last asked, so each socket is read until
        // it is empty.
        let mut ready: Vec<Token> = Vec::new();
        while !self.shared.stop.load(Ordering::Acquire) {
            let next = self.pass_lagging(false);
            let patience = match next {
                _ if !ready.is_empty() => Duration::ZERO,
                Some(next) => QUIET.min(next.saturating_duration_since(Instant::now())),
                None => QUIET,
            };
            if self.wiring.poll.poll(&mut events, Some(patience)).is_err() {
                continue;
            }
            if events.is_empty() && ready.is_empty() && next.is_none() {
                self.release_all();
            }
            for event in &events {
                if event.token() != WAKER && !ready.contains(&event.token()) {
                    ready.push(event.token());
                }
            }
            ready.retain(|token| self.read(*token, &mut buffer));
            self.publish();
        }
        self.pass_lagging(true);
        self.release_all();
        self.publish();
    }

    /// Passes on what has taken as long as it should, or all; returns when the next one has.
    fn pass_lagging(&mut self, all: bool) -> Option<Instant> {
        let mut next = None;
        for way in [Way::Forward, Way::Back] {
            while let Some((due, source, bytes)) = self.lane(way).lagging.pop_front() {
                if !all && due > Instant::now() {
                    next = next.map_or(Some(due), |other: Instant| Some(other.min(due)));
                    self.lane(way).lagging.push_front((due, source, bytes));
                    break;
                }
                self.take(way, source, &bytes);
            }
        }
        self.publish();
        next
    }

    fn lane(&mut self, way: Way) -> &mut LaneWork {
        match way {
            Way::Forward => &mut self.forward,
            Way::Back => &mut self.back,
        }
    }

    /// Reads a turn's worth; whether there may be more.
    fn read(&mut self, token: Token, buffer: &mut [u8]) -> bool {
        for _ in 0..TURN {
            let got = match token {
                FRONT => self
                    .wiring
                    .front
                    .recv_from(buffer)
                    .and_then(|(len, from)| Ok((Way::Forward, self.wiring.source(from)?, len))),
                Token(number) => {
                    let upstream = &self.wiring.sources[number].1;
                    upstream.recv(buffer).map(|len| (Way::Back, number, len))
                }
            };
            match got {
                Ok((way, source, len)) => match self.orders.lag_of(way) {
                    None => self.take(way, source, &buffer[..len]),
                    Some(lag) => {
                        let late = (Instant::now() + lag, source, buffer[..len].to_vec());
                        self.lane(way).lagging.push_back(late);
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error caused by an earlier datagram; its sender gets the error, too.
                Err(_) => {}
            }
        }
        true
    }

    fn take(&mut self, way: Way, source: usize, bytes: &[u8]) {
        match tag_of(bytes) {
            tag @ FIRST_DATA_TAG.. if tag & PHASES != PHASES => self.data(way, source, bytes),
            FIRST_DATA_TAG.. => {
                self.lane(way).lane.shown += 1;
                self.control(way, source, bytes);
            }
            CONTROL_TAG => {
                self.lane(way).lane.control += 1;
                self.control(way, source, bytes);
            }
            _ => {
                self.lane(way).lane.other += 1;
                self.pass(way, source, bytes);
            }
        }
    }

    fn data(&mut self, way: Way, source: usize, bytes: &[u8]) {
        let index = self.lane(way).lane.came;
        let action = self.orders.action(way, index);
        let thins = self.orders.thins(way, bytes);
        let work = self.lane(way);
        let action = match thins {
            None => action,
            Some((flow, every)) => {
                let came = work.thinned.entry(flow).or_default();
                *came += 1;
                if (*came - 1).is_multiple_of(every) { Some(Action::Drop) } else { action }
            }
        };
        work.lane.came += 1;
        match action {
            Some(Action::Drop) => {
                work.lane.dropped += 1;
                return;
            }
            Some(Action::Delay(behind)) => {
                work.lane.delayed += 1;
                let due = work.passed + u64::from(behind);
                work.held.push(Held { due, source, bytes: bytes.to_vec() });
                return;
            }
            Some(Action::Repeat(times)) => {
                for _ in 0..times {
                    self.pass_data(way, source, bytes);
                    self.lane(way).lane.repeated += 1;
                }
            }
            Some(Action::Damage(damage)) => {
                self.pass(way, source, &damaged(bytes, damage));
                self.lane(way).lane.damaged += 1;
                return;
            }
            Some(Action::Copy(damage)) => {
                self.pass(way, source, &damaged(bytes, damage));
                self.lane(way).lane.damaged += 1;
            }
            None => {}
        }
        self.pass_data(way, source, bytes);
        self.lane(way).passed += 1;
        for held in self.lane(way).ripe(false) {
            self.pass_data(way, held.source, &held.bytes);
        }
    }

    fn pass_data(&mut self, way: Way, source: usize, bytes: &[u8]) {
        if self.pass(way, source, bytes) {
            self.lane(way).count(source, bytes);
        }
    }

    fn pass(&mut self, way: Way, source: usize, bytes: &[u8]) -> bool {
        let passed = self.wiring.pass(way, source, bytes);
        self.lane(way).lane.refused += u64::from(!passed);
        passed
    }

    fn control(&mut self, way: Way, source: usize, bytes: &[u8]) {
        {
            let mut account = self.shared.account.lock().unwrap();
            if account.messages.len() < KEPT {
                account.messages.push((way, bytes.to_vec()));
            }
        }
        let earlier = std::mem::take(&mut self.lane(way).held_control);
        match self.orders.how {
            None => drop(self.pass(way, source, bytes)),
            Some(how) => self.mistreat(how, way, source, bytes),
        }
        for (source, bytes) in earlier {
            self.pass(way, source, &bytes);
        }
    }

    fn mistreat(&mut self, how: Mistreat, way: Way, source: usize, bytes: &[u8]) {
        let lot = self.random.u64(..100);
        if lot < how.drop {
            self.lane(way).lane.control_dropped += 1;
        } else if lot < how.drop + how.repeat {
            self.pass(way, source, bytes);
            self.pass(way, source, bytes);
        } else if lot < how.drop + how.repeat + how.delay {
            self.lane(way).held_control.push((source, bytes.to_vec()));
        } else {
            self.pass(way, source, bytes);
        }
    }

    fn release_all(&mut self) {
        for way in [Way::Forward, Way::Back] {
            for held in self.lane(way).ripe(true) {
                self.pass_data(way, held.source, &held.bytes);
            }
            for (source, bytes) in std::mem::take(&mut self.lane(way).held_control) {
                self.pass(way, source, &bytes);
            }
        }
    }

    /// Lets others see the account.
    fn publish(&self) {
        let mut account = self.shared.account.lock().unwrap();
        (account.forward, account.back) = (self.forward.lane, self.back.lane);
        account.sources = self.wiring.sources.len();
        let new = &self.wiring.sources[account.upstream.len()..];
        account.upstream.extend(new.iter().flat_map(|(_, socket)| socket.local_addr()));
        account.lost_by_relay = self.wiring.drops();
        drop(account);
        self.shared.moved.notify_all();
    }
}
