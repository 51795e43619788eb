//! Checks results of the sink: its text may be printed on a terminal, its intervals may contradict.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::measure::{IntervalCounts, IntervalSeries, OUTAGES, RxResult, TxResult};
use crate::unit::{Keep, strip_control, sum_counts};

/// The same value without control characters in any of its texts and names.
pub(super) fn clean<T: Serialize + DeserializeOwned>(value: &T) -> Option<T> {
    let mut value = serde_json::to_value(value).ok()?;
    clean_text(&mut value);
    serde_json::from_value(value).ok()
}

fn clean_text(value: &mut Value) {
    match value {
        Value::String(text) => *text = strip_control(text, Keep::Nothing),
        Value::Array(values) => values.iter_mut().for_each(clean_text),
        Value::Object(values) => {
            values.values_mut().for_each(clean_text);
            let entries = std::mem::take(values).into_iter();
            let clean_name = |name: String| strip_control(&name, Keep::Nothing);
            *values = entries.map(|(name, value)| (clean_name(name), value)).collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The result of the sink's senders, with at most [`OUTAGES`] outages and their text cleaned.
pub(super) fn clean_outages(mut tx: TxResult) -> TxResult {
    tx.outages = tx.outages.iter().take(OUTAGES).filter_map(clean).collect();
    tx
}

/// Removes the intervals of both sides unless they have the same boundaries and add up to the
/// counts of each side; `report` would refuse such a document.
pub(super) fn check_intervals(tx: &mut TxResult, rx: &mut RxResult) {
    fn sums<const N: usize>(
        of: &IntervalSeries,
        counts: [fn(&IntervalCounts) -> u64; N],
    ) -> [u64; N] {
        counts.map(|count| sum_counts(of.iter().map(|(_, one)| count(one))))
    }
    let sent = sums(&tx.intervals, [|one| one.sent, |one| one.refused, |one| one.missed]);
    let received = sums(
        &rx.intervals,
        [|one| one.received, |one| one.duplicate, |one| one.late, |one| one.reordered],
    );
    let missed = tx.timing.as_ref().map_or(0, |timing| timing.missed);
    let of = &rx.tally;
    let adds_up = tx.intervals.scale() == rx.intervals.scale()
        && sent == [tx.tally.sent, tx.tally.refused.total(), missed]
        && received == [of.received, of.duplicate, of.late, of.reordered];
    if !adds_up {
        (tx.intervals, rx.intervals) = (IntervalSeries::default(), IntervalSeries::default());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::document::{Device, Outage};
    use crate::host::HostFacts;
    use crate::measure::{Count, IntervalBoard, IntervalRecorder, IntervalScale};
    use crate::unit::Nanos;

    /// Text that clears a terminal.
    const HOSTILE: &str = "\u{1b}[2J";

    #[test]
    fn intervals_that_do_not_add_up_to_the_counts_are_dropped() {
        let series = |what, width| {
            let (end, mut sum) = (Nanos(100), IntervalSeries::default());
            let board = IntervalBoard::new(IntervalScale::new(Nanos(width), end), end);
            IntervalRecorder::new(std::sync::Arc::clone(&board)).count(Nanos(15), what, 7);
            board.add_to(&mut sum);
            sum
        };
        for (received, width, kept) in [(7, 10, 2), (8, 10, 0), (6, 10, 0), (7, 20, 0)] {
            let mut tx = TxResult { intervals: series(Count::Sent, 10), ..TxResult::default() };
            let mut rx =
                RxResult { intervals: series(Count::Received, width), ..RxResult::default() };
            (tx.tally.sent, rx.tally.received) = (7, received);
            check_intervals(&mut tx, &mut rx);
            assert_eq!([tx.intervals.len(), rx.intervals.len()], [kept; 2], "{received} {width}");
        }
    }

    #[test]
    fn removes_control_characters_from_facts_and_outages() {
        let hostile = || HOSTILE.to_owned();
        let facts = HostFacts {
            hostname: Some(hostile()),
            sysctls: BTreeMap::from([(hostile(), hostile())]),
            steal_share: Some(0.1),
            device: Some(Device { rps_cpus: Some(vec![hostile()]), ..Device::default() }),
            ..HostFacts::default()
        };
        let (what, said_by, message) = (hostile(), Some(hostile()), hostile());
        let outage = Outage { what, said_by, message, errors: 1, ..Outage::default() };
        let tx = TxResult { outages: vec![outage; OUTAGES + 1], ..TxResult::default() };
        let count = |text: String| text.matches("\\u{1b}").count();
        assert_eq!(count(format!("{facts:?} {:?}", tx.outages[0])), 4 + 3);
        let (facts, outages) = (clean(&facts).unwrap(), clean_outages(tx).outages);
        assert_eq!(count(format!("{facts:?} {outages:?}")), 0);
        assert_eq!((facts.steal_share, outages.len()), (Some(0.1), OUTAGES));
    }
}
