//! The effects of a comparison as interval plots: a chart a metric, a row a cell.

use crate::compare::document::{Comparison, Effect, EffectKind, Judgement, Verdict};
use crate::compare::judge::same_range;
use crate::compare::pairs::group;
use crate::compare::show;
use crate::report::format::html::{Chart, ChartRow, Tone};

/// How far the scale reaches beyond the largest effect or tolerance, at most. Arbitrary: a wide
/// interval in one cell leaves the others readable.
const WIDEST: f64 = 3.0;

/// Space beyond what is drawn, as a share. Arbitrary.
const MARGIN: f64 = 1.05;

/// The part of the scale within which a label stays clear of the edge. Arbitrary.
const LABELLED: f64 = 0.8;

/// A chart for each metric, and if its effects are of both kinds, for each kind; in the order of
/// the table.
pub(super) fn charts(comparison: &Comparison) -> Vec<Chart> {
    let all = comparison.cells.iter();
    let all = all.flat_map(|cell| cell.metrics.iter().map(move |metric| (cell, metric)));
    let with_effect = all.filter_map(|(cell, metric)| {
        let is_ratio = metric.effect?.kind == EffectKind::Ratio;
        Some(((metric.metric.as_str(), is_ratio), (cell.id.as_str(), metric)))
    });
    group(with_effect).into_iter().map(|((name, _), rows)| chart(name, &rows)).collect()
}

fn chart(metric: &str, all: &[(&str, &Judgement)]) -> Chart {
    let rows: Vec<_> = all.iter().filter_map(|(cell, one)| row(cell, one)).collect();
    let extent = extent(&rows);
    let caption = all.first().map(|(_, one)| format!("{} is better", one.better));
    let chart = Chart::of_rows(
        metric.to_owned(),
        caption.unwrap_or_default(),
        (-extent, extent),
        rows.len(),
    );
    let ticks = all.first().map(|(_, one)| ticks(one, extent)).unwrap_or_default();
    chart.x_ticks(ticks.into_iter()).estimates(&rows)
}

/// Where an effect is on the scale, with 0 for none: the same factor in both directions has the
/// same length.
fn place(kind: EffectKind, value: f64) -> f64 {
    match kind {
        EffectKind::Ratio => value.ln(),
        EffectKind::Difference => value,
    }
}

fn row(cell: &str, judgement: &Judgement) -> Option<ChartRow> {
    let Effect { kind, value, low, high } = judgement.effect?;
    let (below, above) = same_range(kind, judgement.threshold);
    let known = |value: f64| Some(place(kind, value)).filter(|place| place.is_finite());
    Some(ChartRow {
        name: cell.to_owned(),
        shown: format!("{} {}", show::change(judgement), judgement.verdict.word()),
        value: known(value),
        interval: (low < high).then(|| (place(kind, low), place(kind, high))),
        tolerance: Some((place(kind, below), place(kind, above))),
        note: show::sentence(judgement),
        tone: match judgement.verdict {
            Verdict::Better => Tone::Good,
            Verdict::Same => Tone::Plain,
            Verdict::Worse | Verdict::CannotCompare => Tone::Bad,
            Verdict::Undecided => Tone::Warning,
        },
    })
}

/// Half the length of the scale.
fn extent(rows: &[ChartRow]) -> f64 {
    let largest = |all: &mut dyn Iterator<Item = f64>| {
        all.map(f64::abs).filter(|one| one.is_finite()).fold(0.0, f64::max)
    };
    let ends = |of: fn(&ChartRow) -> Option<(f64, f64)>| {
        rows.iter().filter_map(of).flat_map(|(low, high)| [low, high])
    };
    let values = rows.iter().filter_map(|row| row.value);
    let least = largest(&mut values.chain(ends(|row| row.tolerance)));
    let most = largest(&mut ends(|row| row.interval)).max(least);
    let extent = most.min(least * WIDEST) * MARGIN;
    if extent > 0.0 { extent } else { 1.0 }
}

/// No effect, and a round one in either direction.
fn ticks(judgement: &Judgement, extent: f64) -> Vec<(f64, String)> {
    let Some(effect) = judgement.effect else { return Vec::new() };
    let values = match effect.kind {
        EffectKind::Ratio => {
            let step = round((extent * LABELLED).exp_m1());
            // Half is as far from 1 as double.
            let low = if step < 0.5 { 1.0 - step } else { 1.0 / (1.0 + step) };
            [low, 1.0, 1.0 + step]
        }
        EffectKind::Difference => {
            let step = round(extent * LABELLED);
            [-step, 0.0, step]
        }
    };
    values.map(|value| (place(effect.kind, value), show::one(judgement, effect, value))).into()
}

/// The largest of 1, 2 and 5 times a power of ten that is not larger.
fn round(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0].into_iter().find(|digit| digit * power <= value).unwrap_or(1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;
    use crate::report::hostile;

    #[test]
    fn each_effect_is_a_row_of_its_metric() {
        let mut comparison = fixture::comparison();
        let hostile = "<script>x</script>\"'&\u{1b}".to_owned();
        comparison.new.from.clone_from(&hostile);
        comparison.cells[1].id = hostile;
        let page = hostile::page(&comparison);
        assert!(!page.contains("<script>x"), "{page}");
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let of_class = |class: &str| {
            let all = page.descendants();
            all.filter(|node| node.attribute("class") == Some(class)).count()
        };
        let figures = page.descendants().filter(|node| node.has_tag_name("figure")).count();
        // One worse, one the same, one better, one undecided; the same has no interval.
        let dots = ["dot bad", "dot", "dot good", "dot doubt"].map(of_class);
        assert_eq!((figures, dots), (4, [1; 4]));
        assert_eq!((of_class("band"), of_class("interval")), (4, 3));
        let texts: Vec<_> = page.descendants().filter_map(|node| node.text()).collect();
        for text in ["-10.0% worse", "+7.0% undecided", "0 points same"] {
            assert!(texts.contains(&text), "{text}: {texts:?}");
        }
        let title = "plain/64/max: rx_pps 281 kpps → 253 kpps, -10.0% (-12.1 … -8.0%), p 0.0002, \
                     beyond 2%";
        assert!(texts.contains(&title), "{texts:?}");
    }

    #[test]
    fn a_wide_interval_does_not_set_the_scale() {
        let judged = |effect| {
            let metric = ["rx_pps", "pps", "higher"];
            fixture::judgement(metric, [1.0; 2], EffectKind::Ratio, effect)
        };
        let (usual, wide) = (judged([0.9, 0.88, 0.92]), judged([1.05, 0.01, 50.0]));
        let rows: Vec<_> = [&usual, &wide].into_iter().filter_map(|one| row("a", one)).collect();
        let found = extent(&rows);
        assert!((found - -0.9_f64.ln() * WIDEST * MARGIN).abs() < 1e-9, "{found}");
        let labels = |extent| ticks(&usual, extent).into_iter().map(|(_, label)| label);
        assert_eq!(labels(found).collect::<Vec<_>>(), ["-20.0%", "0%", "+20.0%"]);
        assert_eq!(labels(1.0).collect::<Vec<_>>(), ["-50.0%", "0%", "+100.0%"]);
        assert!((extent(&[]) - 1.0).abs() < 1e-9);
        assert_eq!([0.011, 0.2, 0.7, 3.0].map(round), [0.01, 0.2, 0.5, 2.0]);
    }
}
