//! Sessions as the event loop sees them, and their results.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::liveness::Liveness;
use super::session::{SessionRequest, SinkSession, SinkShared};
use super::{ClientCounts, SinkEvent};
use crate::clock::Clock;
use crate::measure::{ClientStats, RxTally, SinkTally};
use crate::net::Group;
use crate::remote::lock;
use crate::remote::protocol::{CloseReason, Tagger};
use crate::remote::rpc::RpcServer;
use crate::run::RunError;

pub(super) struct Client {
    /// As the session begins.
    pub(super) stats: ClientStats,
    /// Without it, the thread ends after the requests it has.
    pub(super) requests: Option<Sender<SessionRequest>>,
    pub(super) liveness: Arc<Mutex<Liveness>>,
    thread: JoinHandle<ClientStats>,
}

impl Client {
    /// Starts the thread of a session with `from`, which passes each response to `reply`.
    pub(super) fn start(
        shared: &Arc<SinkShared>,
        sockets: &Arc<Mutex<Group>>,
        (id, from, called_address): (u64, SocketAddr, Option<IpAddr>),
        reply: impl Fn(u32, Vec<u8>) + Send + 'static,
    ) -> Result<Self, RunError> {
        let (requests, inbox) = mpsc::channel();
        let tagger = Tagger::new(&shared.options.secret);
        let now = Clock::Monotonic.now();
        let liveness = Arc::new(Mutex::new(Liveness::at(now)));
        let (time, rx, why) = ((now, now), RxTally::default(), String::new());
        let (cells, cut_short, lost, known_lost, sent) = (0, 0, Some(0), 0, 0);
        let stats = ClientStats { from, time, cells, cut_short, rx, lost, known_lost, sent, why };
        let session = SinkSession {
            shared: Arc::clone(shared),
            sockets: Arc::clone(sockets),
            liveness: Arc::clone(&liveness),
            called_address,
            secret: tagger.tag(&[b"where a socket of a client is", &id.to_be_bytes()]),
            cell: None,
            watching_errors: false,
            device_towards_client: Default::default(),
            reported_sent: None,
            stats: stats.clone(),
        };
        let thread = Builder::new()
            .name("udperf-session".to_owned())
            .spawn(move || session.run(&inbox, &reply))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { stats, requests: Some(requests), liveness, thread })
    }

    /// What it has counted so far.
    fn counts(&self) -> ClientCounts {
        let liveness = lock(&self.liveness);
        let ([sent, received], lost) = (liveness.totals(), liveness.known_lost);
        ClientCounts { from: self.stats.from, sent, received, lost }
    }

    fn stats(self, why: CloseReason) -> ClientStats {
        // A thread that panicked has reported it on standard error.
        let stats = self.thread.join().unwrap_or(self.stats);
        let time = (stats.time.0, Clock::Monotonic.now());
        ClientStats { time, why: why.to_string(), ..stats }
    }
}

/// Clients that are listed one by one; later ones are only counted. Arbitrary: some hundred KiB.
const MAX_SERVED: usize = 4_096;

/// Adds the results of sessions whose threads have ended, without waiting for others.
pub(super) fn reap(
    closing: &mut Vec<(Client, CloseReason)>,
    tally: &mut SinkTally,
    on_sink_event: &mut dyn FnMut(SinkEvent<'_>),
) {
    for (client, why) in closing.extract_if(.., |(client, _)| client.thread.is_finished()) {
        let stats = client.stats(why);
        on_sink_event(SinkEvent::Closed(&stats));
        if tally.served.len() < MAX_SERVED {
            tally.served.push(stats);
        } else {
            tally.served_more += 1;
        }
    }
}

/// What each session has counted, those included whose threads are about to end.
pub(super) fn client_counts(
    clients: &HashMap<u64, Client>,
    closing: &[(Client, CloseReason)],
) -> Vec<ClientCounts> {
    let closing = closing.iter().map(|(client, _)| client);
    clients.values().chain(closing).map(Client::counts).collect()
}

/// Updates the liveness of all sessions; returns those to end, and why: the client is unreachable,
/// or is silent while another client of its host may wait for its queues.
pub(super) fn sessions_to_end(
    clients: &HashMap<u64, Client>,
    rpc: &mut RpcServer,
) -> Vec<(u64, CloseReason)> {
    let now = Clock::Monotonic.now();
    let mut silent_holders = Vec::new();
    let mut lost = Vec::new();
    let mut waiting_hosts = Vec::new();
    for (&session, client) in clients {
        let (mut liveness, host) = (lock(&client.liveness), client.stats.from.ip());
        liveness.received_at =
            rpc.keep(session, liveness.busy_until).unwrap_or(liveness.received_at);
        if liveness.is_lost(now) {
            lost.push((session, CloseReason::Unreachable));
        } else if !liveness.is_silent(now) {
            waiting_hosts.extend(liveness.needs_queues().then_some(host));
        } else if liveness.holds_queues {
            silent_holders.push((session, host));
        }
    }
    let replaced = silent_holders.iter().filter(|(_, host)| waiting_hosts.contains(host));
    lost.extend(replaced.map(|(session, _)| (*session, CloseReason::Replaced)));
    lost
}
