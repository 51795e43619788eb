//! Clocks, sleeping, placement and usage of threads, child processes, and files.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::check;
use crate::sys::ContextSwitches;

/// Blocks from this size on are mapped, in bytes: the default of glibc (mallopt(3)).
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD: libc::c_int = 128 << 10;

/// Nanoseconds of `CLOCK_MONOTONIC`. A vDSO call without a system call, if the clock source allows.
#[inline]
pub fn monotonic_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_REALTIME`, the clock of the kernel's receive timestamps.
#[inline]
pub fn realtime_ns() -> u64 {
    read_clock(libc::CLOCK_REALTIME)
}

/// CPU time of the calling thread in nanoseconds.
pub fn thread_cpu_ns() -> Option<u64> {
    Some(read_clock(libc::CLOCK_THREAD_CPUTIME_ID))
}

#[inline]
pub(super) fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec. The call cannot fail: all of these clocks exist
    // on every supported Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until this file descriptor is readable, at most `most_ns`.
pub fn wait_readable(of: &impl AsRawFd, most_ns: u64) {
    wait_for(of, libc::POLLIN, most_ns);
}

/// Sleeps until this file descriptor is writable or has failed, at most `most_ns`; whether it is.
pub fn wait_writable(of: &impl AsRawFd, most_ns: u64) -> bool {
    wait_for(of, libc::POLLOUT, most_ns)
}

const fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as _,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    }
}

fn wait_for(of: &impl AsRawFd, events: libc::c_short, most_ns: u64) -> bool {
    let time = timespec(most_ns);
    let mut fd = libc::pollfd { fd: of.as_raw_fd(), events, revents: 0 };
    // SAFETY: one valid pollfd and a valid timespec; a null signal mask keeps the thread's own. On
    // an error, the caller tries the file descriptor.
    unsafe { libc::ppoll(&raw mut fd, 1, &raw const time, std::ptr::null()) > 0 }
}

/// Sleeps until `CLOCK_MONOTONIC` has reached `at_ns`, or a signal arrives.
pub fn sleep_until_ns(at_ns: u64) {
    let (clock, flags, time) = (libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, timespec(at_ns));
    // SAFETY: `time` is a valid timespec; with TIMER_ABSTIME the remainder pointer is not written
    // and may be null.
    unsafe { libc::clock_nanosleep(clock, flags, &raw const time, std::ptr::null_mut()) };
}

/// Sets the timer slack of the calling thread: how late the kernel may wake it; 50 µs by default.
pub fn set_timer_slack_ns(ns: u64) {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory; if it fails, the default
    // stays.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, ns as libc::c_ulong) };
}

/// Raises this process's limit of open files to its maximum: each flow has a socket.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit; if the call fails, the limit stays as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Makes free(3) return large blocks to the system. Otherwise glibc raises `M_MMAP_THRESHOLD` to
/// the size of each such block, then keeps blocks of that size for later use (mallopt(3)).
pub fn return_large_blocks() {
    // SAFETY: mallopt(3) takes two integers; if it fails, the default stays.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    };
}

/// Moves only the calling thread into the network namespace of this file (`/run/netns/NAME`,
/// `/proc/PID/ns/net`). Its open sockets stay in the old one.
pub fn enter_netns(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: the file descriptor is open for the whole call, which touches no memory of this
    // process.
    check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }).map(|_| ())
}

/// Restricts the calling thread to these CPUs, without unknown ones; whether it succeeded.
pub fn set_affinity(cpus: &[usize]) -> bool {
    // SAFETY: cpu_set_t is a plain bit array, for which all zeroes is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: `cpu` is below CPU_SETSIZE, the number of bits in the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: `set` is readable for this size; pid 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
        .is_ok()
}

/// The CPUs that the calling thread may run on, ascending; `None` if the kernel refuses.
pub fn affinity() -> Option<Vec<usize>> {
    // SAFETY: cpu_set_t is a plain bit array, for which all zeroes is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable for this size; pid 0 is the calling thread.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })
        .ok()?;
    let all = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: `cpu` is below CPU_SETSIZE, the number of bits in the set.
    Some(all.filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Whether this process ignores a signal, for example because nohup(1) started it.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: plain old data, for which zeroes are a valid value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action, sigaction(2) only writes the present one to `now`.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    check(result).is_ok() && now.sa_sigaction == libc::SIG_IGN
}

/// Starts the process in its own process group, which signals to udperf's group do not reach.
pub fn in_group_of_its_own(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Sends the process SIGTERM when the calling thread ends (`PR_SET_PDEATHSIG`, prctl(2)).
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let set = || {
        // SAFETY: PR_SET_PDEATHSIG takes one integer and touches no memory.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) }).map(drop)
    };
    // SAFETY: between fork(2) and exec(2) it makes one system call and neither allocates nor locks.
    unsafe { command.pre_exec(set) }
}

/// Opens an existing file for appending without waiting: a pipe without a reader, or a socket, is
/// `NotConnected`; writing to a full pipe is `WouldBlock`.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    let opened = File::options().append(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::ErrorKind::NotConnected.into(),
        _ => error,
    })
}

/// Context switches of the calling thread so far (getrusage(2)).
pub fn context_switches() -> Option<ContextSwitches> {
    // SAFETY: rusage is made of integers only: all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid, writable rusage for the whole call.
    check(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }).ok()?;
    Some(ContextSwitches {
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

// Constants of the same header.
const HARDWARE: u32 = 0; // PERF_TYPE_HARDWARE
const INSTRUCTIONS: u64 = 1; // PERF_COUNT_HW_INSTRUCTIONS
const TIMES: u64 = 1 | 2; // PERF_FORMAT_TOTAL_TIME_ENABLED and PERF_FORMAT_TOTAL_TIME_RUNNING
const EXCLUDE_KERNEL: u32 = 5; // The bit exclude_kernel, counted from the first one
const EXCLUDE_HYPERVISOR: u32 = 6; // exclude_hv
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3; // PERF_FLAG_FD_CLOEXEC

/// A bit of a bit field: on little-endian systems, the first one is the lowest.
const fn flag(bit: u32) -> u64 {
    if cfg!(target_endian = "little") { 1 << bit } else { 1 << (u64::BITS - 1 - bit) }
}

/// Counts the instructions of one thread by a counter of the CPU.
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
        let (call, attr) = (libc::SYS_perf_event_open, &raw const attr);
        // SAFETY: `attr` is a perf_event_attr of the size in it, and outlives the call.
        let fd =
            unsafe { libc::syscall(call, attr, this_thread, any_cpu, no_group, CLOSE_ON_EXEC) };
        let fd = check(libc::c_int::try_from(fd).ok()?).ok()?;
        // SAFETY: a file descriptor that was just opened, and that nobody else closes.
        Some(Self { file: unsafe { File::from_raw_fd(fd) }, with_kernel })
    }

    /// Whether it includes the kernel.
    pub const fn with_kernel(&self) -> bool {
        self.with_kernel
    }

    /// Instructions so far; `None` if other users had the counter for a while.
    pub fn read(&self) -> Option<u64> {
        let mut bytes = [0; 24];
        let len = (&self.file).read(&mut bytes).ok()?;
        (len == bytes.len()).then(|| counted(bytes)).flatten()
    }
}

fn counted(bytes: [u8; 24]) -> Option<u64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let [count, enabled, running] = [0, 1, 2].map(|at| u64::from_ne_bytes(numbers[at]));
    (running == enabled && running > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_multiplexed_counter() {
        for (numbers, count) in
            [([12_345_u64, 900, 900], Some(12_345)), ([12_345, 900, 450], None), ([0; 3], None)]
        {
            let bytes = numbers.map(u64::to_ne_bytes).concat();
            assert_eq!(counted(bytes.try_into().unwrap()), count);
        }
    }
}
