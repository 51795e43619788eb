//! Requests and replies, from what was measured.

use std::collections::BTreeMap;

use crate::document::Exchange;
use crate::measure::{CellResult, Codes};
use crate::plan::RequestOptions;

/// Gives an error code of the protocol its name.
pub type CodeName<'a> = &'a dyn Fn(u16) -> String;

/// What became of requests; `None` where datagrams were none.
pub(super) fn exchange(
    asking: Option<&RequestOptions>,
    result: &CellResult,
    name: Option<CodeName<'_>>,
) -> Option<Exchange> {
    let (asking, exchange) = (asking?, result.exchange.as_ref()?);
    let rx = &result.rx;
    let elsewhere = result.kernel.udp.map(|udp| udp.no_ports);
    Some(Exchange {
        closed_or_open: if asking.outstanding.is_some() { "closed" } else { "open" }.to_owned(),
        outstanding: asking.outstanding.map(u64::from),
        in_order: asking.in_order,
        timeout_ns: asking.timeout.0,
        requests: result.tx.sent,
        replies: rx.arrived.saturating_add(exchange.continued).saturating_add(exchange.stale),
        matched: rx.received,
        unmatched: rx.foreign,
        duplicate: rx.duplicate,
        late: rx.late,
        continued: exchange.continued,
        acknowledged: exchange.acknowledged,
        stale: exchange.stale,
        timeouts: exchange.timeouts,
        incomplete: exchange.incomplete,
        given_up: exchange.given_up,
        no_room: exchange.no_room,
        no_room_ns: exchange.no_room_time.0,
        repeated_labels: exchange.repeated_labels,
        reused_message_ids: exchange.reused_message_ids,
        errors: errors(&exchange.errors, name),
        unreachable: exchange.unreachable.saturating_add(result.tx.refused.unreachable),
        in_flight_max: exchange.in_flight_max,
        room: exchange.room,
        own_drops: exchange.own_drops,
        elsewhere,
        idle_ns: exchange.idle.0,
    })
}

fn errors(codes: &Codes, name: Option<CodeName<'_>>) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::new();
    for (code, count) in codes.iter() {
        let name = name.map_or_else(|| code.to_string(), |name| name(code));
        let sum = errors.entry(name).or_insert(0_u64);
        *sum = sum.saturating_add(count);
    }
    if codes.others() > 0 {
        errors.insert("other".to_owned(), codes.others());
    }
    errors
}
