//! One hash of integers, for whatever needs a value from a key in any order.
//!
//! Sequences come from `fastrand`. This is for the rest: the n-th value of a key without the ones
//! before it (payload fields, which workers fill in parallel), hashes of addresses, and seeds of
//! generators. It is a bijection, so different inputs never share a hash, and it is `const`.

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio, odd.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of an integer: each bit of the input changes half of the output on average.
#[inline]
pub const fn hash_u64(value: u64) -> u64 {
    hash_nth(value, 0)
}

/// Value `n` of the sequence `key`: output `n` of SplitMix64 (Steele, Lea, Flood: Fast splittable
/// pseudorandom number generators, 2014) with the state `key`.
#[inline]
pub const fn hash_nth(key: u64, n: u64) -> u64 {
    let value = key.wrapping_add(n.wrapping_add(1).wrapping_mul(GAMMA));
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_splitmix64() {
        // The first outputs of the generator for the state 1234567.
        assert_eq!(hash_nth(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(hash_nth(1_234_567, 1), 3_203_168_211_198_807_973);
        assert_eq!(hash_u64(1_234_567), hash_nth(1_234_567, 0));
    }
}
