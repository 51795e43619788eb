//! Waiting for a socket: spinning, sleeping, or first the one and then the other.

use std::io;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::sys;
use crate::unit::Nanos;

/// How long hybrid waiting spins before it sleeps: about what a wake-up costs, so that at worst
/// twice the cheaper of both is paid. A blocking round trip took 63 µs on the reference machine
/// (measured), two wake-ups.
const SPIN_FOR: Nanos = Nanos::from_micros(100);

/// The longest sleep: after it, a worker looks whether it should stop. mio sleeps whole
/// milliseconds. Arbitrary: unnoticeable to people, 50 wake-ups a second to an idle machine.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// The longest sleep while draining; arbitrary, the shortest that mio knows.
const DRAIN_SLEEP: Duration = Duration::from_millis(1);

/// How long before its moment a paced sender stops sleeping and spins, under hybrid waiting: more
/// than the median oversleep of a pinned thread (about 60 µs on the reference machine, measured).
const SLEEP_MARGIN: Nanos = Nanos::from_micros(100);

/// How many events one poll takes. A worker has one socket to read from, or writes to a few.
const EVENTS: usize = 64;

/// What a wait did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It spun: no system call.
    Spun,
    /// It slept: the time since is the system's.
    Slept,
}

/// Waits for the sockets of one worker: its own mio event loop.
#[derive(Debug)]
pub struct Waiter {
    poll: Poll,
    events: Events,
    spin_for: Nanos,
    busy_at: Nanos,
}

impl Waiter {
    /// Never sleeps.
    pub const SPIN: Nanos = Nanos::NEVER;
    /// Spins for as long as a wake-up costs.
    pub const HYBRID: Nanos = SPIN_FOR;
    /// Sleeps at once.
    pub const EPOLL: Nanos = Nanos::ZERO;

    /// Spins for `spin_for` after the latest datagram, then sleeps.
    ///
    /// # Errors
    /// What epoll_create(2) says.
    pub fn new(spin_for: Nanos) -> io::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(EVENTS));
        Ok(Self {
            poll,
            events,
            spin_for,
            busy_at: Nanos::ZERO,
        })
    }

    /// Adds a socket to those whose `interest` ends a sleep.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn watch(&mut self, socket: &mut UdpSocket, interest: Interest) -> io::Result<()> {
        self.poll.registry().register(socket, Token(0), interest)
    }

    /// Takes note that there was something to do at `now`.
    #[inline]
    pub fn busy(&mut self, now: Nanos) {
        self.busy_at = now;
    }

    /// Waits for the moment `at`, both on the monotonic clock. Pacing never rests on mio, whose
    /// sleeps are whole milliseconds: this sleeps until close, and leaves the rest to the caller's
    /// spinning; it never sleeps past `at`.
    #[inline]
    pub fn until(&self, at: Nanos, now: Nanos) -> Waited {
        let margin = match self.spin_for {
            Self::SPIN => Nanos::NEVER,
            Self::EPOLL => Nanos::ZERO,
            _ => SLEEP_MARGIN,
        };
        if at.since(now) <= margin {
            std::hint::spin_loop();
            return Waited::Spun;
        }
        let longest = now + Nanos::from(LONGEST_SLEEP);
        sys::sleep_until_ns((at - margin).min(longest).0);
        Waited::Slept
    }

    /// Waits, with nothing to do at `now`: the caller has just been told WouldBlock, as mio's edges
    /// demand. `draining`: sleeps are short, for the end may come without a datagram.
    #[inline]
    pub fn idle(&mut self, now: Nanos, draining: bool) -> Waited {
        if now.since(self.busy_at) < self.spin_for {
            std::hint::spin_loop();
            return Waited::Spun;
        }
        let most = if draining { DRAIN_SLEEP } else { LONGEST_SLEEP };
        // Interrupted is as good as nothing ready: the caller looks for itself.
        let _ = self.poll.poll(&mut self.events, Some(most));
        Waited::Slept
    }
}
