//! A session as the event loop sees it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::session::{SessionCommand, SinkSession, SinkShared};
use super::tally::SinkTallies;
use crate::clock::Clock;
use crate::measure::ClientStats;
use crate::net::Group;
use crate::remote::protocol::{CloseReason, Tagger};
use crate::remote::rpc::RpcServer;
use crate::remote::sink::liveness::Liveness;
use crate::run::RunError;
use crate::unit::Nanos;

/// A client with an open session.
pub(super) struct Client {
    pub(super) from: SocketAddr,
    pub(super) opened_at: Nanos,
    /// Without it, the thread ends after the commands it has.
    pub(super) commands: Option<Sender<SessionCommand>>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) thread: JoinHandle<SinkTallies>,
}

impl Client {
    /// Starts the thread of a session, which passes each response to `reply`. The client is `from`,
    /// and the local address that it uses is `called_address`.
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
    pub(super) fn served(self, why: CloseReason) -> ClientStats {
        let Self { from, opened_at, thread, .. } = self;
        // A thread that panicked has reported it on standard error.
        let SinkTallies { cells, sent, rx, lost, .. } = thread.join().unwrap_or_default();
        ClientStats {
            from,
            time: (opened_at, Clock::Monotonic.now()),
            cells,
            rx,
            lost,
            sent,
            why: why.to_string(),
        }
    }
}

/// Updates the liveness of all sessions; returns those whose clients are unreachable. A session
/// with a running phase is kept through an outage.
pub(super) fn find_lost(
    clients: &HashMap<u64, Client>,
    rpc: &mut RpcServer<SocketAddr>,
) -> Vec<u64> {
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
