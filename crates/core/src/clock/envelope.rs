//! What bounds a line from one side, in bounded memory: the hull of all points, which is all that
//! a line can touch, and the tightest point of each stretch of time, for what is no line.

/// The most vertices of a hull. Arbitrary: hulls of real delays have some ten. Excess vertices that
/// bend it least are removed, which can only widen a bound.
const HULL_CAP: usize = 1_024;

/// The most stretches of time with one point each; more are joined in pairs. Arbitrary: one per
/// 17 ms in ten seconds, within which 200 ppm are 3 µs.
const STRETCH_CAP: usize = 1_024;

/// A stretch at first, as a power of two of ns: 2^20 ns, about a millisecond. Arbitrary.
const FIRST_STRETCH: u32 = 20;

/// The farthest that a point may lie from the origin either way, in ns (36 years): the products
/// of two differences stay within 128 bits. Arbitrary.
pub(super) const FARTHEST_NS: i128 = 1 << 60;

/// A moment of the client's clock, and the upper bound of the offset there (or the negated lower
/// bound), both in ns from the first sample's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EnvelopePoint {
    pub(super) x: i64,
    pub(super) y: i64,
}

impl EnvelopePoint {
    /// Of two differences from the origin; `None` beyond [`FARTHEST_NS`].
    pub(super) fn new(x: i128, y: i128) -> Option<Self> {
        let near = x.abs() <= FARTHEST_NS && y.abs() <= FARTHEST_NS;
        near.then_some(Self { x: x as i64, y: y as i64 })
    }

    /// Twice the area of the triangle with `a` and `b` (`a.x` < `b.x`); not negative where this
    /// lies on the chord between them or above.
    fn above_chord(self, a: Self, b: Self) -> i128 {
        let wide = |to: i64, from: i64| i128::from(to) - i128::from(from);
        wide(b.x, a.x) * wide(self.y, a.y) - wide(b.y, a.y) * wide(self.x, a.x)
    }
}

/// Bounds from above.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    hull: Vec<EnvelopePoint>,
    tightest: Vec<EnvelopePoint>,
    stretch: u32,
}

impl Default for Envelope {
    fn default() -> Self {
        Self { hull: Vec::new(), tightest: Vec::new(), stretch: FIRST_STRETCH }
    }
}

impl Envelope {
    /// Takes a bound; order does not matter.
    pub(super) fn add(&mut self, point: EnvelopePoint) {
        self.add_to_hull(point);
        self.add_to_stretch(point);
    }

    /// The vertices of the lower hull, by time. A line below these is below every bound taken.
    pub(super) fn hull(&self) -> &[EnvelopePoint] {
        &self.hull
    }

    /// The lowest bound of each stretch of time, by time.
    pub(super) fn tightest(&self) -> &[EnvelopePoint] {
        &self.tightest
    }

    fn add_to_hull(&mut self, point: EnvelopePoint) {
        let hull = &mut self.hull;
        let mut at = hull.partition_point(|other| other.x < point.x);
        if hull.get(at).is_some_and(|other| other.x == point.x) {
            if hull[at].y <= point.y {
                return;
            }
            hull.remove(at);
        }
        if at > 0 && at < hull.len() && point.above_chord(hull[at - 1], hull[at]) >= 0 {
            return;
        }
        hull.insert(at, point);
        while at + 2 < hull.len() && hull[at + 1].above_chord(point, hull[at + 2]) >= 0 {
            hull.remove(at + 1);
        }
        while at >= 2 && hull[at - 1].above_chord(hull[at - 2], point) >= 0 {
            hull.remove(at - 1);
            at -= 1;
        }
        if hull.len() > HULL_CAP {
            let bend = |at: &usize| -hull[*at].above_chord(hull[at - 1], hull[at + 1]);
            if let Some(least) = (1..hull.len() - 1).min_by_key(bend) {
                hull.remove(least);
            }
        }
    }

    fn add_to_stretch(&mut self, point: EnvelopePoint) {
        let of = |other: &EnvelopePoint, stretch: u32| other.x >> stretch;
        let mine = of(&point, self.stretch);
        let at = self.tightest.partition_point(|other| of(other, self.stretch) < mine);
        match self.tightest.get_mut(at) {
            Some(other) if of(other, self.stretch) == mine => {
                if point.y < other.y {
                    *other = point;
                }
            }
            _ => self.tightest.insert(at, point),
        }
        while self.tightest.len() > STRETCH_CAP {
            self.stretch += 1;
            let stretch = self.stretch;
            self.tightest.dedup_by(|next, kept| {
                let same = of(next, stretch) == of(kept, stretch);
                if same && next.y < kept.y {
                    *kept = *next;
                }
                same
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: impl IntoIterator<Item = (i64, i64)>) -> Envelope {
        let mut envelope = Envelope::default();
        points.into_iter().for_each(|(x, y)| envelope.add(EnvelopePoint { x, y }));
        envelope
    }

    fn pairs(points: &[EnvelopePoint]) -> Vec<(i64, i64)> {
        points.iter().map(|point| (point.x, point.y)).collect()
    }

    #[test]
    fn a_hull_is_the_same_in_any_order() {
        let points = [(0, 5), (1, 9), (2, 1), (3, 3), (4, 2), (5, 7), (2, 4), (6, 7)];
        let forward = of(points);
        let backward = of(points.into_iter().rev());
        assert_eq!(pairs(forward.hull()), [(0, 5), (2, 1), (4, 2), (6, 7)]);
        assert_eq!(forward.hull(), backward.hull());
    }

    #[test]
    fn a_hull_that_only_bends_stays_below_its_cap() {
        let parabola = |x: i64| (x * 1_000, x * x);
        let envelope = of((-2_000..2_000).map(parabola));
        assert_eq!(envelope.hull().len(), HULL_CAP);
        let (first, last) = (parabola(-2_000), parabola(1_999));
        assert_eq!(pairs(&envelope.hull()[..1]), [first]);
        assert_eq!(pairs(&envelope.hull()[HULL_CAP - 1..]), [last]);
    }

    #[test]
    fn stretches_join_and_keep_the_lowest() {
        let envelope = of((0..5_000).map(|at| (at << FIRST_STRETCH, (at - 3_000_i64).abs())));
        assert_eq!(envelope.tightest().len(), 625);
        assert!(pairs(envelope.tightest()).contains(&(3_000 << FIRST_STRETCH, 0)));
    }
}
