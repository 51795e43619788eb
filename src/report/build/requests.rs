//! Requests and replies, from what was measured.

use std::collections::BTreeMap;

use super::breakdown::part;
use crate::document::{Exchange, ExchangeStep};
use crate::measure::{CellResult, Codes};
use crate::plan::RequestOptions;
use crate::unit::{ErrorCode, Nanos};

/// Gives an error code its name.
pub type CodeName<'a> = &'a dyn Fn(ErrorCode) -> String;

/// Outcomes of requests; `None` if datagrams are not requests.
pub(super) fn exchange(
    asking: Option<&RequestOptions>,
    result: &CellResult,
    name: Option<CodeName<'_>>,
) -> Option<Exchange> {
    let (asking, exchange) = (asking?, result.rx.exchange.as_ref()?);
    let (tx, rx) = (&result.tx.tally, &result.rx.tally);
    Some(copy_fields!(Exchange from exchange {
        continued, acknowledged, acknowledgements_sent, stale, timeouts, incomplete, given_up,
        no_room, repeated_labels, reused_message_ids, in_flight_max, room, own_drops,
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
        steps: steps(asking, result),
        requires_second: asking.requires_second,
    ))
}

/// Both steps of exchanges of two requests. The second one may expect no reply.
fn steps(asking: &RequestOptions, result: &CellResult) -> Vec<ExchangeStep> {
    let [first, second] = &result.rx.steps[..] else { return Vec::new() };
    let is_mixed_up = asking.in_order && first.timeouts.saturating_add(second.timeouts) > 0;
    let latency = |of| part(of, Nanos::ZERO).filter(|_| !is_mixed_up);
    let expects_reply = asking.expects_second_reply;
    [(result.tx.tally.sent, first, true), (second.sent, second, expects_reply)]
        .map(|(sent, step, is_answered)| ExchangeStep {
            sent,
            refused: step.refused,
            answered: is_answered.then_some(step.answered),
            timeouts: is_answered.then_some(step.timeouts),
            latency: latency(&step.latency),
        })
        .into()
}

fn errors(codes: &Codes, name: Option<CodeName<'_>>) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::new();
    let mut add = |name, count| {
        let sum = errors.entry(name).or_insert(0_u64);
        *sum = sum.saturating_add(count);
    };
    for (code, count) in codes.iter() {
        let name = name.map_or_else(|| code.to_string(), |name| name(code));
        add(name, count);
    }
    if codes.others() > 0 {
        add("other".to_owned(), codes.others());
    }
    errors
}
