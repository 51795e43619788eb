//! The results of several processes as one.

use super::{CellResult, IntervalSeries, KernelDelta, RxResult, TxResult, combine};
use crate::document::{DropLocation, Ledger};
use crate::unit::Nanos;

/// The result of a cell that several processes measured together, each with other flows and with
/// the time from the start of the cell to its own start; `None` without any.
///
/// Counts and histograms are sums. Losses are those that each process attributed by the counters
/// of its own host. These counters are not added up: two processes may share a host.
pub fn merge_members(members: impl Iterator<Item = (CellResult, Nanos)>) -> Option<CellResult> {
    let mut members = members.map(|(mut result, start)| {
        let ledger = result.ledger();
        for intervals in [&mut result.tx.intervals, &mut result.rx.intervals] {
            *intervals = std::mem::take(intervals).delayed(start);
        }
        result.tx.end += start;
        (result, ledger)
    });
    let (mut sum, mut ledger) = members.next()?;
    for (member, more) in members {
        sum.one_ended |= member.one_ended;
        sum.warmup.0 = sum.warmup.0.saturating_add(member.warmup.0);
        sum.warmup.1 = sum.warmup.1.saturating_add(member.warmup.1);
        sum.cut_short = sum.cut_short.or(member.cut_short);
        add_sender(&mut sum.tx, member.tx);
        add_receiver(&mut sum.rx, member.rx);
        add_ledger(&mut ledger, &more);
    }
    (sum.tx.kernel, sum.rx.kernel) = (KernelDelta::default(), KernelDelta::default());
    (sum.tx.drop_readings, sum.rx.drop_readings) = (Vec::new(), Vec::new());
    sum.breakdown = None;
    sum.members_ledger = Some(ledger);
    Some(sum)
}

fn add_sender(sum: &mut TxResult, member: TxResult) {
    add_intervals(&mut sum.intervals, &member.intervals);
    sum.stolen = combine(sum.stolen, member.stolen, |one, other| one + other);
    sum.merge(member);
}

fn add_receiver(sum: &mut RxResult, member: RxResult) {
    add_intervals(&mut sum.intervals, &member.intervals);
    sum.stolen = combine(sum.stolen, member.stolen, |one, other| one + other);
    // The flows of one process are not those of another.
    let mut flows = std::mem::take(&mut sum.flows);
    flows.extend(&member.flows);
    sum.merge(RxResult { flows: Vec::new(), ..member });
    sum.flows = flows;
}

/// Intervals count from the common start, so those of one index are of one time.
fn add_intervals(sum: &mut IntervalSeries, member: &IntervalSeries) {
    if sum.scale().is_none() || member.scale() == sum.scale() {
        sum.merge(member);
    } else if member.scale().is_some() {
        *sum = IntervalSeries::default();
    }
}

fn add_ledger(sum: &mut Ledger, member: &Ledger) {
    let add = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
    add_counts!(sum, member; attempted, sent);
    let (refused, more) = (&mut sum.refused, &member.refused);
    add_counts!(refused, more; would_block, no_buffers, unreachable, too_big, other);
    macro_rules! add_known {
        ($($field:ident),+) => { $(sum.$field = add(sum.$field, member.$field);)+ };
    }
    add_known!(received, lost, unaccounted, arrived, duplicate, late, reordered, foreign, corrupt);
    sum.reorder_extent = combine(sum.reorder_extent, member.reorder_extent, u64::max);
    let mut lost_at = member.lost_at;
    for &location in DropLocation::ALL {
        let more = *lost_at.at_mut(location);
        let count = sum.lost_at.at_mut(location);
        // What one host does not count, another may; the rest is unaccounted there.
        *count = combine(*count, more, u64::saturating_add);
    }
    add_names(&mut sum.estimated, &member.estimated);
    add_names(&mut sum.shared, &member.shared);
}

fn add_names(sum: &mut Option<Vec<String>>, member: &Option<Vec<String>>) {
    let new = member.iter().flatten().filter(|name| !sum.iter().flatten().any(|one| one == *name));
    let new: Vec<_> = new.cloned().collect();
    if member.is_some() {
        sum.get_or_insert_default().extend(new);
    }
}
