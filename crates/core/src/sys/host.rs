//! Facts about the machine and its tuning, from /proc and /sys. A file may be missing or masked, as
//! in a container or on another system; then the fact is unknown, never 0.

mod cgroup;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;

pub use cgroup::{cgroup_limits, cpu_throttling};
pub use process::{
    is_in_this_netns, process_name, process_use, processes_of, udp_drops, udp_sockets, unit_folder,
    with_descendants,
};

use crate::sys::{CpuTime, LoadAverage};

/// Nanoseconds in a clock tick of /proc/stat: USER_HZ is 100 on every current architecture.
const TICK_NS: u64 = 10_000_000;

/// More than most files of /proc have. Their size is given as 0, so that `fs::read_to_string`
/// would start with pieces of 32 bytes. The kernel returns up to a page (4096) a call.
const FILE_BYTES: usize = 8192;

/// The content of a file; `None` if the file is empty, as a masked one is. An empty list is not: it
/// has an empty line.
pub(super) fn raw(path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::with_capacity(FILE_BYTES);
    fs::File::open(path).ok()?.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The content of a file without blanks and zero bytes around it; `None` if that is empty.
pub fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = raw(path)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// The number in a file.
pub fn number(path: impl AsRef<Path>) -> Option<u64> {
    read(path)?.parse().ok()
}

/// Name and release of the kernel, e.g. `Linux 6.18.44`.
pub fn kernel() -> Option<String> {
    let (name, release) = (read("/proc/sys/kernel/ostype")?, read("/proc/sys/kernel/osrelease")?);
    Some(format!("{name} {release}"))
}

/// Model name of the CPU; on arm64, which has none, that of the board.
pub fn cpu_model() -> Option<String> {
    let info = raw("/proc/cpuinfo")?;
    cpu_field(&info, "model name")
        .or_else(|| cpu_field(&info, "cpu model"))
        .map(str::to_owned)
        .or_else(|| read("/proc/device-tree/model"))
}

fn cpu_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(found, value)| (found.trim() == name).then(|| value.trim()))
}

/// CPUs of the whole machine that are in use.
pub fn online_cpus() -> Option<usize> {
    Some(cpu_list(&read("/sys/devices/system/cpu/online")?)?.len())
}

/// The CPUs that the scheduler does not use (`isolcpus=`); `Some(vec![])`: none.
pub fn isolated_cpus() -> Option<Vec<usize>> {
    // An empty line is an empty list; without one, the list is unknown.
    cpu_list(raw("/sys/devices/system/cpu/isolated")?.trim())
}

/// These CPUs by physical core, ascending; `None` if the core of any is unknown.
pub fn thread_siblings(cpus: &[usize]) -> Option<Vec<Vec<usize>>> {
    group(cpus, |cpu| {
        let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        cpu_list(&read(file)?)
    })
}

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

/// The frequency governors of these CPUs; `None` without frequency scaling, as in most VMs.
pub fn governor(cpus: &[usize]) -> Option<String> {
    let file = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
    let found: BTreeSet<_> = cpus.iter().filter_map(|cpu| read(file(cpu))).collect();
    (!found.is_empty()).then(|| found.into_iter().collect::<Vec<_>>().join(", "))
}

/// CPU time since boot, all CPUs; `None` if the kernel does not count stolen time.
pub fn cpu_time() -> Option<CpuTime> {
    cpu_times(&raw("/proc/stat")?)
}

fn cpu_times(text: &str) -> Option<CpuTime> {
    let columns = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    // user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)); user includes guests.
    let ticks: Vec<u64> = columns.take(8).map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
    let stolen_ns = ticks.get(7)? * TICK_NS;
    Some(CpuTime { total_ns: ticks.iter().sum::<u64>() * TICK_NS, stolen_ns })
}

/// The load of the whole machine.
pub fn load() -> Option<LoadAverage> {
    load_of(&read("/proc/loadavg")?)
}

/// Parses a line such as `0.20 0.18 0.12 1/80 11206`.
fn load_of(text: &str) -> Option<LoadAverage> {
    let mut columns = text.split_whitespace();
    let one_minute = columns.next()?.parse().ok()?;
    let (runnable, _) = columns.nth(2)?.split_once('/')?;
    Some(LoadAverage { one_minute, runnable: runnable.parse().ok()? })
}

/// Vendors and products of virtual boards: `dmi_vendor_table` of systemd's `src/basic/virt.c`.
const VIRTUAL_BOARDS: &str = "KVM,QEMU,OpenStack,KubeVirt,VMware,VirtualBox,innotek,Xen,Bochs,\
    Parallels,BHYVE,Virtual Machine,Apple Virtualization,Google Compute Engine";

/// Clock sources of hypervisors, from their drivers in the kernel.
const VIRTUAL_CLOCKS: &[(&str, &str)] =
    &[("kvm-clock", "KVM"), ("hyperv_clocksource", "Hyper-V"), ("xen", "Xen")];

/// The hypervisor, as far as it can be detected; `None` on hardware.
pub fn virtualization() -> Option<String> {
    let info = raw("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu_field(&info, "flags").unwrap_or_default();
    let virtual_cpu = flags.split_whitespace().any(|flag| flag == "hypervisor");
    let dmi = |name| read(format!("/sys/class/dmi/id/{name}"));
    let board = [dmi("sys_vendor"), dmi("product_name")].into_iter().flatten();
    let board = board.collect::<Vec<_>>().join(" ");
    let clocks = read("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    hypervisor(virtual_cpu, &board, read("/sys/hypervisor/type"), &clocks.unwrap_or_default())
}

/// The hypervisor by the CPU's flag (x86 only), the name of the board, the type that a
/// paravirtualised kernel reports, and the available clock sources.
fn hypervisor(flag: bool, board: &str, kind: Option<String>, clocks: &str) -> Option<String> {
    let virtual_board = VIRTUAL_BOARDS.split(',').any(|name| board.contains(name));
    if !(flag || virtual_board || kind.is_some()) {
        return None;
    }
    let by_clock = VIRTUAL_CLOCKS.iter().find(|(clock, _)| clocks.contains(clock));
    let name = (!board.is_empty()).then(|| board.to_owned()).or(kind);
    let name = name.or_else(|| by_clock.map(|(_, name)| (*name).to_owned()));
    Some(name.unwrap_or_else(|| "an unnamed hypervisor".to_owned()))
}

/// The kind of container that this process runs in, as far as it can be detected.
pub fn container() -> Option<String> {
    // systemd's container interface; the others are files of the container runtimes.
    let files = [
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ];
    read("/run/systemd/container").or_else(|| {
        let found = files.iter().find(|(path, _)| Path::new(path).exists());
        found.map(|(_, name)| (*name).to_owned())
    })
}

/// Kernel parameters that affect the cost of a datagram, with `_` for `-`
/// (`Documentation/admin-guide/kernel-parameters.txt`): scheduling and ticks, idling and clock
/// rate, memory pages, clocks, DMA, and mitigations of CPU flaws.
const TUNES: &str = "amd_iommu amd_prefcore amd_pstate clocksource default_hugepagesz \
    gather_data_sampling highres hpet hugepages hugepagesz idle indirect_target_selection \
    init_on_alloc init_on_free intel_iommu intel_pstate iommu irqaffinity isolcpus kpti \
    kthread_cpus l1d_flush l1tf maxcpus mds mitigations mmio_stale_data nested_pvm nmi_watchdog \
    nohz nohz_full nopti nosmt nosoftlockup nospec_store_bypass_disable nospectre_bhb nospectre_v1 \
    nospectre_v2 nowatchdog nr_cpus numa numa_balancing pcie_aspm possible_cpus preempt psi pti \
    randomize_kstack_offset rcu_nocb_poll rcu_nocbs reg_file_data_sampling retbleed skew_tick \
    spec_rstack_overflow spec_store_bypass_disable spectre_bhi spectre_v2 spectre_v2_user srbds \
    ssbd swiotlb threadirqs transparent_hugepage tsa tsc tsx tsx_async_abort vmscape";

/// Parts of the kernel all of whose parameters do; from the same list.
const TUNED_PARTS: &str =
    "cpufreq cpuidle cpuidle_haltpoll haltpoll intel_idle iommu processor rcutree workqueue";

/// The tuning parameters of the kernel command line; empty without any. Omits all others: some
/// hosts pass tokens and passwords there, and a sink sends the result to its clients.
pub fn kernel_command_line() -> Option<String> {
    read("/proc/cmdline").map(|line| tuning(&line))
}

fn tuning(line: &str) -> String {
    // The rest is for init (`Documentation/admin-guide/kernel-parameters.rst`).
    let words = words(line).into_iter().take_while(|&word| word != "--");
    words.filter(|word| tunes(word)).collect::<Vec<_>>().join(" ")
}

/// The words of a line; quoted blanks are part of a word, as in `next_arg` of the kernel's
/// `lib/cmdline.c`.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let ends = |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    };
    line.split(ends).filter(|word| !word.is_empty()).collect()
}

/// Whether this parameter tunes. The kernel treats `-` and `_` in names alike.
fn tunes(word: &str) -> bool {
    let has = |list: &str, name: &str| list.split(' ').any(|known| known == name);
    let name = word.split_once('=').map_or(word, |(name, _)| name).replace('-', "_");
    match name.split_once('.') {
        Some((part, _)) => has(TUNED_PARTS, part),
        None => has(TUNES, &name),
    }
}

/// CPU vulnerabilities and their mitigation, as the kernel reports them.
pub fn mitigations() -> Option<BTreeMap<String, String>> {
    let files = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").ok()?;
    let state =
        |file: fs::DirEntry| Some((file.file_name().into_string().ok()?, read(file.path())?));
    let found: BTreeMap<_, _> = files.filter_map(|file| state(file.ok()?)).collect();
    (!found.is_empty()).then_some(found)
}

/// Whether the CPUs may clock above their nominal frequency; `None` without that control.
pub fn turbo() -> Option<bool> {
    let forbidden = number("/sys/devices/system/cpu/intel_pstate/no_turbo");
    let boost = || number("/sys/devices/system/cpu/cpufreq/boost");
    forbidden.map(|off| off == 0).or_else(|| boost().map(|on| on != 0))
}

/// The CPUs without a timer tick while they run one task (`nohz_full=`); may be none.
pub fn nohz_full_cpus() -> Option<Vec<usize>> {
    // The kernel writes `(null)` for none.
    cpu_list(raw("/sys/devices/system/cpu/nohz_full")?.trim().trim_start_matches("(null)"))
}

/// Network settings that affect UDP: socket buffers, memory of all sockets, polling, batch sizes.
/// Arbitrary.
const SYSCTLS: &str = "kernel.sched_rt_runtime_us net.core.busy_poll net.core.busy_read \
    net.core.default_qdisc \
    net.core.dev_weight net.core.netdev_budget net.core.netdev_budget_usecs net.core.rmem_default \
    net.core.rps_sock_flow_entries net.core.wmem_default net.ipv4.udp_mem net.ipv4.udp_rmem_min \
    net.ipv4.udp_wmem_min";

/// These settings of this network namespace by name.
pub fn sysctls() -> BTreeMap<String, String> {
    let value = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        // The kernel writes tabs.
        Some((name.to_owned(), read(path)?.replace('\t', " ")))
    };
    SYSCTLS.split(' ').filter_map(value).collect()
}

/// The initial time namespace: `PROC_TIME_INIT_INO` of `include/linux/proc_ns.h`.
const INITIAL: &str = "time:[4026531834]";

/// The random id of this boot; virtual machines from one snapshot share it.
pub fn boot_id() -> Option<String> {
    read("/proc/sys/kernel/random/boot_id")
}

/// Equal for two processes exactly if they read the same monotonic clock: of one kernel, with the
/// same offset of their time namespaces (time_namespaces(7)). `None` if unknown.
pub fn clock_identity() -> Option<String> {
    let own = link("time");
    let offset = match own.as_deref() {
        // A kernel without time namespaces has one clock.
        None | Some(INITIAL) => "0 0".to_owned(),
        // The file has the offsets of the children's namespace, which may be another.
        own if own == link("time_for_children").as_deref() => {
            monotonic_offset(&raw("/proc/self/timens_offsets")?)?
        }
        _ => return None,
    };
    Some(format!("{} {offset}", boot_id()?))
}

/// Equal for two threads exactly if they share the counters of a network namespace.
pub fn network_identity() -> Option<String> {
    let target = fs::read_link("/proc/thread-self/ns/net").ok()?;
    Some(format!("{} {}", boot_id()?, target.to_str()?))
}

/// The memory of this process that is in RAM, in bytes; `None` if unknown.
pub fn resident_bytes() -> Option<u64> {
    let status = raw("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim();
    Some(kib.strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// A namespace of this process, whose threads are all in one time namespace (setns(2)).
fn link(name: &str) -> Option<String> {
    fs::read_link(format!("/proc/self/ns/{name}")).ok()?.into_os_string().into_string().ok()
}

fn monotonic_offset(offsets: &str) -> Option<String> {
    let mut rest =
        offsets.lines().find_map(|line| line.strip_prefix("monotonic "))?.split_whitespace();
    Some(format!("{} {}", rest.next()?, rest.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_cpu_lists_and_groups_siblings() {
        for (text, cpus) in
            [("0-3,8", Some(vec![0, 1, 2, 3, 8])), ("", Some(Vec::new())), ("(null)", None)]
        {
            assert_eq!(cpu_list(text), cpus, "{text}");
        }
        let halves = |cpu| Some(vec![cpu % 4, cpu % 4 + 4]);
        assert_eq!(group(&[1, 2, 5], halves), Some(vec![vec![1, 5], vec![2]]));
        assert_eq!(group(&[1], |_| None), None);
    }

    #[test]
    fn parses_cpuinfo_stat_and_loadavg() {
        let info = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD EPYC\nflags\t\t: fpu";
        assert_eq!(cpu_field(info, "model name"), Some("AMD EPYC"));
        assert_eq!(cpu_field(info, "cpu model"), None);
        let time = cpu_times("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2\n").unwrap();
        assert_eq!((time.total_ns, time.stolen_ns), (36 * TICK_NS, 8 * TICK_NS));
        assert!(cpu_times("cpu  1 2 3 4 5 6 7\n").is_none(), "a kernel without steal");
        let load = load_of("0.25 0.18 0.12 3/80 11206").unwrap();
        assert_eq!((load.one_minute, load.runnable), (0.25, 3));
        assert!(load_of("0.25 0.18").is_none());
    }

    #[test]
    fn detects_hypervisors() {
        for (flag, board, clocks, name) in [
            (false, "", "", None),
            (false, "Amazon EC2 c7g.metal", "", None),
            (false, "QEMU KVM Virtual Machine", "", Some("QEMU KVM Virtual Machine")),
            (true, "", "tsc kvm-clock", Some("KVM")),
            (true, "", "", Some("an unnamed hypervisor")),
        ] {
            assert_eq!(hypervisor(flag, board, None, clocks).as_deref(), name);
        }
    }

    #[test]
    fn reports_only_tuning_parameters() {
        let line = "BOOT_IMAGE=/vmlinuz root=UUID=1f quiet mitigations=off nohz-full=1-3 nosmt \
            talos.config=https://host/?token=t ds=nocloud;s=http://user:pw@host/ \
            processor.max_cstate=1 systemd.set_credential=a:b ip=10.0.0.2::10.0.0.1 \
            -- isolcpus=1 --token x";
        assert_eq!(tuning(line), "mitigations=off nohz-full=1-3 nosmt processor.max_cstate=1");
        assert_eq!(tuning("quiet  idle=poll"), "idle=poll");
        assert_eq!(tuning("quiet splash"), "");
        // Text in quotes is part of one word.
        assert_eq!(tuning("secret=\"a tsc=b\" tsc=reliable"), "tsc=reliable");
        assert_eq!(tuning("\"secret=a idle=b\" nopti"), "nopti");
        assert_eq!(tuning("secret=\"a nosmt"), "");
    }

    #[test]
    fn reads_the_offset_of_the_monotonic_clock() {
        let text = "monotonic      -86400         7\nboottime            0         0\n";
        assert_eq!(monotonic_offset(text).as_deref(), Some("-86400 7"));
        assert_eq!(monotonic_offset("boottime 0 0\nmonotonic 3"), None);
    }
}
