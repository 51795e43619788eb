//! Doubts about where datagrams were lost: counters that others have, too, and figures that are
//! reckoned.

use super::kernel::OTHERS;
use super::{CellContext, exceeds_permille, is_null, of_datagrams, percent};
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes;

/// Frames that a quiet network makes beside all traffic, a second at most: bridges send one every
/// 2 s (IEEE 802.1D, hello time), each neighbour one every 30 s (IEEE 802.1AB, `msgTxInterval`). A
/// device counts those that nobody listens for as dropped.
const FRAMES_PER_SECOND: u64 = 1;

pub(super) fn shared_counters(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell).filter(|cell| !is_null(cell))?;
    let at = &cell.ledger.lost_at;
    let charged = |wanted: &[&str]| {
        let places = at.places().into_iter();
        let some = places.filter(|(name, count)| wanted.contains(name) && *count > Some(0));
        some.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let receivers = charged(&["backlog", "device", "checksum", "no_port", "rx_ip", "reassembly"]);
    let senders = charged(&["backlog", "qdisc", "tx_device", "tx_ip"]);
    let shared: Vec<_> = cell.ledger.shared.iter().flatten().map(String::as_str).collect();
    let (places, why) = if !shared.is_empty() {
        (shared, "counted more than was lost".to_owned())
    } else if let Some(others) = others_received(cell, ctx).filter(|_| !receivers.is_empty()) {
        (receivers, format!("{others} others received"))
    } else if let Some(others) = others_sent(cell, ctx).filter(|_| !senders.is_empty()) {
        (senders, format!("{others} others sent"))
    } else if at.no_port > Some(0) && cell.ledger.refused.unreachable == 0 {
        // Our receivers had their ports all the time, and nobody told our senders otherwise.
        let why = "no ICMP error came";
        (vec!["no_port"], why.to_owned())
    } else if is_quiet_noise(cell) {
        let why = "other protocols count too";
        (vec!["device"], why.to_owned())
    } else {
        return None;
    };
    let message = format!(
        "lost_at {} is an upper bound ({why}); use a network namespace of its own",
        name_first(&places)
    );
    Some(warning_codes::SHARED_COUNTERS.warning(message))
}

/// Datagrams that others received in the receivers' network namespace, where they are many.
fn others_received(cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    beside(cell.kernel.in_datagrams?, cell.packets.received?, cell, ctx)
}

/// The same of datagrams sent.
fn others_sent(cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    beside(cell.kernel.out_datagrams?, cell.packets.sent, cell, ctx)
}

fn beside(all: u64, ours: u64, cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    let others = all.saturating_sub(ours);
    // In one namespace the other direction's are counted with ours.
    let ours_too = ctx.both && cell.ends.as_deref() == Some("together");
    (others > OTHERS && others > ours / 100 && !ours_too).then_some(others)
}

/// The first place, and how many more there are.
fn name_first(places: &[&str]) -> String {
    match places {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} (+{})", rest.len()),
    }
}

/// Whether what a device of the receiver dropped may be no datagrams at all. Loopback has none but
/// what this host sends itself.
fn is_quiet_noise(cell: &Cell) -> bool {
    let seconds = cell.elapsed_ns.div_ceil(1_000_000_000);
    let frames = FRAMES_PER_SECOND.saturating_mul(seconds);
    cell.ends.as_deref() != Some("together")
        && cell.ledger.lost_at.device > Some(0)
        && cell.kernel.device_drops <= Some(frames)
}

/// Also applies without a receiver, where loss is unknown.
pub(super) fn neighbour_unresolved(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    cell.kernel.neighbour_unresolved.filter(|unresolved| *unresolved)?;
    let unsent = match cell.ledger.lost_at.neighbour {
        Some(0) => return None,
        Some(count) => {
            format!("about {count} of {} datagrams not sent", cell.ledger.sent)
        }
        None => "datagrams not sent".to_owned(),
    };
    let message = format!("{unsent}: next hop did not answer ARP; see ip neigh");
    Some(warning_codes::NEIGHBOUR_UNRESOLVED.warning(message))
}

pub(super) fn reassembly_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (lost, sent) = (cell.ledger.lost_at.reassembly?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| {
        let message = format!(
            "{lost} datagrams ({}) arrived incomplete; use a --size that fits the MTU",
            percent(lost, sent)
        );
        warning_codes::REASSEMBLY_LOSS.warning(message)
    })
}

pub(super) fn estimated_places(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    // Those are estimates of another kind, which their own warnings explain.
    let is_other = |place: &&String| ["neighbour", "reassembly"].contains(&place.as_str());
    let places = cell.ledger.estimated.iter().flatten().filter(|place| !is_other(place));
    let places: Vec<_> = places.map(String::as_str).collect();
    if places.is_empty() {
        return None;
    }
    let message = format!(
        "lost_at {} is an estimate from packets; use -e batch for exact counts",
        name_first(&places)
    );
    Some(warning_codes::ESTIMATED_PLACES.warning(message))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, calm, clean_cell, codes, lose};
    use super::*;
    use crate::document::LostAt;
    use crate::report::cell_warnings;

    fn at_checksum(lost: u64) -> LostAt {
        LostAt { checksum: Some(lost), ..LostAt::default() }
    }

    #[test]
    fn a_counter_that_ran_further_than_the_loss_is_doubted() {
        let found = all(|cell| {
            lose(cell, 50, at_checksum(50));
            cell.ledger.shared = Some(vec!["checksum".to_owned()]);
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, "shared_counters");
        let message = &found[0].message;
        assert!(message.contains("lost_at checksum is") && message.contains("more than was lost"));
        assert_eq!(codes(|cell| lose(cell, 50, at_checksum(50))), [""; 0]);
    }

    #[test]
    fn what_others_receive_is_counted_with_ours() {
        let beside = |others: u64, lost_at: LostAt| {
            codes(|cell| {
                lose(cell, 50, lost_at);
                cell.kernel.in_datagrams = Some(100_000 + others);
                cell.kernel.rcvbuf_errors = Some(50);
            })
        };
        assert_eq!(beside(1_000, at_checksum(50)), [""; 0]);
        assert_eq!(beside(1_001, at_checksum(50)), ["shared_counters"]);
        let own = LostAt { receive_buffer: Some(50), ..LostAt::default() };
        assert_eq!(beside(1_001, own), [""; 0], "our sockets' counters are ours");
    }

    #[test]
    fn a_closed_port_is_ours_where_that_came_back() {
        let refused = |unreachable: u64| {
            codes(|cell| {
                lose(cell, 50, LostAt { no_port: Some(50), ..LostAt::default() });
                cell.ledger.refused.unreachable = unreachable;
                cell.ledger.attempted += unreachable;
            })
        };
        assert_eq!(refused(0), ["shared_counters"]);
        assert_eq!(refused(1), ["refused_unreachable"]);
    }

    #[test]
    fn what_others_send_is_counted_with_ours() {
        let at_qdisc = LostAt { qdisc: Some(50), ..LostAt::default() };
        let found = codes(|cell| {
            lose(cell, 50, at_qdisc);
            cell.kernel.out_datagrams = Some(101_001);
        });
        assert_eq!(found, ["shared_counters", "other_traffic"]);
    }

    #[test]
    fn directions_of_one_cell_are_no_others() {
        let mut cell = clean_cell();
        lose(&mut cell, 50, at_checksum(50));
        cell.kernel.in_datagrams = Some(199_950);
        let both = CellContext { both: true, ..calm() };
        assert_eq!(cell_warnings(&cell, &both), []);
        cell.ends = Some("across".to_owned());
        assert_eq!(cell_warnings(&cell, &both)[0].code, "shared_counters");
    }

    #[test]
    fn a_few_drops_of_a_device_may_be_no_datagrams() {
        let dropped = |drops: u64, ends: &'static str| {
            codes(move |cell| {
                lose(cell, drops, LostAt { device: Some(drops), ..LostAt::default() });
                (cell.kernel.device_drops, cell.ends) = (Some(drops), Some(ends.to_owned()));
            })
        };
        assert_eq!(dropped(1, "across"), ["shared_counters"]);
        assert_eq!(dropped(2, "across"), [""; 0]);
        assert_eq!(dropped(1, "together"), [""; 0]);
    }

    #[test]
    fn what_never_left_is_explained_also_where_no_receiver_is_known() {
        let lost = |count| LostAt { neighbour: count, ..LostAt::default() };
        let found = |unresolved, lost_at: LostAt| {
            let count = lost_at.neighbour.unwrap_or(0);
            all(|cell| {
                lose(cell, count, lost_at);
                cell.kernel.neighbour_unresolved = unresolved;
            })
        };
        let told = found(Some(true), lost(Some(50)));
        assert_eq!(told[0].code, "neighbour_unresolved");
        assert!(told[0].message.starts_with("about 50 of "), "{}", told[0].message);
        assert_eq!(found(Some(true), lost(Some(0))), []);
        assert_eq!(found(Some(false), lost(Some(0))), []);
        let alone = found(Some(true), lost(None));
        assert!(alone[0].message.starts_with("datagrams not sent"), "{}", alone[0].message);
    }

    #[test]
    fn datagrams_in_part_are_explained() {
        let found = |count| {
            codes(|cell| {
                lose(cell, count, LostAt { reassembly: Some(count), ..LostAt::default() });
            })
        };
        assert_eq!(found(10_000), ["reassembly_loss"]);
        assert_eq!(found(1), [""; 0]);
    }

    #[test]
    fn an_estimate_says_so() {
        let found = all(|cell| {
            lose(cell, 50, LostAt { receive_buffer: Some(50), ..LostAt::default() });
            cell.kernel.rcvbuf_errors = Some(50);
            cell.ledger.estimated = Some(vec!["receive_buffer".to_owned()]);
        });
        assert_eq!(found[0].code, "estimated_places");
        assert!(found[0].message.starts_with("lost_at receive_buffer is an estimate"));
        assert_eq!(codes(|cell| cell.ledger.estimated = Some(Vec::new())), [""; 0]);
    }
}
