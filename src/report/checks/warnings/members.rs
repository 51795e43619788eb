//! Warnings about one of the processes of a run on several hosts.

use super::percent;
use crate::document::{Cell, MemberDocument, Report};
use crate::report::checks::validity::part_of;
use crate::report::checks::warning_codes as codes;
use crate::unit::show_nanos;

/// The least share of its schedule that a process must miss for a warning: the default of
/// `--max-missed`.
const LEAST_SHARE: f64 = 0.01;

/// How many times the share of all others it must miss besides. Arbitrary: less is chance where
/// hosts are alike.
const FACTOR: f64 = 2.0;

/// Adds warnings to each cell in which one process kept its part of the rate less than the others,
/// or the target was unreachable for some only.
pub(crate) fn name_members(report: &mut Report) {
    let Report { cells, members, .. } = report;
    for cell in cells {
        let limit = member_limit(members, cell).map(|text| codes::MEMBER_LIMIT.warning(text));
        let outage = member_outage(members, cell).map(|text| codes::MEMBER_OUTAGE.warning(text));
        cell.warnings.extend(limit.into_iter().chain(outage));
    }
}

/// The processes for which the target was unreachable, if it was not for all.
fn member_outage(members: &[MemberDocument], cell: &Cell) -> Option<String> {
    let parts: Vec<_> =
        members.iter().filter_map(|one| Some((one, &part_of(one, cell)?.outages))).collect();
    let mut without = parts.iter().filter(|(_, outages)| !outages.is_empty());
    let (MemberDocument { rank, hostname, .. }, outages) = without.next()?;
    let others = without.count();
    let others = match others {
        _ if others + 1 == parts.len() => return None,
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    let from = show_nanos(outages.first()?.from_ns);
    Some(format!(
        "rank {rank} on {hostname}{others}: target unreachable from {from} on, not for others; \
         check its link"
    ))
}

fn member_limit(members: &[MemberDocument], cell: &Cell) -> Option<String> {
    let part = |member: &MemberDocument| {
        let schedule = part_of(member, cell)?.schedule.as_ref()?;
        Some((schedule.missed, schedule.scheduled))
    };
    let parts: Vec<_> = members.iter().filter_map(|one| Some((one, part(one)?))).collect();
    let share = |missed: u64, scheduled: u64| missed as f64 / scheduled.max(1) as f64;
    let of = |(_, (missed, scheduled)): &&(_, (u64, u64))| share(*missed, *scheduled);
    let worst = parts.iter().max_by(|one, other| of(one).total_cmp(&of(other)))?;
    let others = parts.iter().filter(|one| one.0.rank != worst.0.rank);
    let (missed, scheduled) = others.fold((0_u64, 0_u64), |sum, (_, one)| {
        (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
    });
    let (own, others) = (of(&worst), share(missed, scheduled));
    let MemberDocument { rank, hostname, .. } = worst.0;
    (scheduled > 0 && own >= LEAST_SHARE && own > FACTOR * others).then(|| {
        let (_, (own_missed, own_scheduled)) = *worst;
        let (own, others) = (percent(own_missed, own_scheduled), percent(missed, scheduled));
        format!(
            "rank {rank} on {hostname} missed {own} of its part, others {others}; free cores there"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Outage, Schedule};
    use crate::report::fixture;

    #[test]
    fn the_process_that_was_the_limit_is_named() {
        let cell = |missed| {
            let mut cell = fixture::cell("plain", 64, "1k", 1e3);
            cell.schedule = Some(Schedule { scheduled: 1_000, missed, ..Schedule::default() });
            cell
        };
        for (missed, expected) in [
            (&[0, 0, 120][..], Some("rank 2 on host2 missed 12.00% of its part, others 0.00%")),
            (&[70, 30, 30], Some("rank 0 on host0 missed 7.00% of its part, others 3.00%")),
            (&[40, 30, 30], None),
            (&[0, 5, 0], None),
            // Of one process, or of none, the cell says it.
            (&[500], None),
            (&[], None),
        ] {
            let mut report = fixture::report_of(vec![cell(missed.iter().sum())]);
            let member = |(rank, &missed): (u64, &u64)| MemberDocument {
                rank,
                hostname: format!("host{rank}"),
                cells: vec![cell(missed)],
                ..MemberDocument::default()
            };
            report.members = (0..).zip(missed).map(member).collect();
            name_members(&mut report);
            let text = report.cells[0].warnings.iter().map(|one| one.message.clone()).next();
            let expected = expected.map(|text| format!("{text}; free cores there"));
            assert_eq!(text, expected, "{missed:?}");
        }
    }

    #[test]
    fn a_process_without_the_target_for_a_while_is_named() {
        let outage = || Outage { from_ns: 1_200_000_000, ..Outage::default() };
        for (with, expected) in [
            (&[][..], None),
            (&[1][..], Some("rank 1 on host1")),
            (&[0, 2], Some("rank 0 on host0 (and 1 more)")),
            // Then it is the target that was down, which the cell says.
            (&[0, 1, 2], None),
        ] {
            let mut report = fixture::report_of(vec![fixture::cell("plain", 64, "1k", 1e3)]);
            let member = |rank: u64| {
                let mut cell = fixture::cell("plain", 64, "1k", 1e3);
                cell.outages = with.iter().filter(|one| **one == rank).map(|_| outage()).collect();
                let hostname = format!("host{rank}");
                MemberDocument { rank, hostname, cells: vec![cell], ..MemberDocument::default() }
            };
            report.members = (0..3).map(member).collect();
            name_members(&mut report);
            let text = report.cells[0].warnings.iter().map(|one| one.message.clone()).next();
            let rest = "target unreachable from 1.20 s on, not for others; check its link";
            let expected = expected.map(|text| format!("{text}: {rest}"));
            assert_eq!(text, expected, "{with:?}");
        }
    }
}
