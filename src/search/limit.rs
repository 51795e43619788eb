//! What limited a rate, each with its evidence: the server, the generator, or the path.

use crate::document::{CapacityLimit, CapacityStep, Cell};
use crate::report::checks::warnings::server_drops;
use crate::report::format::text::style::{counted, grouped, percent};
use crate::unit::{show_number, show_requests};

/// A thread that used this share of a CPU was busy. Arbitrary: the rest are its waits between two
/// requests.
const BUSY: f64 = 0.9;
/// Share of the lost requests that a counter must explain. Arbitrary: the larger part.
const MOST: f64 = 0.5;
/// A generator that is idle for less than this share of the time is busy. Arbitrary; as that of the
/// warning `generator_limit`.
const IDLE: f64 = 0.05;

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
    let rate = step.rate_per_s.map_or_else(String::new, show_requests);
    let found = match failure {
        Failure::NotSent => {
            let sent = show_number(step.sent_per_s.unwrap_or(0.0));
            let text =
                format!("udperf sent only {sent} of {rate}; use more --threads or idle cores");
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

fn unanswered(cell: &Cell, step: &CapacityStep) -> Found {
    let exchange = cell.exchange.as_ref()?;
    let is_read = is_counted(cell) && exchange.own_drops == Some(0) && exchange.unreachable == 0;
    is_read.then(|| {
        let (lost, share) = (lost(step), percent(step.loss.unwrap_or(0.0)));
        (CapacityLimit::Server, format!("it read {} ({share}) and did not answer", requests(lost)))
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
    let unreachable = exchange.map_or(0, |exchange| exchange.unreachable);
    match failure {
        _ if unreachable > 0 => {
            format!("{} ICMP errors: is it still running?", grouped(unreachable))
        }
        Failure::FellBehind => "answers came later and later; server or path".to_owned(),
        _ => {
            let lost = format!("{} of {}", grouped(lost(step)), requests(step.requests));
            format!("{lost} unanswered, and no counter here has them; server or path")
        }
    }
}
