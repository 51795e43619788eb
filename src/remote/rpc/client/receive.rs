//! How a client handles datagrams.

use super::super::backoff::Retry;
use super::super::error::{CallError, LONGEST_ANSWER};
use super::{CallProgress, ClientEvent, RpcClient, State};
use crate::clock::Sample;
use crate::remote::protocol::{Body, Fault, Message, RejectReason, decode, peek};
use crate::remote::rpc::chunks::ChunkedResponse;
use crate::unit::Nanos;

/// The most stale cookies that a client replaces. Arbitrary: late copies on a bad path cause a few;
/// without a bound, a client whose address keeps changing would never fail.
const STALE_COOKIES: u32 = 10;

impl RpcClient {
    /// Handles a datagram of the server; ignores those of other sessions.
    pub fn on_datagram(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        out: &mut Vec<Vec<u8>>,
    ) -> Option<ClientEvent> {
        let event = match decode(bytes, &self.seal) {
            Ok(message) => match self.state {
                State::Hello(_) | State::Open { .. } => self.on_opening(&message, now),
                State::Ready { session } if message.session == session => {
                    self.on_ready(&message, now)
                }
                State::Closing { session: Some(session), .. } if message.session == session => {
                    let is_end = matches!(message.body, Body::Closed(_) | Body::Refused(_));
                    is_end.then(|| self.finish()).map(|()| ClientEvent::Closed)
                }
                _ => None,
            },
            Err(fault) => {
                self.on_unproved(bytes, fault);
                None
            }
        };
        if event.is_none() || matches!(event, Some(ClientEvent::Opened(_))) {
            self.send_due(now, out);
        }
        event
    }

    /// Notes a refusal with the public key or of another version, which may explain a timeout.
    fn on_unproved(&mut self, bytes: &[u8], fault: Fault) {
        let Some(seen) = peek(bytes) else { return };
        let (State::Hello(_) | State::Open { .. }, Some(refusal)) = (&self.state, seen.refusal)
        else {
            return;
        };
        if seen.session != self.nonce {
            return;
        }
        if fault == Fault::Version {
            self.refused = Some(CallError::Version(seen.version));
        } else if decode(bytes, &self.public).is_ok() {
            self.refused = Some(CallError::Refused(refusal));
        }
    }

    fn on_opening(&mut self, message: &Message<'_>, now: Nanos) -> Option<ClientEvent> {
        if message.session != self.nonce {
            return None;
        }
        match (&self.state, message.body) {
            (State::Hello(retry), Body::Challenge(cookie)) => {
                self.rtt.add_sample(retry.round_trip(now));
                self.state = State::Open { cookie, retry: Retry::new(now, self.rtt) };
            }
            (State::Open { retry, .. }, Body::Opened(session)) => {
                self.rtt.add_sample(retry.round_trip(now));
                self.state = State::Ready { session };
                if let Some(pending) = &mut self.pending {
                    pending.progress = CallProgress::Sent(Retry::new(now, self.rtt));
                }
                self.heard(now);
                return Some(ClientEvent::Opened(session));
            }
            // Get a new cookie. If a late copy of Open was refused, this only costs a round trip.
            (State::Open { retry, .. }, Body::Refused(RejectReason::Stale))
                if retry.tries() > 0 =>
            {
                self.stale += 1;
                if self.stale > STALE_COOKIES {
                    return self.fail(CallError::Refused(RejectReason::Stale));
                }
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
        }
        self.heard(now);
        None
    }

    fn heard(&mut self, now: Nanos) {
        self.silent_since = now;
        (self.refused, self.likely_cause, self.refused_tries) = (None, None, 0);
    }

    fn on_ready(&mut self, message: &Message<'_>, now: Nanos) -> Option<ClientEvent> {
        match message.body {
            Body::SyncReply(times) => return self.synced(message.number, times, now),
            Body::Closed(reason) => return self.fail(CallError::Closed(reason)),
            Body::Refused(refusal) => return self.fail(CallError::Refused(refusal)),
            _ => {}
        }
        let pending = self.pending.as_mut().filter(|pending| pending.number == message.number)?;
        match (&mut pending.progress, message.body) {
            (CallProgress::Sent(_), Body::Working) => {}
            (CallProgress::Sent(_), Body::Answer(bytes)) => {
                self.pending = None;
                return Some(ClientEvent::Answer(bytes.to_vec()));
            }
            (CallProgress::Sent(_), Body::Large(len)) => {
                if len as usize > LONGEST_ANSWER {
                    return self.fail(CallError::AnswerTooLong(len));
                }
                pending.progress = CallProgress::Fetching(ChunkedResponse::new(len as usize));
            }
            (CallProgress::Fetching(chunks), Body::Chunk(offset, bytes)) => {
                let rtt = chunks.insert(offset as usize, bytes, now)?;
                self.rtt.add_sample(rtt);
                if let Some(whole) = chunks.whole() {
                    self.pending = None;
                    return Some(ClientEvent::Answer(whole));
                }
            }
            _ => return None,
        }
        self.silent_since = now;
        None
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
