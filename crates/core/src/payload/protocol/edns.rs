//! Options of EDNS (RFC 6891 §6.1.2): client subnets (RFC 7871), cookies (RFC 7873), and any other.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::PayloadError;
use crate::payload::hex;
use crate::payload::lines::lines_of;
use crate::payload::patch::{Entries, What};
use crate::unit::hash_u64;

/// Codes of IANA's registry "DNS EDNS0 Option Codes (OPT)".
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
/// Bytes of a client cookie, of the longest server cookie, and of both; RFC 7873 §4.
pub const CLIENT_COOKIE_LEN: usize = 8;
pub(super) const LONGEST_SERVER_COOKIE: usize = 32;
const COOKIE_LENS: [std::ops::RangeInclusive<usize>; 2] = [8..=8, 16..=40];
/// Bytes of an option before its data; RFC 6891 §6.1.2.
pub(super) const OPTION_LEN: usize = 4;
/// Bytes of the record OPT before its data: the root's name and RFC 1035's `RECORD_LEN`.
pub(super) const OPT_LEN: usize = 11;
/// The most bytes of the data of OPT, whose length has 16 bits; RFC 1035 §4.1.3.
const MAX_DATA: usize = 65_535;

/// A client subnet, such as `10.1.0.0/16`; bits beyond the prefix are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    bits: u8,
}

impl Subnet {
    /// The data of its option: family, length of the prefix, scope 0, and as many bytes of the
    /// address as the prefix needs; RFC 7871 §6.
    fn data(self) -> Vec<u8> {
        let (family, mut address) = match self.address {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        address.truncate(usize::from(self.bits).div_ceil(8));
        if let (Some(last), rest @ 1..) = (address.last_mut(), self.bits % 8) {
            *last &= u8::MAX << (8 - rest);
        }
        [&[0, family, self.bits, 0][..], &address].concat()
    }
}

impl FromStr for Subnet {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let (address, bits) =
            word.split_once('/').map_or((word, None), |(ip, bits)| (ip, Some(bits)));
        let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok());
            Some(Self { address, bits: bits.filter(|bits| *bits <= most)? })
        });
        parsed.ok_or_else(|| PayloadError::Subnet { requested: word.to_owned() })
    }
}

/// Options that all queries have, and their client subnets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdnsOptions {
    /// Codes of options so far.
    codes: Vec<u16>,
    /// These options, encoded, but for the client subnet.
    encoded: Vec<u8>,
    /// Data of the option of client subnets.
    subnets: Option<Entries>,
    /// Whether subnets are drawn at random.
    is_random: bool,
    /// Whether there is only a client cookie.
    keeps_cookies: bool,
    shown: Vec<String>,
}

impl EdnsOptions {
    /// Adds an option, as `CODE:HEX`; the data may be empty.
    // cold: set-up
    pub fn add(&mut self, word: &str) -> Result<(), PayloadError> {
        let parsed = word
            .split_once(':')
            .and_then(|(code, digits)| Some((code.parse().ok()?, hex::parse(digits).ok()?)));
        let invalid = || PayloadError::EdnsOption { requested: word.to_owned() };
        let (code, data): (u16, _) = parsed.ok_or_else(invalid)?;
        self.put(code, &data)?;
        self.shown.push(format!("option {code}:{}", hex::show(&data).replace(' ', "")));
        Ok(())
    }

    /// Adds a cookie: of a client, which gets the part of the server as replies have it, or as a
    /// server has completed it.
    pub fn add_cookie(&mut self, cookie: &[u8]) -> Result<(), PayloadError> {
        if !COOKIE_LENS.iter().any(|lens| lens.contains(&cookie.len())) {
            return Err(PayloadError::Cookie { bytes: cookie.len() });
        }
        self.put(COOKIE, cookie)?;
        self.keeps_cookies = cookie.len() == CLIENT_COOKIE_LEN;
        // A new one in each run.
        self.shown.push("a cookie".to_owned());
        Ok(())
    }

    /// Adds this client subnet.
    // cold: set-up
    pub fn add_subnet(&mut self, subnet: Subnet) -> Result<(), PayloadError> {
        self.shown.push(format!("subnet {}/{}", subnet.address, subnet.bits));
        self.put(SUBNET, &subnet.data())
    }

    /// Adds the client subnets of a file, one per line, in turns or drawn at random. Empty lines,
    /// and those that begin with `;` or `#`, are skipped.
    // cold: set-up
    pub fn add_subnets(&mut self, file: &[u8], is_random: bool) -> Result<(), PayloadError> {
        let (mut bytes, mut len) = (Vec::new(), None);
        for (line, number, _) in lines_of(file) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b";") || line.starts_with(b"#") {
                continue;
            }
            let subnet: Subnet = String::from_utf8_lossy(line)
                .parse()
                .map_err(|error: PayloadError| error.in_line(number))?;
            let data = subnet.data();
            let first = *len.get_or_insert(data.len());
            if data.len() != first {
                let [here, first] = [data.len(), first].map(|len| len - OPTION_LEN);
                return Err(PayloadError::SubnetLen { here, first }.in_line(number));
            }
            bytes.extend(data);
        }
        let width = len.ok_or(PayloadError::NoSubnets)?;
        self.only_once(SUBNET)?;
        let sum = crc32fast::hash(&bytes);
        self.shown.push(format!("{} subnets, CRC {sum:08x}", bytes.len() / width));
        (self.subnets, self.is_random) = (Some(Entries::new(bytes, width)), is_random);
        Ok(())
    }

    fn only_once(&mut self, code: u16) -> Result<(), PayloadError> {
        if self.codes.contains(&code) {
            return Err(PayloadError::OptionTwice { code });
        }
        self.codes.push(code);
        Ok(())
    }

    fn put(&mut self, code: u16, data: &[u8]) -> Result<(), PayloadError> {
        self.only_once(code)?;
        self.encoded.extend(encoded(code, data.len()));
        self.encoded.extend(data);
        if self.encoded.len() > MAX_DATA {
            return Err(PayloadError::TooLong { bytes: self.encoded.len() });
        }
        Ok(())
    }

    /// The most bytes that a server adds to the cookie; 0 if it is not sent back.
    pub(super) const fn longest_server_cookie(&self) -> usize {
        if self.keeps_cookies { LONGEST_SERVER_COOKIE } else { 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The data of OPT with its length before it, and the field that follows it. A subnet of a line
    /// replaces that of all lines.
    pub(super) fn record(&self, of_line: Option<Subnet>, seed: u64) -> (Vec<u8>, Option<What>) {
        let mut data = self.encoded.clone();
        if let Some(subnet) = of_line {
            let subnet = subnet.data();
            data = without(&data, SUBNET);
            data.extend(encoded(SUBNET, subnet.len()));
            data.extend(subnet);
        }
        let key = self.is_random.then(|| hash_u64(!seed));
        let field = self.subnets.filter(|_| of_line.is_none());
        let field = field.map(|entries| What::Entry { entries, key });
        let width = field.map_or(0, What::width);
        if field.is_some() {
            data.extend(encoded(SUBNET, width));
        }
        let len = (data.len() + width) as u16;
        ([&len.to_be_bytes()[..], &data].concat(), field)
    }
}

impl fmt::Display for EdnsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.iter().try_for_each(|text| write!(f, ", {text}"))
    }
}

/// Code and length of an option.
fn encoded(code: u16, len: usize) -> [u8; OPTION_LEN] {
    let ([a, b], [c, d]) = (code.to_be_bytes(), (len as u16).to_be_bytes());
    [a, b, c, d]
}

/// The options but those of this code.
fn without(data: &[u8], code: u16) -> Vec<u8> {
    let kept = options(data).filter(|(found, _)| *found != code);
    kept.flat_map(|(code, data)| [&encoded(code, data.len())[..], data].concat()).collect()
}

fn options(mut data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *data.first_chunk()?;
        let end = OPTION_LEN + usize::from(u16::from_be_bytes([c, d]));
        let found = data.get(OPTION_LEN..end)?;
        data = &data[end..];
        Some((u16::from_be_bytes([a, b]), found))
    })
}

/// The cookie among the options of OPT.
#[inline]
pub(super) fn cookie(data: &[u8]) -> Option<&[u8]> {
    options(data).find(|(code, _)| *code == COOKIE).map(|(_, data)| data)
}

/// The place of its option among them.
#[inline]
pub(super) fn cookie_at(data: &[u8]) -> Option<usize> {
    let before = options(data).take_while(|(code, _)| *code != COOKIE);
    let at = before.map(|(_, data)| OPTION_LEN + data.len()).sum();
    (at < data.len()).then_some(at)
}

/// Whether the data of a reply's OPT repeats the client cookie of a request whose OPT is at
/// `opt_at`. A reply without a cookie does not contradict it (RFC 7873 §5.3).
#[inline]
pub(super) fn repeats_cookie<'a>(
    request: &[u8],
    opt_at: usize,
    reply: impl FnOnce() -> Option<&'a [u8]>,
) -> bool {
    // Most requests have no options.
    let Some(ours) = request.get(opt_at + OPT_LEN..).filter(|data| !data.is_empty()) else {
        return true;
    };
    let Some(ours) = cookie(ours) else { return true };
    let Some(theirs) = reply().and_then(cookie) else { return true };
    ours.get(..CLIENT_COOKIE_LEN) == theirs.get(..CLIENT_COOKIE_LEN)
}
