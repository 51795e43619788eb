//! The latency breakdown: a line that adds up.

use super::style::{GLUE, NAMED, counted, glue, grouped, named};
use serde_json::Value;

use super::rows::Figure;
use super::table::UNKNOWN;
use crate::document::{Cell, Host, Leg, Legs, Report};
use crate::unit::{show_nanos, sum_counts};

/// Up to this mean, parts are shown in tenths of a µs, above in tenths of a ms; arbitrary.
const FINE_UP_TO_NS: u64 = 10_000_000;

pub(super) fn notes(report: &Report) -> Vec<String> {
    let alone = measured(report).count() == 1;
    let known = measured(report).filter_map(|cell| Some((&cell.id, cell.legs.as_ref()?)));
    let known: Vec<_> = known.collect();
    let line = |(id, legs): &(&String, &Legs)| match alone {
        true => sum(legs),
        false => format!("{}{GLUE}{}", glue(id), sum(legs)),
    };
    let mut lines: Vec<_> = known.iter().take(NAMED).map(line).collect();
    if let Some(more) = known.len().checked_sub(NAMED).filter(|&more| more > 0) {
        lines.push(format!("and {}", counted(more as u64, "more cell")));
    }
    lines
}

/// Cells without a breakdown although kernel timestamps were asked for, and why.
pub(super) fn missing(report: &Report) -> Option<String> {
    let without = measured(report).filter(|cell| cell.in_socket.is_some() && cell.legs.is_none());
    let without: Vec<_> = without.collect();
    let why = why(report, without.first()?);
    let cells = named(&without, |cell| cell.id.clone())?;
    Some(format!("no breakdown for {cells}: {why}"))
}

fn measured(report: &Report) -> impl Iterator<Item = &Cell> {
    report.cells.iter().filter(|cell| !cell.calibration)
}

fn why(report: &Report, cell: &Cell) -> String {
    if report.scenario.get("unix").is_some_and(Value::is_string) {
        return "AF_UNIX has no send timestamps".to_owned();
    }
    let there = cell.direction.as_deref() == Some("reverse");
    let host: &Host = report.host.peer.as_deref().filter(|_| there).unwrap_or(&report.host);
    let stamps = host.capabilities.iter().find(|one| one.name == "tx_timestamps");
    match stamps.filter(|one| !one.available) {
        Some(lacking) => lacking.detail.clone(),
        None if there => {
            "the senders there had no sockets of their own, or no stamp of a datagram \
                          came back that was received"
                .to_owned()
        }
        None => "no received datagram has a send timestamp".to_owned(),
    }
}

/// `lag 0.2 + system call 2.1 + path 1.3 + socket 3.9 = 7.5 µs`, means; and the percentiles beside.
fn sum(legs: &Legs) -> String {
    let Legs { samples, bound_ns, lag, system_call, path, in_socket, total } = legs;
    let (step_ns, unit) =
        if total.mean_ns < FINE_UP_TO_NS { (100, "µs") } else { (100_000, "ms") };
    let means = [lag, system_call, path, in_socket].map(|leg| leg.mean_ns);
    let all = total.mean_ns.saturating_add(step_ns / 2) / step_ns;
    let [lag_mean, system_call_mean, path_mean, socket_mean] =
        parts(means, step_ns, all).map(tenths);
    let p99 = |leg: &Leg, bound_ns| {
        let figure = Figure::of((leg.p99_ns, leg.limits(bound_ns).p99_ns));
        figure.map_or_else(|| UNKNOWN.to_owned(), Figure::show)
    };
    let known_within = match bound_ns {
        0 => String::new(),
        _ => format!("; path and sum within ±{}", show_nanos(*bound_ns)),
    };
    let equation = [
        format!("lag {lag_mean} +"),
        format!("system call {system_call_mean} +"),
        format!("path {path_mean} +"),
        format!("socket {socket_mean}"),
        format!("= {} {unit}", tenths(all)),
    ];
    format!(
        "{} (means of {}; p99 {}, {}, {}, {}, of all {}{})",
        equation.map(|part| glue(&part)).join(" "),
        glue(&format!("{} samples", grouped(*samples))),
        glue(&p99(lag, 0)),
        glue(&p99(system_call, 0)),
        glue(&p99(path, *bound_ns)),
        glue(&p99(in_socket, 0)),
        glue(&p99(total, *bound_ns)),
        known_within,
    )
}

/// The parts in whole steps that add up to `all`: the largest remainders are rounded up.
fn parts(ns: [u64; 4], step_ns: u64, all: u64) -> [u64; 4] {
    let mut steps = ns.map(|ns| ns / step_ns);
    let missing = all.saturating_sub(sum_counts(steps));
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|&at| std::cmp::Reverse(ns[at] % step_ns));
    for at in order.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        steps[at] += 1;
    }
    steps
}

fn tenths(steps: u64) -> String {
    format!("{}.{}", grouped(steps / 10), steps % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Capability;
    use crate::report::fixture;

    fn leg(mean_ns: u64) -> Leg {
        let p99_ns = Some(mean_ns * 2);
        let (min_ns, p50_ns, p90_ns) = (Some(mean_ns / 2), Some(mean_ns), Some(mean_ns));
        let (p99_9_ns, max_ns, upper_limits) = (p99_ns, mean_ns * 3, None);
        Leg { min_ns, mean_ns, p50_ns, p90_ns, p99_ns, p99_9_ns, max_ns, upper_limits }
    }

    fn of(means: [u64; 4]) -> Legs {
        let [lag, system_call, path, in_socket] = means.map(leg);
        let total = leg(means.iter().sum());
        Legs { samples: 1_000, bound_ns: 0, lag, system_call, path, in_socket, total }
    }

    #[test]
    fn the_line_adds_up_however_it_is_rounded() {
        let shown = sum(&of([150, 2_140, 1_340, 3_940])).replace('\u{a0}', " ");
        assert_eq!(
            shown,
            "lag 0.2 + system call 2.2 + path 1.3 + socket 3.9 = 7.6 µs (means of 1,000 samples; \
             p99 300 ns, 4.28 µs, 2.68 µs, 7.88 µs, of all 15.1 µs)"
        );
        let mut far = of([0, 3_000, 24_000_000, 7_000]);
        far.bound_ns = 90_000;
        let shown = sum(&far).replace('\u{a0}', " ");
        assert!(shown.starts_with("lag 0.0 + system call 0.0 + path 24.0 + socket 0.0 = 24.0 ms"));
        assert!(shown.ends_with("path and sum within ±90.0 µs)"), "{shown}");
        for seed in 0..1_000 {
            let ns = [seed * 7 % 301, seed * 13 % 997, seed * 31 % 4_001, seed * 17 % 613];
            let all = (ns.iter().sum::<u64>() + 50) / 100;
            assert_eq!(parts(ns, 100, all).iter().sum::<u64>(), all, "{ns:?}");
        }
    }

    #[test]
    fn cells_without_a_breakdown_are_named_with_the_reason() {
        let mut cell = fixture::cell("plain", 64, "50k", 50e3);
        let mut report = fixture::report_of(vec![cell.clone()]);
        assert_eq!((notes(&report).len(), missing(&report)), (0, None));
        cell.in_socket = cell.latency.clone();
        report.cells = vec![cell.clone()];
        report.host.capabilities = vec![Capability {
            name: "tx_timestamps".to_owned(),
            available: false,
            detail: "no SO_TIMESTAMPING here".to_owned(),
        }];
        assert_eq!(
            missing(&report).unwrap(),
            "no breakdown for plain/64/50k: no SO_TIMESTAMPING here"
        );
        cell.legs = Some(of([1, 2, 3, 4]));
        report.cells = vec![cell.clone()];
        assert_eq!(missing(&report), None);
        assert!(notes(&report)[0].starts_with("lag"));
        report.cells.extend([cell.clone(), cell]);
        let lines = notes(&report);
        assert!(lines.len() == 3 && lines[2].starts_with("plain/64/50k\u{a0}lag"), "{lines:?}");
        let three = report.cells.clone();
        report.cells.extend(three);
        assert_eq!(notes(&report)[NAMED..], ["and 2 more cells"]);
    }
}
