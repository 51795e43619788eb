//! Checks of what a host does to a measurement, all in one table; `warning_codes` explains their
//! codes.

mod check;
mod clock;
mod cpus;
mod device;
mod system;
mod wants;

use crate::document;
use crate::document::Warning;
use crate::measure::HostFacts;
use crate::plan::Scenario;
pub use check::{Grade, HostCheck};
pub use wants::HostRequirements;
pub(crate) use wants::cores_here;

/// A check: `None` where the host does not tell what it needs, or has nothing of the kind.
type Check = fn(&HostFacts, HostRequirements<'_>) -> Option<HostCheck>;

/// All checks, in the order of the report.
const CHECKS: &[Check] = &[
    system::debug_build,
    cpus::few_cores,
    cpus::smt_siblings,
    cpus::isolated_cpus,
    cpus::cpu_quota,
    cpus::busy_host,
    cpus::governor,
    device::turbo,
    device::mitigations,
    system::virtual_machine,
    system::container,
    system::rmem_max,
    system::wmem_max,
    system::netdev_max_backlog,
    device::offload,
    clock::clocksource,
    clock::clock_cost,
    clock::clock_step,
    clock::sleep_error,
    system::missing_capability,
];

/// All that is to be said about a host, for a run that wants this of it.
#[must_use]
pub fn check_host(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<HostCheck> {
    CHECKS.iter().filter_map(|check| check(host, wants)).collect()
}

/// Findings that are no warnings of a run: cells know what their sockets were granted, and what the
/// hypervisor took (`stolen`); the head of the report shows hypervisor and governor.
const SHOWN_ELSEWHERE: &[&str] = &["rmem_max", "wmem_max", "virtual_machine", "governor"];

/// What of the host affects this run.
#[must_use]
pub fn host_warnings(host: &HostFacts, wants: HostRequirements<'_>) -> Vec<Warning> {
    check_host(host, wants)
        .iter()
        .filter(|finding| finding.grade >= Grade::Warn && !SHOWN_ELSEWHERE.contains(&finding.code))
        .map(|finding| Warning { code: finding.code.to_owned(), message: finding.message() })
        .collect()
}

/// What the sink's host does to this run: by codes and in words that say whose host it is.
#[must_use]
pub fn sink_warnings(host: &HostFacts, scenario: &Scenario) -> Vec<Warning> {
    let of_sink = |warning: Warning| Warning {
        code: format!("sink_{}", warning.code),
        message: format!("sink: {}", warning.message),
    };
    host_warnings(host, HostRequirements::of_sink(scenario)).into_iter().map(of_sink).collect()
}

/// The host in the document.
#[must_use]
pub fn host(facts: &HostFacts) -> document::Host {
    let count = |number: usize| number as u64;
    let capabilities = facts.capabilities.iter().map(|can| document::Capability {
        name: can.name.to_owned(),
        available: can.available,
        detail: can.detail.clone(),
    });
    document::Host {
        hostname: facts.hostname.clone(),
        kernel: facts.kernel.clone(),
        kernel_command_line: facts.kernel_command_line.clone(),
        cpu_model: facts.cpu_model.clone(),
        mitigations: facts.mitigations.clone(),
        cores: (!facts.allowed_cpus.is_empty()).then(|| count(facts.allowed_cpus.len())),
        siblings: facts.siblings.clone(),
        online_cpus: facts.online_cpus.map(count),
        cpu_limit: facts.cpu_limit.map(count),
        isolated_cpus: facts.isolated_cpus.clone(),
        nohz_full_cpus: facts.nohz_full_cpus.clone(),
        cgroup: facts.cgroup.as_ref().map(device::cgroup),
        smt_active: facts.smt_active,
        turbo: facts.turbo,
        governor: facts.governor.clone(),
        rmem_max: facts.rmem_max,
        wmem_max: facts.wmem_max,
        netdev_max_backlog: facts.netdev_max_backlog,
        max_dgram_qlen: facts.max_dgram_qlen,
        sysctls: facts.sysctls.clone(),
        device: facts.device.as_ref().map(device::device),
        clocksource: facts.clocksource.clone(),
        virtualization: facts.virtualization.clone(),
        container: facts.container.clone(),
        steal_share: facts.steal_share,
        load_average: facts.load_average,
        others_running: facts.others_running,
        clock_cost_ns: facts.clock_cost_ns,
        clock_step_ns: facts.clock_step_ns,
        sleep_error_p50_ns: facts.sleep_error_ns.map(|(p50, _)| p50),
        sleep_error_max_ns: facts.sleep_error_ns.map(|(_, max)| max),
        capabilities: capabilities.collect(),
        peer: None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measure::ProbeResult;
    use crate::plan::{EnginePair, EngineWord, Machine, Pinning, Plan, Route};
    use crate::unit::{Nanos, PayloadSize, Rate};

    /// A host on which nothing is to be said.
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
            capabilities: vec![ProbeResult {
                name: "plain".into(),
                available: true,
                detail: "works".into(),
            }],
            debug_build: false,
        }
    }

    /// What a check says of a host that differs from the good one by this.
    pub(crate) fn found(
        code: &str,
        wants: HostRequirements<'_>,
        change: impl FnOnce(&mut HostFacts),
    ) -> HostCheck {
        let mut host = good_host();
        change(&mut host);
        check_host(&host, wants)
            .into_iter()
            .find(|finding| finding.code == code)
            .expect("the check has something to say")
    }

    /// A plan for a machine of two CPUs.
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
    fn a_plan_tells_what_it_wants() {
        let flat_out = plan(Pinning::Auto, vec![Rate::Max]);
        let wants = HostRequirements::of(&flat_out);
        assert_eq!((wants.socket_buffer, wants.threads, wants.paced), (65_536, 1, false));
        assert_eq!((wants.tx_cores, wants.rx_cores), (&[Some(0)][..], &[Some(1)][..]));
        assert!(HostRequirements::of(&plan(Pinning::Off, vec![Rate::OfMax(0.5)])).paced);
    }

    #[test]
    fn each_end_wants_what_it_has() {
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

    #[test]
    fn a_good_host_raises_no_doubt() {
        let wants = HostRequirements::default();
        let doubts: Vec<_> = check_host(&good_host(), wants)
            .into_iter()
            .filter(|finding| finding.grade != Grade::Good)
            .collect();
        assert_eq!(doubts, []);
        assert_eq!(host_warnings(&good_host(), wants), []);
    }

    #[test]
    fn an_unknown_host_is_not_accused() {
        let doubts: Vec<_> = check_host(&HostFacts::default(), HostRequirements::default())
            .into_iter()
            .filter(|finding| finding.grade > Grade::Note)
            .collect();
        assert_eq!(doubts, []);
    }

    #[test]
    fn standing_facts_of_a_host_are_no_warnings_of_a_run() {
        let mut host = good_host();
        (host.governor, host.rmem_max) = (Some("powersave".into()), Some(212_992));
        host.virtualization = Some("KVM".into());
        assert_eq!(host_warnings(&host, HostRequirements::default()), []);
        host.debug_build = true;
        let warnings = host_warnings(&host, HostRequirements::default());
        let codes: Vec<_> = warnings.iter().map(|warning| &*warning.code).collect();
        assert_eq!(codes, ["debug_build"]);
        assert_eq!(
            warnings[0].message,
            "this udperf was built without optimisation; cargo build --release"
        );
    }

    #[test]
    fn the_document_gets_what_is_known_and_no_more() {
        let known = host(&good_host());
        assert_eq!(known.cores, Some(4));
        assert_eq!(known.sleep_error_max_ns, Some(9_000));
        assert_eq!(known.capabilities[0].name, "plain");
        let unknown = host(&HostFacts::default());
        assert_eq!(unknown, document::Host::default());
    }
}
