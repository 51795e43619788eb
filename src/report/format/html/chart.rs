//! Line charts, drawn as SVG: one panel, or several above one axis.

use crate::report::format::markup::escape;

/// Width and height of a drawing, and its margins, in units of the drawing. Arbitrary: space for
/// ticks such as `100 ms` at the left and `99.9999` at the right, and three charts in a row.
const SIZE: (f64, f64) = (340.0, 190.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// The height of one of several panels, and the space above for its label. Arbitrary: three fit a
/// screen of a phone, and hold two ticks.
const PANEL: f64 = 56.0;
const GAP: f64 = 18.0;

/// A chart of one line in each panel, or of several in one. Attributes in its SVG are for readers
/// without the style of the page.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) caption: String,
    frame: Frame,
    /// The upper and lower edge of the panel that is drawn.
    top: f64,
    bottom: f64,
    /// Of dots.
    radius: f64,
    /// Lines that can be hidden, each with its name.
    layers: Vec<(String, String)>,
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

/// A value of one range in the other, to a tenth of a unit.
fn at(value: f64, of: (f64, f64), to: (f64, f64)) -> String {
    format!("{:.1}", to.0 + share(value, of) * (to.1 - to.0))
}

/// Where a value is in a range: 0 at its lower end, 1 at its upper.
fn share(value: f64, of: (f64, f64)) -> f64 {
    let share = ((value - of.0) / (of.1 - of.0)).clamp(0.0, 1.0);
    if share.is_finite() { share } else { 0.0 }
}

/// The edges within the margins.
const EDGE: (f64, f64) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);

impl Chart {
    pub(crate) const fn new(title: String, caption: String, frame: Frame) -> Self {
        Self {
            title,
            caption,
            frame,
            top: TOP,
            bottom: EDGE.1,
            radius: 3.0,
            layers: Vec::new(),
            svg: String::new(),
        }
    }

    /// A chart without a panel, to which [`Self::panel`] adds them.
    pub(crate) const fn of_panels(title: String, caption: String) -> Self {
        let frame = Frame { x: (0.0, 1.0), y: (0.0, 1.0) };
        Self {
            title,
            caption,
            frame,
            top: 0.0,
            bottom: 0.0,
            radius: 1.6,
            layers: Vec::new(),
            svg: String::new(),
        }
    }

    /// Adds a labelled panel below; what follows is drawn there.
    pub(crate) fn panel(mut self, frame: Frame, label: &str) -> Self {
        (self.frame, self.top) = (frame, self.bottom + GAP);
        self.bottom = self.top + PANEL;
        self.svg += &format!(
            "<text font-size=\"10\" fill=\"#5c6570\" x=\"{LEFT}\" y=\"{}\" dy=\"-5\">{}</text>\n",
            self.top,
            escape(label)
        );
        self
    }

    fn x(&self, value: f64) -> String {
        at(value, self.frame.x, (LEFT, EDGE.0))
    }

    fn y(&self, value: f64) -> String {
        at(value, self.frame.y, (self.bottom, self.top))
    }

    /// Adds vertical rules with a label below each; an empty label is omitted.
    pub(crate) fn x_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let (top, bottom) = (self.top, self.bottom);
        for (x, label) in ticks {
            let (at, label) = (self.x(x), escape(&label));
            self.svg += &format!(
                "<line class=\"grid\" stroke=\"#c8ced6\" x1=\"{at}\" x2=\"{at}\" y1=\"{top}\" \
                 y2=\"{bottom}\"/>\n"
            );
            if !label.is_empty() {
                self.svg += &format!(
                    "<text font-size=\"10\" fill=\"#5c6570\" x=\"{at}\" y=\"{bottom}\" dy=\"13\" \
                     text-anchor=\"middle\">{label}</text>\n"
                );
            }
        }
        self
    }

    /// Shades ranges of x, each as strong as its weight of 0 to 1, with a label for the pointer.
    pub(crate) fn shades(
        mut self,
        ranges: impl Iterator<Item = ((f64, f64), f64, String)>,
    ) -> Self {
        let top = self.top;
        for ((from, to), weight, label) in ranges {
            // Even the lightest can be seen, and the line on the darkest.
            let opacity = weight.clamp(0.0, 1.0).mul_add(0.3, 0.1);
            let x = self.x(from);
            let width = (share(to, self.frame.x) - share(from, self.frame.x)) * (EDGE.0 - LEFT);
            self.svg += &format!(
                "<rect class=\"stall\" fill=\"#b06a00\" fill-opacity=\"{opacity:.2}\" x=\"{x}\" \
                 y=\"{top}\" width=\"{width:.1}\" height=\"{PANEL}\"><title>{}</title></rect>\n",
                escape(&label)
            );
        }
        self
    }

    pub(crate) fn y_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let right = EDGE.0;
        for (y, label) in ticks {
            let (at, label) = (self.y(y), escape(&label));
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
        let (top, bottom) = (self.top, self.bottom);
        for (x, label) in events {
            let (at, label) = (self.x(x), escape(&label));
            self.svg += &format!(
                "<line class=\"event\" stroke=\"#b06a00\" stroke-dasharray=\"3 3\" x1=\"{at}\" \
                 x2=\"{at}\" y1=\"{top}\" y2=\"{bottom}\"><title>{label}</title></line>\n"
            );
        }
        self
    }

    pub(crate) fn line(mut self, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let points = self.points(points);
        self.svg += &format!(
            "<polyline class=\"line\" fill=\"none\" stroke=\"#0b62c4\" stroke-width=\"1.8\" \
             points=\"{points}\"/>\n"
        );
        self
    }

    /// Adds a line of an own colour, with a box that shows and hides it.
    pub(super) fn layer(mut self, name: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let points = self.points(points);
        // By the golden angle, so that the hues of few lines and of many differ.
        let hue = self.layers.len() * 137 % 360;
        let color = format!("hsl({hue}, 65%, 47%)");
        let name = escape(name);
        let key = format!(
            "<label><input type=\"checkbox\" checked=\"checked\" style=\"accent-color: {color}\"/> \
             {name}</label>\n"
        );
        let line = format!("<polyline fill=\"none\" stroke=\"{color}\" points=\"{points}\"/>");
        self.layers.push((key, line));
        self
    }

    fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let points = points.map(|(x, y)| format!("{},{}", self.x(x), self.y(y)));
        points.collect::<Vec<_>>().join(" ")
    }

    /// Adds dots, each with a label for the pointer.
    pub(crate) fn dots(mut self, dots: impl Iterator<Item = (f64, f64, String)>) -> Self {
        let radius = self.radius;
        for (x, y, label) in dots {
            let (x, y, label) = (self.x(x), self.y(y), escape(&label));
            self.svg += &format!(
                "<circle class=\"dot\" fill=\"#0b62c4\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\">\
                 <title>{label}</title></circle>\n"
            );
        }
        self
    }

    pub(super) fn figure(&self) -> String {
        let (width, height) = (SIZE.0, self.bottom + BOTTOM);
        let (title, caption, svg) = (escape(&self.title), escape(&self.caption), &self.svg);
        let class = if self.layers.is_empty() { "" } else { " class=\"overlay\"" };
        let size = format!("viewBox=\"0 0 {width} {height}\"");
        let mut out = format!(
            "<figure{class}>\n<figcaption><b>{title}</b> {caption}</figcaption>\n<div>\n\
             <svg {size} role=\"img\" aria-label=\"{title}\">\n{svg}</svg>\n"
        );
        for (key, line) in &self.layers {
            out += &format!("{key}<svg {size} aria-hidden=\"true\">{line}</svg>\n");
        }
        out + "</div>\n</figure>\n"
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
