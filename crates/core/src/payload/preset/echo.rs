//! Datagrams for servers that return what they get.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::What;
use crate::payload::requests::IdAt;
use crate::unit::{MAX_PAYLOAD, hash_nth};

/// The place of the id. Arbitrary: at the front, as any size has it.
pub(super) const ID: IdAt = IdAt { offset: 0, number: Number::Be(8) };
/// Bytes at least: the id, and as many again that a server cannot guess. Arbitrary; as our own
/// datagrams.
const LEAST: usize = 16;

/// Datagrams of one size: an id in 8 bytes, and noise from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Bytes of a datagram, 16 to 65,507.
    pub size: usize,
}

impl Echo {
    pub(super) fn compile(self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        let (asked, most) = (self.size, MAX_PAYLOAD);
        if !(LEAST..=most).contains(&asked) {
            return Err(PayloadError::Size { what: "an echo", asked, least: LEAST, most });
        }
        let words = (0..).flat_map(|at| hash_nth(seed, at).to_be_bytes());
        let noise = words.take(asked - ID.number.width()).collect();
        to.line(&[Piece::Field(What::Id(ID.number)), Piece::Bytes(noise)])
    }
}
