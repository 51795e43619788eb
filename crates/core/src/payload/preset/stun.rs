//! Binding requests of STUN, RFC 8489.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::{FINGERPRINT_LEN, What};
use crate::payload::reply::stun::{COOKIE, HEADER_LEN, ID_AT};
use crate::unit::hash_u64;

/// Binding requests without attributes, but for the one here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stun {
    /// End each request by the attribute FINGERPRINT, RFC 8489 §14.7.
    pub fingerprint: bool,
}

impl Stun {
    pub(super) fn compile(self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        let attributes = if self.fingerprint { FINGERPRINT_LEN as u8 } else { 0 };
        let mut head = vec![0, 1, 0, attributes];
        head.extend(COOKIE);
        // The transaction id has 4 bytes more than an id of ours.
        head.extend((hash_u64(seed) as u32).to_be_bytes());
        let id = Number::Be((HEADER_LEN - ID_AT) as u8);
        let mut pieces = vec![Piece::Bytes(head), Piece::Field(What::Id(id))];
        if self.fingerprint {
            pieces.push(Piece::Field(What::Fingerprint));
        }
        to.line(&pieces)
    }
}
