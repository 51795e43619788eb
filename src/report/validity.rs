//! Whether a run tested what was asked: the one place where a document is judged. Every output
//! format, the exit code, `search`, `compare` and `ab` use what is decided here.

use super::document::{Cell, Exchange, InvalidReason, Refused, Report};
use super::metric::Kind;

/// Code of the only reason that a run without a gate may have and still exit with 0.
const SCHEDULE_MISSED: &str = "schedule_missed";

/// A cell that was cut short is judged only if it sent for this long. Arbitrary: the default of
/// `--timeout`, longer than any path takes.
const ARRIVES_WITHIN_NS: u64 = 1_000_000_000;

/// Where nothing is known of arrival, the target is unreachable throughout if this share of the
/// datagrams sent drew an error. Arbitrary: the kernel joins some errors, so that not every
/// datagram has its own.
const UNREACHABLE_SHARE: f64 = 0.9;

impl InvalidReason {
    /// Whether the exit code is 5 even without a gate; the schedule that was missed needs one
    /// (`--fail-if`, `search`, `compare`, `ab`).
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.code != SCHEDULE_MISSED
    }

    /// The cell and the message in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let trial = self.trial.filter(|trial| *trial > 0);
        let trial = trial.map_or_else(String::new, |trial| format!(" (trial {trial})"));
        match &self.cell {
            Some(cell) => format!("{cell}{trial}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

impl Report {
    /// Whether the exit code is 5; `gated`: somebody relies on the figures (`--fail-if`, `search`,
    /// `compare`, `ab`).
    #[must_use]
    pub fn ends_invalid(&self, gated: bool) -> bool {
        !self.valid && (gated || self.invalid_because.iter().any(InvalidReason::is_fatal))
    }

    /// Why this cell is invalid; empty where it is valid.
    pub fn invalid_cell<'a>(&'a self, cell: &Cell) -> impl Iterator<Item = &'a InvalidReason> {
        let (id, trial) = (cell.id.clone(), cell.trial);
        self.invalid_because
            .iter()
            .filter(move |one| one.cell.as_ref() == Some(&id) && one.trial == Some(trial))
    }
}

/// Judges a document by its cells: adds to `invalid_because`, and sets `valid`. A document that says
/// of itself that it is invalid stays so.
pub fn judge_validity(report: &mut Report) {
    for reason in invalid_reasons(report) {
        let known = |one: &InvalidReason| {
            (&one.code, &one.cell, one.trial) == (&reason.code, &reason.cell, reason.trial)
        };
        if !report.invalid_because.iter().any(known) {
            report.invalid_because.push(reason);
        }
    }
    report.valid &= report.invalid_because.is_empty();
}

/// Judges a document anew with another share of the schedule that may be missed, 0 to 1.
pub fn judge_with_max_missed(report: &mut Report, max_missed: f64) {
    let had_reasons = !report.invalid_because.is_empty();
    report.invalid_because.retain(InvalidReason::is_fatal);
    report.valid |= had_reasons && report.invalid_because.is_empty();
    report.max_missed = max_missed;
    judge_validity(report);
}

/// Why this document did not test what was asked, by its cells; empty where it did.
#[must_use]
pub fn invalid_reasons(report: &Report) -> Vec<InvalidReason> {
    if report.cells.is_empty() {
        let message = "nothing was measured: the document has no cell; run it again";
        let (code, message) = ("nothing_measured".to_owned(), message.to_owned());
        return vec![InvalidReason { code, message, cell: None, trial: None }];
    }
    let reasons = report.cells.iter().flat_map(|cell| {
        invalid_cell(cell, report.max_missed).into_iter().map(|(code, message)| InvalidReason {
            code: code.to_owned(),
            message,
            cell: Some(cell.id.clone()),
            trial: Some(cell.trial),
        })
    });
    reasons.collect()
}

/// Why this cell did not test what was asked: a code and a message. `max_missed` is the share of
/// its schedule that may be missed, 0 to 1.
#[must_use]
pub fn invalid_cell(cell: &Cell, max_missed: f64) -> Vec<(&'static str, String)> {
    untested(cell).into_iter().chain(missed(cell, max_missed)).collect()
}

/// Datagrams or requests in words.
const fn noun(cell: &Cell) -> &'static str {
    if cell.exchange.is_some() { "requests" } else { "datagrams" }
}

/// Errors that said the target, or the way to it, was unreachable.
fn unreachable(cell: &Cell) -> u64 {
    let exchange = cell.exchange.as_ref().map_or(0, |exchange| exchange.unreachable);
    cell.ledger.refused.unreachable.max(exchange)
}

/// Nothing was sent, or nothing of it arrived or was answered.
fn untested(cell: &Cell) -> Option<(&'static str, String)> {
    let (sent, unreachable) = (cell.ledger.sent, unreachable(cell));
    let told = unreachable > 0;
    if sent == 0 {
        // Stopped before the first datagram, a cell says nothing.
        let stopped = cell.cut_short && cell.ledger.attempted == 0;
        return (!stopped).then(|| nothing_sent(cell));
    }
    if cell.rx.is_none() {
        let throughout = unreachable as f64 >= sent as f64 * UNREACHABLE_SHARE;
        return throughout.then(|| target_unreachable(cell));
    }
    match &cell.exchange {
        Some(exchange) => {
            // A late reply is one: the server was slower than the timeout, which is a result.
            let answered = exchange.matched > 0 || exchange.late > 0;
            let waited = !cell.cut_short || exchange.timeouts > exchange.given_up;
            match (answered, told) {
                (true, _) => None,
                (false, true) => Some(target_unreachable(cell)),
                (false, false) => waited.then(|| nothing_answered(exchange)),
            }
        }
        None => {
            let arrived = cell.ledger.received.is_none_or(|received| received > 0);
            let waited = !cell.cut_short || cell.elapsed_ns >= ARRIVES_WITHIN_NS;
            match (arrived, told) {
                (true, _) => None,
                (false, true) => Some(target_unreachable(cell)),
                (false, false) => waited.then(|| nothing_arrived(cell)),
            }
        }
    }
}

fn nothing_sent(cell: &Cell) -> (&'static str, String) {
    let Refused { would_block, no_buffers, unreachable, too_big, other } = cell.ledger.refused;
    let reasons = [
        (unreachable, "the target is unreachable: check the address and the route to it"),
        (too_big, "they are larger than the path takes: use a smaller --size, or omit --df"),
        (no_buffers, "a queue below the socket was full: lower the --rate"),
        (would_block, "the send buffer was full: lower the --rate"),
        (other, "the system refused them: see the warnings"),
    ];
    let attempted = cell.ledger.attempted;
    let largest = reasons.into_iter().rev().max_by_key(|(count, _)| *count);
    match largest.filter(|(count, _)| *count > 0) {
        Some((count, why)) => {
            let all_unreachable = count == unreachable;
            let code = if all_unreachable { "target_unreachable" } else { "nothing_sent" };
            (code, format!("none of {attempted} {} could be sent: {why}", noun(cell)))
        }
        None => {
            let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
            let why = format!("nothing was sent: {missed} slots of the schedule were missed");
            ("nothing_sent", why + "; use a longer --time or a lower --rate")
        }
    }
}

fn nothing_arrived(cell: &Cell) -> (&'static str, String) {
    let message = format!(
        "none of {} datagrams arrived; check the address, the port and firewalls on the path",
        cell.ledger.sent
    );
    ("nothing_arrived", message)
}

fn nothing_answered(exchange: &Exchange) -> (&'static str, String) {
    let Exchange { requests, unmatched, .. } = exchange;
    let why = if *unmatched > 0 {
        format!("{unmatched} datagrams came back, and none answers a request; see --match")
    } else {
        "check the address, the port, firewalls, and that the server answers such requests"
            .to_owned()
    };
    ("nothing_answered", format!("none of {requests} requests was answered; {why}"))
}

fn target_unreachable(cell: &Cell) -> (&'static str, String) {
    let message = format!(
        "target unreachable throughout ({} errors for {} {}); check the address and the port, and \
         that the server runs",
        unreachable(cell),
        cell.ledger.sent,
        noun(cell)
    );
    ("target_unreachable", message)
}

/// More of the schedule was missed than is allowed.
fn missed(cell: &Cell, max_missed: f64) -> Option<(&'static str, String)> {
    let schedule = cell.schedule.as_ref()?;
    let share = missed_share(cell).filter(|share| *share > max_missed)?;
    let message = format!(
        "{} of {} {} ({}) were missed, more than --max-missed {}; lower the --rate, or use a host \
         with idle cores",
        schedule.missed,
        schedule.scheduled,
        noun(cell),
        Kind::Share.show(share),
        Kind::Share.show(max_missed)
    );
    Some((SCHEDULE_MISSED, message))
}

/// The share of the schedule that was missed, 0 to 1; `None` without a schedule.
#[must_use]
pub fn missed_share(cell: &Cell) -> Option<f64> {
    let schedule = cell.schedule.as_ref().filter(|schedule| schedule.scheduled > 0)?;
    Some(schedule.missed as f64 / schedule.scheduled as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// The codes of a report of this cell.
    fn codes(cell: &Cell) -> Vec<String> {
        let mut report = fixture::report_of(vec![cell.clone()]);
        judge_validity(&mut report);
        assert_eq!(report.valid, report.invalid_because.is_empty());
        assert!(report.invalid_because.iter().all(|one| one.cell.as_ref() == Some(&cell.id)));
        report.invalid_because.into_iter().map(|reason| reason.code).collect()
    }

    /// A cell of 100 kpps for half a second.
    fn cell() -> Cell {
        fixture::cell("plain", 64, "100k", 100e3)
    }

    /// The same, of which nothing arrived.
    fn silent() -> Cell {
        let mut cell = cell();
        fixture::lose(&mut cell, 50_000);
        cell
    }

    /// Requests of which so many were answered and so many came late.
    fn requests(matched: u64, late: u64) -> Cell {
        let mut cell = silent();
        cell.exchange = Some(Exchange {
            requests: 50_000,
            matched,
            late,
            timeouts: 50_000 - matched,
            ..Exchange::default()
        });
        cell
    }

    #[test]
    fn a_cell_of_which_nothing_arrived_is_invalid() {
        assert_eq!(codes(&cell()), [""; 0]);
        assert_eq!(codes(&silent()), ["nothing_arrived"]);
        let mut one = silent();
        one.ledger.received = Some(1);
        assert_eq!(codes(&one), [""; 0]);
        assert_eq!(codes(&requests(0, 0)), ["nothing_answered"]);
        assert_eq!(codes(&requests(1, 0)), [""; 0]);
        assert_eq!(codes(&requests(0, 1)), [""; 0], "a late reply is a result");
    }

    #[test]
    fn an_unreachable_target_is_named() {
        let mut cell = requests(0, 0);
        cell.exchange.as_mut().unwrap().unreachable = 3;
        assert_eq!(codes(&cell), ["target_unreachable"]);
        let mut cell = requests(1, 0);
        cell.exchange.as_mut().unwrap().unreachable = 3;
        assert_eq!(codes(&cell), [""; 0], "somebody answered");
    }

    #[test]
    fn where_nothing_is_known_of_arrival_only_errors_count() {
        let mut cell = cell();
        fixture::one_ended(&mut cell);
        assert_eq!(codes(&cell), [""; 0]);
        // A connected socket reports an error instead of every other send.
        cell.ledger.refused.unreachable = 50_000;
        cell.ledger.attempted = 100_000;
        assert_eq!(codes(&cell), ["target_unreachable"]);
        cell.ledger.refused.unreachable = 10_000;
        cell.ledger.attempted = 60_000;
        assert_eq!(codes(&cell), [""; 0]);
    }

    #[test]
    fn a_cell_that_sent_nothing_is_invalid() {
        let mut cell = silent();
        (cell.ledger.sent, cell.ledger.lost) = (0, Some(0));
        cell.ledger.refused.too_big = 50_000;
        assert_eq!(codes(&cell), ["nothing_sent"]);
        (cell.ledger.refused.too_big, cell.ledger.refused.unreachable) = (0, 50_000);
        assert_eq!(codes(&cell), ["target_unreachable"]);
        fixture::one_ended(&mut cell);
        assert_eq!(codes(&cell), ["target_unreachable"]);
        (cell.ledger.attempted, cell.cut_short) = (0, true);
        assert_eq!(codes(&cell), [""; 0], "it was stopped before it began");
    }

    #[test]
    fn a_cell_that_was_cut_short_before_anything_could_arrive_is_not_judged() {
        let mut cell = silent();
        cell.cut_short = true;
        assert_eq!(codes(&cell), [""; 0]);
        cell.elapsed_ns = ARRIVES_WITHIN_NS;
        assert_eq!(codes(&cell), ["nothing_arrived"]);
        let mut cell = requests(0, 0);
        cell.cut_short = true;
        assert_eq!(codes(&cell), ["nothing_answered"], "each waited for its time");
        let exchange = cell.exchange.as_mut().unwrap();
        exchange.given_up = exchange.timeouts;
        assert_eq!(codes(&cell), [""; 0]);
    }

    #[test]
    fn a_schedule_may_be_missed_up_to_a_share() {
        let mut cell = cell();
        let schedule = cell.schedule.as_mut().unwrap();
        (schedule.scheduled, schedule.missed) = (10_000, 100);
        assert_eq!(codes(&cell), [""; 0], "just as much as is allowed");
        cell.schedule.as_mut().unwrap().missed = 101;
        assert_eq!(codes(&cell), ["schedule_missed"]);
        let mut report = fixture::report_of(vec![cell]);
        judge_validity(&mut report);
        assert_eq!([false, true].map(|gated| report.ends_invalid(gated)), [false, true]);
        assert_eq!(
            report.invalid_because[0].message,
            "101 of 10000 datagrams (1.01%) were missed, more than --max-missed 1%; lower the \
             --rate, or use a host with idle cores"
        );
        judge_with_max_missed(&mut report, 1.0);
        assert!(report.valid && !report.ends_invalid(true));
        judge_with_max_missed(&mut report, 0.0);
        assert!(!report.valid && report.ends_invalid(true));
    }

    #[test]
    fn a_document_that_says_it_is_invalid_stays_so() {
        let mut report = fixture::report_of(vec![cell()]);
        report.valid = false;
        judge_validity(&mut report);
        assert!(!report.valid);
        report.valid = true;
        report.cells.clear();
        judge_validity(&mut report);
        assert!(report.ends_invalid(false));
        assert_eq!(report.invalid_because[0].line(), report.invalid_because[0].message);
    }

    #[test]
    fn documents_without_the_field_are_judged_when_they_are_read() {
        let report = fixture::report_of(vec![silent()]);
        let mut old = serde_json::to_value(&report).unwrap();
        for name in ["valid", "invalid_because", "max_missed", "gates"] {
            old.as_object_mut().unwrap().remove(name);
        }
        let read = crate::report::read::read(&old.to_string()).unwrap();
        assert!(!read.valid && read.ends_invalid(false));
        assert_eq!(read.invalid_because[0].code, "nothing_arrived");
    }
}
