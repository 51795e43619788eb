//! The listeners beside the first one: a thread each, which counts what strangers send there.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::listener::{ControlListener, TICK};
use super::options::SinkOptions;
use crate::clock::Clock;
use crate::measure::Snapshot;
use crate::net::{Bound, BoundSender, Group, GroupOptions, LARGEST, Options, pin_to};
use crate::payload::answer_ping;
use crate::run::RunError;
use crate::unit::Nanos;

/// All such threads.
#[derive(Debug, Default)]
pub(super) struct ListenerThreads {
    threads: Vec<JoinHandle<ControlListener>>,
    shown: Vec<Arc<Shown>>,
    over: Arc<AtomicBool>,
}

/// What such a thread shows while it counts.
#[derive(Debug, Default)]
struct Shown {
    /// What it had counted a moment ago.
    glimpse: Mutex<Snapshot>,
    /// When the latest datagram came, in ns on the monotonic clock; only the thread writes it.
    heard_ns: AtomicU64,
}

impl ListenerThreads {
    /// Opens the listeners of one address. The first one, with its account, is for the loop that
    /// speaks with clients; each other gets a thread. `answers`: they answer pings.
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
        let accounts = group.gauges()?.into_iter();
        let accounts =
            accounts.map(|gauge| ControlListener::new(group.local(), socket.buffer, Some(gauge)));
        let mut all = group.listeners()?.into_iter().zip(accounts);
        let first = all.next();
        for (other, (socket, listener)) in all.enumerate() {
            self.add(other + 1, socket, listener, options.core(other + 1), answers)?;
        }
        Ok((group, first))
    }

    /// Starts another one; `answers`: it answers pings.
    fn add(
        &mut self,
        worker: usize,
        socket: UdpSocket,
        listener: ControlListener,
        core: Option<usize>,
        answers: bool,
    ) -> Result<(), RunError> {
        let over = Arc::clone(&self.over);
        let shown = Arc::new(Shown::default());
        self.shown.push(Arc::clone(&shown));
        let thread = Builder::new()
            .name(format!("udperf-sink-{worker}"))
            .spawn(move || count(socket, listener, core, answers, &over, &shown))
            .map_err(|source| RunError::Spawn { source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// What all have counted a moment ago.
    pub(super) fn glimpse(&self) -> Snapshot {
        let each = self.shown.iter();
        let each = each.map(|one| *one.glimpse.lock().unwrap_or_else(PoisonError::into_inner));
        each.fold(Snapshot::default(), Snapshot::and)
    }

    /// When the latest datagram came to any of them.
    pub(super) fn heard_at(&self) -> Nanos {
        let each = self.shown.iter().map(|one| one.heard_ns.load(Ordering::Relaxed));
        Nanos(each.max().unwrap_or(0))
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) -> Vec<ControlListener> {
        self.over.store(true, Ordering::Relaxed);
        // One that panicked has said so on standard error.
        self.threads.drain(..).filter_map(|one| one.join().ok()).collect()
    }
}

/// If opening a sink fails, the threads that it has started end.
impl Drop for ListenerThreads {
    fn drop(&mut self) {
        self.end();
    }
}

/// Counts what arrives at one socket, on its own event loop.
fn count(
    socket: UdpSocket,
    mut listener: ControlListener,
    core: Option<usize>,
    answers: bool,
    over: &AtomicBool,
    shown: &Shown,
) -> ControlListener {
    // Where it cannot be placed, it counts all the same.
    listener.core = core.filter(|&core| pin_to(core).is_ok());
    let mut socket = Bound::udp(socket);
    let Ok(mut poll) = Poll::new() else { return listener };
    // One that cannot be watched costs short sleeps, not datagrams.
    let _ = poll.registry().register(&mut socket, Token(0), Interest::READABLE);
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; LARGEST];
    let mut show_at = Nanos::ZERO;
    let mut left = listener.waiting();
    loop {
        // What waits when it is over came in time.
        let ends = over.load(Ordering::Relaxed);
        if ends && left == 0 {
            break;
        }
        left -= usize::from(ends);
        let moment = Clock::Monotonic.now();
        if moment >= show_at {
            show_at = moment + Nanos::from(TICK);
            let glimpse = listener.glimpse();
            *shown.glimpse.lock().unwrap_or_else(PoisonError::into_inner) = glimpse;
        }
        match socket.recv_from(&mut buffer) {
            Ok(BoundSender { len, from, called, to_many }) => {
                shown.heard_ns.store(moment.0, Ordering::Relaxed);
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
        let Ok(udp) = crate::net::Udp::open(&socket) else { panic!("a socket of loopback") };
        let mut others = ListenerThreads::default();
        let listener = ControlListener::new(udp.local, 65_536, None);
        others.add(1, udp.socket, listener, None, false).unwrap();
        let over = Arc::downgrade(&others.over);
        drop(others);
        // The thread held the last one.
        assert!(over.upgrade().is_none());
    }
}
