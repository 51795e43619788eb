//! The client of a session.

mod receive;

use std::collections::VecDeque;

use fastrand::Rng;

use super::backoff::{Retry, RoundTrip};
use super::error::CallError;
use crate::clock::Sample;
use crate::remote::protocol::{
    Body, COOKIE_LEN, Key, LONGEST_BODY, LONGEST_NOTE, Message, Seal, encode,
};
use crate::remote::rpc::chunks::ChunkedResponse;
use crate::unit::Nanos;

/// The number of consecutive refused tries after which unproved refusals are believed. Arbitrary:
/// damage does not hit three in a row; a wrong key does.
const REFUSED_TRIES: u32 = 3;

/// The most tries to close a session; without success, the server times out. Arbitrary.
const CLOSE_TRIES: u32 = 5;

/// The most syncs that wait for a reply; a new one replaces the oldest. Arbitrary.
const SYNCS: usize = 32;

/// An event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The session with this id, the same at both ends, is open.
    Opened(u64),
    /// The whole answer to the pending request.
    Answer(Vec<u8>),
    /// A reply to a sync. The server reads its clock once, so its times are equal, and its work
    /// counts as return path.
    Synced(Sample),
    /// The session is closed.
    Closed,
    /// The session failed.
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

/// The pending request.
#[derive(Debug)]
struct PendingCall {
    number: u32,
    body: Vec<u8>,
    progress: CallProgress,
}

#[derive(Debug)]
enum CallProgress {
    Waiting,
    Sent(Retry),
    Fetching(ChunkedResponse),
}

/// A client: one session, one request at a time.
///
/// Its owner calls [`Self::poll`] at [`Self::deadline`], and passes it each datagram of the server.
/// Without a pending request, only syncs keep the session from timing out.
#[derive(Debug)]
pub struct RpcClient {
    seal: Seal,
    public: Seal,
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
    #[must_use]
    pub fn new(key: Option<&Key>, nonce: u64, seed: u64, patience: Nanos) -> Self {
        Self {
            seal: Seal::new(key),
            public: Seal::new(None),
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
    /// [`CallError::RequestTooLong`] beyond [`LONGEST_BODY`], [`CallError::Unanswered`] while one
    /// is outstanding, [`CallError::Over`] after the end.
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
        self.number = self.number.checked_add(1).ok_or(CallError::Over)?;
        self.open(now);
        let progress = match self.state {
            State::Ready { .. } => {
                self.silent_since = now;
                CallProgress::Sent(Retry::new(now, self.rtt))
            }
            _ => CallProgress::Waiting,
        };
        self.pending = Some(PendingCall { number: self.number, body, progress });
        Ok(())
    }

    /// Sends a clock comparison once, with a note, which is cut to [`LONGEST_NOTE`] bytes. Returns
    /// whether it was sent: only if the session is open.
    pub fn sync(&mut self, note: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) -> bool {
        let State::Ready { session } = self.state else { return false };
        let Some(number) = self.sync.checked_add(1) else { return false };
        self.sync = number;
        if self.syncs.len() == SYNCS {
            self.syncs.pop_front();
        }
        self.syncs.push_back((number, now));
        let note = &note[..note.len().min(LONGEST_NOTE)];
        let body = Body::Sync(now.0, note);
        out.push(encode(&Message { session, number, body }, &self.seal));
        true
    }

    /// Closes the session and drops a pending request. [`ClientEvent::Closed`] follows, after a few
    /// tries at the latest.
    pub fn close(&mut self, now: Nanos) {
        let session = match self.state {
            State::Closing { .. } | State::Over => return,
            State::Ready { session } => Some(session),
            _ => None,
        };
        self.pending = None;
        self.state = State::Closing { session, retry: Retry::new(now, self.rtt) };
    }

    /// Whether the session has ended or failed; no event follows.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The id of the open session.
    #[must_use]
    pub const fn session(&self) -> Option<u64> {
        if let State::Ready { session } = self.state { Some(session) } else { None }
    }

    /// When to call [`Self::poll`] next.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        let due = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => Some(retry.due()),
            State::Closing { retry, .. } => return Some(retry.due()),
            State::Ready { .. } => match &self.pending.as_ref()?.progress {
                CallProgress::Waiting => None,
                CallProgress::Sent(retry) => Some(retry.due()),
                CallProgress::Fetching(chunks) => chunks.next_due(),
            },
            State::Fresh | State::Over => return None,
        };
        let end = self.silent_since + self.patience;
        Some(due.map_or(end, |due| due.min(end)))
    }

    /// Sends messages and retries that are due; ends the session at a timeout.
    pub fn poll(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) -> Option<ClientEvent> {
        if let Some(event) = self.end(now) {
            self.finish();
            return Some(event);
        }
        self.send_due(now, out);
        None
    }

    /// The event that ends the session now, if any.
    fn end(&mut self, now: Nanos) -> Option<ClientEvent> {
        let (opening, due) = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => (true, now >= retry.due()),
            State::Closing { session, retry } => {
                let given_up = session.is_none() || retry.tries() >= CLOSE_TRIES;
                return (now >= retry.due() && given_up).then_some(ClientEvent::Closed);
            }
            State::Ready { .. } if self.pending.is_some() => (false, false),
            _ => return None,
        };
        let patience = self.patience;
        if now >= self.silent_since + patience {
            let answered = !matches!(self.state, State::Hello(_));
            let silence = if answered { CallError::Silent } else { CallError::NoSink };
            let cause = self.refused.take().or_else(|| self.likely_cause.take());
            let cause = cause.filter(|_| opening).unwrap_or_else(|| silence(patience));
            return Some(ClientEvent::Failed(cause));
        }
        // The server had the whole interval to reply, too, if the refusal was forged.
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
                Some(PendingCall { number, body, progress: CallProgress::Sent(retry) }) => {
                    (retry, *session, *number, Body::Request(body))
                }
                Some(PendingCall { number, progress: CallProgress::Fetching(chunks), .. }) => {
                    return chunks.due(now, self.rtt, random, |offset| {
                        // The length of the answer has 32 bits.
                        send(*session, *number, Body::Pull(offset as u32));
                    });
                }
                _ => return,
            },
            _ => return,
        };
        if retry.fire(now, random) {
            send(session, number, body);
        }
    }
}

#[cfg(test)]
mod tests;
