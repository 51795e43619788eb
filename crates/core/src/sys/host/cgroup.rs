//! Limits and throttling of this process's control groups (cgroups(7)), of either version.

use std::path::{Path, PathBuf};

use super::{raw, read};
use crate::sys::{CgroupLimits, CpuThrottling};

const MOUNT: &str = "/sys/fs/cgroup"; // The mount point on all distributions
const MAX: &str = "max"; // No limit, as version 2 writes it

/// Version 1 shows no limit as the largest multiple of a page below 2⁶³. Arbitrary: half of that.
const UNLIMITED: u64 = 1 << 62;

/// The limits of this process; `None` if unknown.
pub fn cgroup_limits() -> Option<CgroupLimits> {
    limits(&raw("/proc/self/cgroup")?, Path::new(MOUNT))
}

fn limits(groups: &str, mount: &Path) -> Option<CgroupLimits> {
    let smallest = |file: &'static str, controller, v1: fn(&Path) -> Option<String>, size: Size| {
        tightest(&around(groups, "", mount), |folder| read(folder.join(file)), size)
            .or_else(|| tightest(&around(groups, controller, &mount.join(controller)), v1, size))
    };
    let cpus = |folder: &Path| read(folder.join("cpuset.effective_cpus"));
    let found = CgroupLimits {
        cpu_max: smallest("cpu.max", "cpu", quota, share),
        memory_max: smallest("memory.max", "memory", memory, |bytes| bytes.parse().ok()),
        // The set of a group is part of its parent's.
        cpus: smallest("cpuset.cpus.effective", "cpuset", cpus, |_| None),
    };
    (found != CgroupLimits::default()).then_some(found)
}

/// CPU throttling so far of this process's control groups with a quota, and of their parents, by
/// folder.
pub fn cpu_throttling() -> Vec<(PathBuf, CpuThrottling)> {
    throttling(&raw("/proc/self/cgroup").unwrap_or_default(), Path::new(MOUNT))
}

fn throttling(groups: &str, mount: &Path) -> Vec<(PathBuf, CpuThrottling)> {
    let of = |folder: &Path, cpu_max: Option<String>| {
        let cpu_max = cpu_max.filter(|limit| share(limit).is_some())?;
        let stat = raw(folder.join("cpu.stat"))?;
        let count = |name: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line?.trim().parse::<u64>().ok()
        };
        // Microseconds in version 2, nanoseconds in version 1.
        let us = count("throttled_usec").map(|us| us.saturating_mul(1_000));
        let throttled_ns = us.or_else(|| count("throttled_time"))?;
        let nr_throttled = count("nr_throttled")?;
        Some((folder.to_owned(), CpuThrottling { cpu_max, nr_throttled, throttled_ns }))
    };
    let v2 = around(groups, "", mount);
    let v2 = v2.iter().filter_map(|folder| of(folder, read(folder.join("cpu.max"))));
    let v1 = around(groups, "cpu", &mount.join("cpu"));
    let v1 = v1.iter().filter_map(|folder| of(folder, quota(folder)));
    v2.chain(v1).collect()
}

/// The folders of the group with this controller ("": version 2) and of its parents.
fn around(groups: &str, controller: &str, mount: &Path) -> Vec<PathBuf> {
    let group = group(groups, controller).and_then(|group| group.strip_prefix('/'));
    // A group outside the cgroup namespace (`/../…`) is not visible.
    let visible = group.filter(|group| !group.starts_with("..")).map(Path::new);
    visible.into_iter().flat_map(Path::ancestors).map(|group| mount.join(group)).collect()
}

/// The size of a limit, to compare; `None`: unlimited.
type Size = fn(&str) -> Option<f64>;

fn share(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// The smallest limit of these folders, the first of equal ones; `max` without a limit.
fn tightest(
    folders: &[PathBuf],
    limit: impl Fn(&Path) -> Option<String>,
    size: Size,
) -> Option<String> {
    let found: Vec<String> = folders.iter().filter_map(|folder| limit(folder)).collect();
    let limited = found.iter().filter_map(|limit| Some((size(limit)?, limit)));
    let least = limited.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, limit)| limit);
    least.or_else(|| found.first()).cloned()
}

/// The path of the group with this controller in `/proc/self/cgroup` (`number:controllers:path`).
fn group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|found| found == controller).then_some(path)
    })
}

/// Quota and period of version 1, written as version 2 does.
fn quota(folder: &Path) -> Option<String> {
    let quota = read(folder.join("cpu.cfs_quota_us"))?;
    let period = read(folder.join("cpu.cfs_period_us"))?;
    let quota = if quota.starts_with('-') { MAX } else { &quota };
    Some(format!("{quota} {period}"))
}

/// The limit of memory of version 1, written as version 2 does.
fn memory(folder: &Path) -> Option<String> {
    let bytes = read(folder.join("memory.limit_in_bytes"))?;
    let unlimited = bytes.parse::<u64>().ok()? >= UNLIMITED;
    Some(if unlimited { MAX.to_owned() } else { bytes })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        mount
    }

    #[test]
    fn takes_the_smallest_limit_of_either_version() {
        let mount = tree(&[
            ("cpuset.cpus.effective", "0-7"),
            ("ci.slice/cpu.max", "50000 50000"),
            ("ci.slice/memory.max", "4096"),
            ("ci.slice/job/cpu.max", "400000 100000"),
            ("ci.slice/job/memory.max", "1073741824"),
            ("ci.slice/job/step/cpu.max", "100000 100000"),
            ("open/cpu.max", "200000 100000"),
            ("open/memory.max", "max"),
            ("open/job/cpu.max", "max 100000"),
            ("open/job/memory.max", "1073741824"),
            ("cpu/a/cpu.cfs_quota_us", "-1"),
            ("cpu/a/cpu.cfs_period_us", "100000"),
            ("memory/b/memory.limit_in_bytes", "9223372036854771712"),
            ("cpuset/cpuset.effective_cpus", "0-1"),
        ]);
        let v1 = "4:memory:/b\n3:cpuset:/\n2:cpu,cpuacct:/a\n1:name=systemd:/x\n0::/../y\n";
        for (groups, cpu_max, memory_max, cpus) in [
            ("0::/ci.slice/job\n", "50000 50000", "4096", "0-7"),
            // Of equal ones the nearest.
            ("0::/ci.slice/job/step\n", "100000 100000", "4096", "0-7"),
            ("0::/open/job\n", "200000 100000", "1073741824", "0-7"),
            (v1, "max 100000", "max", "0-1"),
        ] {
            let [cpu_max, memory_max, cpus] = [cpu_max, memory_max, cpus].map(|it| Some(it.into()));
            let expected = CgroupLimits { cpu_max, memory_max, cpus };
            assert_eq!(limits(groups, mount.path()), Some(expected), "{groups}");
        }
        let outside = "0::/../other\n";
        assert_eq!((limits("", mount.path()), limits(outside, mount.path())), (None, None));
    }

    #[test]
    fn reports_throttling_of_groups_with_a_quota() {
        let mount = tree(&[
            ("ci.slice/cpu.max", "50000 100000"),
            ("ci.slice/cpu.stat", "usage_usec 7\nnr_periods 9\nnr_throttled 4\nthrottled_usec 35"),
            ("ci.slice/job/cpu.max", "max 100000"),
            ("ci.slice/job/cpu.stat", "usage_usec 7\nnr_throttled 0\nthrottled_usec 0"),
            ("cpu/a/cpu.cfs_quota_us", "20000"),
            ("cpu/a/cpu.cfs_period_us", "100000"),
            ("cpu/a/cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 77"),
        ]);
        let of = |groups: &str| -> Vec<_> {
            let found = throttling(groups, mount.path());
            found
                .into_iter()
                .map(|(_, one)| (one.cpu_max, one.nr_throttled, one.throttled_ns))
                .collect()
        };
        assert_eq!(of("0::/ci.slice/job\n"), [("50000 100000".into(), 4, 35_000)]);
        assert_eq!(of("1:cpu:/a\n0::/\n"), [("20000 100000".into(), 2, 77)]);
        assert_eq!(of("0::/../ci.slice\n"), []);
    }
}
