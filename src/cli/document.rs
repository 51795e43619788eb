//! What a document has beside its cells: who made it, when, from what, and on which host.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::error::CliError;
use crate::document::{Cell, Head, MAX_MISSED, Report, SCHEMA, Tool};
use crate::engine::URING_IS_BUILT_IN;
use crate::host;
use crate::host::HostFacts;
use crate::host::Throttle;
use crate::plan::{Plan, Scenario};
use crate::report::{self, HostRequirements};

pub(super) fn assemble(
    kind: &str,
    plan: &Plan,
    facts: &HostFacts,
    cells: Vec<Cell>,
    started_at: SystemTime,
) -> Result<Report, CliError> {
    let scenario = serde_json::to_value(&plan.scenario)
        .map_err(|error| CliError::Render { what: "scenario", reason: error.to_string() })?;
    let Head { schema, kind, tool, command, started_at, host } = head(kind, started_at, facts);
    Ok(Report {
        schema,
        kind,
        tool,
        command,
        started_at,
        host,
        scenario,
        clock: None,
        input: None,
        choice: None,
        path_mtu: None,
        cpu_throttling: None,
        warnings: report::left_out(&plan.left_out)
            .chain(report::over_loopback(&plan.scenario))
            .chain(report::host_warnings(facts, HostRequirements::of(plan)))
            .collect(),
        valid: true,
        invalid_because: Vec::new(),
        max_missed: MAX_MISSED,
        gates: Vec::new(),
        cells,
    })
}

pub(super) fn head(kind: &str, started_at: SystemTime, facts: &HostFacts) -> Head {
    Head {
        schema: SCHEMA.to_owned(),
        kind: kind.to_owned(),
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: option_env!("UDPERF_GIT").map(str::to_owned),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            features: URING_IS_BUILT_IN.then(|| "uring".to_owned()).into_iter().collect(),
        },
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        started_at: humantime::format_rfc3339_millis(started_at).to_string(),
        host: report::host(facts),
    }
}

/// Adds what this host reports after the run: the path MTU, and throttling by a CPU quota.
pub(super) fn add_host_facts(
    report: &mut Report,
    scenario: &Scenario,
    towards: Option<SocketAddr>,
    throttle: &Throttle,
) {
    if let Some(target) = towards.filter(|_| scenario.route.sends()) {
        let Scenario { bind, ip, .. } = scenario;
        report.path_mtu = host::path_mtu(target, *bind, ip.dev.as_deref());
        let warnings: Vec<_> = report::size_warnings(report, target.is_ipv6(), ip.df).collect();
        report.warnings.extend(warnings);
    }
    if let Some((document, told)) = throttle.end().as_ref().map(report::throttled) {
        report.cpu_throttling = Some(document);
        report.warnings.extend(told);
    }
}
