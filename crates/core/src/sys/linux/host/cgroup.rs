//! What the control groups of this process allow it (cgroups(7)), of either version.

use std::fs;
use std::path::{Path, PathBuf};

use super::read;
use crate::sys::{CgroupFiles, CgroupThrottling};

/// Where control groups are mounted: by convention, which all distributions keep.
const MOUNT: &str = "/sys/fs/cgroup";

/// No limit, as version 2 writes it.
const MAX: &str = "max";

/// Version 1 shows no limit as the largest multiple of a page below 2⁶³. Arbitrary: half of that.
const UNLIMITED: u64 = 1 << 62;

/// The limits of this process; `None` if unknown.
pub fn cgroup_limits() -> Option<CgroupFiles> {
    limits(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new(MOUNT))
}

/// The limits of these groups, mounted here: each from whichever version has its controller.
fn limits(groups: &str, mount: &Path) -> Option<CgroupFiles> {
    let v2 = |file: &'static str, room| {
        tightest(groups, "", mount, |folder| read(folder.join(file)), room)
    };
    let v1 = |controller, of: fn(&Path) -> Option<String>, room| {
        tightest(groups, controller, &mount.join(controller), of, room)
    };
    let cpus = |folder: &Path| read(folder.join("cpuset.effective_cpus"));
    // Those of a group are what is left of those around it.
    let nearest: Room = |_| None;
    let found = CgroupFiles {
        cpu_max: v2("cpu.max", share).or_else(|| v1("cpu", quota, share)),
        memory_max: v2("memory.max", bytes).or_else(|| v1("memory", memory, bytes)),
        cpus: v2("cpuset.cpus.effective", nearest).or_else(|| v1("cpuset", cpus, nearest)),
    };
    (found != CgroupFiles::default()).then_some(found)
}

/// CPU throttling so far of this process's control groups with a quota, and of their parents.
pub fn cpu_throttling() -> Vec<CgroupThrottling> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    throttling(&groups, Path::new(MOUNT))
}

/// The throttling of these groups, read from `cpu.stat` of either cgroup version.
fn throttling(groups: &str, mount: &Path) -> Vec<CgroupThrottling> {
    let of = |folder: &Path, cpu_max: Option<String>| {
        let cpu_max = cpu_max.filter(|limit| share(limit).is_some())?;
        let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
        let count = |name: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line?.trim().parse::<u64>().ok()
        };
        // Microseconds in version 2, nanoseconds in version 1.
        let us = count("throttled_usec").map(|us| us.saturating_mul(1_000));
        let time_ns = us.or_else(|| count("throttled_time"))?;
        let group = folder.display().to_string();
        Some(CgroupThrottling { group, cpu_max, times: count("nr_throttled")?, time_ns })
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
    let seen = group.filter(|group| !group.starts_with("..")).map(Path::new);
    seen.into_iter().flat_map(Path::ancestors).map(|group| mount.join(group)).collect()
}

/// The size of a limit, to compare; `None`: unlimited.
type Room = fn(&str) -> Option<f64>;

/// CPUs' worth of time.
fn share(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// Bytes of memory.
fn bytes(memory_max: &str) -> Option<f64> {
    memory_max.parse::<u64>().ok().map(|bytes| bytes as f64)
}

/// The smallest limit of the group with this controller and its parents; the nearest of equal ones,
/// and `max` without a limit.
fn tightest(
    groups: &str,
    controller: &str,
    mount: &Path,
    limit: impl Fn(&Path) -> Option<String>,
    room: Room,
) -> Option<String> {
    let folders = around(groups, controller, mount);
    let found: Vec<String> = folders.iter().filter_map(|folder| limit(folder)).collect();
    let limited = found.iter().filter_map(|limit| Some((room(limit)?, limit)));
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
    Some(if quota.starts_with('-') {
        format!("{MAX} {period}")
    } else {
        format!("{quota} {period}")
    })
}

/// The limit of memory of version 1, written as version 2 does.
fn memory(folder: &Path) -> Option<String> {
    let bytes = read(folder.join("memory.limit_in_bytes"))?;
    let unlimited = bytes.parse::<u64>().ok()? >= UNLIMITED;
    Some(if unlimited { MAX.to_owned() } else { bytes })
}

#[cfg(test)]
mod tests {
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
    fn the_smallest_limit_of_either_version_counts() {
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
            let expected = CgroupFiles { cpu_max, memory_max, cpus };
            assert_eq!(limits(groups, mount.path()), Some(expected), "{groups}");
        }
        let outside = "0::/../other\n";
        assert_eq!((limits("", mount.path()), limits(outside, mount.path())), (None, None));
    }

    #[test]
    fn groups_with_a_quota_report_throttling() {
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
            found.into_iter().map(|one| (one.cpu_max, one.times, one.time_ns)).collect()
        };
        assert_eq!(of("0::/ci.slice/job\n"), [("50000 100000".into(), 4, 35_000)]);
        assert_eq!(of("1:cpu:/a\n0::/\n"), [("20000 100000".into(), 2, 77)]);
        assert_eq!(of("0::/../ci.slice\n"), []);
    }
}
