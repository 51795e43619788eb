//! What the processes of a server used between two readings.

use crate::document::ServerUsage;
use crate::sys::{ContextSwitches, ProcessUse};
use crate::unit::sum_counts;

use super::AT_END;

/// One reading of the processes of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerReading {
    /// When it began, on the monotonic clock in ns.
    pub at_ns: u64,
    /// The processes that there are.
    pub processes: Vec<ProcessUse>,
    /// Drops of each of their sockets so far, by inode; `None` if unknown.
    pub drops: Option<Vec<(u64, u64)>>,
}

/// Readings over a cell: by the index of the interval that had just begun, the first one 0, and the
/// last one [`AT_END`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerReadings(pub Vec<(u32, ServerReading)>);

impl ServerReadings {
    /// The whole cell; `None` without two readings.
    pub fn cell(&self) -> Option<ServerUsage> {
        Some(self.at(AT_END)?.since(self.at(0)?))
    }

    /// An interval; `None` if it was not read at both ends.
    pub fn interval(&self, index: u32, is_last: bool) -> Option<ServerUsage> {
        let end = if is_last { AT_END } else { index.checked_add(1)? };
        Some(self.at(end)?.since(self.at(index)?))
    }

    fn at(&self, index: u32) -> Option<&ServerReading> {
        self.0.iter().find(|(at, _)| *at == index).map(|(_, reading)| reading)
    }
}

impl ServerReading {
    /// What was used since an earlier reading.
    fn since(&self, then: &Self) -> ServerUsage {
        let then_of = |pid: u32| then.processes.iter().find(|process| process.pid == pid);
        let parts = self.processes.iter().map(|now| of_process(now, then_of(now.pid)));
        let parts: Vec<_> = parts.collect();
        let is_here = |pid: u32| self.processes.iter().any(|now| now.pid == pid);
        let all_here = then.processes.iter().all(|process| is_here(process.pid));
        let switches = parts.iter().map(|part| part.switches).reduce(|sum, part| {
            let (sum, part) = (sum?, part?);
            Some(ContextSwitches {
                voluntary: sum.voluntary.saturating_add(part.voluntary),
                involuntary: sum.involuntary.saturating_add(part.involuntary),
            })
        });
        let busiest = parts.iter().filter_map(|part| part.busiest_ns).max();
        let threads = self.processes.iter().map(|process| process.threads.len() as u64);
        let rss = self.processes.iter().map(|process| process.rss_bytes);
        let rss: Option<Vec<_>> = rss.collect();
        let is_known = all_here && !parts.is_empty();
        ServerUsage {
            time_ns: self.at_ns.saturating_sub(then.at_ns),
            processes: self.processes.len() as u64,
            threads: sum_counts(threads),
            cpu_ns: is_known.then(|| sum_counts(parts.iter().map(|part| part.cpu_ns))),
            busiest_thread_ns: busiest.filter(|_| is_known),
            rss_bytes: rss.filter(|_| is_known).map(sum_counts),
            context_switches: switches.flatten().filter(|_| is_known),
            socket_drops: self.drops_since(then).filter(|_| is_known),
        }
    }

    fn drops_since(&self, then: &Self) -> Option<u64> {
        let (now, then) = (self.drops.as_ref()?, then.drops.as_ref()?);
        let before = |inode: u64| then.iter().find(|(other, _)| *other == inode);
        let gained = now.iter().map(|(inode, drops)| {
            drops.saturating_sub(before(*inode).map_or(0, |(_, drops)| *drops))
        });
        Some(sum_counts(gained))
    }
}

/// What one process used.
struct Part {
    cpu_ns: u64,
    busiest_ns: Option<u64>,
    /// `None` if a thread ended meanwhile.
    switches: Option<ContextSwitches>,
}

fn of_process(now: &ProcessUse, then: Option<&ProcessUse>) -> Part {
    let threads_then = then.map_or(&[][..], |then| &then.threads);
    let before = |tid: u32| threads_then.iter().find(|thread| thread.tid == tid);
    let has_all =
        threads_then.iter().all(|old| now.threads.iter().any(|thread| thread.tid == old.tid));
    let used = now.threads.iter().map(|thread| {
        thread.cpu_ns.saturating_sub(before(thread.tid).map_or(0, |before| before.cpu_ns))
    });
    let used: Vec<_> = used.collect();
    // Threads that ended are in the time of their process only, which is counted in ticks.
    let of_process = now.cpu_ns.saturating_sub(then.map_or(0, |then| then.cpu_ns));
    let of_threads = sum_counts(used.iter().copied());
    let switches = now.threads.iter().try_fold(ContextSwitches::default(), |sum, thread| {
        let switches = thread.switches?;
        let old = before(thread.tid)
            .map_or_else(|| Some(ContextSwitches::default()), |old| old.switches)?;
        Some(ContextSwitches {
            voluntary: sum.voluntary + switches.voluntary.saturating_sub(old.voluntary),
            involuntary: sum.involuntary + switches.involuntary.saturating_sub(old.involuntary),
        })
    });
    Part {
        cpu_ns: if has_all { of_threads } else { of_process.max(of_threads) },
        busiest_ns: used.into_iter().max(),
        switches: switches.filter(|_| has_all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ThreadUse;

    fn process(pid: u32, cpu_ns: u64, threads: &[(u32, u64)]) -> ProcessUse {
        let thread = |&(tid, cpu_ns): &(u32, u64)| {
            let switches = Some(ContextSwitches { voluntary: cpu_ns / 10, involuntary: 1 });
            ThreadUse { tid, cpu_ns, switches }
        };
        let threads = threads.iter().map(thread).collect();
        ProcessUse { pid, cpu_ns, rss_bytes: Some(4_096), threads }
    }

    fn reading(at_ns: u64, processes: &[ProcessUse], drops: &[(u64, u64)]) -> ServerReading {
        ServerReading { at_ns, processes: processes.to_vec(), drops: Some(drops.to_vec()) }
    }

    #[test]
    fn adds_up_threads_of_all_processes() {
        let old = [process(7, 0, &[(7, 100), (8, 200)]), process(9, 0, &[(9, 50)])];
        let new = [
            process(7, 0, &[(7, 130), (8, 500)]),
            process(9, 0, &[(9, 60)]),
            process(11, 0, &[(11, 40)]),
        ];
        let (then, now) = (reading(5, &old, &[(1, 3)]), reading(1_005, &new, &[(1, 9), (2, 4)]));
        let both = ServerReadings(vec![(0, then.clone()), (1, now.clone()), (AT_END, now)]);
        let usage = both.cell().unwrap();
        assert_eq!((usage.time_ns, usage.processes, usage.threads), (1_000, 3, 4));
        assert_eq!((usage.cpu_ns, usage.busiest_thread_ns), (Some(380), Some(300)));
        assert_eq!((usage.rss_bytes, usage.socket_drops), (Some(3 * 4_096), Some(10)));
        let switches = ContextSwitches { voluntary: 3 + 30 + 1 + 4, involuntary: 1 };
        assert_eq!(usage.context_switches, Some(switches));
        assert_eq!(usage.busiest_share(600), Some(0.5));
        assert_eq!(both.interval(0, false), Some(usage));
        assert_eq!(both.interval(1, false), None, "it was not read at its end");
        assert_eq!(both.interval(1, true).and_then(|usage| usage.cpu_ns), Some(0));
    }

    #[test]
    fn a_thread_that_ended_counts_by_its_process_and_a_process_makes_all_unknown() {
        let two = [process(7, 20, &[(7, 1), (8, 2)])];
        let one = [process(7, 90, &[(7, 11)])];
        let usage = reading(9, &one, &[]).since(&reading(0, &two, &[]));
        assert_eq!((usage.cpu_ns, usage.context_switches), (Some(70), None));
        let usage = reading(9, &[], &[]).since(&reading(0, &two, &[(1, 1)]));
        assert_eq!((usage.processes, usage.cpu_ns, usage.socket_drops), (0, None, None));
    }
}
