//! A heat map in a panel: rectangles, darker where more datagrams lie.

use super::Chart;

/// Shades of a map. Arbitrary: the eye hardly tells more apart.
const LEVELS: u32 = 6;

/// A rectangle of a map, with how many datagrams lie in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeatCell {
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
    pub(crate) count: u64,
}

impl Chart {
    /// Adds a map on a logarithmic scale of counts: one path for each shade, since a rectangle for
    /// each cell would make the page ten times as large. The script shows the count of a cell.
    pub(crate) fn heat(mut self, cells: &[HeatCell]) -> Self {
        let most = cells.iter().map(|cell| cell.count).max().unwrap_or(0).max(2) as f64;
        let bound = |level: u32| most.powf(f64::from(level) / f64::from(LEVELS)).round() as u64;
        for level in 1..=LEVELS {
            let (above, most) = (if level > 1 { bound(level - 1) } else { 0 }, bound(level));
            let of_level = || cells.iter().filter(|cell| cell.count > above && cell.count <= most);
            let rectangle = |cell: &HeatCell| {
                let (left, right) = (self.x(cell.x.0), self.x(cell.x.1));
                let (top, bottom) = (self.y(cell.y.1), self.y(cell.y.0));
                let (width, height) = (right - left, bottom - top);
                format!("M{left:.1} {top:.1}h{width:.1}v{height:.1}h-{width:.1}z")
            };
            let path: String = of_level().map(rectangle).collect();
            if !path.is_empty() {
                let counts: Vec<_> = of_level().map(|cell| cell.count.to_string()).collect();
                let (opacity, counts) = (f64::from(level) / f64::from(LEVELS), counts.join(" "));
                self.svg += &format!(
                    "<path class=\"heat\" fill=\"#0b62c4\" fill-opacity=\"{opacity:.2}\" \
                     shape-rendering=\"crispEdges\" d=\"{path}\" data-counts=\"{counts}\">\
                     <title>{} to {most} datagrams</title></path>\n",
                    above + 1
                );
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::format::html::Frame;

    #[test]
    fn each_cell_is_in_the_path_of_its_shade() {
        let frame = Frame { x: (0.0, 4.0), y: (0.0, 1.0) };
        let chart = || Chart::new(String::new(), String::new(), frame);
        let cell = |(at, count)| {
            let x = at as f64;
            HeatCell { x: (x, x + 1.0), y: (0.0, 1.0), count }
        };
        let of = |counts: &[u64]| {
            let cells: Vec<_> = counts.iter().copied().enumerate().map(cell).collect();
            let figure = chart().heat(&cells).figure();
            let paths = figure.matches("<path class=\"heat\"").count();
            (paths, figure.matches("h65.0v158.0h-65.0z").count(), figure)
        };
        let (paths, cells, figure) = of(&[1, 1_000_000, 10, 11]);
        assert_eq!((paths, cells), (3, 4), "{figure}");
        assert!(figure.contains(">1 to 10 datagrams<") && figure.contains(">11 to 100 datagrams<"));
        assert!(figure.contains("data-counts=\"1 10\"") && figure.contains("data-counts=\"11\""));
        for (counts, expected) in [(&[1, 1][..], (1, 2)), (&[2, 1], (2, 2)), (&[u64::MAX], (1, 1))]
        {
            let (paths, cells, figure) = of(counts);
            assert_eq!((paths, cells), expected, "{figure}");
        }
        assert_eq!(of(&[]).0, 0);
    }
}
