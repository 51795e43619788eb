//! What other processes use, from /proc (proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5)), and
//! the processes of a systemd unit, from its control group.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{TICK_NS, network_identity, raw, read};
use crate::sys::{ContextSwitches, ProcessUse, ThreadUse};

/// Mount points of the hierarchy in which systemd has its units: of version 2, and of version 1.
const HIERARCHIES: [&str; 3] =
    ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
/// How deep units lie: user@1000.service has slices within slices. Arbitrary: deeper than usual.
const MAX_DEPTH: usize = 8;

/// What a process has used so far; `None` if there is none of this number.
pub fn process_use(pid: u32) -> Option<ProcessUse> {
    let (_, cpu_ns, _) = stat(&raw(format!("/proc/{pid}/stat"))?)?;
    let threads = numbers(Path::new(&format!("/proc/{pid}/task")));
    let status = raw(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss_bytes = field(&status, "VmRSS").and_then(|kib| kib.checked_mul(1_024));
    let threads: Vec<_> = threads.into_iter().filter_map(|tid| thread_use(pid, tid)).collect();
    // Without one, it has just ended.
    (!threads.is_empty()).then_some(ProcessUse { pid, cpu_ns, rss_bytes, threads })
}

fn thread_use(pid: u32, tid: u32) -> Option<ThreadUse> {
    let file = |name: &str| raw(format!("/proc/{pid}/task/{tid}/{name}"));
    // Time on CPUs in ns first (sched-stats of the kernel's documentation); ticks without it.
    let exact = file("schedstat").and_then(|text| text.split(' ').next()?.parse().ok());
    let cpu_ns = exact.or_else(|| stat(&file("stat")?).map(|(_, cpu_ns, _)| cpu_ns))?;
    let status = file("status").unwrap_or_default();
    let switches = field(&status, "voluntary_ctxt_switches")
        .zip(field(&status, "nonvoluntary_ctxt_switches"))
        .map(|(voluntary, involuntary)| ContextSwitches { voluntary, involuntary });
    Some(ThreadUse { tid, cpu_ns, switches })
}

/// State, CPU time and name of a line of `stat`. A zombie has ended.
fn stat(line: &str) -> Option<(char, u64, &str)> {
    // The name may have blanks and parentheses.
    let (before, after) = line.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<_> = after.split(' ').collect();
    let state = fields.first()?.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))?;
    // utime and stime are fields 14 and 15; the state is the third.
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((state, ticks(11)?.saturating_add(ticks(12)?).saturating_mul(TICK_NS), name))
}

/// A number of `status`, such as `VmRSS`, in the unit of the file.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The numbers that are names in this folder.
fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// These processes and all that they have started, directly or not.
pub fn with_descendants(pids: &[u32]) -> BTreeSet<u32> {
    let parents = numbers(Path::new("/proc")).into_iter();
    let parents: Vec<_> = parents.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found: BTreeSet<u32> = pids.iter().copied().collect();
    loop {
        let known = found.len();
        let children = parents.iter().filter(|(_, parent)| found.contains(parent));
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        if found.len() == known {
            return found;
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    // Its field is behind the state, which is behind the name.
    raw(format!("/proc/{pid}/stat"))?.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The name of a process; `None` if there is none of this number.
pub fn process_name(pid: u32) -> Option<String> {
    read(format!("/proc/{pid}/comm"))
}

/// Whether a process is in the network namespace of this thread; `None` if that is not known.
pub fn is_in_this_netns(pid: u32) -> Option<bool> {
    let own = network_identity()?;
    let other = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    Some(own.ends_with(other.to_str()?))
}

/// Inodes of the UDP sockets that a process has on this port. An error if its files cannot be read.
pub fn udp_sockets(pid: u32, port: u16) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let inode = target.to_str().and_then(|target| target.strip_prefix("socket:["));
        inodes.extend(inode.and_then(|inode| inode.strip_suffix(']')?.parse::<u64>().ok()));
    }
    let on_port: BTreeSet<_> = tables(pid)?
        .iter()
        .flat_map(|table| sockets(table))
        .filter(|(of_port, ..)| *of_port == port)
        .map(|(_, inode, _)| inode)
        .collect();
    Ok(inodes.intersection(&on_port).copied().collect())
}

/// Datagrams that each of these sockets dropped so far, in the network namespace of a process;
/// `None` if that is unknown.
pub fn udp_drops(pid: u32, inodes: &BTreeSet<u64>) -> Option<Vec<(u64, u64)>> {
    let tables = tables(pid).ok()?;
    let all = tables.iter().flat_map(|table| sockets(table));
    let all = all.filter(|(_, inode, _)| inodes.contains(inode));
    Some(all.map(|(_, inode, drops)| (inode, drops)).collect())
}

/// The tables of UDP sockets. Each has at least a line of titles, and a kernel without IPv6 has one
/// table.
fn tables(pid: u32) -> io::Result<Vec<String>> {
    let read = |name| match fs::read_to_string(format!("/proc/{pid}/net/{name}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && name == "udp6" => Ok(None),
        Ok(text) if text.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        text => text.map(Some),
    };
    Ok([read("udp")?, read("udp6")?].into_iter().flatten().collect())
}

/// Local port, inode and drops of each socket of /proc/net/udp.
fn sockets(table: &str) -> impl Iterator<Item = (u16, u64, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some((port, fields.get(9)?.parse().ok()?, fields.last()?.parse().ok()?))
    })
}

/// The folder of the control group of a systemd unit; `.service` may be omitted.
pub fn unit_folder(unit: &str) -> Option<PathBuf> {
    let names = [unit.to_owned(), format!("{unit}.service")];
    let find = |root: &&str| unit_below(Path::new(root), &names, MAX_DEPTH);
    HIERARCHIES.iter().find_map(find)
}

fn unit_below(folder: &Path, names: &[String], depth: usize) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    let is_unit = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| names.iter().any(|known| known == name))
    };
    let found = folders.iter().find(is_unit).cloned();
    found.or_else(|| {
        let below = folders.iter().filter(|_| depth > 0);
        below.into_iter().find_map(|folder| unit_below(folder, names, depth - 1))
    })
}

/// All processes of a control group and of the groups below it.
pub fn processes_of(folder: &Path) -> BTreeSet<u32> {
    let listed = raw(folder.join("cgroup.procs")).unwrap_or_default();
    let mut processes: BTreeSet<u32> =
        listed.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        processes.extend(processes_of(&entry.path()));
    }
    processes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_stat_status_and_sockets() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194304 145 0 0 0 31 11 0 0 20 0 1 0 9 9 9 9";
        assert_eq!(stat(line), Some(('S', 42 * TICK_NS, "a) b (c)")));
        assert_eq!(stat(&line.replace(" S ", " Z ")), None, "it has ended");
        let status = "Name:\tVmRSS\nVmRSS:\t  1420 kB\nvoluntary_ctxt_switches:\t12\n";
        assert_eq!(field(status, "VmRSS"), Some(1_420));
        assert_eq!(
            (field(status, "voluntary_ctxt_switches"), field(status, "Vm")),
            (Some(12), None)
        );
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt \
            uid timeout inode ref pointer drops\n 3077: 0100007F:14B4 00000000:0000 07 \
            00000000:00000000 00:00000000 00000000  0  0 20462 2 0000000000000000 17\n";
        assert_eq!(sockets(table).collect::<Vec<_>>(), [(5_300, 20_462, 17)]);
    }

    #[test]
    fn finds_the_processes_of_a_unit_and_of_its_groups() {
        let root = tempfile::tempdir().unwrap();
        let unit = root.path().join("system.slice/system-dns.slice/dns@1.service");
        fs::create_dir_all(unit.join("workers")).unwrap();
        fs::write(unit.join("cgroup.procs"), "7\n11\n").unwrap();
        fs::write(unit.join("workers/cgroup.procs"), "13\n").unwrap();
        let find = |name: &str, depth| {
            let names = [name.to_owned(), format!("{name}.service")];
            unit_below(root.path(), &names, depth)
        };
        assert_eq!(find("dns@1", 2).as_ref(), Some(&unit));
        assert_eq!(find("dns@1.service", 2).as_ref(), Some(&unit));
        assert_eq!((find("dns@1", 1), find("dns", 8)), (None, None));
        assert_eq!(processes_of(&unit), BTreeSet::from([7, 11, 13]));
        assert_eq!(unit_folder("../system.slice"), None);
    }

    #[test]
    fn a_masked_file_has_no_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(raw(file.path()), None);
        fs::write(file.path(), "\n").unwrap();
        assert_eq!(raw(file.path()).as_deref(), Some("\n"), "an empty list");
    }

    #[test]
    fn reads_this_process() {
        let Some(this) = process_use(std::process::id()) else { return };
        assert!(this.rss_bytes > Some(0) && !this.threads.is_empty(), "{this:?}");
        assert!(this.threads.iter().all(|thread| thread.switches.is_some()), "{this:?}");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let inodes = udp_sockets(this.pid, port).unwrap();
        assert_eq!(inodes.len(), 1);
        let drops = udp_drops(this.pid, &inodes).unwrap();
        assert_eq!(drops.into_iter().map(|(_, drops)| drops).collect::<Vec<_>>(), [0]);
        drop(socket);
        // The port may be another test's by now.
        assert!(udp_sockets(this.pid, port).unwrap().is_disjoint(&inodes));
        assert_eq!(is_in_this_netns(this.pid), Some(true));
    }
}
