//! Rows of a chart: a bar or a point for each value, with its interval.

use super::{Chart, EDGE, Frame, TOP, Tone};
use crate::report::format::markup::escape;

/// The height of a row, and the lower edge of its text. Arbitrary: a line of text, and a bar below.
const ROW: f64 = 28.0;
const TEXT: f64 = 10.0;

/// The upper and lower edge of a bar in its row. Arbitrary: below the text, and a gap.
const BAR: (f64, f64) = (14.0, 23.0);

/// Half the height of the ends of an interval. Arbitrary: higher than a bar.
const CAP: f64 = 5.0;

/// The margin at the left: names are above the bars, so that they may be long.
const LEFT: f64 = 8.0;

/// A value with a name, in a row of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChartRow {
    pub(crate) name: String,
    /// The value as text, at the right.
    pub(crate) shown: String,
    /// On the scale of x; `None`: unknown, the row has only text.
    pub(crate) value: Option<f64>,
    /// Its lower and upper end, which may be infinite; `None`: unknown, none is drawn.
    pub(crate) interval: Option<(f64, f64)>,
    /// Values that count as equal, which are shaded.
    pub(crate) tolerance: Option<(f64, f64)>,
    /// For the pointer, in place of the text at the right.
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

impl Chart {
    /// A chart with space for so many rows, to which [`Self::bars`] or [`Self::estimates`] adds
    /// them after ticks and bands.
    pub(crate) fn of_rows(title: String, caption: String, x: (f64, f64), rows: usize) -> Self {
        let bottom = (rows as f64).mul_add(ROW, TOP);
        Self { bottom, left: LEFT, ..Self::new(title, caption, Frame { x, y: (0.0, 1.0) }) }
    }

    /// Adds a bar for each row, from the left edge to its value.
    pub(crate) fn bars(self, rows: &[ChartRow]) -> Self {
        self.rows(rows, |chart, row, value, y| {
            let (x, width) = (chart.left, chart.x(value) - chart.left);
            let ((class, fill), label) = (row.tone.look(), escape(&row.label()));
            chart.svg += &format!(
                "<rect class=\"bar{class}\" fill=\"{fill}\" x=\"{x:.1}\" y=\"{:.1}\" \
                 width=\"{width:.1}\" height=\"{:.1}\"><title>{label}</title></rect>\n",
                y + BAR.0,
                BAR.1 - BAR.0
            );
            chart.interval(row, y);
        })
    }

    /// Adds a point for each row, on its interval.
    pub(crate) fn estimates(self, rows: &[ChartRow]) -> Self {
        self.rows(rows, |chart, row, value, y| {
            chart.interval(row, y);
            let at = (chart.x(value), y + f64::midpoint(BAR.0, BAR.1));
            chart.dot(row.tone, at, &row.label());
        })
    }

    /// Adds the text of each row, and if its value is known, its mark.
    fn rows(mut self, rows: &[ChartRow], mark: impl Fn(&mut Self, &ChartRow, f64, f64)) -> Self {
        for (at, row) in rows.iter().enumerate() {
            let y = (at as f64).mul_add(ROW, self.top);
            self.tolerance(row, y);
            self.text((self.left, y + TEXT), "start", &row.name);
            self.text((EDGE.0, y + TEXT), "end", &row.shown);
            if let Some(value) = row.value {
                mark(&mut self, row, value, y);
            }
        }
        self
    }

    fn tolerance(&mut self, row: &ChartRow, y: f64) {
        let Some((low, high)) = row.tolerance else { return };
        let (x, to) = (self.x(low), self.x(high));
        self.svg += &format!(
            "<rect class=\"band\" fill=\"#5c6570\" fill-opacity=\"0.15\" x=\"{x:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"{:.1}\"/>\n",
            y + BAR.0 - 2.0,
            to - x,
            BAR.1 - BAR.0 + 4.0
        );
    }

    /// Draws the interval of a row; an end outside the drawing has no cap.
    fn interval(&mut self, row: &ChartRow, y: f64) {
        let Some((low, high)) = row.interval else { return };
        let (from, to, middle) = (self.x(low), self.x(high), y + f64::midpoint(BAR.0, BAR.1));
        let mut path = format!("M{from:.1} {middle:.1}H{to:.1}");
        for (value, x) in [(low, from), (high, to)] {
            if (self.frame.x.0..=self.frame.x.1).contains(&value) {
                path += &format!("M{x:.1} {:.1}v{:.1}", middle - CAP, 2.0 * CAP);
            }
        }
        self.svg += &format!(
            "<path class=\"interval\" fill=\"none\" stroke=\"#1a1d21\" d=\"{path}\">\
             <title>{}</title></path>\n",
            escape(&row.label())
        );
    }
}

impl ChartRow {
    /// For the pointer.
    fn label(&self) -> String {
        let note = if self.note.is_empty() { &self.shown } else { &self.note };
        format!("{}: {note}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_marks_and_intervals_where_they_are_known() {
        let row = |value, interval| ChartRow {
            name: "a".to_owned(),
            shown: "1".to_owned(),
            value,
            interval,
            ..ChartRow::default()
        };
        let rows = [
            ChartRow { tolerance: Some((0.9, 1.1)), ..row(Some(1.0), Some((0.5, 1.5))) },
            row(Some(2.0), Some((1.0, f64::INFINITY))),
            row(Some(1.0), None),
            row(None, None),
        ];
        let chart = || Chart::of_rows(String::new(), String::new(), (0.0, 2.0), rows.len());
        let (bars, points) = (chart().bars(&rows).figure(), chart().estimates(&rows).figure());
        for (figure, mark) in [(&bars, "<rect class=\"bar\""), (&points, "<circle class=\"dot\"")] {
            let counts = [mark, "<path class=\"interval\"", "<text", "<rect class=\"band\""];
            let counts = counts.map(|one| figure.matches(one).count());
            assert_eq!(counts, [3, 2, 8, 1], "{figure}");
            assert!(figure.contains("d=\"M85.0 28.5H239.0M85.0 23.5v10.0M239.0 23.5v10.0\""));
            assert!(figure.contains("d=\"M162.0 56.5H316.0M162.0 51.5v10.0\""), "{figure}");
        }
        assert!(bars.contains("width=\"308.0\"") && points.contains("cx=\"316.0\""));
        let limited = chart().band((0.5, 1.0), "same").limit(1.8, "limit").bars(&rows).figure();
        assert!(limited.contains(">same</title>") && limited.contains(">limit</text>"));
    }
}
