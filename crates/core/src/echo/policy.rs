//! Decides which datagrams an echo server returns, delays or drops.

use fastrand::Rng;

use super::delay::Queue;
use crate::clock::Clock;
use crate::engine::echo::ReplyFilter;
use crate::measure::{ClientRecorder, EchoTally};
use crate::plan::DropRule;
use crate::sys::Request;
use crate::unit::{Nanos, hash_u64};

/// Ports of services that answer any datagram, so that replies to them could loop: echo (RFC 862),
/// daytime (RFC 867), quote of the day (RFC 865), character generator (RFC 864), time (RFC 868).
const ANSWERING_PORTS: [u16; 5] = [7, 13, 17, 19, 37];

#[derive(Debug, Default)]
pub(super) struct ReplyPolicy {
    /// The port of this server.
    pub(super) port: u16,
    pub(super) dropper: Option<Dropper>,
    pub(super) queue: Option<Queue>,
    /// When the latest batch was read; only for delayed replies.
    pub(super) read_at: Nanos,
    /// The numbers of dropped, unanswered and overflowing datagrams, and the clients.
    pub(super) tally: EchoTally,
    /// Where received datagrams are counted by client; `None`: nowhere.
    pub(super) clients: Option<ClientRecorder>,
}

impl ReplyPolicy {
    /// Whether a sender at this port gets a reply; the port of this server may be that of another
    /// echo server.
    #[inline]
    fn may_answer(&self, port: u16) -> bool {
        port != 0 && port != self.port && !ANSWERING_PORTS.contains(&port)
    }
}

impl ReplyFilter for ReplyPolicy {
    #[inline]
    fn read(&mut self) {
        if self.queue.is_some() {
            self.read_at = Clock::Monotonic.now();
        }
    }

    #[inline]
    fn judge(&mut self, request: &mut Request<'_>) -> Option<usize> {
        if let Some(from) = request.from {
            self.tally.clients.note(from);
        }
        if let Some(clients) = &mut self.clients {
            let count = datagrams(request.payload.len(), request.segment);
            clients.count(request.from.map(|from| from.ip()), count);
        }
        if !request.from.is_some_and(|from| self.may_answer(from.port())) {
            self.tally.unanswered += datagrams(request.payload.len(), request.segment);
            return None;
        }
        let len = match &mut self.dropper {
            None => request.payload.len(),
            Some(dropper) => dropper.remove_dropped(request, &mut self.tally.dropped)?,
        };
        let Some(queue) = &mut self.queue else { return Some(len) };
        if !queue.push(request, len, self.read_at) {
            self.tally.overflow += datagrams(len, request.segment);
        }
        None
    }
}

#[inline]
fn datagrams(len: usize, segment: usize) -> u64 {
    len.div_ceil(segment).max(1) as u64
}

#[derive(Debug)]
pub(super) struct Dropper {
    rule: DropRule,
    count: u64,
    random: Rng,
}

impl Dropper {
    pub(super) const fn new(rule: DropRule, seed: u64) -> Self {
        Self { rule, count: 0, random: Rng::with_seed(hash_u64(seed)) }
    }

    #[inline]
    fn drops(&mut self) -> bool {
        match self.rule {
            DropRule::Every(every) => {
                self.count += 1;
                self.count.is_multiple_of(every)
            }
            DropRule::Share(share) => self.random.f64() < share,
        }
    }

    /// Removes dropped segments; returns the bytes left, `None` if none.
    #[inline]
    fn remove_dropped(&mut self, request: &mut Request<'_>, dropped: &mut u64) -> Option<usize> {
        let (payload, segment) = (&mut *request.payload, request.segment);
        let len = payload.len();
        if len <= segment {
            let drops = self.drops();
            *dropped += u64::from(drops);
            return (!drops).then_some(len);
        }
        let mut sent = 0;
        for from in (0..len).step_by(segment) {
            let to = len.min(from + segment);
            if self.drops() {
                *dropped += 1;
                continue;
            }
            if sent < from {
                payload.copy_within(from..to, sent);
            }
            sent += to - from;
        }
        (sent > 0).then_some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn request(payload: &mut [u8], segment: usize, port: u16) -> Request<'_> {
        let from = Some(SocketAddr::from(([192, 0, 2, 1], port)));
        Request {
            payload,
            segment,
            truncated: false,
            from,
            local: None,
            to_many: false,
            group: None,
        }
    }

    #[test]
    fn ports_that_might_answer_get_no_reply() {
        let mut policy = ReplyPolicy { port: 7_788, ..ReplyPolicy::default() };
        for port in [0, 7, 13, 17, 19, 37, 7_788] {
            assert_eq!(policy.judge(&mut request(&mut [1; 10], 4, port)), None, "{port}");
        }
        assert_eq!(policy.tally.unanswered, 7 * 3);
        for port in [1, 53, 7_787, 65_535] {
            assert_eq!(policy.judge(&mut request(&mut [1; 10], 4, port)), Some(10), "{port}");
        }
        assert_eq!(policy.judge(&mut request(&mut [], 1, 9)), Some(0), "an empty one, too");
        let mut nameless = Request { from: None, ..request(&mut [], 1, 9) };
        assert_eq!(policy.judge(&mut nameless), None);
    }

    #[test]
    fn drops_about_the_requested_share() {
        let mut dropper = Dropper::new(DropRule::Share(0.1), 1);
        let dropped = (0..100_000).filter(|_| dropper.drops()).count();
        // Ten standard deviations (√(n·p·q) = 95).
        assert!(dropped.abs_diff(10_000) < 950, "{dropped}");
    }
}
