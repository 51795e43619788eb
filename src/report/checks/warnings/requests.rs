//! Warnings about requests and replies: first the generator as the limit, then the server.

use super::ledger::causes;
use super::{CellContext, exceeds_permille, percent};
use crate::document::{Cell, Exchange, Warning};
use crate::report::checks::warning_codes as codes;
use crate::unit::{show_nanos, sum_counts};

/// A generator that is idle for less than this share of the time is the limit. Arbitrary.
const IDLE_PERCENT: u64 = 5;

pub(super) fn own_drops(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let dropped = exchange.own_drops.filter(|&dropped| dropped > 0)?;
    let limit = match server_drops(cell) {
        0 => "",
        _ => "; the server dropped requests too",
    };
    Some(codes::GENERATOR_DROPPED.warning(format!(
        "{dropped} replies ({}) dropped at udperf's own socket{limit}; use more --threads",
        percent(dropped, exchange.requests)
    )))
}

pub(super) fn generator_limit(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let no_rate = cell.schedule.is_none();
    let busy = exchange.idle_ns * 100 < cell.elapsed_ns * cell.threads * IDLE_PERCENT;
    let kept_up =
        exchange.outstanding.is_some() || !exceeds_permille(exchange.timeouts, exchange.requests);
    let kept_up = kept_up && server_drops(cell) == 0;
    (no_rate && busy && kept_up && exchange.matched > 0).then(|| {
        codes::GENERATOR_LIMIT
            .warning("the generator was the limit, not the server; use more --threads")
    })
}

/// Missing replies without an id: later replies match the wrong requests.
pub(super) fn out_of_order(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.in_order)?;
    (exchange.timeouts > 0 && exchange.matched > 0).then(|| {
        codes::ORDER_LOST.warning(format!(
            "{} replies without id missing: latency withheld; add {{id}} or --id-at",
            exchange.timeouts
        ))
    })
}

/// A closed loop that could not keep its rate.
pub(super) fn window_full(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let (most, schedule) = exchange.outstanding.zip(cell.schedule.as_ref())?;
    (schedule.missed > 0).then(|| {
        codes::WINDOW_FULL.warning(format!(
            "{} of {} slots ({}) missed: --outstanding {most} reached; omit it",
            schedule.missed,
            schedule.scheduled,
            percent(schedule.missed, schedule.scheduled)
        ))
    })
}

pub(super) fn no_room(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.no_room_ns > 0)?;
    let missed = match &cell.schedule {
        Some(schedule) => format!(", {} missed", percent(exchange.no_room, schedule.scheduled)),
        None => String::new(),
    };
    Some(codes::NO_ROOM.warning(format!(
        "no request sent for {}{missed}: all {} ids in use; use more --streams",
        show_nanos(exchange.no_room_ns),
        exchange.room
    )))
}

pub(super) fn labels_repeated(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let repeated = exchange.repeated_labels.filter(|&repeated| repeated > 0)?;
    Some(codes::LABELS_REPEATED.warning(format!(
        "{repeated} of {} requests repeat a label; use a longer --random-subdomain",
        exchange.requests
    )))
}

pub(super) fn message_ids_reused(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let reused = exchange.reused_message_ids.filter(|&reused| reused > 0)?;
    Some(codes::MESSAGE_IDS_REUSED.warning(format!(
        "{reused} of {} requests reuse a CoAP message id; use more --streams",
        exchange.requests
    )))
}

pub(super) fn incomplete(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.incomplete > 0)?;
    Some(codes::INCOMPLETE_REPLIES.warning(format!(
        "{} of {} timeouts had an incomplete reply; lower the --rate",
        exchange.incomplete, exchange.timeouts
    )))
}

/// Estimated drops at the server's receive buffer; 0 if it is on another host, or not known.
pub(crate) fn server_drops(cell: &Cell) -> u64 {
    let here = cell.ends.as_deref() == Some("together");
    let Some(exchange) = cell.exchange.as_ref().filter(|_| here) else { return 0 };
    let Some((all, own)) = cell.kernel.rcvbuf_errors.zip(exchange.own_drops) else { return 0 };
    // Others may have lost as many as reached sockets beside our requests and replies.
    let reached = cell.kernel.in_datagrams.unwrap_or(0).saturating_add(all);
    let ours = exchange.requests.saturating_add(exchange.replies).saturating_add(own);
    all.saturating_sub(own).saturating_sub(reached.saturating_sub(ours))
}

pub(super) fn no_reply(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.timeouts > 0)?;
    let Exchange { timeouts, requests, .. } = exchange;
    let own = exchange.own_drops.unwrap_or(0);
    // What came back was not lost.
    let packets = server_drops(cell);
    let at_server = packets.min(requests.saturating_sub(exchange.replies));
    let here = cell.ends.as_deref() == Some("together");
    let why = if at_server.saturating_mul(2) > *timeouts {
        format!("up to {at_server} at the server's full buffer; lower the --rate")
    } else if exchange.unreachable > 0 {
        causes(cell).unwrap_or_else(|| "an ICMP error".to_owned())
    } else if exchange.matched == 0 && exchange.replies > 0 {
        "replies were late or unmatched".to_owned()
    } else if exchange.matched == 0 {
        "no reply came back; check address and port".to_owned()
    } else if packets > 0 {
        format!("{packets} packets at the server's full buffer; lower the --rate")
    } else if here && own > 0 {
        "udperf's own socket dropped replies; use more --threads".to_owned()
    } else if here {
        "read and not answered; see the server's log".to_owned()
    } else {
        "lost, or not answered; lower the --rate".to_owned()
    };
    Some(codes::NO_REPLY.warning(format!(
        "{timeouts} of {requests} requests ({}) had no reply: {why}",
        percent(*timeouts, *requests),
    )))
}

/// Datagrams to ports without a socket while replies were missing.
pub(super) fn elsewhere(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref()?;
    let count = exchange.elsewhere.filter(|&count| count > 0)?;
    // Fewer may be anybody's.
    let share = count.saturating_mul(2) >= exchange.timeouts;
    (exchange.timeouts > 0 && share && exchange.unreachable == 0).then(|| {
        codes::FROM_ELSEWHERE.warning(format!(
            "{count} datagrams to unbound ports: the server may answer from another address"
        ))
    })
}

pub(super) fn errors(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| !exchange.errors.is_empty())?;
    let most = exchange.errors.iter().max_by_key(|(_, count)| **count)?;
    let total = sum_counts(exchange.errors.values().copied());
    Some(codes::ERROR_REPLIES.warning(format!(
        "{total} of {} replies report errors, most {} ({}); check the requests",
        exchange.matched, most.0, most.1
    )))
}

pub(super) fn unmatched(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.unmatched > 0)?;
    Some(codes::UNMATCHED.warning(format!(
        "{} of {} replies match no request; see udperf talk, or set --match",
        exchange.unmatched, exchange.replies
    )))
}

pub(super) fn duplicate(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.duplicate > 0)?;
    Some(codes::DUPLICATE_REPLIES.warning(format!(
        "{} duplicate replies from the server or the network",
        exchange.duplicate
    )))
}

pub(super) fn late(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.late > 0)?;
    Some(codes::LATE_REPLIES.warning(format!(
        "{} replies came after the timeout of {}; use a longer --timeout",
        exchange.late,
        show_nanos(exchange.timeout_ns)
    )))
}
