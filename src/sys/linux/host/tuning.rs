//! How the kernel and its CPUs are tuned: what decides the price of a system call and of a
//! datagram without showing in any counter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{cpu_list, number, read};

/// The command line that the kernel was started with.
#[must_use]
pub fn kernel_command_line() -> Option<String> {
    read("/proc/cmdline").map(|line| of_kernel(&line).to_owned())
}

/// The part of it that is the kernel's: what follows `--` is for the first process
/// (`Documentation/admin-guide/kernel-parameters.rst`), tunes nothing, and is nobody's business.
fn of_kernel(line: &str) -> &str {
    line.split_once(" -- ").map_or(line, |(kernel, _)| kernel)
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
    fn what_is_meant_for_the_first_process_is_left_out() {
        assert_eq!(of_kernel("quiet mitigations=off -- --token x"), "quiet mitigations=off");
        assert_eq!(of_kernel("quiet a--b"), "quiet a--b");
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
