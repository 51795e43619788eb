//! Removes control characters from text of the sink, which may be printed on a terminal.

use std::collections::BTreeMap;

use crate::document::{CgroupLimits, Device};
use crate::host::HostFacts;
use crate::measure::{OUTAGES, OutageCounts, TxResult};
use crate::unit::{Keep, strip_control};

pub(super) fn clean(mut facts: HostFacts) -> HostFacts {
    let texts = [
        &mut facts.hostname,
        &mut facts.kernel,
        &mut facts.kernel_command_line,
        &mut facts.cpu_model,
        &mut facts.governor,
        &mut facts.clocksource,
        &mut facts.virtualization,
        &mut facts.container,
    ];
    texts.into_iter().for_each(text);
    for capability in &mut facts.capabilities {
        capability.name = printable(&capability.name);
        capability.detail = printable(&capability.detail);
    }
    facts.mitigations = facts.mitigations.map(texts_by_name);
    facts.sysctls = texts_by_name(facts.sysctls);
    if let Some(CgroupLimits { cpu_max, memory_max, cpus }) = &mut facts.cgroup {
        [cpu_max, memory_max, cpus].into_iter().for_each(text);
    }
    facts.device = facts.device.map(device);
    facts
}

/// The result of the sink's senders, with at most [`OUTAGES`] outages and their text cleaned.
pub(super) fn clean_outages(mut tx: TxResult) -> TxResult {
    tx.outages.truncate(OUTAGES);
    for OutageCounts { cause, .. } in &mut tx.outages {
        cause.what = printable(&cause.what);
        cause.message = printable(&cause.message);
        text(&mut cause.said_by);
    }
    tx
}

fn device(device: Device) -> Device {
    let masks = |masks: Vec<String>| masks.iter().map(|mask| printable(mask)).collect();
    let mut device = Device {
        name: printable(&device.name),
        rps_cpus: device.rps_cpus.map(masks),
        xps_cpus: device.xps_cpus.map(masks),
        offloads: device.offloads.map(by_name),
        rings: device.rings.map(by_name),
        coalescing: device.coalescing.map(by_name),
        channels: device.channels.map(by_name),
        ..device
    };
    [&mut device.driver, &mut device.qdisc].into_iter().for_each(text);
    for irq in device.irqs.iter_mut().flatten() {
        text(&mut irq.name);
        irq.cpus = printable(&irq.cpus);
    }
    device
}

/// Text of another host, safe to print on a line.
pub(super) fn printable(text: &str) -> String {
    strip_control(text, Keep::Nothing)
}

fn text(text: &mut Option<String>) {
    *text = text.as_deref().map(printable);
}

fn by_name<V>(map: BTreeMap<String, V>) -> BTreeMap<String, V> {
    map.into_iter().map(|(name, value)| (printable(&name), value)).collect()
}

fn texts_by_name(map: BTreeMap<String, String>) -> BTreeMap<String, String> {
    by_name(map).into_iter().map(|(name, value)| (name, printable(&value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Irq;
    use crate::measure::Cause;
    use crate::unit::Nanos;

    /// Text that clears a terminal.
    fn hostile() -> String {
        "\u{1b}[2J".to_owned()
    }

    #[test]
    fn facts_of_the_sink_have_no_control_characters() {
        let map = || BTreeMap::from([(hostile(), hostile())]);
        let numbers = || Some(BTreeMap::from([(hostile(), 1)]));
        let facts = HostFacts {
            hostname: Some(hostile()),
            kernel_command_line: Some(hostile()),
            mitigations: Some(map()),
            sysctls: map(),
            cgroup: Some(CgroupLimits {
                cpu_max: Some(hostile()),
                memory_max: Some(hostile()),
                cpus: Some(hostile()),
            }),
            device: Some(Device {
                name: hostile(),
                driver: Some(hostile()),
                qdisc: Some(hostile()),
                rps_cpus: Some(vec![hostile()]),
                xps_cpus: Some(vec![hostile()]),
                irqs: Some(vec![Irq { number: 1, name: Some(hostile()), cpus: hostile() }]),
                offloads: Some(BTreeMap::from([(hostile(), true)])),
                rings: numbers(),
                coalescing: numbers(),
                channels: numbers(),
                ..Device::default()
            }),
            ..HostFacts::default()
        };
        let count = |facts: &HostFacts| format!("{facts:?}").matches("\\u{1b}").count();
        assert_eq!(count(&facts), 20);
        assert_eq!(count(&clean(facts)), 0);
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
