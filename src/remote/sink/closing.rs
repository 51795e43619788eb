//! Sessions that are closing or closed.

use super::client::Client;
use super::options::SinkEvent;
use crate::measure::ClientStats;
use crate::remote::protocol::CloseReason;

/// Clients that are listed one by one; later ones are only counted. Arbitrary: some hundred KiB.
const MAX_SERVED: usize = 4_096;

/// Sessions that are closing, and the results of closed ones.
#[derive(Default)]
pub(super) struct ClosingSessions {
    /// Sessions whose threads may still run, with the reasons.
    closing: Vec<(Client, CloseReason)>,
    pub(super) served: Vec<ClientStats>,
    /// The number of clients beyond [`MAX_SERVED`].
    pub(super) served_more: u64,
}

impl ClosingSessions {
    /// Adds a session; without commands, its thread ends by itself.
    pub(super) fn add(&mut self, mut client: Client, why: CloseReason) {
        client.commands = None;
        self.closing.push((client, why));
    }

    /// The number of closing sessions.
    pub(super) fn count(&self) -> usize {
        self.closing.len()
    }

    /// Whether no session is closing.
    pub(super) fn is_empty(&self) -> bool {
        self.closing.is_empty()
    }

    /// Collects the results of sessions whose threads have ended.
    pub(super) fn reap(&mut self, on_sink_event: &mut dyn FnMut(SinkEvent<'_>)) {
        // Others may still wait for workers; do not block on them.
        let ended = |(client, _): &mut (Client, CloseReason)| client.thread.is_finished();
        for (client, why) in self.closing.extract_if(.., ended).collect::<Vec<_>>() {
            let served = client.served(why);
            on_sink_event(SinkEvent::Closed(&served));
            if self.served.len() < MAX_SERVED {
                self.served.push(served);
            } else {
                self.served_more += 1;
            }
        }
    }
}
