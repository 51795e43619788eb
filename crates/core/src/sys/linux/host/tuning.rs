//! How the kernel and its CPUs are tuned: what decides the price of a system call and of a
//! datagram without showing in any counter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{cpu_list, number, read};

/// What of the kernel's command line decides what a datagram costs, as far as its words are for
/// that (`Documentation/admin-guide/kernel-parameters.txt`): scheduling and ticks, idling and clock
/// rate, memory pages, clocks, DMA, and what is done about flaws of the CPU. Ascending, with `_`
/// for `-`.
const TUNES: &[&str] = &[
    "amd_iommu",
    "amd_prefcore",
    "amd_pstate",
    "clocksource",
    "default_hugepagesz",
    "gather_data_sampling",
    "highres",
    "hpet",
    "hugepages",
    "hugepagesz",
    "idle",
    "indirect_target_selection",
    "init_on_alloc",
    "init_on_free",
    "intel_iommu",
    "intel_pstate",
    "iommu",
    "irqaffinity",
    "isolcpus",
    "kpti",
    "kthread_cpus",
    "l1d_flush",
    "l1tf",
    "maxcpus",
    "mds",
    "mitigations",
    "mmio_stale_data",
    "nested_pvm",
    "nmi_watchdog",
    "nohz",
    "nohz_full",
    "nopti",
    "nosmt",
    "nosoftlockup",
    "nospec_store_bypass_disable",
    "nospectre_bhb",
    "nospectre_v1",
    "nospectre_v2",
    "nowatchdog",
    "nr_cpus",
    "numa",
    "numa_balancing",
    "pcie_aspm",
    "possible_cpus",
    "preempt",
    "psi",
    "pti",
    "randomize_kstack_offset",
    "rcu_nocb_poll",
    "rcu_nocbs",
    "reg_file_data_sampling",
    "retbleed",
    "skew_tick",
    "spec_rstack_overflow",
    "spec_store_bypass_disable",
    "spectre_bhi",
    "spectre_v2",
    "spectre_v2_user",
    "srbds",
    "ssbd",
    "swiotlb",
    "threadirqs",
    "transparent_hugepage",
    "tsa",
    "tsc",
    "tsx",
    "tsx_async_abort",
    "vmscape",
];

/// Parts of the kernel all of whose parameters do. From the same list.
const TUNED_PARTS: &[&str] = &[
    "cpufreq",
    "cpuidle",
    "cpuidle_haltpoll",
    "haltpoll",
    "intel_idle",
    "iommu",
    "processor",
    "rcutree",
    "workqueue",
];

/// What of the command line that the kernel was started with tunes it; empty where nothing does.
/// All else stays here: there are tokens and passwords among it on some hosts, and what is told
/// goes to whoever asks a sink, and into documents that are passed on.
#[must_use]
pub fn kernel_command_line() -> Option<String> {
    read("/proc/cmdline").map(|line| tuning(&line))
}

/// Its words that tune, with one blank between them.
fn tuning(line: &str) -> String {
    // What follows is for the first process
    // (`Documentation/admin-guide/kernel-parameters.rst`).
    let words = words(line).into_iter().take_while(|&word| word != "--");
    words.filter(|word| tunes(word)).collect::<Vec<_>>().join(" ")
}

/// Its words: what stands in quotes is part of one, blanks and all, as `next_arg` of the kernel's
/// `lib/cmdline.c` reads it.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let ends = |c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    };
    line.split(ends).filter(|word| !word.is_empty()).collect()
}

/// Whether this is one of them. To the kernel `-` and `_` are the same in names.
fn tunes(word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name).replace('-', "_");
    match name.split_once('.') {
        Some((part, _)) => TUNED_PARTS.contains(&part),
        None => TUNES.contains(&name.as_str()),
    }
}

/// The known flaws of the CPU, and what is done about each, as the kernel words it
/// (`Documentation/ABI/testing/sysfs-devices-system-cpu`).
#[must_use]
pub fn mitigations() -> Option<BTreeMap<String, String>> {
    states(Path::new("/sys/devices/system/cpu/vulnerabilities"))
}

/// The files of a folder, each with its one line.
fn states(folder: &Path) -> Option<BTreeMap<String, String>> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let state =
        |file: fs::DirEntry| Some((file.file_name().into_string().ok()?, read(file.path())?));
    Some(files.filter_map(state).collect())
}

/// Whether the CPUs may clock above their nominal frequency; `None` where that is not the kernel's
/// to say, as in most virtual machines.
#[must_use]
pub fn turbo() -> Option<bool> {
    let forbidden = number("/sys/devices/system/cpu/intel_pstate/no_turbo");
    let boost = || number("/sys/devices/system/cpu/cpufreq/boost");
    forbidden.map(|off| off == 0).or_else(|| boost().map(|on| on != 0))
}

/// The CPUs that run without a timer tick while they have one task (`nohz_full=`); `Some(vec![])`:
/// none.
#[must_use]
pub fn nohz_full_cpus() -> Option<Vec<usize>> {
    tickless(&fs::read_to_string("/sys/devices/system/cpu/nohz_full").ok()?)
}

/// That list as the kernel writes it, which has a word of its own for none.
fn tickless(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    cpu_list(if text == "(null)" { "" } else { text })
}

/// What of the network's tuning is told: what sockets get that ask for nothing, what all sockets
/// together may hold, how long a CPU polls, and how much it takes at once.
const SYSCTLS: &[&str] = &[
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.default_qdisc",
    "net.core.dev_weight",
    "net.core.netdev_budget",
    "net.core.netdev_budget_usecs",
    "net.core.rmem_default",
    "net.core.rps_sock_flow_entries",
    "net.core.wmem_default",
    "net.ipv4.udp_mem",
    "net.ipv4.udp_rmem_min",
    "net.ipv4.udp_wmem_min",
];

/// Those settings by name, as far as this network namespace has them.
#[must_use]
pub fn sysctls() -> BTreeMap<String, String> {
    let value = |name: &&str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        Some(((*name).to_owned(), spaced(&read(path)?)))
    };
    SYSCTLS.iter().filter_map(value).collect()
}

/// The same words with one blank between them: the kernel writes tabs.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_command_line_only_what_tunes_is_told() {
        let line = "BOOT_IMAGE=/vmlinuz root=UUID=1f quiet mitigations=off nohz-full=1-3 nosmt \
            talos.config=https://host/?token=t ds=nocloud;s=http://user:pw@host/ \
            processor.max_cstate=1 systemd.set_credential=a:b ip=10.0.0.2::10.0.0.1 \
            -- isolcpus=1 --token x";
        assert_eq!(tuning(line), "mitigations=off nohz-full=1-3 nosmt processor.max_cstate=1");
        assert_eq!(tuning("quiet  idle=poll"), "idle=poll");
        assert_eq!(tuning("quiet splash"), "");
    }

    #[test]
    fn what_stands_in_quotes_is_no_word_of_its_own() {
        assert_eq!(tuning("secret=\"a tsc=b\" tsc=reliable"), "tsc=reliable");
        assert_eq!(tuning("\"secret=a idle=b\" nopti"), "nopti");
        assert_eq!(tuning("secret=\"a nosmt"), "");
    }

    #[test]
    fn words_that_tune_are_listed_as_they_are_compared() {
        for list in [TUNES, TUNED_PARTS] {
            assert!(list.is_sorted());
            assert!(list.iter().all(|name| !name.contains(['-', '=', '.'])));
        }
    }

    #[test]
    fn a_folder_of_states_becomes_a_map() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("meltdown", "Not affected\n");
        write("spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional\n");
        write("empty", "\n");
        let found = states(folder.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["meltdown", "spectre_v2"]);
        assert_eq!(found["meltdown"], "Not affected");
        assert_eq!(states(&folder.path().join("nothing")), None);
    }

    #[test]
    fn no_tickless_cpu_is_not_the_same_as_no_answer() {
        assert_eq!(tickless("  (null)\n"), Some(Vec::new()));
        assert_eq!(tickless("\n"), Some(Vec::new()));
        assert_eq!(tickless("1-3\n"), Some(vec![1, 2, 3]));
        assert_eq!(tickless("1-x\n"), None);
    }

    #[test]
    fn numbers_that_stand_together_are_one_value() {
        assert_eq!(spaced("88179\t117572\t176358"), "88179 117572 176358");
    }

    #[test]
    fn settings_are_named_as_sysctl_names_them() {
        let found = sysctls();
        assert!(found.keys().all(|name| SYSCTLS.contains(&name.as_str())));
        assert!(found.values().all(|value| !value.is_empty()));
        assert!(SYSCTLS.is_sorted());
    }
}
