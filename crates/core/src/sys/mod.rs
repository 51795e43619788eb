//! The operating system: every libc call and every `cfg(target_os)` of this crate.
//!
//! # The contract
//! `linux` and `other` provide the same names. A function that a system lacks is a stub in `other`:
//! it returns `None` or `Unsupported`, or does nothing. Callers need not know which one they use.
//!
//! `--cfg udperf_portable` selects the stubs everywhere, so that they are built and tested.

#[cfg(all(target_os = "linux", not(udperf_portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
use linux as imp;

#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
mod other;
#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
use other as imp;

mod signals;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
pub mod stable_memory;
mod types;
mod unreachable;

pub use signals::stop_on_signals;
pub use types::*;
pub use unreachable::*;

pub use imp::*;
