//! The leader: gives orders to the members, and decides when all begin.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::clock::{EXCHANGES, MemberClock};
use super::protocol::{Answer, MemberHost, MemberParts, Order, read, send};
use super::{FleetError, Pairing, ProcessGroup};
use crate::clock::{Offset, Sample};
use crate::run::{RunError, StartRule};
use crate::sys;
use crate::unit::Nanos;

/// How long a member may take to answer an order that it carries out at once. Arbitrary: longer
/// than a swapped-out process needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long before the common start the order to start is sent. Arbitrary: ten times the time that
/// a message takes in a slow network of one site.
const LEAD: Nanos = Nanos::from_millis(10);

/// The leader of a group.
pub struct Leader {
    pub(super) group: Rc<dyn ProcessGroup>,
    pub(super) members: Vec<MemberState>,
    /// Whether a process did not answer in time.
    has_lost: Cell<bool>,
    /// Which process sends to which; `None`: all send.
    pub(super) pairing: Option<Pairing>,
}

/// A process that takes orders.
#[derive(Debug, Default)]
pub(super) struct MemberState {
    pub(super) rank: u16,
    pub(super) host: MemberHost,
    pub(super) clock: MemberClock,
    /// Whether its clock is that of the leader.
    same_clock: bool,
    /// Whether it does not answer any more.
    pub(super) is_lost: bool,
    /// Where it listens, if it receives.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Leader {
    /// Waits for all members to join.
    ///
    /// # Errors
    /// [`FleetError::Version`] if one has another version than `own`.
    pub fn new(group: Rc<dyn ProcessGroup>, own: MemberHost) -> Result<Self, FleetError> {
        let joined = Self::join(Rc::clone(&group), own);
        if joined.is_err() {
            // Processes that were not asked yet wait for orders, too.
            for rank in 1..group.size() {
                let _ = send(&*group, rank, &Order::End);
            }
        }
        joined
    }

    fn join(group: Rc<dyn ProcessGroup>, own: MemberHost) -> Result<Self, FleetError> {
        let (members, has_lost) = (Vec::new(), Cell::new(false));
        let mut leader = Self { members, has_lost, group, pairing: None };
        leader.members.push(MemberState { host: own, ..MemberState::default() });
        for rank in 1..leader.group.size() {
            let Answer::Joined(host) = leader.answer_soon(rank)? else {
                return Err(FleetError::Damaged { rank });
            };
            let ours = &leader.members[0].host.version;
            if host.version != *ours {
                let (theirs, ours) = (host.version, ours.clone());
                return Err(FleetError::Version { rank, host: host.hostname, theirs, ours });
            }
            let same_clock = host.clock.is_some() && host.clock == leader.members[0].host.clock;
            leader.members.push(MemberState { rank, host, same_clock, ..MemberState::default() });
        }
        Ok(leader)
    }

    /// How many processes there are, with this one.
    pub fn size(&self) -> u16 {
        self.group.size()
    }

    /// The hosts of all processes, by rank.
    pub fn hosts(&self) -> impl Iterator<Item = &MemberHost> {
        self.members.iter().map(|member| &member.host)
    }

    /// The number of a process among those that share its CPUs, and how many do.
    pub fn local(&self, rank: u16) -> (u16, u16) {
        let own = &self.members[usize::from(rank)].host.clock;
        let shares = |member: &&MemberState| {
            member.rank == rank || (own.is_some() && member.host.clock == *own)
        };
        let before = self.members.iter().filter(shares).filter(|member| member.rank < rank);
        (before.count() as u16, self.members.iter().filter(shares).count() as u16)
    }

    /// Ends a command.
    pub fn close(&self) {
        self.tell_all(&Order::Close);
    }

    pub(super) fn tell_all(&self, order: &Order) {
        self.tell(self.others(), order);
    }

    pub(super) fn tell<'a>(&self, members: impl Iterator<Item = &'a MemberState>, order: &Order) {
        for member in members {
            // One that is gone needs no order.
            let _ = send(&*self.group, member.rank, order);
        }
    }

    /// All other processes that still answer.
    pub(super) fn others(&self) -> impl Iterator<Item = &MemberState> {
        self.members.iter().skip(1).filter(|member| !member.is_lost)
    }

    /// Those of them that take part in cells.
    pub(super) fn senders(&self) -> impl Iterator<Item = &MemberState> {
        self.others().filter(|member| self.sends(member.rank))
    }

    pub(super) fn error_of(&self, rank: u16, why: String) -> FleetError {
        let host = self.members.get(usize::from(rank)).map(|member| member.host.hostname.clone());
        let mut host = host.unwrap_or_default();
        if let Some(to) = self.receiver_of(rank) {
            host += &format!(" (to rank {} on {})", to.rank, to.hostname);
        }
        FleetError::Member { rank, host, why }
    }

    /// The next answer of a process that has nothing else to do.
    pub(super) fn answer_soon(&self, rank: u16) -> Result<Answer, FleetError> {
        self.answer(rank, PATIENCE, &|| false)
    }

    /// A process, and its clock; `None` before an exchange.
    pub(super) fn member(&self, rank: u16) -> (MemberHost, Option<Offset>) {
        let MemberState { host, clock, .. } = &self.members[usize::from(rank)];
        (host.clone(), clock.offset())
    }

    pub(super) fn answer(
        &self,
        rank: u16,
        most: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Answer, FleetError> {
        let begin = Instant::now();
        let received = self.group.receive(rank, &|| begin.elapsed() > most || is_over());
        read(rank, &received.map_err(|error| self.note_lost(error))?)
    }

    /// Notes a process that does not answer; the error has the name of its host, if that is known.
    fn note_lost(&self, error: FleetError) -> FleetError {
        if matches!(error, FleetError::Silent { .. }) {
            self.has_lost.set(true);
        }
        match error {
            FleetError::Silent { rank } if usize::from(rank) < self.members.len() => {
                let host = self.members[usize::from(rank)].host.hostname.clone();
                FleetError::Lost { rank, host }
            }
            error => error,
        }
    }

    /// Compares the clocks of all members with that of this process.
    pub(super) fn compare_clocks(&mut self) -> Result<(), FleetError> {
        for at in 1..self.members.len() {
            let MemberState { rank, same_clock, is_lost, .. } = self.members[at];
            if same_clock || is_lost || !self.sends(rank) {
                continue;
            }
            for _ in 0..EXCHANGES {
                let t1_ns = sys::monotonic_ns();
                send(&*self.group, rank, &Order::Ping)?;
                let begin = Instant::now();
                let late = || begin.elapsed() > PATIENCE;
                let received = self.group.receive_at_once(rank, &late);
                let bytes = received.map_err(|error| self.note_lost(error))?;
                let t4_ns = sys::monotonic_ns();
                let Answer::Pong { received_ns: t2_ns, answered_ns: t3_ns } = read(rank, &bytes)?
                else {
                    return Err(FleetError::Damaged { rank });
                };
                self.members[at].clock.add(Sample { t1_ns, t2_ns, t3_ns, t4_ns });
            }
        }
        Ok(())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.tell_all(&Order::End);
        if self.has_lost.get() || self.members.iter().any(|member| member.is_lost) {
            // MPI_Finalize would wait for a lost process. Without it, the launcher ends all others
            // when this one has ended with an error.
            std::mem::forget(Rc::clone(&self.group));
        }
    }
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").field("members", &self.members).finish_non_exhaustive()
    }
}

/// The common start of a phase: the latest moment at which a process can begin.
pub(super) struct CommonStart<'a> {
    leader: &'a Leader,
    stop: &'a AtomicBool,
    /// Results of members that ended the cell before it began.
    pub(super) ended: RefCell<Vec<(u16, Result<MemberParts, String>)>>,
}

impl<'a> CommonStart<'a> {
    /// The start of phases of this leader, until `stop`.
    pub(super) fn new(leader: &'a Leader, stop: &'a AtomicBool) -> Self {
        Self { leader, stop, ended: RefCell::default() }
    }
}

impl StartRule for CommonStart<'_> {
    fn start_at(&self, earliest: Nanos) -> Result<Nanos, RunError> {
        let (leader, mut start) = (self.leader, earliest);
        let mut ready = Vec::new();
        for member in leader.senders() {
            let stopped = || self.stop.load(Ordering::Relaxed);
            match leader.answer(member.rank, PATIENCE, &stopped).map_err(remote)? {
                Answer::Ready { earliest_ns } => {
                    ready.push(member);
                    start = start.max(member.clock.here(Nanos(earliest_ns)));
                }
                Answer::Measured(result) => self.ended.borrow_mut().push((member.rank, result)),
                _ => return Err(remote(FleetError::Damaged { rank: member.rank })),
            }
        }
        if !self.ended.borrow().is_empty() {
            for member in ready {
                send(&*leader.group, member.rank, &Order::Abandon).map_err(remote)?;
            }
            return Err(remote(FleetError::Abandoned));
        }
        let start = start.max(Nanos(sys::monotonic_ns())) + LEAD;
        for member in ready {
            let at_ns = member.clock.there(start).0;
            send(&*leader.group, member.rank, &Order::Start { at_ns }).map_err(remote)?;
        }
        Ok(start)
    }
}

pub(super) fn remote(error: FleetError) -> RunError {
    RunError::Remote(Box::new(error))
}
