//! Probes the capabilities of this host by using them, as containers and security policies may
//! disable features of a kernel version.

use std::net::UdpSocket;
use std::thread::Builder;

use crate::document::Capability;
use crate::engine::probe as engines;
use crate::net::pin_to;
use crate::sys;

/// Probes the engines of this build and the features they rely on.
pub(super) fn probe(allowed_cpus: &[usize]) -> Vec<Capability> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok();
    let reports_queue_drops = |socket: &UdpSocket| {
        sys::report_queue_drops(socket, false).is_ok() && sys::reports_queue_drops(socket, false)
    };
    let features = [
        (
            "socket_drops",
            socket.as_ref().and_then(sys::socket_drops).is_some(),
            "SO_MEMINFO: loss at a full receive buffer is counted exactly",
            "no SO_MEMINFO: loss at a full receive buffer stays unaccounted",
        ),
        (
            "queue_drops",
            socket.as_ref().is_some_and(reports_queue_drops),
            "IP_RECVERR: a full queue below the socket refuses, and is counted",
            "no IP_RECVERR: a full queue below the socket drops in silence",
        ),
        (
            "udp_counters",
            sys::udp_counters().is_some(),
            "/proc/net/snmp: our counts are checked against the kernel's",
            "no /proc/net/snmp: our counts are not cross-checked",
        ),
        (
            "backlog_drops",
            sys::backlog_drops().is_some(),
            "/proc/net/softnet_stat: loss at a CPU's full backlog is counted",
            "no /proc/net/softnet_stat: loss at a CPU's full backlog stays unaccounted",
        ),
        (
            "device_drops",
            sys::device_drops(None).is_some(),
            "/proc/net/dev: what interfaces drop is counted",
            "no /proc/net/dev: what interfaces drop stays unaccounted",
        ),
    ];
    let feature = |(name, available, there, missing): (&str, bool, &str, &str)| {
        let detail = if available { there } else { missing }.to_owned();
        Capability { name: name.to_owned(), available, detail }
    };
    let mut found = crate::engine::table::probe();
    found.extend([engines::kernel_timestamps(), engines::send_timestamps()]);
    found.extend(features.map(feature));
    let thread_cpu = feature((
        "thread_cpu",
        sys::thread_cpu_ns().is_some(),
        "CPU time of each worker is known",
        "CPU time of workers is not known",
    ));
    found.extend([ipv6(), affinity(allowed_cpus), thread_cpu]);
    found
}

fn ipv6() -> Capability {
    let bound = UdpSocket::bind("[::1]:0");
    let there = |_| "UDP sockets on ::1".to_owned();
    engines::capability(
        "ipv6",
        bound.map(there).map_err(|error| format!("no UDP socket on ::1: {error}")),
    )
}

/// Pins a separate thread, so that the caller keeps its CPUs.
fn affinity(allowed_cpus: &[usize]) -> Capability {
    let pinned = allowed_cpus.first().map_or_else(
        || Err("the system does not report CPUs".to_owned()),
        |&cpu| {
            let try_it = move || pin_to(cpu).map_err(|error| error.to_string());
            let thread = Builder::new().name("udperf-pin".to_owned()).spawn(try_it);
            let pinned = thread.ok().and_then(|thread| thread.join().ok());
            pinned.unwrap_or_else(|| Err("no thread could be started".to_owned()))
        },
    );
    let there = |()| "threads stay on the CPU they are pinned to".to_owned();
    engines::capability("affinity", pinned.map(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_is_named_once_and_explained() {
        let found = probe(&[]);
        let names: std::collections::BTreeSet<_> =
            found.iter().map(|can| can.name.as_str()).collect();
        assert_eq!(names.len(), found.len());
        let tried = crate::engine::ENGINES.iter().filter(|row| row.probe.is_some());
        assert!(tried.map(|row| row.word).all(|word| names.contains(word)));
        assert!(found.iter().all(|can| !can.detail.is_empty()));
    }

    #[test]
    fn probing_leaves_the_caller_where_it_was() {
        let before = sys::affinity();
        probe(&before.clone().unwrap_or_default());
        assert_eq!(sys::affinity(), before);
    }
}
