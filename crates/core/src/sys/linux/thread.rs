//! Clocks, sleeping, placement of threads, and child processes.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::check;

/// Nanoseconds of `CLOCK_MONOTONIC`. A vDSO call: no system call where the clock source allows.
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
fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the whole call; both clocks exist on every
    // Linux this crate builds for, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps until this file descriptor is readable, or for so long.
pub fn wait_readable(of: &impl AsRawFd, most_ns: u64) {
    wait_for(of, libc::POLLIN, most_ns);
}

/// Sleeps until this file descriptor is writable or has failed, at most for so long; whether it is.
pub fn wait_writable(of: &impl AsRawFd, most_ns: u64) -> bool {
    wait_for(of, libc::POLLOUT, most_ns)
}

const fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    }
}

fn wait_for(of: &impl AsRawFd, events: libc::c_short, most_ns: u64) -> bool {
    let time = timespec(most_ns);
    let mut fd = libc::pollfd { fd: of.as_raw_fd(), events, revents: 0 };
    // SAFETY: one valid pollfd and a valid timespec; a null signal mask leaves the thread's own.
    // Whatever comes of it, the caller looks for itself.
    unsafe { libc::ppoll(&raw mut fd, 1, &raw const time, std::ptr::null()) > 0 }
}

/// Sleeps until `CLOCK_MONOTONIC` has reached `at_ns`, or a signal comes.
pub fn sleep_until_ns(at_ns: u64) {
    let time = timespec(at_ns);
    // SAFETY: `time` is a valid timespec; with TIMER_ABSTIME the remainder pointer is not written
    // and may be null.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const time,
            std::ptr::null_mut(),
        )
    };
}

/// Sets how late the kernel may wake the calling thread so as to bundle wake-ups; 50 µs by default.
pub fn set_timer_slack_ns(ns: u64) {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory; where it
    // fails, the default stays.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, ns as libc::c_ulong) };
}

/// Raises this process' limit of open files as far as it may: each flow is one.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid, writable rlimit for the whole call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit; where the call fails, the limit stays as it was.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Moves only the calling thread into the network namespace of this file (`/run/netns/NAME`,
/// `/proc/PID/ns/net`). Its open sockets stay in the old one.
pub fn enter_netns(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: the file descriptor is open for the whole call, which touches no memory of ours.
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
    // SAFETY: `set` is readable and its size is passed along; pid 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
        .is_ok()
}

/// The CPUs that the calling thread may run on, ascending; `None` where the kernel will not say.
pub fn affinity() -> Option<Vec<usize>> {
    // SAFETY: cpu_set_t is a plain bit array, for which all zeroes is a valid value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and its size is passed along; pid 0 is the calling thread.
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

/// Starts the process in a group of its own, which signals to that of this one do not reach.
pub fn in_group_of_its_own(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Sends the process SIGTERM when the calling thread ends (`PR_SET_PDEATHSIG`, prctl(2)).
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let ask = || {
        // SAFETY: PR_SET_PDEATHSIG takes one integer and touches no memory.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) }).map(drop)
    };
    // SAFETY: between fork(2) and exec(2) it makes one system call and neither allocates nor locks.
    unsafe { command.pre_exec(ask) }
}
