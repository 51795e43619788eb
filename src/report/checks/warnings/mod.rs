//! Warnings about a finished cell: one small check each. `warning_codes` explains every code.

mod context;
mod engine;
mod flows;
mod kernel;
mod ledger;
mod listeners;
mod path;
mod places;
mod requests;
mod throttled;
mod timing;

use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes as codes;
pub use context::CellContext;
pub(crate) use context::doubles_buffers;
use context::{exceeds_permille, is_null, of_datagrams, percent};
pub(crate) use engine::is_uncut;
pub use engine::left_out;
pub(crate) use ledger::is_path;
pub(crate) use listeners::of_listeners;
pub use path::{over_loopback, sizes as size_warnings};
pub(crate) use requests::server_drops;
pub use throttled::throttled;

/// A check: `None` without a warning.
type Check = fn(&Cell, &CellContext<'_>) -> Option<Warning>;

/// All checks, worst first: checks of all figures, then checks that explain some of them.
const CHECKS: &[Check] = &[
    ledger::broken_ledger,
    requests::out_of_order,
    requests::own_drops,
    requests::generator_limit,
    timing::behind_schedule,
    requests::window_full,
    requests::no_room,
    requests::labels_repeated,
    requests::message_ids_reused,
    requests::no_reply,
    requests::incomplete,
    requests::elsewhere,
    requests::unmatched,
    requests::errors,
    requests::late,
    requests::duplicate,
    ledger::unaccounted,
    ledger::lost_between,
    places::neighbour_unresolved,
    places::reassembly_loss,
    places::shared_counters,
    places::estimated_places,
    kernel::kernel_mismatch,
    cut_short,
    engine::never_cut,
    engine::fell_back,
    engine::segments_fell,
    engine::no_buffers,
    engine::not_stamped,
    ledger::receive_buffer_loss,
    ledger::backlog_loss,
    flows::starved,
    flows::skew,
    kernel::buffer_not_granted,
    ledger::refused_would_block,
    ledger::refused_no_buffers,
    ledger::refused_unreachable,
    ledger::refused_too_big,
    ledger::refused_other,
    timing::stalls,
    timing::stolen,
    kernel::other_traffic,
    ledger::foreign,
    ledger::corrupt,
    engine::truncated,
    ledger::duplicate,
    ledger::late,
    timing::short_run,
    timing::clamped,
    warmup_loss,
    shared_core,
    not_pinned,
];

/// All warnings about a finished cell.
#[must_use]
pub fn cell_warnings(cell: &Cell, ctx: &CellContext<'_>) -> Vec<Warning> {
    CHECKS.iter().filter_map(|check| check(cell, ctx)).collect()
}

fn cut_short(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    cell.cut_short.then(|| {
        let reason = ctx.cut_short.unwrap_or("reason unknown");
        codes::CUT_SHORT.warning(format!("cell cut short ({reason}): do not compare it"))
    })
}

fn warmup_loss(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let (sent, lost) = (ctx.warmup_sent, ctx.warmup_lost);
    (lost > 0).then(|| {
        codes::WARMUP_LOSS.warning(format!(
            "{lost} of {sent} datagrams ({}) lost in the warm-up; --warmup 0 measures it",
            percent(lost, sent)
        ))
    })
}

fn not_pinned(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    (!ctx.pinned).then(|| {
        codes::NOT_PINNED
            .warning("workers not pinned: runs differ more than necessary; use --pin auto")
    })
}

fn shared_core(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    ctx.shared_core.then(|| {
        codes::SHARED_CORE
            .warning("a sender and a receiver shared a core: rates too low; use --pin TX:RX")
    })
}

#[cfg(test)]
pub(crate) mod tests;
