//! What limited a rate, each with its evidence: the server, the generator, or the path.

use crate::document::{CapacityLimit, CapacityStep, Cell, CellLimit, Exchange, Report};
use crate::report::checks::validity::missed_share;
use crate::report::checks::warnings::server_drops;
use crate::report::format::text::style::{counted, grouped, percent};
use crate::unit::{show_number, show_requests, sum_counts};

/// A thread that used this share of a CPU was busy. Arbitrary: the rest are its waits between two
/// requests.
const BUSY: f64 = 0.9;
/// Share of the lost requests that a counter must explain. Arbitrary: the larger part.
const MOST: f64 = 0.5;
/// A generator that is idle for less than this share of the time is busy. Arbitrary; as that of the
/// warning `generator_limit`.
const IDLE: f64 = 0.05;

/// A smaller share of a schedule that was missed is no limit. Arbitrary; as that which the table
/// shows.
const MISSED: f64 = 0.001;

/// Names the limit in each cell whose requests were not all sent and answered.
pub(crate) fn name_limits(report: &mut Report) {
    for cell in &mut report.cells {
        cell.limit = of_cell(cell);
    }
}

/// What limited a run at its rate; `None` if that held, or if nothing was answered at all, which
/// has other reasons than a limit.
fn of_cell(cell: &Cell) -> Option<CellLimit> {
    let exchange = cell.exchange.as_ref()?;
    let expects_reply = cell.rx.is_some();
    if cell.calibration || (expects_reply && exchange.matched == 0 && exchange.late == 0) {
        return None;
    }
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let is_missed = missed_share(cell).is_some_and(|share| share > MISSED);
    let failures = [
        (Failure::NotSent, if is_missed { missed } else { 0 }),
        (Failure::Refused, cell.ledger.attempted.saturating_sub(cell.ledger.sent)),
        (Failure::NotAnswered, exchange.timeouts.saturating_sub(exchange.given_up)),
    ];
    let (failure, _) =
        failures.into_iter().filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count)?;
    let figures = CapacityStep { rate_per_s: cell.rate_pps, ..figures(cell) };
    let (limited_by, evidence) = match waited(exchange, missed).filter(|_| is_missed) {
        Some(text) if failure == Failure::NotSent => match busy_server(&figures) {
            Some((limit, cpu)) => (Some(limit), format!("{text}; {cpu}")),
            None => (None, text + "; server or path"),
        },
        _ => evidence(cell, &figures, failure),
    };
    Some(CellLimit { limited_by, evidence })
}

/// Why requests were missed that were not sent because others were in flight.
fn waited(exchange: &Exchange, missed: u64) -> Option<String> {
    let missed_of = requests(missed);
    match exchange.outstanding {
        _ if exchange.no_room > missed / 2 => {
            Some(format!("{missed_of} missed while all ids awaited an answer"))
        }
        Some(most) => {
            Some(format!("{missed_of} missed while {} awaited an answer", requests(most)))
        }
        None => None,
    }
}

/// The figures of a cell by which its limit is judged.
pub(super) fn figures(cell: &Cell) -> CapacityStep {
    let exchange = cell.exchange.as_ref();
    let requests = exchange.map_or(0, |exchange| exchange.requests);
    let answered = exchange.map_or(0, |exchange| exchange.matched);
    let errors = exchange.map_or(0, |exchange| sum_counts(exchange.errors.values().copied()));
    let latency = cell.latency.as_ref();
    let seconds = cell.elapsed_ns as f64 / 1e9;
    let per_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
    let lost = requests.saturating_sub(answered) as f64;
    CapacityStep {
        time_ns: cell.elapsed_ns,
        requests,
        answered,
        errors: errors.min(answered),
        after_window: cell.rx.as_ref().and_then(|rx| rx.datagrams_after_window),
        sent_per_s: per_second(requests),
        answered_per_s: per_second(answered),
        loss: (requests > 0).then(|| lost / requests as f64),
        p50_ns: latency.and_then(|latency| latency.p50_ns),
        p99_ns: latency.and_then(|latency| latency.p99_ns),
        server: cell.server,
        ..CapacityStep::default()
    }
}

/// Why a rate did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// More requests than the loss limit have no answer.
    NotAnswered,
    /// More answers than the loss limit are errors, beside those without load.
    Errors,
    /// The answers came later and later: the queue grew.
    FellBehind,
    /// The system refused to send.
    Refused,
    /// The generator was too slow to send.
    NotSent,
}

/// What limited the rate of a step that failed for this reason; `None` without evidence.
pub(crate) fn evidence(
    cell: &Cell,
    step: &CapacityStep,
    failure: Failure,
) -> (Option<CapacityLimit>, String) {
    let rate = step.rate_per_s.or(step.sent_per_s).map_or_else(String::new, show_requests);
    let found = match failure {
        Failure::NotSent => {
            let text = not_sent(cell, step, &rate) + "; use more --threads or idle cores";
            return (Some(CapacityLimit::Generator), text);
        }
        Failure::Refused => {
            let refused = cell.ledger.attempted.saturating_sub(cell.ledger.sent);
            let text = format!("{} refused by the system's send queues", requests(refused));
            Some((CapacityLimit::Path, text))
        }
        Failure::Errors => {
            let text = format!("{} answered with an error", requests(step.errors));
            Some((CapacityLimit::Server, text))
        }
        Failure::NotAnswered => at_server(cell, step)
            .or_else(|| at_generator(cell))
            .or_else(|| busy_server(step))
            .or_else(|| on_path(cell))
            .or_else(|| came_late(cell, step))
            .or_else(|| unanswered(cell, step)),
        Failure::FellBehind => {
            busy_server(step).or_else(|| busy_generator(cell)).or_else(|| fell_behind(cell, step))
        }
    };
    match found {
        Some((limit, text)) => (Some(limit), format!("{text} at {rate}")),
        None => (None, unknown(cell, step, failure) + " at " + &rate),
    }
}

type Found = Option<(CapacityLimit, String)>;

fn requests(count: u64) -> String {
    counted(count, "request")
}

fn lost(step: &CapacityStep) -> u64 {
    step.requests.saturating_sub(step.answered)
}

/// Whether so many are most of the lost requests.
fn are_most(count: u64, step: &CapacityStep) -> bool {
    count > 0 && count as f64 >= lost(step) as f64 * MOST
}

/// What the generator could not send: of the rate if that shows it, else of the schedule.
fn not_sent(cell: &Cell, step: &CapacityStep, rate: &str) -> String {
    let sent = step.sent_per_s.unwrap_or(0.0);
    match &cell.schedule {
        Some(schedule) if show_requests(sent) == rate => {
            let of = requests(schedule.scheduled);
            format!("udperf missed {} of {of} at {rate}", grouped(schedule.missed))
        }
        _ => format!("udperf sent only {} of {rate}", show_number(sent)),
    }
}

fn at_server(cell: &Cell, step: &CapacityStep) -> Found {
    let of_process = step.server.and_then(|server| server.socket_drops);
    let drops = of_process.unwrap_or_else(|| server_drops(cell));
    are_most(drops, step).then(|| {
        let text = format!("{} dropped at its full receive buffer", requests(drops));
        let cpu = busiest(step).map_or_else(String::new, |share| format!(", {}", cpu(share)));
        (CapacityLimit::Server, text + &cpu)
    })
}

fn busiest(step: &CapacityStep) -> Option<f64> {
    step.server?.busiest_share(step.time_ns)
}

fn cpu(share: f64) -> String {
    // A thread cannot use more; the reading is a little late.
    format!("CPU of its busiest thread {}%", (share.min(1.0) * 100.0).round())
}

fn busy_server(step: &CapacityStep) -> Found {
    let share = busiest(step).filter(|share| *share >= BUSY)?;
    Some((CapacityLimit::Server, cpu(share)))
}

fn at_generator(cell: &Cell) -> Found {
    let exchange = cell.exchange.as_ref()?;
    let dropped = exchange.own_drops.filter(|own| *own as f64 >= exchange.timeouts as f64 * MOST);
    let dropped = dropped.filter(|own| *own > 0)?;
    let text = format!("{} replies dropped at udperf's own socket", grouped(dropped));
    Some((CapacityLimit::Generator, text))
}

/// Whether the generator was idle for less than this share of the time.
pub(super) fn is_busy(cell: &Cell, share: f64) -> bool {
    let idle_ns = cell.exchange.as_ref().map_or(0, |exchange| exchange.idle_ns);
    let time = cell.elapsed_ns.saturating_mul(cell.threads.max(1)) as f64;
    (idle_ns as f64) < time * share
}

fn busy_generator(cell: &Cell) -> Found {
    let text = "udperf was busy all the time";
    is_busy(cell, IDLE).then(|| (CapacityLimit::Generator, text.to_owned()))
}

/// Counters of the path that have most of what was lost.
fn on_path(cell: &Cell) -> Found {
    let exchange = cell.exchange.as_ref()?;
    let places = cell.ledger.lost_at.places().into_iter();
    let places = places.filter(|(place, _)| !matches!(*place, "receive_buffer" | "no_port"));
    let (place, count) = places
        .filter_map(|(place, count)| Some((place, count?)))
        .max_by_key(|(_, count)| *count)?;
    (count > 0 && count as f64 >= exchange.timeouts as f64 * MOST).then(|| {
        let text = format!("{} datagrams dropped on the path ({place})", grouped(count));
        (CapacityLimit::Path, text)
    })
}

/// On one host, every place where a datagram can be dropped has a counter.
fn is_counted(cell: &Cell) -> bool {
    cell.ends.as_deref() == Some("together") && cell.kernel.rcvbuf_errors.is_some()
}

/// Replies that came after the timeout are the server's delay where there is no path.
fn came_late(cell: &Cell, step: &CapacityStep) -> Found {
    let late = cell.exchange.as_ref()?.late;
    (is_counted(cell) && are_most(late, step))
        .then(|| (CapacityLimit::Server, format!("{} answered after the timeout", requests(late))))
}

fn unanswered(cell: &Cell, step: &CapacityStep) -> Found {
    let exchange = cell.exchange.as_ref()?;
    let is_read = is_counted(cell)
        && exchange.own_drops == Some(0)
        && exchange.unreachable == 0
        && !are_most(exchange.late.saturating_add(exchange.unmatched), step);
    is_read.then(|| {
        let (lost, share) = (lost(step), percent(step.loss.unwrap_or(0.0)));
        let text = format!("it got {} ({share}) and did not answer them in time", requests(lost));
        (CapacityLimit::Server, text)
    })
}

fn fell_behind(cell: &Cell, step: &CapacityStep) -> Found {
    is_counted(cell).then(|| {
        let late = requests(step.after_window.unwrap_or(0));
        (CapacityLimit::Server, format!("its queue grew: {late} answered after the step"))
    })
}

fn unknown(cell: &Cell, step: &CapacityStep, failure: Failure) -> String {
    let exchange = cell.exchange.as_ref();
    let [unreachable, late, unmatched] = exchange
        .map_or([0; 3], |exchange| [exchange.unreachable, exchange.late, exchange.unmatched]);
    match failure {
        _ if unreachable > 0 => {
            format!("{} ICMP errors: is it still running?", grouped(unreachable))
        }
        Failure::NotAnswered if are_most(late, step) => {
            format!("{} answered after the timeout; server or path", requests(late))
        }
        Failure::NotAnswered if are_most(unmatched, step) => {
            format!("{} match no request; see --match", counted(unmatched, "datagram"))
        }
        Failure::FellBehind => "answers came later and later; server or path".to_owned(),
        _ => {
            let lost = format!("{} of {}", grouped(lost(step)), requests(step.requests));
            format!("{lost} unanswered, and no counter of this host shows why; server or path")
        }
    }
}

#[cfg(test)]
mod tests;
