//! Waiting for a socket: spinning, sleeping, or first the one and then the other.

use std::io;
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use crate::sys;
use crate::unit::Nanos;

/// How long hybrid waiting spins before it sleeps: about what a wake-up costs, so that at worst
/// twice the cheaper of both is paid. A blocking round trip took 63 µs on the reference machine
/// (measured), two wake-ups.
const SPIN_FOR: Nanos = Nanos::from_micros(100);

/// How long after its latest sleep a busy worker leaves the event queue again. While a socket is
/// in it, the kernel calls into the queue for every datagram, on the sender's time: about 0.3 µs of
/// 3 µs a datagram (measured). Ten times [`SPIN_FOR`]; otherwise arbitrary.
const LEAVE_AFTER: Nanos = Nanos::from_millis(1);

/// The longest sleep: after it, a worker looks whether it should stop. mio sleeps whole
/// milliseconds. Arbitrary: unnoticeable to people, 50 wake-ups a second to an idle machine.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// The longest sleep while draining; arbitrary, the shortest that mio knows.
const DRAIN_SLEEP: Duration = Duration::from_millis(1);

/// The shortest sleep on sockets: mio's unit.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// How long before its moment a paced sender stops sleeping and spins, under hybrid waiting: more
/// than the median oversleep of a pinned thread (about 60 µs on the reference machine, measured).
const SLEEP_MARGIN: Nanos = Nanos::from_micros(100);

/// How many events one poll takes. What is not taken stays for the next; arbitrary.
const EVENTS: usize = 64;

/// What a wait did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It spun: no system call.
    Spun,
    /// It was to sleep until this moment, or shorter: what lies beyond it is nobody's wish.
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
    /// When there was something to do again after the latest sleep.
    woke_at: Nanos,
    /// Whether it has slept since there was something to do.
    slept: bool,
    /// Whether the sockets are in the event queue.
    watching: bool,
    /// Whether they are to stay there.
    stays: bool,
}

impl Waiter {
    /// Never sleeps.
    pub const SPIN: Nanos = Nanos::NEVER;
    /// Spins for as long as a wake-up costs.
    pub const HYBRID: Nanos = SPIN_FOR;
    /// Sleeps at once.
    pub const EPOLL: Nanos = Nanos::ZERO;

    /// Spins for `spin_for` after the latest datagram, then sleeps until a socket is ready for
    /// `interest`.
    ///
    /// # Errors
    /// What epoll_create(2) says.
    pub fn new(spin_for: Nanos, interest: Interest) -> io::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(EVENTS));
        let (busy_at, woke_at) = (Nanos::ZERO, Nanos::ZERO);
        let (slept, watching, stays) = (false, false, false);
        Ok(Self { poll, events, interest, spin_for, busy_at, woke_at, slept, watching, stays })
    }

    /// Takes note that there was something to do at `now` with these sockets.
    #[inline]
    pub fn busy(&mut self, now: Nanos, sockets: &mut [impl Source]) {
        self.busy_at = now;
        if self.watching {
            self.stay_or_leave(now, sockets);
        }
    }

    /// Forgets the times of a former phase, in which moments counted from another start.
    pub fn restart(&mut self) {
        (self.busy_at, self.woke_at) = (Nanos::ZERO, Nanos::ZERO);
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
        let until = (at - margin).min(now + Nanos::from(LONGEST_SLEEP));
        sys::sleep_until_ns(until.0);
        Waited::Slept(until)
    }

    /// Waits, with nothing to do at `now`: the caller has just been told WouldBlock, as mio's edges
    /// demand. `draining`: sleeps are short, for the end may come without a datagram.
    #[inline]
    pub fn idle(&mut self, now: Nanos, draining: bool, sockets: &mut [impl Source]) -> Waited {
        if now.since(self.busy_at) < self.spin_for {
            std::hint::spin_loop();
            return Waited::Spun;
        }
        let most = if draining { DRAIN_SLEEP } else { LONGEST_SLEEP };
        self.sleep(now, most, sockets)
    }

    /// As [`Self::idle`], and ready at the moment `at`. It sleeps on the sockets in whole
    /// milliseconds, as mio does, and only as long as that ends well before `at`; what is left, it
    /// spins, so that what arrives meanwhile is seen at once. Whoever shall never spin sleeps
    /// instead, and sees that only then.
    #[inline]
    pub fn idle_until(&mut self, at: Nanos, now: Nanos, sockets: &mut [impl Source]) -> Waited {
        let left = at.since(now + SLEEP_MARGIN).0 / Nanos::from(SHORTEST_SLEEP).0;
        if left > 0 && now.since(self.busy_at) >= self.spin_for {
            let most = LONGEST_SLEEP.min(SHORTEST_SLEEP * left.min(u64::from(u32::MAX)) as u32);
            return self.sleep(now, most, sockets);
        }
        if self.spin_for == Self::EPOLL {
            return self.until(at, now);
        }
        std::hint::spin_loop();
        Waited::Spun
    }

    /// Like [`Self::idle`], for the one of many sockets that is full. Only that socket enters the
    /// event queue and leaves it again: registering all of them takes a system call each, which
    /// with thousands of flows lasts longer than the sleep and would be measured as a stall.
    #[inline]
    pub fn idle_on(&mut self, now: Nanos, socket: &mut impl Source) -> Waited {
        if now.since(self.busy_at) < self.spin_for {
            std::hint::spin_loop();
            return Waited::Spun;
        }
        // A socket that cannot be registered costs a sleep of full length.
        let registered = self.poll.registry().register(socket, Token(0), self.interest).is_ok();
        // Interrupted is as good as nothing ready: the caller looks for itself.
        let _ = self.poll.poll(&mut self.events, Some(LONGEST_SLEEP));
        if registered {
            let _ = self.poll.registry().deregister(socket);
        }
        Waited::Slept(now + Nanos::from(LONGEST_SLEEP))
    }

    fn sleep(&mut self, now: Nanos, most: Duration, sockets: &mut [impl Source]) -> Waited {
        self.slept = true;
        if !self.watching {
            self.enter(sockets);
        }
        // Interrupted is as good as nothing ready: the caller looks for itself.
        let _ = self.poll.poll(&mut self.events, Some(most));
        Waited::Slept(now + Nanos::from(most))
    }

    /// Puts the sockets into the event queue. One that is ready already is reported at once, so
    /// nothing that came since the caller last looked is slept through.
    fn enter(&mut self, sockets: &mut [impl Source]) {
        for (at, socket) in sockets.iter_mut().enumerate() {
            // One that cannot be watched costs short sleeps, not datagrams.
            let _ = self.poll.registry().register(socket, Token(at), self.interest);
        }
        self.watching = true;
    }

    /// Watches these sockets from now on, however busy they are: where there are many, the event
    /// queue says which of them to look at.
    pub fn watch(&mut self, sockets: &mut [impl Source]) {
        if !self.watching {
            self.enter(sockets);
        }
        self.stays = true;
    }

    /// Waits, with nothing to do at `now`, for a socket or for the moment `at`, whichever is first;
    /// `mark` gets the index of each socket that is ready. Times are on the clock of `busy`. The
    /// caller has just been told WouldBlock by every socket, as mio's edges demand, or knows which
    /// ones have more.
    #[inline]
    pub fn either(
        &mut self,
        now: Nanos,
        at: Nanos,
        sockets: &mut [impl Source],
        mark: impl FnMut(usize),
    ) -> Waited {
        let margin = if self.spin_for == Self::EPOLL { Nanos::ZERO } else { SLEEP_MARGIN };
        if now.since(self.busy_at) < self.spin_for || at.since(now) <= margin {
            if self.watching {
                self.look(Nanos::ZERO, mark);
            }
            std::hint::spin_loop();
            return Waited::Spun;
        }
        self.slept = true;
        if !self.watching {
            self.enter(sockets);
        }
        let most = (at - margin).since(now).min(Nanos::from(LONGEST_SLEEP));
        self.look(most, mark);
        Waited::Slept(now + most)
    }

    /// Waits so long for a socket that is ready, to the nanosecond, which mio does not.
    fn look(&mut self, most: Nanos, mut mark: impl FnMut(usize)) {
        if most > Nanos::ZERO {
            sys::wait_readable(&self.poll, most.0);
        }
        // Interrupted is as good as nothing ready: the caller looks for itself.
        let _ = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        self.events.iter().for_each(|event| mark(event.token().0));
    }

    /// Leaves the event queue once the worker has been busy for a while without a sleep.
    fn stay_or_leave(&mut self, now: Nanos, sockets: &mut [impl Source]) {
        if std::mem::take(&mut self.slept) {
            self.woke_at = now;
        }
        if self.spin_for > Self::EPOLL && !self.stays && now.since(self.woke_at) > LEAVE_AFTER {
            self.leave(sockets);
        }
    }

    fn leave(&mut self, sockets: &mut [impl Source]) {
        for socket in sockets {
            let _ = self.poll.registry().deregister(socket);
        }
        self.watching = false;
    }
}

#[cfg(test)]
mod tests {
    use mio::Registry;
    use mio::net::UdpSocket;

    use super::*;

    /// A socket that counts its registrations.
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
    fn waiting_for_one_of_many_sockets_registers_that_one() {
        let socket = |_| Counted(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap(), 0);
        let mut sockets = (0..16).map(socket).collect::<Vec<_>>();
        let mut waiter = Waiter::new(Waiter::EPOLL, Interest::WRITABLE).unwrap();
        for turn in 1..=3 {
            // It takes what is written, so the wait ends at once.
            assert!(matches!(waiter.idle_on(Nanos(turn), &mut sockets[5]), Waited::Slept(_)));
            waiter.busy(Nanos::from_millis(turn * 10), &mut sockets);
        }
        let calls = sockets.iter().map(|socket| socket.1).collect::<Vec<_>>();
        assert_eq!((calls[5], calls.iter().sum::<u32>()), (6, 6));
    }
}
