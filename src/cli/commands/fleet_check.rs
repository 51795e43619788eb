//! `udperf fleet-check`: what the launcher started, and how well its processes begin together.

use crate::cli::error::{CliResult, Exit, usage};
use crate::cli::fleet::{Fleet, narrow};
use crate::cli::output::{print, warn_stderr};
use crate::fleet::{Leader, MemberCheck, skews_ns};
use crate::report::format::text::style::{align, counted};
use crate::unit::{median, show_nanos};

/// A clock that is known worse than this makes latencies and starts vague. Arbitrary: ten times
/// the bound that a switched network of one site gives.
const VAGUE_NS: u64 = 1_000_000;

pub(crate) fn run(rounds: u32) -> CliResult {
    let fleet = match Fleet::join(&[], |_, _| Ok(()))? {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    let Fleet::Leader(leader) = fleet else {
        return usage(
            "fleet-check tests processes that were started together; start it by mpirun or srun, \
             such as: mpirun -np 4 --host a:2,b:2 --bind-to none udperf fleet-check",
        );
    };
    let all = Leader::check(&leader.leader, rounds)?;
    print(&text(&all))?;
    warnings(&all).iter().for_each(|warning| warn_stderr(warning));
    Ok(Exit::Success)
}

fn text(all: &[MemberCheck]) -> String {
    let titles = ["rank", "host", "CPUs", "clock", "round trip", "late p50", "late max"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for one in all {
        let clock = match (one.rank, one.clock) {
            (0, _) => "reference".to_owned(),
            (_, None) => "the same".to_owned(),
            (_, Some((_, bound_ns))) => format!("± {}", show_nanos(bound_ns)),
        };
        let shown = |ns: Option<u64>| ns.map_or_else(|| "–".to_owned(), show_nanos);
        rows.push(vec![
            one.rank.to_string(),
            one.host.hostname.clone(),
            one.host.cpus.map_or_else(|| "–".to_owned(), |cpus| cpus.to_string()),
            clock,
            shown(one.min_rtt_ns),
            shown(middle(&one.late_ns)),
            shown(one.late_ns.iter().copied().max()),
        ]);
    }
    let mut hosts: Vec<_> = all.iter().map(|one| &one.host.hostname).collect();
    hosts.sort();
    hosts.dedup();
    let [ranks, hosts] = [(all.len(), "rank"), (hosts.len(), "host")]
        .map(|(count, what)| counted(count as u64, what));
    let head = format!("{ranks} on {hosts}");
    let table = align(&rows, |at| at == 1);
    format!("{head}\n\n{table}\n\n{}\n", skew_lines(&skews_ns(all)))
}

/// How far apart the processes began: a line per decade.
fn skew_lines(skews_ns: &[u64]) -> String {
    let (Some(middle), Some(most)) = (middle(skews_ns), skews_ns.iter().max()) else {
        return "no rounds".to_owned();
    };
    let mut lines = vec![format!(
        "start skew in {} rounds: p50 {}, max {}",
        skews_ns.len(),
        show_nanos(middle),
        show_nanos(*most)
    )];
    let decade = |ns: &u64| ns.max(&1).ilog10();
    let decades = skews_ns.iter().map(decade);
    let (first, last) = (decades.clone().min().unwrap_or(0), decades.max().unwrap_or(0));
    for power in first..=last {
        let count = skews_ns.iter().filter(|ns| decade(ns) == power).count();
        let bar = "█".repeat((count * BAR).div_ceil(skews_ns.len()));
        lines.push(format!("  below {:>7}  {count:>5}  {bar}", show_nanos(10_u64.pow(power + 1))));
    }
    lines.join("\n")
}

/// The longest bar in characters; arbitrary, it fits a terminal.
const BAR: usize = 40;

fn middle(values: &[u64]) -> Option<u64> {
    median(values.iter().map(|ns| *ns as f64)).map(|ns| ns as u64)
}

/// What to fix before a run, a line each.
fn warnings(all: &[MemberCheck]) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(narrow(all.iter().map(|one| &one.host)));
    let vague = |one: &&MemberCheck| one.clock.is_some_and(|(_, bound_ns)| bound_ns > VAGUE_NS);
    if let Some(one) = all.iter().find(vague) {
        warnings.push(format!(
            "the clock of rank {} on {} is known to {} only; keep the messages of MPI off busy \
             networks (btl_tcp_if_include)",
            one.rank,
            one.host.hostname,
            show_nanos(one.clock.map_or(0, |(_, bound_ns)| bound_ns))
        ));
    }
    warnings
}
