//! A run between two hosts: the control protocol, calls over lossy datagrams, `blast`, `sink`.

pub mod client;
mod phase;
pub mod protocol;
pub mod rpc;
pub mod sink;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, whose data stays valid if a thread panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
