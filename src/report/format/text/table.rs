//! The table: its columns, and which of them are omitted on a narrow terminal.

mod figures;
mod grid;

use super::rows::{Figure, INFINITE, Row, TableModel};
use super::style::{Color, GAP, Styler, WIDEST, align, columns, rate_asked};
use crate::document::{Bounded, Latency};
use crate::unit::show_pps;

pub(super) use figures::{BAD_LOSS, UNKNOWN};
use figures::{cpu, draw_bar, gigabits, share};
pub(super) use grid::grid;
pub(in crate::report) use grid::{Grid, Title};

/// Width of the bar where there is no room to spare, and at most; arbitrary.
const BAR: (usize, usize) = (8, 16);

/// A schedule of which a larger share was missed is shown as bad. Arbitrary; as that of loss.
const BAD_MISSED: f64 = BAD_LOSS;

/// Marks a maximum that a stall may have made.
pub(super) const STALL_MARK: &str = "*";

/// Marks a rate delivered in super-packets that were never segmented.
pub(super) const UNCUT_MARK: &str = "†";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Size,
    Engine,
    Asked,
    Way,
    Pps,
    Spread,
    Bar,
    Bits,
    Loss,
    Missed,
    Cpu,
    /// Loss of the latency cells, if they are other cells.
    TimingLoss,
    /// The missed schedule of those cells.
    TimingMissed,
    P50,
    P99,
    P999,
    Max,
}

impl Column {
    /// Columns to omit if the table is too wide, in this order.
    const GIVE_WAY: [Self; 4] = [Self::Bits, Self::Bar, Self::Cpu, Self::P999];

    const fn title(self) -> &'static str {
        match self {
            Self::Size => "bytes",
            Self::Engine => "engine",
            Self::Asked => "asked",
            Self::Way => "way",
            Self::Pps => "delivered",
            Self::Spread => "±",
            Self::Bar => "",
            Self::Bits => "Gbit/s",
            Self::Loss | Self::TimingLoss => "lost",
            Self::Missed | Self::TimingMissed => "missed",
            Self::Cpu => "CPU tx/rx",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max ",
        }
    }

    const fn is_left(self) -> bool {
        matches!(self, Self::Engine | Self::Bar)
    }

    const fn is_latency(self) -> bool {
        let of_others = matches!(self, Self::TimingLoss | Self::TimingMissed);
        of_others || matches!(self, Self::P50 | Self::P99 | Self::P999 | Self::Max)
    }

    const fn is_speed(self) -> bool {
        let share = matches!(self, Self::Loss | Self::Missed | Self::Cpu);
        share || matches!(self, Self::Pps | Self::Spread | Self::Bar | Self::Bits)
    }

    const fn title_in(self, table: &TableModel<'_>) -> &'static str {
        match self {
            Self::Pps if table.one_ended => "sent",
            Self::Pps if table.asks => "answered",
            Self::Loss if table.asks => "no reply",
            Self::Cpu if table.asks => "CPU",
            _ => self.title(),
        }
    }

    /// Least width, so that unusual latencies do not change the table.
    const fn least(self) -> usize {
        match self {
            Self::P50 | Self::P99 | Self::P999 => "8.32 ms".len(),
            Self::Max => "8.32 ms*".len(),
            _ => 0,
        }
    }
}

struct Shown {
    column: Column,
    cells: Vec<String>,
    width: usize,
}

/// Draws the table in at most `width` columns, as far as leaving columns out can achieve that.
pub(super) fn draw(table: &TableModel<'_>, styler: Styler, width: usize) -> String {
    let mut shown: Vec<Shown> =
        wanted(table).into_iter().map(|column| fill(column, table, styler, BAR.0)).collect();
    for column in Column::GIVE_WAY {
        if total(&shown) <= width {
            break;
        }
        shown.retain(|one| one.column != column);
    }
    let spare = width.saturating_sub(total(&shown));
    if let Some(bar) = shown.iter_mut().find(|one| one.column == Column::Bar) {
        *bar = fill(Column::Bar, table, styler, (BAR.0 + spare).min(BAR.1));
    }
    let marked = table.rows.iter().any(Row::uncut);
    let titles = shown.iter().map(|one| {
        let blank = if one.column == Column::Pps && marked { " " } else { "" };
        let title = one.column.title_in(table).to_owned() + blank;
        // Some columns are wider than their cells.
        let title = if one.column.is_left() {
            format!("{title:<0$}", one.width.min(WIDEST))
        } else {
            format!("{title:>0$}", one.width.min(WIDEST))
        };
        styler.paint(Color::Quiet, &title)
    });
    let cells = (0..table.rows.len())
        .map(|at| shown.iter().map(|one| one.cells[at].clone()).collect::<Vec<_>>());
    let rows: Vec<_> = [titles.collect()].into_iter().chain(cells).collect();
    let lines = align(&rows, |at| shown[at].column.is_left());
    match heading(&shown, table, styler) {
        heading if heading.is_empty() => lines,
        heading => format!("{heading}\n{lines}"),
    }
}

fn wanted(table: &TableModel<'_>) -> Vec<Column> {
    let engines = table.rows.iter().any(|row| row.engine != table.rows[0].engine);
    // Where a row joins two cells, its other loss is that of the one at `max`.
    let lossy = |row: &Row<'_>| row.timing_loss().is_some_and(|(_, worst)| worst > 0.0);
    let timing_loss = table.merged.is_some() && table.rows.iter().any(lossy);
    let late = |row: &Row<'_>| row.missed().is_some_and(|(_, worst)| worst > BAD_MISSED);
    let missed = table.rows.iter().any(late);
    [
        (Column::Size, true),
        (Column::Engine, engines),
        (Column::Asked, table.merged.is_none()),
        (Column::Way, table.both),
        (Column::Pps, true),
        (Column::Spread, table.trials),
        (Column::Bar, table.rows.len() > 1),
        (Column::Bits, !table.asks),
        (Column::Loss, !table.one_ended),
        (Column::Missed, missed && table.merged.is_none()),
        (Column::Cpu, true),
        (Column::TimingLoss, timing_loss),
        (Column::TimingMissed, missed && table.merged.is_some()),
        (Column::P50, !table.one_ended),
        (Column::P99, !table.one_ended),
        (Column::P999, !table.one_ended),
        (Column::Max, !table.one_ended),
    ]
    .into_iter()
    .filter_map(|(column, wanted)| wanted.then_some(column))
    .collect()
}

fn fill(column: Column, table: &TableModel<'_>, styler: Styler, bar: usize) -> Shown {
    let highest = table.highest_pps();
    let marked = table.rows.iter().any(Row::uncut);
    let mark = |row: &Row<'_>| match row.uncut() {
        true => styler.paint(Color::Warning, UNCUT_MARK),
        false => " ".to_owned(),
    };
    let mut above: Option<&Row<'_>> = None;
    let mut cells = Vec::new();
    for row in &table.rows {
        let text = match column {
            // Said once for all rows that share it.
            Column::Size if above.is_some_and(|above| above.size == row.size) => String::new(),
            Column::Engine
                if above.is_some_and(|a| a.size == row.size && a.engine == row.engine) =>
            {
                String::new()
            }
            Column::Bar => {
                styler.paint(Color::Accent, &draw_bar(table.barred_pps(row), highest, bar))
            }
            Column::Pps if marked => text(column, row, styler) + &mark(row),
            _ => text(column, row, styler),
        };
        cells.push(text);
        above = Some(row);
    }
    let widest = cells.iter().map(|cell| columns(cell)).max().unwrap_or(0);
    let fixed = if column == Column::Bar { bar } else { column.least() };
    Shown { column, width: widest.max(columns(column.title_in(table))).max(fixed), cells }
}

fn total(shown: &[Shown]) -> usize {
    let gaps = GAP * shown.len().saturating_sub(1);
    shown.iter().map(|one| one.width).sum::<usize>() + gaps
}

fn text(column: Column, row: &Row<'_>, styler: Styler) -> String {
    let unknown = || styler.paint(Color::Quiet, UNKNOWN);
    let or_unknown = |text: Option<String>| text.map_or_else(unknown, |text| styler.figure(&text));
    let show = |figure: Option<Figure>| match figure {
        Some(Figure::Infinite) => styler.paint(Color::Bad, INFINITE),
        figure => or_unknown(figure.map(Figure::show)),
    };
    let percentile = |quantile, of: fn(&Latency) -> Bounded| show(row.percentile(quantile, of));
    match column {
        Column::Size => row.size.clone(),
        Column::Engine => row.engine.to_owned(),
        Column::Asked => row.rate.to_owned(),
        Column::Way => match row.way {
            Some("reverse") => "←".to_owned(),
            _ => "→".to_owned(),
        },
        Column::Pps => or_unknown(row.pps().map(show_pps)),
        Column::Spread => {
            let spread = row.spread().map(|share| format!("{:.1}%", share * 100.0));
            spread.map_or_else(unknown, |text| styler.paint(Color::Quiet, &text))
        }
        Column::Bits => or_unknown(row.bits().map(gigabits)),
        Column::Loss => share(row.loss(), styler).unwrap_or_else(unknown),
        Column::TimingLoss => share(row.timing_loss(), styler).unwrap_or_else(unknown),
        Column::Missed | Column::TimingMissed => {
            share(row.missed(), styler).unwrap_or_else(unknown)
        }
        Column::Cpu => or_unknown(cpu(row)),
        Column::P50 => percentile(0.5, |latency| (latency.p50_ns, latency.limits().p50_ns)),
        Column::P99 => percentile(0.99, |latency| (latency.p99_ns, latency.limits().p99_ns)),
        Column::P999 => percentile(0.999, |latency| (latency.p99_9_ns, latency.limits().p99_9_ns)),
        Column::Max => {
            let mark = if row.stalled() {
                styler.paint(Color::Warning, STALL_MARK)
            } else {
                " ".to_owned()
            };
            show(row.max()) + &mark
        }
        Column::Bar => String::new(),
    }
}

/// The line above the titles: the groups of columns.
fn heading(shown: &[Shown], table: &TableModel<'_>, styler: Styler) -> String {
    let span = |of: fn(Column) -> bool| {
        let first = shown.iter().position(|one| of(one.column)).unwrap_or(0);
        let part: usize =
            shown.iter().filter(|one| of(one.column)).map(|one| one.width + GAP).sum();
        let before: usize = shown[..first].iter().map(|one| one.width + GAP).sum();
        (before, part.saturating_sub(GAP))
    };
    let mut line = String::new();
    let mut used = 0;
    let (speed_at, speed) = span(Column::is_speed);
    let (latency_at, latency) = span(Column::is_latency);
    // What the mark takes beside a maximum is no part of the figures.
    let latency = latency.saturating_sub(STALL_MARK.len());
    let speed_title = if table.merged.is_some() { "flat out" } else { "" };
    let latency_titles = if latency > 0 { latency_titles(table) } else { Vec::new() };
    let fits = |title: &&String| columns(title) + 4 <= latency;
    let latency_title = latency_titles.iter().find(fits).or_else(|| latency_titles.last());
    for (at, length, title) in [
        (speed_at, speed, speed_title),
        (latency_at, latency, latency_title.map_or("", String::as_str)),
    ] {
        if title.is_empty() {
            continue;
        }
        line.push_str(&" ".repeat(at.saturating_sub(used)));
        let rules = length.saturating_sub(columns(title) + 2);
        let rule = |count| styler.paint(Color::Quiet, &"─".repeat(count));
        line.push_str(&format!("{} {title} {}", rule(rules / 2), rule(rules - rules / 2)));
        used = at + length;
    }
    line.trim_end().to_owned()
}

/// Titles of the latency columns, from the longest to the shortest.
fn latency_titles(table: &TableModel<'_>) -> Vec<String> {
    let way = if table.asks { "round trip" } else { "one way" };
    let scheduled = table.rows.iter().flat_map(|row| &row.timing).any(|cell| cell.pace.is_some());
    if table.asks && !scheduled {
        return vec![way.to_owned()];
    }
    let Some(word) = table.merged else {
        return vec![
            format!("latency, {way} from schedule"),
            format!("{way} from schedule"),
            "from schedule".to_owned(),
        ];
    };
    let rate = rate_asked(word);
    let of_that = if word.ends_with('%') { " of that" } else { "" };
    vec![
        format!("latency at {rate}{of_that}, {way} from schedule"),
        format!("{way} from schedule at {rate}{of_that}"),
        format!("{way} from schedule at {rate}"),
        format!("from schedule at {rate}"),
    ]
}
