//! Gets of memcached over UDP: its protocol.txt, "UDP protocol".

use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::What;
use crate::payload::reply::memcached::{END_OF_LINE, GET};
use crate::payload::template::{self, TemplateBody};
use crate::payload::{Encoding, PayloadError};

/// The longest key in bytes; memcached's protocol.txt, "Keys".
const LONGEST_KEY: usize = 250;
/// Frame header behind the request id: number 0 of 1 datagram, and what is reserved.
const FRAME: [u8; 6] = [0, 0, 0, 1, 0, 0];

/// Gets of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memcached {
    /// The key; it may have fields: `user{counter:dec6}`.
    pub key: String,
}

impl Memcached {
    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        let key = template::parse(self.key.as_bytes(), TemplateBody::Text(Encoding::UTF_8), seed)?;
        let (mut len, mut is_sound) = (0, true);
        let mut literal = |bytes: &[u8]| {
            is_sound &= !bytes.iter().any(|byte| *byte <= b' ' || *byte == 0x7F);
            bytes.len()
        };
        for piece in &key {
            len += match piece {
                Piece::Bytes(bytes) => literal(bytes),
                Piece::Choice(words) => words.iter().map(|word| literal(word)).max().unwrap_or(0),
                Piece::Field(what) => what.width(),
            };
        }
        let is_text =
            key.iter().all(|piece| !matches!(piece, Piece::Field(what) if !what.is_text()));
        if !is_sound || !is_text || !(1..=LONGEST_KEY).contains(&len) {
            return Err(PayloadError::Key { key: self.key.clone(), most: LONGEST_KEY });
        }
        let mut pieces = vec![Piece::Field(What::Id(Number::Be(2))), Piece::Bytes(FRAME.to_vec())];
        pieces.push(Piece::Bytes(GET.to_vec()));
        pieces.extend(key);
        pieces.push(Piece::Bytes(END_OF_LINE.to_vec()));
        to.line(&pieces)
    }
}
