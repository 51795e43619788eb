//! Messages between the leader and the members.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{FleetError, Pairing, ProcessGroup, ReceivingMember};
use crate::measure::CellResult;
use crate::plan::{Direction, Limit, WorkerLoad};
use crate::unit::Nanos;

/// What members measure: the command of the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetCommand {
    /// Its arguments, without the program's name.
    pub arguments: Vec<String>,
    /// The sizes, engines and rates of its cells, as on the command line.
    pub sizes: Vec<String>,
    /// Engines.
    pub engines: Vec<String>,
    /// Rates.
    pub rates: Vec<String>,
    /// How long a cell measures.
    pub limit: Limit,
    /// Width of intervals; zero: none.
    pub interval: Nanos,
    /// Number of the member among those that share its CPUs, and how many do.
    pub local: (u16, u16),
    /// The seed of the run.
    pub seed: u64,
    /// The engine that `auto` selected.
    pub fastest: Option<String>,
    /// Which process sends to which; `None`: each has both ends or a target.
    pub pairing: Option<Pairing>,
    /// The process that this one sends to, with a pairing.
    pub receiver: Option<ReceivingMember>,
}

/// A process, and the host it runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberHost {
    /// Version and revision of udperf.
    pub version: String,
    /// The name of the host.
    pub hostname: String,
    /// What its clock and its CPUs are those of; `None` if the system does not tell.
    pub clock: Option<String>,
    /// What its network namespace is; `None` if the system does not tell.
    pub network: Option<String>,
    /// How many CPUs the process may use.
    pub cpus: Option<u64>,
    /// How many the host has.
    pub online: Option<u64>,
}

/// From the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Prepare for the cells of a command.
    Prepare(Box<FleetCommand>),
    /// Answer at once.
    Ping,
    /// Measure the cell of this index; a load that is not in the plan.
    Measure { index: u32, load: Option<WorkerLoad> },
    /// Begin the phase at this moment, by the member's clock.
    Start { at_ns: u64 },
    /// Begin so many rounds together.
    Check { rounds: u32 },
    /// Give up the cell.
    Abandon,
    /// The command has no more cells.
    Close,
    /// There are no more commands.
    End,
}

/// From a member.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is there.
    Joined(MemberHost),
    /// It has planned the command, or cannot; where it listens if it receives.
    Prepared(Result<Vec<SocketAddr>, String>),
    /// When it received the ping, and when it answers, by its clock.
    Pong { received_ns: u64, answered_ns: u64 },
    /// It can begin the phase at this moment, by its clock.
    Ready { earliest_ns: u64 },
    /// How late each round began, in ns.
    Checked(Vec<u64>),
    /// The cell has ended.
    Measured(Result<MemberParts, String>),
}

/// What a process measured by direction, and why it ended early, if it did.
pub(super) type MemberParts = (Vec<(Option<Direction>, CellResult)>, Option<String>);

pub(super) fn send<T: Serialize>(
    group: &dyn ProcessGroup,
    to: u16,
    message: &T,
) -> Result<(), FleetError> {
    let bytes = postcard::to_allocvec(message).map_err(|_| FleetError::Damaged { rank: to })?;
    group.send(to, &bytes)
}

pub(super) fn read<T: for<'a> Deserialize<'a>>(from: u16, bytes: &[u8]) -> Result<T, FleetError> {
    postcard::from_bytes(bytes).map_err(|_| FleetError::Damaged { rank: from })
}
