//! Processes that this one starts.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::check;

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
