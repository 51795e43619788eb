//! Whether a launcher started this process as one of several.

use std::rc::Rc;

use super::{FleetError, ProcessGroup};

/// A launcher, the variable that tells the number of its processes, and another that it sets only
/// for processes that it started itself.
const LAUNCHERS: [(&str, &str, &str); 3] = [
    // orterun(1) of Open MPI.
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    // The process management interface of MPICH (Hydra) and others.
    ("mpiexec", "PMI_SIZE", "PMI_RANK"),
    // srun(1), "OUTPUT ENVIRONMENT VARIABLES". SLURM_NTASKS and SLURM_PROCID are those of a batch
    // script, too, which runs once.
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
];

/// The launcher of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launcher {
    /// Its name.
    pub name: &'static str,
    /// How many processes it started; at least 2.
    pub processes: u64,
}

impl Launcher {
    /// The launcher of this process; `None`: it is alone.
    pub fn here() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The launcher that these variables of the environment tell of; `None`: this process is alone.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let started = LAUNCHERS.iter().filter(|(.., rank)| variable(rank).is_some());
        let mut found = started.filter_map(|(name, size, _)| {
            let processes = variable(size)?.trim().parse().ok()?;
            Some(Self { name, processes })
        });
        found.find(|launcher| launcher.processes > 1)
    }

    /// Checks that MPI found the processes of this launcher. With the launcher of another MPI
    /// library, each process is alone.
    #[cfg(any(feature = "mpi", test))]
    fn check(self, size: u16) -> Result<(), FleetError> {
        let Self { name, processes } = self;
        match u64::from(size) < processes {
            true => Err(FleetError::OtherLauncher { launcher: name, processes, size }),
            false => Ok(()),
        }
    }
}

/// Joins the processes that were started with this one; `None` if it is alone.
///
/// # Errors
/// [`FleetError::NotBuiltIn`] if this build cannot.
pub fn join() -> Result<Option<Rc<dyn ProcessGroup>>, FleetError> {
    let Some(launcher) = Launcher::here() else { return Ok(None) };
    #[cfg(feature = "mpi")]
    {
        let group: Rc<dyn ProcessGroup> = Rc::new(super::mpi::MpiGroup::join()?);
        launcher.check(group.size()).map(|()| Some(group))
    }
    #[cfg(not(feature = "mpi"))]
    {
        let Launcher { name, processes } = launcher;
        Err(FleetError::NotBuiltIn { launcher: name, processes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_processes_that_mpi_did_not_find() {
        let launcher = Launcher { name: "srun", processes: 4 };
        assert!(launcher.check(4).is_ok());
        let error = launcher.check(1).unwrap_err().to_string();
        for part in ["srun started 4 processes", "MPI found 1", "--mpi=pmix", "--single"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn finds_the_launcher_of_several_processes() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "0")], Some(("mpirun", 4))),
            (&[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")], None),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "1")], Some(("mpiexec", 2))),
            (&[("SLURM_STEP_NUM_TASKS", "3"), ("SLURM_PROCID", "2")], Some(("srun", 3))),
            // A shell in an allocation, and a batch script, which srun did not start.
            (&[("SLURM_NTASKS", "3")], None),
            (&[("SLURM_NTASKS", "3"), ("SLURM_PROCID", "0")], None),
            (&[("PMI_SIZE", "many"), ("PMI_RANK", "1")], None),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(one, _)| *one == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = Launcher::of(variable).map(|found| (found.name, found.processes));
            assert_eq!(found, expected, "{variables:?}");
        }
    }
}
