//! NTP, RFC 5905.

use super::{Number, Piece, What};

/// Bytes of the header, and offsets of the transmit and origin timestamps; RFC 5905 §7.3.
const HEADER_LEN: usize = 48;
pub(super) const TRANSMIT_AT: usize = 40;
const ORIGIN_AT: usize = 24;
/// The first byte of a request: version 4, mode 3; and the mode of a server; RFC 5905 §7.3.
const CLIENT: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;

/// Kiss codes, as the registry of RFC 5905 §7.4 and RFC 8915 §5.7 has them.
const KISSES: [&[u8; 4]; 15] = [
    b"ACST", b"AUTH", b"AUTO", b"BCST", b"CRYP", b"DENY", b"DROP", b"RSTR", b"INIT", b"MCST",
    b"NKEY", b"NTSN", b"RATE", b"RMOT", b"STEP",
];
/// The code of a server that does not know the time (arbitrary), and its stratum (RFC 5905 §7.3).
const UNSYNCHRONISED: u16 = 100;
const STRATUM_MAX: u8 = 16;

pub(super) fn request() -> Vec<Piece> {
    let head = [&[CLIENT], &[0; TRANSMIT_AT - 1][..]].concat();
    [Piece::Bytes(head), Piece::Field(What::Id(Number::Be(8)))].into()
}

/// The id of a reply, which is returned as the origin timestamp.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>().filter(|header| header[0] & 7 == SERVER)?;
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
        // 0: a kiss that is not registered.
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
