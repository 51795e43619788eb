//! The order of runs: random in blocks of one A and one B, so that drift and periodic changes
//! affect both equally.

use fastrand::Rng;

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    /// The reference.
    A,
    /// The side to judge.
    B,
}

/// So many blocks of one A and one B, each in random order.
pub(crate) fn order(blocks: u32, seed: u64) -> Vec<Arm> {
    let mut rng = Rng::with_seed(seed);
    let block = |_| if rng.bool() { [Arm::A, Arm::B] } else { [Arm::B, Arm::A] };
    (0..blocks).flat_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_one_of_each() {
        for seed in 0..50 {
            let order = order(9, seed);
            assert_eq!(order.len(), 18);
            assert!(order.chunks(2).all(|block| block[0] != block[1]), "{seed}");
        }
        assert_eq!(order(9, 7), order(9, 7));
        let firsts = (0..50).filter(|&seed| order(1, seed)[0] == Arm::A).count();
        assert!((10..40).contains(&firsts), "{firsts}");
    }
}
