//! The text of a comparison, with the verdict last.

use std::collections::BTreeMap;

use super::document::{
    ComparedCell, Comparison, Difference, EffectKind, NoiseFloor, Runs, Verdict,
};
use super::pairs::group;
use super::show::{self, names};
use super::validity::BASE;
use crate::report::format::text::style::{
    Color, Styler, align, align_within, counted, display_width, dotted, note, percent, wrap,
};
use crate::report::format::text::{Style, labels, warnings};

/// Minimum width of the text. Arbitrary: the width of the table.
const MIN_WIDTH: usize = 60;
/// Maximum number of named differences. Arbitrary: they fit a screen with the table.
const MAX_DIFFERENCES: usize = 12;
/// Columns of the table.
pub(super) const COLUMNS: usize = 8;
/// Columns that a narrow terminal omits, the least useful first.
const OPTIONAL: [usize; 2] = [6, 5];

pub(crate) fn render(comparison: &Comparison, style: Style) -> String {
    let styler = Styler { color: style.color };
    let width = style.width.max(MIN_WIDTH);
    let (table, omitted) = table(comparison, styler, width);
    let mut notes = notes(comparison);
    notes.extend(omitted.map(|text| ("omitted", text)));
    let notes = notes.iter().map(|(label, text)| note(styler, label, text, width));
    let mut parts =
        vec![head(comparison, styler, width), table, notes.collect::<Vec<_>>().join("\n")];
    parts.extend(warnings(&comparison.warnings, Style { width, ..style }));
    let headline = wrap(&show::headline(comparison), width, 2);
    parts.push(styler.paint_lines(verdict_color(comparison.verdict), headline).join("\n"));
    parts.join("\n\n") + "\n"
}

fn head(comparison: &Comparison, styler: Styler, width: usize) -> String {
    let mut title = title(comparison);
    title[0] = styler.paint(Color::Title, &title[0]);
    let mut lines = wrap(&dotted(&title), width, 2);
    let labels = labels(&comparison.head.labels).map(|line| wrap(&line, width, 2));
    lines.extend(styler.paint_lines(Color::Quiet, labels.unwrap_or_default()));
    for (name, side, _) in sides(comparison) {
        let line = format!("{name:<5}{}", runs(side));
        // Wrapping would collapse the double blanks of the layout.
        let fits = display_width(&line) <= width;
        let wrapped = if fits { vec![line] } else { wrap(&line, width, 5) };
        lines.extend(styler.paint_lines(Color::Quiet, wrapped));
    }
    lines.join("\n")
}

pub(super) fn title(comparison: &Comparison) -> [String; 3] {
    let program = format!("udperf {}", comparison.head.tool.version);
    [program, comparison.head.kind.clone(), order(comparison).to_owned()]
}

pub(super) const fn order(comparison: &Comparison) -> &'static str {
    if comparison.interleaved { "interleaved" } else { "one after the other" }
}

/// The two sides: name, runs, and the cells that only this side has.
pub(super) fn sides(comparison: &Comparison) -> [(&'static str, &Runs, &[String]); 2] {
    let (base, new) = names(comparison);
    [(base, &comparison.base, &comparison.only_base), (new, &comparison.new, &comparison.only_new)]
}

/// `flags -e plain · 10 runs · git abc`.
pub(super) fn runs(side: &Runs) -> String {
    let mut items = vec![side.from.clone(), format!("{} of each cell", counted(side.runs, "run"))];
    if !side.git.is_empty() {
        items.push(format!("git {}", side.git.join(" ")));
    }
    if !side.labels.is_empty() {
        items.push(format!("labels {}", side.labels.join(" ")));
    }
    items.extend(side.first.clone());
    dotted(&items).replace('\u{a0}', " ")
}

pub(super) fn titles(comparison: &Comparison) -> [&'static str; COLUMNS] {
    let (base, new) = names(comparison);
    ["cell", "metric", base, new, "change", "95% interval", "p", "verdict"]
}

pub(super) const fn is_left(column: usize) -> bool {
    column < 2 || column + 1 == COLUMNS
}

/// The table, and which columns it omits, if any. The id of a cell has a line of its own where it
/// would not fit beside the figures.
fn table(comparison: &Comparison, styler: Styler, width: usize) -> (String, Option<String>) {
    /// Columns by which rows are indented below an id.
    const INDENT: usize = 2;
    let titles = titles(comparison);
    let painted = titles.map(|title| styler.paint(Color::Quiet, title));
    let mut lines = vec![painted.to_vec()];
    let mut ids = BTreeMap::new();
    for cell in &comparison.cells {
        let first = lines.len();
        lines.extend(rows(cell, styler));
        ids.extend(lines.get(first).map(|line| (first, line[0].clone())));
        // The id is shown once for all metrics.
        lines.iter_mut().skip(first + 1).for_each(|line| line[0].clear());
    }
    let whole = align(&lines, is_left);
    if whole.lines().all(|line| display_width(line) <= width) {
        return (whole, None);
    }
    lines.iter_mut().for_each(|line| drop(line.remove(0)));
    let optional = OPTIONAL.map(|at| at - 1);
    let (text, omitted) =
        align_within(&lines, |at| is_left(at + 1), &optional, width.saturating_sub(INDENT));
    let with_ids = text.lines().enumerate().flat_map(|(at, line)| {
        let id = ids.get(&at).map(|id| wrap(id, width, INDENT).join("\n"));
        id.into_iter().chain([" ".repeat(INDENT) + line])
    });
    let names: Vec<_> = OPTIONAL[..omitted].iter().map(|at| titles[*at]).collect();
    let note = format!("{}, to fit {width} columns; see --markdown", names.join(", "));
    (with_ids.collect::<Vec<_>>().join("\n"), (omitted > 0).then_some(note))
}

/// The rows of a cell: its id (or both if they differ), then a metric.
pub(super) fn rows(cell: &ComparedCell, styler: Styler) -> impl Iterator<Item = Vec<String>> {
    let id = match cell.id == cell.base_id {
        true => cell.id.clone(),
        false => format!("{} → {}", cell.base_id, cell.id),
    };
    cell.metrics.iter().map(move |judgement| {
        vec![
            id.clone(),
            judgement.metric.clone(),
            styler.figure(&show::center(judgement, judgement.base.center)),
            styler.figure(&show::center(judgement, judgement.new.center)),
            show::change(judgement),
            styler.paint(Color::Quiet, &show::interval(judgement)),
            show::p(judgement),
            styler.paint(verdict_color(judgement.verdict), judgement.verdict.word()),
        ]
    })
}

const fn verdict_color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Better => Color::Good,
        Verdict::Same => Color::Quiet,
        Verdict::Worse | Verdict::CannotCompare => Color::Bad,
        Verdict::Undecided => Color::Warning,
    }
}

pub(super) fn notes(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let mut notes = vec![("rules", rules(comparison))];
    let named = comparison.differences.iter().take(MAX_DIFFERENCES).map(difference);
    let mut differences = dotted(&named.collect::<Vec<_>>());
    let more = comparison.differences.len().saturating_sub(MAX_DIFFERENCES);
    if more > 0 {
        differences += &format!(" · {more} more in the document");
    }
    notes.extend((!differences.is_empty()).then_some(("differs", differences)));
    notes.extend(learned(comparison).map(|text| ("learned", text)));
    notes.extend(unmatched(comparison).map(|text| ("cells", text)));
    notes.extend(invalid(comparison).map(|text| ("invalid", text)));
    notes.extend(undecided(comparison).map(|text| ("undecided", text)));
    notes
}

pub(super) fn unmatched(comparison: &Comparison) -> impl Iterator<Item = String> {
    let sides = sides(comparison).into_iter().filter(|(.., ids)| !ids.is_empty());
    sides.map(|(name, _, ids)| format!("{} in {name} only", ids.join(", ")))
}

/// Why the two cannot be compared, with the side.
pub(super) fn invalid(comparison: &Comparison) -> impl Iterator<Item = String> {
    let (base, new) = names(comparison);
    comparison.invalid.iter().map(move |reason| {
        let name = if reason.side == BASE { base } else { new };
        format!("{name}: {}", show::reason(reason))
    })
}

pub(super) fn learned(comparison: &Comparison) -> Option<String> {
    let learned = comparison.learned.as_ref()?;
    let floor = |floor: &NoiseFloor| {
        let unit = if floor.kind == EffectKind::Ratio { "share" } else { "number" };
        let noise = show::value(unit, floor.noise);
        format!("{} {} ±{noise}", floor.cell, floor.metric)
    };
    let floors = dotted(&learned.floors.iter().map(floor).collect::<Vec<_>>());
    let place = learned.kept_in.as_ref().map(|path| format!("kept in {path}"));
    let place = place.as_deref().unwrap_or("not kept");
    Some(match floors.is_empty() {
        true => "A and B are equal, but no noise floor was learned: at least 8 runs are needed, \
                 and more than before"
            .to_owned(),
        false => format!("A and B are equal, so this is the noise floor (A/A), {place}: {floors}"),
    })
}

pub(super) fn rules(comparison: &Comparison) -> String {
    let rules = &comparison.rules;
    let noise = rules.noise_from.as_ref();
    let noise = noise.map(|from| format!(", or the noise floor of this machine ({from})"));
    format!(
        "a verdict needs p < {} over {} in all (Mann-Whitney, Holm) and a {:.0}% interval \
         entirely beyond {}{}; {} for loss",
        rules.alpha,
        counted(rules.family, "figure"),
        rules.confidence * 100.0,
        percent(rules.tolerance),
        noise.unwrap_or_default(),
        percent(rules.share_floor),
    )
}

/// `host.kernel 6.1 → 6.2`.
pub(super) fn difference(found: &Difference) -> String {
    let values = |values: &[String]| match values {
        [] => "–".to_owned(),
        values => values.join(", "),
    };
    format!("{} {} → {}", found.what, values(&found.base), values(&found.new))
}

/// The reasons for undecided metrics, each once.
pub(super) fn undecided(comparison: &Comparison) -> Option<String> {
    let metrics = comparison.cells.iter().flat_map(|cell| &cell.metrics);
    let undecided = metrics.filter(|metric| metric.verdict == Verdict::Undecided);
    let reasons = group(undecided.map(|metric| (metric.why.as_str(), ()))).into_iter();
    let count = |all: Vec<()>| counted(all.len() as u64, "figure");
    let reasons: Vec<_> = reasons.map(|(why, all)| format!("{}: {why}", count(all))).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;

    #[test]
    fn a_comparison_fits_the_terminal() {
        let mut comparison = fixture::comparison();
        let alike = ("plain/64/max", "plain/64/max");
        for (id, base_id) in [alike, ("gso+batch/8972/50%", "batch/64/9")] {
            for cell in &mut comparison.cells {
                (cell.id, cell.base_id) = (id.to_owned(), base_id.to_owned());
            }
            for width in [60, 70, 80, 100, 200] {
                let style = Style { color: false, width, verbose: false };
                let text = render(&comparison, style);
                let is_wide = |line: &&str| display_width(line) > width;
                assert_eq!(text.lines().find(is_wide), None, "{width}: {text}");
                // Omitted columns are named.
                let has_interval = text.contains("95% interval  ");
                assert!(has_interval || text.contains("95% interval, to fit"), "{text}");
                let verdict = comparison.cells[0].metrics[0].verdict.word();
                assert!(text.contains(id) && text.contains(verdict), "{text}");
            }
        }
    }
}
