//! Checks of `doctor` for the engine `xdp`: a line for locked memory, and one for each device.

use super::host_checks::Grade::{self, Good, Note};
use crate::document::DoctorCheck;
use crate::engine::XDP_QUEUE_BYTES;
use crate::sys::{XdpAbilities, XdpSupport, setcap_command};
use crate::unit::show_bytes;

/// The first version that does not count memory of BPF maps in RLIMIT_MEMLOCK (commit
/// `bpf: Eliminate rlimit-based memory accounting`).
const MAPS_NOT_COUNTED: (u32, u32) = (5, 11);

/// A device as `xdp` sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct XdpDevice {
    pub(crate) name: String,
    /// Its queues in use.
    pub(crate) queues: Option<u64>,
    /// The most that it can have, and their kind as in ethtool(8).
    pub(crate) most: Option<(&'static str, u64)>,
    /// What its driver can do; `None`: the kernel does not report it.
    pub(crate) support: Option<XdpSupport>,
}

/// The checks of memory and devices; `kernel`: its version.
pub(crate) fn check_xdp(
    abilities: &XdpAbilities,
    kernel: Option<&str>,
    devices: &[XdpDevice],
) -> Vec<DoctorCheck> {
    let memory = memory(abilities, kernel.and_then(version));
    [memory].into_iter().chain(devices.iter().map(device)).collect()
}

fn check(subject: &str, grade: Grade, found: String) -> DoctorCheck {
    let (subject, grade) = (subject.to_owned(), grade.word().to_owned());
    DoctorCheck { subject, grade, found, effect: None, fix: None }
}

/// The first two numbers of a kernel's version, such as `Linux 6.1.0-18-amd64`.
fn version(kernel: &str) -> Option<(u32, u32)> {
    let digits = kernel.find(|one: char| one.is_ascii_digit())?;
    let mut numbers = kernel[digits..].split(|one: char| !one.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn memory(abilities: &XdpAbilities, version: Option<(u32, u32)>) -> DoctorCheck {
    let subject = "xdp memory";
    let Some(limit) = abilities.lockable_bytes else {
        return check(subject, Good, "ulimit -l is unlimited".to_owned());
    };
    let limit = format!("ulimit -l is {}", show_bytes(limit));
    let counts_maps = version.is_some_and(|version| version < MAPS_NOT_COUNTED);
    if counts_maps {
        let effect = "Before Linux 5.11, the maps of the BPF program of xdp count in this limit, \
            also for root.";
        return check(subject, Note, limit).means(effect).fixed_by("ulimit -l unlimited");
    }
    if abilities.missing_capabilities.contains(&"cap_ipc_lock") {
        let queue = show_bytes(XDP_QUEUE_BYTES);
        let effect =
            format!("Without CAP_IPC_LOCK, xdp needs about {queue} of this limit for each queue.");
        return check(subject, Note, limit).means(effect).fixed_by(setcap_command("udperf"));
    }
    check(subject, Good, format!("{limit}, which does not apply with CAP_IPC_LOCK"))
}

fn device(device: &XdpDevice) -> DoctorCheck {
    let name = &device.name;
    let queues = match (device.queues, device.most) {
        (None, _) => "queues unknown".to_owned(),
        (Some(1), None) => "1 queue".to_owned(),
        (Some(queues), None) => format!("{queues} queues"),
        (Some(queues), Some((_, most))) => format!("{queues} of {most} queues"),
    };
    let (mode, is_native) = match device.support {
        None => ("native mode and zero copy unknown", true),
        Some(XdpSupport { is_native: false, .. }) => ("no native mode, so xdp uses generic", false),
        Some(XdpSupport { zero_copy: false, .. }) => ("native mode, copies frames", true),
        Some(XdpSupport { zero_copy: true, .. }) => ("native mode, zero copy", true),
    };
    let found = format!("{name}: {queues}, {mode}");
    let more = device.most.filter(|(_, most)| device.queues.is_some_and(|queues| queues < *most));
    match more {
        Some((kind, most)) => check("xdp device", Note, found)
            .means("Each sender with xdp needs a queue of its own. Receivers share all queues.")
            .fixed_by(format!("ethtool -L {name} {}", channels(kind, most))),
        None if is_native => check("xdp device", Good, found),
        None => check("xdp device", Note, found)
            .means("The kernel's network stack runs the program of xdp, which costs more."),
    }
}

/// The arguments of ethtool for this number of queues: `rx` ones come with as many `tx`.
fn channels(kind: &str, count: u64) -> String {
    match kind {
        "rx" => format!("rx {count} tx {count}"),
        kind => format!("{kind} {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(check: &DoctorCheck) -> String {
        let fix = check.fix.as_deref().unwrap_or("-");
        format!("{} {}: {} | {fix}", check.grade, check.subject, check.found)
    }

    #[test]
    fn the_limit_matters_without_the_capability_and_on_old_kernels() {
        let lacks = vec!["cap_ipc_lock"];
        for (lockable_bytes, missing_capabilities, kernel, expected) in [
            (None, vec![], None, "good xdp memory: ulimit -l is unlimited | -"),
            (
                Some(8 << 20),
                vec![],
                Some("Linux 6.18.44"),
                "good xdp memory: ulimit -l is 8 MiB, w",
            ),
            (Some(8 << 20), vec![], None, "good xdp memory: ulimit -l is 8 MiB, w"),
            (
                Some(8 << 20),
                lacks,
                Some("5.11.0"),
                "note xdp memory: ulimit -l is 8 MiB | sudo setc",
            ),
            (
                Some(8 << 20),
                vec![],
                Some("Linux 5.10.0-8"),
                "note xdp memory: ulimit -l is 8 MiB | u",
            ),
        ] {
            let abilities =
                XdpAbilities { in_kernel: Some(true), missing_capabilities, lockable_bytes };
            let checks = check_xdp(&abilities, kernel, &[]);
            assert!(line(&checks[0]).starts_with(expected), "{expected}: {}", line(&checks[0]));
        }
    }

    #[test]
    fn devices_have_queues_and_a_mode() {
        let support = |is_native, zero_copy| Some(XdpSupport { is_native, zero_copy });
        for (queues, most, support, expected) in [
            (
                None,
                None,
                None,
                "good xdp device: e0: queues unknown, native mode and zero copy unkn",
            ),
            (
                Some(1),
                None,
                support(true, false),
                "good xdp device: e0: 1 queue, native mode, copies",
            ),
            (
                Some(4),
                Some(("combined", 4)),
                support(true, true),
                "good xdp device: e0: 4 of 4 queues",
            ),
            (Some(1), None, support(false, false), "note xdp device: e0: 1 queue, no native mode"),
            (
                Some(2),
                Some(("combined", 8)),
                support(true, true),
                "note xdp device: e0: 2 of 8 queues, native mode, zero copy | ethtool -L e0 \
                 combined 8",
            ),
            (
                Some(1),
                Some(("rx", 2)),
                None,
                "note xdp device: e0: 1 of 2 queues, native mode and zero copy unknown | ethtool \
                 -L e0 rx 2 tx 2",
            ),
        ] {
            let one = XdpDevice { name: "e0".to_owned(), queues, most, support };
            let found = line(&device(&one));
            assert!(found.starts_with(expected), "{expected}: {found}");
        }
    }
}
