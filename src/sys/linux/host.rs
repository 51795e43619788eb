//! Facts about the machine, from /proc and /sys.

/// Name and release of the kernel, e.g. `Linux 6.18.44`.
#[must_use]
pub fn kernel() -> Option<String> {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    Some(format!("{} {}", read("ostype")?.trim(), read("osrelease")?.trim()))
}
