//! Charts drawn as SVG: lines in one panel or several above one axis, or rows of bars or points.

mod heat;
mod rows;

pub(crate) use heat::HeatCell;
pub(crate) use rows::ChartRow;

use crate::report::format::markup::escape;
use crate::report::format::text::style::display_width;

/// Width and height of a drawing, and its margins, in units of the drawing. Arbitrary: space for
/// ticks such as `100 ms` at the left and `99.9999` at the right, and three charts in a row.
const SIZE: (f64, f64) = (340.0, 190.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;

/// The height of one of several panels, and the space above for its label. Arbitrary: three fit a
/// screen of a phone, and hold two ticks.
pub(crate) const PANEL: f64 = 56.0;
const GAP: f64 = 18.0;

/// Half the width of a letter, at most, on average. Measured: `0.010 points` in the font of labels.
const HALF_LETTER: f64 = 3.0;

/// The height of a line of text. Measured: in the font of labels.
const LINE: f64 = 11.0;

/// The most points of a line of which each has a dot with its value for the pointer. Arbitrary: the
/// dots of more would cover the line.
const MOST_DOTS: usize = 120;

/// A chart of lines in panels, or of rows. Attributes in its SVG are for readers without the style
/// of the page.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) caption: String,
    frame: Frame,
    /// The edges of the panel that is drawn.
    top: f64,
    bottom: f64,
    left: f64,
    /// Of dots.
    radius: f64,
    /// Lines that can be hidden, each with its name.
    layers: Vec<(String, String)>,
    svg: String,
}

/// A point of a line that has a label.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) y: f64,
    /// For the pointer.
    pub(crate) label: String,
    /// Of its dot.
    pub(crate) tone: Tone,
}

/// The colour of a mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    /// Its class, and its colour without the style of the page.
    const fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", "#0b62c4"),
            Self::Good => (" good", "#17703a"),
            Self::Warning => (" doubt", "#9a5b00"),
            Self::Bad => (" bad", "#b3261e"),
        }
    }
}

/// The ranges of the values in a drawing; neither is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// At the left and right edge.
    pub(crate) x: (f64, f64),
    /// At the lower and upper edge.
    pub(crate) y: (f64, f64),
}

/// A value of one range in the other.
fn scale(value: f64, of: (f64, f64), to: (f64, f64)) -> f64 {
    to.0 + share(value, of) * (to.1 - to.0)
}

/// Where a value is in a range: 0 at its lower end, 1 at its upper.
fn share(value: f64, of: (f64, f64)) -> f64 {
    let share = ((value - of.0) / (of.1 - of.0)).clamp(0.0, 1.0);
    if share.is_finite() { share } else { 0.0 }
}

/// The attribute with a label for each point of a line, which the script of the page shows.
fn script_labels(labels: impl Iterator<Item = impl AsRef<str>>) -> String {
    let labels: Vec<_> = labels.map(|label| label.as_ref().replace('|', "¦")).collect();
    match labels.is_empty() {
        true => String::new(),
        false => format!(" data-labels=\"{}\"", escape(&labels.join("|"))),
    }
}

/// The edges within the margins.
const EDGE: (f64, f64) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);

impl Chart {
    pub(crate) fn new(title: String, caption: String, frame: Frame) -> Self {
        Self {
            title,
            caption,
            frame,
            top: TOP,
            bottom: EDGE.1,
            left: LEFT,
            radius: 3.0,
            layers: Vec::new(),
            svg: String::new(),
        }
    }

    /// A chart without a panel, to which [`Self::panel`] adds them.
    pub(crate) fn of_panels(title: String, caption: String) -> Self {
        let frame = Frame { x: (0.0, 1.0), y: (0.0, 1.0) };
        Self { top: 0.0, bottom: 0.0, radius: 1.6, ..Self::new(title, caption, frame) }
    }

    /// Adds a labelled panel of this height below; what follows is drawn there.
    pub(crate) fn panel(mut self, frame: Frame, label: &str, height: f64) -> Self {
        (self.frame, self.top) = (frame, self.bottom + GAP);
        self.bottom = self.top + height;
        self.text((self.left, self.top - 5.0), "start", label);
        self
    }

    fn x(&self, value: f64) -> f64 {
        scale(value, self.frame.x, (self.left, EDGE.0))
    }

    fn y(&self, value: f64) -> f64 {
        scale(value, self.frame.y, (self.bottom, self.top))
    }

    /// Text at a place of the drawing; `anchor` is `start`, `middle` or `end`.
    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        if !text.is_empty() {
            self.svg += &format!(
                "<text font-size=\"10\" fill=\"#5c6570\" x=\"{x:.1}\" y=\"{y:.1}\" \
                 text-anchor=\"{anchor}\">{}</text>\n",
                escape(text)
            );
        }
    }

    /// Adds vertical rules with a label below each, unless it would cover one before.
    pub(crate) fn x_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let (top, bottom) = (self.top, self.bottom);
        let mut labels = Vec::<(f64, f64)>::new();
        for (x, label) in ticks {
            let x = self.x(x);
            self.svg += &format!(
                "<line class=\"grid\" stroke=\"#c8ced6\" x1=\"{x:.1}\" x2=\"{x:.1}\" \
                 y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\n"
            );
            // So that a label at an edge is not cut off.
            let half = display_width(&label) as f64 * HALF_LETTER;
            let x = x.min(SIZE.0 - half).max(half);
            let is_covered = |(at, width): &(f64, f64)| (at - x).abs() < width + half;
            if !labels.iter().any(is_covered) {
                self.text((x, bottom + 13.0), "middle", &label);
                labels.push((x, half));
            }
        }
        self
    }

    /// Adds horizontal rules with a label beside each.
    pub(crate) fn y_ticks(mut self, ticks: impl Iterator<Item = (f64, String)>) -> Self {
        let (left, right) = (self.left, EDGE.0);
        for (y, label) in ticks {
            let y = self.y(y);
            self.svg += &format!(
                "<line class=\"grid\" stroke=\"#c8ced6\" x1=\"{left:.1}\" x2=\"{right:.1}\" \
                 y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n"
            );
            self.text((left - 4.0, y + 3.0), "end", &label);
        }
        self
    }

    /// Shades ranges of x where workers stalled, each as strong as its weight of 0 to 1, with a
    /// label for the pointer.
    pub(crate) fn stalls(
        mut self,
        ranges: impl Iterator<Item = ((f64, f64), f64, String)>,
    ) -> Self {
        for (range, weight, label) in ranges {
            // Even the lightest can be seen, and the line on the darkest.
            let opacity = weight.clamp(0.0, 1.0).mul_add(0.3, 0.1);
            self.shade(("stall", "#b06a00", opacity), range, &label);
        }
        self
    }

    /// Shades a range of x, such as a tolerance, with a label for the pointer.
    pub(crate) fn band(mut self, range: (f64, f64), label: &str) -> Self {
        self.shade(("band", "#5c6570", 0.15), range, label);
        self
    }

    fn shade(&mut self, look: (&str, &str, f64), (from, to): (f64, f64), label: &str) {
        let ((class, fill, opacity), x, top) = (look, self.x(from), self.top);
        let (width, height) = (self.x(to) - x, self.bottom - top);
        self.svg += &format!(
            "<rect class=\"{class}\" fill=\"{fill}\" fill-opacity=\"{opacity:.2}\" x=\"{x:.1}\" \
             y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>\n",
            escape(label)
        );
    }

    /// Adds dashed vertical rules, each with a label for the pointer.
    pub(crate) fn events(mut self, events: impl Iterator<Item = (f64, String)>) -> Self {
        let (top, bottom) = (self.top, self.bottom);
        for (x, label) in events {
            let (x, label) = (self.x(x), escape(&label));
            self.svg += &format!(
                "<line class=\"event\" stroke=\"#b06a00\" stroke-dasharray=\"3 3\" x1=\"{x:.1}\" \
                 x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"><title>{label}</title></line>\n"
            );
        }
        self
    }

    /// Marks a value of x, such as a limit, with a dashed vertical rule and a label beside it.
    pub(crate) fn limit(mut self, x: f64, label: &str) -> Self {
        let (at, middle) = (self.x(x), f64::midpoint(self.left, EDGE.0));
        let (at, anchor) = if at > middle { (at - 4.0, "end") } else { (at + 4.0, "start") };
        self.text((at, self.top + 14.0), anchor, label);
        self.events([(x, label.to_owned())].into_iter())
    }

    /// Marks a value of y with a dashed horizontal rule and a label on it.
    pub(crate) fn level(mut self, y: f64, label: &str) -> Self {
        let (y, left, right) = (self.y(y), self.left, EDGE.0);
        self.svg += &format!(
            "<line class=\"event\" stroke=\"#b06a00\" stroke-dasharray=\"3 3\" x1=\"{left:.1}\" \
             x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>{}</title></line>\n",
            escape(label)
        );
        self.text((left + 4.0, y - 4.0), "start", label);
        self
    }

    /// Names lines that end here, in their order from the top; names do not cover each other.
    pub(crate) fn marks(mut self, ends: impl Iterator<Item = ((f64, f64), &'static str)>) -> Self {
        let mut lowest = 0.0;
        for ((x, y), name) in ends {
            lowest = f64::max(self.y(y) + 3.0, lowest + LINE);
            self.text((self.x(x) + 4.0, lowest), "start", name);
        }
        self
    }

    pub(crate) fn line(self, points: impl Iterator<Item = (f64, f64)>) -> Self {
        self.line_of("line", "", points)
    }

    /// Adds a line without dots, with labels for the script.
    pub(super) fn curve(self, line: &[(f64, Value)]) -> Self {
        let labels = script_labels(line.iter().map(|(_, value)| &*value.label));
        self.line_of("line", &labels, line.iter().map(|(x, value)| (*x, value.y)))
    }

    /// Adds a line through values, each with a label for the pointer; with a gap where a value is
    /// unknown. `class` is `line`, or `line second` for what is less important.
    pub(crate) fn values(mut self, class: &str, points: &[(f64, Option<Value>)]) -> Self {
        for known in points.chunk_by(|one, next| one.1.is_some() == next.1.is_some()) {
            let known = known.iter().filter_map(|(x, value)| Some((*x, value.as_ref()?)));
            let line = known.clone().map(|(x, value)| (x, value.y));
            let is_dotted = points.len() <= MOST_DOTS || line.clone().count() == 1;
            let labels = known.clone().filter(|_| !is_dotted).map(|(_, value)| &*value.label);
            let labels = script_labels(labels);
            if line.clone().count() > 0 {
                self = self.line_of(class, &labels, line);
            }
            for (x, value) in known.filter(|_| is_dotted) {
                self.dot(value.tone, (self.x(x), self.y(value.y)), &value.label);
            }
        }
        self
    }

    fn line_of(
        mut self,
        class: &str,
        labels: &str,
        points: impl Iterator<Item = (f64, f64)>,
    ) -> Self {
        let points = self.points(points);
        self.svg += &format!(
            "<polyline class=\"{class}\" fill=\"none\" stroke=\"#0b62c4\" stroke-width=\"1.8\" \
             points=\"{points}\"{labels}/>\n"
        );
        self
    }

    /// Adds a line of an own colour, with a box that shows and hides it.
    pub(super) fn layer(mut self, name: &str, line: &[(f64, Value)]) -> Self {
        let points = self.points(line.iter().map(|(x, value)| (*x, value.y)));
        let labels = line.iter().map(|(_, value)| format!("{name} {}", value.label));
        let labels = script_labels(labels);
        // By the golden angle, so that the hues of few lines and of many differ.
        let hue = self.layers.len() * 137 % 360;
        let color = format!("hsl({hue}, 65%, 47%)");
        let name = escape(name);
        let key = format!(
            "<label><input type=\"checkbox\" checked=\"checked\" style=\"accent-color: {color}\"/> \
             {name}</label>\n"
        );
        let line =
            format!("<polyline fill=\"none\" stroke=\"{color}\" points=\"{points}\"{labels}/>");
        self.layers.push((key, line));
        self
    }

    fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let points = points.map(|(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)));
        points.collect::<Vec<_>>().join(" ")
    }

    /// Adds dots, each with a label for the pointer.
    pub(crate) fn dots(
        mut self,
        tone: Tone,
        dots: impl Iterator<Item = (f64, f64, String)>,
    ) -> Self {
        for (x, y, label) in dots {
            self.dot(tone, (self.x(x), self.y(y)), &label);
        }
        self
    }

    /// A dot at a place of the drawing.
    fn dot(&mut self, tone: Tone, (x, y): (f64, f64), label: &str) {
        let ((class, fill), radius, label) = (tone.look(), self.radius, escape(label));
        self.svg += &format!(
            "<circle class=\"dot{class}\" fill=\"{fill}\" cx=\"{x:.1}\" cy=\"{y:.1}\" \
             r=\"{radius}\"><title>{label}</title></circle>\n"
        );
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
