//! Replies of NTP, RFC 5905.

use crate::payload::number::Number;

/// Bytes of the header, which is all that a client needs; RFC 5905 §7.3.
pub(crate) const HEADER_LEN: usize = 48;
/// The offset of the transmit timestamp; RFC 5905 §7.3.
pub(crate) const TRANSMIT_AT: usize = 40;
/// The offset of the origin timestamp, which is the client's transmit timestamp; RFC 5905 §7.3.
const ORIGIN_AT: usize = 24;
/// Mode 4, which is a server's; RFC 5905 §7.3.
const SERVER: u8 = 4;

/// Kiss codes, as the registry of RFC 5905 §7.4 and RFC 8915 §5.7 has them.
const KISSES: [&[u8; 4]; 15] = [
    b"ACST", b"AUTH", b"AUTO", b"BCST", b"CRYP", b"DENY", b"DROP", b"RSTR", b"INIT", b"MCST",
    b"NKEY", b"NTSN", b"RATE", b"RMOT", b"STEP",
];

/// The code of a server that does not know the time, beyond those of kisses. Arbitrary.
const UNSYNCHRONISED: u16 = 100;
/// The stratum of a server that does not know the time; RFC 5905 §7.3.
const STRATUM_MAX: u8 = 16;

/// The id of a reply, which has come back as the origin timestamp.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    if header[0] & 7 != SERVER {
        return None;
    }
    Number::Be(8).read(header, ORIGIN_AT)
}

/// A kiss-o'-death, or that the server does not know the time.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let (leap, stratum) = (header[0] >> 6, header[1]);
    // Stratum 16 is 0 on the wire, and a kiss has a code in ASCII; RFC 5905 §7.3 and §7.4.
    if stratum == 0 && header[12..16] != [0; 4] {
        let kiss = KISSES.iter().zip(1..).find(|(kiss, _)| kiss[..] == header[12..16]);
        // A kiss that is not registered.
        return Some(kiss.map_or(0, |(_, code)| code));
    }
    (leap == 3 || stratum == 0 || stratum >= STRATUM_MAX).then_some(UNSYNCHRONISED)
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    if code == UNSYNCHRONISED {
        return "unsynchronised".to_owned();
    }
    let kiss = usize::from(code).checked_sub(1).and_then(|at| KISSES.get(at));
    kiss.map_or_else(|| "KISS".to_owned(), |kiss| String::from_utf8_lossy(&kiss[..]).into_owned())
}
