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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::document::{Device, Outage};
    use crate::host::HostFacts;

    /// Text that clears a terminal.
    const HOSTILE: &str = "\u{1b}[2J";

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
