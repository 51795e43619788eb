//! Outages: periods in which the destination could not be reached, and who reported it.

use crate::document::Outage;
use crate::unit::Nanos;

/// Maximum number of outages recorded; further errors count for the last outage of the same cause.
/// Arbitrary: a path that fails more often in one cell is described by its ledger.
pub const OUTAGES: usize = 64;
/// The longest gap between errors of one outage. Arbitrary; a host sends about one ICMP error per
/// second and peer (`net.ipv4.icmp_ratelimit`, ip-sysctl of the kernel's documentation). At lower
/// send rates, two mean gaps.
pub const SAME_OUTAGE: Nanos = Nanos::from_millis(1_500);

/// A period in which sends failed, or ICMP errors came back, for one cause `C`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`document::Outage` describes the fields")]
pub struct OutageCounts<C> {
    pub from: Nanos,
    pub until: Nanos,
    pub cause: C,
    pub errors: u64,
}

/// Counts errors of a cause in the current outage, or in a new one. Does not allocate if the list
/// has capacity for [`OUTAGES`].
pub fn note_outage<C: PartialEq>(
    outages: &mut Vec<OutageCounts<C>>,
    cause: C,
    errors: u64,
    now: Nanos,
    apart: Nanos,
) {
    let full = outages.len() >= OUTAGES;
    let known = outages
        .iter()
        .rposition(|outage| outage.cause == cause && (full || now.since(outage.until) <= apart));
    match known.and_then(|at| outages.get_mut(at)) {
        Some(outage) => {
            outage.until = outage.until.max(now);
            outage.errors = outage.errors.saturating_add(errors);
        }
        None if full => {}
        None => outages.push(OutageCounts { from: now, until: now, cause, errors }),
    }
}

/// Adds the outages of another worker; outages that overlap, or are at most `apart`, become one.
pub fn merge_outages(outages: &mut Vec<Outage>, others: Vec<Outage>, apart: Nanos) {
    outages.extend(others);
    outages.sort_by_key(|outage| outage.from_ns);
    let mut merged: Vec<Outage> = Vec::new();
    for outage in outages.drain(..) {
        let same = |before: &&mut Outage| {
            (&before.what, &before.said_by, &before.message)
                == (&outage.what, &outage.said_by, &outage.message)
                && outage.from_ns.saturating_sub(before.until_ns) <= apart.0
        };
        match merged.iter_mut().rev().find(same) {
            Some(before) => {
                before.until_ns = before.until_ns.max(outage.until_ns);
                before.errors = before.errors.saturating_add(outage.errors);
            }
            None => merged.push(outage),
        }
    }
    merged.truncate(OUTAGES);
    *outages = merged;
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Nanos = Nanos(10);
    const NET: &str = "ENETUNREACH";
    const HOST: &str = "EHOSTUNREACH";

    #[test]
    fn groups_errors_of_one_cause() {
        let mut noted = Vec::new();
        for (cause, now) in [(NET, 5), (NET, 9), (HOST, 12), (NET, 19), (NET, 30), (HOST, 22)] {
            note_outage(&mut noted, cause, 2, Nanos(now), APART);
        }
        let found = noted.iter().map(|one| (one.from.0, one.until.0, one.cause, one.errors));
        assert!(found.eq([(5, 19, NET, 6), (12, 22, HOST, 4), (30, 30, NET, 2)]), "{noted:?}");
    }

    #[test]
    fn a_full_list_counts_on() {
        let mut noted = Vec::with_capacity(OUTAGES);
        for at in 0..2 * OUTAGES as u64 {
            note_outage(&mut noted, NET, 1, Nanos(at * 100), APART);
        }
        note_outage(&mut noted, HOST, 1, Nanos(7), APART);
        assert_eq!((noted.len(), noted.capacity()), (OUTAGES, OUTAGES));
        assert_eq!(noted.iter().map(|outage| outage.errors).sum::<u64>(), 2 * OUTAGES as u64);
    }

    #[test]
    fn merges_outages_of_workers() {
        let outages = |all: &[(u64, u64, &str, u64)]| -> Vec<Outage> {
            let outage = |&(from_ns, until_ns, what, errors): &(u64, u64, &str, u64)| {
                let what = what.to_owned();
                Outage { from_ns, until_ns, what, errors, ..Outage::default() }
            };
            all.iter().map(outage).collect()
        };
        let mut merged = outages(&[(10, 50, NET, 3), (100, 110, NET, 1)]);
        let others = outages(&[(12, 55, NET, 4), (12, 20, HOST, 2), (64, 70, NET, 1)]);
        merge_outages(&mut merged, others, APART);
        let expected = outages(&[(10, 70, NET, 8), (12, 20, HOST, 2), (100, 110, NET, 1)]);
        assert_eq!(merged, expected);
    }
}
