//! The layout of udperf's own data datagrams: a 16-byte header, the lag, and fill bytes.
//!
//! ```text
//!  0      2      4                  10                 16     18
//!  ┌──────┬──────┬──────────────────┬──────────────────┬──────┬───────
//!  │ tag  │ flow │ intended, 48 bit │ coded, 48 bit    │ lag  │ fill …
//!  └──────┴──────┴──────────────────┴──────────────────┴──────┴───────
//! ```
//!
//! `tag` differs in each phase of a run, so that datagrams of an earlier phase are recognised.
//! `intended` is the due time in nanoseconds since the phase began; its highest bit marks a
//! datagram that both ends timestamp. `coded` is the sequence number with a check over all fields
//! but the tag. `lag` is how much later the datagram left, in payloads of 18 bytes (a 64-byte frame
//! of RFC 2544) or more. Tag, flow and lag are big-endian, as the kernel steers by the first two;
//! `intended` and `coded` are little-endian, see [`NEXT`].
//!
//! # The check
//! `coded` = (sequence + intended · `BY_TIME` + flow · `BY_FLOW`) / `DECODE`, modulo 2⁴⁸. The
//! decoder multiplies by `DECODE` and subtracts the other two terms; the result is a sequence
//! number below 2⁴¹ if the header is undamaged. A flipped bit of `coded`, `intended` or `flow`
//! changes that number by a power of two times an odd constant without seven equal bits in a row,
//! which never leads from one number below 2⁴¹ to another: every single flip is detected. Other
//! damage stays undetected in one of 128 cases.
//!
//! The code is linear in the sequence number: one addition gives the next datagram's header.

/// Bytes of the header.
pub const HEADER_LEN: usize = 16;

/// Bytes up to the end of the lag.
pub const LAG_END: usize = 18;

/// The highest sequence number: 24 hours at 25 million datagrams a second in one flow. The other 7
/// bits of 48 are the check.
pub const MAX_SEQUENCE: u64 = (1 << 41) - 1;

/// The last moment in nanoseconds, in 47 bits beside the mark: 39 hours.
pub const MAX_TIME: u64 = (1 << 47) - 1;

/// The bits of `intended` with its mark, and of `coded`.
const FIELD: u64 = (1 << 48) - 1;

/// The mark, in the highest bit of `intended`.
const MARK: u64 = 1 << 47;

/// Turns `coded` into the sequence number: the fractional part of √3 in 48 bits, the first square
/// root that is odd with at most four equal bits in a row.
const DECODE: u64 = 0xBB67_AE85_84CB;

/// Its inverse modulo 2⁴⁸.
const ENCODE: u64 = inverse(DECODE);

/// How the check depends on the intended moment: the fractional part of √21, the next such root.
const BY_TIME: u64 = 0x9523_AE45_47A1;

/// How the check depends on the flow: the fractional part of √10, with at most five equal bits in a
/// row.
const BY_FLOW: u64 = 0x298B_075B_4B6B;

/// The inverse of an odd number modulo 2⁴⁸ by Newton's iteration: each step doubles the correct
/// bits; an odd number is its own inverse in three bits.
const fn inverse(odd: u64) -> u64 {
    let (mut inverse, mut bits) = (odd, 3);
    while bits < 48 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse & FIELD
}

/// The terms of flow and intended time, including the mark.
#[inline]
const fn offset(flow: u16, intended: u64) -> u64 {
    intended.wrapping_mul(BY_TIME).wrapping_add((flow as u64).wrapping_mul(BY_FLOW))
}

/// Mantissa bits of the encoded lag: with 11, and a hidden one, its error is at most 2⁻¹² of the
/// value, below the 2⁻¹⁰ of a three-digit histogram.
const LAG_MANTISSA_BITS: u32 = 11;

/// The header of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Its phase.
    pub tag: u16,
    /// Its flow.
    pub flow: u16,
    /// Its number in the flow, from 0 to [`MAX_SEQUENCE`].
    pub sequence: u64,
    /// Due time in nanoseconds since the phase began; up to [`MAX_TIME`].
    pub intended_ns: u64,
}

/// Writes the header into the first 16 bytes of `payload`. Panics if it is shorter, which plans
/// exclude.
#[inline]
pub fn encode(header: Header, payload: &mut [u8]) {
    let [low, high] = halves(header);
    payload[..8].copy_from_slice(&low.to_le_bytes());
    payload[8..HEADER_LEN].copy_from_slice(&high.to_le_bytes());
}

/// Writes the headers of consecutive datagrams of a flow that are all due, and leave, at the same
/// time, with a lag of 0. The bytes are those of [`encode`] and [`encode_lag`] for each; a header
/// costs one addition.
#[inline]
pub fn encode_batch<'a>(first: Header, payloads: impl Iterator<Item = &'a mut [u8]>) {
    let [low, mut high] = halves(first);
    for payload in payloads {
        payload[..8].copy_from_slice(&low.to_le_bytes());
        payload[8..HEADER_LEN].copy_from_slice(&high.to_le_bytes());
        if let Some(lag) = payload.get_mut(HEADER_LEN..LAG_END) {
            lag.fill(0);
        }
        high = high.wrapping_add((NEXT >> 64) as u64);
    }
}

/// The header as two little-endian numbers.
#[inline]
fn halves(header: Header) -> [u64; 2] {
    let Header { tag, flow, sequence, intended_ns } = header;
    debug_assert!(sequence <= MAX_SEQUENCE && intended_ns <= MAX_TIME);
    let coded = sequence.wrapping_add(offset(flow, intended_ns)).wrapping_mul(ENCODE);
    let steered = u64::from(tag.swap_bytes()) | u64::from(flow.swap_bytes()) << 16;
    [steered | intended_ns << 32, intended_ns >> 32 | coded << 16]
}

/// Reads the header of a datagram with this `tag`; `None` for others, or if the check fails.
#[inline]
pub fn decode_own(payload: &[u8], tag: u16) -> Option<Header> {
    let word = word(payload)?;
    if word as u16 != tag.swap_bytes() {
        return None;
    }
    let flow = ((word >> 16) as u16).swap_bytes();
    let (intended, coded) = ((word >> 32) as u64 & FIELD, (word >> 80) as u64);
    let sequence = coded.wrapping_mul(DECODE).wrapping_sub(offset(flow, intended)) & FIELD;
    let intended_ns = intended & MAX_TIME;
    (sequence <= MAX_SEQUENCE).then_some(Header { tag, flow, sequence, intended_ns })
}

/// Whether a datagram has a header with this `tag`; the rest is not checked.
#[inline]
pub fn has_tag(payload: &[u8], tag: u16) -> bool {
    word(payload).is_some_and(|word| word as u16 == tag.swap_bytes())
}

/// Marks a datagram after [`encode`], which clears the mark. The check changes in its highest bit:
/// half of 2⁴⁸ times an odd number.
#[inline]
pub fn mark(payload: &mut [u8]) {
    if let Some(bytes) = payload.first_chunk_mut::<HEADER_LEN>()
        && !is_marked(bytes)
    {
        *bytes = (u128::from_le_bytes(*bytes) ^ MARKED).to_le_bytes();
    }
}

/// The bits of [`word`] that a mark changes.
const MARKED: u128 = (MARK as u128) << 32 | 1 << 127;

/// Whether a datagram of udperf is marked.
#[inline]
pub fn is_marked(payload: &[u8]) -> bool {
    word(payload).is_some_and(|word| (word >> 32) as u64 & MARK != 0)
}

/// A [`word`] without the mark.
#[inline]
pub const fn unmarked(word: u128) -> u128 {
    if (word >> 32) as u64 & MARK != 0 { word ^ MARKED } else { word }
}

/// The increment of [`word`], modulo 2¹²⁸, to the next datagram of a flow with the same intended
/// time. `coded` has the highest bits, so that it wraps by itself.
pub const NEXT: u128 = (ENCODE as u128) << 80;

/// The header as one number, to compare all fields at once; `None` if the payload is shorter.
#[inline]
pub fn word(payload: &[u8]) -> Option<u128> {
    payload.first_chunk::<HEADER_LEN>().map(|bytes| u128::from_le_bytes(*bytes))
}

/// Writes the lag into bytes 16 and 17, if the payload has them.
#[inline]
pub fn encode_lag(lag_ns: u64, payload: &mut [u8]) {
    if let Some(bytes) = payload.get_mut(HEADER_LEN..LAG_END) {
        bytes.copy_from_slice(&compress(lag_ns).to_be_bytes());
    }
}

/// Reads the lag in nanoseconds; `None` if the payload ends before it.
#[inline]
pub fn decode_lag(payload: &[u8]) -> Option<u64> {
    let bytes = payload.get(HEADER_LEN..LAG_END)?;
    Some(expand(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// Fills a payload with incompressible bytes from `seed`, once before the run.
pub fn fill(payload: &mut [u8], seed: u64) {
    fastrand::Rng::with_seed(seed).fill(payload);
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

/// The middle of the values that [`compress`] packs into this one.
#[inline]
fn expand(packed: u16) -> u64 {
    let mantissa = u64::from(packed) & ((1 << LAG_MANTISSA_BITS) - 1);
    match u32::from(packed >> LAG_MANTISSA_BITS) {
        0 => mantissa,
        exponent => {
            let shift = exponent - 1;
            ((mantissa | 1 << LAG_MANTISSA_BITS) << shift) + ((1 << shift) >> 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_and_flow_are_big_endian() {
        let mut payload = [0; 18];
        encode(Header { tag: 0xBEEF, flow: 513, ..Header::default() }, &mut payload);
        assert_eq!(&payload[..4], [0xBE, 0xEF, 2, 1]);
        assert!(has_tag(&payload, 0xBEEF) && !has_tag(&payload, 0xBEEE));
        assert_eq!(ENCODE.wrapping_mul(DECODE) & FIELD, 1);
    }

    #[test]
    fn a_row_is_as_single_headers() {
        for (len, first) in [(16, 0), (17, 1 << 40), (18, MAX_SEQUENCE - 4), (64, 1_000_003)] {
            let header = Header { tag: 0xBEEF, flow: 513, sequence: first, intended_ns: MAX_TIME };
            let [mut row, mut single] = [(); 2].map(|()| vec![0xAA; 5 * len]);
            encode_batch(header, row.chunks_exact_mut(len));
            for (sequence, payload) in (first..).zip(single.chunks_exact_mut(len)) {
                encode(Header { sequence, ..header }, payload);
                encode_lag(0, payload);
            }
            assert_eq!(row, single);
        }
    }

    #[test]
    fn marks_keep_the_other_fields() {
        let header = Header { tag: 7, flow: 9, sequence: MAX_SEQUENCE - 1, intended_ns: 11 };
        let mut payload = [0; 18];
        encode(header, &mut payload);
        let plain = word(&payload).unwrap();
        assert!(!is_marked(&payload));
        for _ in 0..2 {
            mark(&mut payload);
            assert!(is_marked(&payload));
            assert_eq!(decode_own(&payload, 7), Some(header));
            assert_ne!(word(&payload), Some(plain));
            assert_eq!(word(&payload).map(unmarked), Some(plain));
        }
        assert_eq!(unmarked(plain), plain);
        encode(Header { sequence: MAX_SEQUENCE, ..header }, &mut payload);
        assert_eq!(word(&payload), Some(plain.wrapping_add(NEXT)));
        assert!(!is_marked(&payload) && !is_marked(&[0xFF; 4]));
    }

    #[test]
    fn every_single_flip_is_detected() {
        let numbers = [0, 1, 600, 1 << 20, 0x123_4567_89AB, MAX_SEQUENCE - 1, MAX_SEQUENCE];
        let moments = [0, 1, 5_000_000, 86_400_000_000_000, MAX_TIME];
        for (sequence, intended_ns) in
            numbers.into_iter().flat_map(|number| moments.map(|moment| (number, moment)))
        {
            for (flow, marked) in [(0, false), (1, true), (u16::MAX, false)] {
                let mut payload = [0; 16];
                encode(Header { tag: 7, flow, sequence, intended_ns }, &mut payload);
                if marked {
                    mark(&mut payload);
                }
                for bit in 16..128 {
                    payload[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(decode_own(&payload, 7), None, "bit {bit} of {sequence}");
                    payload[bit / 8] ^= 1 << (bit % 8);
                }
                assert!(decode_own(&payload, 7).is_some());
            }
        }
    }

    #[test]
    fn most_double_flips_are_detected() {
        let mut payload = [0; 16];
        let (mut found, all) = (0, 20_000_u64);
        for sequence in 0..all {
            encode(Header { tag: 7, flow: 3, sequence, intended_ns: 9 }, &mut payload);
            let first = sequence * 7 % 96;
            for bit in [32 + first, 32 + (first + 1 + sequence % 95) % 96] {
                payload[bit as usize / 8] ^= 1 << (bit % 8);
            }
            found += u64::from(decode_own(&payload, 7).is_none());
        }
        assert!(found * 100 > all * 95, "{found} of {all}");
    }

    #[test]
    fn lags_need_their_bytes_and_are_exact_if_small() {
        let mut payload = [7; 16];
        encode_lag(99, &mut payload);
        assert_eq!((payload, decode_lag(&payload)), ([7; 16], None));
        assert!((0..4_096).all(|lag| expand(compress(lag)) == lag));
        assert!(expand(compress(u64::MAX)) > 4_000_000_000_000);
    }
}
