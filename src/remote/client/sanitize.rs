//! What a host says of itself, fit to be printed: whatever comes over the network may end up on a
//! terminal.

use std::collections::BTreeMap;

use crate::measure::{CgroupQuota, DeviceFacts, HostFacts, OUTAGES, OutageCounts, TxResult};
use crate::remote::client::control_client::printable;

/// The same facts without control characters.
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
    if let Some(CgroupQuota { cpu_max, memory_max, cpus }) = &mut facts.cgroup {
        [cpu_max, memory_max, cpus].into_iter().for_each(text);
    }
    facts.device = facts.device.map(device);
    facts
}

/// The result of senders on another host, with the text of outages made safe to print.
pub(super) fn clean_outages(mut tx: TxResult) -> TxResult {
    tx.outages.truncate(OUTAGES);
    for OutageCounts { cause, .. } in &mut tx.outages {
        cause.what = printable(&cause.what);
        cause.message = printable(&cause.message);
        text(&mut cause.said_by);
    }
    tx
}

fn device(device: DeviceFacts) -> DeviceFacts {
    let masks = |masks: Vec<String>| masks.iter().map(|mask| printable(mask)).collect();
    let mut device = DeviceFacts {
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
    use crate::measure::{Cause, IrqFacts};
    use crate::unit::Nanos;

    /// Text that clears a terminal.
    fn wicked() -> String {
        "\u{1b}[2J".to_owned()
    }

    #[test]
    fn nothing_that_a_host_says_moves_the_cursor() {
        let map = || BTreeMap::from([(wicked(), wicked())]);
        let numbers = || Some(BTreeMap::from([(wicked(), 1)]));
        let facts = HostFacts {
            hostname: Some(wicked()),
            kernel_command_line: Some(wicked()),
            mitigations: Some(map()),
            sysctls: map(),
            cgroup: Some(CgroupQuota {
                cpu_max: Some(wicked()),
                memory_max: Some(wicked()),
                cpus: Some(wicked()),
            }),
            device: Some(DeviceFacts {
                name: wicked(),
                driver: Some(wicked()),
                qdisc: Some(wicked()),
                rps_cpus: Some(vec![wicked()]),
                xps_cpus: Some(vec![wicked()]),
                irqs: Some(vec![IrqFacts { number: 1, name: Some(wicked()), cpus: wicked() }]),
                offloads: Some(BTreeMap::from([(wicked(), true)])),
                rings: numbers(),
                coalescing: numbers(),
                channels: numbers(),
                ..DeviceFacts::default()
            }),
            ..HostFacts::default()
        };
        let count = |facts: &HostFacts| format!("{facts:?}").matches("\\u{1b}").count();
        assert_eq!(count(&facts), 20);
        assert_eq!(count(&clean(facts)), 0);
    }
    #[test]
    fn outages_of_another_host_are_bounded_and_printable() {
        let cause = Cause { what: wicked(), said_by: Some(wicked()), message: wicked() };
        let outage = OutageCounts { from: Nanos::ZERO, until: Nanos::ZERO, cause, errors: 1 };
        let tx = TxResult { outages: vec![outage; OUTAGES + 1], ..TxResult::default() };
        let outages = clean_outages(tx).outages;
        assert_eq!(outages.len(), OUTAGES);
        assert!(!format!("{outages:?}").contains("\\u{1b}"), "{:?}", outages[0]);
    }
}
