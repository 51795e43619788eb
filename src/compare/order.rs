//! In which order runs are made: at random, in blocks of one of each, so that whatever changes with
//! time meets both alike, and what follows a rhythm meets neither more often.

use fastrand::Rng;

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// What is compared with.
    A,
    /// What is judged.
    B,
}

/// So many blocks of one A and one B, each in random order.
#[must_use]
pub fn order(blocks: u32, seed: u64) -> Vec<Arm> {
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
