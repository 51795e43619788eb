//! QUIC Version Negotiation, RFC 8999 §6.

use crate::payload::number::Number;

/// Bytes of both connection ids. Arbitrary; the minimum of an Initial's destination, RFC 9000 §7.2.
pub(crate) const CID_LEN: u8 = 8;
/// Where the bytes of the destination connection id begin; RFC 8999 §5.1.
pub(crate) const DCID_AT: usize = 6;
/// Where the bytes of the source connection id begin, behind the length of each; RFC 8999 §5.1.
pub(crate) const SCID_AT: usize = DCID_AT + CID_LEN as usize + 1;
/// Where the versions begin; RFC 8999 §6.
const VERSIONS_AT: usize = SCID_AT + CID_LEN as usize;
/// The bit of a long header; RFC 8999 §5.1.
const LONG: u8 = 0x80;

/// The id of a reply, which was our source connection id and is its destination's.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let head = reply.first_chunk::<VERSIONS_AT>()?;
    let is_negotiation = head[0] & LONG != 0 && head[1..5] == [0; 4];
    if !is_negotiation || head[DCID_AT - 1] != CID_LEN || head[SCID_AT - 1] != CID_LEN {
        return None;
    }
    Number::Be(CID_LEN).read(head, DCID_AT)
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
