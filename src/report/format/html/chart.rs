//! A line chart as coordinates, for a template that draws it as SVG.

use serde::Serialize;

/// Width and height of a drawing, and its margins, in units of the drawing. Arbitrary: room for
/// ticks such as `100 ms` at the left and `99.9999` at the right, and three charts in a row of a
/// page.
const SIZE: (f64, f64) = (340.0, 190.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// A chart of one line.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// What it is of.
    pub title: String,
    /// What else there is to say.
    pub caption: String,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    events: Vec<Tick>,
    line: String,
    dots: Vec<Dot>,
}

#[derive(Debug, Serialize)]
struct Tick {
    at: String,
    label: String,
}

#[derive(Debug, Serialize)]
struct Dot {
    x: String,
    y: String,
    label: String,
}

/// Where values lie in a drawing. Both ranges are of what is drawn, and not empty.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// At the left and right edge.
    pub x: (f64, f64),
    /// At the lower and upper edge.
    pub y: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> String {
        at(value, self.x, (LEFT, SIZE.0 - RIGHT))
    }

    fn y(&self, value: f64) -> String {
        at(value, self.y, (SIZE.1 - BOTTOM, TOP))
    }
}

/// A value of one range in the other, to a tenth of a unit.
fn at(value: f64, of: (f64, f64), to: (f64, f64)) -> String {
    let share = ((value - of.0) / (of.1 - of.0)).clamp(0.0, 1.0);
    let share = if share.is_finite() { share } else { 0.0 };
    format!("{:.1}", to.0 + share * (to.1 - to.0))
}

impl Chart {
    /// An empty chart.
    #[must_use]
    pub fn new(title: String, caption: String) -> Self {
        Self {
            title,
            caption,
            width: SIZE.0,
            height: SIZE.1,
            left: LEFT,
            right: SIZE.0 - RIGHT,
            top: TOP,
            bottom: SIZE.1 - BOTTOM,
            x_ticks: Vec::new(),
            y_ticks: Vec::new(),
            events: Vec::new(),
            line: String::new(),
            dots: Vec::new(),
        }
    }

    /// With a vertical rule at each, and what it stands for below.
    #[must_use]
    pub fn x_ticks(mut self, frame: Frame, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        self.x_ticks = ticks.map(|(x, label)| Tick { at: frame.x(x), label }).collect();
        self
    }

    /// With a horizontal rule at each, and what it stands for at the left.
    #[must_use]
    pub fn y_ticks(mut self, frame: Frame, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        self.y_ticks = ticks.map(|(y, label)| Tick { at: frame.y(y), label }).collect();
        self
    }

    /// With a mark across it, where something happened.
    #[must_use]
    pub fn events(mut self, frame: Frame, events: impl Iterator<Item = (f64, String)>) -> Self {
        self.events = events.map(|(x, label)| Tick { at: frame.x(x), label }).collect();
        self
    }

    /// With a line through these points.
    #[must_use]
    pub fn line(mut self, frame: Frame, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let points = points.map(|(x, y)| format!("{},{}", frame.x(x), frame.y(y)));
        self.line = points.collect::<Vec<_>>().join(" ");
        self
    }

    /// With a dot at each of these, which tells what it is where one points at it.
    #[must_use]
    pub fn dots(mut self, frame: Frame, dots: impl Iterator<Item = (f64, f64, String)>) -> Self {
        let dot = |(x, y, label)| Dot { x: frame.x(x), y: frame.y(y), label };
        self.dots = dots.map(dot).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_within_the_drawing() {
        let frame = Frame { x: (0.0, 2.0), y: (0.0, 10.0) };
        let points = [(0.0, 0.0), (1.0, 5.0), (2.0, 10.0), (3.0, 99.0), (f64::NAN, 1.0)];
        let chart = Chart::new(String::new(), String::new()).line(frame, points.into_iter());
        assert_eq!(chart.line, "56.0,168.0 186.0,89.0 316.0,10.0 316.0,10.0 56.0,152.2");
    }
}
