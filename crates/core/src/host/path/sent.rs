//! The datagrams that were sent, and their round-trip times.

use crate::document::PathRtt;
use crate::unit::Nanos;

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) len: usize,
    pub(super) at: Nanos,
    pub(super) rtt: Option<Nanos>,
    /// The time since 1970 in a request of the protocol; pings have none.
    pub(super) request_ns: Option<u64>,
}

impl Sent {
    /// Whether it is a request of the protocol, and was answered.
    pub(super) const fn is_answer(&self) -> bool {
        self.request_ns.is_some() && self.rtt.is_some()
    }
}

/// Round-trip times of requests if any was answered, else of the first `pings` of this length.
pub(super) fn rtt(sent: &[Sent], pings: usize, ping_len: usize) -> Option<PathRtt> {
    let of_protocol = sent.iter().any(Sent::is_answer);
    let counted = sent.iter().filter(|one| one.request_ns.is_some() == of_protocol);
    let is_ping = |one: &&Sent| of_protocol || one.len == ping_len;
    let counted: Vec<_> = counted.take(pings).filter(is_ping).collect();
    let mut all: Vec<_> = counted.iter().filter_map(|one| one.rtt).collect();
    all.sort_unstable();
    Some(PathRtt {
        sent: counted.len() as u64,
        answered: all.len() as u64,
        min_ns: all.first()?.0,
        p50_ns: all[(all.len() - 1) / 2].0,
        max_ns: all.last()?.0,
    })
}
