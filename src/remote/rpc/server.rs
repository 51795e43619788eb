//! The server of all sessions.

use std::net::SocketAddr;

use super::table::{CookieIssuer, RpcSession, Table};
use super::{AnswerError, LONGEST_ANSWER};
use crate::remote::protocol::{
    Body, CHUNK_LEN, COOKIE_LEN, CloseReason, Fault, Key, LONGEST_BODY, Message, Peek,
    RejectReason, Seal, decode, encode, peek,
};
use crate::unit::Nanos;

/// An event of a session, for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client with this proved address has opened a session.
    Opened(SocketAddr),
    /// A request with its number, reported once; reply with [`RpcServer::answer`].
    Requested(u32, Vec<u8>),
    /// A note newer than all before it.
    Noted(Vec<u8>),
    /// The session is over.
    Closed(CloseReason),
}

/// How a server handled a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum ServerOutcome {
    NotControl,
    /// It was ignored or refused.
    Rejected,
    Done,
    /// It was handled, with an event of this session.
    Event(u64, ServerEvent),
}

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most sessions at the same time.
    pub sessions: usize,
    /// How long a session may be silent before it is closed.
    pub idle: Nanos,
}

impl Default for Limits {
    /// Arbitrary: more clients than one host can serve undisturbed; the usual patience of a client.
    fn default() -> Self {
        Self { sessions: 64, idle: Nanos::from_millis(10_000) }
    }
}

/// Messages to send, with their addresses.
pub type Outgoing = Vec<(SocketAddr, Vec<u8>)>;

/// A server.
#[derive(Debug)]
pub struct RpcServer {
    cookies: CookieIssuer,
    seal: Seal,
    limits: Limits,
    table: Table,
}

impl RpcServer {
    /// A server without sessions. `secret` must be random and new.
    pub fn new(secret: &[u8; 32], key: Option<&Key>, limits: Limits) -> Self {
        let (cookies, seal) = (CookieIssuer::new(secret), Seal::new(key));
        Self { cookies, seal, limits, table: Table::default() }
    }

    /// Refuses new sessions; open ones continue.
    pub const fn stop_admitting(&mut self) {
        self.limits.sessions = 0;
    }

    /// The number of open sessions.
    pub fn sessions(&self) -> usize {
        self.table.open.len()
    }

    /// The number of ended sessions that are remembered, for some 10 s; bounded.
    pub fn remembered(&self) -> usize {
        self.table.ended.len()
    }

    /// Sets the number of closed sessions that still run; those above [`Limits::sessions`] count.
    pub const fn set_closing(&mut self, sessions: usize) {
        self.table.closing = sessions;
    }

    /// Lets a session be silent until this time, the end of a phase, from which its idle time
    /// counts; returns when its last message arrived.
    pub fn keep(&mut self, session: u64, until: Nanos) -> Option<Nanos> {
        let session = self.table.open.get_mut(&session)?;
        session.kept_until = until;
        Some(session.received_at)
    }

    /// When to call [`Self::tick`] next.
    pub fn deadline(&self) -> Option<Nanos> {
        self.table.deadline(self.limits.idle)
    }

    /// Handles a datagram that arrived at `now`, which is also the time in a sync's reply.
    pub fn on_datagram(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Nanos,
        out: &mut Outgoing,
    ) -> ServerOutcome {
        let message = match decode(bytes, &self.seal) {
            Ok(message) => message,
            Err(Fault::NotControl) => return ServerOutcome::NotControl,
            Err(fault) => {
                out.extend(reject_unproved(bytes, fault).map(|refusal| (from, refusal)));
                return ServerOutcome::Rejected;
            }
        };
        let Message { session, number, body } = message;
        let (reply, outcome) = match body {
            Body::Hello => {
                let cookie = self.cookies.cookie(&from, session, now);
                (Some(Body::Challenge(cookie)), ServerOutcome::Done)
            }
            Body::Open(cookie) => self.open(from, session, &cookie, now),
            Body::Request(_) | Body::Pull(_) | Body::Sync(..) | Body::Close => {
                in_session(&mut self.table, from, message, now)
            }
            // Only servers send the others.
            _ => (None, ServerOutcome::Rejected),
        };
        let reply = reply.map(|body| encode(&Message { session, number, body }, &self.seal));
        out.extend(reply.map(|reply| (from, reply)));
        outcome
    }

    fn open(
        &mut self,
        from: SocketAddr,
        nonce: u64,
        cookie: &[u8; COOKIE_LEN],
        now: Nanos,
    ) -> (Option<Body<'static>>, ServerOutcome) {
        if !self.cookies.is_valid(cookie, &from, nonce, now) {
            return refuse(RejectReason::Stale);
        }
        self.table.forget(now);
        let (session, outcome) = match self.table.by_client.get(&(from, nonce)) {
            Some(session) if self.table.open.contains_key(session) => {
                (*session, ServerOutcome::Done)
            }
            Some(_) => return refuse(RejectReason::Ended),
            None if self.table.is_full(self.limits.sessions, &from) => {
                return refuse(RejectReason::Busy);
            }
            None => {
                let session = self.cookies.session();
                self.table.insert(session, from, nonce, now);
                (session, ServerOutcome::Event(session, ServerEvent::Opened(from)))
            }
        };
        (Some(Body::Opened(session)), outcome)
    }

    /// Answers a request, at any time. The answer is kept for retries until the next request.
    pub fn answer(
        &mut self,
        session: u64,
        number: u32,
        body: Vec<u8>,
        out: &mut Outgoing,
    ) -> Result<(), AnswerError> {
        let open = self.table.open.get_mut(&session);
        let waits = |open: &&mut RpcSession| open.number == number && open.answer.is_none();
        let open = open.filter(waits).ok_or(AnswerError::NoRequest)?;
        if body.len() > LONGEST_ANSWER {
            return Err(AnswerError::TooLong);
        }
        let message = Message { session, number, body: reply(Some(&body)) };
        out.push((open.from, encode(&message, &self.seal)));
        open.answer = Some(body);
        Ok(())
    }

    /// Closes a session, if it exists, and notifies its client once.
    pub fn close(&mut self, session: u64, why: CloseReason, now: Nanos, out: &mut Outgoing) {
        if let Some(from) = self.table.remove(session, now) {
            let message = Message { session, number: 0, body: Body::Closed(why) };
            out.push((from, encode(&message, &self.seal)));
        }
    }

    /// Closes all sessions, for a server that stops.
    pub fn close_all(&mut self, reason: CloseReason, now: Nanos, out: &mut Outgoing) {
        for session in self.table.open.keys().copied().collect::<Vec<_>>() {
            self.close(session, reason, now, out);
        }
    }

    /// Closes sessions that were silent for longer than [`Limits::idle`], and returns them.
    pub fn tick(&mut self, now: Nanos, out: &mut Outgoing) -> Vec<u64> {
        self.table.forget(now);
        let silent = self.table.silent(self.limits.idle, now);
        for session in &silent {
            self.close(*session, CloseReason::Idle, now, out);
        }
        silent
    }
}

const fn refuse(reason: RejectReason) -> (Option<Body<'static>>, ServerOutcome) {
    (Some(Body::Refused(reason)), ServerOutcome::Rejected)
}

fn in_session<'a>(
    table: &'a mut Table,
    from: SocketAddr,
    Message { session: id, number, body }: Message<'_>,
    now: Nanos,
) -> (Option<Body<'a>>, ServerOutcome) {
    if body == Body::Close && table.open.get(&id).is_some_and(|session| session.from == from) {
        table.remove(id, now);
        let (reply, closed) =
            (Body::Closed(CloseReason::Requested), ServerEvent::Closed(CloseReason::Requested));
        return (Some(reply), ServerOutcome::Event(id, closed));
    }
    let Some(session) = table.open.get_mut(&id) else {
        return refuse(RejectReason::NoSession);
    };
    if session.from != from {
        return (None, ServerOutcome::Rejected);
    }
    session.received_at = session.received_at.max(now);
    match body {
        // A correct client has the last answer before its next request.
        Body::Request(body)
            if session.number.checked_add(1) == Some(number) && session.answer.is_some() =>
        {
            (session.number, session.answer) = (number, None);
            (None, ServerOutcome::Event(id, ServerEvent::Requested(number, body.to_vec())))
        }
        Body::Request(_) if number == session.number && number > 0 => {
            (Some(reply(session.answer.as_deref())), ServerOutcome::Done)
        }
        Body::Pull(offset) => chunk(session, number, offset)
            .map_or((None, ServerOutcome::Rejected), |chunk| (Some(chunk), ServerOutcome::Done)),
        Body::Sync(t1, note) => {
            let outcome = if number > session.noted && !note.is_empty() {
                session.noted = number;
                ServerOutcome::Event(id, ServerEvent::Noted(note.to_vec()))
            } else {
                ServerOutcome::Done
            };
            (Some(Body::SyncReply([t1, now.0, now.0])), outcome)
        }
        _ => (None, ServerOutcome::Rejected),
    }
}

/// The refusal of a Hello that cannot be verified, so that its client need not wait for a timeout.
/// It has the public key, because the keys differ, and is shorter than the Hello.
fn reject_unproved(bytes: &[u8], fault: Fault) -> Option<Vec<u8>> {
    let hello = peek(bytes).ok().filter(Peek::is_hello)?;
    let refusal = match fault {
        Fault::Version => RejectReason::Version,
        Fault::Keyed if hello.is_keyed() => RejectReason::KeyUnknown,
        Fault::Keyed => RejectReason::KeyNeeded,
        Fault::Mac if hello.is_keyed() => RejectReason::KeyDiffers,
        _ => return None,
    };
    let message = Message { session: hello.session, number: 0, body: Body::Refused(refusal) };
    Some(encode(&message, &Seal::new(None)))
}

/// The reply to a request; `None`: it is in progress.
fn reply(answer: Option<&[u8]>) -> Body<'_> {
    match answer {
        None => Body::Working,
        Some(bytes) if bytes.len() <= LONGEST_BODY => Body::Answer(bytes),
        // Shorter than LONGEST_ANSWER, which 32 bits hold.
        Some(bytes) => Body::Large(bytes.len() as u32),
    }
}

fn chunk(session: &RpcSession, number: u32, offset: u32) -> Option<Body<'_>> {
    let rest = session.answer.as_ref()?.get(offset as usize..)?;
    let bytes = &rest[..rest.len().min(CHUNK_LEN)];
    (number == session.number && !bytes.is_empty()).then_some(Body::Chunk(offset, bytes))
}
