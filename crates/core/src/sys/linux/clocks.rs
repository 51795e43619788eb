//! Which clock it is that `CLOCK_MONOTONIC` reads.

use std::fs;

/// The initial time namespace: `PROC_TIME_INIT_INO` of `include/linux/proc_ns.h`.
const INITIAL: &str = "time:[4026531834]";

/// The random id of this boot; virtual machines from one snapshot share it.
pub fn boot_id() -> Option<String> {
    super::host::read("/proc/sys/kernel/random/boot_id")
}

/// Equal for two processes exactly if they read the same monotonic clock: of one kernel, with the
/// same offset of their time namespaces (time_namespaces(7)). `None` if unknown.
pub fn clock_identity() -> Option<String> {
    let own = link("time");
    let offset = match own.as_deref() {
        // A kernel without time namespaces has one clock.
        None | Some(INITIAL) => "0 0".to_owned(),
        // The offsets told are those of the children's namespace, which need not be ours.
        own if own == link("time_for_children").as_deref() => {
            monotonic_offset(&fs::read_to_string("/proc/self/timens_offsets").ok()?)?
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

/// A namespace of this process, whose threads are all in one time namespace (setns(2)).
fn link(name: &str) -> Option<String> {
    let target = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
    target.into_os_string().into_string().ok()
}

/// Seconds and nanoseconds of the line `monotonic`.
fn monotonic_offset(offsets: &str) -> Option<String> {
    let mut words = offsets.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("monotonic")).then_some(words)
    })?;
    Some(format!("{} {}", words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_a_process_share_its_clock() {
        let own = clock_identity().unwrap();
        assert_eq!(std::thread::spawn(clock_identity).join().unwrap().unwrap(), own);
        assert!(own.starts_with(&boot_id().unwrap()));
    }

    #[test]
    fn the_offset_of_the_monotonic_clock_is_read() {
        let text = "monotonic      -86400         7\nboottime            0         0\n";
        assert_eq!(monotonic_offset(text).as_deref(), Some("-86400 7"));
        assert_eq!(monotonic_offset("boottime 0 0\nmonotonic 3"), None);
    }
}
