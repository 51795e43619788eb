//! Questions of DNS as text, as in files of dnsperf: a name in the form of RFC 1035 §5.1, a type.

/// Bytes of the longest label, and of the longest name with its empty label; RFC 1035 §2.3.4.
pub(super) const LONGEST_LABEL: usize = 63;
pub(super) const LONGEST_NAME: usize = 255;
/// Bytes in which [`encode_name`] writes. One more shows that a name is too long.
pub(super) const NAME_BUFFER_LEN: usize = LONGEST_NAME + 1;
/// The longest name as text, in bytes: each of its bytes is up to `\DDD` (RFC 1035 §5.1).
const LONGEST_TEXT: usize = 4 * LONGEST_NAME;

/// Mnemonics of IANA's registry "Resource Record (RR) TYPEs", 2026, counted from the number before
/// them. The last one is another spelling of ANY; NSAP-PTR has one more in [`number_of_type`].
const TYPES: &str = "\
    1 A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP \
    NSAP-PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL \
    DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA \
    55 HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS DSYNC HHIT BRID \
    99 SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64 128 NXNAME \
    249 TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC DOA AMTRELAY RESINFO WALLET CLA IPN \
    32768 TA DLV 255 *";
/// Types that are found at once, since files have many of them. Arbitrary.
const COMMON: [(&[u8], u16); 8] = [
    (b"A", 1),
    (b"AAAA", 28),
    (b"MX", 15),
    (b"NS", 2),
    (b"TXT", 16),
    (b"PTR", 12),
    (b"SRV", 33),
    (b"HTTPS", 65),
];

/// Names and numbers of a registry.
pub(super) fn entries(registry: &str) -> impl Iterator<Item = (&str, u16)> {
    let mut next = 0;
    registry.split(' ').filter_map(move |word| {
        let number = word.parse().ok();
        next = number.unwrap_or(next + 1);
        number.is_none().then(|| (word, next - 1))
    })
}

/// What is wrong with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuestionFault {
    EmptyName,
    Name(&'static str),
    /// The name as text has so many bytes.
    LongText(usize),
    Type,
    Subnet,
}

/// Reads a line: a name, blanks, a type or else this one; the rest is ignored. Writes the name, and
/// returns its length and the type.
#[inline]
pub(super) fn read(
    line: &[u8],
    rtype: u16,
    name: &mut [u8; NAME_BUFFER_LEN],
) -> Result<(usize, u16), QuestionFault> {
    // With a blank in front, the first word is empty, and the next one is its type.
    let (text, rest) = line.split_at(text_end(line));
    if text.is_empty() {
        return Err(QuestionFault::EmptyName);
    }
    // Checked before it is decoded, as lines have any length.
    if text.len() > LONGEST_TEXT {
        return Err(QuestionFault::LongText(text.len()));
    }
    let mut words = rest.split(u8::is_ascii_whitespace);
    let word = words.find(|word| !word.is_empty());
    let rtype = word.map_or(Some(rtype), number_of_type).ok_or(QuestionFault::Type)?;
    let len = encode_name(text, name).map_err(QuestionFault::Name)?;
    Ok((len, rtype))
}

/// Where the name at the beginning of a line ends: at the first blank without a backslash in front,
/// which would make it part of a label (RFC 1035 §5.1).
#[inline]
fn text_end(line: &[u8]) -> usize {
    let mut is_quoted = false;
    let end = line.iter().position(|byte| {
        let is_end = byte.is_ascii_whitespace() && !is_quoted;
        is_quoted = *byte == b'\\' && !is_quoted;
        is_end
    });
    end.unwrap_or(line.len())
}

/// Writes a name in the text form of RFC 1035 §5.1 (`\X`, `\DDD`, any other byte as it is) as
/// labels followed by the root, and returns its length, or what is wrong with it. The dot at the
/// end is optional.
pub(super) fn encode_name(
    text: &[u8],
    name: &mut [u8; NAME_BUFFER_LEN],
) -> Result<usize, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let mut bytes = if text == b"." { [].iter() } else { text.iter() };
    // The label that begins with its length at `start`, and its end.
    let (mut start, mut end) = (0, 1);
    while let Some(&byte) = bytes.next() {
        let byte = match (byte, bytes.as_slice()) {
            (b'.', _) => {
                if end == start + 1 {
                    return Err("empty label");
                }
                end_label(name, start, end)?;
                (start, end) = (end, end + 1);
                continue;
            }
            (b'\\', [hundreds @ b'0'..=b'9', rest @ ..]) => {
                let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest else {
                    return Err("three digits have to follow a backslash and a digit");
                };
                bytes = rest.iter();
                let digit = |byte: &u8| u16::from(byte - b'0');
                let value = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
                u8::try_from(value).map_err(|_| "\\DDD is at most \\255")?
            }
            (b'\\', [escaped, rest @ ..]) => {
                bytes = rest.iter();
                *escaped
            }
            (b'\\', []) => return Err("it ends in a backslash"),
            _ => byte,
        };
        // What does not fit is counted, to say which limit it exceeds.
        if let Some(out) = name.get_mut(end) {
            *out = byte;
        }
        end += 1;
    }
    if end > start + 1 {
        end_label(name, start, end)?;
        start = end;
    }
    if start >= LONGEST_NAME {
        return Err("the name is too long");
    }
    name[start] = 0;
    Ok(start + 1)
}

/// Writes the length of the label from `start + 1` to `end`.
#[inline]
fn end_label(
    name: &mut [u8; NAME_BUFFER_LEN],
    start: usize,
    end: usize,
) -> Result<(), &'static str> {
    let len = end - start - 1;
    if len > LONGEST_LABEL {
        return Err("a label is too long");
    }
    if let Some(out) = name.get_mut(start) {
        *out = len as u8;
    }
    Ok(())
}

/// A type of record by its mnemonic in IANA's registry, or as `TYPE` and its number, RFC 3597 §5.
pub(super) fn number_of_type(word: &[u8]) -> Option<u16> {
    if let Some((_, number)) = COMMON.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
        return Some(*number);
    }
    if let Some((prefix, digits)) = word.split_at_checked(4)
        && prefix.eq_ignore_ascii_case(b"TYPE")
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        return std::str::from_utf8(digits).ok()?.parse().ok();
    }
    let word = if word.eq_ignore_ascii_case(b"NSAPPTR") { b"NSAP-PTR" } else { word };
    let found = entries(TYPES).find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_are_those_of_the_registry() {
        for (name, number) in COMMON {
            let name = std::str::from_utf8(name).unwrap();
            assert!(entries(TYPES).any(|entry| entry == (name, number)), "{name}");
        }
    }
}
