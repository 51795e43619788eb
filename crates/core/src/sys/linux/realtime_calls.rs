//! Real-time scheduling of threads, and locked memory.
#![allow(unsafe_code)]

use std::io;

use super::check;

/// `struct sched_param` of `include/uapi/linux/sched/types.h`; that of musl has more fields.
#[repr(C)]
struct SchedParam {
    priority: libc::c_int,
}

/// Gives the calling thread the policy `SCHED_FIFO` and this priority (sched(7)). Threads that it
/// starts, such as those of io_uring(7), have the default policy.
pub fn set_realtime(priority: u8) -> io::Result<()> {
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    let param = SchedParam { priority: priority.into() };
    let (call, this_thread) = (libc::SYS_sched_setscheduler, 0);
    // SAFETY: `param` is a sched_param that outlives the call, which only reads it. The function
    // of this name in musl always fails.
    let result = unsafe { libc::syscall(call, this_thread, policy, &raw const param) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Keeps all present and future memory of this process in RAM (mlockall(2)).
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: mlockall(2) takes flags only, and does not change any contents.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) }).map(drop)
}

/// The soft limits of the real-time priority, and of locked memory in bytes; `None`: unlimited.
pub fn realtime_limits() -> [Option<u64>; 2] {
    let limit = |rlim_cur: libc::rlim_t| (rlim_cur != libc::RLIM_INFINITY).then_some(rlim_cur);
    let mut limits = [libc::rlimit { rlim_cur: 0, rlim_max: 0 }; 2];
    let [priority, memory] = &mut limits;
    // SAFETY: `priority` is a valid, writable rlimit for the whole call; if it fails, it stays 0.
    unsafe { libc::getrlimit(libc::RLIMIT_RTPRIO, &raw mut *priority) };
    // SAFETY: the same for `memory`.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut *memory) };
    limits.map(|one| limit(one.rlim_cur))
}
