//! QUIC as far as servers answer without a connection: Version Negotiation (RFC 8999 §6) and Retry
//! (RFC 9000 §8.1.2). Packets are not protected: servers answer before they decrypt anything.

use super::{Number, Per, Piece, What};
use crate::unit::{hash_nth, hash_u64};

/// A version that no server has: one of those that are reserved for this purpose; RFC 9000 §15.
pub(super) const RESERVED: [u8; 4] = [0x1A, 0x2A, 0x3A, 0x4A];
/// Version 1; RFC 9000 §15.
pub(super) const VERSION_1: [u8; 4] = [0, 0, 0, 1];
/// A long header with the fixed bit, as an Initial has it; RFC 9000 §17.2.
const FIRST: u8 = 0xC0;
/// Bytes of a datagram, below which servers need not answer; RFC 9000 §14.1.
const SIZE: usize = 1_200;
/// Bytes of both connection ids. Arbitrary; the minimum of an Initial's destination, RFC 9000 §7.2.
const CID_LEN: u8 = 8;
/// Offsets of the connection ids, after the length of each, and of versions; RFC 8999 §5.1 and §6.
const DCID_AT: usize = 6;
const SCID_AT: usize = DCID_AT + CID_LEN as usize + 1;
const VERSIONS_AT: usize = SCID_AT + CID_LEN as usize;
/// The bit of a long header; RFC 8999 §5.1.
const LONG: u8 = 0x80;
/// The bits of the form, the fixed bit and the type of packets, and those of Retry; RFC 9000
/// §17.2.5.
const FORM: u8 = 0xF0;
const RETRY: u8 = 0xF0;
/// Bytes of the longest connection id, and of the tag that ends a Retry; RFC 9000 §17.2, §17.2.5.
const LONGEST_CID: usize = 20;
const TAG_LEN: usize = 16;
/// The error that a server answers with its versions, which lack that of the request.
pub(super) const RETRY_ERROR: &str = "version negotiation";

/// Datagrams that look like an Initial of this version, each to another destination.
pub(super) fn request(version: [u8; 4], seed: u64) -> Vec<Piece> {
    let head = [&[FIRST], &version[..], &[CID_LEN]].concat();
    // No token; then the length of what follows, in two bytes (RFC 9000 §16), and random bytes.
    let rest = SIZE - VERSIONS_AT - 3;
    let [high, low] = (rest as u16 | 0x4000).to_be_bytes();
    let noise = (0..).flat_map(|at| hash_nth(hash_u64(!seed), at).to_be_bytes());
    let tail = [0, high, low].into_iter().chain(noise.take(rest)).collect();
    let cid = Number::Be(CID_LEN);
    let pieces = [
        Piece::Bytes(head),
        Piece::Field(What::Random { key: hash_u64(seed), number: cid, per: Per::Request }),
        Piece::Bytes([CID_LEN].into()),
        Piece::Field(What::Id(cid)),
        Piece::Bytes(tail),
    ];
    pieces.into()
}

/// The id of a reply: the client's source connection id, which is the destination's there.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let head = reply.first_chunk::<VERSIONS_AT>()?;
    let is_negotiation = head[0] & LONG != 0 && head[1..5] == [0; 4];
    let has_ids = head[DCID_AT - 1] == CID_LEN && head[SCID_AT - 1] == CID_LEN;
    if is_negotiation && has_ids { Number::Be(CID_LEN).read(head, DCID_AT) } else { None }
}

/// Whether a reply has the connection ids of a request, exchanged, and names a version.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    let (dcid, scid) = (DCID_AT..SCID_AT - 1, SCID_AT..VERSIONS_AT);
    let versions = reply.get(VERSIONS_AT..).unwrap_or_default();
    id(reply).is_some()
        && !versions.is_empty()
        && versions.len().is_multiple_of(4)
        && request.get(scid.clone()) == reply.get(dcid.clone())
        && request.get(dcid) == reply.get(scid)
}

/// The id of a Retry, or of Version Negotiation instead of it.
#[inline]
pub(super) fn retry_id(reply: &[u8]) -> Option<u64> {
    let Some((_, token)) = source_and_token(reply) else { return id(reply) };
    let is_ours = !token.is_empty() && reply.get(DCID_AT - 1) == Some(&CID_LEN);
    if is_ours { Number::Be(CID_LEN).read(reply, DCID_AT) } else { None }
}

/// Whether a reply has the connection id of a request, and a Retry one of its own besides (RFC 9000
/// §17.2.5.1). The tag is not verified.
#[inline]
pub(super) fn retries(request: &[u8], reply: &[u8]) -> bool {
    let (dcid, scid) = (DCID_AT..SCID_AT - 1, SCID_AT..VERSIONS_AT);
    match source_and_token(reply) {
        Some((source, _)) => {
            retry_id(reply).is_some()
                && request.get(scid) == reply.get(dcid.clone())
                && request.get(dcid) != Some(source)
        }
        None => answers(request, reply),
    }
}

/// Whether a reply is no Retry.
#[inline]
pub(super) fn retry_code(reply: &[u8]) -> Option<u16> {
    source_and_token(reply).is_none().then_some(0)
}

/// The server's connection id and the token of a Retry; RFC 9000 §17.2.5.
#[inline]
fn source_and_token(reply: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_retry = reply.first()? & FORM == RETRY && reply.get(1..5)? == VERSION_1;
    let (len, rest) = reply.get(SCID_AT - 1..)?.split_first()?;
    let len = usize::from(*len);
    let (source, rest) = rest.split_at_checked(len).filter(|_| is_retry && len <= LONGEST_CID)?;
    Some((source, rest.get(..rest.len().checked_sub(TAG_LEN)?)?))
}
