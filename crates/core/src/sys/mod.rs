//! The operating system: every libc call and every `cfg(target_os)` of this crate.
//!
//! `linux` and `other` provide the same names; a function that a system lacks is a stub in `other`.
//! Files of /proc and /sys are read on every system; without them, the value is unknown.
//! `--cfg udperf_portable` selects the stubs on Linux, too, so that they are built and tested.

#[cfg(all(target_os = "linux", not(udperf_portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
use linux as imp;

#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
mod other;
#[cfg(not(all(target_os = "linux", not(udperf_portable))))]
use other as imp;

pub mod host;
mod proc_counters;
mod shared_counters;
mod signals;
#[cfg(all(target_os = "linux", not(udperf_portable)))]
pub mod stable_memory;
mod types;
mod unreachable;
mod xdp;

pub use host::{boot_id, clock_identity, network_identity, resident_bytes};
pub use proc_counters::*;
pub use shared_counters::zeroed_counters;
pub use signals::{interrupt, stop_on_signals};
pub use types::*;
pub use unreachable::*;
pub use xdp::*;

pub use imp::*;
