//! Runs by several processes, which are threads here, and messages between them channels: all
//! but MPI itself. tests/fleet has runs under mpirun.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use udperf::engine::EnginePair;
use udperf::fleet::{
    FleetCommand, FleetError, FleetRunner, Leader, MemberCell, MemberHost, MemberOrders,
    ProcessGroup, serve,
};
use udperf::measure::CutShort;
use udperf::plan::{
    EngineWord, Limit, Machine, Member, Pinning, Plan, PlannedCell, Scenario, WorkerLoad,
};
use udperf::run::{
    self, CellRunner, DirectionResult, LocalRunner, RunError, RunOutcome, StartRule, Tick,
};
use udperf::unit::{Nanos, PayloadSize, Rate};

/// A process of a group that is a thread.
struct Process {
    rank: u16,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

/// All processes of a group, by rank.
fn processes(size: u16) -> Vec<Process> {
    let empty = |rank| Process { rank, to: Vec::new(), from: Vec::new() };
    let mut all: Vec<_> = (0..size).map(empty).collect();
    for to in 0..all.len() {
        for from in 0..all.len() {
            let (sender, receiver) = channel();
            all[from].to.push(sender);
            all[to].from.push(receiver);
        }
    }
    all
}

impl ProcessGroup for Process {
    fn rank(&self) -> u16 {
        self.rank
    }

    fn size(&self) -> u16 {
        self.to.len() as u16
    }

    fn send(&self, to: u16, message: &[u8]) -> Result<(), FleetError> {
        self.to[usize::from(to)].send(message.to_vec()).map_err(|_| FleetError::Silent { rank: to })
    }

    fn receive(&self, from: u16, is_over: &dyn Fn() -> bool) -> Result<Vec<u8>, FleetError> {
        loop {
            match self.from[usize::from(from)].recv_timeout(Duration::from_millis(1)) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Timeout) if !is_over() => {}
                Err(_) => return Err(FleetError::Silent { rank: from }),
            }
        }
    }

    fn receive_at_once(
        &self,
        from: u16,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, FleetError> {
        loop {
            match self.from[usize::from(from)].try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Empty) if !is_over() => thread::yield_now(),
                Err(_) => return Err(FleetError::Silent { rank: from }),
            }
        }
    }

    fn abort(&self, code: i32) {
        panic!("aborted with {code}");
    }
}

/// Two processes on each host.
fn host(rank: u16) -> MemberHost {
    let hostname = format!("host{}", rank / 2 + 1);
    MemberHost { version: "1.0.0".to_owned(), hostname, ..MemberHost::default() }
}

fn command(limit: Limit) -> FleetCommand {
    FleetCommand {
        arguments: Vec::new(),
        sizes: Vec::new(),
        engines: Vec::new(),
        rates: Vec::new(),
        limit,
        interval: Nanos::ZERO,
        local: (0, 1),
        seed: 1,
        fastest: None,
        pairing: None,
        receiver: None,
    }
}

fn plan(limit: Limit, rate: Rate, member: Member) -> Plan {
    let scenario = Scenario {
        engines: vec![EngineWord::Pair(EnginePair::NULL)],
        sizes: vec![PayloadSize::Fixed(64)],
        rates: vec![rate],
        warmup: Nanos::ZERO,
        pin: Pinning::Off,
        limit,
        member,
        ..Scenario::default()
    };
    Plan::new(scenario, &Machine::default()).unwrap()
}

/// How the last process of a group measures.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Last {
    Measures,
    /// It cannot prepare.
    Refuses,
    /// It cannot begin.
    Fails,
    /// It is gone after the start.
    Dies,
}

struct Runner(Last, LocalRunner);

impl CellRunner for Runner {
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError> {
        match self.0 {
            Last::Fails => Err(RunError::Stuck { id: "no engine here".to_owned() }),
            Last::Dies => {
                start.start_at(Nanos(udperf::sys::monotonic_ns()))?;
                std::panic::resume_unwind(Box::new(()))
            }
            _ => self.1.measure(plan, cell, load, stop, tick, start),
        }
    }
}

fn follow(process: Process, limit: Limit, rate: Rate, last: Last) {
    let (rank, of) = (process.rank, process.size());
    let last = if rank + 1 == of { last } else { Last::Measures };
    let orders = MemberOrders::new(Rc::new(process), host(rank)).unwrap();
    let Some(_command) = orders.next_command().unwrap() else { return };
    if last == Last::Refuses {
        orders.refuse("no such device".to_owned()).unwrap();
    } else {
        let plan = plan(limit, rate, Member { rank, of, ..Member::default() });
        let mut runner = Runner(last, LocalRunner::default());
        serve(&orders, &plan, &mut runner, &Arc::default()).unwrap();
    }
    assert!(orders.next_command().unwrap().is_none());
}

type Outcome = (RunOutcome, Vec<MemberCell>);

/// Measures one cell by this many processes.
fn measure(size: u16, limit: Limit, rate: Rate, last: Last) -> Result<Outcome, FleetError> {
    let mut processes = processes(size).into_iter();
    let own = processes.next().unwrap();
    let follow = |process| thread::spawn(move || follow(process, limit, rate, last));
    let threads: Vec<_> = processes.map(follow).collect();
    let lead = || {
        let leader = Rc::new(RefCell::new(Leader::new(Rc::new(own), host(0))?));
        leader.borrow_mut().prepare(&command(limit))?;
        let (parts, mut inner) = (Rc::default(), LocalRunner::default());
        let mut runner = FleetRunner::new(&mut inner, Rc::clone(&leader), Rc::clone(&parts));
        let plan = plan(limit, rate, Member { rank: 0, of: size, ..Member::default() });
        let outcome = run::run(&plan, &mut runner, &Arc::default(), &mut ());
        leader.borrow().close();
        Ok((outcome, parts.take()))
    };
    let result = lead();
    for (at, thread) in threads.into_iter().enumerate() {
        let dies = last == Last::Dies && at + 2 == usize::from(size);
        assert_eq!(thread.join().is_err(), dies, "process {}", at + 1);
    }
    result
}

#[test]
fn processes_share_a_count_and_their_results_are_merged() {
    let max = |size, count| {
        let (outcome, parts) = measure(size, Limit::Count(count), Rate::Max, Last::Measures)?;
        assert!(outcome.error.is_none() && !outcome.interrupted, "{:?}", outcome.error);
        Ok::<_, FleetError>((outcome, parts))
    };
    for (size, count, shares) in [(1, 7, &[7][..]), (3, 10_001, &[3_334, 3_334, 3_333])] {
        let (outcome, parts) = max(size, count).unwrap();
        let sent: Vec<_> = parts.iter().map(|part| part.result.tx.tally.sent).collect();
        assert_eq!(sent, shares);
        assert!(parts.iter().map(|part| part.rank).eq(0..size));
        let [cell] = &outcome.measured[..] else { panic!("one cell") };
        assert_eq!(
            (cell.result.ledger().sent, cell.result.ledger().received),
            (count, Some(count))
        );
        let counted = parts.iter().map(|part| part.result.rx.latency.from_schedule.count());
        assert_eq!(cell.result.rx.latency.from_schedule.count(), counted.sum::<u64>());
    }
}

#[test]
fn processes_share_a_rate() {
    let (time, rate) = (Nanos::from_millis(200), "9001".parse().unwrap());
    let (outcome, parts) = measure(4, Limit::Time(time), rate, Last::Measures).unwrap();
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let scheduled = |part: &MemberCell| part.result.tx.timing.as_ref().unwrap().scheduled;
    // 1,800.2 slots begin in 200 ms, the first at 0.
    assert_eq!(parts.iter().map(scheduled).collect::<Vec<_>>(), [451, 450, 450, 450]);
}

#[test]
fn a_process_of_another_version_is_refused() {
    let mut processes = processes(3).into_iter();
    let own = processes.next().unwrap();
    let join = |process: Process| {
        let rank = process.rank;
        let version = if rank == 2 { "0.9.0" } else { "1.0.0" }.to_owned();
        let own = MemberHost { version, ..host(rank) };
        let orders = MemberOrders::new(Rc::new(process), own).unwrap();
        // It gets the order to end.
        assert!(matches!(orders.next_command(), Ok(None)));
    };
    let threads: Vec<_> = processes.map(|one| thread::spawn(move || join(one))).collect();
    let error = Leader::new(Rc::new(own), host(0)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, FleetError::Version { rank: 2, .. }), "{text}");
    for word in ["rank 2", "host2", "0.9.0", "1.0.0"] {
        assert!(text.contains(word), "{text}");
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_process_that_cannot_prepare_ends_the_command() {
    let error = measure(4, Limit::Count(9), Rate::Max, Last::Refuses).unwrap_err();
    assert_eq!(error.to_string(), "rank 3 on host2: no such device");
}

#[test]
fn a_process_that_cannot_begin_ends_the_run() {
    let (outcome, _) = measure(4, Limit::Count(9), Rate::Max, Last::Fails).unwrap();
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("rank 3 on host2: no engine here"), "{error}");
}

#[test]
fn a_process_that_is_gone_is_named_and_the_rest_is_kept() {
    let (outcome, parts) = measure(4, Limit::Count(1_000), Rate::Max, Last::Dies).unwrap();
    let error = outcome.error.unwrap().to_string();
    assert!(error.starts_with("rank 3 on host2 does not answer"), "{error}");
    assert!(parts.iter().map(|part| part.rank).eq(0..3));
    let [cell] = &outcome.measured[..] else { panic!("one cell") };
    assert_eq!(cell.result.ledger().sent, 750);
    assert_eq!(cell.result.cut_short, Some(CutShort::MemberLost));
}

/// It would never finalise MPI, and so must the others not wait for it there.
#[test]
fn a_process_that_is_silent_between_cells_is_not_waited_for() {
    let limit = Limit::Count(9);
    for is_silent in [false, true] {
        let mut processes = processes(3).into_iter();
        let own: Rc<dyn ProcessGroup> = Rc::new(processes.next().unwrap());
        let group = Rc::downgrade(&own);
        let join = move |process: Process| {
            if is_silent && process.rank == 2 {
                let orders = MemberOrders::new(Rc::new(process), host(2)).unwrap();
                assert!(orders.next_command().unwrap().is_some());
            } else {
                follow(process, limit, Rate::Max, Last::Measures);
            }
        };
        let threads: Vec<_> = processes.map(|one| thread::spawn(move || join(one))).collect();
        let mut leader = Leader::new(own, host(0)).unwrap();
        let prepared = leader.prepare(&command(limit));
        let error = prepared.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error.starts_with("rank 2 on host2 does not answer"), is_silent, "{error}");
        leader.close();
        drop(leader);
        assert_eq!(group.strong_count() == 1, is_silent);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Otherwise each process would do the same.
#[test]
fn commands_for_one_process_refuse_to_be_one_of_several() {
    let run = |words: &str| {
        let mut command = crate::common::udperf();
        command.env("OMPI_COMM_WORLD_SIZE", "3").env("OMPI_COMM_WORLD_RANK", "0");
        command.args(words.split_whitespace()).output().unwrap()
    };
    for words in [
        "sink -p 0 --once",
        "echo -p 0",
        "talk -p 0",
        "ab --b=-P2 --trials 4 -- bench -e null",
        "compare a.json b.json",
        "report a.json",
        "doctor",
        "selftest",
        "explain lost",
        "man",
    ] {
        let refused = run(words);
        let text = crate::common::stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{words}: {text}");
        assert!(text.contains("mpirun started 3 processes"), "{words}: {text}");
        assert!(text.contains("--single") && refused.stdout.is_empty(), "{words}: {text}");
    }
    assert_eq!(run("explain --single lost").status.code(), Some(0));
    for words in ["search --single loss<1% -- bench", "fleet-check --single"] {
        let refused = run(words);
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(crate::common::stderr(&refused).contains("--single"), "{words}");
    }
}

/// Otherwise each process would measure for itself.
#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_refuses_to_be_one_of_several() {
    let words = ["bench", "-e", "null", "-l", "64", "-n", "100", "-r", "max", "--warmup=0", "-q"];
    let output = |more: &[&str]| {
        let mut command = crate::common::udperf();
        command.env("OMPI_COMM_WORLD_SIZE", "2").env("OMPI_COMM_WORLD_RANK", "1");
        command.args(words).args(more).output().unwrap()
    };
    let refused = output(&[]);
    let text = crate::common::stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    for word in ["mpirun started 2 processes", "--features mpi", "--single"] {
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(output(&["--single"]).status.code(), Some(0));
}
