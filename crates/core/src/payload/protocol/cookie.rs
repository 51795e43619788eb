//! The cookie in a reply of a DNS server, RFC 7873: a client sends back the latest one.

use super::dns::{HEADER_LEN, KIND_LEN, name_end, opt_data};
use super::edns::{
    CLIENT_COOKIE_LEN, LONGEST_SERVER_COOKIE, OPT_LEN, OPTION_LEN, cookie, cookie_at,
};

/// Bytes of a server cookie; RFC 7873 §4.
const LENS: std::ops::RangeInclusive<usize> = 8..=LONGEST_SERVER_COOKIE;
/// Bytes of a length, and their places: before the data of OPT (RFC 1035 §4.1.3), and in an option
/// (RFC 6891 §6.1.2).
const LEN_LEN: usize = 2;

/// A server cookie, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerCookie {
    len: u8,
    bytes: [u8; LONGEST_SERVER_COOKIE],
}

impl ServerCookie {
    /// The server cookie of a reply.
    #[inline]
    pub fn of(reply: &[u8]) -> Option<Self> {
        let part = cookie(opt_data(reply)?)?.get(CLIENT_COOKIE_LEN..)?;
        if !LENS.contains(&part.len()) {
            return None;
        }
        let mut found = Self { len: part.len() as u8, ..Self::default() };
        found.bytes[..part.len()].copy_from_slice(part);
        Some(found)
    }

    /// Adds it to the client cookie in the query of `len` bytes in `slot`; returns the new
    /// length.
    #[inline]
    pub fn add_to(&self, slot: &mut [u8], len: usize) -> usize {
        if self.len == 0 { len } else { self.insert(slot, len).unwrap_or(len) }
    }

    #[inline]
    fn insert(&self, slot: &mut [u8], len: usize) -> Option<usize> {
        let part = self.bytes.get(..self.len.into())?;
        let opt_at = name_end(slot.get(..len)?, HEADER_LEN)? + KIND_LEN;
        let options_at = opt_at + OPT_LEN;
        let option_at = options_at + cookie_at(slot.get(options_at..len)?)?;
        let at = option_at + OPTION_LEN + CLIENT_COOKIE_LEN;
        let end = len + part.len();
        slot.get_mut(..end)?.copy_within(at..len, at + part.len());
        slot.get_mut(at..at + part.len())?.copy_from_slice(part);
        for after in [options_at, option_at + OPTION_LEN] {
            let place = slot.get_mut(after - LEN_LEN..)?.first_chunk_mut()?;
            *place = (u16::from_be_bytes(*place) + u16::from(self.len)).to_be_bytes();
        }
        Some(end)
    }
}
