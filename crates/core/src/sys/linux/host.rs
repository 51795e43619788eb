//! Facts about the machine, from /proc and /sys. In a container any of these files may be missing
//! or masked; then the fact is unknown, never 0.

mod cgroup;
mod tuning;

use std::fs;
use std::path::Path;

pub use cgroup::{cgroup_limits, cpu_throttling};
pub use tuning::{kernel_command_line, mitigations, nohz_full_cpus, sysctls, turbo};

use crate::sys::{CpuTime, LoadAverage};

/// Nanoseconds in a clock tick of /proc/stat: USER_HZ is 100 on every architecture of today.
pub(super) const TICK_NS: u64 = 10_000_000;

/// A small file, trimmed; `None` where it is missing, unreadable or empty.
pub(super) fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    // The device tree ends its words with a zero.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A file that holds one number.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    read(path)?.parse().ok()
}

/// Name of the host.
pub fn hostname() -> Option<String> {
    read("/proc/sys/kernel/hostname")
}

/// Name and release of the kernel, e.g. `Linux 6.18.44`.
pub fn kernel() -> Option<String> {
    let (name, release) = (read("/proc/sys/kernel/ostype")?, read("/proc/sys/kernel/osrelease")?);
    Some(format!("{name} {release}"))
}

/// Model name of the CPU; on arm64, which has none, that of the board.
pub fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    cpu_field(&info, "model name")
        .or_else(|| cpu_field(&info, "cpu model"))
        .map(str::to_owned)
        .or_else(|| read("/proc/device-tree/model"))
}

/// The first line of /proc/cpuinfo with this name.
fn cpu_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(found, value)| (found.trim() == name).then(|| value.trim()))
}

/// CPUs of the whole machine that are in use.
pub fn online_cpus() -> Option<usize> {
    Some(cpu_list(&read("/sys/devices/system/cpu/online")?)?.len())
}

/// The CPUs that the scheduler leaves alone (`isolcpus=`); `Some(vec![])`: none.
pub fn isolated_cpus() -> Option<Vec<usize>> {
    // An empty file says that there are none, a missing one says nothing.
    cpu_list(fs::read_to_string("/sys/devices/system/cpu/isolated").ok()?.trim())
}

/// These CPUs by physical core, ascending; `None` where the kernel does not say it of all of them.
pub fn thread_siblings(cpus: &[usize]) -> Option<Vec<Vec<usize>>> {
    group(cpus, |cpu| {
        let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        cpu_list(&read(file)?)
    })
}

/// Groups `cpus` by what `siblings` says that each shares its core with.
fn group(
    cpus: &[usize],
    siblings: impl Fn(usize) -> Option<Vec<usize>>,
) -> Option<Vec<Vec<usize>>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &cpu in cpus {
        if groups.iter().any(|group| group.contains(&cpu)) {
            continue;
        }
        let mut group = siblings(cpu)?;
        group.retain(|other| cpus.contains(other));
        groups.push(group);
    }
    Some(groups)
}

/// A list as the kernel writes it: `0-3,8`.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

/// Whether physical cores run two threads at once.
pub fn smt_active() -> Option<bool> {
    number("/sys/devices/system/cpu/smt/active").map(|active| active != 0)
}

/// The frequency governors of these CPUs; `None` without frequency scaling, as in most VMs.
pub fn governor(cpus: &[usize]) -> Option<String> {
    let mut found: Vec<String> = cpus
        .iter()
        .filter_map(|cpu| {
            read(format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    (!found.is_empty()).then(|| found.join(", "))
}

/// `net.core.rmem_max` in bytes: the most that SO_RCVBUF gets.
pub fn rmem_max() -> Option<u64> {
    number("/proc/sys/net/core/rmem_max")
}

/// `net.core.wmem_max` in bytes: the most that SO_SNDBUF gets.
pub fn wmem_max() -> Option<u64> {
    number("/proc/sys/net/core/wmem_max")
}

/// `net.core.netdev_max_backlog` in packets.
pub fn netdev_max_backlog() -> Option<u64> {
    number("/proc/sys/net/core/netdev_max_backlog")
}

/// `net.unix.max_dgram_qlen`: datagrams that an AF_UNIX socket queues.
pub fn max_dgram_qlen() -> Option<u64> {
    number("/proc/sys/net/unix/max_dgram_qlen")
}

/// The folder of the kernel's clock sources.
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0";

/// The kernel's clock source, e.g. `tsc`.
pub fn clocksource() -> Option<String> {
    read(format!("{CLOCKSOURCE}/current_clocksource"))
}

/// CPU time since boot, all CPUs; `None` where the kernel does not count what was stolen.
pub fn cpu_time() -> Option<CpuTime> {
    cpu_times(&fs::read_to_string("/proc/stat").ok()?)
}

/// The CPU time in a text like `/proc/stat`.
fn cpu_times(text: &str) -> Option<CpuTime> {
    let mut columns = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    // user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)); user includes guests.
    let mut ticks = [0_u64; 8];
    for ticks in &mut ticks {
        *ticks = columns.next()?.parse().ok()?;
    }
    Some(CpuTime { total_ns: ticks.iter().sum::<u64>() * TICK_NS, stolen_ns: ticks[7] * TICK_NS })
}

/// How busy the machine is, all of it.
pub fn load() -> Option<LoadAverage> {
    load_of(&read("/proc/loadavg")?)
}

/// The load in a text like `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.
fn load_of(text: &str) -> Option<LoadAverage> {
    let mut columns = text.split_whitespace();
    let one_minute = columns.next()?.parse().ok()?;
    let (runnable, _) = columns.nth(2)?.split_once('/')?;
    Some(LoadAverage { one_minute, runnable: runnable.parse().ok()? })
}

/// What a hypervisor lets its guests see.
#[derive(Debug, Default)]
struct Traces {
    /// The CPU says that it is a virtual one; x86 only.
    flag: bool,
    /// Vendor and product of the board.
    board: Option<String>,
    /// Of a paravirtual kernel.
    kind: Option<String>,
    /// Clock sources there are to choose from.
    clocks: Option<String>,
}

/// Boards that no hardware has: from `dmi_vendor_table` of systemd's `src/basic/virt.c`.
const VIRTUAL_BOARDS: &str = "KVM,QEMU,OpenStack,KubeVirt,VMware,VirtualBox,innotek,Xen,Bochs,\
    Parallels,BHYVE,Virtual Machine,Apple Virtualization,Google Compute Engine";

/// Clock sources that hypervisors offer, from the kernel's drivers of them.
const VIRTUAL_CLOCKS: &[(&str, &str)] =
    &[("kvm-clock", "KVM"), ("hyperv_clocksource", "Hyper-V"), ("xen", "Xen")];

/// The hypervisor this machine runs under, as far as it shows; `None` on hardware.
pub fn virtualization() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu_field(&info, "flags").unwrap_or_default();
    let dmi = |name| read(format!("/sys/class/dmi/id/{name}"));
    let board = match (dmi("sys_vendor"), dmi("product_name")) {
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (one, other) => one.or(other),
    };
    hypervisor(&Traces {
        flag: flags.split_whitespace().any(|flag| flag == "hypervisor"),
        board,
        kind: read("/sys/hypervisor/type"),
        clocks: read(format!("{CLOCKSOURCE}/available_clocksource")),
    })
}

/// The hypervisor that left these traces.
fn hypervisor(traces: &Traces) -> Option<String> {
    let board = traces.board.as_deref().unwrap_or_default();
    let virtual_board = VIRTUAL_BOARDS.split(',').any(|name| board.contains(name));
    if !(traces.flag || virtual_board || traces.kind.is_some()) {
        return None;
    }
    let clocks = traces.clocks.as_deref().unwrap_or_default();
    let by_clock = VIRTUAL_CLOCKS
        .iter()
        .find_map(|(clock, name)| clocks.contains(clock).then(|| (*name).to_owned()));
    let unnamed = || "an unnamed hypervisor".to_owned();
    let name = traces.board.clone().or_else(|| traces.kind.clone());
    Some(name.or(by_clock).unwrap_or_else(unnamed))
}

/// The kind of container this process runs in, as far as it shows.
pub fn container() -> Option<String> {
    // systemd's container interface; the others are files that the run-times leave behind.
    let traces = [
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ];
    read("/run/systemd/container").or_else(|| {
        traces
            .into_iter()
            .find_map(|(path, name)| Path::new(path).exists().then(|| name.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_list("0-3,8"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(cpu_list("5"), Some(vec![5]));
        assert_eq!(cpu_list(""), Some(Vec::new()));
        assert_eq!(cpu_list("(null)"), None);
    }

    #[test]
    fn cpus_are_grouped_among_those_allowed() {
        let halves = |cpu| Some(vec![cpu % 4, cpu % 4 + 4]);
        assert_eq!(
            group(&[1, 2, 5], halves),
            Some(vec![vec![1, 5], vec![2]]),
            "the sibling of 2 is not ours"
        );
        assert_eq!(group(&[1], |_| None), None);
        assert_eq!(group(&[], halves), Some(Vec::new()));
    }

    #[test]
    fn a_cpu_field_is_found_whole() {
        let info =
            "processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor";
        assert_eq!(cpu_field(info, "model name"), Some("AMD EPYC"));
        assert_eq!(cpu_field(info, "cpu model"), None);
    }

    #[test]
    fn hypervisors_are_named_by_the_best_trace() {
        for (flag, board, clocks, name) in [
            (false, None, None, None),
            (false, Some("Amazon EC2 c7g.metal"), None, None),
            (false, Some("QEMU KVM Virtual Machine"), None, Some("QEMU KVM Virtual Machine")),
            (true, None, Some("tsc kvm-clock"), Some("KVM")),
            (true, None, None, Some("an unnamed hypervisor")),
        ] {
            let [board, clocks] = [board, clocks].map(|text| text.map(str::to_owned));
            let traces = Traces { flag, board, clocks, kind: None };
            assert_eq!(hypervisor(&traces).as_deref(), name);
        }
    }

    #[test]
    fn cpu_time_and_load_are_read_from_their_columns() {
        let time = cpu_times("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2\n").unwrap();
        assert_eq!((time.total_ns, time.stolen_ns), (36 * TICK_NS, 8 * TICK_NS));
        assert!(cpu_times("cpu  1 2 3 4 5 6 7\n").is_none(), "a kernel without steal");
        let load = load_of("0.25 0.18 0.12 3/80 11206").unwrap();
        assert_eq!((load.one_minute, load.runnable), (0.25, 3));
        assert!(load_of("0.25 0.18").is_none() && load_of("").is_none());
        assert!(cpu_time().is_some() && super::load().is_some());
    }
}
