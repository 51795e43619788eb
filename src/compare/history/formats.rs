//! A history as text, CSV, Markdown, and a page.

use super::{Change, History, Point, Series};
use crate::compare::judge::unit;
use crate::compare::pairs::group;
use crate::compare::show;
use crate::report::RenderError;
use crate::report::checks::metric::{Better, Metric, MetricKind};
use crate::report::format::html::{self, Chart, Frame, Tone};
use crate::report::format::markdown as md;
use crate::report::format::text::Style;
use crate::report::format::text::style::{Color, Styler, align, display_width, distinct};
use crate::report::format::{Document, Format};

/// Columns of the tables, each with whether it is aligned left.
const COLUMNS: [(&str, bool); 8] = [
    ("cell", true),
    ("run", true),
    ("git", true),
    ("value", false),
    ("change", false),
    ("trials", false),
    ("warnings", true),
    ("what changed", true),
];
/// Width of the bar. Arbitrary: the space that other columns leave.
const BAR: usize = 12;
/// Marks a value that a warning is about, as in the text of a report.
const WARNED: char = '!';
/// Marks a value of an invalid run. Arbitrary.
const INVALID: char = '✗';
/// Before the first column; as in the table of cells.
const MARGIN: &str = "  ";

impl Document for History {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[
        Format::new("CSV", "csv", |all, _| csv(all).map(Some)),
        Format::new("Markdown", "markdown", |all, _| Ok(Some(markdown(all)))),
        Format::new("page", "html", |all, _| Ok(Some(html(all)))),
    ];

    fn text(&self, style: Style) -> String {
        text(self, style)
    }
}

/// One table per scenario, host and metric, a line per run, newest last.
fn text(history: &History, style: Style) -> String {
    let styler = Styler { color: style.color };
    let mut out = String::new();
    for (title, series) in by_scenario(history) {
        out += &(styler.paint(Color::Title, &title.join(" · ")) + "\n");
        for series in by_metric(series) {
            out += &format!("\n{}\n", heading(&series));
            out += &table(&series, style.width);
        }
        out.push('\n');
    }
    // One line break at the end, as in all formats.
    out.trim_end().to_owned() + "\n"
}

fn markdown(history: &History) -> String {
    let (titles, left) = (COLUMNS.map(|(title, _)| title), COLUMNS.map(|(_, is_left)| is_left));
    let mut parts = Vec::new();
    for (title, series) in by_scenario(history) {
        parts.push(format!("### {}", md::escape(&title.join(" · "))));
        for series in by_metric(series) {
            parts.push(format!("**{}**", md::escape(&heading(&series))));
            let rows: Vec<_> = lines(&series).map(|line| line.to_row()).collect();
            parts.push(md::table(&titles, &left, &rows));
        }
    }
    parts.join("\n\n") + "\n"
}

/// A history as CSV, one row per point: times in ns, rates per second, loss as a share of 1.
fn csv(history: &History) -> Result<String, RenderError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let names = "started_at,git,host,cell,metric,value,n,scenario,doubts,file,invalid_because";
    writer.write_record(names.split(','))?;
    for series in &history.series {
        for point in &series.points {
            writer.write_record([
                point.started_at.as_str(),
                point.git.as_deref().unwrap_or_default(),
                &series.host,
                &series.cell,
                series.metric.name,
                &point.value.to_string(),
                &point.trials.to_string(),
                &series.scenario,
                &point.warnings.join(";"),
                &point.path.to_string_lossy(),
                &point.invalid_because.join(";"),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn html(history: &History) -> String {
    const TITLE: &str = "udperf · history";
    let mut body = html::element("h1", TITLE);
    for ([scenario, host], series) in by_scenario(history) {
        body += &("<section>\n".to_owned() + &html::element("h2", scenario));
        body += &html::element("p class=\"quiet\"", host);
        for series in by_metric(series) {
            // A single point shows no more than the table.
            let several = series.iter().filter(|series| series.points.len() > 1);
            let charts: Vec<_> = several.map(|series| chart(series)).collect();
            let rows: Vec<_> = lines(&series).map(|line| line.to_row()).collect();
            body += &html::element("h3", &heading(&series));
            if !charts.is_empty() {
                body += &html::gallery(&charts);
            }
            body += &html::table(&[], &COLUMNS, &rows);
        }
        body += "</section>\n";
    }
    html::page(TITLE, &body)
}

fn by_scenario(history: &History) -> Vec<([&str; 2], Vec<&Series>)> {
    group(history.series.iter().map(|one| ([one.scenario.as_str(), one.host.as_str()], one)))
}

fn by_metric(series: Vec<&Series>) -> impl Iterator<Item = Vec<&Series>> {
    let groups = group(series.into_iter().map(|one| (one.metric.name, one)));
    groups.into_iter().map(|(_, series)| series)
}

fn heading(series: &[&Series]) -> String {
    let Metric { name, better, .. } = series[0].metric;
    match better {
        Better::Higher => format!("{name}, higher is better"),
        Better::Lower => format!("{name}, lower is better"),
        Better::Neither => (*name).to_owned(),
    }
}

struct Line<'a> {
    series: &'a Series,
    at: usize,
    point: &'a Point,
}

fn lines<'a>(series: &[&'a Series]) -> impl Iterator<Item = Line<'a>> {
    series.iter().flat_map(|&series| {
        series.points.iter().enumerate().map(move |(at, point)| Line { series, at, point })
    })
}

impl Line<'_> {
    /// To the minute, if it is a time.
    fn date(&self) -> String {
        let text = &self.point.started_at;
        if humantime::parse_rfc3339(text).is_err() {
            return text.clone();
        }
        text.chars().take("2026-07-18T12:00".len()).collect::<String>().replace('T', " ")
    }

    fn git(&self) -> String {
        self.point.git.clone().unwrap_or_else(|| "–".to_owned())
    }

    fn value(&self) -> String {
        show(self.series, self.point.value)
    }

    /// The value, and a mark if the run is invalid or has warnings.
    fn marked(&self) -> String {
        let mark = match (&self.point.invalid_because[..], &self.point.warnings[..]) {
            ([], []) => ' ',
            ([], _) => WARNED,
            _ => INVALID,
        };
        format!("{}{mark}", self.value())
    }

    fn change(&self) -> String {
        self.series.step(self.at).map_or_else(String::new, |step| format!("{:+.1}%", step * 100.0))
    }

    fn bar(&self) -> String {
        let highest = self.series.highest();
        let share = self.point.value / highest;
        match self.series.points.len() > 1 && share.is_finite() && share > 0.0 {
            true => "█".repeat(((share * BAR as f64).round() as usize).clamp(1, BAR)),
            false => String::new(),
        }
    }

    fn changes(&self) -> String {
        let change = |Change { what, from, to }: &Change| format!("{what} {from} → {to}");
        self.point.changes.iter().map(change).collect::<Vec<_>>().join(", ")
    }

    /// `invalid: nothing_arrived`; `None` where it is valid.
    fn invalid(&self) -> Option<String> {
        let codes = &self.point.invalid_because;
        (!codes.is_empty()).then(|| format!("invalid: {}", codes.join(", ")))
    }

    fn to_row(&self) -> Vec<String> {
        let codes = self.invalid().into_iter().chain(self.point.warnings.iter().cloned());
        vec![
            self.series.cell.clone(),
            self.date(),
            self.git(),
            self.value(),
            self.change(),
            self.point.trials.to_string(),
            codes.collect::<Vec<_>>().join(", "),
            self.changes(),
        ]
    }
}

fn table(series: &[&Series], width: usize) -> String {
    let row = |line: Line<'_>| {
        // Shown once for all its runs.
        let cell = if line.at == 0 { line.series.cell.clone() } else { String::new() };
        let (date, git, change) = (line.date(), line.git(), line.change());
        [cell, date, git, line.marked(), change, line.bar(), line.changes()]
    };
    let rows: Vec<_> = lines(series).map(row).collect();
    let is_used = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
    let used: Vec<usize> = (0..7).filter(is_used).collect();
    let shown: Vec<Vec<String>> =
        rows.iter().map(|row| used.iter().map(|&column| row[column].clone()).collect()).collect();
    let table = align(&shown, |at| !matches!(used[at], 3 | 4));
    let cell_width = rows.iter().map(|row| display_width(&row[0])).max().unwrap_or(0);
    let indent = " ".repeat(2 * MARGIN.len() + cell_width);
    let mut out = String::new();
    for (line, [.., changes]) in table.lines().zip(&rows) {
        let is_wide = MARGIN.len() + display_width(line) > width && !changes.is_empty();
        out += &match line.strip_suffix(changes).filter(|_| is_wide) {
            Some(rest) => format!("{MARGIN}{}\n{indent}{changes}\n", rest.trim_end()),
            None => format!("{MARGIN}{line}\n"),
        };
    }
    out += &footnote(series, &format!("{INVALID} invalid"), |point| &point.invalid_because);
    out + &footnote(series, &format!("{WARNED} has warnings in the run"), |point| &point.warnings)
}

fn footnote(series: &[&Series], mark: &str, of: fn(&Point) -> &[String]) -> String {
    let codes = distinct(lines(series).flat_map(|line| of(line.point)).map(String::as_str));
    if codes.is_empty() { String::new() } else { format!("{MARGIN}{mark}: {}\n", codes.join(", ")) }
}

fn show(series: &Series, value: f64) -> String {
    match series.metric.kind {
        _ if value.is_infinite() => "infinite".to_owned(),
        MetricKind::Count => value.to_string(),
        kind => show::value(unit(kind, series.rates), value),
    }
}

/// The values of a series in order of time, with a mark at each change of its context.
fn chart(series: &Series) -> Chart {
    let highest = series.highest();
    let top = if highest > 0.0 { highest } else { 1.0 };
    let last = series.points.len().saturating_sub(1).max(1) as f64;
    // A line that touches the edge is hard to see. Arbitrary: a tenth, a twentieth.
    let frame = Frame { x: (-last / 20.0, last * 1.05), y: (0.0, top * 1.1) };
    let all = series.points.iter().enumerate();
    let line = |at: usize| Line { series, at, point: &series.points[at] };
    let shown = all.clone().filter(|(_, point)| point.value.is_finite());
    let ends = [0, series.points.len() - 1];
    let [first, newest] = ends.map(|at| line(at).date());
    let day = |date: &str| date.chars().take("2026-07-18".len()).collect::<String>();
    // Only times tell runs of one day apart.
    let of_label = |date: String| if day(&first) == day(&newest) { date } else { day(&date) };
    let mut dates = vec![(0.0, of_label(first.clone()))];
    if series.points.len() > 1 {
        dates.push((last, of_label(newest.clone())));
    }
    let tick = |value| (value, show(series, value));
    let ticks = [(0.0, "0".to_owned()), tick(top / 2.0), tick(top)];
    let latest = line(series.points.len() - 1);
    let caption = [latest.value(), latest.change()].join(" ");
    let events = all.filter(|(_, point)| !point.changes.is_empty());
    let valid = shown.clone().filter(|(_, point)| point.invalid_because.is_empty());
    Chart::new(series.cell.clone(), caption.trim().to_owned(), frame)
        .y_ticks(ticks.into_iter())
        .x_ticks(dates.into_iter())
        .events(events.map(|(at, _)| (at as f64, line(at).changes())))
        .line(valid.map(|(at, point)| (at as f64, point.value)))
        .dots(
            Tone::Plain,
            shown.map(|(at, point)| {
                let line = line(at);
                let label = [line.date(), line.git(), line.value()].into_iter();
                let label: Vec<_> = label.chain(line.invalid()).collect();
                (at as f64, point.value, label.join(" · "))
            }),
        )
}

#[cfg(test)]
mod tests;
