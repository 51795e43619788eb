//! A session from outside: whose it is, and its thread.

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::session::Command;
use super::tally::Tally;
use crate::clock::Clock;
use crate::measure::Served;
use crate::unit::{Nanos, Place};
use crate::wire::control::CloseReason;

/// A client that is here.
pub(super) struct Client {
    pub(super) from: Place,
    pub(super) came: Nanos,
    /// Without it, the thread ends as soon as it has done what it was told.
    pub(super) commands: Option<Sender<Command>>,
    pub(super) thread: JoinHandle<Tally>,
}

impl Client {
    /// What it came to, once its thread has ended.
    pub(super) fn served(self, why: CloseReason) -> Served {
        let Self { from, came, thread, .. } = self;
        // A session that panicked has said so on standard error.
        let Tally { cells, sent, rx, lost, .. } = thread.join().unwrap_or_default();
        Served {
            from,
            time: (came, Clock::Monotonic.now()),
            cells,
            rx,
            lost,
            sent,
            why: why.to_string(),
        }
    }
}
