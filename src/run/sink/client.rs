//! A session from outside: whose it is, and its thread.

use std::sync::mpsc::{self, Sender};
use std::thread::{Builder, JoinHandle};

use super::session::{Command, Session, Tally};
use crate::clock::Clock;
use crate::measure::Served;
use crate::run::RunError;
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
    /// Starts the thread of a session; `reply` is given what it answers.
    pub(super) fn start(
        session: Session,
        reply: impl Fn(u32, Vec<u8>) + Send + 'static,
    ) -> Result<Self, RunError> {
        let (commands, inbox) = mpsc::channel();
        let from = session.from;
        let thread = Builder::new()
            .name("udperf-session".to_owned())
            .spawn(move || session.run(&inbox, &reply))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { from, came: Clock::Monotonic.now(), commands: Some(commands), thread })
    }

    /// What it came to, once its thread has ended.
    pub(super) fn served(self, why: CloseReason) -> Served {
        let Self { from, came, thread, .. } = self;
        // A session that panicked has said so on standard error.
        let Tally { cells, sent, received } = thread.join().unwrap_or_default();
        Served {
            from,
            time: (came, Clock::Monotonic.now()),
            cells,
            received,
            sent,
            why: why.to_string(),
        }
    }
}
