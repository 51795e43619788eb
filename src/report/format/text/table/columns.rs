//! The columns of the table: which there are, and their cells.

use crate::document::{Cell, Latency};
use crate::report::checks::metric::{error_share, loss};
use crate::report::checks::validity::missed_share;
use crate::report::format::text::rows::{
    BoundedFigure, Figure, Row, TableModel, far_side, median, median_and_worst, p50, p99,
};
use crate::report::format::text::style::{
    BAD_LOSS, Color, INFINITE, STALL_MARK, Styler, UNKNOWN, UNSPLIT_MARK, display_width, percent,
};
use crate::unit::{show_number, show_pps};

/// The least width of the bar; arbitrary.
pub(super) const MIN_BAR: usize = 8;

/// A schedule of which a larger share was missed is shown as bad. Arbitrary; as that of loss.
const BAD_MISSED: f64 = BAD_LOSS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnGroup {
    /// Shown once for all rows that share it.
    Key,
    Row,
    Speed,
    Latency,
}

pub(super) struct Column {
    pub(super) title: String,
    pub(super) group: ColumnGroup,
    pub(super) cells: Vec<String>,
}

impl Column {
    pub(super) fn name(&self) -> &str {
        self.title.split_whitespace().next().unwrap_or_default()
    }

    pub(super) fn is_left(&self) -> bool {
        matches!(self.name(), "engine" | "")
    }

    pub(super) fn width(&self) -> usize {
        self.cells.iter().chain([&self.title]).map(|text| display_width(text)).max().unwrap_or(0)
    }
}

pub(super) struct Columns<'a> {
    table: &'a TableModel<'a>,
    styler: Styler,
    all: Vec<Column>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(table: &'a TableModel<'a>, styler: Styler) -> Vec<Column> {
        let mut columns = Self { table, styler, all: Vec::new() };
        columns.add_keys();
        columns.add_speed();
        if !table.send_only {
            columns.add_latency();
        }
        columns.all
    }

    fn add(&mut self, title: &str, group: ColumnGroup, cell: impl Fn(&Row<'a>) -> String) {
        let cells = self.table.rows.iter().map(cell).collect();
        self.all.push(Column { title: title.to_owned(), group, cells });
    }

    fn add_figure(&mut self, title: &str, of: impl Fn(&Row<'a>) -> Option<String>) {
        let styler = self.styler;
        self.add(title, ColumnGroup::Speed, |row| figure(of(row), styler));
    }

    fn add_share(&mut self, title: &str, group: ColumnGroup, of: impl Fn(&Row<'a>) -> Shares) {
        let styler = self.styler;
        self.add(title, group, |row| share(of(row), styler));
    }

    fn add_keys(&mut self) {
        let TableModel { rows, merged, both_directions, .. } = self.table;
        self.add("bytes", ColumnGroup::Key, |row| row.size.clone());
        if rows.iter().any(|row| row.engine != rows[0].engine) {
            self.add("engine", ColumnGroup::Key, |row| row.engine.to_owned());
        }
        if merged.is_none() {
            self.add("asked", ColumnGroup::Row, |row| row.rate.to_owned());
        }
        if *both_directions {
            let arrow =
                |row: &Row<'_>| if row.direction == Some("reverse") { "←" } else { "→" };
            self.add("way", ColumnGroup::Row, |row| arrow(row).to_owned());
        }
    }

    fn add_speed(&mut self) {
        let (table, styler) = (self.table, self.styler);
        let is_marked = table.rows.iter().any(Row::is_unsplit);
        let unit = if table.has_requests { "/s" } else { "" };
        let title = format!("{}{unit}{}", table.outcome(), if is_marked { " " } else { "" });
        let show = if table.has_requests { show_number } else { show_pps };
        self.add(&title, ColumnGroup::Speed, |row| {
            let mark = is_marked.then(|| mark(row.is_unsplit(), UNSPLIT_MARK, styler));
            figure(row.pps().map(show), styler) + &mark.unwrap_or_default()
        });
        if table.has_trials {
            self.add("±", ColumnGroup::Speed, |row| {
                let spread = row.spread().map(|share| format!("{:.1}%", share * 100.0));
                styler.paint(Color::Quiet, spread.as_deref().unwrap_or(UNKNOWN))
            });
        }
        if table.rows.len() > 1 {
            self.all.push(bar(table, styler, MIN_BAR));
        }
        let bits = |cell: &Cell| far_side(cell).bits_per_second;
        if !table.has_requests {
            self.add_figure("Gbit/s", |row| median(&row.speed, bits).map(gigabits));
        }
        if !table.send_only {
            let title = if table.has_requests { "no reply" } else { "lost" };
            self.add_share(title, ColumnGroup::Speed, |row| median_and_worst(&row.speed, loss));
        }
        if table.rows.iter().any(|row| errors(row).is_some_and(|(_, worst)| worst > 0.0)) {
            self.add_share("errors", ColumnGroup::Speed, errors);
        }
        if table.merged.is_none() && table.rows.iter().any(is_late) {
            self.add_share("missed", ColumnGroup::Speed, missed);
        }
        if table.has_requests {
            let percent = |share| format!("{}%", whole(share));
            self.add_figure("CPU", |row| tx_cpu(row).map(percent));
            let watched = table.rows.iter().flat_map(|row| &row.speed);
            if watched.clone().any(|cell| cell.server.is_some()) {
                self.add_figure("server CPU", |row| median(&row.speed, server_cpu).map(percent));
            }
        } else {
            self.add_figure("CPU tx/rx", cpu);
        }
    }

    fn add_latency(&mut self) {
        let (table, styler) = (self.table, self.styler);
        if table.merged.is_some() {
            // The other loss of a row is that of the cell at `max`.
            if table.rows.iter().any(|row| paced_loss(row).is_some_and(|(_, worst)| worst > 0.0)) {
                self.add_share("lost", ColumnGroup::Latency, paced_loss);
            }
            if table.rows.iter().any(is_late) {
                self.add_share("missed", ColumnGroup::Latency, missed);
            }
        }
        let show = |latency: Figure| match latency {
            Figure::Infinite => styler.paint(Color::Bad, INFINITE),
            Figure::Unknown => figure(None, styler),
            known => styler.figure(&known.show()),
        };
        let p99_9: BoundedFigure = |latency| (latency.p99_9_ns, latency.limits().p99_9_ns);
        // As wide as usual latencies, so that others do not change the table.
        for (title, quantile, of) in [
            ("    p50", 0.5, p50 as BoundedFigure),
            ("    p99", 0.99, p99),
            ("  p99.9", 0.999, p99_9),
        ] {
            self.add(title, ColumnGroup::Latency, |row| show(row.percentile(quantile, of)));
        }
        self.add("    max ", ColumnGroup::Latency, |row| {
            show(row.received(Latency::max)) + &mark(row.is_stalled(), STALL_MARK, styler)
        });
    }
}

/// Median and largest over trials.
type Shares = Option<(f64, f64)>;

fn paced_loss(row: &Row<'_>) -> Shares {
    median_and_worst(&row.timing, loss)
}

fn errors(row: &Row<'_>) -> Shares {
    median_and_worst(&row.speed, error_share)
}

fn missed(row: &Row<'_>) -> Shares {
    median_and_worst(&row.timing, missed_share)
}

fn is_late(row: &Row<'_>) -> bool {
    missed(row).is_some_and(|(_, worst)| worst > BAD_MISSED)
}

fn figure(text: Option<String>, styler: Styler) -> String {
    text.map_or_else(|| styler.paint(Color::Quiet, UNKNOWN), |text| styler.figure(&text))
}

fn mark(is_on: bool, mark: &str, styler: Styler) -> String {
    if is_on { styler.paint(Color::Warning, mark) } else { " ".to_owned() }
}

/// The median of a share over trials; if it is 0 but some are not, the largest.
fn share(median_and_worst: Shares, styler: Styler) -> String {
    match median_and_worst {
        None => figure(None, styler),
        Some((_, 0.0)) => styler.paint(Color::Good, "0"),
        Some((median, worst)) => {
            let (largest, sign) = if median == 0.0 { (worst, "≤") } else { (median, "") };
            let text = format!("{sign}{}", percent(largest));
            if largest > BAD_LOSS { styler.paint(Color::Bad, &text) } else { text }
        }
    }
}

fn tx_cpu(row: &Row<'_>) -> Option<f64> {
    median(&row.speed, |cell| cpu_share(cell, cell.tx.cpu_ns))
}

fn server_cpu(cell: &Cell) -> Option<f64> {
    cell.server?.cpu_share(cell.elapsed_ns)
}

fn cpu(row: &Row<'_>) -> Option<String> {
    let rx = median(&row.speed, |cell| cpu_share(cell, cell.rx.as_ref()?.cpu_ns));
    let sides = [tx_cpu(row), rx];
    let [tx, rx] = sides.map(|side| side.map_or_else(|| UNKNOWN.to_owned(), whole));
    sides.iter().any(Option::is_some).then(|| format!("{tx}/{rx}%"))
}

fn cpu_share(cell: &Cell, cpu_ns: Option<u64>) -> Option<f64> {
    cpu_ns.filter(|_| cell.elapsed_ns > 0).map(|cpu_ns| cpu_ns as f64 / cell.elapsed_ns as f64)
}

fn whole(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}

/// Billions of bits with three digits, as far as four decimals reach.
fn gigabits(bits: f64) -> String {
    match bits / 1e9 {
        g if g >= 99.95 => format!("{g:.0}"),
        g if g >= 9.995 => format!("{g:.1}"),
        g if g >= 0.9995 => format!("{g:.2}"),
        g if g >= 0.09995 => format!("{g:.3}"),
        g if g >= 0.0001 => format!("{g:.4}"),
        g if g > 0.0 => "<.0001".to_owned(),
        _ => "0".to_owned(),
    }
}

/// Rates as bars; those of super-packets are comparable only with each other.
pub(super) fn bar(table: &TableModel<'_>, styler: Styler, width: usize) -> Column {
    let is_comparable = |row: &Row<'_>| !row.is_unsplit() || table.rows.iter().all(Row::is_unsplit);
    let pps = |row: &Row<'_>| row.pps().filter(|_| is_comparable(row));
    let highest = table.rows.iter().filter_map(pps).fold(0.0, f64::max);
    let cell = |row| styler.paint(Color::Accent, &draw_bar(pps(row), highest, width));
    let cells = table.rows.iter().map(cell).collect();
    Column { title: " ".repeat(width), group: ColumnGroup::Speed, cells }
}

/// A bar of eighth blocks; any value above 0 is visible.
fn draw_bar(value: Option<f64>, highest: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let Some(value) = value.filter(|&value| value > 0.0 && highest > 0.0) else {
        return String::new();
    };
    let eighths = ((value / highest * 8.0 * width as f64).round() as usize).max(1);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_and_short() {
        // To an eighth, and never invisible.
        let bars = [8.0, 3.25, 1e-9, 0.0].map(|value| draw_bar(Some(value), 8.0, 8));
        assert_eq!(bars, ["████████", "███▎", "▏", ""]);
        assert_eq!((draw_bar(None, 8.0, 8), draw_bar(Some(1.0), 0.0, 8)), Default::default());
        let shown = [0.0, 1e3, 1.3e6, 1.39e8, 1.2e9, 13.9e9, 400e9].map(gigabits);
        assert_eq!(shown, ["0", "<.0001", "0.0013", "0.139", "1.20", "13.9", "400"]);
    }
}
