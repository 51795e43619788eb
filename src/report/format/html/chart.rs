//! A line chart, drawn as SVG.

use crate::report::format::markup::escape;

/// Width and height of a drawing, and its margins, in units of the drawing. Arbitrary: space for
/// ticks such as `100 ms` at the left and `99.9999` at the right, and three charts in a row.
const SIZE: (f64, f64) = (340.0, 190.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// A chart of one line. Attributes in its SVG are for readers without the style of the page.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) caption: String,
    frame: Frame,
    svg: String,
}

/// The ranges of the values in a drawing; neither is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// At the left and right edge.
    pub(crate) x: (f64, f64),
    /// At the lower and upper edge.
    pub(crate) y: (f64, f64),
}

impl Frame {
    fn x(&self, value: f64) -> String {
        at(value, self.x, (LEFT, EDGE.0))
    }

    fn y(&self, value: f64) -> String {
        at(value, self.y, (EDGE.1, TOP))
    }
}

/// A value of one range in the other, to a tenth of a unit.
fn at(value: f64, of: (f64, f64), to: (f64, f64)) -> String {
    let share = ((value - of.0) / (of.1 - of.0)).clamp(0.0, 1.0);
    let share = if share.is_finite() { share } else { 0.0 };
    format!("{:.1}", to.0 + share * (to.1 - to.0))
}

/// The edges within the margins.
const EDGE: (f64, f64) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);

impl Chart {
    pub(crate) const fn new(title: String, caption: String, frame: Frame) -> Self {
        Self { title, caption, frame, svg: String::new() }
    }

    pub(crate) fn x_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let bottom = EDGE.1;
        for (x, label) in ticks {
            let (at, label) = (self.frame.x(x), escape(&label));
            self.svg += &format!(
                "<line class=\"grid\" stroke=\"#c8ced6\" x1=\"{at}\" x2=\"{at}\" y1=\"{TOP}\" \
                 y2=\"{bottom}\"/>\n<text font-size=\"10\" fill=\"#5c6570\" x=\"{at}\" \
                 y=\"{bottom}\" dy=\"13\" text-anchor=\"middle\">{label}</text>\n"
            );
        }
        self
    }

    pub(crate) fn y_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let right = EDGE.0;
        for (y, label) in ticks {
            let (at, label) = (self.frame.y(y), escape(&label));
            self.svg += &format!(
                "<line class=\"grid\" stroke=\"#c8ced6\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at}\" \
                 y2=\"{at}\"/>\n<text font-size=\"10\" fill=\"#5c6570\" x=\"{LEFT}\" dx=\"-4\" \
                 y=\"{at}\" dy=\"3\" text-anchor=\"end\">{label}</text>\n"
            );
        }
        self
    }

    /// Adds dashed vertical rules, each with a label for the pointer.
    pub(crate) fn events(mut self, events: impl Iterator<Item = (f64, String)>) -> Self {
        let bottom = EDGE.1;
        for (x, label) in events {
            let (at, label) = (self.frame.x(x), escape(&label));
            self.svg += &format!(
                "<line class=\"event\" stroke=\"#b06a00\" stroke-dasharray=\"3 3\" x1=\"{at}\" \
                 x2=\"{at}\" y1=\"{TOP}\" y2=\"{bottom}\"><title>{label}</title></line>\n"
            );
        }
        self
    }

    pub(crate) fn line(mut self, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let points = points.map(|(x, y)| format!("{},{}", self.frame.x(x), self.frame.y(y)));
        let points = points.collect::<Vec<_>>().join(" ");
        self.svg += &format!(
            "<polyline class=\"line\" fill=\"none\" stroke=\"#0b62c4\" stroke-width=\"1.8\" \
             points=\"{points}\"/>\n"
        );
        self
    }

    /// Adds dots, each with a label for the pointer.
    pub(crate) fn dots(mut self, dots: impl Iterator<Item = (f64, f64, String)>) -> Self {
        for (x, y, label) in dots {
            let (x, y, label) = (self.frame.x(x), self.frame.y(y), escape(&label));
            self.svg += &format!(
                "<circle class=\"dot\" fill=\"#0b62c4\" cx=\"{x}\" cy=\"{y}\" r=\"3\">\
                 <title>{label}</title></circle>\n"
            );
        }
        self
    }

    pub(super) fn figure(&self) -> String {
        let (width, height) = SIZE;
        let (title, caption, svg) = (escape(&self.title), escape(&self.caption), &self.svg);
        format!(
            "<figure>\n<figcaption><b>{title}</b> {caption}</figcaption>\n\
             <svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n\
             {svg}</svg>\n</figure>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_within_the_drawing() {
        let frame = Frame { x: (0.0, 2.0), y: (0.0, 10.0) };
        let points = [(0.0, 0.0), (1.0, 5.0), (2.0, 10.0), (3.0, 99.0), (f64::NAN, 1.0)];
        let chart = Chart::new(String::new(), String::new(), frame).line(points.into_iter());
        let line = "points=\"56.0,168.0 186.0,89.0 316.0,10.0 316.0,10.0 56.0,152.2\"";
        assert!(chart.svg.contains(line), "{}", chart.svg);
    }
}
