use crate::document::Host;
use crate::host::HostFacts;

/// The host in the document.
pub fn host(facts: &HostFacts) -> Host {
    let facts = facts.clone();
    let count = |number: usize| number as u64;
    let cpus = facts.allowed_cpus.len();
    copy_fields!(Host from facts {
        hostname, kernel, kernel_command_line, cpu_model, mitigations, siblings, isolated_cpus,
        nohz_full_cpus, cgroup, smt_active, turbo, governor, rmem_max, wmem_max, netdev_max_backlog,
        max_dgram_qlen, sysctls, device, clocksource, virtualization, container, steal_share,
        slow_share, load_average, others_running, clock_cost_ns, clock_step_ns, capabilities,
    }
        cores: (cpus > 0).then(|| count(cpus)),
        online_cpus: facts.online_cpus.map(count),
        cpu_limit: facts.cpu_limit.map(count),
        sleep_error_p50_ns: facts.sleep_error_ns.map(|(p50, _)| p50),
        sleep_error_max_ns: facts.sleep_error_ns.map(|(_, max)| max),
        peer: None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::host_checks::tests::good_host;

    #[test]
    fn has_only_known_facts() {
        let known = host(&good_host());
        assert_eq!((known.cores, known.sleep_error_max_ns), (Some(4), Some(9_000)));
        assert_eq!(known.capabilities[0].name, "plain");
        assert_eq!(host(&HostFacts::default()), Host::default());
    }
}
