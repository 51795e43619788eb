//! The client of a session.

use std::collections::VecDeque;

use fastrand::Rng;

use super::backoff::{ChunkedResponse, Retry, RoundTrip};
use super::{CallError, LONGEST_ANSWER};
use crate::clock::Sample;
use crate::remote::protocol::{
    Body, COOKIE_LEN, Fault, Key, LONGEST_BODY, LONGEST_NOTE, Message, RejectReason, Seal, decode,
    encode, peek,
};
use crate::unit::Nanos;

/// Refused tries in a row after which unproved refusals count. Arbitrary: damage hits fewer.
const REFUSED_TRIES: u32 = 3;
/// The most stale cookies that are replaced. Arbitrary: late copies on a bad path cause a few.
const STALE_COOKIES: u32 = 10;
/// The most tries to close a session; without success, the server times out. Arbitrary.
const CLOSE_TRIES: u32 = 5;
/// The most syncs that wait for a reply; a new one replaces the oldest. Arbitrary.
const SYNCS: usize = 32;

/// An event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other variants are as named")]
pub enum ClientEvent {
    /// The session with this id, the same at both ends, is open.
    Opened(u64),
    /// The complete answer to the pending request.
    Answer(Vec<u8>),
    /// A reply to a sync. Both times of the server are equal: it reads its clock once.
    Synced(Sample),
    Closed,
    Failed(CallError),
}

#[derive(Debug)]
enum State {
    Fresh,
    Hello(Retry),
    Open { cookie: [u8; COOKIE_LEN], retry: Retry },
    Ready { session: u64 },
    Closing { session: Option<u64>, retry: Retry },
    Over,
}

#[derive(Debug)]
struct PendingCall {
    number: u32,
    body: Vec<u8>,
    retry: Retry,
    chunks: Option<ChunkedResponse>,
}

/// A client: one session, one request at a time.
///
/// Its owner calls [`Self::poll`] at [`Self::deadline`], and passes it each datagram of the server.
/// Without a pending request, only syncs keep the session from timing out.
#[derive(Debug)]
pub struct RpcClient {
    seal: Seal,
    nonce: u64,
    patience: Nanos,
    random: Rng,
    rtt: RoundTrip,
    state: State,
    pending: Option<PendingCall>,
    number: u32,
    syncs: VecDeque<(u32, Nanos)>,
    sync: u32,
    /// When the last awaited message arrived.
    silent_since: Nanos,
    /// The unproved refusal of the present try, and the number of consecutive refused tries.
    refused: Option<CallError>,
    refused_tries: u32,
    /// The likely reason for the silence, from unproved refusals.
    likely_cause: Option<CallError>,
    stale: u32,
}

impl RpcClient {
    /// A client without a session. `nonce` must be random and new; `seed` varies the retry
    /// intervals; the session fails after `patience` of silence.
    pub fn new(key: Option<&Key>, nonce: u64, seed: u64, patience: Nanos) -> Self {
        Self {
            seal: Seal::new(key),
            nonce,
            patience,
            random: Rng::with_seed(seed),
            rtt: RoundTrip::default(),
            state: State::Fresh,
            pending: None,
            number: 0,
            syncs: VecDeque::with_capacity(SYNCS),
            sync: 0,
            silent_since: Nanos::ZERO,
            refused: None,
            refused_tries: 0,
            likely_cause: None,
            stale: 0,
        }
    }

    /// Opens the session, if it is new; a request does so, too.
    pub fn open(&mut self, now: Nanos) {
        if matches!(self.state, State::Fresh) {
            self.silent_since = now;
            self.state = State::Hello(Retry::new(now, self.rtt));
        }
    }

    /// Starts a request. The next [`Self::poll`], due at once, sends it.
    ///
    /// # Errors
    /// [`CallError`]: it is too long, another one is pending, or the session is over.
    pub fn request(&mut self, body: Vec<u8>, now: Nanos) -> Result<(), CallError> {
        if body.len() > LONGEST_BODY {
            return Err(CallError::RequestTooLong(body.len()));
        }
        if self.pending.is_some() {
            return Err(CallError::Unanswered);
        }
        if matches!(self.state, State::Closing { .. } | State::Over) {
            return Err(CallError::Over);
        }
        self.number += 1;
        self.open(now);
        if self.session().is_some() {
            self.silent_since = now;
        }
        let (number, retry) = (self.number, Retry::new(now, self.rtt));
        self.pending = Some(PendingCall { number, body, retry, chunks: None });
        Ok(())
    }

    /// Compares clocks once, with a note cut to [`LONGEST_NOTE`] bytes; `false`: no open session.
    pub fn sync(&mut self, note: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) -> bool {
        let State::Ready { session } = self.state else { return false };
        self.sync += 1;
        if self.syncs.len() == SYNCS {
            self.syncs.pop_front();
        }
        self.syncs.push_back((self.sync, now));
        let body = Body::Sync(now.0, &note[..note.len().min(LONGEST_NOTE)]);
        out.push(encode(&Message { session, number: self.sync, body }, &self.seal));
        true
    }

    /// Closes the session, and drops a pending request; [`ClientEvent::Closed`] follows.
    pub fn close(&mut self, now: Nanos) {
        if !matches!(self.state, State::Closing { .. } | State::Over) {
            self.pending = None;
            let retry = Retry::new(now, self.rtt);
            self.state = State::Closing { session: self.session(), retry };
        }
    }

    /// Whether the session has ended or failed; no event follows.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The id of the open session.
    pub const fn session(&self) -> Option<u64> {
        if let State::Ready { session } = self.state { Some(session) } else { None }
    }

    /// When to call [`Self::poll`] next.
    pub fn deadline(&self) -> Option<Nanos> {
        let due = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => Some(retry.due),
            State::Closing { retry, .. } => return Some(retry.due),
            State::Ready { .. } => match self.pending.as_ref()? {
                PendingCall { chunks: Some(chunks), .. } => chunks.next_due(),
                PendingCall { retry, .. } => Some(retry.due),
            },
            State::Fresh | State::Over => return None,
        };
        let end = self.silent_since + self.patience;
        Some(due.map_or(end, |due| due.min(end)))
    }

    /// Sends messages and retries that are due; ends the session at a timeout.
    pub fn poll(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) -> Option<ClientEvent> {
        let end = self.end(now);
        match end {
            Some(_) => self.finish(),
            None => self.send_due(now, out),
        }
        end
    }

    fn end(&mut self, now: Nanos) -> Option<ClientEvent> {
        let (opening, due) = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => (true, now >= retry.due),
            State::Closing { session, retry } => {
                let given_up = session.is_none() || retry.tries >= CLOSE_TRIES;
                return (now >= retry.due && given_up).then_some(ClientEvent::Closed);
            }
            State::Ready { .. } if self.pending.is_some() => (false, false),
            _ => return None,
        };
        if now >= self.silent_since + self.patience {
            let answered = !matches!(self.state, State::Hello(_));
            let silence = if answered { CallError::Silent } else { CallError::NoSink };
            let cause = self.refused.take().or_else(|| self.likely_cause.take());
            let cause = cause.filter(|_| opening).unwrap_or_else(|| silence(self.patience));
            return Some(ClientEvent::Failed(cause));
        }
        // If the refusal was forged, the server had all of the interval to reply, too.
        if opening && due && self.refused.is_some() {
            self.refused_tries += 1;
            self.likely_cause = self.refused.take();
            if self.refused_tries >= REFUSED_TRIES {
                return self.likely_cause.take().map(ClientEvent::Failed);
            }
        }
        None
    }

    fn finish(&mut self) {
        self.state = State::Over;
        self.pending = None;
        self.syncs.clear();
    }

    fn fail(&mut self, error: CallError) -> Option<ClientEvent> {
        self.finish();
        Some(ClientEvent::Failed(error))
    }

    fn send_due(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        let (seal, random, nonce) = (&self.seal, &mut self.random, self.nonce);
        let mut send = |session, number, body| {
            out.push(encode(&Message { session, number, body }, seal));
        };
        let (retry, session, number, body) = match &mut self.state {
            State::Hello(retry) => (retry, nonce, 0, Body::Hello),
            State::Open { cookie, retry } => (retry, nonce, 0, Body::Open(*cookie)),
            State::Closing { session: Some(session), retry } => (retry, *session, 0, Body::Close),
            State::Ready { session } => match &mut self.pending {
                Some(PendingCall { number, chunks: Some(chunks), .. }) => {
                    return chunks.due(now, self.rtt, random, |offset| {
                        // The length of the answer has 32 bits.
                        send(*session, *number, Body::Pull(offset as u32));
                    });
                }
                Some(PendingCall { number, body, retry, .. }) => {
                    (retry, *session, *number, Body::Request(body))
                }
                None => return,
            },
            _ => return,
        };
        if retry.fire(now, random) {
            send(session, number, body);
        }
    }

    /// Handles a datagram of the server; ignores those of other sessions.
    pub fn on_datagram(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Vec<Vec<u8>>,
    ) -> Option<ClientEvent> {
        let decoded = decode(bytes, &self.seal);
        let event = match (decoded, &self.state) {
            (Ok(message), State::Hello(_) | State::Open { .. })
                if message.session == self.nonce =>
            {
                self.on_opening(message.body, now)
            }
            (Ok(message), State::Ready { session }) if message.session == *session => {
                self.on_ready(&message, now)
            }
            (Ok(message), State::Closing { session, .. }) if *session == Some(message.session) => {
                let is_end = matches!(message.body, Body::Closed(_) | Body::Refused(_));
                is_end.then(|| self.finish()).map(|()| ClientEvent::Closed)
            }
            (Err(fault), State::Hello(_) | State::Open { .. }) => {
                self.refused = self.unproved_refusal(bytes, fault).or_else(|| self.refused.take());
                None
            }
            _ => None,
        };
        if event.is_none() || matches!(event, Some(ClientEvent::Opened(_))) {
            self.send_due(now, out);
        }
        event
    }

    /// A refusal with the public key or of another version, which may explain a timeout.
    fn unproved_refusal(&self, bytes: &[u8], fault: Fault) -> Option<CallError> {
        let head = peek(bytes).ok().filter(|head| head.session == self.nonce)?;
        let refusal = head.refusal()?;
        if fault == Fault::Version {
            return Some(CallError::Version(head.version));
        }
        decode(bytes, &Seal::new(None)).is_ok().then_some(CallError::Refused(refusal))
    }

    fn on_opening(&mut self, body: Body<'_>, now: Nanos) -> Option<ClientEvent> {
        let event = match (&self.state, body) {
            (State::Hello(retry), Body::Challenge(cookie)) => {
                self.rtt.add_sample(retry.round_trip(now));
                self.state = State::Open { cookie, retry: Retry::new(now, self.rtt) };
                None
            }
            (State::Open { retry, .. }, Body::Opened(session)) => {
                self.rtt.add_sample(retry.round_trip(now));
                self.state = State::Ready { session };
                if let Some(pending) = &mut self.pending {
                    pending.retry = Retry::new(now, self.rtt);
                }
                Some(ClientEvent::Opened(session))
            }
            // Get a new cookie. If a late copy of Open was refused, this only costs a round trip.
            (State::Open { retry, .. }, Body::Refused(RejectReason::Stale))
                if retry.tries > 0 && self.stale < STALE_COOKIES =>
            {
                self.stale += 1;
                self.state = State::Hello(Retry::new(now, self.rtt));
                return None;
            }
            // The server could not verify the message, which may only have been damaged.
            (_, Body::Refused(refusal)) if refusal.code() <= RejectReason::KeyDiffers.code() => {
                self.refused = Some(CallError::Refused(refusal));
                return None;
            }
            (State::Open { .. }, Body::Refused(refusal)) => {
                return self.fail(CallError::Refused(refusal));
            }
            _ => return None,
        };
        self.silent_since = now;
        (self.refused, self.likely_cause, self.refused_tries) = (None, None, 0);
        event
    }

    fn on_ready(&mut self, message: &Message<'_>, now: Nanos) -> Option<ClientEvent> {
        match message.body {
            Body::SyncReply(times) => return self.synced(message.number, times, now),
            Body::Closed(reason) => return self.fail(CallError::Closed(reason)),
            Body::Refused(refusal) => return self.fail(CallError::Refused(refusal)),
            _ => {}
        }
        let pending = self.pending.as_mut().filter(|pending| pending.number == message.number)?;
        let answer = match (&mut pending.chunks, message.body) {
            (None, Body::Working) => None,
            (None, Body::Answer(bytes)) => Some(bytes.to_vec()),
            (None, Body::Large(len)) if len as usize > LONGEST_ANSWER => {
                return self.fail(CallError::AnswerTooLong(len));
            }
            (None, Body::Large(len)) => {
                pending.chunks = Some(ChunkedResponse::new(len as usize));
                None
            }
            (Some(chunks), Body::Chunk(offset, bytes)) => {
                self.rtt.add_sample(chunks.insert(offset as usize, bytes, now)?);
                chunks.complete()
            }
            _ => return None,
        };
        self.silent_since = now;
        answer.map(|answer| {
            self.pending = None;
            ClientEvent::Answer(answer)
        })
    }

    fn synced(&mut self, number: u32, times: [u64; 3], now: Nanos) -> Option<ClientEvent> {
        let [t1_ns, t2_ns, t3_ns] = times;
        let at = self.syncs.iter().position(|sync| *sync == (number, Nanos(t1_ns)))?;
        self.syncs.remove(at);
        self.silent_since = now;
        self.rtt.add_sample(Some(now.since(Nanos(t1_ns))));
        Some(ClientEvent::Synced(Sample { t1_ns, t2_ns, t3_ns, t4_ns: now.0 }))
    }
}

#[cfg(test)]
mod tests;
