//! Warnings about the ledger.

use super::context::{CellContext, exceeds_permille, nonzero, percent};
use crate::document::{Cell, Ledger, LostAt, Refused};
use crate::measure::ledger_identities;

/// The ledger, unless datagrams are requests, which have their own checks.
pub(super) fn of_datagrams(cell: &Cell) -> Option<&Ledger> {
    cell.exchange.is_none().then_some(&cell.ledger)
}

pub(super) fn broken_ledger(cell: &Cell) -> Option<String> {
    let broken = ledger_identities(&cell.ledger).into_iter().find(|one| !one.holds())?;
    let (left, right) = (broken.left.unwrap_or_default(), broken.right);
    Some(format!("{} fails ({left}, {right}): a bug of udperf; please report it", broken.name))
}

pub(super) fn unaccounted(cell: &Cell) -> Option<String> {
    let ledger = of_datagrams(cell).filter(|_| !is_path(cell))?;
    let (unaccounted, lost) = nonzero(ledger.unaccounted).zip(ledger.lost)?;
    let text = format!("{unaccounted} of {lost} lost datagrams are in no counter");
    Some(text + "; see nft list ruleset")
}

pub(super) fn lost_between(cell: &Cell) -> Option<String> {
    let ledger = of_datagrams(cell).filter(|_| is_path(cell))?;
    let (unaccounted, lost) = nonzero(ledger.unaccounted).zip(ledger.lost)?;
    let share = percent(unaccounted, ledger.sent);
    let between = match cell.ends.as_deref() {
        Some("apart") => "between both ends",
        _ => "in the network",
    };
    Some(format!("{unaccounted} of {lost} lost datagrams ({share}) lost {between}"))
}

/// Whether a network is between the two ends whose counters are unknown.
pub(crate) fn is_path(cell: &Cell) -> bool {
    cell.ends.as_deref().is_some_and(|ends| ends != "together")
}

/// Drops at one location, if they are more than one in a thousand.
pub(super) fn dropped(of: fn(&LostAt) -> Option<u64>, cell: &Cell, why: &str) -> Option<String> {
    let sent = cell.ledger.sent;
    let lost = of(&cell.ledger.lost_at).filter(|&lost| exceeds_permille(lost, sent))?;
    Some(format!("{lost} datagrams ({}) {why}", percent(lost, sent)))
}

pub(super) fn refused(cell: &Cell, of: fn(&Refused) -> u64, why: &str) -> Option<String> {
    let count = nonzero(of(&cell.ledger.refused))?;
    let share = percent(count, cell.ledger.attempted);
    Some(format!("{count} sends ({share}) failed: {why}"))
}

/// At `max` a full send buffer is normal; with a schedule, refused sends are missing load.
pub(super) fn refused_would_block(cell: &Cell, ctx: &CellContext) -> Option<String> {
    cell.schedule.as_ref()?;
    let queue = if ctx.unix { "receiver's queue" } else { "send buffer" };
    refused(cell, |r| r.would_block, &format!("{queue} full (EAGAIN); use a lower --rate"))
}

/// Why the target was unreachable, each cause once, in order; `None` without an outage.
pub(super) fn causes(cell: &Cell) -> Option<String> {
    let mut causes: Vec<&str> = Vec::new();
    for outage in &cell.outages {
        if !causes.contains(&outage.message.as_str()) {
            causes.push(&outage.message);
        }
    }
    (!causes.is_empty()).then(|| causes.join("; "))
}

pub(super) fn refused_unreachable(cell: &Cell) -> Option<String> {
    let why = causes(cell).unwrap_or_else(|| "no route, or an ICMP error".to_owned());
    refused(cell, |r| r.unreachable, &(why + "; check address, port and route"))
}

pub(super) fn refused_too_big(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let why = if ctx.unix { "larger than the send buffer" } else { "too large for the path" };
    refused(cell, |r| r.too_big, &format!("{why}; use a smaller --size"))
}

/// Datagrams that arrived and are not new ones of this run.
pub(super) fn arrived(count: Option<u64>, why: &str) -> Option<String> {
    let count = nonzero(count)?;
    let datagrams = if count == 1 { "datagram" } else { "datagrams" };
    Some(format!("{count} {datagrams} arrived {why}"))
}
