//! Sessions as the event loop sees them, and their results.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::SinkEvent;
use super::session::{SessionCommand, SinkSession, SinkShared, SinkTallies};
use crate::clock::Clock;
use crate::measure::ClientStats;
use crate::net::Group;
use crate::remote::protocol::{CloseReason, Tagger};
use crate::remote::rpc::RpcServer;
use crate::remote::sink::liveness::Liveness;
use crate::run::RunError;
use crate::unit::Nanos;

pub(super) struct Client {
    pub(super) from: SocketAddr,
    pub(super) opened_at: Nanos,
    /// Without it, the thread ends after the commands it has.
    pub(super) commands: Option<Sender<SessionCommand>>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) thread: JoinHandle<SinkTallies>,
}

impl Client {
    /// Starts the thread of a session with `from`, which passes each response to `reply`.
    pub(super) fn start(
        shared: &Arc<SinkShared>,
        sockets: &Arc<Mutex<Group>>,
        (id, from, called_address): (u64, SocketAddr, Option<IpAddr>),
        reply: impl Fn(u32, Vec<u8>) + Send + 'static,
    ) -> Result<Self, RunError> {
        let (commands, inbox) = mpsc::channel();
        let tagger = Tagger::new(&shared.options.secret);
        let secret = tagger.tag(&[b"where a socket of a client is", &id.to_be_bytes()]);
        let opened_at = Clock::Monotonic.now();
        let liveness = Arc::new(Liveness::at(opened_at));
        let session = SinkSession {
            shared: Arc::clone(shared),
            sockets: Arc::clone(sockets),
            liveness: Arc::clone(&liveness),
            from,
            called_address,
            secret,
            cell: None,
            watching_errors: false,
            device_towards_client: Default::default(),
            served: SinkTallies::default(),
        };
        let thread = Builder::new()
            .name("udperf-session".to_owned())
            .spawn(move || session.run(&inbox, &reply))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { from, opened_at, commands: Some(commands), liveness, thread })
    }

    /// The results of the session; waits for its thread.
    fn stats(self, why: CloseReason) -> ClientStats {
        // A thread that panicked has reported it on standard error.
        let SinkTallies { cells, sent, rx, lost, .. } = self.thread.join().unwrap_or_default();
        let (from, time) = (self.from, (self.opened_at, Clock::Monotonic.now()));
        ClientStats { from, time, cells, rx, lost, sent, why: why.to_string() }
    }
}

/// Clients that are listed one by one; later ones are only counted. Arbitrary: some hundred KiB.
const MAX_SERVED: usize = 4_096;

/// Sessions that are closing, and the results of closed ones.
#[derive(Default)]
pub(super) struct ClosingSessions {
    pub(super) closing: Vec<(Client, CloseReason)>,
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

    /// Collects the results of sessions whose threads have ended, without waiting for others.
    pub(super) fn reap(&mut self, on_sink_event: &mut dyn FnMut(SinkEvent<'_>)) {
        let ended = |(client, _): &mut (Client, CloseReason)| client.thread.is_finished();
        for (client, why) in self.closing.extract_if(.., ended) {
            let stats = client.stats(why);
            on_sink_event(SinkEvent::Closed(&stats));
            if self.served.len() < MAX_SERVED {
                self.served.push(stats);
            } else {
                self.served_more += 1;
            }
        }
    }
}

/// Updates the liveness of all sessions; returns those whose clients are unreachable.
pub(super) fn find_lost(clients: &HashMap<u64, Client>, rpc: &mut RpcServer) -> Vec<u64> {
    let now = Clock::Monotonic.now();
    for (session, client) in clients {
        rpc.keep(*session, client.liveness.busy_until());
    }
    let is_lost = |(session, client): &(&u64, &Client)| {
        rpc.heard(**session).into_iter().for_each(|at| client.liveness.heard(at));
        client.liveness.is_lost(now)
    };
    clients.iter().filter(is_lost).map(|(session, _)| *session).collect()
}
