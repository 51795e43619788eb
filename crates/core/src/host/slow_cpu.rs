//! How steady the CPU is, for `doctor`. Another machine on the same hardware, or heat, slows it
//! down without a trace in the kernel's counters.

use crate::unit::lower_median;

/// CPU time of a window, in ns. Arbitrary: shorter than the slow times of 20 to 40 ms on a shared
/// host.
const WINDOW_NS: u64 = 5_000_000;
/// Windows of a measurement, 0.5 s in all. Arbitrary: each is 1 %.
const WINDOWS: usize = 100;
/// A window with fewer reads than this share of the median is slow. Arbitrary: tolerates clock
/// frequencies that follow the load.
const SLOW: f64 = 0.6;

/// Share of windows in which the CPU was slow, 0 to 1. Counts reads of the thread's CPU time, each
/// a system call. Windows are of that time itself, so waiting for other threads does not count.
/// `None`: there is no such clock, or its steps are as long as a window.
pub(super) fn slow_share(mut cpu_ns: impl FnMut() -> Option<u64>) -> Option<f64> {
    let mut reads = vec![0_u64; WINDOWS];
    let start_ns = cpu_ns()?;
    loop {
        let window = cpu_ns()?.saturating_sub(start_ns) / WINDOW_NS;
        match usize::try_from(window).ok().and_then(|window| reads.get_mut(window)) {
            Some(count) => *count += 1,
            None => break,
        }
    }
    let median = lower_median(reads.clone()).filter(|median| *median > 0)?;
    let slow = reads.iter().filter(|count| (**count as f64) < median as f64 * SLOW).count();
    Some(slow as f64 / WINDOWS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share with a clock on which a read takes this long, by the time of the read.
    fn share(read_ns: impl Fn(u64) -> u64) -> Option<f64> {
        let mut now_ns = 7;
        slow_share(|| {
            now_ns += read_ns(now_ns);
            Some(now_ns)
        })
    }

    #[test]
    fn slow_windows_are_counted() {
        assert_eq!(share(|_| 1_000), Some(0.0));
        let is_in = |now_ns: u64, window: u64| now_ns / WINDOW_NS == window;
        assert_eq!(share(|now| if is_in(now, 3) { 1_500 } else { 1_000 }), Some(0.0));
        assert_eq!(share(|now| if is_in(now, 3) { 5_000 } else { 1_000 }), Some(0.01));
        let two_of_ten = share(|now| if now / WINDOW_NS % 10 < 2 { 8_000 } else { 1_000 });
        assert_eq!(two_of_ten, Some(0.2));
    }

    #[test]
    fn a_clock_that_cannot_tell_says_nothing() {
        assert_eq!(slow_share(|| None), None);
        // A tick of 10 ms: every other window has no read.
        let mut reads = 0;
        let ticks = || {
            reads += 1;
            Some(reads / 1_000 * 2 * WINDOW_NS)
        };
        assert_eq!(slow_share(ticks), None);
    }
}
