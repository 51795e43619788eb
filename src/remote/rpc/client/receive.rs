//! What a client makes of what it hears.

use super::super::backoff::Retry;
use super::super::error::{CallError, LONGEST_ANSWER};
use super::{ClientEvent, RpcClient, Stage, State};
use crate::remote::protocol::{Body, Fault, Message, RejectReason, VERSION, decode, peek};
use crate::remote::rpc::chunks::ChunkedResponse;
use crate::unit::Nanos;

/// How many stale cookies a client replaces. Arbitrary: late copies on a bad path make a few; with
/// no bound, an address that changes all the time would keep it going for ever.
const STALE_COOKIES: u32 = 10;

impl RpcClient {
    /// Takes a datagram of the server's; what is none for this session changes nothing.
    pub fn on_datagram(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Vec<Vec<u8>>,
    ) -> Option<ClientEvent> {
        let heard = match decode(bytes, &self.seal) {
            Ok(message) => match self.state {
                State::Hello(_) | State::Open { .. } => self.while_opening(&message, now),
                State::Ready { session } if message.session == session => {
                    self.while_ready(&message, now)
                }
                State::Closing { session: Some(session), .. } if message.session == session => {
                    let is_end = matches!(message.body, Body::Closed(_) | Body::Refused(_));
                    is_end.then(|| self.finish()).map(|()| ClientEvent::Closed)
                }
                _ => None,
            },
            Err(fault) => {
                self.while_unproved(bytes, fault);
                None
            }
        };
        if heard.is_none() || matches!(heard, Some(ClientEvent::Opened { .. })) {
            self.send_due(now, out);
        }
        heard
    }

    /// Takes a refusal that cannot be proved: under the public key where we have one of our own, or
    /// of another version. It explains why nothing proved comes, and no more.
    fn while_unproved(&mut self, bytes: &[u8], fault: Fault) {
        let Some(seen) = peek(bytes) else { return };
        let (State::Hello(_) | State::Open { .. }, Some(refusal)) = (&self.state, seen.refusal)
        else {
            return;
        };
        if seen.session != self.nonce {
            return;
        }
        if fault == Fault::Version {
            self.refused = Some(CallError::Version { ours: VERSION, theirs: seen.version });
        } else if decode(bytes, &self.public).is_ok() {
            self.refused = Some(CallError::Refused(refusal));
        }
    }

    fn while_opening(&mut self, message: &Message<'_>, now: Nanos) -> Option<ClientEvent> {
        if message.session != self.nonce {
            return None;
        }
        match (&self.state, message.body) {
            (State::Hello(retry), Body::Challenge { cookie }) => {
                self.trip.take(retry.round_trip(now));
                self.state = State::Open { cookie, retry: Retry::new(now, self.trip) };
            }
            (State::Open { retry, .. }, Body::Opened { session }) => {
                self.trip.take(retry.round_trip(now));
                self.state = State::Ready { session };
                if let Some(asked) = &mut self.asked {
                    asked.stage = Stage::Sent(Retry::new(now, self.trip));
                }
                self.proved(now);
                return Some(ClientEvent::Opened { session });
            }
            // The one thing to do about a stale cookie is to get a new one. It may have been an old
            // copy of Open that was refused; then this only takes a round trip.
            (State::Open { retry, .. }, Body::Refused(RejectReason::Stale))
                if retry.tries() > 0 =>
            {
                self.stale += 1;
                if self.stale > STALE_COOKIES {
                    return self.fail(CallError::Refused(RejectReason::Stale));
                }
                self.state = State::Hello(Retry::new(now, self.trip));
                return None;
            }
            // Said of what could not be verified, so it may be said of a damaged datagram.
            (_, Body::Refused(refusal)) if refusal.code() <= RejectReason::KeyDiffers.code() => {
                self.refused = Some(CallError::Refused(refusal));
                return None;
            }
            (State::Open { .. }, Body::Refused(refusal)) => {
                return self.fail(CallError::Refused(refusal));
            }
            _ => return None,
        }
        self.proved(now);
        None
    }

    /// Something came that was waited for and is well sealed.
    fn proved(&mut self, now: Nanos) {
        self.silent_since = now;
        (self.refused, self.explained, self.strikes) = (None, None, 0);
    }

    fn while_ready(&mut self, message: &Message<'_>, now: Nanos) -> Option<ClientEvent> {
        match message.body {
            Body::SyncReply { t1, t2, t3 } => {
                return self.synced(message.number, [t1, t2, t3], now);
            }
            Body::Closed(reason) => return self.fail(CallError::Closed(reason)),
            Body::Refused(refusal) => return self.fail(CallError::Refused(refusal)),
            _ => {}
        }
        let asked = self.asked.as_mut().filter(|asked| asked.number == message.number)?;
        match (&mut asked.stage, message.body) {
            (Stage::Sent(_), Body::Working) => {}
            (Stage::Sent(_), Body::Answer(bytes)) => {
                self.asked = None;
                return Some(ClientEvent::Answer(bytes.to_vec()));
            }
            (Stage::Sent(_), Body::Large { len }) => {
                if len as usize > LONGEST_ANSWER {
                    return self.fail(CallError::AnswerTooLong { len });
                }
                asked.stage = Stage::Pulling(ChunkedResponse::new(len as usize));
            }
            (Stage::Pulling(pulls), Body::Chunk { offset, bytes }) => {
                let trip = pulls.take(offset as usize, bytes, now)?;
                self.trip.take(trip);
                if let Some(whole) = pulls.whole() {
                    self.asked = None;
                    return Some(ClientEvent::Answer(whole));
                }
            }
            _ => return None,
        }
        self.silent_since = now;
        None
    }

    fn synced(&mut self, number: u32, [t1, t2, t3]: [u64; 3], now: Nanos) -> Option<ClientEvent> {
        let at = self.syncs.iter().position(|sync| *sync == (number, Nanos(t1)))?;
        self.syncs.remove(at);
        self.silent_since = now;
        self.trip.take(Some(now.since(Nanos(t1))));
        Some(ClientEvent::Synced { t1: Nanos(t1), t2: Nanos(t2), t3: Nanos(t3), t4: now })
    }
}
