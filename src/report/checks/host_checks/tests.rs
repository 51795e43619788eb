use super::*;
use crate::document::{Capability, Device};
use crate::plan::{EnginePair, EngineWord, Machine, Pinning, Plan, Route};
use crate::unit::{Nanos, PayloadSize, Rate};
use Grade::{Bad, Good, Note, Warn};

pub(crate) fn good_host() -> HostFacts {
    HostFacts {
        hostname: Some("bench".into()),
        kernel: Some("Linux 6.18.44".into()),
        kernel_command_line: Some("quiet".into()),
        cpu_model: Some("AMD EPYC".into()),
        mitigations: Some([("meltdown".into(), "Not affected".into())].into()),
        allowed_cpus: vec![0, 1, 2, 3],
        siblings: vec![vec![0], vec![1], vec![2], vec![3]],
        online_cpus: Some(4),
        cpu_limit: Some(4),
        isolated_cpus: Some(Vec::new()),
        nohz_full_cpus: Some(Vec::new()),
        cgroup: None,
        smt_active: Some(false),
        turbo: Some(false),
        governor: Some("performance".into()),
        rmem_max: Some(16 << 20),
        wmem_max: Some(16 << 20),
        netdev_max_backlog: Some(1_000),
        max_dgram_qlen: Some(512),
        sysctls: [("net.core.busy_poll".into(), "0".into())].into(),
        device: None,
        clocksource: Some("tsc".into()),
        virtualization: None,
        container: None,
        steal_share: Some(0.0),
        load_average: Some(0.1),
        others_running: Some(0),
        clock_cost_ns: Some(24.0),
        clock_step_ns: Some(10),
        sleep_error_ns: Some((2_000, 9_000)),
        capabilities: vec![Capability {
            name: "plain".into(),
            available: true,
            detail: "works".into(),
        }],
        debug_build: false,
    }
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
    let wants = HostRequirements::of(&flat_out);
    assert_eq!((wants.socket_buffer, wants.threads, wants.paced), (65_536, 1, false));
    assert_eq!((wants.tx_cores, wants.rx_cores), (&[Some(0)][..], &[Some(1)][..]));
    assert!(HostRequirements::of(&plan(Pinning::Off, vec![Rate::OfMax(0.5)])).paced);
}

#[test]
fn each_host_needs_what_runs_on_it() {
    let mut forward = plan(Pinning::Auto, vec![Rate::OfMax(0.5)]);
    forward.scenario.route = Route::Forward;
    let (here, there) =
        (HostRequirements::of(&forward), HostRequirements::of_sink(&forward.scenario));
    assert_eq!((here.tx_cores, here.rx_cores), (&[Some(0)][..], &[][..]));
    assert_eq!((here.workers(), here.paced), (1, true));
    assert_eq!((there.workers(), there.paced), (1, false));
    forward.scenario.route = Route::Both;
    assert_eq!(HostRequirements::of_sink(&forward.scenario).workers(), 2);
    let mut host = good_host();
    host.others_running = Some(4);
    let found = sink_warnings(&host, &forward.scenario);
    assert_eq!(found[0].code, "sink_busy_host");
    assert!(found[0].message.starts_with("sink: 4 other threads and 2 workers"), "{found:?}");
    assert_eq!(found.iter().find(|found| !found.code.starts_with("sink_")), None);
}

const DEFAULT: HostRequirements<'static> = HostRequirements {
    socket_buffer: 4 << 20,
    threads: 1,
    sides: 2,
    tx_cores: &[],
    rx_cores: &[],
    paced: true,
};

const fn threads(threads: usize) -> HostRequirements<'static> {
    HostRequirements { threads, ..DEFAULT }
}

const CORES: &[Option<usize>] = &[Some(0), Some(1), Some(2)];

fn pinned(tx: usize, rx: usize) -> HostRequirements<'static> {
    HostRequirements { tx_cores: &CORES[tx..=tx], rx_cores: &CORES[rx..=rx], ..DEFAULT }
}

/// The check of this code, of a host that differs from the good one by this change.
#[track_caller]
fn check(
    code: &str,
    wants: HostRequirements<'_>,
    change: impl FnOnce(&mut HostFacts),
) -> (Grade, String, Option<String>) {
    let mut host = good_host();
    change(&mut host);
    let check = check_host(&host, wants).into_iter().find(|check| check.code == code).unwrap();
    (check.grade, check.found, check.fix)
}

#[test]
fn clocks_are_graded_by_what_they_cost() {
    let slow = |host: &mut HostFacts| {
        (host.clocksource, host.clock_cost_ns) = (Some("hpet".into()), Some(1_200.0));
    };
    assert_eq!(check("clocksource", DEFAULT, slow).0, Note);
    let (grade, found, fix) = check("clock_cost", DEFAULT, slow);
    assert_eq!((grade, &*found), (Warn, "a clock read takes 1200 ns (clock source hpet)"));
    assert!(fix.is_some_and(|fix| fix.starts_with("echo tsc")));
    let unknown =
        |host: &mut HostFacts| (host.clocksource, host.clock_cost_ns) = (Some("hpet".into()), None);
    assert_eq!(check("clocksource", DEFAULT, unknown).0, Warn);
    // tsc in a virtual machine that traps it: another source would not help.
    let (grade, _, fix) = check("clock_cost", DEFAULT, |host| host.clock_cost_ns = Some(900.0));
    assert_eq!((grade, fix), (Warn, None));
    let step = |ns| check("clock_step", DEFAULT, |host| host.clock_step_ns = Some(ns)).0;
    assert_eq!([1, 100, 101, 1_000, 1_001].map(step), [Good, Good, Note, Note, Warn]);
    let late = |p50, max| move |host: &mut HostFacts| host.sleep_error_ns = Some((p50, max));
    assert_eq!(check("sleep_error", DEFAULT, late(150_000, 900_000)).0, Warn);
    let flat_out = HostRequirements { paced: false, ..DEFAULT };
    assert_eq!(check("sleep_error", flat_out, late(150_000, 900_000)).0, Note);
    let (grade, found, _) = check("sleep_error", DEFAULT, late(60_000, 4_000_000));
    assert_eq!((grade, &*found), (Note, "60.0 µs late, 4.00 ms at most"));
}

#[test]
fn cpus_are_graded_by_what_workers_need() {
    let found = |code, wants, change: fn(&mut HostFacts)| {
        let (grade, found, _) = check(code, wants, change);
        (grade, found)
    };
    let is = |grade, text: &str| (grade, text.to_owned());
    let one = found("few_cores", DEFAULT, |host| host.allowed_cpus = vec![3]);
    assert_eq!(one, is(Warn, "there is only one CPU"));
    assert_eq!(found("few_cores", threads(3), |_| {}), is(Warn, "6 workers share 4 CPUs"));
    assert_eq!(found("few_cores", DEFAULT, |host| host.allowed_cpus.clear()).0, Note);
    assert_eq!(found("few_cores", threads(2), |_| {}).0, Good);
    let paired = |host: &mut HostFacts| host.siblings = vec![vec![0, 2], vec![1, 3]];
    let (grade, text, fix) = check("smt_siblings", pinned(0, 2), paired);
    assert_eq!((grade, &*text), (Warn, "both ends run on one physical core (CPUs 0, 2)"));
    assert_eq!(fix.as_deref(), Some("udperf bench --pin 0:1"));
    assert_eq!(found("smt_siblings", pinned(0, 1), paired).0, Good);
    // The same CPU twice has a warning of the cell.
    assert_eq!(found("smt_siblings", pinned(0, 0), paired).0, Good);
    let shared = is(Warn, "4 workers would run on 2 physical cores");
    assert_eq!(found("smt_siblings", threads(2), paired), shared);
    let unknown =
        |host: &mut HostFacts| (host.siblings, host.smt_active) = (Vec::new(), Some(true));
    assert_eq!(found("smt_siblings", DEFAULT, unknown).0, Note);
    let (grade, _, fix) =
        check("isolated_cpus", DEFAULT, |host| host.isolated_cpus = Some(vec![6, 7]));
    assert_eq!((grade, &*fix.unwrap()), (Note, "taskset -c 6,7 udperf bench --pin 6:7"));
    assert_eq!(found("isolated_cpus", DEFAULT, |host| host.isolated_cpus = Some(vec![3])).0, Good);
    assert_eq!(found("cpu_quota", DEFAULT, |host| host.cpu_limit = Some(1)).0, Warn);
    assert_eq!(found("busy_host", DEFAULT, |host| host.others_running = Some(2)).0, Good);
    let crowded = is(Warn, "3 other threads and 2 workers share 4 CPUs");
    assert_eq!(found("busy_host", DEFAULT, |host| host.others_running = Some(3)), crowded);
    assert_eq!(found("busy_host", threads(4), |host| host.others_running = Some(0)).0, Good);
    assert_eq!(found("busy_host", DEFAULT, |host| host.load_average = Some(3.9)).0, Note);
    let mixed = |host: &mut HostFacts| host.governor = Some("performance, powersave".into());
    let (grade, _, fix) = check("governor", DEFAULT, mixed);
    assert!(grade == Warn && fix.is_some());
}

fn device(gso: bool, gro: bool) -> Option<Device> {
    let offloads = [("tx-generic-segmentation".into(), gso), ("rx-gro".into(), gro)];
    Some(Device { name: "eth0".into(), offloads: Some(offloads.into()), ..Device::default() })
}

#[test]
fn settings_of_system_and_device_are_graded() {
    let found = |code, change: &dyn Fn(&mut HostFacts)| {
        let (grade, found, _) = check(code, DEFAULT, change);
        (grade, found)
    };
    let is = |grade, text: &str| (grade, text.to_owned());
    assert_eq!(found("turbo", &|host| host.turbo = Some(true)).0, Note);
    assert_eq!(found("turbo", &|_| {}).0, Good);
    let mitigations = |states: &[&str]| {
        let states = states.iter().enumerate();
        let states: std::collections::BTreeMap<_, _> =
            states.map(|(at, &state)| (at.to_string(), state.to_owned())).collect();
        found("mitigations", &|host| host.mitigations = Some(states.clone()))
    };
    let on =
        mitigations(&["Not affected", "Vulnerable", "Mitigation: Retpolines; IBPB: conditional"]);
    assert_eq!(on, is(Good, "on for 1 of 3 flaws"));
    let off = mitigations(&["Vulnerable", "Vulnerable: no microcode", "Not affected"]);
    assert_eq!(off, is(Note, "on for 0 of 3 flaws; vulnerable by 2"));
    assert_eq!(mitigations(&["Not affected"]), is(Good, "on for 0 of 1 flaws"));
    let line = |line: &str| {
        found("mitigations", &|host| host.kernel_command_line = Some(line.to_owned())).0
    };
    assert_eq!(line("quiet mitigations=off panic=1"), Note);
    assert_eq!(line("mitigations=auto,nosmt"), Good);
    let off = found("device_offload", &|host| host.device = device(false, false));
    assert_eq!(off, is(Note, "off on eth0: GSO, GRO"));
    let (grade, _, fix) = check("debug_build", DEFAULT, |host| host.debug_build = true);
    assert_eq!((grade, fix.as_deref()), (Bad, Some("cargo build --release")));
    let (grade, text, fix) = check("rmem_max", DEFAULT, |host| host.rmem_max = Some(212_992));
    let expected = "net.core.rmem_max is 208 KiB, but 4 MiB are requested";
    assert_eq!((grade, &*text), (Warn, expected));
    assert_eq!(fix.as_deref(), Some("sysctl -w net.core.rmem_max=4194304"));
    let modest = HostRequirements { socket_buffer: 65_536, ..DEFAULT };
    assert_eq!(check("wmem_max", modest, |host| host.wmem_max = Some(212_992)).0, Good);
    let short = found("netdev_max_backlog", &|host| host.netdev_max_backlog = Some(300));
    assert_eq!(short.0, Note);
    let under = |share: Option<f64>| {
        found("virtual_machine", &move |host| {
            (host.virtualization, host.steal_share) = (Some("KVM".into()), share);
        })
    };
    let text = "a virtual machine under KVM that took 0.04 % of CPU time since boot";
    assert_eq!(under(Some(0.0004)), is(Note, text));
    assert_eq!(under(None), is(Note, "a virtual machine under KVM"));
    assert_eq!(under(Some(0.03)).0, Warn);
    assert_eq!(found("container", &|host| host.container = Some("docker".into())).0, Note);
    let without = |name: &str| {
        let (name, detail) = (name.to_owned(), "not here".to_owned());
        let missing = Capability { name, available: false, detail };
        found("missing_capability", &|host| host.capabilities.push(missing.clone()))
    };
    assert_eq!((without("plain").0, without("ipv6").0), (Bad, Note));
    assert_eq!(without("socket_drops"), is(Warn, "1 of 2 missing (socket_drops)"));
}

#[test]
fn only_what_affects_a_run_is_a_warning_of_it() {
    assert_eq!(HostRequirements::default(), DEFAULT);
    let above = |host: &HostFacts, grade: Grade| -> Vec<_> {
        check_host(host, DEFAULT).into_iter().filter(|check| check.grade > grade).collect()
    };
    assert_eq!(above(&good_host(), Good), []);
    assert_eq!(above(&HostFacts::default(), Note), [], "nothing is known of this host");
    let quiet = HostFacts { cpu_limit: Some(2), device: device(true, true), ..good_host() };
    let codes: Vec<_> = check_host(&quiet, DEFAULT).iter().map(|check| check.code).collect();
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
    let message = "this udperf was built without optimisation; cargo build --release".to_owned();
    let warning = Warning { code: "debug_build".to_owned(), message };
    assert_eq!(host_warnings(&host, DEFAULT), [warning]);
}

#[test]
fn the_document_has_only_known_facts() {
    let known = host(&good_host());
    assert_eq!((known.cores, known.sleep_error_max_ns), (Some(4), Some(9_000)));
    assert_eq!(known.capabilities[0].name, "plain");
    assert_eq!(host(&HostFacts::default()), document::Host::default());
}
