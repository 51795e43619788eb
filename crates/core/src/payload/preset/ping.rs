//! Datagrams of `udperf ping`: echoes that a udperf sink answers, too.
//!
//! Behind the id stand eight bytes that identify them. A sink changes the last of them and returns
//! the rest as it is, so that an answer is never longer, nor answered by another sink.

use super::echo;
use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::patch::What;
use crate::unit::{MAX_PAYLOAD, hash_nth};

/// The identification of a ping; arbitrary.
const ASKS: [u8; 8] = *b"udperf:?";
/// Its last byte in an answer; arbitrary.
const ANSWERED: u8 = b'!';
/// Its offset: behind the id.
const AT: usize = 8;
/// The offset of its last byte.
pub(in crate::payload) const TURNED: usize = AT + ASKS.len() - 1;
/// Bytes at least: id and identification.
const LEAST: usize = AT + ASKS.len();

/// Pings of one size: an id, the identification, and noise from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Bytes of a datagram, 16 to 65,507.
    pub size: usize,
}

impl Ping {
    pub(super) fn compile(self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        let (asked, most) = (self.size, MAX_PAYLOAD);
        if !(LEAST..=most).contains(&asked) {
            return Err(PayloadError::Size { what: "a ping", asked, least: LEAST, most });
        }
        let words = (0..).flat_map(|at| hash_nth(seed, at).to_be_bytes());
        let rest = ASKS.into_iter().chain(words).take(asked - AT).collect();
        to.line(&[Piece::Field(What::Id(echo::ID.number)), Piece::Bytes(rest)])
    }
}

/// Turns a ping into its answer; anything else is unchanged, and returns false.
#[must_use]
pub fn answer_ping(datagram: &mut [u8]) -> bool {
    let is_ping = datagram.get(AT..LEAST) == Some(&ASKS[..]);
    if is_ping {
        datagram[TURNED] = ANSWERED;
    }
    is_ping
}

/// Whether this byte is that of an answer, from a sink or from a plain echo server.
pub(in crate::payload) fn is_turned(byte: u8) -> bool {
    byte == ANSWERED || byte == ASKS[ASKS.len() - 1]
}
