//! Facts about a cell that are not in the document, and helpers of the checks.

use crate::document::Cell;
use crate::host::HostFacts;
use crate::measure::CellResult;
use crate::plan::{EngineKind, PaceBy, Plan, Route, TimestampKind, TxKind};
use crate::report::checks::host_checks::cores_here;

/// What warnings about a cell depend on besides the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CellContext {
    pub warmup_sent: u64,
    pub warmup_lost: u64,
    /// Whether the kernel's receive timestamps were requested.
    pub stamps: bool,
    pub pinned: bool,
    pub shared_core: bool,
    /// Whether datagrams went both ways at once.
    pub both: bool,
    /// Whether a hash assigned flows to receivers.
    pub by_hash: bool,
    pub unix: bool,
    /// Whether each datagram had a time of departure (`--pace-by txtime`).
    pub by_departure: bool,
    /// Whether the system doubles the socket buffer it grants, for its own bookkeeping (Linux).
    pub buffer_doubled: bool,
}

impl CellContext {
    pub(crate) fn of(plan: &Plan, host: &HostFacts, result: &CellResult) -> Self {
        let (tx, rx) = cores_here(plan);
        let (warmup_sent, warmup_lost) = result.warmup;
        Self {
            warmup_sent,
            warmup_lost,
            stamps: plan.scenario.timestamps == TimestampKind::Kernel,
            pinned: tx.iter().chain(rx).all(Option::is_some),
            unix: plan.scenario.unix.is_some(),
            by_departure: plan.scenario.pace_by == PaceBy::Txtime,
            shared_core: plan.scenario.asking.is_none()
                && tx.iter().any(|core| core.is_some() && rx.contains(core)),
            both: plan.scenario.route == Route::Both,
            by_hash: plan.scenario.by_hash,
            buffer_doubled: doubles_buffers(host),
        }
    }
}

pub(super) fn is_null(cell: &Cell) -> bool {
    cell.engine.tx_active == TxKind::Null.word()
}

/// Whether both ends were in one network namespace.
pub(super) fn is_local(cell: &Cell) -> bool {
    cell.ends.as_deref() == Some("together")
}

/// The count, if it is known and above 0.
pub(super) fn nonzero(count: impl Into<Option<u64>>) -> Option<u64> {
    count.into().filter(|&count| count > 0)
}

/// `3.20%` of a whole above 0.
pub(super) fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64)
}

/// More than one in a thousand; arbitrary, about the loss that protocols above notice.
pub(super) fn exceeds_permille(part: u64, whole: u64) -> bool {
    u128::from(part) * 1_000 > u128::from(whole)
}

pub(crate) fn doubles_buffers(host: &HostFacts) -> bool {
    host.kernel.as_deref().is_some_and(|kernel| kernel.starts_with("Linux"))
}
