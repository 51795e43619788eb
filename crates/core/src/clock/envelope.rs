//! Bounds from one side in bounded memory: the hull of all points, for lines, and the tightest
//! point of each stretch of time, for other curves.

/// Maximum vertices of a hull. Arbitrary: hulls of real delays have about ten. Excess vertices that
/// bend it least are removed, which can only widen a bound.
const HULL_CAP: usize = 1_024;

/// Maximum stretches of time with one point each; more are joined in pairs. Arbitrary: one per 17
/// ms in ten seconds, within which 200 ppm are 3 µs.
const STRETCH_CAP: usize = 1_024;

/// The initial stretch as a power of two of ns: about a millisecond. Arbitrary.
const FIRST_STRETCH: u32 = 20;

/// Maximum distance of a point from the origin in ns (36 years): products of two differences fit
/// into 128 bits. Arbitrary.
const FARTHEST_NS: i128 = 1 << 60;

/// A moment of the client's clock, and the upper bound of the offset there (or the negated lower
/// bound), both in ns from the first sample's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EnvelopePoint {
    pub(super) x: i64,
    pub(super) y: i64,
}

impl EnvelopePoint {
    /// `None` beyond [`FARTHEST_NS`].
    pub(super) fn new(x: i128, y: i128) -> Option<Self> {
        let near = x.abs() <= FARTHEST_NS && y.abs() <= FARTHEST_NS;
        near.then_some(Self { x: x as i64, y: y as i64 })
    }

    /// Twice the area of the triangle with `a` and `b` (`a.x` < `b.x`); not negative on the chord
    /// between them or above.
    fn above_chord(self, a: Self, b: Self) -> i128 {
        let wide = |to: i64, from: i64| i128::from(to) - i128::from(from);
        wide(b.x, a.x) * wide(self.y, a.y) - wide(b.y, a.y) * wide(self.x, a.x)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    /// The vertices of the lower hull, by time. A line below these is below every bound.
    pub(super) hull: Vec<EnvelopePoint>,
    /// The lowest bound of each stretch of time, by time.
    pub(super) tightest: Vec<EnvelopePoint>,
    joined: u32,
}

impl Envelope {
    pub(super) fn add(&mut self, point: EnvelopePoint) {
        self.add_to_hull(point);
        self.add_to_stretch(point);
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
        let of = |other: &EnvelopePoint, joined: u32| other.x >> (FIRST_STRETCH + joined);
        let stretch = of(&point, self.joined);
        let at = self.tightest.partition_point(|other| of(other, self.joined) < stretch);
        match self.tightest.get_mut(at) {
            Some(other) if of(other, self.joined) == stretch => {
                if point.y < other.y {
                    *other = point;
                }
            }
            _ => self.tightest.insert(at, point),
        }
        while self.tightest.len() > STRETCH_CAP {
            self.joined += 1;
            self.tightest.dedup_by(|next, lowest| {
                let same = of(next, self.joined) == of(lowest, self.joined);
                if same && next.y < lowest.y {
                    *lowest = *next;
                }
                same
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(points: impl Iterator<Item = (i64, i64)>) -> Envelope {
        let mut envelope = Envelope::default();
        points.for_each(|(x, y)| envelope.add(EnvelopePoint { x, y }));
        envelope
    }

    #[test]
    fn convex_hull_stays_below_its_cap() {
        let parabola = |x: i64| EnvelopePoint { x: x * 1_000, y: x * x };
        let envelope = envelope((-2_000..2_000).map(|x| (parabola(x).x, parabola(x).y)));
        let hull = &envelope.hull;
        assert_eq!(hull.len(), HULL_CAP);
        assert_eq!((hull[0], hull[HULL_CAP - 1]), (parabola(-2_000), parabola(1_999)));
    }

    #[test]
    fn joined_stretches_have_the_lowest_bound() {
        let points = (0..5_000).map(|at| (at << FIRST_STRETCH, (at - 3_000_i64).abs()));
        let envelope = envelope(points);
        assert_eq!(envelope.tightest.len(), 625);
        assert!(envelope.tightest.contains(&EnvelopePoint { x: 3_000 << FIRST_STRETCH, y: 0 }));
    }
}
