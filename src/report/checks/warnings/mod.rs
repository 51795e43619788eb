//! Warnings about a finished cell: one small check each. `warning_codes` explains every code.

mod context;
mod engine;
mod kernel;
mod ledger;
mod members;
mod path;
mod requests;
mod timing;

use crate::document::{Cell, MEMBER_LOST, Warning};
use crate::report::checks::warning_codes::{self as codes, Code};
use crate::unit::grouped;
pub(crate) use context::CellContext;
pub(crate) use context::doubles_buffers;
use context::percent;
pub(crate) use engine::is_unsplit;
pub(crate) use engine::left_out;
pub(crate) use kernel::listener_warnings;
pub(crate) use ledger::is_path;
pub(crate) use members::name_members;
pub(crate) use path::{over_loopback, pairs_over_loopback, size_warnings};
pub(crate) use requests::server_drops;
pub(crate) use timing::throttled;

/// A check: the message of its warning; `None` without one.
type Check = fn(&Cell, &CellContext) -> Option<String>;

/// All checks with their codes, worst first: checks of all figures, then checks that explain some
/// of them.
static CHECKS: &[(&Code, Check)] = &[
    (&codes::BROKEN_LEDGER, |c, _| ledger::broken_ledger(c)),
    (&codes::ORDER_LOST, |c, _| requests::order_lost(c.exchange.as_ref()?)),
    (&codes::GENERATOR_DROPPED, |c, _| requests::generator_dropped(c, c.exchange.as_ref()?)),
    (&codes::GENERATOR_LIMIT, |c, _| requests::generator_limit(c, c.exchange.as_ref()?)),
    (&codes::BEHIND_SCHEDULE, |c, _| timing::behind_schedule(c)),
    (&codes::WINDOW_FULL, |c, _| requests::window_full(c, c.exchange.as_ref()?)),
    (&codes::NO_ROOM, |c, _| requests::no_room(c, c.exchange.as_ref()?)),
    (&codes::LABELS_REPEATED, |c, _| requests::labels_repeated(c.exchange.as_ref()?)),
    (&codes::MESSAGE_IDS_REUSED, |c, _| requests::message_ids_reused(c.exchange.as_ref()?)),
    (&codes::NO_REPLY, |c, _| requests::no_reply(c, c.exchange.as_ref()?)),
    (&codes::SERVER_ENDED, |c, _| requests::server_ended(c.server?)),
    (&codes::SERVER_SOCKETS, |c, _| requests::server_sockets(c.server?)),
    (&codes::INCOMPLETE_REPLIES, |c, _| requests::incomplete_replies(c.exchange.as_ref()?)),
    (&codes::FROM_ELSEWHERE, |c, _| requests::from_elsewhere(c.exchange.as_ref()?)),
    (&codes::UNMATCHED, |c, _| requests::unmatched(c.exchange.as_ref()?)),
    (&codes::ERROR_REPLIES, |c, _| requests::error_replies(c.exchange.as_ref()?)),
    (&codes::LATE_REPLIES, |c, _| requests::late_replies(c.exchange.as_ref()?)),
    (&codes::DUPLICATE_REPLIES, |c, _| requests::duplicate_replies(c.exchange.as_ref()?)),
    (&codes::UNACCOUNTED, |c, _| ledger::unaccounted(c)),
    (&codes::LOST_BETWEEN, |c, _| ledger::lost_between(c)),
    (&codes::NEIGHBOUR_UNRESOLVED, |c, _| ledger::neighbour_unresolved(c)),
    (&codes::REASSEMBLY_LOSS, |c, _| {
        ledger::dropped(|at| at.reassembly, c, "arrived incomplete; use a --size that fits the MTU")
    }),
    (&codes::SHARED_COUNTERS, ledger::shared_counters),
    (&codes::ESTIMATED_PLACES, |c, _| ledger::estimated_places(c)),
    (&codes::KERNEL_MISMATCH, |c, _| kernel::kernel_mismatch(c)),
    (&codes::CUT_SHORT, |c, _| {
        let reason = match c.cut_short_because.as_deref() {
            Some("stuck") => "no datagram could be sent for 2 s",
            Some("unreachable") => "target unreachable for 2 s",
            Some("peer_lost") => "the sink was lost",
            Some(MEMBER_LOST) => "a process of the run was lost",
            reason => reason.unwrap_or("reason unknown"),
        };
        c.cut_short.then(|| format!("cell cut short ({reason}); do not compare it"))
    }),
    (&codes::SEGMENTS_NEVER_CUT, |c, _| engine::segments_never_cut(c)),
    (&codes::ENGINE_FELL_BACK, |c, _| engine::engine_fell_back(c)),
    (&codes::SEGMENTS_FELL, |c, _| engine::segments_fell(c)),
    (&codes::NO_BUFFERS, |c, _| engine::no_buffers(c)),
    (&codes::NOT_STAMPED, engine::not_stamped),
    (&codes::RECEIVE_BUFFER_LOSS, |c, _| {
        ledger::of_datagrams(c)?;
        let why = "dropped: receive buffer full; use a lower --rate";
        ledger::dropped(|at| at.receive_buffer, c, why)
    }),
    (&codes::XDP_RING_LOSS, |c, _| {
        ledger::of_datagrams(c)?;
        let why = "dropped: ring of AF_XDP full; use a lower --rate";
        ledger::dropped(|at| at.xdp_ring, c, why)
    }),
    (&codes::BACKLOG_LOSS, |c, _| {
        ledger::dropped(|at| at.backlog, c, "dropped: CPU backlog full; raise netdev_max_backlog")
    }),
    (&codes::FLOW_STARVED, |c, _| engine::flow_starved(c)),
    (&codes::SOURCES_DIFFER, |c, _| engine::sources_differ(c)),
    (&codes::RECEIVER_SKEW, engine::receiver_skew),
    (&codes::BUFFER_NOT_GRANTED, kernel::buffer_not_granted),
    (&codes::REFUSED_WOULD_BLOCK, ledger::refused_would_block),
    (&codes::REFUSED_NO_BUFFERS, ledger::refused_no_buffers),
    (&codes::REFUSED_UNREACHABLE, |c, _| ledger::refused_unreachable(c)),
    (&codes::REFUSED_TOO_BIG, ledger::refused_too_big),
    (&codes::REFUSED_OTHER, |c, _| {
        ledger::refused(c, |r| r.other, "reason unknown; -e plain may show it")
    }),
    (&codes::STALLS, |c, _| timing::stalls(c)),
    (&codes::STOLEN, |c, _| timing::stolen(c)),
    (&codes::OTHER_TRAFFIC, kernel::other_traffic),
    (&codes::FOREIGN, |c, _| {
        let why = "from other senders; choose another --port";
        ledger::arrived(ledger::of_datagrams(c)?.foreign, why)
    }),
    (&codes::CORRUPT, |c, _| {
        let why = "changed on the path and count as lost; check the devices on it";
        ledger::arrived(c.ledger.corrupt, why)
    }),
    (&codes::TRUNCATED, |c, _| engine::truncated(c)),
    (&codes::DUPLICATE, |c, _| {
        let why = "again, repeated by the path; check it for loops and bonds";
        ledger::arrived(ledger::of_datagrams(c)?.duplicate, why)
    }),
    (&codes::LATE, |c, _| {
        let why = "too late and count as lost; try a longer --warmup";
        ledger::arrived(ledger::of_datagrams(c)?.late, why)
    }),
    (&codes::SHORT_RUN, |c, _| timing::short_run(c)),
    (&codes::CLAMPED, |c, _| timing::clamped(c)),
    (&codes::WARMUP_LOSS, |_, ctx| {
        let (sent, lost) = (ctx.warmup_sent, ctx.warmup_lost);
        let share = percent(lost, sent);
        let datagrams = grouped(lost);
        let text = format!("{datagrams} datagrams ({share}) lost in the warm-up");
        (lost > 0).then(|| text + "; --warmup 0 measures it")
    }),
    (&codes::SHARED_CORE, |_, ctx| {
        let text = "a sender and a receiver shared a core: rates too low; use --pin TX:RX";
        ctx.shared_core.then(|| text.to_owned())
    }),
    (&codes::NOT_PINNED, |_, ctx| {
        let text = "workers not pinned: runs differ more than necessary; use --pin auto";
        (!ctx.pinned).then(|| text.to_owned())
    }),
];

pub(crate) fn cell_warnings(cell: &Cell, ctx: &CellContext) -> Vec<Warning> {
    CHECKS.iter().filter_map(|(code, check)| Some(code.warning(check(cell, ctx)?))).collect()
}

#[cfg(test)]
pub(crate) mod tests;
