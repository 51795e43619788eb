//! Checks of the build, virtualization, kernel limits and capabilities.

use super::{Grade, HostCheck, HostRequirements, finding};
use crate::host::HostFacts;
use crate::unit::show_bytes;

pub(super) fn debug_build(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    Some(if host.debug_build {
        finding(Grade::Bad, "this udperf was built without optimisation")
            .because("it measures its own slowness, not the network's")
            .fixed_by("cargo build --release")
    } else {
        finding(Grade::Good, "optimised")
    })
}

/// Share of stolen CPU time (0 to 1) that distorts. Arbitrary: stalls of a few ms a second.
const STEAL_WARN: f64 = 0.01;

pub(super) fn virtual_machine(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let Some(name) = host.virtualization.as_deref() else {
        // Without any facts, the machine may be virtual.
        let known = host.kernel.is_some() && host.steal_share.is_some();
        return known.then(|| finding(Grade::Good, "none detected"));
    };
    let stolen = host.steal_share.unwrap_or(0.0);
    let grade = if stolen > STEAL_WARN { Grade::Warn } else { Grade::Note };
    let share = host.steal_share.map_or_else(String::new, |share| {
        format!(" that took {:.2} % of CPU time since boot", share * 100.0)
    });
    Some(finding(grade, format!("a virtual machine under {name}{share}")).because(
        "other machines on this hardware slow it down, and the hypervisor may take its CPUs \
             for ms at a time; repeat with --trials and use ratios of interleaved runs",
    ))
}

pub(super) fn container(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let kind = host.container.as_deref()?;
    let found = format!("this is a {kind} container");
    Some(finding(Grade::Note, found).because(
        "kernel limits belong to the host; unless the network is shared, counters are those of \
             the container only",
    ))
}

pub(super) fn rmem_max(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let why = "receivers get no more, so short pauses become loss";
    Some(buffer_limit("rmem_max", host.rmem_max?, wants, why))
}

pub(super) fn wmem_max(host: &HostFacts, wants: HostRequirements<'_>) -> Option<HostCheck> {
    let why = "senders get no more, so sends are refused sooner if a device is slow";
    Some(buffer_limit("wmem_max", host.wmem_max?, wants, why))
}

fn buffer_limit(name: &str, most: u64, wants: HostRequirements<'_>, why: &str) -> HostCheck {
    let (asked, shown) = (wants.socket_buffer as u64, show_bytes(most));
    if most >= asked {
        return finding(Grade::Good, format!("up to {shown}"));
    }
    let found = format!("net.core.{name} is {shown}, but {} are requested", show_bytes(asked));
    let why = format!("{why}; as root, until the next boot unless it is in /etc/sysctl.d too");
    finding(Grade::Warn, found).because(why).fixed_by(format!("sysctl -w net.core.{name}={asked}"))
}

/// The kernel's default of `net.core.netdev_max_backlog` (`net/core/hotdata.c`).
const BACKLOG_DEFAULT: u64 = 1_000;

/// Losses show whether the queue was too short; only a limit below the default is noted.
pub(super) fn netdev_max_backlog(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let backlog = host.netdev_max_backlog?;
    Some(if backlog >= BACKLOG_DEFAULT {
        finding(Grade::Good, format!("{backlog} packets"))
    } else {
        finding(
            Grade::Note,
            format!("net.core.netdev_max_backlog is {backlog}, below the kernel's default"),
        )
        .because(
            "loopback uses this queue, and packets that find it full are dropped; as root, until \
             the next boot unless it is in /etc/sysctl.d too",
        )
        .fixed_by(format!("sysctl -w net.core.netdev_max_backlog={BACKLOG_DEFAULT}"))
    })
}

/// Capabilities that figures depend on; others only offer more engines.
const RELIED_ON: &[&str] = &["socket_drops", "queue_drops", "udp_counters", "affinity"];

pub(super) fn missing_capability(host: &HostFacts, _: HostRequirements<'_>) -> Option<HostCheck> {
    let missing: Vec<_> = host.capabilities.iter().filter(|can| !can.available).collect();
    let names: Vec<_> = missing.iter().map(|can| can.name.as_str()).collect();
    let (count, of) = (missing.len(), host.capabilities.len());
    if let Some(plain) = missing.iter().find(|can| can.name == "plain") {
        return Some(
            finding(Grade::Bad, "the plain engine does not work here")
                .because(format!("udperf cannot measure: {}", plain.detail)),
        );
    }
    match count {
        0 if of == 0 => None,
        0 => Some(finding(Grade::Good, format!("all {of} available"))),
        _ => {
            let relied_on = names.iter().any(|name| RELIED_ON.contains(name));
            let grade = if relied_on { Grade::Warn } else { Grade::Note };
            let details: Vec<_> = missing.iter().map(|can| can.detail.as_str()).collect();
            let found = format!("{count} of {of} missing ({})", names.join(", "));
            Some(finding(grade, found).because(details.join("; ")))
        }
    }
}
