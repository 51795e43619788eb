//! What a worker counts in an interval, and in which order its counters lie.

/// What a board counts in each interval, besides latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::Interval` describes the fields")]
pub enum Count {
    Sent,
    Refused,
    Missed,
    Received,
    Duplicate,
    Late,
    Reordered,
    Timeouts,
    Errors,
    Stalls,
    StalledNs,
    CpuNs,
    Bytes,
    SocketDrops,
    Expected,
    /// Replies to the first requests of exchanges, their latencies in ns, and the longest one,
    /// which is not a sum; then those to later requests.
    FirstAnswered,
    FirstNs,
    FirstMaxNs,
    SecondAnswered,
    SecondNs,
    SecondMaxNs,
    /// The longest latency; not a sum.
    MaxNs,
}

impl Count {
    /// The counters of both steps of exchanges.
    pub const STEPS: [[Self; 3]; 2] = [
        [Self::FirstAnswered, Self::FirstNs, Self::FirstMaxNs],
        [Self::SecondAnswered, Self::SecondNs, Self::SecondMaxNs],
    ];
}

/// How many counters there are.
pub(super) const COUNTS: usize = Count::MaxNs as usize + 1;
/// Buckets of a power of two, as a power of two: 64, so that a latency is known within 0.8 %.
const SUB_BITS: u32 = 6;
/// Powers of two above the exact ones: up to 2³⁶ ns, 69 s, above what `HIGHEST_NS` of
/// [`super::LatencyHistograms`] clamps.
const OCTAVES: usize = 30;
/// Latency buckets of an interval.
pub(super) const BUCKETS: usize = (OCTAVES + 1) << SUB_BITS;
/// Counters of an interval.
pub(super) const STRIDE: usize = COUNTS + BUCKETS;

/// The bucket of a latency; the last one takes all that is longer.
#[inline]
pub(super) const fn bucket_of(ns: u64) -> usize {
    let Some(shift) = (u64::BITS - ns.leading_zeros()).checked_sub(SUB_BITS + 1) else {
        return ns as usize;
    };
    let at = ((shift as usize + 1) << SUB_BITS) + (ns >> shift) as usize - (1 << SUB_BITS);
    if at < BUCKETS { at } else { BUCKETS - 1 }
}

/// The middle of a bucket, in ns.
pub(super) const fn middle_of(bucket: usize) -> u64 {
    // A peer may name any bucket.
    let bucket = if bucket < BUCKETS { bucket } else { BUCKETS - 1 };
    if bucket < 1 << SUB_BITS {
        return bucket as u64;
    }
    let shift = (bucket >> SUB_BITS) as u32 - 1;
    let lowest = ((bucket & ((1 << SUB_BITS) - 1)) as u64 + (1 << SUB_BITS)) << shift;
    lowest + ((1 << shift) >> 1)
}

/// The number of a bucket fits the type that stores it.
const _: () = assert!(BUCKETS <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_lies_within_its_bucket() {
        let mut former = 0;
        for power in 0..36 {
            for ns in [1_u64 << power, (1 << power) + (1 << power) / 3, (2 << power) - 1] {
                let bucket = bucket_of(ns);
                assert!(bucket >= former, "{ns}");
                former = bucket;
                let error = middle_of(bucket).abs_diff(ns) as f64 / ns as f64;
                assert!(error <= 1.0 / 128.0, "{ns} {error}");
                assert_eq!(bucket_of(middle_of(bucket)), bucket);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!((bucket_of(0), middle_of(0)), (0, 0));
    }
}
