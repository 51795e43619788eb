//! Departures by the kernel: `SO_TXTIME` and `SO_MAX_PACING_RATE` (Documentation/networking, and
//! `include/uapi/linux/net_tstamp.h`).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;

use super::socket::set;
use super::thread::read_clock;
use crate::sys::TxClock;

const fn clock_id(clock: TxClock) -> libc::clockid_t {
    match clock {
        TxClock::Monotonic => libc::CLOCK_MONOTONIC,
        TxClock::Tai { .. } => libc::CLOCK_TAI,
    }
}

/// Lets each datagram have its time of departure on this clock.
pub fn enable_departures(socket: &impl AsFd, clock: TxClock) -> io::Result<()> {
    let value = libc::sock_txtime { clockid: clock_id(clock), flags: 0 };
    set(socket, (libc::SOL_SOCKET, libc::SO_TXTIME), &value)
}

/// Limits what the queueing discipline fq sends of this socket, in bytes a second with the headers
/// of the link.
pub fn set_pacing_rate(socket: &impl AsFd, bytes_per_second: u64) -> io::Result<()> {
    let rate = libc::c_ulong::try_from(bytes_per_second).unwrap_or(libc::c_ulong::MAX);
    set(socket, (libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE), &rate)
}

/// The departure time on this clock minus the release time on the monotonic clock, in ns: the
/// offset of the clocks, and how early etf releases. An adjustment of the clock changes it.
pub fn ahead_of_monotonic_ns(clock: TxClock) -> u64 {
    /// Reads of both clocks: the least interrupted one counts. Arbitrary.
    const READS: usize = 8;
    let TxClock::Tai { early_ns } = clock else { return 0 };
    let read = |_| {
        let monotonic_ns = read_clock(libc::CLOCK_MONOTONIC);
        read_clock(libc::CLOCK_TAI).saturating_sub(monotonic_ns)
    };
    (0..READS).map(read).min().unwrap_or_default() + u64::from(early_ns)
}
