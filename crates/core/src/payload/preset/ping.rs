//! Datagrams of `udperf ping`: echoes that a sink of ours answers, too.
//!
//! Behind the id stand eight bytes that say so. A sink turns the last of them and sends the rest
//! back as it is: no more bytes than it got, and nothing that another sink would answer again.

use super::echo;
use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::patch::What;
use crate::unit::{MAX_PAYLOAD, hash_nth};

/// What a ping says of itself; arbitrary.
const ASKS: [u8; 8] = *b"udperf:?";

/// The last byte of that in an answer; arbitrary.
const ANSWERED: u8 = b'!';

/// Where it stands: behind the id.
const AT: usize = 8;

/// Its last byte.
pub(in crate::payload) const TURNED: usize = AT + ASKS.len() - 1;

/// Bytes at least: the id and the words.
const LEAST: usize = AT + ASKS.len();

/// Pings of one size: an id, what they are, and noise that the seed makes.
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

/// Makes a ping its own answer; false, and nothing done, where it is none.
#[must_use]
pub fn answer_ping(datagram: &mut [u8]) -> bool {
    let is_ping = datagram.get(AT..LEAST) == Some(&ASKS[..]);
    if is_ping {
        datagram[TURNED] = ANSWERED;
    }
    is_ping
}

/// Whether this is the byte of an answer, from a sink or from whoever returns all as it is.
pub(in crate::payload) fn is_turned(byte: u8) -> bool {
    byte == ANSWERED || byte == ASKS[ASKS.len() - 1]
}
