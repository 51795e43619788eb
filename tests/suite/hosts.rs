//! Names with several addresses, link-local addresses with their device, CPU quotas, and skipped
//! tests in CI.
#![cfg(all(target_os = "linux", not(udperf_portable)))]
#![allow(missing_docs, clippy::unwrap_used)]

use crate::common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{cells, number, stderr};
use serde_json::Value;

/// Loopback up, and a name with an address of either family, in namespaces of their own.
const SET_UP: &str = "\
set -e
ip link set lo up
printf '::1 both\\n127.0.0.1 both\\n' >$T/hosts; mount --bind $T/hosts /etc/hosts
serve() {
  rm -f $T/said
  $U \"$@\" -q >$T/out 2>$T/said &
  until grep -qs ' on ' $T/said; do :; done
}
stop() { kill -INT $!; wait $! || :; }
";

/// What a script prints there, and its standard error.
fn apart(script: &str) -> Option<(Vec<String>, String)> {
    common::in_namespaces(SET_UP, script)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The server is at 127.0.0.1 alone, and the name's first address is ::1.
#[test]
#[ignore = "long: scripts/check runs it"]
fn a_name_is_tried_until_an_address_works() {
    let flags = "-n 20 -r 1k --warmup 0 -q -J";
    let script = format!(
        "serve echo -B 127.0.0.1 -e plain
         $U ping both {flags}; echo ====
         $U load both:7788 --preset echo -l 64 {flags}; echo ====
         stop; serve sink -B 127.0.0.1
         $U blast both {flags}; echo ====
         $U blast both --no-peer -e plain {flags}; echo ====
         $U blast both -e plain -n 20 -r 1k --warmup 0 -J
         stop"
    );
    let Some((parts, said)) = apart(&script) else { return };
    for (part, text) in parts.iter().enumerate() {
        let report = json(text);
        let target = report["scenario"]["target"].as_str().unwrap();
        assert!(target.ends_with(" (127.0.0.1:7788)"), "{part}: {target}");
        let cell = &cells(&report)[0];
        let arrived = match part {
            0 | 1 => number(cell, "exchange.matched"),
            3 => number(cell, "ledger.sent"),
            _ => number(cell, "ledger.received"),
        };
        assert_eq!(arrived, 20, "{part}: {}", cell["ledger"]);
    }
    assert!(said.contains("[::1]:7788 does not work, trying the next address"), "{said}");
}

#[test]
#[ignore = "long: scripts/check runs it"]
fn a_family_that_is_chosen_is_the_only_one_tried() {
    let flags = "-e plain -l 64 -n 10 -r 1k --warmup 0 -q -J";
    let script = format!(
        "serve sink -B 127.0.0.1
         $U blast both -6 {flags} && exit 1 || echo $?; echo ====
         $U blast both -4 {flags}; echo ====
         stop
         $U bench --to both {flags}; echo ====
         $U bench --to both -4 {flags}; echo ====
         $U bench --to both -B 127.0.0.1 {flags}"
    );
    let Some((parts, said)) = apart(&script) else { return };
    assert_eq!(parts[0], "1\n");
    assert!(said.contains("[::1]:7788: port unreachable (ICMPv6 1/4, from ::1)"), "{said}");
    assert_eq!(json(&parts[1])["scenario"]["target"], "both (127.0.0.1:7788)");
    for (part, to) in [(2, "::1"), (3, "127.0.0.1"), (4, "127.0.0.1")] {
        let report = json(&parts[part]);
        assert_eq!(report["scenario"]["to"], to);
        assert_eq!(number(&cells(&report)[0], "ledger.received"), 10);
    }
}

#[test]
fn a_line_goes_to_the_address_that_takes_it() {
    for flags in ["", "--tcp"] {
        let script = format!(
            "echo yes >$T/yes
             serve() {{ $U \"$@\" <$T/yes >$T/out 2>$T/said & }}
             serve talk {flags} -B 127.0.0.1 --once
             until grep -qs ' on ' $T/said; do :; done
             echo hello | $U talk {flags} both --once; wait; cat $T/out"
        );
        let Some((parts, said)) = apart(&script) else { return };
        assert_eq!(parts, ["yes\nhello\n"], "{flags}: {said}");
        assert!(said.contains("[::1]:7788"), "{flags}: {said}");
    }
}

#[test]
fn a_link_local_address_is_bound_with_its_device() {
    let flags = "-n 20 -r 1k --warmup 0 -q -J";
    let script = format!(
        "ip link add v0 type veth peer name v1
         ip addr add fe80::5/64 dev v0 nodad; ip link set v0 up; ip link set v1 up
         $U bench -B fe80::5%v0 -e plain -l 64 {flags}; echo ====
         serve sink -B fe80::5%v0
         $U blast '[fe80::5%v0]' -B fe80::5%v0 -e plain {flags}; echo ====
         stop; serve echo -B fe80::5%v0 -e plain
         $U ping '[fe80::5%v0]' {flags}
         stop
         $U talk -B '[fe80::5%v0]:7788' --once </dev/null >$T/out 2>$T/said &
         until grep -qs ' on ' $T/said; do :; done
         $U talk '[fe80::5%v0]' --linger 1ms </dev/null
         kill -INT $!; wait $! || :"
    );
    let Some((parts, said)) = apart(&script) else { return };
    for part in &parts[..2] {
        let report = json(part);
        let cell = &cells(&report)[0];
        assert_eq!(number(cell, "ledger.received"), 20, "{said}: {}", cell["ledger"]);
    }
    assert_eq!(number(&cells(&json(&parts[2]))[0], "exchange.matched"), 20);
    assert_eq!(json(&parts[0])["scenario"]["ip"]["dev"], "v0");
}

/// A control group with a quota of a tenth of a CPU, removed when dropped.
struct Quota(PathBuf);

impl Quota {
    fn make() -> Option<Self> {
        let name = format!("udperf-test-{}", std::process::id());
        let (v1, v2) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let is_v1 = v1.join("cpu.cfs_quota_us").exists();
        let group = Self(if is_v1 { v1 } else { v2 }.join(name));
        let set = |file: &str, text: &str| fs::write(group.0.join(file), text);
        let made = fs::create_dir(&group.0).and_then(|()| match is_v1 {
            true => {
                set("cpu.cfs_period_us", "20000").and_then(|()| set("cpu.cfs_quota_us", "2000"))
            }
            false => set("cpu.max", "2000 20000"),
        });
        if let Err(error) = made {
            // A container may be kept from its groups although it is root.
            common::skip::unavailable(format_args!("no CPU quota can be set here: {error}"));
            return None;
        }
        Some(group)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cpu_quota_is_named_with_its_counters() {
    let Some(group) = Quota::make() else { return };
    let run = |enter: &str| {
        let script = format!("{enter} exec $U bench -e plain -l 64 -t 200ms -r max -q -J");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("U", env!("CARGO_BIN_EXE_udperf"))
            .env("G", &group.0)
            .output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        json(&String::from_utf8(output.stdout).unwrap())
    };
    let report = run("echo $$ >$G/cgroup.procs;");
    let found = &report["cpu_throttling"];
    assert_eq!(found["cpu_max"], "2000 20000", "{found}");
    let (times, time) = (number(found, "nr_throttled"), number(found, "throttled_ns"));
    assert!(times > 0 && time > 0, "{found}");
    let warnings = report["warnings"].as_array().unwrap();
    let told = warnings.iter().find(|one| one["code"] == "cpu_throttled").unwrap();
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("cpu.max 2000 20000"), "{message}");
    assert!(message.contains(&format!("nr_throttled {times}")), "{message}");
    assert_ne!(run("")["cpu_throttling"]["cpu_max"], "2000 20000");
}

/// Has this test run once more to skip itself.
const SKIPS: &str = "UDPERF_TEST_SKIPS";

#[test]
fn what_is_missing_fails_in_ci_and_what_cannot_be_had_does_not() {
    let name = "hosts::what_is_missing_fails_in_ci_and_what_cannot_be_had_does_not";
    match std::env::var(SKIPS).as_deref() {
        Ok("missing") => return common::skip::missing("a program"),
        Ok(_) => return common::skip::unavailable("an engine"),
        Err(_) => {}
    }
    let skips = |how: &str, ci: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let command = command.args(["--exact", name, "--nocapture"]).env(SKIPS, how).env("CI", ci);
        let output = command.output().unwrap();
        let why = if how == "missing" { "a program" } else { "an engine" };
        assert!(stderr(&output).contains(why), "{how} {ci}: {}", stderr(&output));
        output.status.success()
    };
    assert!(!skips("missing", "true"));
    for (how, ci) in [("missing", ""), ("missing", "false"), ("unavailable", "true")] {
        assert!(skips(how, ci), "{how} {ci}");
    }
}
