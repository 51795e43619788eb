//! How the values of fields are written.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::number::Number;
use crate::unit::{hash_nth, hash_u64};

/// Characters that one 64-bit number determines: 36¹² < 2⁶³.
const CHARACTERS: usize = 12;

/// Powers of the size of an alphabet, up to [`CHARACTERS`].
const fn powers(base: u64) -> [u64; CHARACTERS + 1] {
    let mut powers = [1; CHARACTERS + 1];
    let mut at = 1;
    while at <= CHARACTERS {
        powers[at] = powers[at - 1] * base;
        at += 1;
    }
    powers
}

/// Bytes of a date of RFC 3339: `2026-11-23T01:51:16.123456Z`.
pub(super) const RFC3339_LEN: usize = 27;
/// Bytes of STUN's attribute FINGERPRINT with its header, and its mask; RFC 8489 §14.7.
pub(super) const FINGERPRINT_LEN: usize = 8;
const FINGERPRINT_MASK: u32 = 0x5354_554E;
/// Bytes of RADIUS's attribute Message-Authenticator with its header; RFC 3579 section 3.2.
pub(super) const AUTHENTICATOR_LEN: usize = 18;
/// The characters of each alphabet.
pub(super) const ALNUM: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

/// Seconds from 1900 to 1970, and nanoseconds of a second; RFC 5905 §6.
const NTP_TO_1970: u64 = 2_208_988_800;
pub(super) const SECOND_NS: u64 = 1_000_000_000;

#[inline]
pub(super) fn ntp_time(now_ns: u64) -> u64 {
    let (seconds, rest) = (now_ns / SECOND_NS + NTP_TO_1970, now_ns % SECOND_NS);
    (seconds << 32) | ((rest << 32) / SECOND_NS)
}

/// Writes characters that look random and differ for each `unique` number until all words of this
/// length were used; after the first [`CHARACTERS`], random ones. The key selects the first word.
#[inline]
pub(super) fn characters<const COUNT: usize>(
    key: u64,
    unique: u64,
    alphabet: &[u8; COUNT],
    out: &mut [u8],
) {
    let powers = const { powers(COUNT as u64) };
    let (first, rest) = out.split_at_mut(out.len().min(CHARACTERS));
    let (high, low) = first.split_at_mut(first.len() / 2);
    let (highs, lows) = (powers[high.len()], powers[low.len()]);
    // Neither term is above 2⁶³.
    let at = ((key >> 1) + (unique & u64::MAX >> 1)) % (highs * lows);
    // Two rounds of a Feistel network, by addition: each number has one image, and no other has it.
    let (mut above, mut below) = (at / lows, at % lows);
    above = (above + hash_u64(below) % highs) % highs;
    below = (below + hash_u64(!above) % lows) % lows;
    spell(above, alphabet, high);
    spell(below, alphabet, low);
    for (round, part) in (1..).zip(rest.chunks_mut(CHARACTERS)) {
        spell(hash_nth(hash_nth(key, unique), round), alphabet, part);
    }
}

#[inline]
fn spell<const COUNT: usize>(mut number: u64, alphabet: &[u8; COUNT], out: &mut [u8]) {
    for byte in out {
        let count = COUNT as u64;
        *byte = alphabet[(number % count) as usize];
        number /= count;
    }
}

/// Days of 400 years, after which the Gregorian calendar repeats, and from 1 March of year 0 to 1
/// January 1970.
const DAYS_OF_ERA: u64 = 146_097;
const DAYS_TO_1970: u64 = 719_468;

/// Writes `2026-11-23T01:51:16.123456Z`. Years begin in March, so that leap days are last.
pub(super) fn rfc3339(now_ns: u64, out: &mut [u8]) {
    let (seconds, micros) = (now_ns / 1_000_000_000, now_ns / 1_000 % 1_000_000);
    let days = seconds / 86_400 + DAYS_TO_1970;
    let day = days % DAYS_OF_ERA;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let fields = [
        (0, 4, days / DAYS_OF_ERA * 400 + year + u64::from(month >= 10)),
        (5, 2, if month < 10 { month + 3 } else { month - 9 }),
        (8, 2, day - (153 * month + 2) / 5 + 1),
        (11, 2, seconds % 86_400 / 3_600),
        (14, 2, seconds % 3_600 / 60),
        (17, 2, seconds % 60),
        (20, 6, micros),
    ];
    out.copy_from_slice(b"0000-00-00T00:00:00.000000Z");
    for (at, width, value) in fields {
        Number::Dec(width).write(value, &mut out[at..at + usize::from(width)]);
    }
}

pub(super) fn fingerprint(before: &[u8], out: &mut [u8]) {
    let sum = crc32fast::hash(before) ^ FINGERPRINT_MASK;
    let [a, b, c, d] = sum.to_be_bytes();
    out.copy_from_slice(&[0x80, 0x28, 0, 4, a, b, c, d]);
}

/// HMAC-MD5 of the request with zeroes in this attribute, whose header is type and length.
pub(super) fn authenticator(secret: &[u8], before: &[u8], out: &mut [u8]) {
    out.fill(0);
    (out[0], out[1]) = (80, AUTHENTICATOR_LEN as u8);
    // A key of any length is valid.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret) else { return };
    mac.update(before);
    mac.update(out);
    out[2..].copy_from_slice(&mac.finalize().into_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for seconds in [
            0,
            951_782_400,   // 29 February 2000
            951_868_800,   // 1 March 2000
            1_709_251_199, // the last second of 29 February 2024
            1_735_689_599, // the last second of 2024
            4_107_542_400, // 1 March 2100, which has no leap day
            16_725_225_600,
        ] {
            let mut out = [0; RFC3339_LEN];
            rfc3339(seconds * 1_000_000_000 + 123_456_789, &mut out);
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 123_456_000);
            assert_eq!(out, *humantime::format_rfc3339_micros(time).to_string().as_bytes());
        }
        rfc3339(u64::MAX, &mut [0; RFC3339_LEN]);
    }

    #[test]
    fn message_authenticators_are_those_of_the_rfc() {
        // RFC 5997 section 6.1.
        let head =
            b"\x0c\xda\x00\x26\x8a\x54\xf4\x68\x6f\xb3\x94\xc5\x28\x66\xe3\x02\x18\x5d\x06\x23";
        let expected = b"\x50\x12\x5a\x66\x5e\x2e\x1e\x84\x11\xf3\xe2\x43\x82\x20\x97\xc8\x4f\xa3";
        let mut out = [1; AUTHENTICATOR_LEN];
        authenticator(b"xyzzy5461", head, &mut out);
        assert_eq!(&out, expected);
    }

    #[test]
    fn characters_repeat_only_when_all_were_used() {
        let word = |key, unique, len| {
            let mut out = vec![0; len];
            characters(key, unique, LETTERS, &mut out);
            out
        };
        for (len, count) in [(1, 26), (2, 676), (3, 17_576)] {
            for key in [0, hash_u64(1), u64::MAX] {
                let words = (5..count + 5).map(|unique| word(key, unique, len));
                let words: BTreeSet<_> = words.collect();
                assert_eq!(words.len() as u64, count, "{len} letters, key {key}");
                assert_eq!(word(key, count, len), word(key, 0, len));
            }
        }
        // Successive words show no order, and use the whole alphabet.
        let first: BTreeSet<_> = (0..1_000).map(|unique| word(hash_u64(3), unique, 8)[0]).collect();
        assert_eq!(first.len(), 26);
    }
}
