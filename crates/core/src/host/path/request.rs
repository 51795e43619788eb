//! Requests of a protocol, to see whether the target serves it.

use crate::payload::{Matching, Requests};

/// A request that a server of a protocol answers, and that only reads.
#[derive(Debug, Clone)]
pub struct PathRequest {
    /// The preset, such as `dns`.
    pub protocol: String,
    /// The compiled request.
    pub requests: Requests,
    /// How its replies are recognised.
    pub matching: Matching,
}

impl PathRequest {
    /// The id of datagram `number`, as wide as requests have it.
    pub(super) fn id(&self, first_id: u64, number: usize) -> u64 {
        first_id.wrapping_add(number as u64) & self.requests.id_mask()
    }

    /// Whether this is a reply to request `n` with this id and time since 1970.
    pub(super) fn is_answered_by(
        &self,
        reply: &[u8],
        (n, id, now_ns): (u64, u64, u64),
        scratch: &mut [u8],
    ) -> bool {
        self.matching.id_of(reply) == Some(id)
            && self.matching.answers(&self.requests, n, id, now_ns, reply, scratch)
    }
}
