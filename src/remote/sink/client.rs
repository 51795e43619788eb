//! A session from outside: whose it is, and its thread.

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

/// A client that is here.
pub(super) struct Client {
    pub(super) from: SocketAddr,
    pub(super) came: Nanos,
    /// Without it, the thread ends as soon as it has done what it was told.
    pub(super) commands: Option<Sender<SessionCommand>>,
    pub(super) pulse: Arc<Liveness>,
    pub(super) thread: JoinHandle<SinkTallies>,
}

impl Client {
    /// Starts the thread of a session, which gives each answer to `reply`, with a client that has
    /// called this address of ours.
    pub(super) fn start(
        house: &Arc<SinkShared>,
        sockets: &Arc<Mutex<Group>>,
        (id, from, called): (u64, SocketAddr, Option<IpAddr>),
        reply: impl Fn(u32, Vec<u8>) + Send + 'static,
    ) -> Result<Self, RunError> {
        let (commands, inbox) = mpsc::channel();
        let shown = Tagger::new(&house.options.secret);
        let secret = shown.tag(&[b"where a socket of a client is", &id.to_be_bytes()]);
        let came = Clock::Monotonic.now();
        let pulse = Arc::new(Liveness::at(came));
        let session = SinkSession {
            house: Arc::clone(house),
            sockets: Arc::clone(sockets),
            pulse: Arc::clone(&pulse),
            from,
            called,
            secret,
            cell: None,
            heeding: false,
            way: Default::default(),
            served: SinkTallies::default(),
        };
        let thread = Builder::new()
            .name("udperf-session".to_owned())
            .spawn(move || session.run(&inbox, &reply))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { from, came, commands: Some(commands), pulse, thread })
    }

    /// What it came to, once its thread has ended.
    pub(super) fn served(self, why: CloseReason) -> ClientStats {
        let Self { from, came, thread, .. } = self;
        // A session that panicked has said so on standard error.
        let SinkTallies { cells, sent, rx, lost, .. } = thread.join().unwrap_or_default();
        ClientStats {
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

/// Tells sessions when their clients were heard last; which of those are gone, as their hosts say.
/// A session with a running phase is kept through an outage.
pub(super) fn lost(
    clients: &HashMap<u64, Client>,
    answerer: &mut RpcServer<SocketAddr>,
) -> Vec<u64> {
    let now = Clock::Monotonic.now();
    for (session, client) in clients {
        answerer.keep(*session, client.pulse.busy_until());
    }
    let is_lost = |(session, client): &(&u64, &Client)| {
        answerer.heard(**session).into_iter().for_each(|at| client.pulse.heard(at));
        client.pulse.is_lost(now)
    };
    clients.iter().filter(is_lost).map(|(session, _)| *session).collect()
}
