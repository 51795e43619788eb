//! What a thread costs beside time: how often it gave its CPU away, and the instructions it took.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;

use super::check;
use crate::sys::SwitchCounts;

/// Context switches of the calling thread so far (getrusage(2)).
pub fn context_switches() -> Option<SwitchCounts> {
    // SAFETY: rusage is made of integers only: all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid, writable rusage for the whole call.
    check(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }).ok()?;
    Some(SwitchCounts {
        voluntary: u64::try_from(usage.ru_nvcsw).ok()?,
        involuntary: u64::try_from(usage.ru_nivcsw).ok()?,
    })
}

/// `struct perf_event_attr` of `include/uapi/linux/perf_event.h` in its first version
/// (`PERF_ATTR_SIZE_VER0`), which every kernel accepts.
#[repr(C)]
#[derive(Debug, Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

/// `PERF_TYPE_HARDWARE`.
const HARDWARE: u32 = 0;

/// `PERF_COUNT_HW_INSTRUCTIONS`.
const INSTRUCTIONS: u64 = 1;

/// `PERF_FORMAT_TOTAL_TIME_ENABLED` and `PERF_FORMAT_TOTAL_TIME_RUNNING`.
const TIMES: u64 = 1 | 2;

/// The bits `exclude_kernel` and `exclude_hv`, counted from the first one.
const EXCLUDE_KERNEL: u32 = 5;
const EXCLUDE_HYPERVISOR: u32 = 6;

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

/// A bit field's bit: the first one is the lowest where memory begins with the lowest byte.
const fn flag(bit: u32) -> u64 {
    if cfg!(target_endian = "little") { 1 << bit } else { 1 << (u64::BITS - 1 - bit) }
}

/// Counts the instructions that one thread takes, by a counter of the CPU.
#[derive(Debug)]
pub struct InstructionCounter {
    file: File,
    with_kernel: bool,
}

impl InstructionCounter {
    /// Counts those of the calling thread from now on; `None` without a readable counter, as in
    /// most virtual machines. Includes the kernel, if `kernel.perf_event_paranoid` allows.
    pub fn of_this_thread() -> Option<Self> {
        Self::open(true).or_else(|| Self::open(false))
    }

    fn open(with_kernel: bool) -> Option<Self> {
        let kernel = if with_kernel { 0 } else { flag(EXCLUDE_KERNEL) };
        let attr = PerfEventAttr {
            kind: HARDWARE,
            size: size_of::<PerfEventAttr>() as u32,
            config: INSTRUCTIONS,
            read_format: TIMES,
            flags: kernel | flag(EXCLUDE_HYPERVISOR),
            ..PerfEventAttr::default()
        };
        let (this_thread, any_cpu, no_group) = (0, -1, -1);
        // SAFETY: `attr` is a perf_event_attr of the size it names, which outlives the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attr,
                this_thread,
                any_cpu,
                no_group,
                CLOSE_ON_EXEC,
            )
        };
        let fd = check(libc::c_int::try_from(fd).ok()?).ok()?;
        // SAFETY: a file descriptor that was just opened, and that nobody else closes.
        Some(Self { file: unsafe { File::from_raw_fd(fd) }, with_kernel })
    }

    /// Whether those in the kernel are counted too.
    pub const fn with_kernel(&self) -> bool {
        self.with_kernel
    }

    /// Instructions so far; `None` if the counter was used by others for a while.
    pub fn read(&self) -> Option<u64> {
        let mut bytes = [0; 24];
        let len = (&self.file).read(&mut bytes).ok()?;
        (len == bytes.len()).then(|| counted(bytes)).flatten()
    }
}

/// The count, where it counted all the time: three numbers, the count first.
fn counted(bytes: [u8; 24]) -> Option<u64> {
    let number = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let (count, enabled, running) = (number(0)?, number(8)?, number(16)?);
    (running == enabled && running > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_a_voluntary_switch() {
        let before = context_switches().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        let after = context_switches().unwrap();
        assert!(after.voluntary > before.voluntary && after.involuntary >= before.involuntary);
    }

    #[test]
    fn a_multiplexed_counter_gives_no_count() {
        let bytes = |numbers: [u64; 3]| {
            let mut bytes = [0; 24];
            let places = bytes.chunks_mut(8);
            places.zip(numbers).for_each(|(place, n)| place.copy_from_slice(&n.to_ne_bytes()));
            bytes
        };
        assert_eq!(counted(bytes([12_345, 900, 900])), Some(12_345));
        assert_eq!(counted(bytes([12_345, 900, 450])), None);
        assert_eq!(counted(bytes([0, 0, 0])), None);
    }

    #[test]
    fn instructions_are_counted_or_not_known() {
        let Some(counter) = InstructionCounter::of_this_thread() else {
            return eprintln!("SKIPPED: this CPU has no counter of instructions for us");
        };
        let Some(before) = counter.read() else { return eprintln!("SKIPPED: it is lent out") };
        assert!(counter.read().is_none_or(|after| after > before));
    }
}
