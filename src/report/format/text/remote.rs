//! Notes on what there is only between two ends: clocks, ways, flows.

use super::rows::TableModel;
use super::style::{glue, grouped, percent};
use crate::document::{Cell, Report};
use crate::unit::{show_nanos, sum_counts};

pub(super) fn one_ended(table: &TableModel<'_>) -> Option<String> {
    let text = "only the sending side is known; see the receiver's own counters for arrivals";
    table.one_ended.then(|| text.to_owned())
}

pub(super) fn ways(table: &TableModel<'_>) -> Option<String> {
    let text = "→ forward, from here to the sink; ← reverse, from there to here, at the same time";
    table.both.then(|| text.to_owned())
}

pub(super) fn clocks(report: &Report) -> Option<String> {
    let clock = report.clock?;
    if clock.same {
        return Some("the same clock at both ends: one-way latency is exact".to_owned());
    }
    let side = if clock.offset_ns < 0 { "behind" } else { "ahead" };
    let shown = |ns: u64| glue(&show_nanos(ns));
    // Added to zero, what rounds to -0 is 0.
    let drift = (clock.drift_ppb as f64 / 100.0).round() / 10.0 + 0.0;
    let mut text = format!(
        "the sink's is {} {side}, ±{}, drift {}",
        shown(clock.offset_ns.unsigned_abs()),
        shown(clock.bound_ns),
        glue(&format!("{drift:.1} ppm"))
    );
    if let Some(rtt_ns) = clock.min_rtt_ns {
        text.push_str(&glue(&format!(" (min RTT {})", show_nanos(rtt_ns))));
    }
    Some(text)
}

/// The comparison of flows, of the cell with the worst.
pub(super) fn flows(report: &Report) -> Option<String> {
    let cells = || report.cells.iter().filter(|cell| !cell.calibration);
    let all = || cells().filter_map(|cell| cell.flows.as_ref());
    let count = all().map(|flows| flows.count).max()?;
    let lost = match all().filter_map(|flows| flows.loss_max).reduce(f64::max) {
        Some(share) if share > 0.0 => glue(&format!("worst lost {}", percent(share))),
        Some(_) => "none lost any".to_owned(),
        None => "none sent".to_owned(),
    };
    let starved = match all().map(|flows| flows.starved).max() {
        None | Some(0) => "none starved".to_owned(),
        Some(starved) => format!("{} starved", grouped(starved)),
    };
    let fairness = all().filter_map(|flows| flows.fairness).reduce(f64::min);
    let fairness = fairness.map(|index| format!(", fairness {}", index_of(index)));
    let receivers = receivers(cells());
    let receivers = receivers.map(|shares| glue(&format!("; receivers {shares}")));
    Some(format!(
        "{}: {lost}, {}{}{}",
        grouped(count),
        glue(&starved),
        glue(&fairness.unwrap_or_default()),
        receivers.unwrap_or_default()
    ))
}

/// Three decimals; 1 only if it is exactly 1.
fn index_of(fairness: f64) -> String {
    match fairness {
        whole if whole >= 1.0 => "1".to_owned(),
        near if near >= 0.9995 => ">0.999".to_owned(),
        other => format!("{other:.3}"),
    }
}

/// Maximum number of receivers with a figure each; arbitrary.
const SHOWN: usize = 8;

/// The receivers' shares of datagrams, in the cell with the least even ones.
fn receivers<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<String> {
    let share = |workers: &[u64]| -> Option<f64> {
        let all = sum_counts(workers.iter().copied());
        let most = *workers.iter().max()? as f64;
        (all > 0 && workers.len() > 1).then(|| most * workers.len() as f64 / all as f64)
    };
    let known = cells.filter_map(|cell| cell.workers.as_deref());
    let known = known.filter_map(|workers| Some((workers, share(workers)?)));
    let (workers, _) = known.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let all = sum_counts(workers.iter().copied());
    let percents: Vec<_> = workers
        .iter()
        .map(|&count| format!("{:.0}", 100.0 * count as f64 / all as f64))
        .take(SHOWN)
        .collect();
    let more = if workers.len() > SHOWN { "/…" } else { "" };
    Some(format!("{}{more}%", percents.join("/")))
}

/// Late arrivals, if more than 1 % (arbitrary) came after the window.
pub(super) fn after_window(report: &Report) -> Option<String> {
    let sides = report.cells.iter().filter(|cell| !cell.calibration);
    let sides = sides.filter_map(|cell| cell.rx.as_ref());
    let known = sides.filter_map(|rx| Some((rx.datagrams, rx.datagrams_after_window?)));
    let (all, after) = known.fold((0_u64, 0_u64), |(all, after), (more, late)| {
        (all.saturating_add(more), after.saturating_add(late))
    });
    (u128::from(after) * 100 > u128::from(all)).then(|| {
        format!(
            "{} of {} datagrams arrived after the window in which they were due; the rate counts \
             them",
            grouped(after),
            grouped(all)
        )
    })
}
