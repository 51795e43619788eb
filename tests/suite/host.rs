//! What a document tells of its host, and what datagrams cost there.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use common::{cells, number};
use serde_json::Value;
use udperf::document::{Host, Side};
use udperf::sys;

/// One cell over loopback with a worker each that sleeps between datagrams.
fn slow_cell(words: &str) -> Value {
    common::bench(&format!("-l 64 -e plain -r 1k -n 200 --wait epoll {words}"))
}

/// A figure of a cell that is no whole number.
fn figure(cell: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(cell, |value, name| &value[name]);
    found.as_f64().unwrap_or_else(|| panic!("{path} is {found}"))
}

#[test]
fn who_sleeps_between_datagrams_leaves_its_cpu() {
    let report = slow_cell("");
    let [cell] = cells(&report) else { panic!("one cell") };
    // One call sends a datagram, another one receives it.
    assert!(figure(cell, "per_datagram.syscalls") >= 2.0, "{}", cell["per_datagram"]);
    if sys::context_switches().is_none() {
        return common::skip::unavailable(format_args!(
            "this system does not count context switches"
        ));
    }
    let switches = |side: &str| {
        let count = |kind| number(cell, &format!("{side}.context_switches.{kind}"));
        count("voluntary") + count("involuntary")
    };
    assert!(switches("tx") + switches("rx") > 0);
    let received = number(cell, "ledger.received");
    let in_window = received - number(cell, "rx.datagrams_after_window");
    // The receiver's costs end with the senders' window.
    let both = |tx: u64, rx: u64| tx as f64 / received as f64 + rx as f64 / in_window as f64;
    let each = figure(cell, "per_datagram.context_switches");
    assert!((each - both(switches("tx"), switches("rx"))).abs() < 1e-9);
    let cpu = both(number(cell, "tx.cpu_ns"), number(cell, "rx.cpu_ns"));
    assert!((figure(cell, "per_datagram.cpu_ns") - cpu).abs() < 1e-6);
}

#[test]
fn instructions_are_known_with_their_kind_or_not_at_all() {
    let report = slow_cell("");
    let [cell] = cells(&report) else { panic!("one cell") };
    for side in ["tx", "rx"] {
        let (count, kind) = (&cell[side]["instructions"], &cell[side]["instructions_kind"]);
        match count.as_u64() {
            Some(count) => {
                assert!(count > 0);
                assert!(["user", "user+kernel"].contains(&kind.as_str().unwrap()), "{kind}");
            }
            None => assert!(count.is_null() && kind.is_null(), "{count} {kind}"),
        }
    }
    let known = ["tx", "rx"].iter().all(|side| cell[*side]["instructions"].is_u64());
    assert_eq!(cell["per_datagram"]["instructions"].is_f64(), known);
}

#[test]
fn what_a_datagram_costs_can_be_a_condition() {
    let of = |condition: &str| {
        let words = "bench -q -l 64 -e plain -n 100 --warmup 0 --max-missed 100%";
        let output = common::run(&format!("{words} --fail-if {condition}"));
        (output.status.code(), common::stderr(&output))
    };
    assert_eq!(of("syscalls_per_datagram>1000").0, Some(0));
    let (code, error) = of("syscalls_per_datagram>0.5");
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("syscalls_per_datagram"), "{error}");
}

#[test]
fn a_run_over_loopback_names_that_device() {
    let report = slow_cell("");
    let device = &report["host"]["device"];
    if sys::device::addresses().is_empty() {
        assert!(device.is_null(), "{device}");
        return common::skip::unavailable(format_args!("this system does not tell its devices"));
    }
    assert_eq!(device["name"], "lo");
    assert_eq!(device["mtu"], 65_536);
    assert_eq!(device["qdisc"], "noqueue");
    assert!(device["speed_mbit"].is_null() && device["irqs"].is_null(), "{device}");
    assert!(device["offloads"]["tx-checksum-ip-generic"].is_boolean(), "{device}");
}

#[test]
fn what_the_kernel_tells_of_itself_is_told_on() {
    let report = slow_cell("");
    let host = &report["host"];
    let Ok(line) = std::fs::read_to_string("/proc/cmdline") else {
        return common::skip::unavailable(format_args!("this system has no /proc/cmdline"));
    };
    if sys::host::kernel_command_line().is_none() {
        return common::skip::unavailable(format_args!("this build does not ask for it"));
    }
    let told = host["kernel_command_line"].as_str().unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert!(told.split_whitespace().all(|word| words.contains(&word)), "{told}");
    assert!(!told.contains("root="), "what tunes nothing is nobody's business: {told}");
    let read = |path: &str| std::fs::read_to_string(path).ok();
    if let Some(length) = read("/proc/sys/net/core/rmem_default") {
        assert_eq!(host["sysctls"]["net.core.rmem_default"], length.trim());
    }
    if let Some(state) = read("/sys/devices/system/cpu/vulnerabilities/meltdown") {
        assert_eq!(host["mitigations"]["meltdown"], state.trim());
    }
}

#[test]
#[cfg(all(unix, not(udperf_portable)))]
fn by_af_unix_datagrams_pass_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let output = common::run(&format!(
        "bench -J -q --warmup 0 -l 64 -e plain -n 50 -B unix:{}",
        path.display()
    ));
    assert_eq!(output.status.code(), Some(0), "{}", common::stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["host"]["device"].is_null());
    assert!(figure(&cells(&report)[0], "per_datagram.syscalls") >= 2.0);
}

#[test]
fn hosts_and_sides_of_before_are_read_still() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/results");
    let Ok(folders) = std::fs::read_dir(kept) else {
        return common::skip::unavailable(format_args!("this package comes without kept results"));
    };
    let files = folders.map(|folder| folder.unwrap().path().join("report.json"));
    let mut sides = 0;
    for file in files.filter(|file| file.exists()) {
        let mut report: Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let host: Host = serde_json::from_value(report["host"].take()).unwrap();
        assert!(host.kernel.is_some(), "{file:?}");
        for cell in report["cells"].as_array_mut().unwrap() {
            let side: Side = serde_json::from_value(cell["tx"].take()).unwrap();
            sides += u64::from(side.datagrams > 0);
        }
    }
    assert!(sides > 0);
}
