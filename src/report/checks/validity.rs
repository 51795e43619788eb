//! Decides whether a run is valid; every format and exit code uses the decision.

#[cfg(test)]
mod tests;

use crate::document::{
    Cell, Exchange, Found, InvalidReason, MEMBER_LOST, MemberDocument, Outage, Refused, Report,
    Schedule, SearchDocument,
};
use crate::report::checks::warning_codes::{self as codes, Code};
use crate::unit::grouped;

/// A cell that was cut short is judged only if it sent for this long. Arbitrary: the default of
/// `--timeout`, longer than any path takes.
const ARRIVES_WITHIN_NS: u64 = 1_000_000_000;

/// Without a receiver, the target is unreachable throughout if this share of the sent datagrams
/// caused an error. Arbitrary: the kernel merges some errors.
const UNREACHABLE_SHARE: f64 = 0.9;

/// How long a target that stays unreachable may draw no ICMP error. Arbitrary: a host sends about
/// one per second and peer (`net.ipv4.icmp_ratelimit`, ip-sysctl of the kernel's documentation).
const ICMP_GAP_NS: u64 = 1_500_000_000;

/// The same where a neighbour does not answer. Arbitrary: the kernel asks it three times, a second
/// apart, before each error (`mcast_solicit` and `retrans_time_ms`, arp(7)).
const NEIGHBOUR_GAP_NS: u64 = 5_000_000_000;

/// The fewest datagrams of one of several processes whose complete loss makes a run invalid.
/// Arbitrary: at a loss of 10 %, all of them are lost once in 10,000 million runs.
const LEAST_SENT: u64 = 10;

/// Whether no datagram is known to have reached the target.
pub(crate) fn tested_nothing(reason: &InvalidReason) -> bool {
    reason.code != codes::SCHEDULE_MISSED.name
}

/// The first lines of a report: the worst cell of each reason; empty if it is valid.
pub(crate) fn invalid_lines(report: &Report) -> Vec<String> {
    let reasons = &report.invalid_because;
    if !report.valid && reasons.is_empty() {
        return vec!["Invalid: the document says so, without a reason".to_owned()];
    }
    let worst = |one: &InvalidReason| {
        let cell = report.cell_named(one.cell.as_deref(), one.trial);
        cell.and_then(missed_share).unwrap_or(0.0)
    };
    let is_first = |at: usize| reasons[..at].iter().all(|one| one.code != reasons[at].code);
    let line = |at: usize| {
        let alike: Vec<_> = reasons.iter().filter(|one| one.code == reasons[at].code).collect();
        // The first one of several that are equal.
        let first = alike.iter().copied().rev().max_by(|a, b| worst(a).total_cmp(&worst(b)))?;
        let more = match alike.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more cell)".to_owned(),
            more => format!(" (and {more} more cells)"),
        };
        Some(format!("Invalid: {}{more}", first.line()))
    };
    (0..reasons.len()).filter(|&at| is_first(at)).filter_map(line).collect()
}

/// Adds reasons to `invalid_because` and sets `valid`; an invalid document stays invalid.
pub(crate) fn judge_validity(report: &mut Report) {
    let cells = report.cells.iter();
    let mut reasons: Vec<_> = cells
        .flat_map(|cell| {
            let of_members = untested_members(&report.members, cell);
            invalid_cell(cell, report.max_missed).into_iter().chain(of_members)
        })
        .collect();
    if report.cells.is_empty() {
        let message = "nothing was measured: the document has no cell; run it again".to_owned();
        let code = codes::NOTHING_MEASURED.name.to_owned();
        reasons.push(InvalidReason { code, message, cell: None, trial: None });
    }
    for reason in reasons {
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
pub(crate) fn judge_with_max_missed(report: &mut Report, max_missed: f64) {
    let had_reasons = !report.invalid_because.is_empty();
    report.invalid_because.retain(tested_nothing);
    report.valid |= had_reasons && report.invalid_because.is_empty();
    report.max_missed = max_missed;
    judge_validity(report);
}

/// Why this cell is invalid; `max_missed` is the share of its schedule that may be missed, 0 to 1.
pub(crate) fn invalid_cell(cell: &Cell, max_missed: f64) -> Vec<InvalidReason> {
    let reasons = untested(cell).into_iter().chain(missed(cell, max_missed));
    let lost = has_lost_member(cell).then(|| {
        let text = "a process of the run was lost or failed, so that its part is missing; see what";
        (&codes::MEMBER_LOST, format!("{text} mpirun or srun says"))
    });
    lost.into_iter().chain(reasons).map(|reason| of_cell(cell, reason)).collect()
}

fn of_cell(cell: &Cell, (code, message): Reason) -> InvalidReason {
    let (code, id) = (code.name.to_owned(), Some(cell.id.clone()));
    InvalidReason { code, message, cell: id, trial: Some(cell.trial) }
}

/// The part of a process in this cell.
pub(crate) fn part_of<'a>(member: &'a MemberDocument, cell: &Cell) -> Option<&'a Cell> {
    let is_same = |part: &&Cell| {
        (&part.id, part.trial, &part.direction) == (&cell.id, cell.trial, &cell.direction)
    };
    member.cells.iter().find(is_same)
}

/// The processes none of whose datagrams arrived or were answered: the first one for each reason.
/// Without their part, the sums are not those of the requested load.
fn untested_members(members: &[MemberDocument], cell: &Cell) -> Vec<InvalidReason> {
    let mut found: Vec<(&'static Code, String, usize)> = Vec::new();
    for member in members {
        let part = part_of(member, cell).filter(|part| part.ledger.attempted > 0);
        let Some((code, why)) = part.and_then(untested) else { continue };
        let is_chance = [codes::NOTHING_ARRIVED.name, codes::NOTHING_ANSWERED.name]
            .contains(&code.name)
            && part.is_some_and(|part| part.ledger.sent < LEAST_SENT);
        if is_chance {
            continue;
        }
        match found.iter_mut().find(|(known, ..)| known.name == code.name) {
            Some((_, _, more)) => *more += 1,
            None => {
                let MemberDocument { rank, hostname, .. } = member;
                found.push((code, format!("rank {rank} on {hostname}: {why}"), 0));
            }
        }
    }
    let reason = |(code, why, more): (&'static Code, String, usize)| {
        let more = if more > 0 { format!(" (and {more} more ranks)") } else { String::new() };
        of_cell(cell, (code, why + &more))
    };
    found.into_iter().map(reason).collect()
}

fn has_lost_member(cell: &Cell) -> bool {
    cell.cut_short_because.as_deref() == Some(MEMBER_LOST)
}

/// Says why the process was lost that a cell lacks, if one does.
pub(crate) fn name_lost_member(report: &mut Report, why: &str) {
    let lacking = report.cells.iter().find(|cell| has_lost_member(cell));
    let reason = lacking.map(|cell| of_cell(cell, (&codes::MEMBER_LOST, why.to_owned())));
    report.invalid_because.extend(reason);
}

/// Judges a search: invalid if no trial of a size and engine was valid.
pub(crate) fn judge_search(document: &mut SearchDocument) {
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
    let trials = found.trials.len();
    let text = format!("none of {trials} trials was valid ({code})");
    let message = text + "; run the inner command at one --rate to see why";
    Some(InvalidReason { code: code.clone(), message, cell: Some(found.id.clone()), trial: None })
}

const fn noun(cell: &Cell) -> &'static str {
    if cell.exchange.is_some() { "requests" } else { "datagrams" }
}

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

type Reason = (&'static Code, String);

fn untested(cell: &Cell) -> Option<Reason> {
    let (sent, unreachable) = (cell.ledger.sent, unreachable(cell));
    if cell.cut_short_because.as_deref() == Some("peer_lost") {
        let what = if cell.rx.is_some() { "sent" } else { "received" };
        let text = format!("the sink was lost, what it {what} is unknown; restart it and repeat");
        return Some((&codes::PEER_LOST, text));
    }
    let has_errors = unreachable > 0;
    if sent == 0 {
        // A cell that was stopped before its first datagram is not judged.
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
        (true, _) => cell.exchange.as_ref().and_then(second_not_sent),
        (false, true) => Some(target_unreachable(cell)),
        (false, false) => waited.then(|| match &cell.exchange {
            Some(exchange) => nothing_answered(exchange),
            None => {
                let sent = grouped(sent);
                let text = format!("none of {sent} datagrams arrived; check the address, the port");
                (&codes::NOTHING_ARRIVED, text + " and firewalls on the path")
            }
        }),
    }
}

fn nothing_sent(cell: &Cell) -> Reason {
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
    if let Some((1.., why)) = largest {
        let all = unreachable == attempted;
        let code = if all { &codes::TARGET_UNREACHABLE } else { &codes::NOTHING_SENT };
        let attempted = grouped(attempted);
        return (code, format!("none of {attempted} {} could be sent: {why}", noun(cell)));
    }
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let why = format!("nothing was sent: {} slots of the schedule were missed", grouped(missed));
    (&codes::NOTHING_SENT, why + "; use a longer --time or a lower --rate")
}

/// First replies came, but none that the second request follows.
fn second_not_sent(exchange: &Exchange) -> Option<Reason> {
    let [first, second] = &exchange.steps[..] else { return None };
    let answered = first.answered.filter(|answered| *answered > 0)?;
    let is_missing = exchange.requires_second && second.sent == 0 && second.refused == 0;
    is_missing.then(|| {
        let answered = grouped(answered);
        let text = format!("no second request was sent after {answered} first replies");
        let fix = "; check --then-if, --error and the bytes of the replies";
        (&codes::SECOND_NOT_SENT, text + fix)
    })
}

fn nothing_answered(exchange: &Exchange) -> Reason {
    let firsts = exchange.steps.first().and_then(|step| step.answered).unwrap_or(0);
    let why = match exchange.unmatched {
        0 if firsts > 0 => format!(
            "{} first replies came, but no second ones; check what the server replies to the \
             second request: what equals the first reply is a duplicate",
            grouped(firsts)
        ),
        0 => "check the address, the port, firewalls, and that the server answers such requests"
            .to_owned(),
        unmatched => {
            let came = grouped(unmatched);
            format!("{came} datagrams came back, but none answers a request; see --match")
        }
    };
    let message = format!("none of {} requests was answered; {why}", grouped(exchange.requests));
    (&codes::NOTHING_ANSWERED, message)
}

fn target_unreachable(cell: &Cell) -> Reason {
    let [sent, errors] = [cell.ledger.sent, unreachable(cell)].map(grouped);
    let text = format!("target unreachable throughout ({} {sent}, errors {errors})", noun(cell));
    let fix = "; check the address and the port, and that the server runs";
    (&codes::TARGET_UNREACHABLE, text + fix)
}

fn missed(cell: &Cell, max_missed: f64) -> Option<Reason> {
    let share = missed_share(cell).filter(|share| *share > max_missed)?;
    let Schedule { missed, scheduled, .. } = cell.schedule.as_ref()?;
    let (noun, share, most) = (noun(cell), percent(share), percent(max_missed));
    let [missed_of, of] = [*missed, *scheduled].map(grouped);
    let message = format!(
        "{missed_of} of {of} {noun} ({share}) were missed, more than --max-missed {most}; {}",
        missed_remedy(cell.exchange.as_ref(), *missed)
    );
    Some((&codes::SCHEDULE_MISSED, message))
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
pub(crate) fn missed_share(cell: &Cell) -> Option<f64> {
    let schedule = cell.schedule.as_ref().filter(|schedule| schedule.scheduled > 0)?;
    Some(schedule.missed as f64 / schedule.scheduled as f64)
}
