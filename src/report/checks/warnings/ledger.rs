//! Doubts that the ledger raises: fates that should not be, or that say who the limit was.

use super::{CellContext, exceeds_permille, of_datagrams, percent};
use crate::document::{Cell, Warning};
use crate::report::checks::identities::ledger_identities;
use crate::report::checks::warning_codes;

pub(super) fn broken_ledger(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let broken = ledger_identities(&cell.ledger).into_iter().find(|one| !one.holds())?;
    let (left, right) = (broken.left.unwrap_or_default(), broken.right);
    let message =
        format!("{} fails ({left}, {right}): a bug of udperf; please report it", broken.name);
    Some(warning_codes::BROKEN_LEDGER.warning(message))
}

pub(super) fn unaccounted(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    let (unaccounted, lost) = nowhere(cell).filter(|_| !is_path(cell))?;
    let message =
        format!("{unaccounted} of {lost} lost datagrams are in no counter; see nft list ruleset");
    Some(warning_codes::UNACCOUNTED.warning(message))
}

/// What is between two ends may lose what it likes: that is what is measured.
pub(super) fn lost_between(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    let (unaccounted, lost) = nowhere(cell).filter(|_| is_path(cell))?;
    let between = match cell.ends.as_deref() {
        Some("apart") => "between both ends",
        _ => "in the network",
    };
    let message = format!(
        "{unaccounted} of {lost} lost datagrams ({}) lost {between}",
        percent(unaccounted, cell.ledger.sent)
    );
    Some(warning_codes::LOST_BETWEEN.warning(message))
}

/// Lost datagrams that are in no counter, and all lost ones; `None` where there are none.
fn nowhere(cell: &Cell) -> Option<(u64, u64)> {
    cell.ledger.unaccounted.filter(|&count| count > 0).zip(cell.ledger.lost)
}

/// Whether there is something between the two ends that counts for neither.
pub(crate) fn is_path(cell: &Cell) -> bool {
    cell.ends.as_deref().is_some_and(|ends| ends != "together")
}

pub(super) fn receive_buffer_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    let (lost, sent) = (cell.ledger.lost_at.receive_buffer?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| found_full(lost, sent))
}

/// Of `sent` datagrams, `lost` were dropped at a full receive buffer.
pub(super) fn found_full(lost: u64, sent: u64) -> Warning {
    let message = format!(
        "{lost} datagrams ({}) dropped: receive buffer full; use a lower --rate",
        percent(lost, sent)
    );
    warning_codes::RECEIVE_BUFFER_LOSS.warning(message)
}

pub(super) fn backlog_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (lost, sent) = (cell.ledger.lost_at.backlog?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| {
        let message = format!(
            "{lost} datagrams ({}) dropped: CPU backlog full; raise netdev_max_backlog",
            percent(lost, sent)
        );
        warning_codes::BACKLOG_LOSS.warning(message)
    })
}

/// Flat out a full send buffer only says that the system below is slower than the sender. Where
/// there is a schedule, what it refuses is missing from the load.
pub(super) fn refused_would_block(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    cell.schedule.as_ref()?;
    let why = if ctx.unix {
        "receiver's queue full (EAGAIN); use a lower --rate"
    } else {
        "send buffer full (EAGAIN); use a lower --rate"
    };
    refused(cell, cell.ledger.refused.would_block, &warning_codes::REFUSED_WOULD_BLOCK, why)
}

pub(super) fn refused_no_buffers(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    refused(
        cell,
        cell.ledger.refused.no_buffers,
        &warning_codes::REFUSED_NO_BUFFERS,
        "device queue full (ENOBUFS); use a lower --rate",
    )
}

/// Why the target could not be reached, each cause once, in order; `None` where it always could.
pub(super) fn causes(cell: &Cell) -> Option<String> {
    let mut causes: Vec<&str> = Vec::new();
    for outage in &cell.outages {
        if !causes.contains(&outage.message.as_str()) {
            causes.push(&outage.message);
        }
    }
    (!causes.is_empty()).then(|| causes.join("; "))
}

pub(super) fn refused_unreachable(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let why = causes(cell).unwrap_or_else(|| "no route, or an ICMP error".to_owned());
    let why = why + "; check address, port and route";
    refused(cell, cell.ledger.refused.unreachable, &warning_codes::REFUSED_UNREACHABLE, &why)
}

pub(super) fn refused_too_big(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let why = if ctx.unix {
        "larger than the send buffer; use a smaller --size"
    } else {
        "too large for the path; use a smaller --size"
    };
    refused(cell, cell.ledger.refused.too_big, &warning_codes::REFUSED_TOO_BIG, why)
}

pub(super) fn refused_other(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    refused(
        cell,
        cell.ledger.refused.other,
        &warning_codes::REFUSED_OTHER,
        "reason unknown; -e plain may show it",
    )
}

fn refused(cell: &Cell, count: u64, code: &warning_codes::Code, why: &str) -> Option<Warning> {
    (count > 0).then(|| {
        let share = percent(count, cell.ledger.attempted);
        code.warning(format!("{count} sends ({share}) failed: {why}"))
    })
}

pub(super) fn foreign(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(
        of_datagrams(cell)?.ledger.foreign,
        &warning_codes::FOREIGN,
        "from other senders; choose another --port",
    )
}

pub(super) fn corrupt(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(cell.ledger.corrupt, &warning_codes::CORRUPT, "changed on the path; they count as lost")
}

pub(super) fn duplicate(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(
        of_datagrams(cell)?.ledger.duplicate,
        &warning_codes::DUPLICATE,
        "duplicates, made by the path",
    )
}

pub(super) fn late(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(
        of_datagrams(cell)?.ledger.late,
        &warning_codes::LATE,
        "too late and count as lost; try a longer --warmup",
    )
}

fn odd(count: Option<u64>, code: &warning_codes::Code, why: &str) -> Option<Warning> {
    let count = count?;
    let were = if count == 1 {
        "1 datagram arrived".to_owned()
    } else {
        format!("{count} datagrams arrived")
    };
    (count > 0).then(|| code.warning(format!("{were} {why}")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, codes, lose};
    use super::*;
    use crate::document::{Ledger, LostAt, Refused, Schedule};

    fn at_receive_buffer(lost: u64) -> LostAt {
        LostAt { receive_buffer: Some(lost), ..LostAt::default() }
    }

    #[test]
    fn each_identity_is_checked() {
        let breaks: [fn(&mut Ledger); 4] = [
            |ledger| ledger.attempted += 1,
            |ledger| (ledger.received, ledger.arrived) = (Some(99_999), Some(99_999)),
            |ledger| ledger.lost_at.tx_device = Some(1),
            |ledger| ledger.arrived = Some(100_001),
        ];
        let names = ["attempted = ", "sent = ", "lost = ", "arrived = "];
        for (breaks, name) in breaks.into_iter().zip(names) {
            let found = all(|cell| breaks(&mut cell.ledger));
            let broken = found.iter().find(|found| found.code == "broken_ledger");
            let message = &broken.expect("it is noticed").message;
            assert!(message.starts_with(name), "{message}");
        }
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        assert!(
            codes(|cell| {
                cell.ledger.lost = Some(u64::MAX);
                cell.ledger.duplicate = Some(u64::MAX);
                cell.ledger.refused.other = u64::MAX;
            })
            .contains(&"broken_ledger".to_owned())
        );
    }

    #[test]
    fn one_unaccounted_datagram_is_enough() {
        let found = all(|cell| {
            lose(cell, 1, LostAt::default());
            cell.ledger.unaccounted = Some(1);
        });
        assert_eq!(found[0].code, "unaccounted");
        assert!(found[0].message.starts_with("1 of 1 lost datagrams"));
    }

    #[test]
    fn between_two_ends_the_way_is_named_and_not_udperf() {
        let lost_between = |ends: &'static str| {
            move |cell: &mut Cell| {
                lose(cell, 9, LostAt::default());
                (cell.ledger.unaccounted, cell.ends) = (Some(9), Some(ends.to_owned()));
            }
        };
        for (ends, words) in [("across", "in the network"), ("apart", "between both ends")] {
            let found = all(lost_between(ends));
            assert_eq!(found[0].code, "lost_between");
            assert_eq!(found.len(), 1);
            let message = &found[0].message;
            assert!(message.starts_with("9 of 9 lost datagrams (0.01 %) lost "));
            assert!(message.contains(words) && !message.contains("bug"), "{message}");
        }
    }

    #[test]
    fn what_is_not_known_raises_no_doubt() {
        let unknown = |cell: &mut Cell| {
            let Ledger { attempted, sent, refused, .. } = cell.ledger.clone();
            cell.ledger = Ledger { attempted, sent, refused, ..Ledger::default() };
            (cell.rx, cell.stalls.rx, cell.kernel.in_datagrams) = (None, None, None);
            (cell.packets.received, cell.packets.uncut) = (None, None);
            (cell.kernel.socket_drops, cell.engine.rx_active) = (None, None);
        };
        assert_eq!(codes(unknown), [""; 0]);
    }

    #[test]
    fn loss_at_the_receiver_names_the_receiver() {
        let losing = |lost| {
            move |cell: &mut Cell| {
                lose(cell, lost, at_receive_buffer(lost));
                cell.kernel.rcvbuf_errors = Some(lost);
                cell.kernel.socket_drops = Some(lost);
            }
        };
        assert_eq!(codes(losing(100)), [""; 0]);
        let found = all(losing(3_200));
        assert_eq!(found[0].code, "receive_buffer_loss");
        assert!(
            found[0].message.starts_with("3200 datagrams (3.20 %) dropped: receive buffer full"),
            "{}",
            found[0].message
        );
        let backlog = LostAt { backlog: Some(500), ..LostAt::default() };
        assert_eq!(codes(|cell| lose(cell, 500, backlog)), ["backlog_loss"]);
    }

    #[test]
    fn refusals_are_told_by_reason() {
        let refuse = |cell: &mut Cell| {
            cell.ledger.refused =
                Refused { would_block: 1, no_buffers: 1, unreachable: 1, too_big: 1, other: 1 };
            cell.ledger.attempted += 5;
        };
        let flat_out = codes(refuse);
        assert_eq!(
            flat_out,
            ["refused_no_buffers", "refused_unreachable", "refused_too_big", "refused_other"]
        );
        let paced = codes(|cell| {
            refuse(cell);
            cell.schedule = Some(Schedule {
                scheduled: 100_005,
                missed: 0,
                lag: Default::default(),
                gap: Default::default(),
                gap_outside_stalls: Default::default(),
            });
        });
        assert_eq!(paced[0], "refused_would_block");
        assert_eq!(paced.len(), 5);
    }

    #[test]
    fn odd_arrivals_are_told_by_kind() {
        let found = codes(|cell| {
            let ledger = &mut cell.ledger;
            (ledger.foreign, ledger.corrupt) = (Some(1), Some(2));
            (ledger.duplicate, ledger.late) = (Some(3), Some(4));
            ledger.arrived = Some(100_010);
        });
        assert_eq!(found, ["foreign", "corrupt", "duplicate", "late"]);
    }
}
