//! Decides whether a run tested what was asked; every format and exit code uses the decision.

#[cfg(test)]
mod tests;

use crate::document::{
    Cell, Exchange, Found, InvalidReason, Outage, Refused, Report, SearchDocument,
};

/// Code of a target that was unreachable throughout.
pub const UNREACHABLE: &str = "target_unreachable";

/// Code of the reason that depends on `--max-missed`.
pub(super) const SCHEDULE_MISSED: &str = "schedule_missed";

/// Code of a document without cells.
pub(super) const NOTHING_MEASURED: &str = "nothing_measured";

/// Code of a cell that sent nothing.
pub(super) const NOTHING_SENT: &str = "nothing_sent";

/// Code of a cell of which no datagram arrived.
pub(super) const NOTHING_ARRIVED: &str = "nothing_arrived";

/// Code of a cell of which no request was answered.
pub(super) const NOTHING_ANSWERED: &str = "nothing_answered";

/// A cell that was cut short is judged only if it sent for this long. Arbitrary: the default of
/// `--timeout`, longer than any path takes.
const ARRIVES_WITHIN_NS: u64 = 1_000_000_000;

/// Without a receiver, the target counts as unreachable throughout if this share of the sent
/// datagrams caused an error. Arbitrary: the kernel merges some errors, so not every datagram has
/// its own.
const UNREACHABLE_SHARE: f64 = 0.9;

/// How long a target that stays unreachable may draw no ICMP error. Arbitrary: a host sends about
/// one per second and peer (`net.ipv4.icmp_ratelimit`, ip-sysctl of the kernel's documentation).
const ICMP_GAP_NS: u64 = 1_500_000_000;

/// The same where a neighbour does not answer. Arbitrary: the kernel asks it three times, a second
/// apart, before each error (`mcast_solicit` and `retrans_time_ms`, arp(7)).
const NEIGHBOUR_GAP_NS: u64 = 5_000_000_000;

/// Whether nothing is known to have reached the target: the exit code is 5 even without a gate.
#[must_use]
pub fn tested_nothing(reason: &InvalidReason) -> bool {
    reason.code != SCHEDULE_MISSED
}

/// Whether the exit code is 5; `gated`: it depends on the figures (`--fail-if`, `search`, ...).
#[must_use]
pub fn ends_invalid(report: &Report, gated: bool) -> bool {
    !report.valid && (gated || report.invalid_because.iter().any(tested_nothing))
}

/// The first lines of a report: the worst cell of each reason; empty if it is valid.
#[must_use]
pub fn invalid_lines(report: &Report) -> Vec<String> {
    let reasons = &report.invalid_because;
    if !report.valid && reasons.is_empty() {
        return vec!["Invalid: the document says so, without a reason".to_owned()];
    }
    let worst = |one: &InvalidReason| {
        let cell = report.cell_named(one.cell.as_deref(), one.trial);
        cell.and_then(missed_share).unwrap_or(0.0)
    };
    let mut codes: Vec<&str> = Vec::new();
    reasons.iter().for_each(|one| {
        if !codes.contains(&one.code.as_str()) {
            codes.push(&one.code);
        }
    });
    let line = |code: &&str| {
        let alike: Vec<_> = reasons.iter().filter(|one| one.code == **code).collect();
        // The first one of several that are equal.
        let first = alike.iter().copied().rev().max_by(|a, b| worst(a).total_cmp(&worst(b)))?;
        let more = match alike.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more cell)".to_owned(),
            more => format!(" (and {more} more cells)"),
        };
        Some(format!("Invalid: {}{more}", first.line()))
    };
    codes.iter().filter_map(line).collect()
}

/// Adds reasons to `invalid_because` and sets `valid`; an invalid document stays invalid.
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

/// Judges a document again with another `max_missed`, 0 to 1.
pub fn judge_with_max_missed(report: &mut Report, max_missed: f64) {
    let had_reasons = !report.invalid_because.is_empty();
    report.invalid_because.retain(tested_nothing);
    report.valid |= had_reasons && report.invalid_because.is_empty();
    report.max_missed = max_missed;
    judge_validity(report);
}

/// Why this document did not test what was asked, by its cells; empty where it did.
#[must_use]
pub fn invalid_reasons(report: &Report) -> Vec<InvalidReason> {
    if report.cells.is_empty() {
        let message = "nothing was measured: the document has no cell; run it again";
        let (code, message) = (NOTHING_MEASURED.to_owned(), message.to_owned());
        return vec![InvalidReason { code, message, cell: None, trial: None }];
    }
    report.cells.iter().flat_map(|cell| invalid_cell(cell, report.max_missed)).collect()
}

/// Why this cell is invalid; `max_missed` is the share of its schedule that may be missed, 0 to 1.
#[must_use]
pub fn invalid_cell(cell: &Cell, max_missed: f64) -> Vec<InvalidReason> {
    let reasons = untested(cell).into_iter().chain(missed(cell, max_missed));
    let named = |(code, message): (&str, String)| {
        let (code, cell_id) = (code.to_owned(), Some(cell.id.clone()));
        InvalidReason { code, message, cell: cell_id, trial: Some(cell.trial) }
    };
    reasons.map(named).collect()
}

/// Judges a search: invalid if no trial of a size and engine was valid.
pub fn judge_search(document: &mut SearchDocument) {
    let reasons = document.searches.iter().filter_map(invalid_search);
    document.report.invalid_because = reasons.collect();
    document.report.valid = document.report.invalid_because.is_empty();
}

fn invalid_search(found: &Found) -> Option<InvalidReason> {
    let mut codes = found.trials.iter().map(|trial| trial.invalid_because.first());
    let code = codes.clone().next()??;
    if found.low_pps.is_some() || codes.any(|code| code.is_none()) {
        return None;
    }
    let message = format!(
        "none of {} trials tested what was asked ({code}); run the inner command at one --rate to \
         see why",
        found.trials.len()
    );
    Some(InvalidReason { code: code.clone(), message, cell: Some(found.id.clone()), trial: None })
}

const fn noun(cell: &Cell) -> &'static str {
    if cell.exchange.is_some() { "requests" } else { "datagrams" }
}

/// Number of errors that reported the target or its network as unreachable.
fn unreachable(cell: &Cell) -> u64 {
    let exchange = cell.exchange.as_ref().map_or(0, |exchange| exchange.unreachable);
    cell.ledger.refused.unreachable.max(exchange)
}

/// Whether outages cover the whole window, extended by the time between two errors of their cause.
fn is_outage_throughout(cell: &Cell) -> bool {
    let mut outages: Vec<_> = cell.outages.iter().map(covered_ns).collect();
    outages.sort_unstable();
    let covered_until = outages
        .iter()
        .try_fold(0, |covered, (from, until)| (*from <= covered).then_some(covered.max(*until)));
    !outages.is_empty() && covered_until.is_some_and(|covered| covered >= cell.elapsed_ns)
}

/// When an outage may have begun and ended, in ns since the start of the window.
fn covered_ns(outage: &Outage) -> (u64, u64) {
    let gap_ns = match (outage.what.as_str(), outage.said_by.as_deref()) {
        // By a host behind a router, and by this host for its own neighbour. It refuses at once
        // with EHOSTUNREACH only where a route of type `unreachable` was set.
        ("ICMP 3/1" | "ICMPv6 1/3", _) | ("EHOSTUNREACH", Some("local")) => NEIGHBOUR_GAP_NS,
        // This host refuses each datagram at once.
        (_, Some("local")) => 0,
        _ => ICMP_GAP_NS,
    };
    (outage.from_ns.saturating_sub(gap_ns), outage.until_ns.saturating_add(gap_ns))
}

/// Nothing was sent, or nothing of it arrived or was answered.
fn untested(cell: &Cell) -> Option<(&'static str, String)> {
    let (sent, unreachable) = (cell.ledger.sent, unreachable(cell));
    let has_errors = unreachable > 0;
    if sent == 0 {
        // Stopped before the first datagram, a cell says nothing.
        let stopped = cell.cut_short && cell.ledger.attempted == 0;
        return (!stopped).then(|| nothing_sent(cell));
    }
    if cell.rx.is_none() {
        let throughout = unreachable as f64 >= sent as f64 * UNREACHABLE_SHARE;
        // Hosts limit their ICMP errors, so that few of them may be all there is.
        let gave_up = cell.cut_short_because.as_deref() == Some("unreachable");
        let throughout = throughout || gave_up || is_outage_throughout(cell);
        return throughout.then(|| target_unreachable(cell));
    }
    let (arrived, waited) = match &cell.exchange {
        Some(exchange) => (
            // A late reply is one: the server was slower than the timeout, which is a result.
            exchange.matched > 0 || exchange.late > 0,
            !cell.cut_short || exchange.timeouts > exchange.given_up,
        ),
        None => (
            cell.ledger.received.is_none_or(|received| received > 0),
            !cell.cut_short || cell.elapsed_ns >= ARRIVES_WITHIN_NS,
        ),
    };
    match (arrived, has_errors) {
        (true, _) => None,
        (false, true) => Some(target_unreachable(cell)),
        (false, false) => waited.then(|| match &cell.exchange {
            Some(exchange) => nothing_answered(exchange),
            None => nothing_arrived(cell),
        }),
    }
}

fn nothing_sent(cell: &Cell) -> (&'static str, String) {
    let Refused { would_block, no_buffers, unreachable, too_big, other } = cell.ledger.refused;
    let reasons = [
        (unreachable, "the target is unreachable: check the address and the route to it"),
        (too_big, "they exceed the path MTU: use a smaller --size, or omit --df"),
        (no_buffers, "a queue below the socket was full: lower the --rate"),
        (would_block, "the send buffer was full: lower the --rate"),
        (other, "the system refused them: see the warnings"),
    ];
    let attempted = cell.ledger.attempted;
    let largest = reasons.into_iter().rev().max_by_key(|(count, _)| *count);
    match largest.filter(|(count, _)| *count > 0) {
        Some((_, why)) => {
            let code = if unreachable == attempted { UNREACHABLE } else { NOTHING_SENT };
            (code, format!("none of {attempted} {} could be sent: {why}", noun(cell)))
        }
        None => {
            let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
            let why = format!("nothing was sent: {missed} slots of the schedule were missed");
            (NOTHING_SENT, why + "; use a longer --time or a lower --rate")
        }
    }
}

fn nothing_arrived(cell: &Cell) -> (&'static str, String) {
    let message = format!(
        "none of {} datagrams arrived; check the address, the port and firewalls on the path",
        cell.ledger.sent
    );
    (NOTHING_ARRIVED, message)
}

fn nothing_answered(exchange: &Exchange) -> (&'static str, String) {
    let Exchange { requests, unmatched, .. } = exchange;
    let why = if *unmatched > 0 {
        format!("{unmatched} datagrams came back, but none answers a request; see --match")
    } else {
        "check the address, the port, firewalls, and that the server answers such requests"
            .to_owned()
    };
    (NOTHING_ANSWERED, format!("none of {requests} requests was answered; {why}"))
}

fn target_unreachable(cell: &Cell) -> (&'static str, String) {
    let message = format!(
        "target unreachable throughout ({} {}, errors {}); check the address and the port, and \
         that the server runs",
        noun(cell),
        cell.ledger.sent,
        unreachable(cell)
    );
    (UNREACHABLE, message)
}

fn missed(cell: &Cell, max_missed: f64) -> Option<(&'static str, String)> {
    let schedule = cell.schedule.as_ref()?;
    let share = missed_share(cell).filter(|share| *share > max_missed)?;
    let message = format!(
        "{} of {} {} ({}) were missed, more than --max-missed {}; {}",
        schedule.missed,
        schedule.scheduled,
        noun(cell),
        percent(share),
        percent(max_missed),
        missed_remedy(cell.exchange.as_ref(), schedule.missed)
    );
    Some((SCHEDULE_MISSED, message))
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

fn missed_remedy(exchange: Option<&Exchange>, missed: u64) -> String {
    match exchange {
        Some(exchange) if exchange.no_room > missed / 2 => {
            "all ids were in use: use more --streams, a shorter --timeout, or a lower --rate"
                .to_owned()
        }
        Some(Exchange { outstanding: Some(most), .. }) => format!(
            "{most} requests outstanding are too few for this rate: raise --outstanding, or lower \
             the --rate"
        ),
        _ => "lower the --rate, or use a host with idle cores".to_owned(),
    }
}

/// The share of the schedule that was missed, 0 to 1; `None` without a schedule.
#[must_use]
pub fn missed_share(cell: &Cell) -> Option<f64> {
    let schedule = cell.schedule.as_ref().filter(|schedule| schedule.scheduled > 0)?;
    Some(schedule.missed as f64 / schedule.scheduled as f64)
}
