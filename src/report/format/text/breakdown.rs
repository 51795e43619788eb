//! The latency breakdown: a line that adds up.

use serde_json::Value;

use super::rows::{Figure, measured};
use super::style::{LISTED, NBSP, first_few, grouped, more, no_break};
use crate::document::{Cell, Legs, Report};
use crate::unit::{show_nanos, sum_counts};

/// Up to this mean, parts are shown in tenths of a µs, above in tenths of a ms; arbitrary.
const FINE_UP_TO_NS: u64 = 10_000_000;

pub(super) fn notes(report: &Report) -> Vec<String> {
    let is_alone = measured(report).count() == 1;
    let known = || measured(report).filter_map(|cell| Some((&cell.id, cell.legs.as_ref()?)));
    let line = |(id, legs): (&String, &Legs)| match is_alone {
        true => sum(legs),
        false => format!("{}{NBSP}{}", no_break(id), sum(legs)),
    };
    known().take(LISTED).map(line).chain(more(known().count(), "cell")).collect()
}

/// Cells without a breakdown although kernel timestamps were requested, and why.
pub(super) fn missing(report: &Report) -> Option<String> {
    let without = measured(report).filter(|cell| cell.in_socket.is_some() && cell.legs.is_none());
    let without: Vec<_> = without.collect();
    let cells = first_few(&without, "cell", |cell| cell.id.clone())?;
    Some(format!("no breakdown for {cells}: {}", why_missing(report, without[0])))
}

fn why_missing(report: &Report, cell: &Cell) -> String {
    if report.scenario.get("unix").is_some_and(Value::is_string) {
        return "AF_UNIX has no send timestamps".to_owned();
    }
    let is_reverse = cell.direction.as_deref() == Some("reverse");
    let host = report.host.peer.as_deref().filter(|_| is_reverse).unwrap_or(&report.host);
    let stamps = host.capabilities.iter().find(|one| one.name == "tx_timestamps");
    match stamps.filter(|one| !one.available) {
        Some(lacking) => lacking.detail.clone(),
        None if is_reverse => "the senders there shared sockets with receivers, or no received \
                               datagram has a send timestamp"
            .to_owned(),
        None => "no received datagram has a send timestamp".to_owned(),
    }
}

/// `lag 0.2 + system call 2.1 + path 1.3 + socket 3.9 = 7.5 µs`: means, followed by percentiles.
fn sum(legs: &Legs) -> String {
    let Legs { samples, bound_ns, lag, system_call, path, in_socket, total } = legs;
    let (step_ns, unit) =
        if total.mean_ns < FINE_UP_TO_NS { (100, "µs") } else { (100_000, "ms") };
    let means = [lag, system_call, path, in_socket].map(|leg| leg.mean_ns);
    let all = total.mean_ns.saturating_add(step_ns / 2) / step_ns;
    let names = ["lag", "system call", "path", "socket"].into_iter();
    let terms = names.zip(parts(means, step_ns, all));
    let terms = terms.map(|(name, steps)| no_break(&format!("{name} {}", tenths(steps))));
    // The percentiles, with the bounds of those that need two clocks.
    let p99s = [(lag, 0), (system_call, 0), (path, *bound_ns), (in_socket, 0), (total, *bound_ns)];
    let [lag, system_call, path, in_socket, total] = p99s.map(|(leg, bound_ns)| {
        no_break(&Figure::of((leg.p99_ns, leg.limits(bound_ns).p99_ns)).show())
    });
    let bound = match bound_ns {
        0 => String::new(),
        _ => format!("; path and sum within ±{}", show_nanos(*bound_ns)),
    };
    format!(
        "{} {} (means of {}; p99 {lag}, {system_call}, {path}, {in_socket}, of all {total}{bound})",
        terms.collect::<Vec<_>>().join(&format!("{NBSP}+ ")),
        no_break(&format!("= {} {unit}", tenths(all))),
        no_break(&format!("{} samples", grouped(*samples))),
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
    use crate::document::{Capability, Leg};
    use crate::report::fixture;

    fn of(means: [u64; 4]) -> Legs {
        let leg = |mean_ns| Leg { mean_ns, p99_ns: Some(mean_ns * 2), ..Leg::default() };
        let [lag, system_call, path, in_socket] = means.map(leg);
        let total = leg(means.iter().sum());
        Legs { samples: 1_000, bound_ns: 0, lag, system_call, path, in_socket, total }
    }

    #[test]
    fn rounded_parts_add_up() {
        let expected = "lag 0.2 + system call 2.2 + path 1.3 + socket 3.9 = 7.6 µs (means of 1,000 \
                        samples; p99 300 ns, 4.28 µs, 2.68 µs, 7.88 µs, of all 15.1 µs)";
        assert_eq!(sum(&of([150, 2_140, 1_340, 3_940])).replace(NBSP, " "), expected);
        let far = Legs { bound_ns: 90_000, ..of([0, 3_000, 24_000_000, 7_000]) };
        let shown = sum(&far).replace(NBSP, " ");
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
        let mut report = fixture::report_of(vec![fixture::cell("plain", 64, "50k", 50e3)]);
        assert_eq!((notes(&report).len(), missing(&report)), (0, None));
        report.cells[0].in_socket = report.cells[0].latency.clone();
        let (name, detail) = ("tx_timestamps".to_owned(), "no SO_TIMESTAMPING here".to_owned());
        report.host.capabilities = vec![Capability { name, available: false, detail }];
        let text = "no breakdown for plain/64/50k: no SO_TIMESTAMPING here";
        assert_eq!(missing(&report).as_deref(), Some(text));
        report.cells[0].legs = Some(of([1, 2, 3, 4]));
        assert_eq!(missing(&report), None);
        assert!(notes(&report)[0].starts_with("lag"));
        report.cells = vec![report.cells[0].clone(); LISTED + 2];
        let lines = notes(&report);
        assert!(lines[0].starts_with("plain/64/50k\u{a0}lag"), "{lines:?}");
        assert_eq!(lines[LISTED..], ["and 2 more cells"]);
    }
}
