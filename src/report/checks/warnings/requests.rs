//! Warnings about requests and replies: first the generator as the limit, then the server.

use super::context::{exceeds_permille, is_local, nonzero, percent};
use super::ledger::{causes, receives_by_xdp};
use crate::document::{Cell, Exchange, ServerUsage};
use crate::unit::{grouped, show_nanos, sum_counts};

/// A generator that is idle for less than this share of the time is the limit. Arbitrary.
const IDLE_PERCENT: u64 = 5;

pub(super) fn generator_dropped(cell: &Cell, exchange: &Exchange) -> Option<String> {
    let dropped = nonzero(exchange.own_drops)?;
    let share = percent(dropped, sum_counts([dropped, cell.ledger.arrived.unwrap_or(0)]));
    let place = if receives_by_xdp(cell) { "ring" } else { "socket" };
    let server = match server_drops(cell) {
        0 => "",
        _ => "; the server dropped requests too",
    };
    let dropped = grouped(dropped);
    let text = format!("{dropped} replies ({share}) dropped at udperf's own {place}{server}");
    Some(text + "; use more --threads")
}

pub(super) fn generator_limit(cell: &Cell, exchange: &Exchange) -> Option<String> {
    let no_rate = cell.schedule.is_none();
    let busy = exchange.idle_ns * 100 < cell.elapsed_ns * cell.threads * IDLE_PERCENT;
    let replied =
        exchange.outstanding.is_some() || !exceeds_permille(exchange.timeouts, exchange.requests);
    let text = "the generator was the limit, not the server; use more --threads";
    (no_rate && busy && replied && server_drops(cell) == 0 && exchange.matched > 0)
        .then(|| text.to_owned())
}

pub(super) fn order_lost(exchange: &Exchange) -> Option<String> {
    let timeouts = grouped(nonzero(exchange.timeouts)?);
    let text = format!("{timeouts} replies without id missing: latency withheld");
    (exchange.in_order && exchange.matched > 0).then(|| text + "; add {id} or --id-at")
}

pub(super) fn window_full(cell: &Cell, exchange: &Exchange) -> Option<String> {
    let (most, schedule) = exchange.outstanding.zip(cell.schedule.as_ref())?;
    let (missed, scheduled) = (nonzero(schedule.missed)?, schedule.scheduled);
    let share = percent(missed, scheduled);
    let [missed, scheduled] = [missed, scheduled].map(grouped);
    let text = format!("{missed} of {scheduled} slots ({share}) missed");
    Some(format!("{text}: --outstanding {most} reached; omit it"))
}

pub(super) fn no_room(cell: &Cell, exchange: &Exchange) -> Option<String> {
    let time = show_nanos(nonzero(exchange.no_room_ns)?);
    let missed = cell.schedule.as_ref().map_or_else(String::new, |schedule| {
        format!(", {} missed", percent(exchange.no_room, schedule.scheduled))
    });
    let ids = grouped(exchange.room);
    Some(format!("no request sent for {time}{missed}: all {ids} ids in use; use more --streams"))
}

pub(super) fn labels_repeated(exchange: &Exchange) -> Option<String> {
    let [repeated, all] = [nonzero(exchange.repeated_labels)?, exchange.requests].map(grouped);
    Some(format!("{repeated} of {all} requests repeat a label; use a longer --random-subdomain"))
}

pub(super) fn message_ids_reused(exchange: &Exchange) -> Option<String> {
    let [reused, all] = [nonzero(exchange.reused_message_ids)?, exchange.requests].map(grouped);
    Some(format!("{reused} of {all} requests reuse a CoAP message id; use more --streams"))
}

pub(super) fn incomplete_replies(exchange: &Exchange) -> Option<String> {
    let [incomplete, timeouts] = [nonzero(exchange.incomplete)?, exchange.timeouts].map(grouped);
    Some(format!("{incomplete} of {timeouts} timeouts had an incomplete reply; lower the --rate"))
}

/// Estimated drops at the server's receive buffer; 0 if it is on another host, or not known.
pub(crate) fn server_drops(cell: &Cell) -> u64 {
    let Some(exchange) = cell.exchange.as_ref().filter(|_| is_local(cell)) else { return 0 };
    let Some((all, own)) = cell.kernel.rcvbuf_errors.zip(exchange.own_drops) else { return 0 };
    // Others may have lost as many as reached sockets beside the requests and replies of the run.
    let reached = cell.kernel.in_datagrams.unwrap_or(0).saturating_add(all);
    let ours = exchange.requests.saturating_add(exchange.replies).saturating_add(own);
    all.saturating_sub(own).saturating_sub(reached.saturating_sub(ours))
}

pub(super) fn no_reply(cell: &Cell, exchange: &Exchange) -> Option<String> {
    let (timeouts, requests) = (nonzero(exchange.timeouts)?, exchange.requests);
    // What came back was not lost.
    let packets = server_drops(cell);
    let at_server = packets.min(requests.saturating_sub(exchange.replies));
    let why = if at_server.saturating_mul(2) > timeouts {
        format!("up to {} at the server's full buffer; lower the --rate", grouped(at_server))
    } else if exchange.unreachable > 0 {
        let why = causes(cell).unwrap_or_else(|| "an ICMP error".to_owned());
        why + "; check address and port"
    } else if exchange.matched == 0 && exchange.replies > 0 {
        "replies were late or unmatched; see --timeout and --match".to_owned()
    } else if exchange.matched == 0 && receives_by_xdp(cell) {
        "no reply came to its queues; check address, port and --xdp-queue".to_owned()
    } else if exchange.matched == 0 {
        "no reply came back; check address and port".to_owned()
    } else if packets > 0 {
        format!("{} packets at the server's full buffer; lower the --rate", grouped(packets))
    } else if !is_local(cell) {
        "lost, or not answered; lower the --rate".to_owned()
    } else if exchange.own_drops > Some(0) {
        "udperf's own socket dropped replies; use more --threads".to_owned()
    } else {
        "received and not answered in time; see the server's log".to_owned()
    };
    let share = percent(timeouts, requests);
    let [timeouts, requests] = [timeouts, requests].map(grouped);
    Some(format!("{timeouts} of {requests} requests ({share}) had no reply: {why}"))
}

pub(super) fn server_ended(server: ServerUsage) -> Option<String> {
    let text = "a process of the server ended: what the server used is unknown; see its log";
    server.cpu_ns.is_none().then(|| text.to_owned())
}

pub(super) fn server_sockets(server: ServerUsage) -> Option<String> {
    let text = "files of the server cannot be read: drops unknown; run as root or its user";
    (server.socket_drops.is_none() && server.cpu_ns.is_some()).then(|| text.to_owned())
}

pub(super) fn from_elsewhere(exchange: &Exchange) -> Option<String> {
    let (count, timeouts) = nonzero(exchange.elsewhere).zip(nonzero(exchange.timeouts))?;
    // Fewer may be other traffic.
    (count.saturating_mul(2) >= timeouts && exchange.unreachable == 0).then(|| {
        let why = "the server may answer from another address; send to that one";
        format!("{} datagrams to unbound ports: {why}", grouped(count))
    })
}

pub(super) fn error_replies(exchange: &Exchange) -> Option<String> {
    let (name, most) = exchange.errors.iter().max_by_key(|(_, count)| **count)?;
    let total = sum_counts(exchange.errors.values().copied());
    let [total, matched, most] = [total, exchange.matched, *most].map(grouped);
    let text = format!("{total} of {matched} replies are errors");
    Some(format!("{text}, most {name} ({most}); check the requests"))
}

pub(super) fn unmatched(exchange: &Exchange) -> Option<String> {
    let [unmatched, all] = [nonzero(exchange.unmatched)?, exchange.replies].map(grouped);
    let text = format!("{unmatched} of {all} replies match no request");
    Some(text + "; see udperf talk, or set --match")
}

pub(super) fn duplicate_replies(exchange: &Exchange) -> Option<String> {
    let count = grouped(nonzero(exchange.duplicate)?);
    let text = format!("{count} duplicate replies from the server or the network");
    Some(text + "; see udperf talk")
}

pub(super) fn late_replies(exchange: &Exchange) -> Option<String> {
    let (late, timeout) = (grouped(nonzero(exchange.late)?), show_nanos(exchange.timeout_ns));
    Some(format!("{late} replies came after the timeout of {timeout}; use a longer --timeout"))
}
