//! How the kernel and its CPUs are tuned, which affects the cost of a datagram but no counter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{cpu_list, number, read};

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

/// Parts of the kernel whose parameters all do; from the same list.
const TUNED_PARTS: &str =
    "cpufreq cpuidle cpuidle_haltpoll haltpoll intel_idle iommu processor rcutree workqueue";

/// The tuning parameters of the kernel command line; empty without any. All others are left out:
/// some hosts pass tokens and passwords there, and a sink sends the result to its clients.
pub fn kernel_command_line() -> Option<String> {
    read("/proc/cmdline").map(|line| tuning(&line))
}

/// The tuning parameters, separated by blanks.
fn tuning(line: &str) -> String {
    // The rest is for init (`Documentation/admin-guide/kernel-parameters.rst`).
    let words = words(line).into_iter().take_while(|&word| word != "--");
    words.filter(|word| tunes(word)).collect::<Vec<_>>().join(" ")
}

/// Its words; quoted blanks are part of a word, as in `next_arg` of the kernel's `lib/cmdline.c`.
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

/// CPU vulnerabilities and their mitigation in the kernel's words.
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

/// Whether the CPUs may clock above their nominal frequency; `None` without that control.
pub fn turbo() -> Option<bool> {
    let forbidden = number("/sys/devices/system/cpu/intel_pstate/no_turbo");
    let boost = || number("/sys/devices/system/cpu/cpufreq/boost");
    forbidden.map(|off| off == 0).or_else(|| boost().map(|on| on != 0))
}

/// The CPUs without a timer tick while they run one task (`nohz_full=`); may be none.
pub fn nohz_full_cpus() -> Option<Vec<usize>> {
    tickless(&fs::read_to_string("/sys/devices/system/cpu/nohz_full").ok()?)
}

/// That list as the kernel writes it: `(null)` is none.
fn tickless(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    cpu_list(if text == "(null)" { "" } else { text })
}

/// Network settings: default socket buffers, memory of all sockets, polling, and batch sizes.
/// Arbitrary: those that affect UDP.
const SYSCTLS: &str = "net.core.busy_poll net.core.busy_read net.core.default_qdisc \
    net.core.dev_weight net.core.netdev_budget net.core.netdev_budget_usecs net.core.rmem_default \
    net.core.rps_sock_flow_entries net.core.wmem_default net.ipv4.udp_mem net.ipv4.udp_rmem_min \
    net.ipv4.udp_wmem_min";

/// Those settings of this network namespace by name.
pub fn sysctls() -> BTreeMap<String, String> {
    let value = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        // The kernel writes tabs.
        Some((name.to_owned(), read(path)?.replace('\t', " ")))
    };
    SYSCTLS.split(' ').filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tuning_parameters_are_reported() {
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
    fn an_empty_nohz_full_list_is_known() {
        assert_eq!(tickless("  (null)\n"), Some(Vec::new()));
        assert_eq!(tickless("\n"), Some(Vec::new()));
        assert_eq!(tickless("1-3\n"), Some(vec![1, 2, 3]));
        assert_eq!(tickless("1-x\n"), None);
    }

    #[test]
    fn settings_have_values_without_tabs() {
        let found = sysctls();
        assert!(found.values().all(|value| !value.is_empty() && !value.contains('\t')));
        assert!(found.keys().all(|name| name.starts_with("net.")));
    }
}
