//! Clients that leave, and those that have left.

use super::client::Client;
use super::options::SinkEvent;
use crate::measure::ClientStats;
use crate::remote::protocol::CloseReason;

/// Clients that are remembered by themselves; later ones are counted. Arbitrary: some hundred KiB,
/// whoever comes.
const MOST_SERVED: usize = 4_096;

/// All of them.
#[derive(Default)]
pub(super) struct ClosingSessions {
    /// Sessions that ended, and why; their threads are waited for outside the loop's hot part.
    leaving: Vec<(Client, CloseReason)>,
    pub(super) served: Vec<ClientStats>,
    /// Clients that no room was left for.
    pub(super) served_more: u64,
}

impl ClosingSessions {
    /// Lets a session's thread end by itself: nobody will give it commands any more.
    pub(super) fn part(&mut self, mut client: Client, why: CloseReason) {
        client.commands = None;
        self.leaving.push((client, why));
    }

    /// How many are leaving.
    pub(super) fn count(&self) -> usize {
        self.leaving.len()
    }

    /// Whether none is leaving.
    pub(super) fn is_over(&self) -> bool {
        self.leaving.is_empty()
    }

    /// Takes leave of sessions whose threads have ended.
    pub(super) fn see_off(&mut self, watch: &mut dyn FnMut(SinkEvent<'_>)) {
        // One that has not ended yet may still wait for workers, and nobody shall wait for it.
        let ended = |(client, _): &mut (Client, CloseReason)| client.thread.is_finished();
        for (client, why) in self.leaving.extract_if(.., ended).collect::<Vec<_>>() {
            let served = client.served(why);
            watch(SinkEvent::Closed(&served));
            if self.served.len() < MOST_SERVED {
                self.served.push(served);
            } else {
                self.served_more += 1;
            }
        }
    }
}
