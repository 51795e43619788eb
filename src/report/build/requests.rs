//! Requests and replies, from what was measured.

use std::collections::BTreeMap;

use crate::document::Exchange;
use crate::measure::{CellResult, Codes};
use crate::plan::RequestOptions;

/// Gives an error code of the protocol its name.
pub type CodeName<'a> = &'a dyn Fn(u16) -> String;

/// Outcomes of requests; `None` if datagrams are not requests.
pub(super) fn exchange(
    asking: Option<&RequestOptions>,
    result: &CellResult,
    name: Option<CodeName<'_>>,
) -> Option<Exchange> {
    let (asking, exchange) = (asking?, result.rx.exchange.as_ref()?);
    let (tx, rx) = (&result.tx.tally, &result.rx.tally);
    Some(copy_fields!(Exchange from exchange {
        continued, acknowledged, stale, timeouts, incomplete, given_up, no_room, repeated_labels,
        reused_message_ids, in_flight_max, room, own_drops,
    }
        closed_or_open: if asking.outstanding.is_some() { "closed" } else { "open" }.to_owned(),
        outstanding: asking.outstanding.map(u64::from),
        in_order: asking.in_order,
        timeout_ns: asking.timeout.0,
        requests: tx.sent,
        replies: rx.arrived.saturating_add(exchange.continued).saturating_add(exchange.stale),
        matched: rx.received,
        unmatched: rx.foreign,
        duplicate: rx.duplicate,
        late: rx.late,
        no_room_ns: exchange.no_room_time.0,
        errors: errors(&exchange.errors, name),
        unreachable: exchange.unreachable.saturating_add(tx.refused.unreachable),
        elsewhere: result.rx.kernel.udp.map(|udp| udp.no_ports),
        idle_ns: exchange.idle.0,
    ))
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
