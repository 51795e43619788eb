//! One measurement by processes on several hosts: the leader has rank 0 and gives orders, members
//! carry them out. Each process sends its part of the load and measures it; the leader merges.

mod check;
mod clock;
mod group;
mod launcher;
mod leader;
mod member;
#[cfg(feature = "mpi")]
mod mpi;
mod pairing;
mod prepare;
mod protocol;
mod runner;

pub use check::{MemberCheck, skews_ns, spread_ns};
pub use clock::MemberClock;
pub use group::ProcessGroup;
pub use launcher::{Launcher, join};
pub use leader::Leader;
pub use member::{MemberOrders, listen, serve};
pub use pairing::{Pairing, ReceivingMember};
pub use protocol::{FleetCommand, MemberHost};
pub use runner::{FleetRunner, MemberCell};

/// Why a run on several hosts ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum FleetError {
    #[error(
        "{launcher} started {processes} processes, and this udperf cannot measure together with \
         others: each would run the whole test; build it with --features mpi, or give --single if \
         that is meant"
    )]
    NotBuiltIn { launcher: &'static str, processes: u64 },
    #[error(
        "{launcher} started {processes} processes, and MPI found {size}: each would run the whole \
         test; use the mpirun of the MPI library that udperf is built with, or srun --mpi=pmix, or \
         add --single to run the whole test in each process"
    )]
    OtherLauncher { launcher: &'static str, processes: u64, size: u16 },
    #[error("MPI: {0}; test the launcher with udperf fleet-check")]
    Mpi(String),
    #[error("rank {rank} does not answer; its process may have been killed, see the launcher")]
    Silent { rank: u16 },
    #[error(
        "rank {rank} on {host} does not answer; its process may have been killed, see the launcher"
    )]
    Lost { rank: u16, host: String },
    #[error("rank {rank} on {host}: {why}")]
    Member { rank: u16, host: String, why: String },
    #[error(
        "rank {rank} on {host} is udperf {theirs}, and rank 0 is {ours}; install one version on \
         all hosts"
    )]
    Version { rank: u16, host: String, theirs: String, ours: String },
    #[error("rank {rank} sent an invalid message; install one version on all hosts")]
    Damaged { rank: u16 },
    #[error("the leader ended the cell, because another process failed")]
    Abandoned,
}
