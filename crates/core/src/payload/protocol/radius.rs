//! Status-Server of RADIUS, RFC 5997, which has no effect and needs no user.

use hmac::digest::Digest;
use md5::Md5;

use super::{Number, PayloadError, Per, Piece, What};
use crate::unit::hash_u64;

/// Codes: the request, and the responses of an authentication and an accounting port; RFC 2865
/// section 3 and RFC 5997 section 3.
const STATUS_SERVER: u8 = 12;
const RESPONSES: [u8; 2] = [2, 5];
/// Bytes of the header, and the places of the length and of the authenticator; RFC 2865 section 3.
const HEADER_LEN: usize = 20;
const LEN_AT: usize = 2;
const AUTHENTICATOR_AT: usize = 4;
/// Bytes of the attribute Message-Authenticator; RFC 3579 section 3.2.
const LEN: u8 = HEADER_LEN as u8 + super::AUTHENTICATOR_LEN as u8;
/// Bytes of the longest secret. Arbitrary.
const LONGEST_SECRET: usize = 255;

/// A request with its id in 8 bits, a random authenticator, and a Message-Authenticator.
// cold: set-up
pub(super) fn request(secret: &str, seed: u64) -> Result<Vec<Piece>, PayloadError> {
    let requested = secret.len();
    if !(1..=LONGEST_SECRET).contains(&requested) {
        let (what, least, most) = ("a secret", 1, LONGEST_SECRET);
        return Err(PayloadError::Size { what, requested, least, most });
    }
    let random = |key| Piece::Field(What::Random { key, number: Number::Be(8), per: Per::Request });
    let pieces = [
        Piece::Bytes([STATUS_SERVER].into()),
        Piece::Field(What::Id(Number::Be(1))),
        Piece::Bytes([0, LEN].into()),
        random(hash_u64(seed)),
        random(hash_u64(!seed)),
        Piece::Field(What::MessageAuthenticator),
    ];
    Ok(pieces.into())
}

/// The id of a response whose length is right; RFC 2865 section 3 has bytes behind it ignored.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let len = Number::Be(2).read(header, LEN_AT)? as usize;
    let is_whole = (HEADER_LEN..=reply.len()).contains(&len);
    (RESPONSES.contains(&header[0]) && is_whole).then_some(header[1].into())
}

/// Whether a response has the authenticator that only this request and the secret yield: MD5 of
/// the response with the request's authenticator, and of the secret; RFC 2865 section 3.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8], secret: &[u8]) -> bool {
    let is_asked = id(reply).is_some_and(|id| request.get(1).copied().map(u64::from) == Some(id));
    let len = Number::Be(2).read(reply, LEN_AT).unwrap_or(0) as usize;
    let (true, Some(reply), Some(asked)) =
        (is_asked, reply.get(..len), request.get(AUTHENTICATOR_AT..HEADER_LEN))
    else {
        return false;
    };
    let mut sum = Md5::new();
    sum.update(&reply[..AUTHENTICATOR_AT]);
    sum.update(asked);
    sum.update(&reply[HEADER_LEN..]);
    sum.update(secret);
    sum.finalize()[..] == reply[AUTHENTICATOR_AT..HEADER_LEN]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_authenticated_by_request_and_secret() {
        // The example of RFC 5997 section 6.1.
        let request =
            b"\x0c\xda\x00\x26\x8a\x54\xf4\x68\x6f\xb3\x94\xc5\x28\x66\xe3\x02\x18\x5d\x06\x23";
        let reply =
            *b"\x02\xda\x00\x14\xef\x0d\x55\x2a\x4b\xf2\xd6\x93\xec\x2b\x6f\xe8\xb5\x41\x1d\x66";
        let secret = b"xyzzy5461";
        assert_eq!(id(&reply), Some(0xDA));
        assert!(answers(request, &reply, secret) && !answers(request, &reply, b"other"));
        assert!(answers(request, &[&reply[..], b"padding"].concat(), secret));
        for bit in 0..8 * reply.len() {
            let mut other = reply;
            other[bit / 8] ^= 1 << (bit % 8);
            let is_reply = id(&other) == Some(0xDA) && answers(request, &other, secret);
            assert!(!is_reply, "bit {bit}");
        }
        assert_eq!([id(&reply[..19]), id(request)], [None; 2]);
    }
}
