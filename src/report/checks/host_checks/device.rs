//! Checks of what CPUs and the network device are set to, and their way into the document.

use super::{Grade, HostCheck, HostRequirements};
use crate::document;
use crate::measure::{self, HostFacts};

/// Whether the CPUs may clock above their nominal frequency.
pub(super) fn turbo(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let finding = |grade, found| HostCheck::new("turbo", "turbo", grade, found);
    Some(if host.turbo? {
        finding(Grade::Note, "the CPUs may clock above their nominal frequency")
            .because("how far, depends on heat and on how many are busy, so figures drift")
    } else {
        finding(Grade::Good, "off")
    })
}

/// What the kernel does about flaws of the CPU. On or off, figures are right; they only do not
/// compare with those of a host where it is otherwise.
pub(super) fn mitigations(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let states = host.mitigations.as_ref()?;
    let finding = |grade, found| HostCheck::new("mitigations", "mitigations", grade, found);
    let why = "system calls cost less than on hosts where they are on; compare only alike ones";
    let line = host.kernel_command_line.as_deref().unwrap_or_default();
    if line.split_whitespace().any(|word| word == "mitigations=off") {
        let found = "flaws of the CPU are not mitigated (mitigations=off)".to_owned();
        return Some(finding(Grade::Note, found).because(why));
    }
    // The words of `Documentation/ABI/testing/sysfs-devices-system-cpu`.
    let count = |word| states.values().filter(|state| state.starts_with(word)).count();
    let (mitigated, vulnerable) = (count("Mitigation"), count("Vulnerable"));
    let found = format!("on for {mitigated} of {} flaws", states.len());
    Some(if mitigated == 0 && vulnerable > 0 {
        finding(Grade::Note, format!("{found}; vulnerable by {vulnerable}")).because(why)
    } else {
        finding(Grade::Good, found)
    })
}

/// What lets a super-packet pass a device, by the kernel's names.
const PASSES_WHOLE: [(&str, &str); 2] = [("GSO", "tx-generic-segmentation"), ("GRO", "rx-gro")];

/// Whether the device lets super-packets through.
pub(super) fn offload(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let device = host.device.as_ref()?;
    let states = device.offloads.as_ref()?;
    let off = PASSES_WHOLE.iter().filter(|(_, feature)| states.get(*feature) == Some(&false));
    let off: Vec<_> = off.map(|(word, _)| *word).collect();
    if off.is_empty() {
        return None;
    }
    let found = format!("off on {}: {}", device.name, off.join(", "));
    Some(HostCheck::new("device_offload", "device", Grade::Note, found).because(
        "super-packets are cut before they get there or joined nowhere, so the engines gso and \
         gro gain less",
    ))
}

/// Limits of control groups in the document.
pub(super) fn cgroup(limits: &measure::CgroupQuota) -> document::CgroupLimits {
    let measure::CgroupQuota { cpu_max, memory_max, cpus } = limits.clone();
    document::CgroupLimits { cpu_max, memory_max, cpus }
}

/// A device in the document.
pub(super) fn device(device: &measure::DeviceFacts) -> document::Device {
    let irq = |irq: &measure::IrqFacts| document::Irq {
        number: irq.number,
        name: irq.name.clone(),
        cpus: irq.cpus.clone(),
    };
    document::Device {
        name: device.name.clone(),
        driver: device.driver.clone(),
        mtu: device.mtu,
        speed_mbit: device.speed_mbit,
        qdisc: device.qdisc.clone(),
        rx_queues: device.rx_queues,
        tx_queues: device.tx_queues,
        rps_cpus: device.rps_cpus.clone(),
        xps_cpus: device.xps_cpus.clone(),
        irqs: device.irqs.as_ref().map(|irqs| irqs.iter().map(irq).collect()),
        offloads: device.offloads.clone(),
        rings: device.rings.clone(),
        coalescing: device.coalescing.clone(),
        channels: device.channels.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_host;
    use super::super::tests::{found, good_host};
    use super::*;
    use crate::report::host_warnings;

    #[test]
    fn turbo_is_worth_knowing_and_no_more() {
        let on = found("turbo", HostRequirements::default(), |host| host.turbo = Some(true));
        assert_eq!(on.grade, Grade::Note);
        assert_eq!(found("turbo", HostRequirements::default(), |_| {}).grade, Grade::Good);
    }

    #[test]
    fn mitigations_are_counted_and_their_absence_told() {
        let state = |name: &str, state: &str| (name.to_owned(), state.to_owned());
        let states = [
            state("meltdown", "Not affected"),
            state("retbleed", "Vulnerable"),
            state("spectre_v2", "Mitigation: Retpolines; IBPB: conditional"),
        ];
        let on = found("mitigations", HostRequirements::default(), |host| {
            host.mitigations = Some(states.clone().into());
        });
        assert_eq!((on.grade, &*on.found), (Grade::Good, "on for 1 of 3 flaws"));
        let off = found("mitigations", HostRequirements::default(), |host| {
            host.kernel_command_line = Some("quiet mitigations=off panic=1".into());
        });
        assert_eq!(off.grade, Grade::Note);
        let auto = found("mitigations", HostRequirements::default(), |host| {
            host.kernel_command_line = Some("mitigations=auto,nosmt".into());
        });
        assert_eq!(auto.grade, Grade::Good);
    }

    #[test]
    fn who_mitigates_nothing_in_other_words_is_told_too() {
        let of = |states: &[&str]| {
            let states = states.iter().enumerate();
            let states = states.map(|(at, &state)| (at.to_string(), state.to_owned())).collect();
            let found = found("mitigations", HostRequirements::default(), |host| {
                host.mitigations = Some(states);
            });
            (found.grade, found.found.to_string())
        };
        let bare = of(&["Vulnerable", "Vulnerable: no microcode", "Not affected"]);
        assert_eq!(bare, (Grade::Note, "on for 0 of 3 flaws; vulnerable by 2".into()));
        assert_eq!(of(&["Not affected"]), (Grade::Good, "on for 0 of 1 flaws".into()));
    }

    #[test]
    fn a_device_that_cuts_and_joins_nothing_is_noted() {
        let device = |gso, gro| measure::DeviceFacts {
            name: "eth0".into(),
            offloads: Some(
                [("tx-generic-segmentation".into(), gso), ("rx-gro".into(), gro)].into(),
            ),
            ..measure::DeviceFacts::default()
        };
        let off = found("device_offload", HostRequirements::default(), |host| {
            host.device = Some(device(false, false));
        });
        assert_eq!((off.grade, &*off.found), (Grade::Note, "off on eth0: GSO, GRO"));
        let host = HostFacts { device: Some(device(true, true)), ..good_host() };
        let codes = check_host(&host, HostRequirements::default());
        assert!(codes.iter().all(|finding| finding.code != "device_offload"));
        // None of this doubts a run.
        let host =
            HostFacts { turbo: Some(true), device: Some(device(true, false)), ..good_host() };
        assert_eq!(host_warnings(&host, HostRequirements::default()), []);
    }
}
