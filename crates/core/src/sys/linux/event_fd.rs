//! A file descriptor by which a thread wakes another one that waits for sockets (eventfd(2)).
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};

use super::check;

/// Becomes readable with the first signal. Edge-triggered events report each signal.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A new one, not signalled.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd(2) takes numbers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: a new file that nobody else owns.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Wakes the threads that wait for it.
    pub fn signal(&self) {
        // It fails only at 2⁶⁴ - 1 signals.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
