//! The text of a comparison, with the verdict last.

use super::document::{
    ComparedCell, Comparison, Difference, EffectKind, Judgement, NoiseFloor, Runs, Verdict,
};
use super::show::{self, names};
use crate::report::format::text::style::{
    Color, Styler, align, counted, dotted, note, percent, wrap,
};
use crate::report::format::text::{Style, warnings};

/// Minimum width of the text. Arbitrary: the width of the table.
const MIN_WIDTH: usize = 60;

/// Maximum number of named differences. Arbitrary: they fit a screen with the table.
const MAX_DIFFERENCES: usize = 12;

pub(crate) fn render(comparison: &Comparison, style: Style) -> String {
    let styler = Styler { color: style.color };
    let width = style.width.max(MIN_WIDTH);
    let mut parts = vec![
        head(comparison, styler, width),
        table(comparison, styler),
        notes(comparison, styler, width),
    ];
    parts.extend(warnings(&comparison.warnings, Style { width, ..style }));
    parts.push(verdict(comparison, styler, width));
    parts.join("\n\n") + "\n"
}

fn head(comparison: &Comparison, styler: Styler, width: usize) -> String {
    let (base, new) = names(comparison);
    let title = [
        styler.paint(Color::Title, &format!("udperf {}", comparison.head.tool.version)),
        comparison.head.kind.clone(),
        if comparison.interleaved { "in turns" } else { "one after the other" }.to_owned(),
    ];
    let mut lines = wrap(&dotted(&title), width, 2);
    for (name, side) in [(base, &comparison.base), (new, &comparison.new)] {
        let line = format!("{name:<5}{}", runs(side));
        lines.extend(styler.paint_lines(Color::Quiet, wrap_hanging(&line, width)));
    }
    lines.join("\n")
}

fn wrap_hanging(line: &str, width: usize) -> Vec<String> {
    // Wrapping would collapse the double blanks of the layout.
    if line.chars().count() <= width { vec![line.to_owned()] } else { wrap(line, width, 5) }
}

/// `flags -e plain · 10 runs · git abc`.
pub(super) fn runs(side: &Runs) -> String {
    let mut items = vec![side.from.clone(), format!("{} of each cell", counted(side.runs, "run"))];
    if !side.git.is_empty() {
        items.push(format!("git {}", side.git.join(" ")));
    }
    items.extend(side.first.clone());
    dotted(&items).replace('\u{a0}', " ")
}

fn table(comparison: &Comparison, styler: Styler) -> String {
    let (base, new) = names(comparison);
    let titles = ["cell", "metric", base, new, "change", "95% of it", "p", "verdict"];
    let mut rows = vec![titles.map(|title| styler.paint(Color::Quiet, title)).to_vec()];
    for cell in &comparison.cells {
        let id = id(cell);
        rows.extend(cell.metrics.iter().enumerate().map(|(at, judgement)| {
            let id = if at == 0 { id.clone() } else { String::new() };
            row(id, judgement, styler).to_vec()
        }));
    }
    align(&rows, |at| !(2..titles.len() - 1).contains(&at))
}

/// The id of a cell, or both if they differ.
pub(super) fn id(cell: &ComparedCell) -> String {
    if cell.id == cell.base_id {
        cell.id.clone()
    } else {
        format!("{} → {}", cell.base_id, cell.id)
    }
}

pub(super) fn row(id: String, judgement: &Judgement, styler: Styler) -> [String; 8] {
    [
        id,
        judgement.metric.clone(),
        styler.figure(&show::center(judgement, judgement.base.center)),
        styler.figure(&show::center(judgement, judgement.new.center)),
        show::change(judgement),
        styler.paint(Color::Quiet, &show::interval(judgement)),
        show::p(judgement),
        styler.paint(verdict_color(judgement.verdict), judgement.verdict.word()),
    ]
}

const fn verdict_color(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Better => Color::Good,
        Verdict::Same => Color::Quiet,
        Verdict::Worse | Verdict::CannotCompare => Color::Bad,
        Verdict::Undecided => Color::Warning,
    }
}

fn notes(comparison: &Comparison, styler: Styler, width: usize) -> String {
    let mut notes = vec![note(styler, "rules", &rules(comparison), width)];
    if !comparison.differences.is_empty() {
        let named: Vec<_> =
            comparison.differences.iter().take(MAX_DIFFERENCES).map(difference).collect();
        let more = comparison.differences.len().saturating_sub(MAX_DIFFERENCES);
        let mut text = dotted(&named);
        if more > 0 {
            text.push_str(&format!(" · {more} more in the document"));
        }
        notes.push(note(styler, "differs", &text, width));
    }
    notes.extend(learned(comparison).map(|text| note(styler, "learned", &text, width)));
    let (base, new) = names(comparison);
    for (name, ids) in [(base, &comparison.only_base), (new, &comparison.only_new)] {
        if !ids.is_empty() {
            let text = format!("{} in {name} only", ids.join(", "));
            notes.push(note(styler, "cells", &text, width));
        }
    }
    for reason in &comparison.invalid {
        let text = format!("{}: {}", reason.side, show::reason(reason));
        notes.push(note(styler, "invalid", &text, width));
    }
    notes.extend(undecided(comparison).map(|text| note(styler, "undecided", &text, width)));
    notes.join("\n")
}

pub(super) fn learned(comparison: &Comparison) -> Option<String> {
    let learned = comparison.learned.as_ref()?;
    let floor = |floor: &NoiseFloor| {
        let unit = if floor.kind == EffectKind::Ratio { "share" } else { "number" };
        let noise = show::value(unit, floor.noise);
        format!("{} {} ±{noise}", floor.cell, floor.metric)
    };
    let floors: Vec<_> = learned.floors.iter().map(floor).collect();
    if floors.is_empty() {
        let why = "A and B are equal, but no noise floor was learned: at least 8 runs are needed, \
                   and more than before";
        return Some(why.to_owned());
    }
    let kept = match &learned.kept_in {
        Some(path) => format!("kept in {path}"),
        None => "not kept".to_owned(),
    };
    Some(format!(
        "A and B are equal, so this is the noise floor (A/A), {kept}: {}",
        dotted(&floors)
    ))
}

pub(super) fn rules(comparison: &Comparison) -> String {
    let rules = &comparison.rules;
    let noise = match &rules.noise_from {
        Some(from) => format!(", or the noise floor of this machine ({from})"),
        None => String::new(),
    };
    format!(
        "a verdict needs p < {} over all {} that vary (Mann-Whitney, Holm) and a {:.0}% interval \
         wholly beyond {}{noise}; {} for loss",
        rules.alpha,
        counted(rules.family, "figure"),
        rules.confidence * 100.0,
        percent(rules.tolerance),
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
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    let judged = comparison.cells.iter().flat_map(|cell| &cell.metrics);
    for judgement in judged.filter(|judgement| judgement.verdict == Verdict::Undecided) {
        match reasons.iter_mut().find(|(why, _)| *why == judgement.why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((&judgement.why, 1)),
        }
    }
    let said: Vec<_> = reasons
        .iter()
        .map(|(why, count)| format!("{}: {why}", counted(*count, "figure")))
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn verdict(comparison: &Comparison, styler: Styler, width: usize) -> String {
    let lines = wrap(&show::headline(comparison), width, 2);
    styler.paint_lines(verdict_color(comparison.verdict), lines).join("\n")
}
