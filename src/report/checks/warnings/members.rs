//! Warnings about one of the processes of a run on several hosts.

use super::percent;
use crate::document::{Cell, MemberDocument, Report};
use crate::report::checks::warning_codes as codes;

/// The least share of its schedule that a process must miss for a warning: the default of
/// `--max-missed`.
const LEAST_SHARE: f64 = 0.01;

/// How many times the share of all others it must miss besides. Arbitrary: less is chance where
/// hosts are alike.
const FACTOR: f64 = 2.0;

/// Adds a warning to each cell in which one process kept its part of the rate less than the others.
pub(crate) fn name_limits(report: &mut Report) {
    let Report { cells, members, .. } = report;
    for cell in cells {
        let text = member_limit(members, cell);
        cell.warnings.extend(text.map(|text| codes::MEMBER_LIMIT.warning(text)));
    }
}

fn member_limit(members: &[MemberDocument], cell: &Cell) -> Option<String> {
    let part = |member: &MemberDocument| {
        let is_same = |part: &&Cell| {
            (&part.id, part.trial, &part.direction) == (&cell.id, cell.trial, &cell.direction)
        };
        let schedule = member.cells.iter().find(is_same)?.schedule.as_ref()?;
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
    use crate::document::Schedule;
    use crate::report::fixture;

    #[test]
    fn the_process_that_was_the_limit_is_named() {
        let cell = |missed| {
            let mut cell = fixture::cell("plain", 64, "1k", 1e3);
            cell.schedule = Some(Schedule { scheduled: 1_000, missed, ..Schedule::default() });
            cell
        };
        for (missed, expected) in [
            (&[0, 0, 120][..], Some("rank 2 on host2 missed 12.00 % of its part, others 0.00 %")),
            (&[70, 30, 30], Some("rank 0 on host0 missed 7.00 % of its part, others 3.00 %")),
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
            name_limits(&mut report);
            let text = report.cells[0].warnings.iter().map(|one| one.message.clone()).next();
            let expected = expected.map(|text| format!("{text}; free cores there"));
            assert_eq!(text, expected, "{missed:?}");
        }
    }
}
