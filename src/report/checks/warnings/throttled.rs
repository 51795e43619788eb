//! Warning about a CPU quota.

use super::warning;
use crate::document::{CpuThrottling, Warning};
use crate::measure;
use crate::unit::show_nanos;

/// Puts CPU throttling into the document, with a warning if there was any.
#[must_use]
pub fn throttled(found: &measure::ThrottledTime) -> (CpuThrottling, Option<Warning>) {
    let measure::ThrottledTime { cpu_max, times, time } = found;
    let document =
        CpuThrottling { cpu_max: cpu_max.clone(), nr_throttled: *times, throttled_ns: time.0 };
    let told = (*times > 0).then(|| {
        let message = format!(
            "the cgroup quota cpu.max {cpu_max} stopped this program: nr_throttled {times}, \
             throttled for {}; raise it",
            show_nanos(time.0)
        );
        warning("cpu_throttled", message)
    });
    (document, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;

    #[test]
    fn a_quota_is_named_where_it_stopped_anything() {
        let found = |times| {
            let (cpu_max, time) = ("20000 100000".to_owned(), Nanos(840_000_000));
            throttled(&measure::ThrottledTime { cpu_max, times, time })
        };
        let (document, told) = found(12);
        assert_eq!((document.nr_throttled, document.throttled_ns), (12, 840_000_000));
        assert_eq!(
            told.unwrap().message,
            "the cgroup quota cpu.max 20000 100000 stopped this program: nr_throttled 12, \
             throttled for 840 ms; raise it"
        );
        assert_eq!(found(0).1, None);
    }
}
