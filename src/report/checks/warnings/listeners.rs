//! Doubts about what a bound receiver counted: it is less than what came.

use super::kernel::not_granted;
use super::ledger::found_full;
use crate::document::{SocketBuffer, Warning};
use crate::measure::SinkTally;
use crate::unit::sum_counts;

/// What a bound receiver is to be doubted for; `buffer_doubled`: the system doubles the buffer that
/// it grants. Whatever it missed counts, for nobody else tells.
#[must_use]
pub(crate) fn of_listeners(tally: &SinkTally, buffer_doubled: bool) -> Vec<Warning> {
    let drops = sum_counts(tally.listeners.iter().filter_map(|one| one.drops));
    let came = tally.strangers.datagrams.saturating_add(drops);
    let granted = tally.listeners.iter().filter_map(|one| one.granted).min();
    let full = (drops > 0).then(|| found_full(drops, came));
    let asked = tally.listeners.first().map_or(0, |one| one.asked);
    let small =
        not_granted(SocketBuffer::default(), SocketBuffer { asked, granted }, buffer_doubled);
    full.into_iter().chain(small.filter(|_| came > 0)).collect()
}
