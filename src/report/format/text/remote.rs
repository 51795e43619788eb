//! Notes on runs between two ends: clocks, directions, flows.

use super::rows::measured;
use super::style::{grouped, no_break, percent};
use crate::document::Report;
use crate::unit::{show_nanos, sum_counts};

pub(super) fn clocks(report: &Report) -> Option<String> {
    let clock = report.clock?;
    if clock.same {
        return Some("the same clock at both ends: one-way latency is exact".to_owned());
    }
    let side = if clock.offset_ns < 0 { "behind" } else { "ahead" };
    let shown = |ns: u64| no_break(&show_nanos(ns));
    // Added to zero, what rounds to -0 is 0.
    let drift = (clock.drift_ppb as f64 / 100.0).round() / 10.0 + 0.0;
    let rtt = clock.min_rtt_ns.map(|ns| no_break(&format!(" (min RTT {})", show_nanos(ns))));
    Some(format!(
        "the sink's is {} {side}, ±{}, drift {}{}",
        shown(clock.offset_ns.unsigned_abs()),
        shown(clock.bound_ns),
        no_break(&format!("{drift:.1} ppm")),
        rtt.unwrap_or_default()
    ))
}

/// The comparison of flows, of the cell with the worst.
pub(super) fn flows(report: &Report) -> Option<String> {
    let all = || measured(report).filter_map(|cell| cell.flows.as_ref());
    let count = all().map(|flows| flows.count).max()?;
    let lost = match all().filter_map(|flows| flows.loss_max).reduce(f64::max) {
        Some(share) if share > 0.0 => format!("worst lost {}", percent(share)),
        Some(_) => "none lost any".to_owned(),
        None => "none sent".to_owned(),
    };
    let starved = match all().map(|flows| flows.starved).max() {
        None | Some(0) => "none starved".to_owned(),
        Some(starved) => format!("{} starved", grouped(starved)),
    };
    let fairness = all().filter_map(|flows| flows.fairness).reduce(f64::min);
    let fairness = fairness.map(|index| match index {
        // 1 only if it is exactly 1.
        index if index >= 1.0 => "fairness 1".to_owned(),
        index if index >= 0.9995 => "fairness >0.999".to_owned(),
        index => format!("fairness {index:.3}"),
    });
    let parts = [lost, starved].into_iter().chain(fairness).map(|part| no_break(&part));
    let receivers = receivers(report).map(|shares| no_break(&format!("; receivers {shares}")));
    Some(format!(
        "{}: {}{}",
        grouped(count),
        parts.collect::<Vec<_>>().join(", "),
        receivers.unwrap_or_default()
    ))
}

/// The receivers' shares of datagrams, in the cell with the least even ones.
fn receivers(report: &Report) -> Option<String> {
    /// Maximum number of receivers with a figure each; arbitrary.
    const SHOWN: usize = 8;
    let shares = measured(report).filter_map(|cell| {
        let workers = cell.workers.as_deref().filter(|workers| workers.len() > 1)?;
        let all = sum_counts(workers.iter().copied());
        let skew = *workers.iter().max()? as f64 * workers.len() as f64 / all as f64;
        (all > 0).then_some((workers, all, skew))
    });
    let (workers, all, _) = shares.max_by(|a, b| a.2.total_cmp(&b.2))?;
    let percents = workers.iter().map(|&count| format!("{:.0}", 100.0 * count as f64 / all as f64));
    let percents: Vec<_> = percents.take(SHOWN).collect();
    let more = if workers.len() > SHOWN { "/…" } else { "" };
    Some(format!("{}{more}%", percents.join("/")))
}

/// Late arrivals, if more than 1 % (arbitrary) came after the window.
pub(super) fn after_window(report: &Report) -> Option<String> {
    let sides = || {
        let sides = measured(report).filter_map(|cell| cell.rx.as_ref());
        sides.filter_map(|rx| Some((rx.datagrams, rx.datagrams_after_window?)))
    };
    let (all, after) = (sum_counts(sides().map(|side| side.0)), sum_counts(sides().map(|s| s.1)));
    (u128::from(after) * 100 > u128::from(all)).then(|| {
        format!(
            "{} of {} datagrams arrived after the window in which they were due; the rate counts \
             them",
            grouped(after),
            grouped(all)
        )
    })
}
