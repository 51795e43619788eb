//! What makes a finished cell unfit to trust: one small check a doubt, all in one table.
//!
//! | code | what it says |
//! | --- | --- |
//! | `broken_ledger` | the document's own numbers contradict each other |
//! | `unaccounted` | datagrams were lost and nobody knows where |
//! | `lost_between` | datagrams were lost between the hosts: neither dropped them |
//! | `shared_counters` | what was lost somewhere was counted where others are counted, too |
//! | `estimated_places` | what was lost somewhere is reckoned from packets, not counted |
//! | `kernel_mismatch` | the kernel counted fewer datagrams than we did |
//! | `other_traffic` | others sent, or sent to us, meanwhile |
//! | `receive_buffer_loss`, `backlog_loss` | the receiving host was the limit, not the network |
//! | `neighbour_unresolved`, `reassembly_loss` | datagrams that never left, or came in part |
//! | `buffer_not_granted` | a socket buffer is smaller than asked for |
//! | `refused_would_block`, `refused_no_buffers` | a full buffer or queue kept datagrams back |
//! | `refused_unreachable`, `refused_too_big`, `refused_other` | the way there did |
//! | `foreign`, `corrupt`, `duplicate`, `late` | arrivals that are not once what was sent |
//! | `generator_dropped`, `generator_limit` | the generator was the limit, not the server |
//! | `order_lost` | replies without an id, some of them missing |
//! | `window_full` | a closed loop could not keep its rate |
//! | `no_room` | all ids could still be answered, so that nothing could be sent |
//! | `incomplete_replies` | replies in several datagrams, some of which are missing |
//! | `labels_repeated`, `message_ids_reused` | requests that are not new to the server |
//! | `no_reply`, `from_elsewhere` | requests were not answered, and what is known of why |
//! | `unmatched`, `error_replies`, `late_replies`, `duplicate_replies` | what came back |
//! | `warmup_loss` | loss before the measurement, which no figure shows |
//! | `cut_short` | the cell ended before its end |
//! | `short_run` | too little was measured for its percentiles |
//! | `clamped` | latency beyond what the histogram tells apart |
//! | `stalls` | workers stood still |
//! | `stolen` | the hypervisor took CPU time |
//! | `behind_schedule` | the generator could not hold the rate |
//! | `segments_never_cut` | super-packets went whole from end to end |
//! | `engine_fell_back`, `segments_fell` | fewer or no super-packets, other than asked |
//! | `no_buffers` | io_uring ran out of buffers; no loss by itself |
//! | `not_stamped` | kernel timestamps were asked for and did not come |
//! | `flow_starved` | some flows got nothing through |
//! | `receiver_skew` | one receiver got far more than its share |
//! | `truncated` | packets were cut off for want of room |
//! | `not_pinned`, `shared_core` | where the workers ran |
//! | `fragmented`, `large_lost` | payloads that do not fit the path |
//! | `cpu_throttled` | a CPU quota stopped the program |

mod context;
mod cores;
mod engine;
mod flows;
mod kernel;
mod ledger;
mod listeners;
mod path;
mod places;
mod requests;
pub(crate) mod severity;
mod throttled;
mod timing;

use crate::document::{Cell, Warning};
pub(crate) use crate::report::checks::warnings::requests::server_drops;
pub use context::CellContext;
pub(crate) use context::doubles_buffers;
use context::{exceeds_permille, is_null, of_datagrams, percent, warning};
pub(crate) use engine::is_uncut;
pub use engine::left_out;
pub(crate) use ledger::is_path;
pub(crate) use listeners::of_listeners;
pub use path::{over_loopback, sizes as size_warnings};
pub(crate) use severity::severity;
pub use throttled::throttled;

/// A check: `None` where there is no doubt.
type Check = fn(&Cell, &CellContext<'_>) -> Option<Warning>;

/// All checks, worst first: what may make all figures wrong, then what explains some of them.
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
    cores::shared_core,
    cores::not_pinned,
];

/// All doubts about a finished cell.
#[must_use]
pub fn cell_warnings(cell: &Cell, ctx: &CellContext<'_>) -> Vec<Warning> {
    CHECKS.iter().filter_map(|check| check(cell, ctx)).collect()
}

fn cut_short(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    cell.cut_short.then(|| {
        let reason = ctx.cut_short.unwrap_or("the reason is not known");
        warning(
            "cut_short",
            format!(
                "the cell was cut short ({reason}): its figures cover what was measured until \
                 then; do not compare them with those of a whole run"
            ),
        )
    })
}

fn warmup_loss(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let (sent, lost) = (ctx.warmup_sent, ctx.warmup_lost);
    (lost > 0).then(|| {
        warning(
            "warmup_loss",
            format!(
                "{lost} of {sent} datagrams of the warm-up were lost ({}), which no figure of the \
                 cell shows; with --warmup 0 the start is measured too",
                percent(lost, sent)
            ),
        )
    })
}

#[cfg(test)]
pub(crate) mod tests;
