//! CPU throttling of this process by the quota of a control group.

use crate::host::ThrottledTime;
use crate::sys;
use crate::unit::Nanos;

/// Throttling counters of the control groups of this process before a run.
#[derive(Debug)]
pub struct Throttle(Vec<sys::CgroupThrottling>);

impl Throttle {
    /// Reads them.
    pub fn begin() -> Self {
        Self(sys::host::cpu_throttling())
    }

    /// The throttling since then of the most throttled group; `None` without a known quota.
    pub fn end(&self) -> Option<ThrottledTime> {
        longest(&self.0, &sys::host::cpu_throttling())
    }
}

fn longest(then: &[sys::CgroupThrottling], now: &[sys::CgroupThrottling]) -> Option<ThrottledTime> {
    let since = |now: &sys::CgroupThrottling| {
        let then = then.iter().find(|then| then.group == now.group)?;
        Some(ThrottledTime {
            cpu_max: now.cpu_max.clone(),
            times: now.times.saturating_sub(then.times),
            time: Nanos(now.time_ns.saturating_sub(then.time_ns)),
        })
    };
    now.iter().filter_map(since).max_by_key(|one| (one.time, one.times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_was_held_up_longest_counts() {
        let group = |group: &str, times, time_ns| sys::CgroupThrottling {
            group: group.to_owned(),
            cpu_max: format!("{group} 100000"),
            times,
            time_ns,
        };
        let then = [group("5000", 3, 900), group("7000", 1, 100)];
        let now = [group("5000", 4, 950), group("7000", 9, 700), group("9000", 50, 9_999)];
        let found = longest(&then, &now).unwrap();
        assert_eq!((found.cpu_max.as_str(), found.times), ("7000 100000", 8));
        assert_eq!(found.time, Nanos(600));
        assert_eq!(longest(&[], &now), None);
    }
}
