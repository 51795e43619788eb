//! A histogram between hosts: HdrHistogram's own format (V2, deflated), then the exact figures.

use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{HIGHEST_NS, LatencyHistograms};
use crate::measure::read_histogram;

/// Histogram, minimum, maximum, sum, sum of squares, and clamped.
type Packed = (Vec<u8>, u64, u64, u128, u128, u64);

impl Serialize for LatencyHistograms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut histogram = Vec::new();
        if self.count() > 0 {
            V2DeflateSerializer::new()
                .serialize(&self.histogram, &mut histogram)
                .map_err(|error| S::Error::custom(error.to_string()))?;
        }
        let Self { min_ns, max_ns, sum_ns, sum_of_squares, clamped, .. } = *self;
        (histogram, min_ns, max_ns, sum_ns, sum_of_squares, clamped).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencyHistograms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (packed, min_ns, max_ns, sum_ns, sum_of_squares, clamped) =
            Packed::deserialize(deserializer)?;
        let mut latency = Self::default();
        if packed.is_empty() {
            return Ok(latency);
        }
        let counts = read_histogram(&packed).map_err(D::Error::custom)?;
        // Its bounds are the peer's; added to an empty histogram, it gets those of this side.
        latency.histogram.add(counts).map_err(|error| D::Error::custom(error.to_string()))?;
        let highest = latency.histogram.count_at(HIGHEST_NS);
        if clamped > highest || min_ns > max_ns || latency.count() == 0 {
            return Err(D::Error::custom("figures that contradict the histogram"));
        }
        Ok(Self { min_ns, max_ns, sum_ns, sum_of_squares, clamped, ..latency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_written() {
        let mut latency = LatencyHistograms::default();
        for ns in [0, 1, 999, 123_456, u64::MAX] {
            latency.record_n(ns, 3);
        }
        for sent in [latency, LatencyHistograms::default()] {
            let bytes = postcard::to_stdvec(&sent).unwrap();
            let arrived: LatencyHistograms = postcard::from_bytes(&bytes).unwrap();
            assert!(arrived.histogram == sent.histogram && arrived.clamped == sent.clamped);
            assert_eq!(arrived.stdev_ns(), sent.stdev_ns());
            assert_eq!((arrived.min_ns(), arrived.max_ns()), (sent.min_ns(), sent.max_ns()));
        }
    }

    #[test]
    fn rejects_contradictions_and_damage() {
        let mut wrong = LatencyHistograms::default();
        wrong.record(5);
        wrong.clamped = 1;
        let mut bytes = postcard::to_stdvec(&LatencyHistograms::default()).unwrap();
        bytes[0] = 3;
        bytes.splice(1..1, [1, 2, 3]);
        for bytes in [postcard::to_stdvec(&wrong).unwrap(), bytes] {
            assert!(postcard::from_bytes::<LatencyHistograms>(&bytes).is_err());
        }
    }
}
