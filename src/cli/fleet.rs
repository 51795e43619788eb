//! Runs by several processes: who leads, and the orders of members.

use std::cell::RefCell;
use std::ffi::OsString;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use clap::Parser;

use super::args::{CellArgs, CellCommand, Cli, Command};
use super::error::{CliResult, Exit, usage};
use super::output::warn_stderr;
use super::version;
use crate::engine::EnginePair;
use crate::fleet::{
    self, FleetCommand, FleetError, FleetRunner, Launcher, Leader, MemberCell, MemberHost,
    MemberOrders, Pairing, ProcessGroup, ReceivingMember,
};
use crate::plan::{EngineWord, Limit, Member, Plan, Scenario};
use crate::run::CellRunner;
use crate::sys;
use crate::unit::{PacketRate, Rate};

/// How long processes may take to join before a message. Arbitrary: four take 0.3 s.
const LATE: Duration = Duration::from_secs(10);
/// How much longer before the process gives up. Arbitrary: jobs of thousands start faster.
const LATEST: Duration = Duration::from_secs(290);

/// Refuses commands for one process if a launcher started several: each would do the same.
pub(super) fn check_command(cli: &Cli) -> CliResult<()> {
    // `run` refuses by itself, also with --single.
    let is_for_several = matches!(
        cli.command,
        Command::Measure(_) | Command::Search(_) | Command::FleetCheck { .. } | Command::Run(_)
    );
    match (Launcher::here(), cli.single, &cli.command) {
        (Some(Launcher { name, processes }), false, _) if !is_for_several => usage(format!(
            "{name} started {processes} processes, and this command is for one: each would do the \
             same; start it without {name}, or give --single if that is meant"
        )),
        (_, true, Command::Search(_)) => {
            usage("--single is a flag of the command that search runs; give it after --")
        }
        (_, true, Command::FleetCheck { .. }) => {
            usage("--single makes each process run alone, and fleet-check tests all together")
        }
        _ => Ok(()),
    }
}

/// The part of this process in a run.
pub(crate) enum Fleet {
    /// It is the only one.
    Alone,
    /// It gives orders, and writes the report.
    Leader(FleetLeader),
    /// It carries out a command of the leader.
    Member(MemberOrders, Box<FleetCommand>),
}

pub(crate) struct FleetLeader {
    pub(crate) leader: Rc<RefCell<Leader>>,
    /// The parts of the latest cell.
    pub(crate) parts: Rc<RefCell<Vec<MemberCell>>>,
    /// The words of the command that measures.
    words: Vec<OsString>,
}

impl Fleet {
    /// What this process is, for the command of these words. A member returns only after the
    /// leader's last command, with its exit code.
    pub(crate) fn join(
        words: &[OsString],
        follow: impl Fn(&CellCommand, &Self) -> CliResult<()>,
    ) -> CliResult<Result<Self, Exit>> {
        let Some(group) = join_in_time()? else { return Ok(Ok(Self::Alone)) };
        if group.rank() == 0 {
            let leader = Leader::new(group, own_host())?;
            narrow(leader.hosts()).iter().for_each(|warning| warn_stderr(warning));
            let leader = Rc::new(RefCell::new(leader));
            let (parts, words) = (Rc::default(), words.to_vec());
            return Ok(Ok(Self::Leader(FleetLeader { leader, parts, words })));
        }
        let mut orders = MemberOrders::new(group, own_host())?;
        while let Some(command) = orders.next_command()? {
            let fleet = Self::Member(orders, command);
            let result = fleet.command().and_then(|command| follow(&command, &fleet));
            let Self::Member(back, _) = fleet else { return Ok(Err(Exit::Failed)) };
            orders = back;
            if let Err(error) = result {
                orders.refuse(error.to_string())?;
            }
        }
        Ok(Err(Exit::Success))
    }

    /// How many processes there are.
    pub(crate) fn size(&self) -> u16 {
        match self {
            Self::Alone => 1,
            Self::Leader(fleet) => fleet.leader.borrow().size(),
            Self::Member(orders, _) => orders.size(),
        }
    }

    /// The part of this process.
    pub(crate) fn member(&self) -> Member {
        let (rank, size, local, pairing) = match self {
            Self::Alone => return Member::default(),
            Self::Leader(FleetLeader { leader, .. }) => {
                let leader = leader.borrow();
                (0, leader.size(), leader.local(0), leader.pairing())
            }
            Self::Member(orders, order) => {
                (orders.rank(), orders.size(), order.local, order.pairing)
            }
        };
        // Only senders share the load.
        let (rank, of) = pairing.map_or((rank, size), |it| it.among_senders(rank, size));
        Member { rank, of, local_rank: local.0, local_of: local.1 }
    }

    /// The process that this one sends to; if this one leads, the receivers listen from now on.
    pub(crate) fn receiver(
        &self,
        pairing: Pairing,
        scenario: &Scenario,
    ) -> CliResult<ReceivingMember> {
        let receiver = match self {
            Self::Alone => None,
            Self::Leader(fleet) => {
                let mut leader = fleet.leader.borrow_mut();
                leader.prepare_receivers(pairing, &fleet.command(scenario, None))?;
                leader.receiver_of(0)
            }
            Self::Member(_, command) => command.receiver.clone(),
        };
        receiver.map_or_else(invalid, Ok)
    }

    /// The scenario of the whole run, with the part of this process.
    pub(crate) fn scenario(&self, mut scenario: Scenario, args: &CellArgs) -> CliResult<Scenario> {
        scenario.member = self.member();
        if matches!(self, Self::Alone) && !args.single {
            return match (args.per_rank, args.start_stagger) {
                (true, _) => usage("--per-rank is for several processes; start them by mpirun"),
                (_, Some(_)) => {
                    usage("--start-stagger is for several processes; start them by mpirun")
                }
                _ => Ok(scenario),
            };
        }
        if !args.per_rank {
            return Ok(scenario);
        }
        let of = scenario.member.of;
        if let Some(asking) = &mut scenario.asking {
            let all = |one: u32| one.saturating_mul(of.into());
            asking.outstanding = asking.outstanding.map(all);
        }
        // A member has the rates and the count of the whole run from the leader.
        if let Self::Leader(_) = self {
            for rate in &mut scenario.rates {
                *rate = match *rate {
                    Rate::Pps(pps) => Rate::Pps(PacketRate::from_pps(pps.pps() * f64::from(of))?),
                    Rate::Bits(bits) => Rate::Bits(bits * f64::from(of)),
                    share => share,
                };
            }
            if let Limit::Count(count) = &mut scenario.limit {
                *count = count.saturating_mul(of.into());
            }
        }
        Ok(scenario)
    }

    /// The parts of the latest cell, if this process leads.
    pub(crate) fn parts(&self) -> Option<Rc<RefCell<Vec<MemberCell>>>> {
        match self {
            Self::Leader(leader) => Some(Rc::clone(&leader.parts)),
            _ => None,
        }
    }

    /// The seed of the leader, if this process is a member.
    pub(crate) const fn seed(&self) -> Option<u64> {
        match self {
            Self::Member(_, command) => Some(command.seed),
            _ => None,
        }
    }

    /// The engine that the leader selected for `auto`, if this process is a member.
    pub(crate) fn fastest(&self) -> Option<EnginePair> {
        match self {
            Self::Member(_, command) => command.fastest.as_ref()?.parse().ok(),
            _ => None,
        }
    }

    /// The command of the leader, which writes nothing here.
    fn command(&self) -> CliResult<CellCommand> {
        let Self::Member(_, order) = self else { return invalid() };
        let words = std::iter::once("udperf").chain(order.arguments.iter().map(String::as_str));
        let Ok(Cli { command: Command::Measure(mut command), .. }) = Cli::try_parse_from(words)
        else {
            return invalid();
        };
        let has_own_sizes = match &command {
            CellCommand::Load(args) => !args.requests.takes_sizes(),
            _ => false,
        };
        let cells = command.cells_mut();
        cells.output.common.quiet = true;
        (cells.telemetry.events, cells.telemetry.metrics.metrics) = (None, None);
        cells.sizes = if has_own_sizes { Vec::new() } else { vec![parse_all(&order.sizes)?] };
        cells.engines = parse_all(&order.engines)?;
        cells.rates = parse_all(&order.rates)?;
        cells.bits = None;
        (cells.time, cells.count) = match order.limit {
            Limit::Time(time) => (Some(time), None),
            Limit::Count(count) => (None, Some(count)),
        };
        cells.interval = Some(order.interval);
        Ok(command)
    }
}

/// Joins the processes that were started with this one. MPI would wait forever for one that ended
/// with exit code 0 before it joined, which the launcher takes for a success.
fn join_in_time() -> Result<Option<Rc<dyn ProcessGroup>>, FleetError> {
    if Launcher::here().is_none() {
        return Ok(None);
    }
    let (joined, waits) = channel::<()>();
    let is_late =
        move |after: Duration| matches!(waits.recv_timeout(after), Err(RecvTimeoutError::Timeout));
    let watch = move || {
        if is_late(LATE) {
            warn_stderr(
                "waiting for the other processes: one ended before it joined, or a firewall blocks \
                 MPI between hosts; test the launcher with udperf fleet-check",
            );
            if is_late(LATEST) {
                warn_stderr(
                    "not all processes joined within 5 minutes; see what the launcher says",
                );
                std::process::exit(Exit::Failed as i32);
            }
        }
    };
    // Without the thread, it waits silently.
    let _ = thread::Builder::new().name("join".to_owned()).spawn(watch);
    let group = fleet::join();
    drop(joined);
    group
}

fn invalid<T>() -> CliResult<T> {
    Err(FleetError::Damaged { rank: 0 }.into())
}

fn parse_all<T: std::str::FromStr>(words: &[String]) -> CliResult<Vec<T>> {
    words.iter().map(|word| word.parse().or_else(|_| invalid())).collect()
}

impl FleetLeader {
    /// Measures cells by all processes, the part of this one by `inner`.
    pub(crate) fn runner<'a>(&self, inner: &'a mut dyn CellRunner) -> FleetRunner<'a> {
        FleetRunner::new(inner, Rc::clone(&self.leader), Rc::clone(&self.parts))
    }

    /// Makes all members prepare for the cells of this plan.
    pub(crate) fn prepare(
        &self,
        plan: &Plan,
        fastest: Option<EnginePair>,
    ) -> Result<(), FleetError> {
        let mut command = self.command(&plan.scenario, fastest);
        // By name: `all` may be other engines on another host, and members know cells by number.
        command.engines.clear();
        for engine in plan.cells.iter().map(|cell| cell.engine.to_string()) {
            if !command.engines.contains(&engine) {
                command.engines.push(engine);
            }
        }
        self.leader.borrow_mut().prepare(&command)
    }

    fn command(&self, scenario: &Scenario, fastest: Option<EnginePair>) -> FleetCommand {
        FleetCommand {
            arguments: self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            local: (0, 1),
            seed: scenario.seed,
            fastest: fastest.map(|pair| pair.to_string()),
            sizes: scenario.sizes.iter().map(ToString::to_string).collect(),
            engines: scenario.engines.iter().map(EngineWord::to_string).collect(),
            rates: scenario.rates.iter().map(Rate::to_string).collect(),
            limit: scenario.limit,
            interval: scenario.interval.unwrap_or_default(),
            pairing: None,
            receiver: None,
        }
    }
}

/// A line for the first host where a process, in the order of ranks, may use one CPU of several:
/// `mpirun` binds processes to cores by default.
pub(crate) fn narrow<'a>(hosts: impl Iterator<Item = &'a MemberHost>) -> Option<String> {
    let is_narrow = |host: &MemberHost| host.cpus == Some(1) && host.online > Some(1);
    let (rank, host) = hosts.enumerate().find(|(_, host)| is_narrow(host))?;
    Some(format!(
        "rank {rank} on {} may use 1 CPU only; give mpirun --bind-to none, or srun --cpu-bind=none",
        host.hostname
    ))
}

fn own_host() -> MemberHost {
    let version = version::VERSION.clone();
    let hostname = sys::host::read("/proc/sys/kernel/hostname").unwrap_or_default();
    let (clock, network) = (sys::clock_identity(), sys::network_identity());
    let cpus = sys::affinity().map(|cpus| cpus.len() as u64);
    let online = sys::host::online_cpus().map(|cpus| cpus as u64);
    MemberHost { version, hostname, clock, network, cpus, online }
}
