//! Doubts about where the workers ran.

use super::{CellContext, warning};
use crate::document::{Cell, Warning};

pub(super) fn not_pinned(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    (!ctx.pinned).then(|| {
        warning(
            "not_pinned",
            "workers were not pinned: the scheduler may move them or put both ends on one core, so \
             runs differ more than they need to; use --pin auto, or name cores with --pin TX:RX",
        )
    })
}

pub(super) fn shared_core(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    ctx.shared_core.then(|| {
        warning(
            "shared_core",
            "a sender and a receiver ran on the same core: they took turns, so rates are too low \
             and latency holds the wait for the other; name different cores with --pin TX:RX or \
             ask for fewer --threads",
        )
    })
}
