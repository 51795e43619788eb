//! A history as text, CSV, Markdown, and a page.

use super::{Change, History, Point, Series};
use crate::report::RenderError;
use crate::report::checks::metric::{Better, Metric, MetricKind};
use crate::report::format::html::{self, Chart, Frame};
use crate::report::format::markdown as md;
use crate::report::format::text::Style;
use crate::report::format::text::style::{WIDEST, distinct};
use crate::report::format::{Document, Format};
use crate::unit::{show_bits, show_nanos, show_pps};

/// Columns of its tables, each with whether it is aligned left.
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

/// Between two columns, and before the first; as in the table of cells.
const GAP: &str = "  ";

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
pub(crate) fn text(history: &History, style: Style) -> String {
    let mut out = String::new();
    for (scenario, host) in ways(history) {
        let title = format!("{scenario} · {host}");
        out += &if style.color { format!("\u{1b}[1m{title}\u{1b}[0m\n") } else { title + "\n" };
        for (metric, series) in by_metric(history, &scenario, &host) {
            out += &format!("\n{}\n", heading(metric));
            out += &table(&series, style.width);
        }
        out.push('\n');
    }
    // One line break at the end, as in all formats.
    out.trim_end().to_owned() + "\n"
}

pub(crate) fn markdown(history: &History) -> String {
    let (titles, left) = (COLUMNS.map(|(title, _)| title), COLUMNS.map(|(_, is_left)| is_left));
    let mut parts = Vec::new();
    for (scenario, host) in ways(history) {
        parts.push(format!("### {} · {}", md::escape(&scenario), md::escape(&host)));
        for (metric, series) in by_metric(history, &scenario, &host) {
            parts.push(format!("**{}**", md::escape(&heading(metric))));
            let rows: Vec<Vec<String>> = lines(&series).map(|line| line.to_row()).collect();
            parts.push(md::table(&titles, &left, &rows));
        }
    }
    parts.join("\n\n") + "\n"
}

/// A history as CSV, one row per point: times in ns, rates per second, loss as a share of 1.
pub(crate) fn csv(history: &History) -> Result<String, RenderError> {
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

pub(crate) fn html(history: &History) -> String {
    const TITLE: &str = "udperf · history";
    let mut body = html::element("h1", TITLE);
    for (scenario, host) in ways(history) {
        body += &("<section>\n".to_owned() + &html::element("h2", &scenario));
        body += &html::element("p class=\"quiet\"", &host);
        for (metric, series) in by_metric(history, &scenario, &host) {
            let charts: Vec<_> = series.iter().map(|series| chart(series)).collect();
            let rows: Vec<_> = lines(&series).map(|line| line.to_row()).collect();
            body += &html::element("h3", &heading(metric));
            body += &(html::gallery(&charts) + &html::table(&[], &COLUMNS, &rows));
        }
        body += "</section>\n";
    }
    html::page(TITLE, &body)
}

fn ways(history: &History) -> Vec<(String, String)> {
    let ways = history.series.iter().map(|series| (series.scenario.clone(), series.host.clone()));
    distinct(ways)
}

fn by_metric<'a>(
    history: &'a History,
    scenario: &str,
    host: &str,
) -> Vec<(&'static Metric, Vec<&'a Series>)> {
    let mut groups: Vec<(&'static Metric, Vec<&Series>)> = Vec::new();
    let of_way = |series: &&Series| series.scenario == scenario && series.host == host;
    for series in history.series.iter().filter(of_way) {
        match groups.iter_mut().find(|(metric, _)| metric.name == series.metric.name) {
            Some((_, group)) => group.push(series),
            None => groups.push((series.metric, vec![series])),
        }
    }
    groups
}

fn heading(metric: &Metric) -> String {
    match metric.better {
        Better::Higher => format!("{}, higher is better", metric.name),
        Better::Lower => format!("{}, lower is better", metric.name),
        Better::Neither => metric.name.to_owned(),
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
        match humantime::parse_rfc3339(text) {
            Ok(_) => {
                text.chars().take("2026-07-18T12:00".len()).collect::<String>().replace('T', " ")
            }
            Err(_) => text.clone(),
        }
    }

    fn git(&self) -> String {
        self.point.git.clone().unwrap_or_else(|| "–".to_owned())
    }

    fn value(&self) -> String {
        show(self.series.metric.kind, self.point.value)
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
    let mut cell = "";
    let rows: Vec<([String; 6], String)> = lines(series)
        .map(|line| {
            // Shown once for all its runs.
            let name =
                if line.at == 0 || cell != line.series.cell { &line.series.cell } else { "" };
            cell = &line.series.cell;
            let columns = [
                name.to_owned(),
                line.date(),
                line.git(),
                line.marked(),
                line.change(),
                line.bar(),
            ];
            (columns, line.changes())
        })
        .collect();
    let widest = |at: usize| {
        rows.iter().map(|(row, _)| row[at].chars().count()).max().unwrap_or(0).min(WIDEST)
    };
    let widths: [usize; 6] = std::array::from_fn(widest);
    let mut out = String::new();
    for (row, changes) in &rows {
        let shown = row.iter().zip(widths).enumerate().filter(|(_, (_, width))| *width > 0);
        let padded = shown.map(|(at, (text, width))| match at {
            3 | 4 => format!("{GAP}{text:>width$}"),
            _ => format!("{GAP}{text:<width$}"),
        });
        let mut line: String = padded.collect();
        if line.chars().count() + GAP.len() + changes.chars().count() > width {
            line.truncate(line.trim_end().len());
            line += &format!("\n{}{changes}", " ".repeat(2 * GAP.len() + widths[0]));
        } else {
            line += &format!("{GAP}{changes}");
        }
        out += line.trim_end();
        out.push('\n');
    }
    out += &footnote(series, &format!("{INVALID} invalid"), |point| &point.invalid_because);
    out + &footnote(series, &format!("{WARNED} has warnings in the run"), |point| &point.warnings)
}

fn footnote(series: &[&Series], mark: &str, of: fn(&Point) -> &[String]) -> String {
    let codes = distinct(lines(series).flat_map(|line| of(line.point)).map(String::as_str));
    match codes.is_empty() {
        true => String::new(),
        false => format!("{GAP}{mark}: {}\n", codes.join(", ")),
    }
}

fn show(kind: MetricKind, value: f64) -> String {
    if value.is_infinite() {
        return "infinite".to_owned();
    }
    match kind {
        MetricKind::Share => format!("{:.3}%", value * 100.0),
        MetricKind::Time => show_nanos(value.round() as u64),
        MetricKind::Packets => show_pps(value),
        MetricKind::Bits => show_bits(value),
        MetricKind::Count | MetricKind::Number => format!("{value}"),
    }
}

/// The values of a series in order of time, with a mark at each change of its context.
fn chart(series: &Series) -> Chart {
    let highest = series.highest();
    let top = if highest > 0.0 { highest } else { 1.0 };
    let last = series.points.len().saturating_sub(1).max(1) as f64;
    // A line that touches the edge is hard to see. Arbitrary: a tenth, a twentieth of the room.
    let frame = Frame { x: (-last / 20.0, last * 1.05), y: (0.0, top * 1.1) };
    let all = series.points.iter().enumerate();
    let line = |at: usize| Line { series, at, point: &series.points[at] };
    let shown = all.clone().filter(|(_, point)| point.value.is_finite());
    let day = |at: usize| line(at).date().chars().take("2026-07-18".len()).collect();
    let mut days: Vec<(f64, String)> = vec![(0.0, day(0))];
    if series.points.len() > 1 {
        days.push((last, day(series.points.len() - 1)));
    }
    let tick = |value| (value, show(series.metric.kind, value));
    let ticks = [(0.0, "0".to_owned()), tick(top / 2.0), tick(top)];
    let newest = line(series.points.len() - 1);
    let caption = [newest.value(), newest.change()].join(" ");
    Chart::new(series.cell.clone(), caption.trim().to_owned(), frame)
        .y_ticks(ticks.into_iter())
        .x_ticks(days.into_iter())
        .events(
            all.filter(|(_, point)| !point.changes.is_empty())
                .map(|(at, _)| (at as f64, line(at).changes())),
        )
        .line(
            shown
                .clone()
                .filter(|(_, point)| point.invalid_because.is_empty())
                .map(|(at, point)| (at as f64, point.value)),
        )
        .dots(shown.map(|(at, point)| {
            let line = line(at);
            let label = [line.date(), line.git(), line.value()].into_iter();
            let label: Vec<_> = label.chain(line.invalid()).collect();
            (at as f64, point.value, label.join(" · "))
        }))
}

#[cfg(test)]
mod tests;
