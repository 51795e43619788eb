//! A test of the launcher: which hosts there are, how well their clocks are known, and how far
//! apart processes begin that were told to begin together.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use super::leader::CommonStart;
use super::member::OrderedStart;
use super::protocol::{Answer, Order};
use super::{FleetError, Leader, MemberHost, MemberOrders};
use crate::run::{RunError, StartRule, WAKE_AHEAD};
use crate::sys;
use crate::unit::Nanos;

/// How long after a round the next can begin at the earliest. Arbitrary: workers of a run need
/// about that.
const READY: Nanos = Nanos::from_millis(1);

/// What one process found.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberCheck {
    /// Its rank.
    pub rank: u16,
    /// Its host.
    pub host: MemberHost,
    /// Its clock minus that of rank 0 in ns, and ± what; `None` on the same clock.
    pub clock: Option<(i64, u64)>,
    /// The shortest round-trip time of a message in ns; `None` on the same clock.
    pub min_rtt_ns: Option<u64>,
    /// How late it began, by round, in ns.
    pub late_ns: Vec<u64>,
}

impl Leader {
    /// Begins so many rounds together with all members.
    ///
    /// # Errors
    /// [`FleetError`] if one does not answer.
    pub fn check(this: &Rc<RefCell<Self>>, rounds: u32) -> Result<Vec<MemberCheck>, FleetError> {
        this.borrow_mut().compare_clocks()?;
        let leader = this.borrow();
        leader.tell_all(&Order::Check { rounds });
        let stop = AtomicBool::new(false);
        let start = CommonStart::new(&leader, &stop);
        let own = late(&start, rounds).map_err(|error| FleetError::Mpi(error.to_string()))?;
        let mut all = vec![of_member(&leader, 0, own)];
        for rank in 1..leader.size() {
            match leader.answer_soon(rank)? {
                Answer::Checked(late_ns) => all.push(of_member(&leader, rank, late_ns)),
                _ => return Err(FleetError::Damaged { rank }),
            }
        }
        Ok(all)
    }
}

fn of_member(leader: &Leader, rank: u16, late_ns: Vec<u64>) -> MemberCheck {
    let (host, offset) = leader.member(rank);
    let clock = offset.map(|offset| (offset.offset_ns, offset.bound_ns));
    let min_rtt_ns = offset.map(|offset| offset.min_rtt_ns);
    MemberCheck { rank, host, clock, min_rtt_ns, late_ns }
}

impl MemberOrders {
    /// Takes part in the leader's check.
    pub(super) fn check(&self, rounds: u32) -> Result<(), FleetError> {
        let start = OrderedStart { orders: self, delay: Nanos::ZERO };
        let late = late(&start, rounds).map_err(|error| FleetError::Mpi(error.to_string()))?;
        self.answer(&Answer::Checked(late))
    }
}

/// How late each round began here.
fn late(start: &dyn StartRule, rounds: u32) -> Result<Vec<u64>, RunError> {
    sys::set_timer_slack_ns(crate::net::TIMER_SLACK_NS);
    let round = |_| {
        let at = start.start_at(Nanos(sys::monotonic_ns()) + READY)?;
        // As workers of a run.
        sys::sleep_until_ns((at - WAKE_AHEAD).0);
        sys::sleep_until_ns(at.0);
        Ok(Nanos(sys::monotonic_ns()).since(at).0)
    };
    (0..rounds).map(round).collect()
}

/// How far apart the processes began in each round, at most: their clocks may be off by their
/// bounds.
pub fn skews_ns(all: &[MemberCheck]) -> Vec<u64> {
    let rounds = all.iter().map(|one| one.late_ns.len()).min().unwrap_or(0);
    let bound = |one: &MemberCheck| one.clock.map_or(0, |(_, bound_ns)| bound_ns);
    let late = |round: usize| all.iter().map(move |one| (one.late_ns[round], bound(one)));
    (0..rounds).map(|round| spread_ns(late(round))).collect()
}

/// The maximum distance between two of these moments, each known within ± its bound.
pub fn spread_ns(moments: impl Iterator<Item = (u64, u64)>) -> u64 {
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let ends = |(at, bound): (u64, u64)| {
        let (at, bound) = (signed(at), signed(bound));
        (at.saturating_sub(bound), at.saturating_add(bound))
    };
    let mut all: Vec<_> = moments.map(ends).collect();
    all.sort_unstable();
    // The first of all others.
    let first = |at: usize| all.get(usize::from(at == 0)).map_or(i64::MAX, |(low, _)| *low);
    let apart = all.iter().enumerate().map(|(at, (_, high))| high.saturating_sub(first(at)));
    apart.max().and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_includes_the_bounds_of_clocks() {
        let one = |rank, clock, late_ns: &[u64]| {
            let (host, min_rtt_ns) = (MemberHost::default(), None);
            MemberCheck { rank, host, clock, min_rtt_ns, late_ns: late_ns.to_vec() }
        };
        assert_eq!(skews_ns(&[]), [0; 0]);
        let same = [one(0, None, &[5, 70]), one(1, None, &[20, 7])];
        assert_eq!(skews_ns(&same), [15, 63]);
        let other = [one(0, None, &[50, 70]), one(1, Some((-9_000, 10)), &[20, 75])];
        assert_eq!(skews_ns(&other), [40, 15]);
        // By its clock, a process may even have begun before the start.
        let early = [one(0, None, &[113]), one(1, Some((0, 689)), &[31])];
        assert_eq!(skews_ns(&early), [113 + 689 - 31]);
        assert_eq!(skews_ns(&early[..1]), [0]);
    }
}
