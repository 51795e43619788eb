use super::*;
use crate::document::{Capability, Device};
use crate::plan::{EnginePair, EngineWord, Machine, Pinning, Plan, Route};
use crate::unit::{Nanos, PayloadSize, Rate};
use Grade::{Bad, Good, Note, Warn};

const DEFAULT: HostRequirements<'static> = HostRequirements::DEFAULT;

pub(crate) fn good_host() -> HostFacts {
    HostFacts {
        hostname: Some("bench".into()),
        kernel: Some("Linux 6.18.44".into()),
        cpu_model: Some("AMD EPYC".into()),
        mitigations: Some([("meltdown".into(), "Not affected".into())].into()),
        allowed_cpus: vec![0, 1, 2, 3],
        siblings: vec![vec![0], vec![1], vec![2], vec![3]],
        online_cpus: Some(4),
        cpu_limit: Some(4),
        smt_active: Some(false),
        turbo: Some(false),
        governor: Some("performance".into()),
        rmem_max: Some(16 << 20),
        wmem_max: Some(16 << 20),
        netdev_max_backlog: Some(1_000),
        clocksource: Some("tsc".into()),
        steal_share: Some(0.0),
        slow_share: Some(0.0),
        load_average: Some(0.1),
        others_running: Some(0),
        clock_cost_ns: Some(24.0),
        clock_step_ns: Some(10),
        sleep_error_ns: Some((2_000, 9_000)),
        capabilities: vec![capability("plain", true, "works")],
        ..HostFacts::default()
    }
}

fn capability(name: &str, available: bool, detail: &str) -> Capability {
    Capability { name: name.into(), available, detail: detail.into() }
}

pub(crate) fn plan(pin: Pinning, rates: Vec<Rate>) -> Plan {
    let scenario = Scenario {
        sizes: vec![PayloadSize::Fixed(64)],
        engines: vec![EngineWord::Pair(EnginePair::PLAIN)],
        rates,
        warmup: Nanos::ZERO,
        pin,
        socket_buffer: 65_536,
        ..Scenario::default()
    };
    let machine = Machine { cpus: vec![0, 1], ..Machine::default() };
    Plan::new(scenario, &machine).expect("it is sound")
}

#[test]
fn requirements_follow_the_plan() {
    let flat_out = plan(Pinning::Auto, vec![Rate::Max]);
    let local = HostRequirements::of(&flat_out);
    assert_eq!((local.socket_buffer, local.threads, local.paced), (65_536, 1, false));
    assert_eq!((local.tx_cores, local.rx_cores), (&[Some(0)][..], &[Some(1)][..]));
    let mut forward = plan(Pinning::Auto, vec![Rate::OfMax(0.5)]);
    forward.scenario.route = Route::Forward;
    let (here, there) =
        (HostRequirements::of(&forward), HostRequirements::of_sink(&forward.scenario));
    assert_eq!((here.tx_cores, here.rx_cores), (&[Some(0)][..], &[][..]));
    assert_eq!((here.workers(), here.paced), (1, true));
    assert_eq!((there.workers(), there.paced), (1, false));
    forward.scenario.route = Route::Both;
    assert_eq!(HostRequirements::of_sink(&forward.scenario).workers(), 2);
    let host = HostFacts { others_running: Some(4), ..good_host() };
    let found = sink_warnings(&host, &forward.scenario);
    assert_eq!(found[0].code, "sink_busy_host");
    assert!(found[0].message.starts_with("sink: 4 other threads and 2 workers"), "{found:?}");
    assert!(found.iter().all(|found| found.code.starts_with("sink_")));
}

const fn threads(threads: usize) -> HostRequirements<'static> {
    HostRequirements { threads, ..DEFAULT }
}

const CORES: &[Option<usize>] = &[Some(0), Some(1), Some(2)];

fn pinned(tx: usize, rx: usize) -> HostRequirements<'static> {
    HostRequirements { tx_cores: &CORES[tx..=tx], rx_cores: &CORES[rx..=rx], ..DEFAULT }
}

/// A check, how the host differs from the good one, the grade, and the finding with its fix as in
/// `doctor`: empty if it does not matter, its beginning if it ends in `…`.
type Case = (&'static str, HostRequirements<'static>, fn(&mut HostFacts), Grade, &'static str);

#[track_caller]
fn expect(cases: &[Case]) {
    for (code, needs, change, grade, text) in cases {
        let mut host = good_host();
        change(&mut host);
        let all = check_host(&host, *needs);
        let check = all.into_iter().find(|check| check.code.name == *code).unwrap();
        if check.grade >= Warn {
            let message = check.message();
            assert!(message.len() <= 94, "beside the prefix of a sink: {message}");
            let (_, advice) = message.rsplit_once("; ").unwrap();
            assert!(!advice.is_empty(), "{code}: {message}");
        }
        let found = check.found + &check.fix.map_or_else(String::new, |fix| format!(" $ {fix}"));
        let is_same = match text.strip_suffix('…') {
            Some(beginning) => found.starts_with(beginning),
            None => text.is_empty() || found == *text,
        };
        assert!(check.grade == *grade && is_same, "{code}: {:?} {found}", check.grade);
    }
}

fn hpet(host: &mut HostFacts, cost_ns: Option<f64>) {
    (host.clocksource, host.clock_cost_ns) = (Some("hpet".into()), cost_ns);
}

fn late(host: &mut HostFacts, p50_ns: u64, max_ns: u64) {
    host.sleep_error_ns = Some((p50_ns, max_ns));
}

fn paired(host: &mut HostFacts) {
    host.siblings = vec![vec![0, 2], vec![1, 3]];
}

#[test]
fn clocks_and_cpus_are_graded() {
    let flat_out = HostRequirements { paced: false, ..DEFAULT };
    let slow = "a clock read takes 1200 ns (clock source hpet) $ echo tsc…";
    let trapped = "a clock read takes 900 ns (clock source tsc)";
    let stall = "60.0 µs late, 4.00 ms at most";
    let shared = "both ends run on one physical core (CPUs 0, 2) $ udperf bench --pin 0:1";
    let isolated = "CPUs 6, 7 are isolated, but this process may not run there $ taskset -c 6,7 \
                    udperf bench --pin 6:7";
    let busy = "3 other threads and 2 workers share 4 CPUs";
    let mixed = "the frequency governor is performance, powersave $ echo performance…";
    let unknown = |h: &mut HostFacts| (h.siblings, h.smt_active) = (Vec::new(), Some(true));
    expect(&[
        ("clocksource", DEFAULT, |h| hpet(h, Some(1_200.0)), Note, ""),
        ("clocksource", DEFAULT, |h| hpet(h, None), Warn, ""),
        ("clock_cost", DEFAULT, |h| hpet(h, Some(1_200.0)), Warn, slow),
        // tsc in a virtual machine that traps it: another source would not help.
        ("clock_cost", DEFAULT, |h| h.clock_cost_ns = Some(900.0), Warn, trapped),
        ("clock_step", DEFAULT, |h| h.clock_step_ns = Some(100), Good, ""),
        ("clock_step", DEFAULT, |h| h.clock_step_ns = Some(101), Note, ""),
        ("clock_step", DEFAULT, |h| h.clock_step_ns = Some(1_000), Note, ""),
        ("clock_step", DEFAULT, |h| h.clock_step_ns = Some(1_001), Warn, ""),
        ("slow_cpu", DEFAULT, |h| h.slow_share = Some(0.02), Good, "steady"),
        ("slow_cpu", DEFAULT, |h| h.slow_share = Some(0.08), Warn, "much slower…"),
        ("sleep_error", DEFAULT, |h| late(h, 150_000, 900_000), Warn, ""),
        ("sleep_error", flat_out, |h| late(h, 150_000, 900_000), Note, ""),
        ("sleep_error", DEFAULT, |h| late(h, 60_000, 4_000_000), Note, stall),
        ("few_cores", DEFAULT, |h| h.allowed_cpus = vec![3], Warn, "there is only one CPU"),
        ("few_cores", threads(3), |_| {}, Warn, "6 workers share 4 CPUs"),
        ("few_cores", DEFAULT, |h| h.allowed_cpus.clear(), Note, ""),
        ("few_cores", threads(2), |_| {}, Good, ""),
        ("smt_siblings", pinned(0, 2), paired, Warn, shared),
        ("smt_siblings", pinned(0, 1), paired, Good, ""),
        // The same CPU twice has a warning of the cell.
        ("smt_siblings", pinned(0, 0), paired, Good, ""),
        ("smt_siblings", threads(2), paired, Warn, "4 workers would run on 2 physical cores"),
        ("smt_siblings", DEFAULT, unknown, Note, ""),
        ("isolated_cpus", DEFAULT, |h| h.isolated_cpus = Some(vec![6, 7]), Note, isolated),
        ("isolated_cpus", DEFAULT, |h| h.isolated_cpus = Some(vec![3]), Good, ""),
        ("cpu_quota", DEFAULT, |h| h.cpu_limit = Some(1), Warn, ""),
        ("busy_host", DEFAULT, |h| h.others_running = Some(2), Good, ""),
        ("busy_host", DEFAULT, |h| h.others_running = Some(3), Warn, busy),
        ("busy_host", threads(4), |_| {}, Good, ""),
        ("busy_host", DEFAULT, |h| h.load_average = Some(3.9), Note, ""),
        ("governor", DEFAULT, |h| h.governor = Some("performance, powersave".into()), Warn, mixed),
    ]);
}

fn device(gso: bool, gro: bool) -> Option<Device> {
    let offloads = [("tx-generic-segmentation".into(), gso), ("rx-gro".into(), gro)];
    Some(Device { name: "eth0".into(), offloads: Some(offloads.into()), ..Device::default() })
}

fn kvm(host: &mut HostFacts, steal_share: Option<f64>) {
    (host.virtualization, host.steal_share) = (Some("KVM".into()), steal_share);
}

fn mitigations(host: &mut HostFacts, states: &[&str]) {
    let states = states.iter().enumerate().map(|(at, state)| (at.to_string(), (*state).into()));
    host.mitigations = Some(states.collect());
}

fn boot(host: &mut HostFacts, line: &str) {
    host.kernel_command_line = Some(line.into());
}

fn lack(host: &mut HostFacts, name: &str) {
    host.capabilities.push(capability(name, false, "not here"));
}

#[test]
fn settings_are_graded() {
    let modest = HostRequirements { socket_buffer: 65_536, ..DEFAULT };
    let limit = "net.core.rmem_max is 208 KiB, but 4 MiB are requested $ sysctl -w \
                 net.core.rmem_max=4194304";
    let stolen = "a virtual machine under KVM that took 0.04 % of CPU time since boot";
    let debug = "this udperf was built without optimisation $ cargo build --release";
    let no_drops = "1 of 2 missing (socket_drops)";
    let no_plain = "the plain engine does not work here: not here";
    let mitigated = |h: &mut HostFacts| {
        mitigations(h, &["Not affected", "Vulnerable", "Mitigation: Retpolines; IBPB: conditional"])
    };
    let unaffected = |h: &mut HostFacts| mitigations(h, &["Not affected"]);
    let no_offload = |h: &mut HostFacts| h.device = device(false, false);
    let vulnerable = |h: &mut HostFacts| {
        mitigations(h, &["Vulnerable", "Vulnerable: no microcode", "Not affected"])
    };
    expect(&[
        ("turbo", DEFAULT, |h| h.turbo = Some(true), Note, ""),
        ("turbo", DEFAULT, |_| {}, Good, ""),
        ("mitigations", DEFAULT, |h| boot(h, "quiet mitigations=off panic=1"), Note, ""),
        ("mitigations", DEFAULT, |h| boot(h, "mitigations=auto,nosmt"), Good, ""),
        ("mitigations", DEFAULT, mitigated, Good, "on for 1 of 3 flaws"),
        ("mitigations", DEFAULT, vulnerable, Note, "on for 0 of 3 flaws; vulnerable by 2"),
        ("mitigations", DEFAULT, unaffected, Good, "on for 0 of 1 flaws"),
        ("device_offload", DEFAULT, no_offload, Note, "off on eth0: GSO, GRO"),
        ("debug_build", DEFAULT, |h| h.debug_build = true, Bad, debug),
        ("rmem_max", DEFAULT, |h| h.rmem_max = Some(212_992), Warn, limit),
        ("wmem_max", modest, |h| h.wmem_max = Some(212_992), Good, ""),
        ("netdev_max_backlog", DEFAULT, |h| h.netdev_max_backlog = Some(300), Note, ""),
        ("virtual_machine", DEFAULT, |h| kvm(h, Some(0.0004)), Note, stolen),
        ("virtual_machine", DEFAULT, |h| kvm(h, None), Note, "a virtual machine under KVM"),
        ("virtual_machine", DEFAULT, |h| kvm(h, Some(0.03)), Warn, ""),
        ("container", DEFAULT, |h| h.container = Some("docker".into()), Note, ""),
        ("missing_capability", DEFAULT, |h| lack(h, "plain"), Bad, no_plain),
        ("missing_capability", DEFAULT, |h| lack(h, "ipv6"), Note, ""),
        ("missing_capability", DEFAULT, |h| lack(h, "socket_drops"), Warn, no_drops),
    ]);
}

#[test]
fn only_findings_that_affect_a_run_are_warnings() {
    let codes_above = |host: &HostFacts, grade: Grade| -> Vec<_> {
        let checks = check_host(host, DEFAULT).into_iter();
        checks.filter(|check| check.grade > grade).map(|check| check.code.name).collect()
    };
    assert_eq!(codes_above(&good_host(), Good), [""; 0]);
    assert_eq!(codes_above(&HostFacts::default(), Note), [""; 0], "nothing is known of this host");
    let quiet = HostFacts { cpu_limit: Some(2), device: device(true, true), ..good_host() };
    let codes: Vec<_> = check_host(&quiet, DEFAULT).iter().map(|check| check.code.name).collect();
    assert!(!codes.contains(&"cpu_quota") && !codes.contains(&"device_offload"));
    assert_eq!(host_warnings(&good_host(), DEFAULT), []);
    let mut host = HostFacts {
        governor: Some("powersave".into()),
        rmem_max: Some(212_992),
        virtualization: Some("KVM".into()),
        turbo: Some(true),
        device: device(true, false),
        ..good_host()
    };
    assert_eq!(host_warnings(&host, DEFAULT), []);
    host.debug_build = true;
    let busy = HostFacts { others_running: Some(4), ..good_host() };
    let message = "4 other threads and 2 workers share 4 CPUs; stop other programs";
    assert_eq!(host_warnings(&busy, DEFAULT), [codes::BUSY_HOST.warning(message)]);
    let message = "this udperf was built without optimisation; cargo build --release";
    assert_eq!(host_warnings(&host, DEFAULT), [codes::DEBUG_BUILD.warning(message)]);
}
