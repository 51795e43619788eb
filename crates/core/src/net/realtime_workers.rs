//! Real-time scheduling of workers (`--realtime`), so that ordinary programs do not delay them.
//!
//! A worker that never sleeps blocks all threads of lower priority on its core, also those of the
//! kernel. One CPU that this process may use therefore stays free of real-time workers, and no core
//! has two.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crate::sys;
use crate::sys::host::read;
use crate::unit::show_bytes;

/// The priority of workers. Above 1, which `sched_set_fifo_low()` gives to kernel threads, and
/// below 50, that of interrupt threads (`sched_set_fifo()`, kernel/sched/syscalls.c); otherwise
/// arbitrary.
pub const REALTIME_PRIORITY: u8 = 10;

/// How to get the privilege, for an error message.
const HOW: &str = "run as root, or run `setcap cap_sys_nice,cap_ipc_lock=ep PATH` with the path of \
                   udperf";

/// Why workers cannot run in real time.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum RealtimeError {
    #[error(
        "--realtime: SCHED_FIFO priority {REALTIME_PRIORITY} is {}; {HOW}, or raise the limit \
         (ulimit -r {REALTIME_PRIORITY}){}", refusal(.source), cgroup_hint(.source)
    )]
    Priority { source: io::Error },
    #[error(
        "--realtime: locking memory is {}{}; {HOW}, or raise the limit (ulimit -l unlimited)",
        refusal(.source), limit_text()
    )]
    Memory { source: io::Error },
}

fn refusal(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
        io::ErrorKind::Unsupported => "not supported by this system".to_owned(),
        io::ErrorKind::OutOfMemory => "beyond a limit".to_owned(),
        _ => format!("refused: {error}"),
    }
}

fn limit_text() -> String {
    let [_, limit] = sys::realtime_limits();
    limit.map_or_else(String::new, |bytes| format!(" (RLIMIT_MEMLOCK {})", show_bytes(bytes)))
}

/// Even root needs a budget where the kernel divides real time among cgroups.
fn cgroup_hint(error: &io::Error) -> &'static str {
    let is_divided = std::path::Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists();
    match error.kind() {
        io::ErrorKind::PermissionDenied if is_divided => {
            "; the cgroup may lack a budget (cpu.rt_runtime_us)"
        }
        _ => "",
    }
}

/// Whether threads of this process may have the priority of workers. Tries it in a thread of its
/// own, so that the caller keeps its policy.
pub fn may_be_realtime() -> io::Result<()> {
    let attempt = || sys::set_realtime(REALTIME_PRIORITY);
    let thread = Builder::new().name("udperf-fifo".to_owned()).spawn(attempt)?;
    thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Checks the privilege, and keeps all memory of this process in RAM until it ends. Call it in the
/// main thread before pinning: a pinned thread has fewer CPUs than the process.
pub fn prepare_realtime() -> Result<(), RealtimeError> {
    may_be_realtime().map_err(|source| RealtimeError::Priority { source })?;
    sys::lock_memory().map_err(|source| RealtimeError::Memory { source })?;
    let allowed = sys::affinity().map_or(0, |cpus| cpus.len());
    registry(|all| all.allowed = allowed);
    Ok(())
}

/// Bytes of this process that are locked in RAM.
pub fn locked_bytes() -> Option<u64> {
    let status = read("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// Real-time workers of this process.
#[derive(Debug)]
struct Registry {
    /// CPUs that this process may use; 0 until it is known.
    allowed: usize,
    /// Cores of those that run now.
    cores: Vec<usize>,
    /// Workers that run now and asked for it.
    asking: usize,
    /// The most at once so far: that asked, and that got it.
    most: (usize, usize),
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { allowed: 0, cores: Vec::new(), asking: 0, most: (0, 0) });

impl Registry {
    /// Adds a worker on `core`; returns its core if it gets real time.
    fn add(&mut self, core: Option<usize>) -> Option<usize> {
        self.asking += 1;
        let is_left = self.cores.len() + 1 < self.allowed;
        let granted = core.filter(|core| is_left && !self.cores.contains(core));
        self.cores.extend(granted);
        self.most.0 = self.most.0.max(self.asking);
        self.most.1 = self.most.1.max(self.cores.len());
        granted
    }

    fn remove(&mut self, core: Option<usize>) {
        self.asking -= 1;
        self.cores.retain(|other| Some(*other) != core);
    }
}

/// A worker's entry among the real-time workers, until it ends.
#[derive(Debug)]
pub struct RealtimeWorker {
    core: Option<usize>,
}

impl RealtimeWorker {
    /// Gives the calling thread, pinned to `core`, real-time priority. It keeps the default where
    /// it is not pinned, another worker has the core, or no CPU would stay without.
    pub fn start(core: Option<usize>) -> Result<Self, RealtimeError> {
        let core = registry(|all| all.add(core));
        let worker = Self { core };
        if core.is_some() {
            let set = sys::set_realtime(REALTIME_PRIORITY);
            set.map_err(|source| RealtimeError::Priority { source })?;
        }
        Ok(worker)
    }
}

impl Drop for RealtimeWorker {
    fn drop(&mut self) {
        registry(|all| all.remove(self.core));
    }
}

/// The most workers of this process at once that asked for real time, and that got it.
pub fn realtime_workers() -> (usize, usize) {
    registry(|all| all.most)
}

fn registry<T>(change: impl FnOnce(&mut Registry) -> T) -> T {
    change(&mut REGISTRY.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_stays_without_a_realtime_worker() {
        let mut all = Registry { allowed: 3, cores: Vec::new(), asking: 0, most: (0, 0) };
        let granted = [Some(0), Some(0), None, Some(1), Some(2)].map(|core| all.add(core));
        assert_eq!(granted, [Some(0), None, None, Some(1), None]);
        assert_eq!(all.most, (5, 2));
        granted.into_iter().for_each(|core| all.remove(core));
        assert_eq!((all.asking, all.cores.len(), all.most), (0, 0, (5, 2)));
        // On one CPU there is none.
        all.allowed = 1;
        assert_eq!(all.add(Some(0)), None);
    }
}
