//! Removes control characters from text of the sink, which may be printed on a terminal.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::measure::{OUTAGES, TxResult};
use crate::unit::{Keep, strip_control};

/// The same value without control characters in any of its texts and names.
pub(super) fn clean<T: Serialize + DeserializeOwned>(value: &T) -> Option<T> {
    let mut value = serde_json::to_value(value).ok()?;
    clean_text(&mut value);
    serde_json::from_value(value).ok()
}

fn clean_text(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text),
        Value::Array(values) => values.iter_mut().for_each(clean_text),
        Value::Object(values) => {
            values.values_mut().for_each(clean_text);
            let values_by_name = std::mem::take(values).into_iter();
            *values = values_by_name.map(|(name, value)| (printable(&name), value)).collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The result of the sink's senders, with at most [`OUTAGES`] outages and their text cleaned.
pub(super) fn clean_outages(mut tx: TxResult) -> TxResult {
    tx.outages = tx.outages.iter().take(OUTAGES).filter_map(clean).collect();
    tx
}

/// Text of another host, safe to print on a line.
pub(super) fn printable(text: &str) -> String {
    strip_control(text, Keep::Nothing)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::document::{Device, Irq};
    use crate::host::HostFacts;
    use crate::measure::{Cause, OutageCounts};
    use crate::unit::Nanos;

    /// Text that clears a terminal.
    fn hostile() -> String {
        "\u{1b}[2J".to_owned()
    }

    #[test]
    fn facts_of_the_sink_have_no_control_characters() {
        let facts = HostFacts {
            hostname: Some(hostile()),
            sysctls: BTreeMap::from([(hostile(), hostile())]),
            steal_share: Some(0.1),
            device: Some(Device {
                rps_cpus: Some(vec![hostile()]),
                irqs: Some(vec![Irq { number: 1, name: None, cpus: hostile() }]),
                offloads: Some(BTreeMap::from([(hostile(), true)])),
                ..Device::default()
            }),
            ..HostFacts::default()
        };
        let count = |facts: &HostFacts| format!("{facts:?}").matches("\\u{1b}").count();
        assert_eq!(count(&facts), 6);
        let cleaned = clean(&facts).unwrap();
        assert_eq!((count(&cleaned), cleaned.steal_share), (0, Some(0.1)));
    }

    #[test]
    fn outages_of_another_host_are_bounded_and_printable() {
        let cause = Cause { what: hostile(), said_by: Some(hostile()), message: hostile() };
        let outage = OutageCounts { from: Nanos::ZERO, until: Nanos::ZERO, cause, errors: 1 };
        let tx = TxResult { outages: vec![outage; OUTAGES + 1], ..TxResult::default() };
        let outages = clean_outages(tx).outages;
        assert_eq!(outages.len(), OUTAGES);
        assert!(!format!("{outages:?}").contains("\\u{1b}"), "{:?}", outages[0]);
    }
}
