//! Stops a thread of this process for a while, like a scheduler that runs another one.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{check, monotonic_ns, sleep_until_ns};

/// The signal whose handler stops a thread. By default it is ignored, so that a late one has no
/// effect (signal(7)).
const SIGNAL: libc::c_int = libc::SIGURG;
/// How often the handler checks whether it is released, and others wait for it, in ns. Arbitrary.
const LOOK_NS: u64 = 100_000;
/// How long the thread may take to enter the handler, in ns. Arbitrary: a busy host runs every
/// thread within this time.
const ENTER_NS: u64 = 2_000_000_000;

static IS_USED: AtomicBool = AtomicBool::new(false);
/// When the handler returns by itself.
static LATEST_END_NS: AtomicU64 = AtomicU64::new(0);
static IS_RELEASED: AtomicBool = AtomicBool::new(false);
/// When the handler began and ended; 0: not yet.
static BEGAN_NS: AtomicU64 = AtomicU64::new(0);
static ENDED_NS: AtomicU64 = AtomicU64::new(0);

/// A stopped thread. There is one at a time.
pub struct ThreadStall {
    former: libc::sigaction,
}

/// Only atomics and two system calls, all of which a signal handler may use (signal-safety(7)).
extern "C" fn hold(_signal: libc::c_int) {
    BEGAN_NS.store(monotonic_ns(), Ordering::Release);
    loop {
        let now_ns = monotonic_ns();
        if IS_RELEASED.load(Ordering::Acquire) || now_ns >= LATEST_END_NS.load(Ordering::Acquire) {
            break;
        }
        sleep_until_ns(now_ns + LOOK_NS);
    }
    ENDED_NS.store(monotonic_ns(), Ordering::Release);
}

impl ThreadStall {
    /// Holds up the thread of this name, for `most_ns` at most. Returns once it is held up.
    pub fn begin(name: &str, most_ns: u64) -> io::Result<Self> {
        let thread = thread_named(name).ok_or(io::ErrorKind::NotFound)?;
        if IS_USED.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        LATEST_END_NS.store(monotonic_ns() + most_ns, Ordering::Release);
        [&BEGAN_NS, &ENDED_NS].into_iter().for_each(|at| at.store(0, Ordering::Release));
        IS_RELEASED.store(false, Ordering::Release);
        // SAFETY: `sigaction` is plain old data, for which zeroes are a valid value: no flags, an
        // empty mask.
        let (mut action, mut former): (libc::sigaction, libc::sigaction) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let handler: extern "C" fn(libc::c_int) = hold;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: both point to valid actions, and the handler is safe in a signal handler.
        let set = check(unsafe { libc::sigaction(SIGNAL, &raw const action, &raw mut former) });
        let stall = set.map(|_| Self { former }).inspect_err(|_| give_back())?;
        // SAFETY: tgkill(2) takes three integers. A thread that has ended is an error.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
        if sent != 0 {
            return Err(io::Error::last_os_error());
        }
        match wait_for(&BEGAN_NS) {
            Some(_) => Ok(stall),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Releases the thread. Returns for how many ns it was held up; `None` if it did not go on.
    pub fn end(self) -> Option<u64> {
        IS_RELEASED.store(true, Ordering::Release);
        let ended_ns = wait_for(&ENDED_NS)?;
        Some(ended_ns.saturating_sub(BEGAN_NS.load(Ordering::Acquire)))
    }
}

impl Drop for ThreadStall {
    fn drop(&mut self) {
        IS_RELEASED.store(true, Ordering::Release);
        // SAFETY: the action is the one that was in force before; the null pointer is not written.
        unsafe { libc::sigaction(SIGNAL, &raw const self.former, std::ptr::null_mut()) };
        give_back();
    }
}

fn give_back() {
    IS_USED.store(false, Ordering::Release);
}

/// Waits until the handler has written a moment; `None`: it did not in time.
fn wait_for(at: &AtomicU64) -> Option<u64> {
    let end_ns = monotonic_ns() + ENTER_NS;
    loop {
        let now_ns = monotonic_ns();
        match at.load(Ordering::Acquire) {
            0 if now_ns >= end_ns => return None,
            0 => sleep_until_ns(now_ns + LOOK_NS),
            at => return Some(at),
        }
    }
}

/// The id of the thread of this name (`/proc/self/task/ID/comm`, proc(5)).
fn thread_named(name: &str) -> Option<libc::pid_t> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let is_named = |entry: &std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    let entry = tasks.filter_map(Result::ok).find(is_named)?;
    entry.file_name().to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_thread_is_held_up_until_it_is_released() {
        let (clock, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (ticks, ends) = (Arc::clone(&clock), Arc::clone(&stop));
        let spin = move || {
            while !ends.load(Ordering::Relaxed) {
                ticks.store(monotonic_ns(), Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("udperf-held".to_owned()).spawn(spin);
        while clock.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let stall = ThreadStall::begin("udperf-held", 10_000_000_000).unwrap();
        assert!(ThreadStall::begin("udperf-held", 1).is_err(), "one at a time");
        let before = clock.load(Ordering::Acquire);
        sleep_until_ns(monotonic_ns() + 5_000_000);
        assert_eq!(clock.load(Ordering::Acquire), before);
        assert!(stall.end().unwrap() >= 5_000_000);
        while clock.load(Ordering::Acquire) == before {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        thread.unwrap().join().unwrap();
        assert!(ThreadStall::begin("no such thread", 1).is_err());
    }
}
