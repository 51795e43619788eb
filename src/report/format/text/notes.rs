//! Notes below the table: the ledger, and details that do not fit into a row.

use super::rows::{Figure, Row, TableModel, add_stalls, measured, p50, p99};
use super::style::{
    Color, INFINITE, NBSP, STALL_MARK, Styler, UNSPLIT_MARK, counted, distinct, first_few, grouped,
    no_break, percent, requested_rate,
};
use super::{breakdown, ledger, members, requests, worst_interval};
use crate::document::{Cell, Report, XdpGranted};
use crate::report::checks::metric::{WithLoss, loss, p99_with_loss};
use crate::unit::{show_nanos, show_pps, sum_counts};

/// Minimum p99 lag for a note. Arbitrary: it is visible in the latency of a quiet host.
const LATE_NS: u64 = 50_000;

/// The highest percentile that has a column.
const HIGHEST: f64 = 0.999;

/// All notes that apply, each with its label; always the ledger, unless there are no cells.
pub(super) fn list(
    report: &Report,
    table: &TableModel<'_>,
    styler: Styler,
) -> Vec<(String, String)> {
    if report.cells.is_empty() {
        return Vec::new();
    }
    let starred = format!("max {STALL_MARK}");
    let send_only = "only the sending side is known; see the receiver's own counters for arrivals";
    let directions =
        "→ forward, from here to the sink; ← reverse, from there to here, at the same time";
    let notes = [
        ("ledger", Some(ledger::draw(report, styler))),
        ("steps", requests::steps(report)),
        ("server", requests::server(report)),
        ("input", requests::input(report)),
        ("sent", table.send_only.then(|| send_only.to_owned())),
        ("way", table.both_directions.then(|| directions.to_owned())),
        ("flows", flows(report)),
        ("sources", requests::sources(report)),
        ("auto", auto(report)),
        ("clocks", clocks(report)),
        ("±", spread(table)),
        ("±", two_clocks(table)),
        (INFINITE, infinite(table)),
        (UNSPLIT_MARK, unsplit(table)),
        (starred.as_str(), stalls(table, styler)),
        ("batches", batches(table)),
        ("in socket", in_socket(report)),
        ("latency", breakdown::missing(report)),
        ("outages", outages(report)),
        ("intervals", worst_interval::worst(report)),
        ("paced", paced_losses(table)),
        ("schedule", schedule(report)),
        ("window", after_window(report)),
        ("rate max", unscheduled(table)),
    ];
    let breakdown = breakdown::notes(report).into_iter().map(|text| ("latency", Some(text)));
    let notes = notes.into_iter().chain(breakdown);
    let notes = notes.filter_map(|(label, text)| Some((label.to_owned(), text?)));
    notes.chain(members::lines(report)).collect()
}

/// With its label, what the kernel granted the engine `xdp`.
pub(super) fn xdp(report: &Report) -> Option<(String, String)> {
    let sides = report.cells.iter().flat_map(|cell| {
        let rx = cell.rx.as_ref().and_then(|rx| rx.xdp.as_ref());
        let sides = [("senders", cell.tx.xdp.as_ref()), ("receivers", rx)];
        sides.into_iter().filter_map(|(who, side)| Some(format!("{who}: {}", granted(side?))))
    });
    let mut lines: Vec<String> = Vec::new();
    for line in sides {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| ("xdp".to_owned(), lines.join("; ")))
}

/// `queue 0, native, frames copied, RX ring 8,192, fill ring 8,192, need_wakeup`.
fn granted(of: &XdpGranted) -> String {
    let queues: Vec<_> = of.queues.iter().map(u32::to_string).collect();
    let plural = if queues.len() == 1 { "" } else { "s" };
    let ring = |name, entries: Option<u32>| {
        entries.map(|entries| format!("{name} ring {}", grouped(entries.into())))
    };
    let parts = [
        Some(format!("queue{plural} {}", queues.join(" "))),
        of.mode.map(|mode| mode.to_string()),
        Some(if of.zero_copy { "zero copy" } else { "frames copied" }.to_owned()),
        ring("RX", of.rx_ring),
        ring("fill", of.fill_ring),
        ring("TX", of.tx_ring),
        ring("completion", of.completion_ring),
        of.need_wakeup.then(|| "need_wakeup".to_owned()),
        of.busy_poll.then(|| "busy polling".to_owned()),
    ];
    parts.into_iter().flatten().map(|part| no_break(&part)).collect::<Vec<_>>().join(", ")
}

fn auto(report: &Report) -> Option<String> {
    let choice = report.choice.as_ref()?;
    let rate = |engine: &str, pps| no_break(&format!("{engine} {}", show_pps(pps)));
    let tried = choice.trials.iter().map(|one| rate(&one.engine, one.pps));
    let left_out = choice.left_out.iter().map(|one| {
        let rate = rate(&one.engine, one.pps);
        format!("{rate} left out ({})", one.why)
    });
    let failed = choice.failed.iter().map(|one| format!("{} not ({})", one.engine, one.why));
    Some(format!(
        "{}, which delivered most in trials of {} at {}: {}",
        choice.engine,
        no_break(&show_nanos(choice.trial_ns)),
        no_break(&counted(choice.size, "byte")),
        tried.chain(left_out).chain(failed).collect::<Vec<_>>().join(", ")
    ))
}

/// Explains infinite percentiles, and gives the percentiles of received datagrams.
fn infinite(table: &TableModel<'_>) -> Option<String> {
    let rows: Vec<&Row<'_>> = table.rows.iter().filter(|row| row.is_infinite(HIGHEST)).collect();
    let list = first_few(&rows, "cell", |row| {
        let [p50, p99] = [row.received(p50), row.received(p99)].map(Figure::show);
        no_break(&format!("{} {p50}, {p99}", table.name(row)))
    })?;
    let what = match table.has_requests {
        true => "requests without a reply, or never sent,",
        false => "datagrams that were lost or never sent",
    };
    Some(format!("{what} count as infinitely slow; p50 and p99 of the others: {list}"))
}

fn unsplit(table: &TableModel<'_>) -> Option<String> {
    let cells = table.rows.iter().filter(|row| row.is_unsplit()).flat_map(|row| &row.speed);
    let most = cells.filter_map(|cell| cell.packets.segments_at_last).max()?;
    Some(format!("up to {} stayed in one super-packet from end to end", counted(most, "datagram")))
}

/// Engines whose datagrams share clock reads, which hides differences within a batch.
fn batches(table: &TableModel<'_>) -> Option<String> {
    let largest = |engine: &str| {
        let rows = table.rows.iter().filter(|row| row.engine == engine);
        let latencies = rows.flat_map(|row| &row.timing).filter_map(|cell| cell.latency.as_ref());
        let most = latencies.map(|latency| latency.batch_max).max().filter(|&most| most > 1)?;
        Some(no_break(&format!("{engine} {}", grouped(most))))
    };
    let engines = distinct(table.rows.iter().map(|row| row.engine));
    let shared: Vec<_> = engines.into_iter().filter_map(largest).collect();
    let list = shared.join(", ");
    (!shared.is_empty()).then(|| format!("datagrams with the same read time, at most: {list}"))
}

fn in_socket(report: &Report) -> Option<String> {
    let parts = measured(report).filter_map(|cell| {
        let [to, inside] = [cell.to_socket.as_ref()?, cell.in_socket.as_ref()?]
            .map(|part| [p50(part), p99(part)].map(|figure| Figure::of(figure).show()));
        let ([to_p50, to_p99], [p50, p99]) = (to, inside);
        Some(no_break(&format!(
            "{} p50 {p50} of it in the socket after {to_p50} to it (p99 {p99}, {to_p99})",
            cell.id
        )))
    });
    first_few(&parts.collect::<Vec<_>>(), "cell", String::clone)
}

fn outages(report: &Report) -> Option<String> {
    let cells = report.cells.iter();
    let all: Vec<_> =
        cells.flat_map(|cell| cell.outages.iter().map(move |outage| (&cell.id, outage))).collect();
    first_few(&all, "outage", |(id, outage)| {
        let [from, until] = [outage.from_ns, outage.until_ns].map(show_nanos);
        let when = no_break(&format!("{from} to {until}"));
        let errors = no_break(&counted(outage.errors, "error"));
        format!("{id}{NBSP}{when}: {}, {errors}", outage.message)
    })
}

fn spread(table: &TableModel<'_>) -> Option<String> {
    let did = if table.send_only { "sent" } else { "delivered" };
    table.has_trials.then(|| format!("half the range of what the trials {did}, over its median"))
}

/// The error bound of one-way latency between two clocks; the widest of all rows.
fn two_clocks(table: &TableModel<'_>) -> Option<String> {
    let bounds = table.timing().filter_map(|cell| cell.latency.as_ref());
    let widest = bounds.map(|latency| latency.bound_ns).max().filter(|&bound_ns| bound_ns > 0)?;
    let widest = no_break(&show_nanos(widest));
    Some(format!("one-way latency has an error bound of ±{widest}, from the two clocks"))
}

fn stalls(table: &TableModel<'_>, styler: Styler) -> Option<String> {
    let marked: Vec<_> = table.rows.iter().filter(|row| row.is_stalled()).collect();
    if marked.is_empty() {
        return None;
    }
    let cells: Vec<&Cell> = marked.iter().flat_map(|row| row.timing.iter().copied()).collect();
    let tx = add_stalls(cells.iter().map(|cell| &cell.stalls.tx));
    let rx = add_stalls(cells.iter().filter_map(|cell| cell.stalls.rx.as_ref()));
    let both = add_stalls([&tx, &rx].into_iter());
    let stolen = sum_counts(cells.iter().filter_map(|cell| cell.stalls.stolen_ns));
    let shown = |ns| no_break(&show_nanos(ns));
    let stolen = match stolen {
        0 => String::new(),
        ns => format!("; the hypervisor took {}", shown(ns)),
    };
    let without = marked.iter().map(|row| {
        let name = styler.paint(Color::Quiet, &table.name(row));
        let max = row.received(|latency| latency.max_outside_stalls());
        no_break(&format!("{name} {}", max.show()))
    });
    Some(format!(
        "{} (sender {}, receiver {}): {} in all, longest {}{stolen}. Outside stalls: {}",
        counted(both.count, "stall"),
        grouped(tx.count),
        grouped(rx.count),
        shown(both.total_ns),
        shown(both.max_ns),
        without.collect::<Vec<_>>().join(", ")
    ))
}

/// Loss in cells whose loss has no column, because the row shows that of `max`.
fn paced_losses(table: &TableModel<'_>) -> Option<String> {
    let word = table.merged?;
    let worst = |row: &Row<'_>| {
        let known = row.timing.iter().filter_map(|cell| Some((loss(cell)?, *cell)));
        let (share, cell) = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let p99 = match p99_with_loss(cell) {
            Some(WithLoss::Known(ns)) => show_nanos(ns),
            Some(WithLoss::Below(ns)) => Figure::Below(ns).show(),
            Some(WithLoss::Infinite) | None => "infinite".to_owned(),
        };
        (share > 0.0).then_some((share, p99))
    };
    let rows = table.rows.iter().filter_map(|row| Some((row, worst(row)?)));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a));
    let list = first_few(&rows, "cell", |(row, (share, p99))| {
        no_break(&format!("{} {} (p99 with loss {p99})", table.name(row), percent(*share)))
    })?;
    Some(format!("also lost at {}: {list}", no_break(&requested_rate(word))))
}

/// Cells that missed slots of their schedule or were late, the worst first.
fn schedule(report: &Report) -> Option<String> {
    let ids = distinct(report.cells.iter().map(|cell| cell.id.as_str()));
    let mut late: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let trials = || report.cells.iter().filter(|cell| cell.id == id);
            let schedules = || trials().filter_map(|cell| cell.schedule.as_ref());
            let missed = sum_counts(schedules().map(|schedule| schedule.missed));
            let scheduled = sum_counts(schedules().map(|schedule| schedule.scheduled));
            let lag_ns = schedules().filter_map(|schedule| schedule.lag.p99_ns).max();
            (missed, lag_ns.unwrap_or(0), id, scheduled)
        })
        .filter(|&(missed, lag_ns, ..)| missed > 0 || lag_ns > LATE_NS)
        .collect();
    late.sort_by_key(|&(missed, lag_ns, ..)| std::cmp::Reverse((missed, lag_ns)));
    first_few(&late, "cell", |&(missed, lag_ns, id, scheduled)| {
        let missed =
            (missed > 0).then(|| format!("missed {} of {}", grouped(missed), grouped(scheduled)));
        let lag = (lag_ns > LATE_NS).then(|| format!("p99 lag {}", show_nanos(lag_ns)));
        let parts: Vec<_> = missed.into_iter().chain(lag).map(|part| no_break(&part)).collect();
        format!("{id}{NBSP}{}", parts.join(", "))
    })
}

fn unscheduled(table: &TableModel<'_>) -> Option<String> {
    let is_unscheduled = |cell: &Cell| cell.pace.is_none() && cell.latency.is_some();
    let text = match table.has_requests {
        true => "includes no wait for slow replies; use --rate to see it",
        false => "is mostly the wait in the queue",
    };
    let text = format!("has no schedule: latency starts at departure, and {text}");
    table.timing().any(is_unscheduled).then_some(text)
}

fn clocks(report: &Report) -> Option<String> {
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
fn flows(report: &Report) -> Option<String> {
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
fn after_window(report: &Report) -> Option<String> {
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
