//! Notes below the table: the ledger, and details that do not fit into a row.

use super::rows::{Figure, INFINITE, Row, TableModel, add_stalls, loss};
use super::style::{
    Color, GLUE, Styler, counted, distinct, glue, grouped, named, note, percent, rate_asked,
};
use super::table::{STALL_MARK, UNCUT_MARK, UNKNOWN};
use super::{breakdown, ledger, outages, remote, requests};
use crate::document::{Bounded, Cell, Latency, Report};
use crate::report::checks::with_loss::{WithLoss, p99_with_loss};
use crate::unit::{show_nanos, show_pps, sum_counts};

/// Minimum p99 lag for a note. Arbitrary: it is visible in the latency of a quiet host.
const LATE_NS: u64 = 50_000;

/// The highest percentile that has a column.
const HIGHEST: f64 = 0.999;

/// All notes that apply; always the ledger.
pub(super) fn draw(
    report: &Report,
    table: &TableModel<'_>,
    styler: Styler,
    width: usize,
) -> String {
    let notes = list(report, table, styler);
    let drawn: Vec<_> =
        notes.iter().map(|(label, text)| note(styler, label, text, width)).collect();
    drawn.join("\n")
}

/// All notes that apply: a label and text.
pub(super) fn list(
    report: &Report,
    table: &TableModel<'_>,
    styler: Styler,
) -> Vec<(String, String)> {
    let mut notes = vec![("ledger".to_owned(), ledger::draw(report, styler))];
    let starred = format!("max {STALL_MARK}");
    for (label, text) in [
        ("input", requests::input(report)),
        ("sent", remote::one_ended(table)),
        ("way", remote::ways(table)),
        ("flows", remote::flows(report)),
        ("auto", auto(report)),
        ("clocks", remote::clocks(report)),
        ("±", spread(table)),
        ("±", two_clocks(table)),
        (INFINITE, infinite(table)),
        (UNCUT_MARK, uncut(table)),
        (starred.as_str(), stalls(table, styler)),
        ("batches", batches(table)),
        ("in socket", in_socket(report)),
        ("latency", breakdown::missing(report)),
        ("outages", outages::outages(report)),
        ("paced", paced_losses(table)),
        ("schedule", schedule(report)),
        ("window", remote::after_window(report)),
        ("rate max", unscheduled(table)),
    ] {
        notes.extend(text.map(|text| (label.to_owned(), text)));
    }
    notes.extend(breakdown::notes(report).into_iter().map(|text| ("latency".to_owned(), text)));
    notes
}

fn auto(report: &Report) -> Option<String> {
    let choice = report.choice.as_ref()?;
    let tried: Vec<_> = choice
        .trials
        .iter()
        .map(|one| glue(&format!("{} {}", one.engine, show_pps(one.pps))))
        .collect();
    let left_out = choice.left_out.iter().map(|one| {
        let rate = glue(&format!("{} {}", one.engine, show_pps(one.pps)));
        format!("{rate} left out ({})", one.why)
    });
    let failed = choice.failed.iter().map(|one| format!("{} not ({})", one.engine, one.why));
    Some(format!(
        "{}, which delivered most in trials of {} at {}: {}",
        choice.engine,
        glue(&show_nanos(choice.trial_ns)),
        glue(&counted(choice.size, "byte")),
        tried.into_iter().chain(left_out).chain(failed).collect::<Vec<_>>().join(", ")
    ))
}

/// Explains infinite percentiles, and gives the percentiles of received datagrams.
fn infinite(table: &TableModel<'_>) -> Option<String> {
    let rows: Vec<&Row<'_>> = table.rows.iter().filter(|row| row.is_infinite(HIGHEST)).collect();
    let list = named(&rows, |row| {
        let show = |of| row.received(of).map_or_else(|| UNKNOWN.to_owned(), Figure::show);
        let p50 = show(|latency| (latency.p50_ns, latency.limits().p50_ns));
        let p99 = show(|latency| (latency.p99_ns, latency.limits().p99_ns));
        glue(&format!("{} {p50}, {p99}", table.name(row)))
    })?;
    let what = match table.asks {
        true => "requests without a reply, or never sent,",
        false => "datagrams that were lost or never sent",
    };
    Some(format!("{what} count as infinitely slow; p50 and p99 of the others: {list}"))
}

fn uncut(table: &TableModel<'_>) -> Option<String> {
    let most = table.rows.iter().filter(|row| row.uncut()).flat_map(|row| &row.speed);
    let most = most.filter_map(|cell| cell.packets.segments_at_last).max()?;
    Some(format!("up to {} stayed in one super-packet from end to end", counted(most, "datagram")))
}

/// Rows whose datagrams share clock reads, which hides differences within a batch.
fn batches(table: &TableModel<'_>) -> Option<String> {
    let largest = |engine: &str| {
        let rows = table.rows.iter().filter(|row| row.engine == engine);
        let cells = rows.flat_map(|row| &row.timing);
        cells.filter_map(|cell| Some(cell.latency.as_ref()?.batch_max)).max()
    };
    let engines = distinct(table.rows.iter().map(|row| row.engine));
    let shared: Vec<_> = engines
        .into_iter()
        .filter_map(|engine| Some((engine, largest(engine).filter(|&most| most > 1)?)))
        .map(|(engine, most)| glue(&format!("{engine} {}", grouped(most))))
        .collect();
    let list = shared.join(", ");
    (!shared.is_empty()).then(|| format!("datagrams with the same read time, at most: {list}"))
}

fn in_socket(report: &Report) -> Option<String> {
    let mut parts = Vec::new();
    for cell in report.cells.iter().filter(|cell| !cell.calibration) {
        let Some((to, inside)) = cell.to_socket.as_ref().zip(cell.in_socket.as_ref()) else {
            continue;
        };
        let show =
            |figure: Bounded| Figure::of(figure).map_or_else(|| UNKNOWN.to_owned(), Figure::show);
        let of = |part: &Latency| {
            let limits = part.limits();
            [(part.p50_ns, limits.p50_ns), (part.p99_ns, limits.p99_ns)].map(show)
        };
        let ([to_p50, to_p99], [p50, p99]) = (of(to), of(inside));
        parts.push((
            &cell.id,
            format!("{p50} of it in the socket after {to_p50} to it (p99 {p99}, {to_p99})"),
        ));
    }
    named(&parts, |(id, text)| glue(&format!("{id} p50 {text}")))
}

fn spread(table: &TableModel<'_>) -> Option<String> {
    let did = if table.one_ended { "sent" } else { "delivered" };
    table.trials.then(|| format!("half the range of what the trials {did}, over its median"))
}

/// The error bound of one-way latency between two clocks; the widest of all rows.
fn two_clocks(table: &TableModel<'_>) -> Option<String> {
    let cells = table.rows.iter().flat_map(|row| &row.timing);
    let bounds = cells.filter_map(|cell| cell.latency.as_ref()).map(|latency| latency.bound_ns);
    let widest = glue(&show_nanos(bounds.max().filter(|&bound_ns| bound_ns > 0)?));
    Some(format!("one-way latency has an error bound of ±{widest}, from the two clocks"))
}

/// Details of the marked stalls: count, duration, and the maximum without them.
fn stalls(table: &TableModel<'_>, styler: Styler) -> Option<String> {
    let marked: Vec<_> = table.rows.iter().filter(|row| row.stalled()).collect();
    if marked.is_empty() {
        return None;
    }
    let cells: Vec<&Cell> = marked.iter().flat_map(|row| row.timing.iter().copied()).collect();
    let tx = add_stalls(cells.iter().map(|cell| &cell.stalls.tx));
    let rx = add_stalls(cells.iter().filter_map(|cell| cell.stalls.rx.as_ref()));
    let both = add_stalls([&tx, &rx].into_iter());
    let stolen = sum_counts(cells.iter().filter_map(|cell| cell.stalls.stolen_ns));
    let mut text = format!(
        "{} (sender {}, receiver {}): {} in all, longest {}",
        counted(both.count, "stall"),
        grouped(tx.count),
        grouped(rx.count),
        glue(&show_nanos(both.total_ns)),
        glue(&show_nanos(both.max_ns)),
    );
    if stolen > 0 {
        text.push_str(&format!("; the hypervisor took {}", glue(&show_nanos(stolen))));
    }
    let without: Vec<_> = marked
        .iter()
        .map(|row| {
            let max = row.max_outside_stalls().map_or_else(|| UNKNOWN.to_owned(), Figure::show);
            glue(&format!("{} {}", styler.paint(Color::Quiet, &table.name(row)), max))
        })
        .collect();
    Some(format!("{text}. Outside stalls: {}", without.join(", ")))
}

/// Loss in cells whose loss has no column, because the row shows that of `max`.
fn paced_losses(table: &TableModel<'_>) -> Option<String> {
    let word = table.merged?;
    let mut worst: Vec<(String, f64, &Cell)> = Vec::new();
    for row in &table.rows {
        let known = row.timing.iter().filter_map(|cell| Some((loss(cell)?, *cell)));
        let most = known.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(share, _)| *share > 0.0);
        worst.extend(most.map(|(share, cell)| (table.name(row), share, cell)));
    }
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    let show = |(name, share, cell): &(String, f64, &Cell)| {
        let p99 = match p99_with_loss(cell) {
            Some(WithLoss::Known(ns)) => show_nanos(ns),
            Some(WithLoss::Below(ns)) => Figure::Below(ns).show(),
            Some(WithLoss::Infinite) | None => "infinite".to_owned(),
        };
        glue(&format!("{name} {} (p99 with loss {p99})", percent(*share)))
    };
    let list = named(&worst, show)?;
    Some(format!("also lost at {}: {list}", glue(&rate_asked(word))))
}

fn schedule(report: &Report) -> Option<String> {
    let mut late: Vec<(&str, u64, u64, u64)> = Vec::new();
    for id in distinct(report.cells.iter().map(|cell| cell.id.as_str())) {
        let trials = report.cells.iter().filter(|cell| cell.id == id);
        let (mut missed, mut scheduled, mut lag) = (0_u64, 0_u64, 0);
        for schedule in trials.filter_map(|cell| cell.schedule.as_ref()) {
            missed = missed.saturating_add(schedule.missed);
            scheduled = scheduled.saturating_add(schedule.scheduled);
            lag = lag.max(schedule.lag.p99_ns.unwrap_or(0));
        }
        if missed > 0 || lag > LATE_NS {
            late.push((id, missed, scheduled, lag));
        }
    }
    late.sort_by_key(|&(_, missed, _, lag)| std::cmp::Reverse((missed, lag)));
    let show = |&(id, missed, scheduled, lag): &(&str, u64, u64, u64)| {
        let lag = (lag > LATE_NS).then(|| format!("p99 lag {}", show_nanos(lag)));
        let missed =
            (missed > 0).then(|| format!("missed {} of {}", grouped(missed), grouped(scheduled)));
        let parts: Vec<_> = missed.into_iter().chain(lag).map(|part| glue(&part)).collect();
        format!("{id}{GLUE}{}", parts.join(", "))
    };
    named(&late, show)
}

/// Explains latency at `max`, if the table has it.
fn unscheduled(table: &TableModel<'_>) -> Option<String> {
    let mut cells = table.rows.iter().flat_map(|row| &row.timing);
    let any = cells.any(|cell| cell.pace.is_none() && cell.latency.is_some());
    let text = if table.asks {
        "has no schedule: latency starts at departure, so what a slow reply keeps from being asked \
         shows nowhere; a --rate shows it"
    } else {
        "has no schedule: latency starts at departure, and is mostly the wait in the queue"
    };
    any.then(|| text.to_owned())
}
