//! The listeners beside the first one: a thread each, which counts what strangers send there.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::server::TICK;
use crate::clock::Clock;
use crate::measure::{Glimpse, Strangers};
use crate::net::{Caller, LARGEST, Listener, pin_to};
use crate::payload::answer_ping;
use crate::run::RunError;
use crate::unit::{Nanos, Place};

/// All such threads.
#[derive(Debug, Default)]
pub(super) struct Others {
    threads: Vec<JoinHandle<Strangers>>,
    /// What each had counted a moment ago.
    glimpses: Vec<Arc<Mutex<Glimpse>>>,
    over: Arc<AtomicBool>,
}

impl Others {
    /// Starts another one; `answers`: it answers pings.
    pub(super) fn add(
        &mut self,
        worker: usize,
        socket: UdpSocket,
        core: Option<usize>,
        answers: bool,
    ) -> Result<(), RunError> {
        let over = Arc::clone(&self.over);
        let glimpse = Arc::new(Mutex::new(Glimpse::default()));
        self.glimpses.push(Arc::clone(&glimpse));
        let thread = Builder::new()
            .name(format!("udperf-sink-{worker}"))
            .spawn(move || count(socket, core, answers, &over, &glimpse))
            .map_err(|source| RunError::Spawn { source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// What all have counted a moment ago.
    pub(super) fn glimpse(&self) -> Glimpse {
        let each = self.glimpses.iter();
        let each = each.map(|one| *one.lock().unwrap_or_else(PoisonError::into_inner));
        each.fold(Glimpse::default(), Glimpse::and)
    }

    /// Ends all of them.
    pub(super) fn end(self) -> Strangers {
        self.over.store(true, Ordering::Relaxed);
        let mut sum = Strangers::default();
        // One that panicked has said so on standard error.
        self.threads.into_iter().for_each(|one| sum.merge(one.join().unwrap_or_default()));
        sum
    }
}

/// Counts what arrives at one socket, on its own event loop.
fn count(
    socket: UdpSocket,
    core: Option<usize>,
    answers: bool,
    over: &AtomicBool,
    glimpse: &Mutex<Glimpse>,
) -> Strangers {
    let mut strangers = Strangers::default();
    let mut door = Listener::udp(socket);
    if let Some(core) = core {
        // Where it cannot be placed, it counts all the same.
        let _ = pin_to(core);
    }
    let Ok(mut poll) = Poll::new() else { return strangers };
    // One that cannot be watched costs short sleeps, not datagrams.
    let _ = poll.registry().register(&mut door, Token(0), Interest::READABLE);
    let mut events = Events::with_capacity(1);
    let mut buffer = vec![0; LARGEST];
    let mut show_at = Nanos::ZERO;
    while !over.load(Ordering::Relaxed) {
        let moment = Clock::Monotonic.now();
        if moment >= show_at {
            show_at = moment + Nanos::from(TICK);
            *glimpse.lock().unwrap_or_else(PoisonError::into_inner) = strangers.glimpse();
        }
        match door.recv_from(&mut buffer) {
            Ok(Caller { len, from: Some(from), called, to_many }) => {
                if let Place::Ip(from) = from {
                    strangers.count(from, len, moment);
                }
                if answers && !to_many && answer_ping(&mut buffer[..len]) {
                    door.send_to(&buffer[..len], &from, called);
                }
            }
            Ok(Caller { len, from: None, .. }) => strangers.count_nameless(len, moment),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll.poll(&mut events, Some(TICK));
            }
            Err(_) => {}
        }
    }
    strangers
}
