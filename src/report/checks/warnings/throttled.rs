//! Warning about a CPU quota.

use crate::document::{CpuThrottling, Warning};
use crate::host;
use crate::report::checks::warning_codes as codes;
use crate::unit::show_nanos;

/// Puts CPU throttling into the document, with a warning if there was any.
#[must_use]
pub fn throttled(found: &host::ThrottledTime) -> (CpuThrottling, Option<Warning>) {
    let host::ThrottledTime { cpu_max, times, time } = found;
    let document =
        CpuThrottling { cpu_max: cpu_max.clone(), nr_throttled: *times, throttled_ns: time.0 };
    let warning = (*times > 0).then(|| {
        let message = format!(
            "cpu.max {cpu_max} stopped udperf: nr_throttled {times}, {}; raise it",
            show_nanos(time.0)
        );
        codes::CPU_THROTTLED.warning(message)
    });
    (document, warning)
}
