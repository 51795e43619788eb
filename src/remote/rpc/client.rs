//! The client's side of a session.

mod hear;

use std::collections::VecDeque;

use super::backoff::{BackoffJitter, Retry, RoundTrip};
use super::error::CallError;
use crate::remote::protocol::{
    Body, COOKIE_LEN, Key, LONGEST_BODY, LONGEST_NOTE, Message, Seal, encode,
};
use crate::remote::rpc::chunks::ChunkedResponse;
use crate::unit::Nanos;

/// How many tries have to be refused, one after the other, before refusals that prove nothing are
/// believed. Arbitrary: damage does not hit three in a row, and a key that differs does.
const STRIKES: u32 = 3;

/// How often a session is closed before the server is left to find out by itself. Arbitrary.
const CLOSE_TRIES: u32 = 5;

/// Syncs that wait for their reply; the oldest one is given up for a new one. Arbitrary.
const SYNCS: usize = 32;

/// What a client learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The session is open.
    Opened {
        /// Its id, the same at both ends.
        session: u64,
    },
    /// The answer to the outstanding request, whole.
    Answer(Vec<u8>),
    /// A reply to a sync: moments at this end (1, 4) and at the server (2, 3). The server reads its
    /// clock once, so 2 and 3 are equal and its work counts as way back.
    Synced {
        /// When the sync left.
        t1: Nanos,
        /// When it came in at the server.
        t2: Nanos,
        /// When the reply left there.
        t3: Nanos,
        /// When the reply came in.
        t4: Nanos,
    },
    /// The session is closed, as asked.
    Closed,
    /// It failed, and is over.
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

/// The outstanding request.
#[derive(Debug)]
struct Asked {
    number: u32,
    body: Vec<u8>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// For the session to open.
    Held,
    Sent(Retry),
    Pulling(ChunkedResponse),
}

/// A client: one session, one request at a time.
///
/// Whoever owns it calls [`Self::poll`] at [`Self::deadline`], and gives it each control datagram
/// of its server's. Nothing is sent by itself while no request is outstanding: syncs keep a session
/// open that would else be closed for silence.
#[derive(Debug)]
pub struct RpcClient {
    seal: Seal,
    public: Seal,
    nonce: u64,
    patience: Nanos,
    jitter: BackoffJitter,
    trip: RoundTrip,
    state: State,
    asked: Option<Asked>,
    /// Of the last request.
    number: u32,
    syncs: VecDeque<(u32, Nanos)>,
    /// Of the last sync.
    sync: u32,
    /// Since when nothing was heard that was waited for.
    silent_since: Nanos,
    /// The unproved refusal of the present try, and how many tries were refused in a row.
    refused: Option<CallError>,
    strikes: u32,
    /// Why nothing proved comes, as far as one may believe it.
    explained: Option<CallError>,
    /// How many cookies were stale.
    stale: u32,
}

impl RpcClient {
    /// A client that has not done anything yet. `nonce` is drawn anew for each, so that nobody can
    /// guess it; `seed` varies the times of retries; after `patience` without a word it gives up.
    #[must_use]
    pub fn new(key: Option<&Key>, nonce: u64, seed: u64, patience: Nanos) -> Self {
        Self {
            seal: Seal::new(key),
            public: Seal::new(None),
            nonce,
            patience,
            jitter: BackoffJitter::new(seed),
            trip: RoundTrip::default(),
            state: State::Fresh,
            asked: None,
            number: 0,
            syncs: VecDeque::with_capacity(SYNCS),
            sync: 0,
            silent_since: Nanos::ZERO,
            refused: None,
            strikes: 0,
            explained: None,
            stale: 0,
        }
    }

    /// Opens the session, if nothing was done yet; a request does so by itself.
    pub fn open(&mut self, now: Nanos) {
        if matches!(self.state, State::Fresh) {
            self.silent_since = now;
            self.state = State::Hello(Retry::new(now, self.trip));
        }
    }

    /// Asks for something. It leaves at the next [`Self::poll`], which is due at once.
    ///
    /// # Errors
    /// [`CallError::RequestTooLong`] beyond [`LONGEST_BODY`], [`CallError::Unanswered`] while one
    /// is outstanding, [`CallError::Over`] after the end.
    pub fn request(&mut self, body: Vec<u8>, now: Nanos) -> Result<(), CallError> {
        if body.len() > LONGEST_BODY {
            return Err(CallError::RequestTooLong { len: body.len() });
        }
        if self.asked.is_some() {
            return Err(CallError::Unanswered);
        }
        if matches!(self.state, State::Closing { .. } | State::Over) {
            return Err(CallError::Over);
        }
        self.number = self.number.checked_add(1).ok_or(CallError::Over)?;
        self.open(now);
        let stage = match self.state {
            State::Ready { .. } => {
                self.silent_since = now;
                Stage::Sent(Retry::new(now, self.trip))
            }
            _ => Stage::Held,
        };
        self.asked = Some(Asked { number: self.number, body, stage });
        Ok(())
    }

    /// Asks what time it is there, once, and passes on a note of up to [`LONGEST_NOTE`] bytes (what
    /// is beyond is cut). Tells whether anything was sent: only while the session is open.
    pub fn sync(&mut self, note: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) -> bool {
        let State::Ready { session } = self.state else { return false };
        let Some(number) = self.sync.checked_add(1) else { return false };
        self.sync = number;
        if self.syncs.len() == SYNCS {
            self.syncs.pop_front();
        }
        self.syncs.push_back((number, now));
        let note = &note[..note.len().min(LONGEST_NOTE)];
        let body = Body::Sync { t1: now.0, note };
        out.push(encode(&Message { session, number, body }, &self.seal));
        true
    }

    /// Ends the session; an outstanding request is dropped. [`ClientEvent::Closed`] follows, at the
    /// latest after a few tries.
    pub fn close(&mut self, now: Nanos) {
        let session = match self.state {
            State::Closing { .. } | State::Over => return,
            State::Ready { session } => Some(session),
            _ => None,
        };
        self.asked = None;
        self.state = State::Closing { session, retry: Retry::new(now, self.trip) };
    }

    /// Whether the session has ended or failed; then nothing follows any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The id of the open session.
    #[must_use]
    pub const fn session(&self) -> Option<u64> {
        if let State::Ready { session } = self.state { Some(session) } else { None }
    }

    /// When [`Self::poll`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        let due = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => Some(retry.due()),
            State::Closing { retry, .. } => return Some(retry.due()),
            State::Ready { .. } => match &self.asked.as_ref()?.stage {
                Stage::Held => None,
                Stage::Sent(retry) => Some(retry.due()),
                Stage::Pulling(pulls) => pulls.next_due(),
            },
            State::Fresh | State::Over => return None,
        };
        let end = self.silent_since + self.patience;
        Some(due.map_or(end, |due| due.min(end)))
    }

    /// Does what is due: sends, sends again, gives up.
    pub fn poll(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) -> Option<ClientEvent> {
        if let Some(heard) = self.end(now) {
            self.finish();
            return Some(heard);
        }
        self.send_due(now, out);
        None
    }

    /// What ends the session by itself now, if anything does.
    fn end(&mut self, now: Nanos) -> Option<ClientEvent> {
        let (opening, due) = match &self.state {
            State::Hello(retry) | State::Open { retry, .. } => (true, now >= retry.due()),
            State::Closing { session, retry } => {
                let all_tried = session.is_none() || retry.tries() >= CLOSE_TRIES;
                return (now >= retry.due() && all_tried).then_some(ClientEvent::Closed);
            }
            State::Ready { .. } if self.asked.is_some() => (false, false),
            _ => return None,
        };
        let patience = self.patience;
        if now >= self.silent_since + patience {
            let proved = !matches!(self.state, State::Hello(_));
            let silence = if proved {
                CallError::Silent { patience }
            } else {
                CallError::NoSink { patience }
            };
            let explained =
                self.refused.take().or_else(|| self.explained.take()).filter(|_| opening);
            return Some(ClientEvent::Failed(explained.unwrap_or(silence)));
        }
        // The server itself has had the whole of a try's time to get its word in beside whoever
        // may have refused in its name.
        if opening && due && self.refused.is_some() {
            self.strikes += 1;
            self.explained = self.refused.take();
            if self.strikes >= STRIKES {
                return self.explained.take().map(ClientEvent::Failed);
            }
        }
        None
    }

    fn finish(&mut self) {
        self.state = State::Over;
        self.asked = None;
        self.syncs.clear();
    }

    fn fail(&mut self, error: CallError) -> Option<ClientEvent> {
        self.finish();
        Some(ClientEvent::Failed(error))
    }

    fn send_due(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        let (seal, jitter, nonce) = (&self.seal, &mut self.jitter, self.nonce);
        let mut send = |session, number, body| {
            out.push(encode(&Message { session, number, body }, seal));
        };
        let (retry, session, number, body) = match &mut self.state {
            State::Hello(retry) => (retry, nonce, 0, Body::Hello),
            State::Open { cookie, retry } => (retry, nonce, 0, Body::Open { cookie: *cookie }),
            State::Closing { session: Some(session), retry } => (retry, *session, 0, Body::Close),
            State::Ready { session } => match &mut self.asked {
                Some(Asked { number, body, stage: Stage::Sent(retry) }) => {
                    (retry, *session, *number, Body::Request(body))
                }
                Some(Asked { number, stage: Stage::Pulling(pulls), .. }) => {
                    return pulls.due(now, self.trip, jitter, |offset| {
                        // An answer's length came as 32 bits.
                        send(*session, *number, Body::Pull { offset: offset as u32 });
                    });
                }
                _ => return,
            },
            _ => return,
        };
        if retry.fire(now, jitter) {
            send(session, number, body);
        }
    }
}

#[cfg(test)]
mod tests;
