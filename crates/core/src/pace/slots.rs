//! The moments of a schedule in nanoseconds since the start.

use fastrand::Rng;

use crate::unit::{PacketRate, hash_u64};

/// The period in nanoseconds is this number divided by the rate in thousandths of a datagram a
/// second.
const NS_MILLI: u128 = 1_000_000_000_000;

/// The distribution of slots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// At equal distances.
    Even(PacketRate),
    /// Groups of this size at equal distances; the rate is the mean.
    Burst(PacketRate, u32),
    /// Independent of each other: exponential gaps, from a seed.
    Poisson(PacketRate, u64),
    /// Linearly from one rate to another over this time in ns, then at the second one.
    Ramp(PacketRate, PacketRate, u64),
    /// At these moments in ns, which never decrease, repeatedly.
    Recorded(&'static [u64]),
}

/// The part of a common schedule that one worker has: every `of`-th slot from `index` on, so that
/// workers are staggered and share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// This worker's number, below `of`.
    pub index: u64,
    /// How many workers share the schedule; at least 1.
    pub of: u64,
}

/// An endless sequence of intended moments for one worker; never decreasing.
#[derive(Debug, Clone)]
pub enum Slots {
    /// Exact rational steps (even, burst).
    Grid(SlotGrid),
    /// Exponential gaps.
    Poisson(Poisson),
    /// Growing or shrinking gaps.
    Ramp(Ramp),
    /// Recorded gaps.
    Recorded(Recorded),
}

impl Slots {
    /// The slots of `part` of a schedule.
    pub fn new(arrivals: Arrivals, part: Part) -> Self {
        match arrivals {
            Arrivals::Even(rate) => Self::Grid(SlotGrid::new(rate, 1, part)),
            Arrivals::Burst(rate, size) => Self::Grid(SlotGrid::new(rate, size.max(1), part)),
            Arrivals::Poisson(rate, seed) => Self::Poisson(Poisson::new(rate, seed, part)),
            Arrivals::Ramp(from, to, over_ns) => Self::Ramp(Ramp::new(from, to, over_ns, part)),
            Arrivals::Recorded(moments_ns) => Self::Recorded(Recorded::new(moments_ns, part)),
        }
    }

    /// The next intended moment.
    #[inline]
    pub fn next_ns(&mut self) -> u64 {
        match self {
            Self::Grid(grid) => grid.next_ns(),
            Self::Poisson(poisson) => poisson.next_ns(),
            Self::Ramp(ramp) => ramp.next_ns(),
            Self::Recorded(recorded) => recorded.next_ns(),
        }
    }
}

/// Steps of an exact rational length: the i-th moment is ⌊i · step⌋; the remainder is carried.
#[derive(Debug, Clone)]
pub struct SlotGrid {
    at_ns: u64,
    remainder: u64,
    step_ns: u64,
    step_remainder: u64,
    divisor: u64,
    group: u32,
    left_in_group: u32,
}

impl SlotGrid {
    fn new(rate: PacketRate, group: u32, part: Part) -> Self {
        let divisor = rate.milli_pps();
        let split = |groups: u64| {
            let ns_milli = NS_MILLI * u128::from(group) * u128::from(groups);
            ((ns_milli / u128::from(divisor)) as u64, (ns_milli % u128::from(divisor)) as u64)
        };
        let (at_ns, remainder) = split(part.index);
        let (step_ns, step_remainder) = split(part.of);
        let left_in_group = group;
        Self { at_ns, remainder, step_ns, step_remainder, divisor, group, left_in_group }
    }

    #[inline]
    fn next_ns(&mut self) -> u64 {
        let at_ns = self.at_ns;
        self.left_in_group -= 1;
        if self.left_in_group == 0 {
            self.left_in_group = self.group;
            self.at_ns = self.at_ns.saturating_add(self.step_ns);
            self.remainder += self.step_remainder;
            if self.remainder >= self.divisor {
                self.remainder -= self.divisor;
                self.at_ns = self.at_ns.saturating_add(1);
            }
        }
        at_ns
    }
}

/// Exponential gaps. Each worker has its own generator at its part of the rate: the sum of
/// independent Poisson processes is one at the sum of their rates.
#[derive(Debug, Clone)]
pub struct Poisson {
    at_ns: f64,
    mean_gap_ns: f64,
    random: Rng,
}

impl Poisson {
    fn new(rate: PacketRate, seed: u64, part: Part) -> Self {
        let mean_gap_ns = 1e9 / rate.pps() * part.of as f64;
        // Hashed, so that consecutive seeds or workers do not draw the same sequence shifted.
        let random = Rng::with_seed(hash_u64(seed.wrapping_add(hash_u64(part.index))));
        let mut poisson = Self { at_ns: 0.0, mean_gap_ns, random };
        poisson.next_ns();
        poisson
    }

    #[inline]
    fn next_ns(&mut self) -> u64 {
        let at_ns = self.at_ns as u64;
        // In (0, 1], so the logarithm is finite.
        let uniform = 1.0 - self.random.f64();
        self.at_ns -= uniform.ln() * self.mean_gap_ns;
        at_ns
    }
}

/// The moments of a capture, repeated; each round begins a mean gap after the last moment.
#[derive(Debug, Clone)]
pub struct Recorded {
    moments_ns: &'static [u64],
    slot: u64,
    stride: u64,
    period_ns: u64,
}

impl Recorded {
    fn new(moments_ns: &'static [u64], part: Part) -> Self {
        /// The minimum mean gap, as all moments may be the same, and the gap of a single moment.
        /// Arbitrary: only floods have more than a million a second.
        const MIN_GAP_NS: u64 = 1_000;
        const SINGLE_GAP_NS: u64 = 1_000_000_000;
        let (len, last_ns) = (moments_ns.len() as u64, moments_ns.last().copied().unwrap_or(0));
        let gap_ns = last_ns.checked_div(len.saturating_sub(1)).unwrap_or(SINGLE_GAP_NS);
        let period_ns = last_ns.saturating_add(gap_ns).max(len.saturating_mul(MIN_GAP_NS));
        Self { moments_ns, slot: part.index, stride: part.of, period_ns }
    }

    #[inline]
    fn next_ns(&mut self) -> u64 {
        let len = (self.moments_ns.len() as u64).max(1);
        let (round, at) = (self.slot / len, (self.slot % len) as usize);
        self.slot += self.stride;
        let in_round_ns = self.moments_ns.get(at).copied().unwrap_or_default();
        round.saturating_mul(self.period_ns).saturating_add(in_round_ns)
    }
}

/// A linearly changing rate: after t, from·t + (to − from)·t²/2T datagrams should have left.
#[derive(Debug, Clone)]
pub struct Ramp {
    slot: u64,
    stride: u64,
    from_per_ns: f64,
    to_per_ns: f64,
    over_ns: f64,
    /// Datagrams due when the ramp ends.
    total: f64,
}

impl Ramp {
    fn new(from: PacketRate, to: PacketRate, over_ns: u64, part: Part) -> Self {
        let (from_per_ns, to_per_ns) = (from.pps() / 1e9, to.pps() / 1e9);
        let over_ns = over_ns.max(1) as f64;
        let total = (from_per_ns + to_per_ns) / 2.0 * over_ns;
        Self { slot: part.index, stride: part.of, from_per_ns, to_per_ns, over_ns, total }
    }

    #[inline]
    fn next_ns(&mut self) -> u64 {
        let slot = self.slot as f64;
        self.slot += self.stride;
        // A slot within a millionth of the end counts as after it: rounding.
        let at_ns = if slot + 1e-6 < self.total {
            let growth = (self.to_per_ns - self.from_per_ns) / self.over_ns;
            // The form of the root that stays exact when growth is near zero.
            let root = (self.from_per_ns * self.from_per_ns + 2.0 * growth * slot).max(0.0).sqrt();
            2.0 * slot / (self.from_per_ns + root)
        } else {
            self.over_ns + (slot - self.total).max(0.0) / self.to_per_ns
        };
        at_ns as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(pps: f64) -> PacketRate {
        PacketRate::from_pps(pps).unwrap()
    }

    fn slots(arrivals: Arrivals, part: Part, count: usize) -> Vec<u64> {
        let mut slots = Slots::new(arrivals, part);
        (0..count).map(|_| slots.next_ns()).collect()
    }

    const ALONE: Part = Part { index: 0, of: 1 };

    #[test]
    fn computes_recorded_and_burst_slots() {
        let half = Part { index: 1, of: 2 };
        let capture = Arrivals::Recorded(&[0, 5_000, 100_000]);
        let burst = Arrivals::Burst(rate(1_000.0), 3);
        for (arrivals, part, expected) in [
            (capture, ALONE, &[0, 5_000, 100_000, 150_000, 155_000, 250_000, 300_000][..]),
            (capture, half, &[5_000, 150_000, 250_000]),
            (Arrivals::Recorded(&[7]), ALONE, &[7, 1_000_000_014]),
            (Arrivals::Recorded(&[0; 2]), ALONE, &[0, 0, 2_000, 2_000, 4_000]),
            (burst, ALONE, &[0, 0, 0, 3_000_000, 3_000_000, 3_000_000, 6_000_000]),
        ] {
            assert_eq!(slots(arrivals, part, expected.len()), expected);
        }
    }

    #[test]
    fn parts_interleave() {
        let arrivals = Arrivals::Ramp(rate(1_000.0), rate(90_000.0), 1_000_000_000);
        let whole = slots(arrivals, ALONE, 300);
        let mut parts: Vec<_> =
            (0..3).flat_map(|index| slots(arrivals, Part { index, of: 3 }, 100)).collect();
        parts.sort_unstable();
        assert_eq!(parts, whole);
    }

    #[test]
    fn a_ramp_has_its_mean_rate() {
        for (from, to) in [(10_000.0, 50_000.0), (50_000.0, 10_000.0), (30_000.0, 30_000.0)] {
            let arrivals = Arrivals::Ramp(rate(from), rate(to), 1_000_000_000);
            let within = slots(arrivals, ALONE, 40_000);
            let due = within.iter().filter(|&&ns| ns < 1_000_000_000).count();
            assert!(due.abs_diff(30_000) <= 1, "{due}");
            assert!(within.is_sorted());
        }
    }

    #[test]
    fn poisson_workers_share_no_sequence() {
        for seed in [0, 1, 2, 8, 42, u64::MAX] {
            let gaps = |index| -> std::collections::BTreeSet<u64> {
                let arrivals = Arrivals::Poisson(rate(1_000.0), seed);
                let all = slots(arrivals, Part { index, of: 3 }, 500);
                all.windows(2).map(|pair| pair[1] - pair[0]).collect()
            };
            let shared = gaps(0).intersection(&gaps(1)).count();
            assert!(shared < 10, "seed {seed}: {shared} of 499 gaps are the same");
        }
    }

    #[test]
    fn poisson_is_repeatable_and_has_its_mean() {
        let arrivals = Arrivals::Poisson(rate(100_000.0), 42);
        let all = slots(arrivals, ALONE, 100_000);
        assert_eq!(all, slots(arrivals, ALONE, 100_000));
        assert_ne!(all, slots(Arrivals::Poisson(rate(100_000.0), 43), ALONE, 100_000));
        // 100,000 exponential gaps of 10 µs: the sum has a standard deviation of 0.3 %.
        assert!(all.last().unwrap().abs_diff(1_000_000_000) < 20_000_000);
        let gaps = all.windows(2).map(|pair| (pair[1] - pair[0]) as f64 - 1e4);
        let deviation = (gaps.map(|gap| gap.powi(2)).sum::<f64>() / 1e5).sqrt();
        assert!((deviation / 1e4 - 1.0).abs() < 0.05);
    }
}
