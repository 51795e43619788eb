//! Outages: periods in which the destination could not be reached, and who reported it.

use serde::{Deserialize, Serialize};

use crate::unit::Nanos;

/// Maximum number of outages kept; further errors count for the last outage of the same cause.
/// Arbitrary: a path that fails more often in one cell is described by its ledger.
pub const OUTAGES: usize = 64;
/// The longest gap between errors of one outage. Arbitrary; a host sends about one ICMP error per
/// second and peer (`net.ipv4.icmp_ratelimit`, ip-sysctl of the kernel's documentation). At lower
/// send rates, two mean gaps.
pub const SAME_OUTAGE: Nanos = Nanos::from_millis(1_500);

/// A period in which sends failed, or ICMP errors came back, for one cause `C`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Outage` describes the fields")]
pub struct OutageCounts<C = Cause> {
    pub from: Nanos,
    pub until: Nanos,
    pub cause: C,
    pub errors: u64,
}

/// Why a target could not be reached, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`document::Outage` describes the fields")]
pub struct Cause {
    pub what: String,
    pub said_by: Option<String>,
    pub message: String,
}

impl<C: PartialEq> OutageCounts<C> {
    /// Whether an error of this cause at `now` belongs to this outage.
    fn goes_on(&self, cause: &C, now: Nanos, apart: Nanos) -> bool {
        self.cause == *cause && now.since(self.until) <= apart
    }
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
    let same = |outage: &OutageCounts<C>| outage.goes_on(&cause, now, apart);
    let at = outages.iter().rposition(same);
    let full = outages.len() >= OUTAGES;
    let at = at.or_else(|| outages.iter().rposition(|outage| outage.cause == cause && full));
    match at.and_then(|at| outages.get_mut(at)) {
        Some(outage) => {
            outage.until = outage.until.max(now);
            outage.errors = outage.errors.saturating_add(errors);
        }
        None if full => {}
        None => outages.push(OutageCounts { from: now, until: now, cause, errors }),
    }
}

/// Adds the outages of another worker; outages that overlap, or are at most `apart`, become one.
pub fn merge_outages<C: PartialEq>(
    outages: &mut Vec<OutageCounts<C>>,
    others: Vec<OutageCounts<C>>,
    apart: Nanos,
) {
    outages.extend(others);
    outages.sort_by_key(|outage| outage.from);
    let mut merged: Vec<OutageCounts<C>> = Vec::new();
    for outage in outages.drain(..) {
        let same = |before: &OutageCounts<C>| before.goes_on(&outage.cause, outage.from, apart);
        let at = merged.iter().rposition(same);
        match at.and_then(|at| merged.get_mut(at)) {
            Some(before) => {
                before.until = before.until.max(outage.until);
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

    fn outage(from: u64, until: u64, cause: &str, errors: u64) -> OutageCounts<&str> {
        OutageCounts { from: Nanos(from), until: Nanos(until), cause, errors }
    }

    #[test]
    fn errors_of_one_cause_make_an_outage_until_they_stop() {
        let mut outages = Vec::new();
        for (cause, now) in [(NET, 5), (NET, 9), (HOST, 12), (NET, 19), (NET, 30), (HOST, 22)] {
            note_outage(&mut outages, cause, 2, Nanos(now), APART);
        }
        let expected = [outage(5, 19, NET, 6), outage(12, 22, HOST, 4), outage(30, 30, NET, 2)];
        assert_eq!(outages, expected);
    }

    #[test]
    fn a_full_list_counts_on() {
        let mut outages = Vec::with_capacity(OUTAGES);
        for at in 0..2 * OUTAGES as u64 {
            note_outage(&mut outages, NET, 1, Nanos(at * 100), APART);
        }
        note_outage(&mut outages, HOST, 1, Nanos(7), APART);
        assert_eq!((outages.len(), outages.capacity()), (OUTAGES, OUTAGES));
        assert_eq!(outages.iter().map(|outage| outage.errors).sum::<u64>(), 2 * OUTAGES as u64);
    }

    #[test]
    fn workers_that_saw_the_same_outage_report_one() {
        let mut outages = vec![outage(10, 50, NET, 3), outage(100, 110, NET, 1)];
        let others = vec![outage(12, 55, NET, 4), outage(12, 20, HOST, 2), outage(64, 70, NET, 1)];
        merge_outages(&mut outages, others, APART);
        let expected = [outage(10, 70, NET, 8), outage(12, 20, HOST, 2), outage(100, 110, NET, 1)];
        assert_eq!(outages, expected);
    }
}
