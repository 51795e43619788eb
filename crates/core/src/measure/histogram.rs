//! Decoding of untrusted histograms: from another host, or from a stored document.

use std::io::Read;

use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

/// The cookie of a histogram in HdrHistogram's V2 format (`V2_COOKIE` of hdrhistogram's
/// src/serialization/mod.rs: 0x1c849303, with the word size in bits 4 to 7).
const V2: [u8; 4] = [0x1C, 0x84, 0x93, 0x13];
/// The deflated form (`V2_COMPRESSED_COOKIE`), followed by a length and a zlib stream.
const V2_DEFLATED: [u8; 4] = [0x1C, 0x84, 0x93, 0x14];
/// Bytes before the counts of the V2 format: cookie, length, offset and digits of 4 bytes each,
/// lowest and highest value and ratio of 8.
const HEADER_LEN: usize = 40;
/// Maximum of significant digits; all histograms of udperf have 3. Five take 48 MiB.
const MOST_DIGITS: u32 = 3;
/// Maximum bytes of counts. With 3 digits, values of 64 bits fall into 56,320 buckets, each written
/// with 9 bytes at most: rounded up to 2^16 buckets.
const LONGEST: usize = 9 << 16;

/// Why bytes are refused as a histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum HistogramError {
    #[error("a histogram of {len} bytes is refused: at most {LONGEST} are possible")]
    TooLong { len: usize },
    #[error("a histogram with {digits} significant digits is refused: at most {MOST_DIGITS}")]
    TooFine { digits: u32 },
    #[error("not an HdrHistogram in V2 format: {reason}")]
    Damaged { reason: String },
}

/// Reads a histogram in HdrHistogram's V2 format, deflated or not. It checks encoded lengths first,
/// so that few bytes never cost more than about 1 MiB: the library allocates any length up to 4
/// GiB.
///
/// # Errors
/// [`HistogramError`] where it is too long, too fine, or damaged.
pub fn read_histogram(bytes: &[u8]) -> Result<Histogram<u64>, HistogramError> {
    let damaged = |reason: String| HistogramError::Damaged { reason };
    let mut inflated = Vec::new();
    let plain = if bytes.starts_with(&V2_DEFLATED) {
        let most = (HEADER_LEN + LONGEST) as u64;
        let stream = bytes.get(8..).unwrap_or_default();
        ZlibDecoder::new(stream)
            .take(most)
            .read_to_end(&mut inflated)
            .map_err(|error| damaged(error.to_string()))?;
        &inflated
    } else {
        bytes
    };
    if !plain.starts_with(&V2) {
        return Err(damaged("unknown first bytes".to_owned()));
    }
    let Some((header, counts)) = plain.split_at_checked(HEADER_LEN) else {
        return Err(damaged("it is cut off".to_owned()));
    };
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
    let (len, digits) = (word(4) as usize, word(12));
    if len > LONGEST {
        return Err(HistogramError::TooLong { len });
    }
    if digits > MOST_DIGITS {
        return Err(HistogramError::TooFine { digits });
    }
    // The library negates such a number, the lowest of 64 bits, which overflows.
    if counts.windows(9).any(|number| number == [0xFF; 9]) {
        return Err(damaged("a run of zeroes without end".to_owned()));
    }
    Deserializer::new().deserialize(&mut &plain[..]).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};

    use super::*;

    fn histogram() -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for value in 1..200_u64 {
            histogram.record_n(value * value * 1_000, value).unwrap();
        }
        histogram
    }

    fn plain(histogram: &Histogram<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(histogram, &mut bytes).unwrap();
        bytes
    }

    fn claiming(len: usize) -> Vec<u8> {
        let mut bytes = plain(&histogram());
        bytes[4..8].copy_from_slice(&(len as u32).to_be_bytes());
        bytes
    }

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        stream.write_all(plain).unwrap();
        let stream = stream.finish().unwrap();
        [V2_DEFLATED.as_slice(), &(stream.len() as u32).to_be_bytes(), &stream].concat()
    }

    #[test]
    fn reads_both_forms() {
        let histogram = histogram();
        let mut library = Vec::new();
        V2DeflateSerializer::new().serialize(&histogram, &mut library).unwrap();
        let plain = plain(&histogram);
        for bytes in [&plain, &library, &deflated(&plain)] {
            assert_eq!(read_histogram(bytes).unwrap(), histogram);
        }
        let widest = Histogram::<u64>::new_with_bounds(1, u64::MAX, 3).unwrap();
        assert!(widest.distinct_values() <= LONGEST / 9, "{}", widest.distinct_values());
    }

    #[test]
    fn checks_lengths_before_memory_is_allocated() {
        for (len, refused) in [(u32::MAX as usize, true), (1 << 24, true), (LONGEST, false)] {
            let bytes = claiming(len);
            for bytes in [&bytes, &deflated(&bytes)] {
                let error = read_histogram(bytes).unwrap_err();
                assert_eq!(error == HistogramError::TooLong { len }, refused, "{len}: {error}");
            }
        }
        // A stream that inflates to more than any histogram is cut.
        let len = 16 << 20;
        let bytes = deflated(&[&claiming(len)[..HEADER_LEN], &vec![0; len]].concat());
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        assert_eq!(read_histogram(&bytes), Err(HistogramError::TooLong { len }));
    }

    #[test]
    fn rejects_finer_digits_and_endless_zeroes() {
        let fine = Histogram::<u64>::new_with_bounds(1, 1_000, 5).unwrap();
        assert_eq!(read_histogram(&plain(&fine)), Err(HistogramError::TooFine { digits: 5 }));
        let bytes = [&claiming(12)[..HEADER_LEN], &[0xFF; 12]].concat();
        assert!(matches!(read_histogram(&bytes), Err(HistogramError::Damaged { .. })));
        for len in 0..HEADER_LEN {
            assert!(read_histogram(&bytes[..len]).is_err(), "{len}");
        }
    }
}
