//! Doubts that the kernel raises: it counted otherwise, or granted less.

use super::{CellContext, is_null, of_datagrams};
use crate::document::{Cell, SocketBuffer, Warning};
use crate::report::checks::warning_codes;
use crate::unit::show_bytes;

/// The kernel counts at least what we did, for it may have counted others' datagrams too. Where it
/// counted less, one of us is wrong.
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
        warning_codes::KERNEL_MISMATCH.warning(message)
    })
}

/// Others' datagrams that are not worth a word, in all; arbitrary: name look-ups, time, telemetry.
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
    let told = if not_ours > 0 {
        format!("{not_ours} foreign datagrams dropped at our sockets")
    } else if more > OTHERS && more > sent / 100 && !ours_too {
        format!("other processes sent {more} datagrams, we {sent}")
    } else {
        return None;
    };
    let message = format!("{told}; stop other UDP traffic");
    Some(warning_codes::OTHER_TRAFFIC.warning(message))
}

pub(super) fn buffer_not_granted(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let rx = cell.rx.as_ref().map(|rx| rx.socket_buffer).unwrap_or_default();
    not_granted(cell.tx.socket_buffer, rx, ctx.buffer_doubled)
}

/// The same of these buffers, of senders and receivers; `doubled`: the system doubles what it
/// grants.
pub(super) fn not_granted(tx: SocketBuffer, rx: SocketBuffer, doubled: bool) -> Option<Warning> {
    let small = |buffer: SocketBuffer| {
        let usable = buffer.granted? / if doubled { 2 } else { 1 };
        (usable < buffer.asked).then_some((usable, buffer.asked))
    };
    let (tx, rx) = (small(tx), small(rx));
    let (_, asked) = tx.or(rx)?;
    let told = |side: &str, cut: Option<(u64, u64)>| {
        cut.map(|(usable, _)| format!("{side} got {}", show_bytes(usable)))
    };
    let sides: Vec<_> =
        [told("senders", tx), told("receivers", rx)].into_iter().flatten().collect();
    let message = format!(
        "{} of socket buffer asked, {}; {}",
        show_bytes(asked),
        sides.join(" and "),
        mend(tx.is_some(), rx.is_some(), doubled)
    );
    Some(warning_codes::BUFFER_NOT_GRANTED.warning(message))
}

/// What lifts the limit that cut the buffer, where it is known.
fn mend(tx: bool, rx: bool, doubled: bool) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{all, calm, clean_cell, codes, lose};
    use super::*;
    use crate::document::LostAt;

    #[test]
    fn a_kernel_that_counted_less_is_a_mismatch() {
        let sent = all(|cell| cell.kernel.out_datagrams = Some(99_999));
        assert_eq!(sent[0].code, "kernel_mismatch");
        assert!(
            sent[0].message.starts_with("the kernel counted 99999 sent, udperf 100000"),
            "{}",
            sent[0].message
        );
        let read = codes(|cell| cell.kernel.in_datagrams = Some(0));
        assert_eq!(read, ["kernel_mismatch"]);
        let drops = codes(|cell| {
            let lost_at = LostAt { receive_buffer: Some(9), ..LostAt::default() };
            lose(cell, 9, lost_at);
            (cell.kernel.rcvbuf_errors, cell.kernel.socket_drops) = (Some(8), Some(9));
        });
        assert_eq!(drops, ["kernel_mismatch"]);
    }

    #[test]
    fn the_null_engine_and_silent_systems_are_exempt() {
        let null = codes(|cell| {
            cell.engine.tx_active = "null".to_owned();
            (cell.kernel.out_datagrams, cell.kernel.in_datagrams) = (Some(3), Some(3));
        });
        assert_eq!(null, [""; 0]);
        assert_eq!(codes(|cell| cell.kernel = Default::default()), [""; 0]);
    }

    #[test]
    fn others_count_beyond_a_thousand_and_one_percent() {
        let out = |count| move |cell: &mut Cell| cell.kernel.out_datagrams = Some(count);
        assert_eq!(codes(out(101_000)), [""; 0]);
        assert_eq!(codes(out(101_001)), ["other_traffic"]);
        let mut cell = clean_cell();
        out(200_000)(&mut cell);
        assert_eq!(other_traffic(&cell, &CellContext { both: true, ..calm() }), None);
        let few = codes(|cell| {
            cell.kernel.out_datagrams = Some(200_900);
            cell.packets.sent = 200_000;
        });
        assert_eq!(few, [""; 0]);
        let dropped = all(|cell| cell.kernel.socket_drops = Some(7));
        assert_eq!(dropped[0].code, "other_traffic");
        assert!(dropped[0].message.starts_with("7 foreign datagrams dropped"));
    }

    #[test]
    fn a_buffer_is_judged_by_what_is_usable() {
        let granted = |bytes| {
            move |cell: &mut Cell| {
                cell.rx.as_mut().unwrap().socket_buffer.granted = Some(bytes);
            }
        };
        let cut = all(granted(425_984));
        assert_eq!(cut[0].code, "buffer_not_granted");
        assert_eq!(
            cut[0].message,
            "4 MiB of socket buffer asked, receivers got 208 KiB; raise net.core.rmem_max"
        );
        // Doubled, 6 MiB are 3; as they are, they are enough.
        assert_eq!(codes(granted(6 << 20)), ["buffer_not_granted"]);
        let mut cell = clean_cell();
        granted(6 << 20)(&mut cell);
        let elsewhere = CellContext { buffer_doubled: false, ..calm() };
        assert_eq!(buffer_not_granted(&cell, &elsewhere), None);
    }
}
