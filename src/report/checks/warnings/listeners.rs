//! Warnings about listeners of a sink.

use super::kernel::not_granted;
use super::ledger::found_full;
use crate::document::{SocketBuffer, Warning};
use crate::measure::SinkTally;
use crate::unit::sum_counts;

/// Warnings about a bound receiver; `buffer_doubled`: the system doubles what it grants.
#[must_use]
pub(crate) fn of_listeners(tally: &SinkTally, buffer_doubled: bool) -> Vec<Warning> {
    let drops = sum_counts(tally.listeners.iter().filter_map(|one| one.drops));
    let came = tally.unsolicited.datagrams.saturating_add(drops);
    let granted = tally.listeners.iter().filter_map(|one| one.granted).min();
    let full = (drops > 0).then(|| found_full(drops, came));
    let asked = tally.listeners.first().map_or(0, |one| one.asked);
    let small =
        not_granted(SocketBuffer::default(), SocketBuffer { asked, granted }, buffer_doubled);
    full.into_iter().chain(small.filter(|_| came > 0)).collect()
}
