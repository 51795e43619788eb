//! Warning about a CPU quota.

use crate::document::{CpuThrottling, Warning};
use crate::measure;
use crate::report::checks::warning_codes;
use crate::unit::show_nanos;

/// Puts CPU throttling into the document, with a warning if there was any.
#[must_use]
pub fn throttled(found: &measure::ThrottledTime) -> (CpuThrottling, Option<Warning>) {
    let measure::ThrottledTime { cpu_max, times, time } = found;
    let document =
        CpuThrottling { cpu_max: cpu_max.clone(), nr_throttled: *times, throttled_ns: time.0 };
    let told = (*times > 0).then(|| {
        let message = format!(
            "cpu.max {cpu_max} stopped udperf: nr_throttled {times}, {}; raise it",
            show_nanos(time.0)
        );
        warning_codes::CPU_THROTTLED.warning(message)
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
            "cpu.max 20000 100000 stopped udperf: nr_throttled 12, 840 ms; raise it"
        );
        assert_eq!(found(0).1, None);
    }
}
