//! A sender's view of its target: outages, and when to give up.

use crate::document::Outage;
use crate::host::device::is_ours;
use crate::measure::{OUTAGES, OutageCounts, SAME_OUTAGE, note_outage};
use crate::run::phase::PhaseState;
use crate::sys::{Reporter, Unreachable};
use crate::unit::Nanos;

/// How long a sender tries a target that was never reached; arbitrary.
pub const STUCK: Nanos = Nanos::from_millis(2_000);
/// How long a sender with a count waits for a target that was reached before. Arbitrary: longer
/// than a server or a link takes to restart.
pub const OUTAGE_MOST: Nanos = Nanos::from_millis(60_000);
/// [`SAME_OUTAGE`] if a neighbour does not answer: the kernel asks it three times, a second apart,
/// before each error (`mcast_solicit` and `retrans_time_ms`, arp(7)), and one may be late.
const SAME_NEIGHBOUR: Nanos = Nanos::from_millis(5_000);

/// A sender's target.
#[derive(Debug, Default)]
pub struct TargetWatch {
    gives_up: bool,
    answers: bool,
    reached: bool,
    /// Whether datagrams were accepted in an earlier phase.
    accepted: bool,
    /// How long earlier phases lasted in which datagrams were accepted and no error came.
    quiet: Nanos,
    had_icmp: bool,
    /// The first and the latest of consecutive errors before it was reached.
    row: Option<(Nanos, Nanos)>,
    gap: Nanos,
    answered_since: bool,
    outages: Vec<OutageCounts<Unreachable>>,
}

impl TargetWatch {
    /// `gives_up`: on a target that was never reached; `answers`: it answers datagrams.
    // cold: set-up
    pub fn new(gives_up: bool, answers: bool) -> Self {
        let outages = Vec::with_capacity(OUTAGES);
        Self { gives_up, answers, outages, ..Self::default() }
    }

    /// Begins a phase with this mean gap between sends. The previous one began `former` ago;
    /// `accepted`: datagrams were accepted in it.
    // cold: before a phase
    pub fn start(&mut self, gap: Nanos, former: Nanos, accepted: bool) {
        self.accepted |= accepted;
        if accepted && self.outages.is_empty() {
            self.quiet += former;
        }
        (self.row, self.gap) = (None, gap);
        self.outages.clear();
    }

    /// Records an answer.
    #[inline]
    pub fn answered(&mut self, control: &PhaseState) {
        self.answered_since = true;
        if !self.reached {
            (self.reached, self.row) = (true, None);
            control.note_target_reached();
        }
    }

    /// Records an error at `now` that concerns `errors` datagrams; `sent`: some were accepted in
    /// this phase. Returns whether to give up on the target.
    // cold: an error
    pub fn note_error(
        &mut self,
        why: Unreachable,
        errors: u64,
        now: Nanos,
        sent: bool,
        control: &PhaseState,
    ) -> bool {
        let two_gaps = self.gap + self.gap;
        let neighbour = why.is_neighbour();
        let mut apart = if neighbour { SAME_NEIGHBOUR } else { SAME_OUTAGE }.max(two_gaps);
        if self.answers && !std::mem::take(&mut self.answered_since) {
            // Without an answer between them, errors are of one outage, however rare they are.
            apart = Nanos::NEVER;
        }
        note_outage(&mut self.outages, why, errors, now, apart);
        let accepted = self.accepted || sent;
        if !self.answers && self.row.is_none() && accepted {
            // Without answers, a route that existed counts, or no error for as long as those of
            // one outage are apart.
            let quiet = self.quiet + now > apart;
            self.reached |= if why.is_local() { !self.had_icmp } else { quiet };
        }
        self.had_icmp |= !why.is_local();
        if !self.gives_up || self.was_reached(control) {
            return false;
        }
        let (first, latest) = self.row.unwrap_or((now, now));
        // Datagrams accepted between two errors took the same path, and are no proof that it works.
        let first = if now.since(latest) > apart { now } else { first };
        self.row = Some((first, now));
        now.since(first) > STUCK
    }

    /// Whether it was reached, by this sender in any phase or by another one in this phase.
    // cold: an error
    pub fn was_reached(&self, control: &PhaseState) -> bool {
        self.reached || control.target_reached()
    }

    /// How long a sender with a count tries an unreachable target; `sent`: some in this phase.
    // cold: an error
    pub const fn patience(&self, sent: bool) -> Nanos {
        if sent || self.accepted { OUTAGE_MOST } else { STUCK }
    }

    /// The outages of this phase.
    // cold: after a phase
    pub fn outages(&self) -> Vec<Outage> {
        let document = |outage: &OutageCounts<Unreachable>| {
            let why = with_neighbour(outage.cause);
            let (what, said_by, message) = (why.code(), why.reported_by(), why.to_string());
            let (from_ns, until_ns) = (outage.from.0, outage.until.0);
            Outage { from_ns, until_ns, what, said_by, message, errors: outage.errors }
        };
        self.outages.iter().map(document).collect()
    }
}

/// Maps an ICMP error of this host about its neighbour to a local error; in the sender's namespace.
// cold: an error
pub fn with_neighbour(why: Unreachable) -> Unreachable {
    match why.reporter {
        Reporter::Icmp { from: Some(from), .. }
            if why.is_neighbour() && is_ours((from, 0).into()) =>
        {
            Unreachable { reporter: Reporter::Neighbour, ..why }
        }
        _ => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::UnreachableErrno::{ConnRefused, HostUnreach, NetUnreach};

    const LOCAL: Unreachable = Unreachable::returned(NetUnreach);
    const CLOSED: Unreachable = Unreachable::returned(ConnRefused);
    const NEIGHBOUR: Unreachable = Unreachable {
        errno: HostUnreach,
        reporter: Reporter::Icmp { v6: false, kind: 3, code: 1, from: None },
    };

    /// The first of the errors, one every 100 ms from `from` on, that gives the target up, in ms.
    fn gives_up(target: &mut TargetWatch, why: Unreachable, from: u64, sent: bool) -> Option<u64> {
        let control = PhaseState::new(Default::default(), 1);
        let at = |ms: &u64| target.note_error(why, 1, Nanos::from_millis(*ms), sent, &control);
        (from..from + 8_000).step_by(100).find(at)
    }

    #[test]
    fn a_sender_with_a_count_waits_for_a_target_that_was_reached() {
        let mut target = TargetWatch::new(false, false);
        assert_eq!((target.patience(false), target.patience(true)), (STUCK, OUTAGE_MOST));
        target.start(Nanos::ZERO, Nanos::ZERO, true);
        assert_eq!(target.patience(false), OUTAGE_MOST);
    }

    #[test]
    fn only_a_target_that_never_answered_is_given_up() {
        let target = || TargetWatch::new(true, true);
        assert_eq!(gives_up(&mut target(), CLOSED, 0, true), Some(2_100));
        let (mut once, control) = (target(), PhaseState::new(Default::default(), 1));
        once.answered(&control);
        assert_eq!(gives_up(&mut once, CLOSED, 0, true), None);
        once.start(Nanos::ZERO, Nanos::ZERO, true);
        assert_eq!(gives_up(&mut once, LOCAL, 0, true), None, "nor in a later phase");
        // The worker above received an answer.
        let mut other = target();
        let mut at = |ms| other.note_error(CLOSED, 1, Nanos::from_millis(ms), true, &control);
        assert!(!(0..80).any(|step| at(step * 100)));
        let mut waits = TargetWatch::new(false, true);
        assert_eq!(gives_up(&mut waits, LOCAL, 0, false), None);
        assert_eq!(waits.outages().len(), 1);
    }

    #[test]
    fn without_answers_quiet_acceptance_counts_as_reached() {
        for (why, from, sent, quiet_ms, gives_up_at) in [
            (CLOSED, 0, true, 0, Some(2_100)),
            (CLOSED, 1_000, true, 0, Some(3_100)),
            (CLOSED, 2_000, true, 0, None),
            (NEIGHBOUR, 3_000, true, 0, Some(5_100)),
            (LOCAL, 0, false, 0, Some(2_100)),
            (LOCAL, 0, true, 0, None),
            // Accepted quietly in an earlier phase, such as the warm-up.
            (CLOSED, 1_000, true, 5_000, None),
        ] {
            let mut target = TargetWatch::new(true, false);
            if quiet_ms > 0 {
                target.start(Nanos::ZERO, Nanos::from_millis(quiet_ms), true);
            }
            assert_eq!(gives_up(&mut target, why, from, sent), gives_up_at, "{why} {from}");
        }
    }
}
