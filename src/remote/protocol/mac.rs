//! Keys, and the message authentication code that ends every control message.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a message's code: the left half of HMAC-SHA-256, the least that RFC 2104 §5 advises.
pub const MAC_LEN: usize = 16;
/// The key of ends without one. It is public, so it only detects damage. Arbitrary.
const PUBLIC_KEY: &[u8] = b"udperf control: no key";

/// A pre-shared key; never shown.
#[derive(Debug, Clone)]
pub struct Key(Tagger);

/// The bytes of a key are empty, or only the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is empty; write at least one byte, e.g. by: openssl rand -hex 32")]
pub struct KeyError;

impl Key {
    /// The key in these bytes, without one newline at their end (`\n` or `\r\n`).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let line = [&b"\r\n"[..], b"\n"].iter().find_map(|end| bytes.strip_suffix(*end));
        let line = line.unwrap_or(bytes);
        if line.is_empty() { Err(KeyError) } else { Ok(Self(Tagger::new(line))) }
    }
}

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1) with a key.
#[derive(Clone)]
pub struct Tagger(Hmac<Sha256>);

impl Tagger {
    /// With this key, of any length.
    pub fn new(key: &[u8]) -> Self {
        // RFC 2104 §2: a key longer than a block is hashed, a shorter one padded; none is refused.
        Self(<Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The code over these parts, concatenated: only one of them may vary in length.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        let code = self.over(parts).finalize().into_bytes();
        std::array::from_fn(|at| code[at])
    }

    /// Whether `tag` is the code over these parts, in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8; MAC_LEN]) -> bool {
        self.over(parts).verify_truncated_left(tag).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tagger(not shown)")
    }
}

/// Seals and verifies messages: with a key, or with the public one, which only detects damage.
#[derive(Debug, Clone)]
pub struct Seal {
    pub(super) tagger: Tagger,
    pub(super) keyed: bool,
}

impl Seal {
    /// With this key, or without one.
    pub fn new(key: Option<&Key>) -> Self {
        match key {
            Some(Key(tagger)) => Self { tagger: tagger.clone(), keyed: true },
            None => Self { tagger: Tagger::new(PUBLIC_KEY), keyed: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_match_rfc_4231() {
        // Test cases 1, 5 (truncated) and 6 (a key longer than a block).
        let tag = Tagger::new(&[0x0B; 20]).tag(&[b"Hi ", b"There"]);
        assert_eq!(tag, 0xb034_4c61_d8db_3853_5ca8_afce_af0b_f12b_u128.to_be_bytes());
        let tag = Tagger::new(&[0x0C; 20]).tag(&[b"Test With Truncation"]);
        assert_eq!(tag, 0xa3b6_1674_7310_0ee0_6e0c_796c_2955_552b_u128.to_be_bytes());
        let long = Tagger::new(&[0xAA; 131]);
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = long.tag(&[text]);
        assert_eq!(tag, 0x60e4_3159_1ee0_b67f_0d8a_26aa_cbf5_b77f_u128.to_be_bytes());
        assert!(long.verify(&[text], &tag));
        assert!(!long.verify(&[&text[1..]], &tag));
    }

    #[test]
    fn a_key_excludes_one_newline_and_is_not_shown() {
        let tag = |bytes: &[u8]| Seal::new(Some(&Key::from_bytes(bytes).unwrap())).tagger.tag(&[]);
        assert_eq!(tag(b"secret\n"), tag(b"secret"));
        assert_eq!(tag(b"secret\r\n"), tag(b"secret"));
        assert_ne!(tag(b"secret\n\n"), tag(b"secret"));
        assert_ne!(tag(b"secret\r"), tag(b"secret"));
        for empty in ["", "\n", "\r\n"] {
            assert_eq!(Key::from_bytes(empty.as_bytes()).unwrap_err(), KeyError);
        }
        assert_eq!(format!("{:?}", Key::from_bytes(b"k").unwrap()), "Key(Tagger(not shown))");
    }
}
