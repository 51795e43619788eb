//! The processes of a server of requests on this host, and what they use.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::measure::{AT_END, ServerReading, ServerReadings};
use crate::sys;
use crate::sys::host;
use crate::unit::Nanos;

/// Why the processes of a server cannot be observed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ServerError {
    #[error("--server-pid {pid}: there is no such process; give the number of a running one")]
    NoProcess { pid: u32 },
    #[error("--server-pid {pid}: that is udperf itself; give the number of the server's process")]
    Own { pid: u32 },
    #[error(
        "--server-unit {unit}: no control group of that name below /sys/fs/cgroup; see systemctl \
         status, and give the name of a running unit"
    )]
    NoUnit { unit: String },
    #[error("--server-unit {unit}: it has no process; start it")]
    Stopped { unit: String },
    #[error(
        "{who}: the target {target} is on another host, and the process is on this one; omit it"
    )]
    Elsewhere { who: String, target: SocketAddr },
    #[error(
        "{who} ({name}) has no UDP socket on port {port}; give the process that has, see ss -lunp"
    )]
    NoSocket { who: String, name: String, port: u16 },
}

/// The processes of a server, as requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerId {
    /// These processes, and those that they have started.
    Pids(Vec<u32>),
    /// The processes of this systemd unit.
    Unit(String),
}

/// The processes of a server.
#[derive(Debug)]
pub struct ServerProcesses {
    pids: BTreeSet<u32>,
    /// The control group of their unit, which may get others.
    unit: Option<PathBuf>,
    /// Their sockets on the port of the target; `None` if their files cannot be read.
    sockets: Option<BTreeSet<u64>>,
}

impl ServerProcesses {
    /// Finds the processes that serve this target; `is_here`: whether its address is of this
    /// host's network namespace.
    pub fn find(id: &ServerId, target: SocketAddr, is_here: bool) -> Result<Self, ServerError> {
        let (pids, unit, who) = match id {
            ServerId::Pids(pids) => {
                let listed: Vec<_> = pids.iter().map(u32::to_string).collect();
                (with_others(pids)?, None, format!("--server-pid {}", listed.join(",")))
            }
            ServerId::Unit(unit) => {
                let no_unit = || ServerError::NoUnit { unit: unit.clone() };
                let folder = host::unit_folder(unit).ok_or_else(no_unit)?;
                (host::processes_of(&folder), Some(folder), format!("--server-unit {unit}"))
            }
        };
        let Some(first) = pids.first().copied() else {
            let unit = if let ServerId::Unit(unit) = id { unit.clone() } else { String::new() };
            return Err(ServerError::Stopped { unit });
        };
        // An address that is not of this namespace may be of the server's.
        if !is_here && host::is_in_this_netns(first) != Some(false) {
            return Err(ServerError::Elsewhere { who, target });
        }
        let sockets = sockets(&pids, target.port());
        if sockets.as_ref().is_some_and(BTreeSet::is_empty) {
            let name = host::process_name(first).unwrap_or_default();
            return Err(ServerError::NoSocket { who, name, port: target.port() });
        }
        Ok(Self { pids, unit, sockets })
    }

    fn read(&self) -> ServerReading {
        let at_ns = sys::monotonic_ns();
        let of_unit = self.unit.as_deref().map(host::processes_of);
        let pids = of_unit.as_ref().unwrap_or(&self.pids);
        let processes: Vec<_> = pids.iter().filter_map(|pid| host::process_use(*pid)).collect();
        let first = processes.first().map(|process| process.pid);
        let drops = self.sockets.as_ref().zip(first);
        let drops = drops.and_then(|(sockets, pid)| host::udp_drops(pid, sockets));
        ServerReading { at_ns, processes, drops }
    }
}

/// These processes and those that they have started, which often do the work of a server.
fn with_others(pids: &[u32]) -> Result<BTreeSet<u32>, ServerError> {
    let own = std::process::id();
    if pids.contains(&own) {
        return Err(ServerError::Own { pid: own });
    }
    if let Some(pid) = pids.iter().find(|pid| host::process_use(**pid).is_none()) {
        return Err(ServerError::NoProcess { pid: *pid });
    }
    let mut all = host::with_descendants(pids);
    // A shell may have started the server, and udperf too.
    all.remove(&own);
    Ok(all)
}

/// The sockets of all processes; `None` if the files of one cannot be read.
fn sockets(pids: &BTreeSet<u32>, port: u16) -> Option<BTreeSet<u64>> {
    let all: io::Result<Vec<_>> = pids.iter().map(|pid| host::udp_sockets(*pid, port)).collect();
    Some(all.ok()?.into_iter().flatten().collect())
}

/// Reads what a server uses while a cell runs, in the coordinating thread.
#[derive(Debug)]
pub struct UsageRecorder<'a> {
    processes: &'a ServerProcesses,
    readings: Vec<(u32, ServerReading)>,
    /// The end of the window on the monotonic clock, and the first reading after it.
    window_end: Nanos,
    last: Option<ServerReading>,
}

impl<'a> UsageRecorder<'a> {
    /// Begins a cell whose window lasts so long; [`Nanos::NEVER`]: until it ends.
    pub fn begin(processes: &'a ServerProcesses, window: Nanos) -> Self {
        let first = processes.read();
        let window_end = Nanos(first.at_ns.saturating_add(window.0));
        Self { processes, readings: vec![(0, first)], window_end, last: None }
    }

    /// Reads again if an interval has ended since the latest reading, or the window has;
    /// `ended`: how many intervals have.
    pub fn observe(&mut self, ended: Option<usize>) {
        let ended = ended.map_or(0, |ended| u32::try_from(ended).unwrap_or(AT_END));
        let is_new = self.readings.last().is_some_and(|(at, _)| ended > *at);
        if is_new && ended < AT_END {
            self.readings.push((ended, self.processes.read()));
        }
        if self.last.is_none() && Nanos(sys::monotonic_ns()) > self.window_end {
            self.last = Some(self.processes.read());
        }
    }

    /// All readings of the cell.
    pub fn end(mut self) -> ServerReadings {
        let last = self.last.unwrap_or_else(|| self.processes.read());
        self.readings.push((AT_END, last));
        ServerReadings(self.readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_only_processes_that_serve_the_target() {
        let Ok(mut other) = std::process::Command::new("sleep").arg("60").spawn() else { return };
        let pid = other.id();
        if host::process_use(pid).is_none() {
            return;
        }
        let find = |pids: &[u32], target: &str, is_here| {
            let id = ServerId::Pids(pids.to_vec());
            ServerProcesses::find(&id, target.parse().unwrap(), is_here).map(drop)
        };
        let here = "127.0.0.1:9";
        let own = std::process::id();
        assert!(matches!(find(&[own], here, true), Err(ServerError::Own { .. })));
        let found = find(&[pid], here, true);
        assert!(matches!(found, Err(ServerError::NoSocket { port: 9, .. })), "{found:?}");
        // Nothing is sent: the process is in this network namespace, and the address is not.
        let found = find(&[pid], "192.0.2.1:9", false);
        assert!(matches!(found, Err(ServerError::Elsewhere { .. })), "{found:?}");
        other.kill().unwrap();
        // Killed, but not yet waited for.
        while host::process_use(pid).is_some() {
            std::thread::yield_now();
        }
        let found = find(&[pid], here, true);
        assert!(matches!(found, Err(ServerError::NoProcess { .. })), "{found:?}");
        other.wait().unwrap();
    }
}
