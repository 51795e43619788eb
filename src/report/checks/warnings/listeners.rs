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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{ListenerTally, UnsolicitedTraffic};

    fn tally(datagrams: u64, drops: [Option<u64>; 2], granted: u64) -> SinkTally {
        let at = ([127, 0, 0, 1], 7_788).into();
        let granted = Some(granted);
        let one =
            |drops| ListenerTally { at, core: None, datagrams, drops, asked: 4 << 20, granted };
        let strangers = UnsolicitedTraffic { datagrams, ..UnsolicitedTraffic::default() };
        SinkTally { strangers, listeners: drops.map(one).to_vec(), ..SinkTally::default() }
    }

    #[test]
    fn any_loss_is_told_with_what_mends_it() {
        let told = of_listeners(&tally(990, [Some(3), Some(7)], 8 << 20), true);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].code, "receive_buffer_loss");
        let begin = "10 datagrams (1.00 %) dropped: receive buffer full";
        assert!(told[0].message.starts_with(begin), "{}", told[0].message);

        for drops in [[Some(0); 2], [None; 2]] {
            assert_eq!(of_listeners(&tally(990, drops, 8 << 20), true), []);
        }
    }

    #[test]
    fn a_small_buffer_is_told_where_anything_came() {
        let told = of_listeners(&tally(1, [Some(0); 2], 425_984), true);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].code, "buffer_not_granted");
        assert!(told[0].message.contains("net.core.rmem_max"), "{}", told[0].message);
        assert_eq!(of_listeners(&tally(0, [Some(0); 2], 425_984), true), []);
        let both = of_listeners(&tally(0, [None, Some(1)], 425_984), true);
        assert_eq!(both.len(), 2);
    }
}
