//! Warnings about a finished cell: one small check each. `codes` explains every code.

mod cores;
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
use crate::report::checks::codes;
use crate::report::checks::host_checks::cores_here;
pub(crate) use engine::is_uncut;
pub use engine::left_out;
pub(crate) use kernel::doubles_buffers;
pub(crate) use ledger::is_path;
pub(crate) use listeners::of_listeners;
pub use path::{over_loopback, sizes as size_warnings};
pub(crate) use requests::server_drops;
pub use throttled::throttled;

use crate::measure::{CellResult, CutShort, HostFacts};
use crate::plan::{EngineKind, Plan, Route, TimestampKind, TxKind};

/// What the doubts about a cell rest on, beyond what the document says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellContext<'a> {
    /// Datagrams sent in warm-up.
    pub warmup_sent: u64,
    /// Those of them that did not arrive.
    pub warmup_lost: u64,
    /// What cut the cell short.
    pub cut_short: Option<&'a str>,
    /// Whether the kernel's receive timestamps were asked for.
    pub stamps: bool,
    /// Whether every worker had a core it stayed on.
    pub pinned: bool,
    /// Whether a sender and a receiver had the same one.
    pub shared_core: bool,
    /// Whether datagrams went both ways at once.
    pub both: bool,
    /// Whether a hash gave flows to receivers.
    pub by_hash: bool,
    /// Whether datagrams went by AF_UNIX.
    pub unix: bool,
    /// Whether the system doubles the socket buffer it grants, for its own bookkeeping (Linux).
    pub buffer_doubled: bool,
}

impl<'a> CellContext<'a> {
    /// Of a cell of this plan that was measured on this host.
    #[must_use]
    pub fn of(plan: &Plan, host: &HostFacts, harvest: &'a CellResult) -> Self {
        let (tx, rx) = cores_here(plan);
        let (warmup_sent, warmup_lost) = harvest.warmup;
        Self {
            warmup_sent,
            warmup_lost,
            cut_short: harvest.cut_short.map(reason),
            stamps: plan.scenario.timestamps == TimestampKind::Kernel,
            pinned: tx.iter().chain(rx).all(Option::is_some),
            unix: plan.scenario.unix.is_some(),
            shared_core: plan.scenario.asking.is_none()
                && tx.iter().any(|core| core.is_some() && rx.contains(core)),
            both: plan.scenario.route == Route::Both,
            by_hash: plan.scenario.by_hash,
            buffer_doubled: doubles_buffers(host),
        }
    }
}

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

/// Whether datagrams went through the kernel at all.
fn is_null(cell: &Cell) -> bool {
    cell.engine.tx_active == TxKind::Null.word()
}

/// A cell whose datagrams are no requests: of those, other checks know more.
fn of_datagrams(cell: &Cell) -> Option<&Cell> {
    cell.exchange.is_none().then_some(cell)
}

/// `3.20 %` of a whole that is not nothing.
fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// More than one in a thousand; arbitrary, about the loss at which protocols above begin to suffer.
fn exceeds_permille(part: u64, whole: u64) -> bool {
    u128::from(part) * 1_000 > u128::from(whole)
}

/// Why a cell ended before its time, in words.
const fn reason(cut_short: CutShort) -> &'static str {
    match cut_short {
        CutShort::Interrupted => "interrupted",
        CutShort::Stuck => "nothing could be sent for 2 s",
        CutShort::Unreachable => "target unreachable for 2 s",
        CutShort::PeerLost => "the sink was lost",
    }
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

#[cfg(test)]
pub(crate) mod tests;
