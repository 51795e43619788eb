//! The offset between the clocks of two hosts, from exchanges between them.
//!
//! Delays are never negative, so a request bounds the offset from above and a reply from below;
//! queueing only loosens a bound. The offset is a line over a run, and all lines that keep every
//! bound are a polygon in the plane of offset and drift (the linear programme of Moon, Skelly and
//! Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999,
//! in both directions at once). The estimate is its middle, the bound its half width.

use super::envelope::{Envelope, EnvelopePoint};

/// The most that two clocks drift apart, in parts per billion. Arbitrary: quartz oscillators of
/// computers keep within 100 ppm of true, so two of them within 200 ppm of each other.
pub const MAX_DRIFT_PPB: i64 = 200_000;

/// The same as a ratio.
const MAX_DRIFT: f64 = MAX_DRIFT_PPB as f64 / 1e9;

/// A clock reading is cut to whole ns, so a bound may be this much too tight. `CLOCK_MONOTONIC`
/// counts in such (kernel).
const READING_NS: f64 = 1.0;

/// Fewer samples than these show no drift, unless they contradict each other without. Arbitrary.
const FEW: usize = 8;

/// In a shorter span than this, in ns, the same. Arbitrary: in a second, a drift that matters
/// (1 ppm) moves the offset by 1 µs, less than delays vary.
const SHORT_NS: i64 = 1_000_000_000;

/// What rounding of doubles may take, relative to the figures: 2^-48, 32 times their last bit.
/// Arbitrary: some ten operations.
const ROUNDING: f64 = 1.0 / (1_u64 << 48) as f64;

/// Halvings of the search for the drift that contradicts bent data least. Arbitrary: thirds of
/// ±200 ppm, a hundred times, are below the last bit of a double.
const HALVINGS: usize = 100;

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
    pub const fn rtt_ns(&self) -> Option<u64> {
        let (Some(whole), Some(held)) =
            (self.t4_ns.checked_sub(self.t1_ns), self.t3_ns.checked_sub(self.t2_ns))
        else {
            return None;
        };
        whole.checked_sub(held)
    }
}

/// What is to be added to the client's clock to get the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The moment of `offset_ns`, the middle of the sampled span; client's clock.
    pub at_ns: u64,
    /// Server's clock minus client's, at that moment.
    pub offset_ns: i64,
    /// By how much that grows, in ns a second.
    pub drift_ppb: i64,
    /// The true offset is within ± this of [`Offset::at`] over the sampled span, if delays are not
    /// negative and the drift is steady and at most [`MAX_DRIFT_PPB`]; if the samples show that it
    /// was not steady, if it kept that limit at each moment. If they show that a clock was set,
    /// this only covers the kept samples.
    pub bound_ns: u64,
    /// The fastest exchange, without the server's hold.
    pub min_rtt_ns: u64,
    /// How many exchanges.
    pub samples: usize,
}

impl Offset {
    /// That of one clock from itself: two ends on one host.
    pub const fn same_clock() -> Self {
        Self { at_ns: 0, offset_ns: 0, drift_ppb: 0, bound_ns: 0, min_rtt_ns: 0, samples: 0 }
    }

    /// Server's clock minus client's in ns, when the client's shows `client_ns`.
    pub fn at(&self, client_ns: u64) -> i64 {
        let since = i128::from(client_ns) - i128::from(self.at_ns);
        // 64 by 63 bits and a sign.
        let moved = since * i128::from(self.drift_ppb);
        let moved = moved.saturating_add(500_000_000).div_euclid(1_000_000_000);
        let offset = i128::from(self.offset_ns) + moved;
        offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// Estimates an [`Offset`] from samples, in at most about 64 KiB however many there are.
#[derive(Debug, Clone, Default)]
pub struct OffsetEstimator {
    /// The first sample's moment and upper bound: all else is relative to these.
    origin: Option<(u64, i64)>,
    /// Upper bounds, by requests.
    above: Envelope,
    /// Lower bounds negated, by replies.
    below: Envelope,
    /// First and last moment.
    span: (i64, i64),
    min_rtt_ns: u64,
    samples: usize,
}

impl OffsetEstimator {
    /// Adds a sample, in any order; returns false for an implausible one: a clock went back, or the
    /// clocks are more than 292 years apart, or 36 years from those of the first sample.
    #[must_use]
    pub fn push(&mut self, sample: Sample) -> bool {
        self.take(sample).is_some()
    }

    fn take(&mut self, sample: Sample) -> Option<()> {
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

    /// The offset by all samples so far; `None` without any. Within the same span, another sample
    /// can only narrow the bound (within the rounding of `drift_ppb`).
    pub fn estimate(&self) -> Option<Offset> {
        let (t0, base) = self.origin?;
        let middle = self.span.0 + (self.span.1 - self.span.0) / 2;
        let frame = Frame { middle, half: ((self.span.1 - middle) as f64).max(1.0) };
        let (line, deviation) = match self.band(frame) {
            Some(band) => {
                let line = self.straight(frame, &band);
                (line, band.farthest_from(line))
            }
            None => {
                let line = self.least_contradicted(frame).rounded(frame);
                (line, self.farthest_if_bent(line, frame))
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

    /// All lines that keep every bound; `None` where there is none.
    fn band(&self, frame: Frame) -> Option<Band> {
        let most = frame.half * MAX_DRIFT;
        let least = |hull: &[EnvelopePoint]| hull.iter().map(|point| point.y).min();
        let high = least(self.above.hull())? as f64 + READING_NS + most;
        let low = -(least(self.below.hull())? as f64 + READING_NS + most);
        if low > high {
            return None;
        }
        let corner = |offset, tilt| Line { offset, tilt };
        let mut corners =
            vec![corner(low, -most), corner(high, -most), corner(high, most), corner(low, most)];
        for (hull, sign) in [(self.above.hull(), 1.0), (self.below.hull(), -1.0)] {
            for point in hull {
                let (at, limit) = (frame.scaled(point.x), point.y as f64 + READING_NS);
                corners = clip(&corners, |line| sign * line.at(at) - limit);
                if corners.is_empty() {
                    return None;
                }
            }
        }
        Some(Band { corners })
    }

    /// The line in the middle of the band, flat where that will do and little is known.
    fn straight(&self, frame: Frame, band: &Band) -> Line {
        let [(low_first, high_first), (low_last, high_last)] = band.ends();
        let little = self.samples < FEW || self.span.1 - self.span.0 < SHORT_NS;
        let flat = Line { offset: 0.0, tilt: 0.0 };
        let (low, high) = self.limits(flat, frame);
        if little && low <= high {
            let offset = f64::midpoint(low_first.min(low_last), high_first.max(high_last));
            return Line { offset: offset.round(), tilt: 0.0 };
        }
        let (first, last) =
            (f64::midpoint(low_first, high_first), f64::midpoint(low_last, high_last));
        Line { offset: f64::midpoint(first, last), tilt: (last - first) / 2.0 }.rounded(frame)
    }

    /// Between which offsets a line of this tilt keeps the bounds; crossed where it cannot.
    fn limits(&self, line: Line, frame: Frame) -> (f64, f64) {
        let least = |hull: &[EnvelopePoint], sign: f64| {
            let room = |point: &EnvelopePoint| {
                point.y as f64 + READING_NS - sign * line.at(frame.scaled(point.x))
            };
            hull.iter().map(room).fold(f64::INFINITY, f64::min)
        };
        (-least(self.below.hull(), -1.0), least(self.above.hull(), 1.0))
    }

    /// The line that breaks the bounds by least, where none keeps them all.
    fn least_contradicted(&self, frame: Frame) -> Line {
        let of = |tilt| self.limits(Line { offset: 0.0, tilt }, frame);
        let gap = |tilt| {
            let (low, high) = of(tilt);
            low - high
        };
        // The gap is the greatest of many lines over the tilt, hence convex.
        let (mut from, mut to) = (-frame.half * MAX_DRIFT, frame.half * MAX_DRIFT);
        for _ in 0..HALVINGS {
            let third = (to - from) / 3.0;
            if gap(from + third) < gap(to - third) { to -= third } else { from += third }
        }
        let tilt = f64::midpoint(from, to);
        let (low, high) = of(tilt);
        Line { offset: f64::midpoint(low, high), tilt }
    }

    /// Maximum distance from this line of an offset with changing drift: by the tightest bounds of
    /// each stretch of time, between which it moves at most at the greatest drift.
    fn farthest_if_bent(&self, line: Line, frame: Frame) -> f64 {
        let mut moments = self.moments();
        let raw = moments.clone();
        spread(&mut moments);
        // Not even so: a clock was set. All that is left is to reach as far as all bounds.
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
        let above = self.above.tightest().iter();
        let below = self.below.tightest().iter();
        let mut moments: Vec<_> = above
            .map(|point| Moment { x: point.x, low, high: point.y as f64 + READING_NS })
            .chain(below.map(|point| {
                let low = -(point.y as f64 + READING_NS);
                Moment { x: point.x, low, high }
            }))
            .chain([end(self.span.0), end(self.span.1)])
            .collect();
        moments.sort_by_key(|moment| moment.x);
        moments
    }
}

/// Between what the offset is at a moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    x: i64,
    low: f64,
    high: f64,
}

/// Lets each moment bound its neighbours, as far as drift allows.
fn spread(moments: &mut [Moment]) {
    let narrow = |moment: &mut Moment, by: Moment| {
        let most = (moment.x - by.x).abs() as f64 * MAX_DRIFT;
        moment.high = moment.high.min(by.high + most);
        moment.low = moment.low.max(by.low - most);
    };
    for at in 1..moments.len() {
        let before = moments[at - 1];
        narrow(&mut moments[at], before);
    }
    for at in (1..moments.len()).rev() {
        let after = moments[at];
        narrow(&mut moments[at - 1], after);
    }
}

/// Puts the sampled span on −1 … 1, so that doubles keep their digits.
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

/// An offset over the span: in the middle, and by how much more at its end, in ns.
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

    /// As an [`Offset`] can say it.
    fn rounded(self, frame: Frame) -> Self {
        let tilt = self.drift_ppb(frame) * frame.half / 1e9;
        Self { offset: self.offset.round(), tilt }
    }
}

/// All lines that keep the bounds: a convex polygon.
#[derive(Debug, Clone)]
struct Band {
    corners: Vec<Line>,
}

impl Band {
    /// Lowest and highest offset at either end of the span.
    fn ends(&self) -> [(f64, f64); 2] {
        [-1.0, 1.0].map(|end| {
            let offsets = self.corners.iter().map(|corner| corner.at(end));
            offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), offset| {
                (low.min(offset), high.max(offset))
            })
        })
    }

    /// Maximum distance of a line of the band from this one: at an end, as the band is convex.
    fn farthest_from(&self, line: Line) -> f64 {
        let of =
            |(end, (low, high)): (f64, (f64, f64))| (high - line.at(end)).max(line.at(end) - low);
        [-1.0, 1.0].into_iter().zip(self.ends()).map(of).fold(0.0, f64::max)
    }
}

/// The part of a convex polygon where `excess` is not positive (Sutherland and Hodgman, 1974).
fn clip(corners: &[Line], excess: impl Fn(Line) -> f64) -> Vec<Line> {
    let mut kept = Vec::with_capacity(corners.len() + 1);
    for (at, &here) in corners.iter().enumerate() {
        let next = corners[(at + 1) % corners.len()];
        let (mine, its) = (excess(here), excess(next));
        if mine <= 0.0 {
            kept.push(here);
        }
        if (mine < 0.0 && its > 0.0) || (mine > 0.0 && its < 0.0) {
            let part = mine / (mine - its);
            kept.push(Line {
                offset: here.offset + (next.offset - here.offset) * part,
                tilt: here.tilt + (next.tilt - here.tilt) * part,
            });
        }
    }
    kept
}
