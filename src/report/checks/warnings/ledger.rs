//! Warnings about the ledger.

use super::{CellContext, exceeds_permille, of_datagrams, percent};
use crate::document::{Cell, Warning};
use crate::report::checks::identities::ledger_identities;
use crate::report::checks::warning_codes as codes;

pub(super) fn broken_ledger(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let broken = ledger_identities(&cell.ledger).into_iter().find(|one| !one.holds())?;
    let (left, right) = (broken.left.unwrap_or_default(), broken.right);
    let message =
        format!("{} fails ({left}, {right}): a bug of udperf; please report it", broken.name);
    Some(codes::BROKEN_LEDGER.warning(message))
}

pub(super) fn unaccounted(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    let (unaccounted, lost) = nowhere(cell).filter(|_| !is_path(cell))?;
    let message =
        format!("{unaccounted} of {lost} lost datagrams are in no counter; see nft list ruleset");
    Some(codes::UNACCOUNTED.warning(message))
}

/// Losses between the two ends, which are what the cell measures.
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
    Some(codes::LOST_BETWEEN.warning(message))
}

/// Lost datagrams that are in no counter, and all lost ones; `None` without any.
fn nowhere(cell: &Cell) -> Option<(u64, u64)> {
    cell.ledger.unaccounted.filter(|&count| count > 0).zip(cell.ledger.lost)
}

/// Whether a network is between the two ends whose counters are unknown.
pub(crate) fn is_path(cell: &Cell) -> bool {
    cell.ends.as_deref().is_some_and(|ends| ends != "together")
}

pub(super) fn receive_buffer_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    let (lost, sent) = (cell.ledger.lost_at.receive_buffer?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| found_full(lost, sent))
}

pub(super) fn found_full(lost: u64, sent: u64) -> Warning {
    let message = format!(
        "{lost} datagrams ({}) dropped: receive buffer full; use a lower --rate",
        percent(lost, sent)
    );
    codes::RECEIVE_BUFFER_LOSS.warning(message)
}

pub(super) fn backlog_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (lost, sent) = (cell.ledger.lost_at.backlog?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| {
        let message = format!(
            "{lost} datagrams ({}) dropped: CPU backlog full; raise netdev_max_backlog",
            percent(lost, sent)
        );
        codes::BACKLOG_LOSS.warning(message)
    })
}

/// At `max` a full send buffer is normal; with a schedule, refused sends are missing load.
pub(super) fn refused_would_block(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    cell.schedule.as_ref()?;
    let why = if ctx.unix {
        "receiver's queue full (EAGAIN); use a lower --rate"
    } else {
        "send buffer full (EAGAIN); use a lower --rate"
    };
    refused(cell, cell.ledger.refused.would_block, &codes::REFUSED_WOULD_BLOCK, why)
}

pub(super) fn refused_no_buffers(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    refused(
        cell,
        cell.ledger.refused.no_buffers,
        &codes::REFUSED_NO_BUFFERS,
        "device queue full (ENOBUFS); use a lower --rate",
    )
}

/// Why the target could not be reached, each cause once, in order; `None` if it always could.
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
    refused(cell, cell.ledger.refused.unreachable, &codes::REFUSED_UNREACHABLE, &why)
}

pub(super) fn refused_too_big(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let why = if ctx.unix {
        "larger than the send buffer; use a smaller --size"
    } else {
        "too large for the path; use a smaller --size"
    };
    refused(cell, cell.ledger.refused.too_big, &codes::REFUSED_TOO_BIG, why)
}

pub(super) fn refused_other(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    refused(
        cell,
        cell.ledger.refused.other,
        &codes::REFUSED_OTHER,
        "reason unknown; -e plain may show it",
    )
}

fn refused(cell: &Cell, count: u64, code: &codes::Code, why: &str) -> Option<Warning> {
    (count > 0).then(|| {
        let share = percent(count, cell.ledger.attempted);
        code.warning(format!("{count} sends ({share}) failed: {why}"))
    })
}

pub(super) fn foreign(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(
        of_datagrams(cell)?.ledger.foreign,
        &codes::FOREIGN,
        "from other senders; choose another --port",
    )
}

pub(super) fn corrupt(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(cell.ledger.corrupt, &codes::CORRUPT, "changed on the path; they count as lost")
}

pub(super) fn duplicate(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(of_datagrams(cell)?.ledger.duplicate, &codes::DUPLICATE, "duplicates, made by the path")
}

pub(super) fn late(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    odd(
        of_datagrams(cell)?.ledger.late,
        &codes::LATE,
        "too late and count as lost; try a longer --warmup",
    )
}

fn odd(count: Option<u64>, code: &codes::Code, why: &str) -> Option<Warning> {
    let count = count?;
    let were = if count == 1 {
        "1 datagram arrived".to_owned()
    } else {
        format!("{count} datagrams arrived")
    };
    (count > 0).then(|| code.warning(format!("{were} {why}")))
}
