//! The offset between the clocks of two hosts, from exchanges between them.
//!
//! Delays are never negative, so a request bounds the offset from above and a reply from below;
//! queueing only widens a bound. The offset is a line over a run, and all lines within every bound
//! are a polygon in the plane of offset and drift (the linear programme of Moon, Skelly and
//! Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999,
//! in both directions at once). The estimate is its middle, the bound its half width.

use super::envelope::{Envelope, EnvelopePoint};

/// Maximum drift between two clocks in parts per billion. Arbitrary: quartz oscillators of
/// computers are within 100 ppm of true time.
pub const MAX_DRIFT_PPB: i64 = 200_000;

/// The same as a ratio.
const MAX_DRIFT: f64 = MAX_DRIFT_PPB as f64 / 1e9;

/// The resolution of `CLOCK_MONOTONIC` (kernel) in ns: a bound may be this much too tight.
const READING_NS: f64 = 1.0;

/// Fewer samples, or a shorter span in ns, show no drift, unless they contradict each other without
/// one. Arbitrary: in a second, a relevant drift (1 ppm) is 1 µs, less than delays vary.
const FEW: usize = 8;
const SHORT_NS: i64 = 1_000_000_000;

/// Relative rounding error of about ten operations: 2^-48, 32 times the last bit. Arbitrary.
const ROUNDING: f64 = 1.0 / (1_u64 << 48) as f64;

/// Steps of the search for the drift that contradicts the samples least. Arbitrary: a hundred times
/// two thirds of ±200 ppm is below the last bit of a double.
const SEARCH_STEPS: usize = 100;

/// The four moments of an exchange, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The client sent the request; client's clock.
    pub t1_ns: u64,
    /// The server received it; server's clock.
    pub t2_ns: u64,
    /// The server sent the reply; server's clock.
    pub t3_ns: u64,
    /// The client received it; client's clock.
    pub t4_ns: u64,
}

impl Sample {
    /// Round-trip time without the server's processing; `None` if a clock went back.
    pub fn rtt_ns(&self) -> Option<u64> {
        let total = self.t4_ns.checked_sub(self.t1_ns)?;
        total.checked_sub(self.t3_ns.checked_sub(self.t2_ns)?)
    }
}

/// The server's clock minus the client's, with its drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The moment of `offset_ns`, the middle of the sampled span; client's clock.
    pub at_ns: u64,
    /// Server's clock minus client's, at that moment.
    pub offset_ns: i64,
    /// Its growth in ns per second.
    pub drift_ppb: i64,
    /// The true offset is within ± this of [`Offset::at`] over the sampled span, if delays are not
    /// negative and the drift is steady (or, if the samples contradict that, any) and at most
    /// [`MAX_DRIFT_PPB`]. If they show that a clock was set, this only covers the samples.
    pub bound_ns: u64,
    /// The shortest round-trip time, without the server's processing.
    pub min_rtt_ns: u64,
    /// Number of exchanges.
    pub samples: usize,
}

impl Offset {
    /// The offset of a clock from itself: two ends on one host.
    pub const fn same_clock() -> Self {
        Self { at_ns: 0, offset_ns: 0, drift_ppb: 0, bound_ns: 0, min_rtt_ns: 0, samples: 0 }
    }

    /// Server's clock minus client's in ns, when the client's shows `client_ns`.
    pub fn at(&self, client_ns: u64) -> i64 {
        let since = i128::from(client_ns) - i128::from(self.at_ns);
        // 64 by 63 bits and a sign.
        let drift = since * i128::from(self.drift_ppb);
        let drift = drift.saturating_add(500_000_000).div_euclid(1_000_000_000);
        let offset = i128::from(self.offset_ns) + drift;
        offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// Estimates an [`Offset`] from any number of samples in at most about 64 KiB.
#[derive(Debug, Clone, Default)]
pub struct OffsetEstimator {
    /// Moment and upper bound of the first sample; the rest is relative to these.
    origin: Option<(u64, i64)>,
    /// Upper bounds, by requests.
    above: Envelope,
    /// Lower bounds negated, by replies.
    below: Envelope,
    span: (i64, i64),
    min_rtt_ns: u64,
    samples: usize,
}

impl OffsetEstimator {
    /// Adds a sample, in any order; returns false for an implausible one: a clock went back, or the
    /// clocks are more than 292 years apart, or 36 years from those of the first sample.
    #[must_use]
    pub fn push(&mut self, sample: Sample) -> bool {
        self.add(sample).is_some()
    }

    fn add(&mut self, sample: Sample) -> Option<()> {
        let rtt_ns = sample.rtt_ns()?;
        let minus = |a: u64, b: u64| i128::from(a) - i128::from(b);
        let highest = minus(sample.t2_ns, sample.t1_ns);
        let lowest = minus(sample.t3_ns, sample.t4_ns);
        let base = i64::try_from(highest).ok();
        let origin = self.origin.or_else(|| Some((sample.t1_ns, base?)))?;
        let (t0, offset) = (origin.0, i128::from(origin.1));
        let above = EnvelopePoint::new(minus(sample.t1_ns, t0), highest - offset)?;
        let below = EnvelopePoint::new(minus(sample.t4_ns, t0), offset - lowest)?;
        if self.samples == 0 {
            (self.span, self.min_rtt_ns) = ((above.x, below.x), rtt_ns);
        }
        self.origin = Some(origin);
        self.above.add(above);
        self.below.add(below);
        self.span = (self.span.0.min(above.x), self.span.1.max(below.x));
        self.min_rtt_ns = self.min_rtt_ns.min(rtt_ns);
        self.samples += 1;
        Some(())
    }

    /// The offset by all samples so far. Another sample within the same span can only narrow the
    /// bound (except for the rounding of `drift_ppb`).
    pub fn estimate(&self) -> Option<Offset> {
        let (t0, base) = self.origin?;
        let middle = self.span.0 + (self.span.1 - self.span.0) / 2;
        let frame = Frame { middle, half: ((self.span.1 - middle) as f64).max(1.0) };
        let (line, deviation) = match self.band(frame) {
            Some(band) => {
                let line = self.straight(frame, &band);
                (line, farthest_from(line, &band))
            }
            None => {
                let line = self.least_contradicted(frame).rounded(frame);
                (line, self.maximum_deviation(line, frame))
            }
        };
        let rounding = (line.offset.abs() + frame.half * MAX_DRIFT + deviation) * ROUNDING;
        Some(Offset {
            at_ns: (i128::from(t0) + i128::from(middle)) as u64,
            offset_ns: base.saturating_add(line.offset as i64),
            drift_ppb: line.drift_ppb(frame) as i64,
            // `Offset::at` rounds too.
            bound_ns: (deviation + 0.5 + rounding).ceil() as u64,
            min_rtt_ns: self.min_rtt_ns,
            samples: self.samples,
        })
    }

    /// The corners of the polygon of all lines within every bound; `None` if there is none.
    fn band(&self, frame: Frame) -> Option<Vec<Line>> {
        let most = frame.half * MAX_DRIFT;
        let least = |hull: &[EnvelopePoint]| hull.iter().map(|point| point.y).min();
        let high = least(&self.above.hull)? as f64 + READING_NS + most;
        let low = -(least(&self.below.hull)? as f64 + READING_NS + most);
        if low > high {
            return None;
        }
        let corner = |offset, tilt| Line { offset, tilt };
        let mut corners =
            vec![corner(low, -most), corner(high, -most), corner(high, most), corner(low, most)];
        for (hull, sign) in [(&self.above.hull, 1.0), (&self.below.hull, -1.0)] {
            for point in hull {
                let (at, limit) = (frame.scaled(point.x), point.y as f64 + READING_NS);
                corners = clip(&corners, |line| sign * line.at(at) - limit);
                if corners.is_empty() {
                    return None;
                }
            }
        }
        Some(corners)
    }

    fn straight(&self, frame: Frame, band: &[Line]) -> Line {
        let [(low_first, high_first), (low_last, high_last)] = ends(band);
        let few = self.samples < FEW || self.span.1 - self.span.0 < SHORT_NS;
        let (low, high) = self.limits(0.0, frame);
        if few && low <= high {
            let offset = f64::midpoint(low_first.min(low_last), high_first.max(high_last));
            return Line { offset: offset.round(), tilt: 0.0 };
        }
        let (first, last) =
            (f64::midpoint(low_first, high_first), f64::midpoint(low_last, high_last));
        Line { offset: f64::midpoint(first, last), tilt: (last - first) / 2.0 }.rounded(frame)
    }

    /// The lowest and highest offset of a line of this tilt within the bounds; crossed if none is.
    fn limits(&self, tilt: f64, frame: Frame) -> (f64, f64) {
        let least = |hull: &[EnvelopePoint], sign: f64| {
            let limit = |point: &EnvelopePoint| {
                point.y as f64 + READING_NS - sign * tilt * frame.scaled(point.x)
            };
            hull.iter().map(limit).fold(f64::INFINITY, f64::min)
        };
        (-least(&self.below.hull, -1.0), least(&self.above.hull, 1.0))
    }

    /// The line that exceeds the bounds least, if none is within them all.
    fn least_contradicted(&self, frame: Frame) -> Line {
        let gap = |tilt| {
            let (low, high) = self.limits(tilt, frame);
            low - high
        };
        // The gap is the maximum of many lines over the tilt, hence convex.
        let (mut from, mut to) = (-frame.half * MAX_DRIFT, frame.half * MAX_DRIFT);
        for _ in 0..SEARCH_STEPS {
            let third = (to - from) / 3.0;
            if gap(from + third) < gap(to - third) { to -= third } else { from += third }
        }
        let tilt = f64::midpoint(from, to);
        let (low, high) = self.limits(tilt, frame);
        Line { offset: f64::midpoint(low, high), tilt }
    }

    /// Maximum distance from this line of an offset with changing drift: by the tightest bounds of
    /// each stretch of time, between which it changes at most at the maximum drift.
    fn maximum_deviation(&self, line: Line, frame: Frame) -> f64 {
        let mut moments = self.moments();
        let raw = moments.clone();
        spread(&mut moments);
        // Contradictory even so: a clock was set. The bound then only covers the samples.
        let set = moments.iter().any(|moment| moment.low > moment.high);
        let of = |moment: &Moment| {
            let at = line.at(frame.scaled(moment.x));
            let (above, below) = (moment.high - at, at - moment.low);
            if set {
                let finite = |gap: f64| if gap.is_finite() { gap.abs() } else { 0.0 };
                return finite(above).max(finite(below)) + self.min_rtt_ns as f64;
            }
            above.max(below)
        };
        let steepest = MAX_DRIFT + (line.tilt / frame.half).abs();
        let moments = if set { raw } else { moments };
        let between = |pair: &[Moment]| {
            let apart = (pair[1].x - pair[0].x) as f64;
            of(&pair[0]).max(of(&pair[1])) + steepest * apart / 2.0
        };
        moments.windows(2).map(between).fold(0.0, f64::max)
    }

    /// The tightest bounds of each stretch and the ends of the span, by time.
    fn moments(&self) -> Vec<Moment> {
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        let end = |x| Moment { x, low, high };
        let limit = |point: &EnvelopePoint| point.y as f64 + READING_NS;
        let above = self.above.tightest.iter();
        let above = above.map(|point| Moment { x: point.x, low, high: limit(point) });
        let below = self.below.tightest.iter();
        let below = below.map(|point| Moment { x: point.x, low: -limit(point), high });
        let ends = [end(self.span.0), end(self.span.1)];
        let mut moments: Vec<_> = above.chain(below).chain(ends).collect();
        moments.sort_by_key(|moment| moment.x);
        moments
    }
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    x: i64,
    low: f64,
    high: f64,
}

/// Narrows the bounds of each moment by its neighbours, as far as drift allows.
fn spread(moments: &mut [Moment]) {
    let len = moments.len();
    let mut narrow = |at: usize, by: usize| {
        let (moment, by) = (moments[at], moments[by]);
        let most = (moment.x - by.x).abs() as f64 * MAX_DRIFT;
        let (low, high) = (moment.low.max(by.low - most), moment.high.min(by.high + most));
        moments[at] = Moment { x: moment.x, low, high };
    };
    (1..len).for_each(|at| narrow(at, at - 1));
    (1..len).rev().for_each(|at| narrow(at - 1, at));
}

/// Scales the sampled span to −1 … 1, so that doubles keep their digits.
#[derive(Debug, Clone, Copy)]
struct Frame {
    middle: i64,
    half: f64,
}

impl Frame {
    fn scaled(self, x: i64) -> f64 {
        (x - self.middle) as f64 / self.half
    }
}

/// An offset over the span in ns: in the middle, and its increase from there to the end.
#[derive(Debug, Clone, Copy)]
struct Line {
    offset: f64,
    tilt: f64,
}

impl Line {
    fn at(self, scaled: f64) -> f64 {
        self.offset + self.tilt * scaled
    }

    fn drift_ppb(self, frame: Frame) -> f64 {
        (self.tilt / frame.half * 1e9).round()
    }

    fn rounded(self, frame: Frame) -> Self {
        let tilt = self.drift_ppb(frame) * frame.half / 1e9;
        Self { offset: self.offset.round(), tilt }
    }
}

/// Lowest and highest offset of these lines at either end of the span.
fn ends(band: &[Line]) -> [(f64, f64); 2] {
    [-1.0, 1.0].map(|end| {
        let offsets = band.iter().map(|corner| corner.at(end));
        offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), offset| {
            (low.min(offset), high.max(offset))
        })
    })
}

/// Maximum distance of a line of the band from this one: at an end, as the band is convex.
fn farthest_from(line: Line, band: &[Line]) -> f64 {
    let [first, last] = ends(band);
    let distance = |(low, high): (f64, f64), at: f64| (high - at).max(at - low).max(0.0);
    distance(first, line.at(-1.0)).max(distance(last, line.at(1.0)))
}

/// The part of a convex polygon where `excess` is not positive (Sutherland and Hodgman, 1974).
fn clip(corners: &[Line], excess: impl Fn(Line) -> f64) -> Vec<Line> {
    let mut clipped = Vec::with_capacity(corners.len() + 1);
    for (at, &here) in corners.iter().enumerate() {
        let next = corners[(at + 1) % corners.len()];
        let (from, to) = (excess(here), excess(next));
        if from <= 0.0 {
            clipped.push(here);
        }
        if from * to < 0.0 {
            let part = from / (from - to);
            clipped.push(Line {
                offset: here.offset + (next.offset - here.offset) * part,
                tilt: here.tilt + (next.tilt - here.tilt) * part,
            });
        }
    }
    clipped
}
