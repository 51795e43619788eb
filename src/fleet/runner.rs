//! Measures a cell by all processes: the leader its own part, and merges the results.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::leader::{CommonStart, Leader, MemberState, PATIENCE, remote};
use super::protocol::{Answer, MemberParts, Order, send};
use super::{FleetError, Pairing};
use crate::measure::{CellResult, CutShort, SeparateCounters, merge_members};
use crate::plan::{CellRate, Direction, Plan, PlannedCell, WorkerLoad};
use crate::run::{CellRunner, DirectionResult, RunError, StartRule, Tick};
use crate::unit::Nanos;

/// How much longer than planned the results of a cell may take: its receivers wait for stragglers,
/// and histograms of many flows take time to send. Arbitrary.
const SLACK: Duration = Duration::from_secs(30);

/// How long to wait for the results of members after a signal: launchers kill all processes soon
/// after they sent it (Open MPI: 1 s, `odls_base_sigkill_timeout`).
const AFTER_SIGNAL: Duration = Duration::from_millis(500);

/// The part of one process in a cell.
#[derive(Debug, Clone)]
pub struct MemberCell {
    /// Its rank.
    pub rank: u16,
    /// Its number among the processes that send.
    pub sender: u16,
    /// The name of its host.
    pub hostname: String,
    /// The rank that it sends to, and the name of that host; `None` without a pairing.
    pub to: Option<(u16, String)>,
    /// How far its clock may be off that of the leader, ±; zero for the leader.
    pub clock_bound: Nanos,
    /// Its network namespace, and that of the process it sends to; `None` if that is not known.
    pub networks: [Option<String>; 2],
    /// The direction, as in the merged result.
    pub direction: Option<Direction>,
    /// What it measured.
    pub result: CellResult,
}

/// Measures cells by all processes of a group.
pub struct FleetRunner<'a> {
    /// Measures the leader's own part.
    inner: &'a mut dyn CellRunner,
    leader: Rc<RefCell<Leader>>,
    /// The parts of the latest cell.
    members: Rc<RefCell<Vec<MemberCell>>>,
}

impl<'a> FleetRunner<'a> {
    /// Measures with the members of this leader; leaves the parts of the latest cell in `members`.
    pub fn new(
        inner: &'a mut dyn CellRunner,
        leader: Rc<RefCell<Leader>>,
        members: Rc<RefCell<Vec<MemberCell>>>,
    ) -> Self {
        Self { inner, leader, members }
    }
}

impl CellRunner for FleetRunner<'_> {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        _start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        let mut leader = self.leader.borrow_mut();
        leader.compare_clocks().map_err(remote)?;
        let index = plan.cells.iter().position(|planned| planned == cell).unwrap_or_default();
        // A load of the plan need not be sent, and that of a capture cannot.
        let new = (!matches!(cell.rate, CellRate::Paced(_))).then_some(load);
        leader.tell(leader.senders(), &Order::Measure { index: index as u32, load: new });
        let start = CommonStart::new(&leader, stop);
        // The merged result has the intervals of all processes. Those of this process alone would
        // look like them.
        let tick: Tick<'_> = &mut |_| tick(None);
        let own = self.inner.measure(plan, cell, load, stop, tick, &start);
        let ended = start.ended.into_inner();
        let time = planned(plan, leader.size());
        let answers = leader.collect(ended, time, own.is_err(), stop);
        if answers.iter().all(|(_, answer)| answer.is_ok()) {
            leader.compare_clocks().map_err(remote)?;
        }
        let (parts, error) = leader.parts(own, answers);
        let merged = merged(&parts, plan.scenario.start_stagger, error);
        *self.members.borrow_mut() = parts;
        merged
    }
}

/// The parts of all processes as one result per direction. Without those of a process, each is cut
/// short.
fn merged(
    parts: &[MemberCell],
    stagger: Nanos,
    error: Option<RunError>,
) -> Result<Vec<DirectionResult>, RunError> {
    let mut directions: Vec<Option<Direction>> = Vec::new();
    for part in parts {
        if !directions.contains(&part.direction) {
            directions.push(part.direction);
        }
    }
    let of = |direction: &Option<Direction>| {
        let of_one: Vec<_> = parts.iter().filter(|part| part.direction == *direction).collect();
        let all = of_one.iter().map(|part| (part.result.clone(), part.start(stagger)));
        merge_members(all, separate(&of_one))
    };
    let mut error = match (error, directions.is_empty()) {
        (Some(error), true) => return Err(error),
        (error, _) => error,
    };
    let results = directions.iter().filter_map(|direction| {
        let mut result = of(direction)?;
        if error.is_some() {
            result.cut_short = Some(CutShort::MemberLost);
        }
        Some((*direction, result))
    });
    let results: Vec<_> = results.collect();
    let result = |(direction, result)| DirectionResult { direction, result, error: error.take() };
    Ok(results.into_iter().map(result).collect())
}

/// Whether the kernel counters of these parts, which have one direction, are of different network
/// namespaces. One sink that all send to has one.
fn separate(parts: &[&MemberCell]) -> SeparateCounters {
    // An id of the kernel precedes that of the namespace.
    let differ = |side: usize, of: fn(&str) -> &str| {
        let all = parts.iter().map(|part| part.networks[side].as_deref().map(of));
        let distinct: Option<BTreeSet<_>> = all.collect();
        distinct.is_some_and(|distinct| distinct.len() == parts.len())
    };
    let [own, peer] = [0, 1].map(|side| differ(side, |network| network));
    let [kernels, of_peers] =
        [0, 1].map(|side| differ(side, |network| network.split(' ').next().unwrap_or_default()));
    let kernels = kernels && (of_peers || !peer);
    let (tx, rx) = match parts.first().and_then(|part| part.direction) {
        None => (own, own),
        Some(Direction::Forward) => (own, peer),
        Some(Direction::Reverse) => (peer, own),
    };
    SeparateCounters { tx, rx, kernels }
}

/// How long a phase takes at most; `None` if a count decides.
fn planned(plan: &Plan, size: u16) -> Option<Duration> {
    let stagger = plan.scenario.start_stagger.0.saturating_mul(size.into());
    plan.scenario.limit.time().map(|time| Duration::from_nanos(time.0.saturating_add(stagger)))
}

impl MemberCell {
    /// How much later than the leader this process was to start.
    fn start(&self, stagger: Nanos) -> Nanos {
        Nanos(stagger.0.saturating_mul(self.sender.into()))
    }
}

impl Leader {
    /// The results of all other processes; those that wait for a start get the order to give up.
    fn collect(
        &self,
        ended: Vec<(u16, Result<MemberParts, String>)>,
        planned: Option<Duration>,
        failed: bool,
        stop: &AtomicBool,
    ) -> Vec<(u16, Result<MemberParts, FleetError>)> {
        let most = match (failed, planned) {
            (true, _) => PATIENCE,
            (false, Some(time)) => time + SLACK,
            (false, None) => Duration::MAX,
        };
        let stopped = RefCell::new(None::<Instant>);
        let is_over = || {
            let mut since = stopped.borrow_mut();
            if stop.load(Ordering::Relaxed) {
                since.get_or_insert_with(Instant::now);
            }
            since.is_some_and(|since| since.elapsed() > AFTER_SIGNAL)
        };
        let of = |member: &MemberState| {
            let (rank, mut ended) = (member.rank, ended.iter());
            if let Some((_, result)) = ended.find(|(other, _)| *other == rank) {
                return result.clone().map_err(|why| self.error_of(rank, why));
            }
            loop {
                match self.answer(rank, most, &is_over)? {
                    Answer::Measured(result) => {
                        return result.map_err(|why| self.error_of(rank, why));
                    }
                    Answer::Ready { .. } => send(&*self.group, rank, &Order::Abandon)?,
                    _ => return Err(FleetError::Damaged { rank }),
                }
            }
        };
        self.senders().map(|member| (member.rank, of(member))).collect()
    }

    /// All parts of a cell, by rank, and the first error. A process that does not answer gets no
    /// more orders.
    fn parts(
        &mut self,
        own: Result<Vec<DirectionResult>, RunError>,
        answers: Vec<(u16, Result<MemberParts, FleetError>)>,
    ) -> (Vec<MemberCell>, Option<RunError>) {
        let (mut parts, mut own_error, mut error) = (Vec::new(), None, None);
        match own {
            Ok(results) => {
                for DirectionResult { direction, result, error } in results {
                    parts.push(self.member_cell(0, (direction, result)));
                    own_error = error.or(own_error);
                }
            }
            Err(error) => own_error = Some(error),
        }
        for (rank, answer) in answers {
            match answer {
                Ok((all, why)) => {
                    parts.extend(all.into_iter().map(|part| self.member_cell(rank, part)));
                    error = error.or_else(|| Some(remote(self.error_of(rank, why?))));
                }
                Err(why) => {
                    let is_lost = !matches!(why, FleetError::Member { .. });
                    self.members[usize::from(rank)].is_lost |= is_lost;
                    // Not that of a process that gave up because of another.
                    if is_lost || !why.to_string().ends_with(&FleetError::Abandoned.to_string()) {
                        error.get_or_insert_with(|| remote(why));
                    }
                }
            }
        }
        let named = |error| match error {
            RunError::Remote(why) if self.pairing.is_some() => {
                remote(self.error_of(0, why.to_string()))
            }
            error => error,
        };
        // The error of a member is the cause where the leader gave up because of it.
        (parts, error.or_else(|| own_error.map(named)))
    }

    fn member_cell(
        &self,
        rank: u16,
        (direction, result): (Option<Direction>, CellResult),
    ) -> MemberCell {
        let MemberState { host, clock, .. } = &self.members[usize::from(rank)];
        let peer = self.receiver_of(rank).and_then(|to| to.network);
        let networks = [host.network.clone(), peer];
        let clock_bound = Nanos(clock.offset().map_or(0, |offset| offset.bound_ns));
        let to = self.receiver_of(rank).map(|to| (to.rank, to.hostname));
        let number = |pairing: Pairing| pairing.among_senders(rank, self.size()).0;
        let (sender, hostname) = (self.pairing.map_or(rank, number), host.hostname.clone());
        MemberCell { rank, sender, hostname, to, clock_bound, networks, direction, result }
    }
}
