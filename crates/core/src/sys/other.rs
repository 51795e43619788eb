//! The contract of [`super`] where nothing but the standard library is known: inert twins.

mod counters;
pub mod device;
pub mod host;
mod reply;
mod socket;
mod stamps;
mod usage;

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use counters::{
    backlog_drops, device_drops, ip_counters, neighbour_unresolved, qdisc_drops, udp_counters,
};
pub use reply::{ReplyBatch, parse_msg};
pub use socket::{device_name, path_mtu};
pub use stamps::{forget_send_stamps, stamp_sends, take_pending_refusal, take_send_stamp};
/// Anything: nothing here looks into it.
pub use std::marker::Sized as Handle;
pub use usage::{InstructionCounter, context_switches};

use super::{
    Instruction, NetLink, RecvMessage, RecvMetadata, Request, SendError, Unreachable,
    UnreachableErrno,
};

/// Nanoseconds since the first call: std's monotonic clock tells no absolute time.
#[inline]
#[must_use]
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // One second in hand keeps a moment shortly before the first reading above zero.
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1_000_000_000
}

/// Unknown here.
#[must_use]
pub fn thread_cpu_ns() -> Option<u64> {
    None
}

/// Sleeps until [`monotonic_ns`] has reached `at_ns`, as exactly as std does.
pub fn sleep_until_ns(at_ns: u64) {
    std::thread::sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())));
}

/// Sleeps for so long, a millisecond at most: whatever was waited for is seen then.
pub fn wait_readable<S>(_of: &S, most_ns: u64) {
    std::thread::sleep(Duration::from_nanos(most_ns.min(1_000_000)));
}

/// Unknown here, so there is room.
pub fn wait_writable<S>(_of: &S, _most_ns: u64) -> bool {
    true
}

/// Does nothing.
pub fn set_timer_slack_ns(_ns: u64) {}

/// Does nothing.
pub fn raise_open_files() {}

/// Nothing is known of that here.
#[must_use]
pub const fn is_ignored(_signal: i32) -> bool {
    false
}

/// Does nothing.
pub fn in_group_of_its_own(command: &mut std::process::Command) -> &mut std::process::Command {
    command
}

/// Does nothing: a process goes on without the one that started it.
pub fn end_with_parent(command: &mut std::process::Command) -> &mut std::process::Command {
    command
}

/// Unknown here.
#[must_use]
pub fn affinity() -> Option<Vec<usize>> {
    None
}

/// Cannot be had here.
pub fn set_affinity(_cpus: &[usize]) -> bool {
    false
}

/// Unknown here.
#[must_use]
pub fn socket_drops<S>(_socket: &S) -> Option<u32> {
    None
}

/// Does nothing: queue drops stay silent here.
///
/// # Errors
/// Never.
pub fn report_queue_drops<S>(_socket: &S, _ipv6: bool) -> io::Result<()> {
    Ok(())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn enable_pktinfo<S>(_socket: &S, _ipv6: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing to undo here.
///
/// # Errors
/// Never.
pub fn disable_recverr<S>(_socket: &S, _ipv6: bool) -> io::Result<()> {
    Ok(())
}

/// They are not reported here.
#[must_use]
pub fn reports_queue_drops<S>(_socket: &S, _ipv6: bool) -> bool {
    false
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn forbid_fragments<S>(_socket: &S, _ipv6: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_traffic_class<S>(_socket: &S, _class: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn bind_device<S>(_socket: &S, _device: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing to keep away here.
pub fn join_no_group<S>(_socket: &S, _ipv6: bool) {}

/// Why a send failed, as far as std tells.
#[must_use]
pub fn refusal_of(error: &io::Error) -> SendError {
    let unreachable = |errno| SendError::Unreachable(Unreachable::returned(errno));
    match error.kind() {
        io::ErrorKind::WouldBlock => SendError::WouldBlock,
        io::ErrorKind::OutOfMemory => SendError::NoBuffers,
        io::ErrorKind::ConnectionRefused => unreachable(UnreachableErrno::ConnRefused),
        io::ErrorKind::HostUnreachable => unreachable(UnreachableErrno::HostUnreach),
        io::ErrorKind::NetworkUnreachable => unreachable(UnreachableErrno::NetUnreach),
        io::ErrorKind::NetworkDown => unreachable(UnreachableErrno::NetDown),
        io::ErrorKind::Interrupted => SendError::Interrupted,
        _ => SendError::Other(error.raw_os_error().unwrap_or(0)),
    }
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_udp_segment<S>(_socket: &S, _bytes: u16) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_udp_gro<S>(_socket: &S) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_timestamps<S>(_socket: &S) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing to undo here.
///
/// # Errors
/// Never.
pub fn reset_rx_options<S>(_socket: &S) -> io::Result<()> {
    Ok(())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_reuse_port<S>(_socket: &S) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn attach_steering<S>(_socket: &S, _program: &[Instruction]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Never: there is no offload here.
#[must_use]
pub const fn refuses_offload(_error: SendError) -> bool {
    false
}

/// Nothing is queued here.
pub fn take_queued_refusal<S>(_socket: &S) -> Option<SendError> {
    None
}

/// Nothing is queued here.
pub fn drain_error_queue<S>(_socket: &S) -> (u64, Option<SendError>) {
    (0, None)
}

/// Nothing is queued here.
pub fn take_refused_peers<S>(_socket: &S, _note: impl FnMut(Option<SocketAddr>, SendError)) {}

/// Nanoseconds of the system's calendar clock.
#[must_use]
pub fn realtime_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Many messages a call: not possible here.
#[derive(Debug)]
pub struct SendBatch;

impl SendBatch {
    /// For nothing.
    #[must_use]
    pub fn new(_messages: usize, _to: Option<SocketAddr>) -> Self {
        Self
    }

    /// Not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn send<'a, S>(
        &mut self,
        _socket: &S,
        _payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Many messages a call: not possible here.
#[derive(Debug)]
pub struct RecvBatch;

impl RecvBatch {
    /// For nothing.
    #[must_use]
    pub fn new(_slots: usize, _slot_len: usize, _wants: RecvMetadata) -> Self {
        Self
    }

    /// None.
    #[must_use]
    pub const fn slots(&self) -> usize {
        0
    }

    /// Not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn recv<S>(&mut self, _socket: &S) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn recv_one<S>(&mut self, _socket: &S) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Does nothing.
    pub fn restart(&mut self) {}

    /// Nothing was received.
    pub fn messages(&self) -> impl Iterator<Item = RecvMessage<'_>> {
        std::iter::empty()
    }

    /// Nothing was received.
    pub fn requests(&mut self) -> impl Iterator<Item = Request<'_>> {
        std::iter::empty()
    }

    /// Nothing was received.
    #[must_use]
    pub const fn bytes(&self, _message: usize, _len: usize) -> &[u8] {
        &[]
    }
}

/// Unknown here.
#[must_use]
pub fn device_stack(_device: &str) -> Option<Vec<NetLink>> {
    None
}

/// Not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn enter_netns(_path: &std::path::Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Unknown here.
#[must_use]
pub fn boot_id() -> Option<String> {
    None
}

/// Unknown here.
#[must_use]
pub fn clock_identity() -> Option<String> {
    None
}

/// No system call tells it.
#[must_use]
pub fn network_identity() -> Option<String> {
    None
}

/// Unknown here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn device_index(_device: &str) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Unknown here.
#[must_use]
pub fn stolen_ns() -> Option<u64> {
    None
}

/// There are no such names here.
#[cfg(udperf_unix)]
#[must_use]
pub fn abstract_name(_addr: &std::os::unix::net::SocketAddr) -> Option<&[u8]> {
    None
}

/// Whether this is no error of connect(2) but says that a socket that does not block has begun:
/// EINPROGRESS of Linux or of the BSDs and macOS, and what Windows says in its place.
#[must_use]
pub fn is_connecting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(115 | 36)) || error.kind() == io::ErrorKind::WouldBlock
}
