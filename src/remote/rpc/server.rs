//! The server of all sessions.

use std::net::SocketAddr;

use super::error::{AnswerError, LONGEST_ANSWER};
use super::table::{RpcSession, Table, Work};
use crate::remote::protocol::{
    Body, CHUNK_LEN, COOKIE_LEN, CloseReason, Fault, Key, LONGEST_BODY, Message, RejectReason,
    Seal, decode, encode, peek,
};
use crate::remote::rpc::cookie::CookieIssuer;
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

/// Why a control message was ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is malformed, damaged, or for another key.
    Fault(Fault),
    /// It belongs to a session of another address.
    OtherAddress,
    /// Only servers send this.
    Reflected,
    /// A request that is old, skips a number, or arrives before the last one is answered.
    OutOfTurn,
    /// It requests a chunk that does not exist.
    NoSuchPart,
}

/// How a server handled a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerOutcome {
    /// It is not a control message.
    NotControl,
    /// It had no effect.
    Ignored(Ignored),
    /// A refusal was sent.
    Refused(RejectReason),
    /// It was handled.
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
    /// 64 sessions, 10 s. Arbitrary: more clients than one host can serve undisturbed; the usual
    /// patience of a client.
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
    public: Seal,
    limits: Limits,
    table: Table,
}

impl RpcServer {
    /// A server without sessions. `secret` must be random and new.
    #[must_use]
    pub fn new(secret: &[u8; 32], key: Option<&Key>, limits: Limits) -> Self {
        Self {
            cookies: CookieIssuer::new(secret),
            seal: Seal::new(key),
            public: Seal::new(None),
            limits,
            table: Table::default(),
        }
    }

    /// Refuses new sessions; open ones continue.
    pub const fn stop_admitting(&mut self) {
        self.limits.sessions = 0;
    }

    /// The number of open sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.table.open.len()
    }

    /// The number of ended sessions that are remembered, for some 10 s; bounded.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.table.ended.len()
    }

    /// Sets the number of closed sessions that still run; up to [`Limits::sessions`] of them do not
    /// count against new ones.
    pub const fn set_closing(&mut self, sessions: usize) {
        self.table.closing = sessions;
    }

    /// When the last message of an open session arrived.
    #[must_use]
    pub fn heard(&self, session: u64) -> Option<Nanos> {
        self.table.open.get(&session).map(|session| session.heard)
    }

    /// Lets a session be silent until this time, the end of a phase; its idle time counts from
    /// there.
    pub fn keep(&mut self, session: u64, until: Nanos) {
        self.table.keep(session, until);
    }

    /// When to call [`Self::tick`] next.
    #[must_use]
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
            Err(fault) => return self.reject_unproved(from, bytes, fault, out),
        };
        let nonce = message.session;
        match message.body {
            Body::Hello => {
                let cookie = self.cookies.cookie(&from, nonce, now);
                self.send(from, nonce, 0, Body::Challenge(cookie), out);
                ServerOutcome::Done
            }
            Body::Open(cookie) => self.open(from, nonce, &cookie, now, out),
            Body::Request(_) | Body::Pull(_) | Body::Sync(..) | Body::Close => {
                self.in_session(from, &message, now, out)
            }
            _ => ServerOutcome::Ignored(Ignored::Reflected),
        }
    }

    /// Refuses a Hello that cannot be verified, so that its client need not wait for a timeout.
    /// Uses the public key, because the keys differ, and sends no more bytes than it got.
    fn reject_unproved(
        &self,
        from: SocketAddr,
        bytes: &[u8],
        fault: Fault,
        out: &mut Outgoing,
    ) -> ServerOutcome {
        let Some(seen) = peek(bytes).filter(|seen| seen.hello) else {
            return ServerOutcome::Ignored(Ignored::Fault(fault));
        };
        let refusal = match fault {
            Fault::Version => RejectReason::Version,
            Fault::Keyed if seen.keyed => RejectReason::KeyUnknown,
            Fault::Keyed => RejectReason::KeyNeeded,
            Fault::Mac if seen.keyed => RejectReason::KeyDiffers,
            _ => return ServerOutcome::Ignored(Ignored::Fault(fault)),
        };
        let message = Message { session: seen.session, number: 0, body: Body::Refused(refusal) };
        out.push((from, encode(&message, &self.public)));
        ServerOutcome::Refused(refusal)
    }

    fn send(&self, to: SocketAddr, session: u64, number: u32, body: Body<'_>, out: &mut Outgoing) {
        out.push((to, encode(&Message { session, number, body }, &self.seal)));
    }

    fn refuse(
        &self,
        to: SocketAddr,
        session: u64,
        refusal: RejectReason,
        out: &mut Outgoing,
    ) -> ServerOutcome {
        self.send(to, session, 0, Body::Refused(refusal), out);
        ServerOutcome::Refused(refusal)
    }

    fn open(
        &mut self,
        from: SocketAddr,
        nonce: u64,
        cookie: &[u8; COOKIE_LEN],
        now: Nanos,
        out: &mut Outgoing,
    ) -> ServerOutcome {
        if !self.cookies.is_valid(cookie, &from, nonce, now) {
            return self.refuse(from, nonce, RejectReason::Stale, out);
        }
        self.table.forget(now);
        if let Some(session) = self.table.of_client(from, nonce) {
            if self.table.get(session).is_none() {
                return self.refuse(from, nonce, RejectReason::Ended, out);
            }
            self.send(from, nonce, 0, Body::Opened(session), out);
            return ServerOutcome::Done;
        }
        if self.table.is_full(self.limits.sessions, &from) {
            return self.refuse(from, nonce, RejectReason::Busy, out);
        }
        let mut session = self.cookies.session();
        while self.table.get(session).is_some() {
            session = self.cookies.session();
        }
        self.table.insert(session, from, nonce, now);
        self.send(from, nonce, 0, Body::Opened(session), out);
        ServerOutcome::Event(session, ServerEvent::Opened(from))
    }

    fn in_session(
        &mut self,
        from: SocketAddr,
        message: &Message<'_>,
        now: Nanos,
        out: &mut Outgoing,
    ) -> ServerOutcome {
        let (id, number) = (message.session, message.number);
        let Some(session) = self.table.get(id) else {
            return self.refuse(from, id, RejectReason::NoSession, out);
        };
        if session.from != from {
            return ServerOutcome::Ignored(Ignored::OtherAddress);
        }
        session.heard = session.heard.max(now);
        let reply = match message.body {
            Body::Request(body) => match request(session, number) {
                RequestOrder::New => {
                    let event = ServerEvent::Requested(number, body.to_vec());
                    return ServerOutcome::Event(id, event);
                }
                RequestOrder::Repeated => reply(&session.work),
                RequestOrder::OutOfOrder => return ServerOutcome::Ignored(Ignored::OutOfTurn),
            },
            Body::Pull(offset) => match part(session, number, offset) {
                Some(part) => part,
                None => return ServerOutcome::Ignored(Ignored::NoSuchPart),
            },
            Body::Sync(t1, note) => {
                let is_news = number > session.noted && !note.is_empty();
                if is_news {
                    session.noted = number;
                }
                self.send(from, id, number, Body::SyncReply([t1, now.0, now.0]), out);
                return match is_news {
                    true => ServerOutcome::Event(id, ServerEvent::Noted(note.to_vec())),
                    false => ServerOutcome::Done,
                };
            }
            _ => {
                self.close(id, CloseReason::Asked, now, out);
                return ServerOutcome::Event(id, ServerEvent::Closed(CloseReason::Asked));
            }
        };
        out.push((from, encode(&Message { session: id, number, body: reply }, &self.seal)));
        ServerOutcome::Done
    }

    /// Answers a request, at any time. The answer is kept for retries until the next request.
    ///
    /// # Errors
    /// [`AnswerError`]: no request waits for this answer, or it is too long. Sends nothing then.
    pub fn answer(
        &mut self,
        session: u64,
        number: u32,
        body: Vec<u8>,
        out: &mut Outgoing,
    ) -> Result<(), AnswerError> {
        let open = self.table.get(session).ok_or(AnswerError::Gone)?;
        if open.taken != number || !matches!(open.work, Work::InProgress) {
            return Err(AnswerError::NotAsked);
        }
        if body.len() > LONGEST_ANSWER {
            return Err(AnswerError::TooLong(body.len()));
        }
        open.work = Work::Answered(body);
        let message = Message { session, number, body: reply(&open.work) };
        out.push((open.from, encode(&message, &self.seal)));
        Ok(())
    }

    /// Closes a session, if it exists, and notifies its client once.
    pub fn close(&mut self, session: u64, why: CloseReason, now: Nanos, out: &mut Outgoing) {
        if let Some(from) = self.table.remove(session, now) {
            self.send(from, session, 0, Body::Closed(why), out);
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

/// The order of a request's number.
enum RequestOrder {
    New,
    Repeated,
    OutOfOrder,
}

/// Accepts a request with the next number, once.
fn request(session: &mut RpcSession, number: u32) -> RequestOrder {
    if number == session.taken && !matches!(session.work, Work::Idle) {
        return RequestOrder::Repeated;
    }
    // A correct client has the last answer before its next request.
    let is_next = session.taken.checked_add(1) == Some(number);
    if !is_next || matches!(session.work, Work::InProgress) {
        return RequestOrder::OutOfOrder;
    }
    session.taken = number;
    session.work = Work::InProgress;
    RequestOrder::New
}

/// The reply to a request.
fn reply(work: &Work) -> Body<'_> {
    match work {
        Work::Idle | Work::InProgress => Body::Working,
        Work::Answered(bytes) if bytes.len() <= LONGEST_BODY => Body::Answer(bytes),
        // Shorter than LONGEST_ANSWER, which 32 bits hold.
        Work::Answered(bytes) => Body::Large(bytes.len() as u32),
    }
}

/// A chunk of the last answer.
fn part(session: &RpcSession, number: u32, offset: u32) -> Option<Body<'_>> {
    let Work::Answered(bytes) = &session.work else { return None };
    let rest = bytes.get(offset as usize..).filter(|_| number == session.taken)?;
    let bytes = &rest[..rest.len().min(CHUNK_LEN)];
    (!bytes.is_empty()).then_some(Body::Chunk(offset, bytes))
}
