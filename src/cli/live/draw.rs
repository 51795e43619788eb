//! The layout of a frame.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};
use ratatui_core::terminal::Frame;

use super::chart::{chart, quiet, side_by_side};
use super::model::{ListRow, Model, cpu};
use crate::cli::progress::intervals::per_second;
use crate::document::{Interval, IntervalLatency};
use crate::report::format::text::style::{UNKNOWN, display_width, grouped, percent};
use crate::report::format::text::worst_interval::{loss, span};
use crate::unit::{RateUnit, show_nanos, show_number, show_pps};

/// The smallest screen that fits all parts: the standard size of terminals.
const LEAST: (u16, u16) = (80, 24);
/// Columns of a label of facts.
const LABEL: u16 = 12;

/// What the keys have changed.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) has_colors: bool,
    pub(super) is_frozen: bool,
    pub(super) has_help: bool,
    /// The first chart.
    pub(super) chart: usize,
}

const HELP: [&str; 16] = [
    "q        end the run, as Ctrl-C; the report of what was measured follows",
    "p        freeze the view, and go on; the run is not affected",
    "Ctrl-Z   stop the program, and its measurement with it; fg continues both",
    "tab      next chart; several are side by side from 120 columns on",
    "?        this help",
    "",
    "An interval is shown when what was due in it has had time to arrive. What",
    "arrives later is in the report.",
    "→ ←      with --bidir: what this host sends, and what it receives",
    "–        not known (yet), such as what the other host counts",
    "drops    by place, of all traffic of this network namespace, since the cell",
    "         began",
    "max *    includes stalls",
    "CPU      of all workers; 100% is one core",
    "~        read when the view is updated: these intervals may be 0.25 s longer",
    "         than those of the document",
];

pub(super) fn draw(model: &Model, screen: &Screen, frame: &mut Frame<'_>) {
    let (area, buffer) = (frame.area(), frame.buffer_mut());
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(area, buffer);
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let width = usize::from(area.width);
    let (x, _) = buffer.set_stringn(0, 0, &model.title, width, bold);
    let state = format!(" · {}", model.state);
    buffer.set_stringn(x, 0, state, width - usize::from(x), Style::new());
    if screen.is_frozen {
        let word = " frozen: p goes on ";
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        buffer.set_stringn(area.width - word.len() as u16, 0, word, width, reversed);
    }
    let keys = "q end · p freeze · tab next chart · ? help";
    buffer.set_stringn(0, area.height - 1, keys, width, quiet());
    let inner = Rect { y: 1, height: area.height - 2, ..area };
    if screen.has_help {
        for (y, line) in (inner.y + 1..inner.bottom()).zip(HELP) {
            buffer.set_stringn(2, y, line, width - 2, Style::new());
        }
        return;
    }
    parts(model, screen, inner, buffer);
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    let lines = [
        format!("--live needs {} x {}", LEAST.0, LEAST.1),
        format!("this terminal: {} x {}", area.width, area.height),
        "the run goes on; q: end".to_owned(),
    ];
    for (y, line) in (0..area.height).zip(lines) {
        buffer.set_stringn(0, y, line, area.width.into(), Style::new());
    }
}

/// From the top: charts, intervals, facts, and what is done.
fn parts(model: &Model, screen: &Screen, area: Rect, buffer: &mut Buffer) {
    let facts = model.facts.len() as u16;
    let has_list = !model.titles[0].is_empty();
    let rest = area.height - facts;
    // The list gets a fifth at most, and the charts as many rows as the intervals, or more.
    let most = if has_list { (rest / 5).max(4) } else { 0 };
    let list = most.min(model.rows.len().max(1) as u16 + 1);
    let table = (rest - list) * 2 / 5;
    let charts = rest - list - table;
    let count = side_by_side(area.width, model.is_server);
    for at in 0..count {
        let width = area.width / count;
        let area = Rect { x: at * width, y: area.y, width, height: charts };
        let number = screen.chart.wrapping_add(at.into());
        let (number, shown) = match model.is_both {
            true if number % 2 == 0 => (number / 2, (&model.intervals[..], " of what is sent")),
            true => (number / 2, (&model.reverse[..], " of what is received")),
            false => (number, (&model.intervals[..], "")),
        };
        chart(number, model.is_server, model.unit).draw(shown, area, buffer, screen.has_colors);
    }
    let mut y = area.y + charts;
    draw_intervals(model, Rect { y, height: table, ..area }, buffer);
    y += table;
    for (label, text) in &model.facts {
        buffer.set_stringn(0, y, label, LABEL.into(), quiet());
        buffer.set_stringn(LABEL, y, text, usize::from(area.width - LABEL), Style::new());
        y += 1;
    }
    if has_list {
        draw_list(model, Rect { y, height: list, ..area }, buffer);
    }
}

/// A column of intervals: its title, its width with a gap, and its figure.
type Column = (&'static str, u16, fn(&Interval) -> Option<String>);

fn at(interval: &Interval, of: fn(&IntervalLatency) -> Option<u64>) -> Option<String> {
    of(interval.latency.as_ref()?).map(show_nanos)
}

/// How many columns are always shown; they fit 80.
const ALWAYS: usize = 9;
/// All columns, in the order in which they are added as far as the width allows; after the first
/// ones, only those that are known.
const COLUMNS: [Column; 16] = [
    ("seconds", 12, |one| Some(span(one))),
    ("rate", 10, |one| per_second(one, one.received.unwrap_or(one.sent)).map(show_pps)),
    ("received", 11, |one| one.received.map(grouped)),
    ("lost", 8, |one| one.lost.map(grouped)),
    ("loss", 8, |one| loss(one).map(percent)),
    ("p50", 8, |one| at(one, |latency| latency.p50_ns)),
    ("p99", 8, |one| at(one, |latency| latency.p99_ns)),
    ("max *", 8, |one| at(one, |latency| latency.max_ns)),
    ("stalls", 7, |one| one.stalls.map(grouped)),
    ("sent", 11, |one| Some(grouped(one.sent))),
    ("timeouts", 9, |one| one.timeouts.map(grouped)),
    ("errors", 8, |one| one.errors.map(grouped)),
    ("lag p99", 9, |one| one.lag_p99_ns.map(show_nanos)),
    ("refused", 9, |one| one.refused.map(grouped)),
    ("missed", 9, |one| one.missed.map(grouped)),
    ("CPU", 6, cpu),
];

/// The place of the rate in [`COLUMNS`], and what it is in runs of requests.
const RATE: usize = 1;
const REQUESTS: Column =
    ("answers/s", 10, |one| per_second(one, one.received.unwrap_or(one.sent)).map(show_number));

/// Of a server, which knows no more.
const SERVER_COLUMNS: [Column; 3] = [
    ("seconds", 12, |one| Some(span(one))),
    ("rate ~", 10, COLUMNS[RATE].2),
    ("received ~", 11, COLUMNS[2].2),
];

fn draw_intervals(model: &Model, area: Rect, buffer: &mut Buffer) {
    let all = if model.is_server { &SERVER_COLUMNS[..] } else { &COLUMNS[..] };
    let latest = model.intervals.last();
    let is_known = |(at, column): &(usize, &Column)| {
        *at < ALWAYS || latest.is_some_and(|latest| column.2(latest).is_some())
    };
    let mut right = 0;
    let all = all.iter().enumerate().map(|(at, column)| match (at, model.unit) {
        (RATE, RateUnit::Requests) => (at, &REQUESTS),
        _ => (at, column),
    });
    let fitting = all.filter(is_known).take_while(|(_, column)| {
        right += column.1;
        right <= area.width
    });
    let columns: Vec<&Column> = fitting.map(|(_, column)| column).collect();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut line = |y: u16, style: Style, text: &dyn Fn(&Column) -> String| {
        let mut right = 0;
        for column in &columns {
            right += column.1;
            right_aligned(&text(column), right, column.1, y, buffer, style);
        }
    };
    line(area.y, bold, &|(title, ..)| (*title).to_owned());
    let shown = usize::from(area.height.saturating_sub(2));
    let latest = |all: &'_ [Interval], shown: usize| all.len().saturating_sub(shown)..all.len();
    let (own, back) = (&model.intervals, &model.reverse);
    let [own, back] = match model.is_both {
        true => [&own[latest(own, shown.div_ceil(2))], &back[latest(back, shown / 2)]],
        false => [&own[latest(own, shown)], &[]],
    };
    let sent = if model.is_both { "→ " } else { "" };
    let rows = own.iter().map(|one| (sent, one)).chain(back.iter().map(|one| ("← ", one)));
    for (y, (way, interval)) in (area.y + 1..).zip(rows) {
        line(y, Style::new(), &|(title, _, figure)| {
            let way = if *title == COLUMNS[0].0 { way } else { "" };
            way.to_owned() + &figure(interval).unwrap_or_else(|| UNKNOWN.to_owned())
        });
    }
}

/// Text that ends before this column; cut to its width less a gap.
fn right_aligned(text: &str, right: u16, width: u16, y: u16, buffer: &mut Buffer, style: Style) {
    let most = usize::from(width.saturating_sub(1));
    let taken = display_width(text).min(most);
    buffer.set_stringn(right.saturating_sub(taken as u16), y, text, taken, style);
}

/// Widths with a gap of the figures of a list, between its first and its last column: fit
/// `99.9 kpps` and 99,999,999 datagrams.
const FIGURES: [u16; 5] = [10, 11, 9, 8, 8];
/// The least of the last column, which is text: fits `receive buffer`; and the most that the first
/// one takes of the rest before it.
const LAST: u16 = 15;
const FIRST: u16 = 24;

fn draw_list(model: &Model, area: Rect, buffer: &mut Buffer) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let shown = usize::from(area.height.saturating_sub(1));
    let rows = &model.rows[model.rows.len().saturating_sub(shown)..];
    let titles = model.titles.map(str::to_owned);
    let is_used = |(at, _): &(usize, u16)| !titles[at + 1].is_empty();
    let figures: Vec<_> = FIGURES.into_iter().enumerate().filter(is_used).collect();
    let rest = area.width.saturating_sub(figures.iter().map(|(_, width)| *width).sum());
    let first = rest.saturating_sub(LAST).min(FIRST.max(rest / 2));
    let mut line = |row: &ListRow, y: u16, style: Style| {
        buffer.set_stringn(0, y, &row[0], usize::from(first.saturating_sub(1)), style);
        let mut x = first;
        for (at, width) in &figures {
            x += width;
            right_aligned(&row[at + 1], x, *width, y, buffer, style);
        }
        let width = area.width.saturating_sub(x + 1);
        buffer.set_stringn(x + 1, y, &row[row.len() - 1], usize::from(width), style);
    };
    line(&titles, area.y, bold);
    for (y, row) in (area.y + 1..).zip(rows) {
        line(row, y, Style::new());
    }
    if rows.is_empty() {
        buffer.set_stringn(0, area.y + 1, "none yet", usize::from(first), quiet());
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::backend::TestBackend;
    use ratatui_core::terminal::Terminal;

    use super::*;

    fn model() -> Model {
        let interval = |at: u64| Interval {
            start_ns: at * 1_000_000_000,
            end_ns: (at + 1) * 1_000_000_000,
            sent: 1_000 + at,
            received: Some(990),
            lost: Some(10 + at),
            latency: Some(IntervalLatency { p50_ns: Some(45_000), ..IntervalLatency::default() }),
            stalls: Some(0),
            ..Interval::default()
        };
        Model {
            title: "udperf bench".to_owned(),
            state: "cell 2/3 plain/64/max".to_owned(),
            intervals: (0..30).map(interval).collect(),
            facts: vec![("so far", "sent 1".to_owned()), ("drops", "none".to_owned())],
            titles: ["cells done", "rate", "lost", "loss", "p50", "p99", "most lost at"],
            rows: vec![["plain/64/1k", "1.00 kpps", "0", "0%", "1 µs", "2 µs", ""].map(Into::into)],
            ..Model::default()
        }
    }

    fn lines(model: &Model, screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(model, screen, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).filter_map(move |x| buffer.cell((x, y))).map(|one| one.symbol());
        (0..height).map(|y| line(y).collect()).collect()
    }

    fn has(lines: &[String], text: &str) -> bool {
        lines.iter().any(|line| line.contains(text))
    }

    #[test]
    fn a_run_of_requests_counts_requests() {
        let rows = vec![["plain/64/1k", "1.00k/s", "0", "0%", "1 µs", "2 µs", ""].map(Into::into)];
        let model = Model { unit: RateUnit::Requests, rows, ..model() };
        let lines = lines(&model, &Screen::default(), 80, 24);
        for text in
            ["requests/s  (s) sent 1.03k  (a) answered 990", "answers/s", "29–30       990 "]
        {
            assert!(has(&lines, text), "{text}: {lines:#?}");
        }
        assert!(!has(&lines, "pps"), "{lines:#?}");
    }

    #[test]
    fn every_part_is_there_on_both_sizes() {
        for (width, height, charts) in [(80, 24, 1), (140, 40, 2), (190, 50, 3)] {
            let lines = lines(&model(), &Screen::default(), width, height);
            assert!(lines[0].contains("udperf bench · cell 2/3 plain/64/max"), "{lines:#?}");
            // The latest interval: rate, received, lost, loss and p50; p99 is not known.
            let row = lines.iter().find(|line| line.contains("29–30")).unwrap();
            let words: Vec<_> = row.split_whitespace().collect();
            let words = words.join(" ");
            assert!(words.starts_with("29–30 990 pps 990 39 3.79% 45.0 µs – – 0"), "{words}");
            for text in ["so far      sent 1", "drops       none", "plain/64/1k", "q end"] {
                assert!(has(&lines, text), "{text} {lines:#?}");
            }
            let titles = ["rate  ", "loss  ", "latency  "];
            for (at, title) in titles.iter().enumerate() {
                assert_eq!(lines[1].contains(title), at < charts, "{title} {lines:#?}");
            }
            assert!(lines.iter().filter(|line| line.contains("45.0 µs  ")).count() >= 4);
        }
    }

    #[test]
    fn keys_change_the_frame_and_no_size_breaks_it() {
        let screen = Screen { chart: 2, is_frozen: true, ..Screen::default() };
        let frame = lines(&model(), &screen, 80, 24);
        assert!(frame[0].ends_with(" frozen: p goes on ") && frame[1].contains("p99.9"));
        let help = Screen { has_help: true, ..Screen::default() };
        let frame = lines(&model(), &help, 80, 24);
        for line in HELP {
            assert!(has(&frame, line), "{line}");
        }
        for (width, height) in [(79, 24), (80, 23), (20, 3), (1, 1)] {
            let frame = lines(&model(), &screen, width, height);
            assert!(frame[0].starts_with("--live needs 80 x 24") || width < 20, "{frame:?}");
        }
        let server = Model { is_server: true, ..model() };
        let frame = lines(&server, &Screen::default(), 80, 24);
        assert!(has(&frame, "rate ~") && has(&frame, "received ~"), "{frame:#?}");
        let empty = Model { titles: [""; 7], is_server: true, ..Model::default() };
        for (width, height) in [(80, 24), (81, 25), (119, 24), (400, 100)] {
            for model in [&empty, &model()] {
                assert_eq!(lines(model, &screen, width, height).len(), usize::from(height));
            }
        }
    }

    #[test]
    fn both_directions_are_shown() {
        let mut both = Model { is_both: true, ..model() };
        let last = both.intervals.last().unwrap().clone();
        both.reverse = vec![Interval { sent: 5_000, received: Some(4_321), ..last }];
        let screen = Screen { has_colors: true, ..Screen::default() };
        let frame = lines(&both, &screen, 140, 40);
        assert!(frame[1].contains("rate of what is sent  sent 1.03 kpps"), "{}", frame[1]);
        assert!(frame[1].contains("rate of what is received  sent 5.00 kpps"), "{}", frame[1]);
        assert!(has(&frame, "→ 29–30") && has(&frame, "← 29–30"), "{frame:#?}");
        // One chart at a time, of each direction in turn.
        let titles = (0..6).map(|chart| {
            let screen = Screen { chart, ..Screen::default() };
            lines(&both, &screen, 80, 24)[1].split("  ").next().unwrap().to_owned()
        });
        let expected = ["rate", "loss", "latency"]
            .iter()
            .flat_map(|name| ["sent", "received"].map(|what| format!("{name} of what is {what}")));
        assert!(titles.eq(expected));
    }
}
