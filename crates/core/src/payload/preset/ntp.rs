//! Requests of NTP clients, RFC 5905.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::What;
use crate::payload::reply::ntp::{HEADER_LEN, TRANSMIT_AT};

/// No leap indicator, version 4, mode 3 (client); RFC 5905 §7.3.
const FIRST: u8 = 4 << 3 | 3;

/// All bytes but the first are 0 up to the transmit timestamp, which a server returns.
pub(super) fn compile(to: &mut Compiler) -> Result<(), PayloadError> {
    let mut head = vec![0; TRANSMIT_AT];
    head[0] = FIRST;
    let id = Number::Be((HEADER_LEN - TRANSMIT_AT) as u8);
    to.line(&[Piece::Bytes(head), Piece::Field(What::Id(id))])
}
