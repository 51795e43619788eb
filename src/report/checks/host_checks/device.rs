//! Checks of the settings of CPUs and of the network device.

use super::{Grade, HostCheck, HostRequirements, finding};
use crate::host::HostFacts;

pub(super) fn turbo(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    Some(if host.turbo? {
        finding(Grade::Note, "the CPUs may exceed their nominal frequency")
            .because("how far depends on temperature and on how many are busy, so figures drift")
    } else {
        finding(Grade::Good, "off")
    })
}

/// Mitigations do not distort figures, but hosts with and without them do not compare.
pub(super) fn mitigations(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let states = host.mitigations.as_ref()?;
    let why =
        "system calls cost less than with mitigations; compare only hosts with equal settings";
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

/// Features that let a super-packet pass a device, by the kernel's names.
const PASSES_WHOLE: [(&str, &str); 2] = [("GSO", "tx-generic-segmentation"), ("GRO", "rx-gro")];

pub(super) fn offload(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let device = host.device.as_ref()?;
    let states = device.offloads.as_ref()?;
    let off = PASSES_WHOLE.iter().filter(|(_, feature)| states.get(*feature) == Some(&false));
    let off: Vec<_> = off.map(|(word, _)| *word).collect();
    if off.is_empty() {
        return None;
    }
    let found = format!("off on {}: {}", device.name, off.join(", "));
    Some(finding(Grade::Note, found).because(
        "super-packets are segmented before the device or not merged after it, so the engines \
         gso and gro gain less",
    ))
}
