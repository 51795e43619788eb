//! The 16-byte header, and the two bytes behind it that say how late the datagram left.
//!
//! ```text
//!  0      2      4                  10                 16     18
//!  ┌──────┬──────┬──────────────────┬──────────────────┬──────┬───────
//!  │ tag  │ flow │ sequence, 48 bit │ intended, 48 bit │ lag  │ fill …
//!  └──────┴──────┴──────────────────┴──────────────────┴──────┴───────
//! ```
//! All big-endian. `tag` is drawn anew for each phase of a run, so what a former phase left behind
//! is told from what is being measured. `intended` is nanoseconds since the phase began, the moment
//! the schedule wanted the datagram gone; `lag` is how much later it really left, and exists where
//! the payload has 18 bytes or more, which is the 64-byte frame of RFC 2544. The highest bit of
//! `sequence` marks a datagram whose way is timed at both ends.

/// Bytes of the header.
pub const HEADER_LEN: usize = 16;

/// Bytes up to the end of the lag.
pub const LAG_END: usize = 18;

/// The last sequence number that 47 bits hold, which are left beside the mark: 5 years at 800 kpps.
pub const MAX_SEQUENCE: u64 = (1 << 47) - 1;

/// The mark, in the highest byte of the sequence number.
const MARK: u8 = 0x80;

/// Where that byte is.
const MARK_AT: usize = 4;

/// The last moment in nanoseconds that 48 bits hold: 78 hours.
pub const MAX_TIME: u64 = (1 << 48) - 1;

/// Mantissa bits of the encoded lag: with 11, and a hidden one, its error is at most 2⁻¹² of the
/// value, below the 2⁻¹⁰ of a three-digit histogram.
const LAG_MANTISSA_BITS: u32 = 11;

/// What a datagram of ours says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Which phase of which run it belongs to.
    pub tag: u16,
    /// Which flow it belongs to.
    pub flow: u16,
    /// Its number in that flow, from 0; up to [`MAX_SEQUENCE`].
    pub sequence: u64,
    /// When it should have left, in nanoseconds since the phase began; up to [`MAX_TIME`].
    pub intended_ns: u64,
}

/// Writes the header over the first 16 bytes of `payload`.
///
/// # Panics
/// Where `payload` is shorter than [`HEADER_LEN`]: plans refuse such sizes.
#[inline]
pub fn encode(header: Header, payload: &mut [u8]) {
    debug_assert!(header.sequence <= MAX_SEQUENCE && header.intended_ns <= MAX_TIME);
    let high = u64::from(header.tag) << 48 | u64::from(header.flow) << 32 | header.sequence >> 16;
    let low = header.sequence << 48 | header.intended_ns;
    payload[..8].copy_from_slice(&high.to_be_bytes());
    payload[8..HEADER_LEN].copy_from_slice(&low.to_be_bytes());
}

/// Reads the header of a datagram that carries our `tag`; `None` for whatever else arrives.
/// Total: no bytes make it panic.
#[inline]
#[must_use]
pub fn decode_own(payload: &[u8], tag: u16) -> Option<Header> {
    let (high, rest) = payload.split_first_chunk::<8>()?;
    let (low, _) = rest.split_first_chunk::<8>()?;
    let (high, low) = (u64::from_be_bytes(*high), u64::from_be_bytes(*low));
    ((high >> 48) as u16 == tag).then_some(Header {
        tag,
        flow: (high >> 32) as u16,
        sequence: ((high << 32 >> 16) | low >> 48) & MAX_SEQUENCE,
        intended_ns: low & MAX_TIME,
    })
}

/// Marks a datagram that [`encode`] has written its header to; the next one written there has no
/// mark.
#[inline]
pub fn mark(payload: &mut [u8]) {
    if let Some(byte) = payload.get_mut(MARK_AT) {
        *byte |= MARK;
    }
}

/// Whether a datagram of ours is marked.
#[inline]
#[must_use]
pub fn is_marked(payload: &[u8]) -> bool {
    payload.get(MARK_AT).is_some_and(|byte| byte & MARK != 0)
}

/// What [`word`] would be without the mark.
#[inline]
#[must_use]
pub const fn unmarked(word: u128) -> u128 {
    word & !((MARK as u128) << (u128::BITS as usize - 8 * (MARK_AT + 1)))
}

/// How much more the number of [`word`] is in the next datagram of a flow, where both were meant to
/// leave at the same moment.
pub const NEXT: u128 = 1 << 48;

/// The header as one number, for telling at a glance whether it is the one expected: it is equal if
/// and only if tag, flow, sequence, mark and intended time are. `None` where the payload is
/// shorter.
#[inline]
#[must_use]
pub fn word(payload: &[u8]) -> Option<u128> {
    payload.first_chunk::<HEADER_LEN>().map(|bytes| u128::from_be_bytes(*bytes))
}

/// Writes the lag into bytes 16 and 17, where the payload has them.
#[inline]
pub fn encode_lag(lag_ns: u64, payload: &mut [u8]) {
    if let Some(bytes) = payload.get_mut(HEADER_LEN..LAG_END) {
        bytes.copy_from_slice(&compress(lag_ns).to_be_bytes());
    }
}

/// Reads the lag in nanoseconds; `None` where the payload ends before it.
#[inline]
#[must_use]
pub fn decode_lag(payload: &[u8]) -> Option<u64> {
    let bytes = payload.get(HEADER_LEN..LAG_END)?;
    Some(expand(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// Fills a payload once, before the run, with bytes that no compressor or zero-page trick can
/// shorten: a multiplicative congruential sequence (Knuth's MMIX constants) from `seed`.
pub fn fill(payload: &mut [u8], seed: u64) {
    let mut state = seed | 1;
    for byte in payload {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
}

/// A 16-bit float without sign: 5 bits exponent, 11 bits mantissa, hidden bit from exponent 1 on.
/// Holds 0 to 4.4e12 ns (73 minutes), clamps above.
#[inline]
fn compress(value: u64) -> u16 {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= LAG_MANTISSA_BITS + 1 {
        // Exponents 0 and 1 are exact: the hidden bit falls into the exponent's place.
        return value as u16;
    }
    let shift = bits - LAG_MANTISSA_BITS - 1;
    let mantissa = (value >> shift) as u16 & ((1 << LAG_MANTISSA_BITS) - 1);
    if shift + 1 > 31 { u16::MAX } else { ((shift + 1) as u16) << LAG_MANTISSA_BITS | mantissa }
}

/// The value that [`compress`] packed, rounded to the middle of what it stands for.
#[inline]
fn expand(packed: u16) -> u64 {
    let exponent = u32::from(packed >> LAG_MANTISSA_BITS);
    let mantissa = u64::from(packed) & ((1 << LAG_MANTISSA_BITS) - 1);
    match exponent {
        0 => mantissa,
        _ => {
            let shift = exponent - 1;
            ((mantissa | 1 << LAG_MANTISSA_BITS) << shift) + ((1 << shift) >> 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let header = Header {
            tag: 0xBEEF,
            flow: 513,
            sequence: 0x1234_5678_9ABC,
            intended_ns: MAX_TIME - 7,
        };
        let mut payload = [0; 18];
        encode(header, &mut payload);
        encode_lag(1_000, &mut payload);
        assert_eq!(decode_own(&payload, 0xBEEF), Some(header));
        assert_eq!(decode_own(&payload, 0xBEEE), None);
        assert_eq!(decode_lag(&payload), Some(1_000));
        assert_eq!(&payload[..4], [0xBE, 0xEF, 2, 1]);
    }

    #[test]
    fn a_mark_changes_nothing_else() {
        let header = Header { tag: 7, flow: 9, sequence: MAX_SEQUENCE - 1, intended_ns: 11 };
        let mut payload = [0; 18];
        encode(header, &mut payload);
        let plain = word(&payload).unwrap();
        assert!(!is_marked(&payload));
        mark(&mut payload);
        assert!(is_marked(&payload));
        assert_eq!(decode_own(&payload, 7), Some(header));
        assert_ne!(word(&payload), Some(plain));
        assert_eq!(word(&payload).map(unmarked), Some(plain));
        assert_eq!(unmarked(plain), plain);
        encode(Header { sequence: MAX_SEQUENCE, ..header }, &mut payload);
        assert_eq!(word(&payload), Some(plain + NEXT));
        assert!(!is_marked(&payload) && !is_marked(&[0xFF; 4]));
    }

    #[test]
    fn sixteen_bytes_carry_no_lag() {
        let mut payload = [7; 16];
        encode_lag(99, &mut payload);
        assert_eq!(payload, [7; 16]);
        assert_eq!(decode_lag(&payload), None);
        assert_eq!(decode_own(&payload[..15], 0x0707), None);
    }

    #[test]
    fn the_lag_keeps_three_digits() {
        for exact in 0..4_096 {
            assert_eq!(expand(compress(exact)), exact);
        }
        let mut value = 4_096_u64;
        while value < 4_000_000_000_000 {
            let error = expand(compress(value)).abs_diff(value);
            assert!(error * 4_096 <= value, "{value}: {error}");
            value = value * 31 / 29 + 1;
        }
        assert!(expand(compress(u64::MAX)) > 4_000_000_000_000);
    }

    #[test]
    fn fill_depends_on_the_seed_alone() {
        let (mut a, mut b, mut c) = ([0; 64], [0; 64], [0; 64]);
        fill(&mut a, 3);
        fill(&mut b, 3);
        fill(&mut c, 5);
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
