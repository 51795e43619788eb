//! Finds the exchange and the request that a datagram answers.

use crate::payload::{ExchangeProgress, Matching, MessageOf, Messages};
use crate::request::matcher::ResponseMatcher;
use crate::request::steps::Steps;

/// The request that a datagram answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    First(u64),
    Second(u64),
    /// A request of this exchange that expects no reply any more, or not yet.
    Neither(u64),
}

impl ResponseMatcher {
    pub(super) fn answered_by(
        &mut self,
        steps: &mut Steps,
        stream: usize,
        reply: &[u8],
        head: u64,
    ) -> Option<Answered> {
        if let Some(messages) = steps.second.messages() {
            return self.answered_by_message(steps, messages, stream, reply, head);
        }
        let is_followed = steps.second.follows(reply, 0);
        if self.spec.matching.by_order() {
            self.spec.matching.id_of(reply)?;
            let open = self.oldest_open(stream, head);
            if !(is_followed && steps.second.is_conditional())
                && let Some(number) = self.oldest_continuing(steps, stream, head)
            {
                return Some(Answered::Second(number));
            }
            return open.map(Answered::First);
        }
        let first = self.found_by(&self.spec.matching, stream, reply, head);
        let second = self.found_by(steps.second.matching(), stream, reply, head);
        let is_second = |number: &u64| {
            self.table.is_at(*number, head)
                && self.table.is_continuing(*number)
                && !(is_followed && steps.second.is_conditional())
                && !steps.is_first_reply(*number, reply)
        };
        // Its bytes at the place of the first id may look like the id of another request.
        if !is_followed && let Some(number) = second.filter(is_second) {
            return Some(Answered::Second(number));
        }
        if let Some(number) = first
            && self.table.is_at(number, head)
            && self.table.is_open(number)
        {
            return Some(Answered::First(number));
        }
        let number = second.or(first)?;
        if self.table.is_at(number, head) && self.table.is_open(number) {
            // A second reply before the first one.
            return None;
        }
        Some(second.filter(is_second).map_or(Answered::Neither(number), Answered::Second))
    }

    /// The request whose id this datagram has by one of both rules.
    fn found_by(&self, matching: &Matching, stream: usize, reply: &[u8], head: u64) -> Option<u64> {
        let id = matching.id_of(reply)?;
        let place = id.wrapping_sub(self.first_ids.first_of(stream));
        self.table.find(stream, place, self.id_bits, head)
    }

    /// For replies in order: the oldest exchange of this port that waits for its second reply.
    fn oldest_continuing(&self, steps: &mut Steps, stream: usize, head: u64) -> Option<u64> {
        let stream_map = self.table.stream_map();
        let released = head.saturating_sub(self.table.capacity());
        let oldest = steps.oldest.get_mut(stream)?;
        *oldest = (*oldest).max(stream_map.places(stream, released));
        // Those from the oldest open one on have no first reply.
        while *oldest < self.oldest[stream] {
            let number = stream_map.number(stream, *oldest);
            if self.table.is_continuing(number) {
                return Some(number);
            }
            *oldest += 1;
        }
        None
    }

    /// The same for messages of CoAP.
    fn answered_by_message(
        &self,
        steps: &Steps,
        messages: Messages<'_>,
        stream: usize,
        message: &[u8],
        head: u64,
    ) -> Option<Answered> {
        let (id, bits) = messages.id_of(message)?;
        let place = id.wrapping_sub(self.first_ids.first_of(stream));
        let number = self.table.find(stream, place, bits.min(self.id_bits), head)?;
        if !self.table.is_at(number, head) {
            return Some(Answered::Neither(number));
        }
        let is_open = self.table.is_open(number);
        let progress = match steps.first_reply(number) {
            _ if is_open => ExchangeProgress::default(),
            Some(first) if self.table.is_continuing(number) => first.progress,
            _ => return Some(Answered::Neither(number)),
        };
        let id =
            self.first_ids.first_of(stream).wrapping_add(self.table.stream_map().place(number));
        match messages.place(message, id, progress) {
            MessageOf::Latest if is_open => Some(Answered::First(number)),
            MessageOf::Latest => Some(Answered::Second(number)),
            MessageOf::Earlier => Some(Answered::Neither(number)),
            MessageOf::Other => None,
        }
    }
}
