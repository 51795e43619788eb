//! A group of processes that `mpirun` or `srun` started, by MPI.

use std::time::Duration;

use ferrompi::{Communicator, Mpi, scope};

use super::{FleetError, ProcessGroup};

/// The tag of all messages.
const TAG: i32 = 7_788;

/// Time between two looks for a message. Arbitrary: 0.1 % of a CPU at 1 µs per look, and short
/// beside the lead of a start.
const LOOK: Duration = Duration::from_micros(500);

/// The processes of `MPI_COMM_WORLD`. MPI is finalised when it is dropped.
pub(super) struct MpiGroup {
    world: Communicator,
    _mpi: Mpi,
}

impl std::fmt::Debug for MpiGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MpiGroup").field("rank", &self.rank()).finish_non_exhaustive()
    }
}

impl MpiGroup {
    /// Joins the processes that were started with this one.
    pub(super) fn join() -> Result<Self, FleetError> {
        let mpi = Mpi::init().map_err(failed)?;
        Ok(Self { world: mpi.world(), _mpi: mpi })
    }

    fn receive_with(
        &self,
        from: u16,
        is_over: &dyn Fn() -> bool,
        pause: impl Fn(),
    ) -> Result<Vec<u8>, FleetError> {
        loop {
            let found = self.world.iprobe::<u8>(i32::from(from), TAG).map_err(failed)?;
            if let Some(found) = found {
                let mut message = vec![0; found.count.unwrap_or_default()];
                self.world.recv(&mut message[..], i32::from(from), TAG).map_err(failed)?;
                return Ok(message);
            }
            if is_over() {
                return Err(FleetError::Silent { rank: from });
            }
            pause();
        }
    }
}

impl ProcessGroup for MpiGroup {
    fn rank(&self) -> u16 {
        self.world.rank() as u16
    }

    fn size(&self) -> u16 {
        self.world.size() as u16
    }

    fn send(&self, to: u16, message: &[u8]) -> Result<(), FleetError> {
        // A blocking send would spin until a large message is taken.
        let sent = scope(|scope| {
            let mut request = self.world.isend(scope, message, i32::from(to), TAG)?;
            while request.test()?.is_none() {
                std::thread::sleep(LOOK);
            }
            Ok(())
        });
        sent.map_err(failed)
    }

    fn receive(&self, from: u16, is_over: &dyn Fn() -> bool) -> Result<Vec<u8>, FleetError> {
        self.receive_with(from, is_over, || std::thread::sleep(LOOK))
    }

    fn receive_at_once(
        &self,
        from: u16,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, FleetError> {
        self.receive_with(from, is_over, std::hint::spin_loop)
    }

    fn abort(&self, code: i32) {
        self.world.abort(code)
    }
}

fn failed(error: ferrompi::Error) -> FleetError {
    FleetError::Mpi(error.to_string())
}
