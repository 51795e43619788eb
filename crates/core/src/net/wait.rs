//! Waiting for a socket by spinning, sleeping, or both in turn.

use std::io;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use crate::sys;
use crate::unit::Nanos;

/// How long after its latest sleep a busy worker deregisters its sockets, as registered ones cost
/// the sender about 0.3 µs per datagram (measured). Arbitrary: ten times [`Waiter::HYBRID`].
const DEREGISTER_AFTER: Nanos = Nanos::from_millis(1);

/// Maximum sleep, after which a worker checks whether to stop. Arbitrary: unnoticeable to people.
const MAX_SLEEP: Duration = Duration::from_millis(20);

/// Minimum sleep on sockets, and the maximum while draining: the resolution of mio.
const MIN_SLEEP: Duration = Duration::from_millis(1);

/// How long before a deadline hybrid waiting spins: more than the median oversleep of a pinned
/// thread (about 60 µs, measured).
const SLEEP_MARGIN: Nanos = Nanos::from_micros(100);

/// Events of one poll; others stay for the next one. Arbitrary.
const EVENTS: usize = 64;

/// How a wait was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It spun: no system call.
    Spun,
    /// It slept, at most until this moment; time beyond it is oversleep.
    Slept(Nanos),
}

/// Waits for the sockets of one worker: its own mio event loop.
#[derive(Debug)]
pub struct Waiter {
    poll: Poll,
    events: Events,
    interest: Interest,
    spin_for: Nanos,
    busy_at: Nanos,
    woke_at: Nanos,
    slept: bool,
    registered: bool,
    keep_registered: bool,
}

impl Waiter {
    /// Never sleeps.
    pub const SPIN: Nanos = Nanos::NEVER;
    /// Spins for about the cost of a wake-up, so that waiting costs at most twice the cheaper way.
    /// A blocking round trip with two wake-ups took 63 µs (measured).
    pub const HYBRID: Nanos = Nanos::from_micros(100);
    /// Sleeps at once.
    pub const EPOLL: Nanos = Nanos::ZERO;

    /// Spins for `spin_for` after the latest datagram, then sleeps until a socket is ready.
    pub fn new(spin_for: Nanos, interest: Interest) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            interest,
            spin_for,
            busy_at: Nanos::ZERO,
            woke_at: Nanos::ZERO,
            slept: false,
            registered: false,
            keep_registered: false,
        })
    }

    /// Notes that the worker was busy at `now` with these sockets.
    #[inline]
    pub fn busy(&mut self, now: Nanos, sockets: &mut [impl Source]) {
        self.busy_at = now;
        if self.registered {
            self.deregister_later(now, sockets);
        }
    }

    /// Resets times for a new phase, which has another origin.
    pub fn restart(&mut self) {
        (self.busy_at, self.woke_at) = (Nanos::ZERO, Nanos::ZERO);
    }

    /// Whether a wait at `now` for a socket spins.
    #[inline]
    pub fn spins(&self, now: Nanos) -> bool {
        now.since(self.busy_at) < self.spin_for
    }

    /// Waits for the moment `at`, without mio, which sleeps whole milliseconds. Sleeps until close
    /// to `at`, never past it; the caller spins for the rest.
    #[inline]
    pub fn until(&self, at: Nanos, now: Nanos) -> Waited {
        let margin = match self.spin_for {
            Self::SPIN => Nanos::NEVER,
            Self::EPOLL => Nanos::ZERO,
            _ => SLEEP_MARGIN,
        };
        if at.since(now) <= margin {
            return spin();
        }
        let until = (at - margin).min(now + Nanos::from(MAX_SLEEP));
        sys::sleep_until_ns(until.0);
        Waited::Slept(until)
    }

    /// Waits for a socket. The caller has just received WouldBlock, as mio's edge triggers require.
    /// `draining`: sleeps are short, as the end may come without a datagram.
    #[inline]
    pub fn idle(&mut self, now: Nanos, draining: bool, sockets: &mut [impl Source]) -> Waited {
        if self.spins(now) {
            return spin();
        }
        self.sleep(now, if draining { MIN_SLEEP } else { MAX_SLEEP }, sockets)
    }

    /// As [`Self::idle`], but at most until `at`. Sleeps on the sockets in whole milliseconds that
    /// end well before `at`, then spins, so that arrivals are noticed at once. Without spinning, it
    /// sleeps through the rest.
    #[inline]
    pub fn idle_until(&mut self, at: Nanos, now: Nanos, sockets: &mut [impl Source]) -> Waited {
        let left = at.since(now + SLEEP_MARGIN).0 / Nanos::from(MIN_SLEEP).0;
        if left > 0 && !self.spins(now) {
            let limit = MAX_SLEEP.min(MIN_SLEEP * left.min(u64::from(u32::MAX)) as u32);
            return self.sleep(now, limit, sockets);
        }
        if self.spin_for == Self::EPOLL { self.until(at, now) } else { spin() }
    }

    /// As [`Self::idle`], for one full socket of many. Registers only that socket: registering
    /// thousands takes longer than the sleep and would be measured as a stall.
    #[inline]
    pub fn idle_on(&mut self, now: Nanos, socket: &mut impl Source) -> Waited {
        if self.spins(now) {
            return spin();
        }
        // Without registration, the sleep has its full length.
        let registered = self.poll.registry().register(socket, Token(0), self.interest).is_ok();
        let _ = self.poll.poll(&mut self.events, Some(MAX_SLEEP));
        if registered {
            let _ = self.poll.registry().deregister(socket);
        }
        Waited::Slept(now + Nanos::from(MAX_SLEEP))
    }

    fn sleep(&mut self, now: Nanos, limit: Duration, sockets: &mut [impl Source]) -> Waited {
        self.slept = true;
        self.register(sockets);
        let _ = self.poll.poll(&mut self.events, Some(limit));
        Waited::Slept(now + Nanos::from(limit))
    }

    /// Registers the sockets. A ready one is reported at once, so that no arrival is missed.
    fn register(&mut self, sockets: &mut [impl Source]) {
        if self.registered {
            return;
        }
        for (at, socket) in sockets.iter_mut().enumerate() {
            // A socket without registration is late, but loses no datagram.
            let _ = self.poll.registry().register(socket, Token(at), self.interest);
        }
        self.registered = true;
    }

    /// Keeps these sockets registered, so that the event queue reports which are ready.
    pub fn watch(&mut self, sockets: &mut [impl Source]) {
        self.register(sockets);
        self.keep_registered = true;
    }

    /// Whether [`Self::either`] with these times sleeps.
    #[inline]
    pub fn sleeps(&self, now: Nanos, at: Nanos) -> bool {
        !self.spins(now) && at.since(now) > self.margin()
    }

    fn margin(&self) -> Nanos {
        if self.spin_for == Self::EPOLL { Nanos::ZERO } else { SLEEP_MARGIN }
    }

    /// Waits for a socket or the moment `at`, whichever is first; `mark` gets the index of each
    /// ready socket. Times are on the clock of `busy`. The caller has just received WouldBlock from
    /// every socket, as mio's edge triggers require, or knows which ones have more.
    #[inline]
    pub fn either(
        &mut self,
        now: Nanos,
        at: Nanos,
        sockets: &mut [impl Source],
        mark: impl FnMut(usize),
    ) -> Waited {
        if !self.sleeps(now, at) {
            if self.registered {
                self.poll_sockets(Nanos::ZERO, mark);
            }
            return spin();
        }
        self.slept = true;
        self.register(sockets);
        let limit = (at - self.margin()).since(now).min(Nanos::from(MAX_SLEEP));
        self.poll_sockets(limit, mark);
        Waited::Slept(now + limit)
    }

    /// Waits for a ready socket with nanosecond resolution, which mio lacks.
    fn poll_sockets(&mut self, limit: Nanos, mut mark: impl FnMut(usize)) {
        if limit > Nanos::ZERO {
            sys::wait_readable(&self.poll, limit.0);
        }
        let _ = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        self.events.iter().for_each(|event| mark(event.token().0));
    }

    /// Deregisters the sockets if the worker was busy for a while without a sleep.
    fn deregister_later(&mut self, now: Nanos, sockets: &mut [impl Source]) {
        if std::mem::take(&mut self.slept) {
            self.woke_at = now;
        }
        let is_over = now.since(self.woke_at) > DEREGISTER_AFTER;
        if is_over && self.spin_for > Self::EPOLL && !self.keep_registered {
            for socket in sockets {
                let _ = self.poll.registry().deregister(socket);
            }
            self.registered = false;
        }
    }
}

#[inline]
fn spin() -> Waited {
    std::hint::spin_loop();
    Waited::Spun
}

#[cfg(test)]
mod tests {
    use mio::Registry;
    use mio::net::UdpSocket;

    use super::*;

    struct Counted(UdpSocket, u32);

    impl Source for Counted {
        fn register(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
            self.1 += 1;
            self.0.register(to, token, of)
        }

        fn reregister(&mut self, to: &Registry, token: Token, of: Interest) -> io::Result<()> {
            self.0.reregister(to, token, of)
        }

        fn deregister(&mut self, from: &Registry) -> io::Result<()> {
            self.1 += 1;
            self.0.deregister(from)
        }
    }

    #[test]
    fn idle_on_registers_only_its_socket() {
        let socket = |_| Counted(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap(), 0);
        let mut sockets = (0..16).map(socket).collect::<Vec<_>>();
        let mut waiter = Waiter::new(Waiter::EPOLL, Interest::WRITABLE).unwrap();
        for turn in 1..=3 {
            // The socket is writable, so the wait ends at once.
            assert!(matches!(waiter.idle_on(Nanos(turn), &mut sockets[5]), Waited::Slept(_)));
            waiter.busy(Nanos::from_millis(turn * 10), &mut sockets);
        }
        let calls = sockets.iter().map(|socket| socket.1).collect::<Vec<_>>();
        assert_eq!((calls[5], calls.iter().sum::<u32>()), (6, 6));
    }
}
