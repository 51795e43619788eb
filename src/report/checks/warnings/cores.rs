//! Warnings about cores.

use super::CellContext;
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes;

pub(super) fn not_pinned(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    (!ctx.pinned).then(|| {
        warning_codes::NOT_PINNED
            .warning("workers not pinned: runs differ more than necessary; use --pin auto")
    })
}

pub(super) fn shared_core(_: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    ctx.shared_core.then(|| {
        warning_codes::SHARED_CORE
            .warning("a sender and a receiver shared a core: rates too low; use --pin TX:RX")
    })
}
