//! Warnings about counters and limits of the kernel.

use super::{CellContext, is_null, of_datagrams};
use crate::document::{Cell, SocketBuffer, Warning};
use crate::report::checks::warning_codes as codes;
use crate::unit::show_bytes;

/// The kernel counts other traffic too, so its counts are at least ours.
pub(super) fn kernel_mismatch(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    if is_null(cell) {
        return None;
    }
    let (kernel, ledger) = (&cell.kernel, &cell.ledger);
    let pairs = [
        ("sent", kernel.out_datagrams, Some(cell.packets.sent)),
        ("read", kernel.in_datagrams, cell.packets.received),
        (
            "dropped",
            kernel.rcvbuf_errors,
            // In packets, as the kernel counts.
            kernel.socket_drops.zip(ledger.lost_at.receive_buffer).map(|(a, b)| a.min(b)),
        ),
    ];
    let mismatches: Vec<_> = pairs
        .into_iter()
        .filter_map(|(what, theirs, ours)| Some((what, theirs?, ours?)))
        .filter(|(_, theirs, ours)| theirs < ours)
        .map(|(what, theirs, ours)| format!("{theirs} {what}, udperf {ours}"))
        .collect();
    (!mismatches.is_empty()).then(|| {
        let message = format!("the kernel counted {}; repeat the run", mismatches[0]);
        codes::KERNEL_MISMATCH.warning(message)
    })
}

/// Maximum of other datagrams without a warning; arbitrary: name look-ups, time, telemetry.
pub(super) const OTHERS: u64 = 1_000;

pub(super) fn other_traffic(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    if is_null(cell) {
        return None;
    }
    let sent = cell.packets.sent;
    let more = cell.kernel.out_datagrams?.saturating_sub(sent);
    // In one namespace the other direction's are counted with ours.
    let ours_too = ctx.both && cell.ends.as_deref() == Some("together");
    let drops = cell.kernel.socket_drops.unwrap_or(0);
    let not_ours = drops.saturating_sub(cell.ledger.lost.unwrap_or(0));
    let cause = if not_ours > 0 {
        format!("{not_ours} foreign datagrams dropped at our sockets")
    } else if more > OTHERS && more > sent / 100 && !ours_too {
        format!("other processes sent {more} datagrams, we {sent}")
    } else {
        return None;
    };
    let message = format!("{cause}; stop other UDP traffic");
    Some(codes::OTHER_TRAFFIC.warning(message))
}

pub(super) fn buffer_not_granted(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let rx = cell.rx.as_ref().map(|rx| rx.socket_buffer).unwrap_or_default();
    not_granted(cell.tx.socket_buffer, rx, ctx.buffer_doubled)
}

/// The same for these buffers; `doubled`: the system doubles what it grants.
pub(super) fn not_granted(tx: SocketBuffer, rx: SocketBuffer, doubled: bool) -> Option<Warning> {
    let small = |buffer: SocketBuffer| {
        let usable = buffer.granted? / if doubled { 2 } else { 1 };
        (usable < buffer.asked).then_some((usable, buffer.asked))
    };
    let (tx, rx) = (small(tx), small(rx));
    let (_, asked) = tx.or(rx)?;
    let shown = |side: &str, cut: Option<(u64, u64)>| {
        cut.map(|(usable, _)| format!("{side} got {}", show_bytes(usable)))
    };
    let sides: Vec<_> =
        [shown("senders", tx), shown("receivers", rx)].into_iter().flatten().collect();
    let message = format!(
        "{} of socket buffer asked, {}; {}",
        show_bytes(asked),
        sides.join(" and "),
        fix(tx.is_some(), rx.is_some(), doubled)
    );
    Some(codes::BUFFER_NOT_GRANTED.warning(message))
}

fn fix(tx: bool, rx: bool, doubled: bool) -> String {
    if !doubled {
        return "use a smaller --socket-buffer".to_owned();
    }
    let limits = [(rx, "rmem_max"), (tx, "wmem_max")];
    let settings: Vec<_> = limits
        .into_iter()
        .filter(|(cut, _)| *cut)
        .map(|(_, name)| format!("net.core.{name}"))
        .collect();
    format!("raise {}", settings.join(", "))
}
