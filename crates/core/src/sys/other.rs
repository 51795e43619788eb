//! Stubs for systems without an implementation. `linux` documents each name.
#![allow(missing_docs)]

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;

/// Any type: no stub uses its socket.
pub use std::marker::Sized as Handle;

use super::{
    ContextSwitches, EthernetPath, EthernetPathError, Instruction, LocalAddr, NetLink, NextHop,
    PortRule, Qdisc, QueuedError, RecvMessage, RecvMetadata, Reply, Request, SendError, TxClock,
    Unreachable, UnreachableErrno, XdpAbilities, XdpError, XdpMode,
};

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Defines functions that ignore their arguments and return a fixed value.
macro_rules! inert {
    ($($(#[$attribute:meta])* $name:ident$(<$($generic:tt),*>)?($($argument:tt)*) -> $result:ty =
        $value:expr;)*) => {$(
        $(#[$attribute])*
        pub fn $name$(<$($generic),*>)?($($argument)*) -> $result {
            $value
        }
    )*};
}
#[allow(unused_imports, reason = "used where there are no AF_UNIX sockets")]
pub(crate) use inert;

inert! {
    #[cfg(udperf_unix)]
    abstract_name(_: &std::os::unix::net::SocketAddr) -> Option<&[u8]> = None;
    ahead_of_monotonic_ns(_: TxClock) -> u64 = 0;
    allow_foreign_bind<S>(_: &S, _: bool) -> io::Result<()> = unsupported();
    affinity() -> Option<Vec<usize>> = None;
    attach_steering<S>(_: &S, _: &[Instruction]) -> io::Result<()> = unsupported();
    bind_device<S>(_: &S, _: &str) -> io::Result<()> = unsupported();
    context_switches() -> Option<ContextSwitches> = None;
    device_index(_: &str) -> io::Result<u32> = unsupported();
    device_name(_: u32) -> Option<String> = None;
    device_stack(_: &str) -> Option<Vec<NetLink>> = None;
    disable_recverr<S>(_: &S, _: bool) -> io::Result<()> = Ok(());
    drain_error_queue<S>(_: &S) -> (u64, Option<SendError>) = (0, None);
    enable_departures<S>(_: &S, _: TxClock) -> io::Result<()> = unsupported();
    enable_pktinfo<S>(_: &S, _: bool) -> io::Result<()> = unsupported();
    // A process continues without its parent.
    end_with_parent(command: &mut Command) -> &mut Command = command;
    enter_netns(_: &Path) -> io::Result<()> = unsupported();
    forbid_fragments<S>(_: &S, _: bool) -> io::Result<()> = unsupported();
    forget_send_stamps<S>(_: &S) -> io::Result<()> = Ok(());
    ethernet_path(
        _: SocketAddr, _: Option<IpAddr>, _: Option<&str>
    ) -> Result<EthernetPath, EthernetPathError> = Err(EthernetPathError::Unsupported);
    has_reuse_port<S>(_: &S) -> bool = false;
    in_group_of_its_own(command: &mut Command) -> &mut Command = command;
    is_ignored(_: i32) -> bool = false;
    is_same_socket<S>(_: &S, _: &S) -> bool = false;
    is_udp<S>(_: &S) -> bool = true;
    join_no_group<S>(_: &S, _: bool) -> () = ();
    join_source_group<S>(_: &S, _: IpAddr, _: IpAddr, _: u32) -> io::Result<()> = unsupported();
    lock_memory() -> io::Result<()> = unsupported();
    neighbour_unresolved(_: SocketAddr, _: Option<&str>) -> Option<bool> = None;
    next_hop(_: SocketAddr, _: Option<&str>) -> Option<NextHop> = None;
    parse_msg(_: &[u8], _: &[u8]) -> (Option<SocketAddr>, Option<LocalAddr>, Option<u64>) =
        (None, None, None);
    passed_sockets() -> io::Result<Vec<socket2::Socket>> = Ok(Vec::new());
    path_mtu<S>(_: &S, _: bool) -> Option<u64> = None;
    probe_mtu<S>(_: &S, _: bool, _: bool) -> io::Result<()> = unsupported();
    qdisc_drops(_: Option<&[NetLink]>) -> Option<u64> = None;
    qdiscs(_: &str) -> Option<Vec<Qdisc>> = None;
    raise_open_files() -> () = ();
    realtime_limits() -> [Option<u64>; 2] = [None; 2];
    return_large_blocks() -> () = ();
    refuses_offload(_: SendError) -> bool = false;
    report_queue_drops<S>(_: &S, _: bool) -> io::Result<()> = Ok(());
    reports_queue_drops<S>(_: &S, _: bool) -> bool = false;
    reset_rx_options<S>(_: &S) -> io::Result<()> = Ok(());
    set_affinity(_: &[usize]) -> bool = false;
    set_pacing_rate<S>(_: &S, _: u64) -> io::Result<()> = unsupported();
    set_realtime(_: u8) -> io::Result<()> = unsupported();
    set_reuse_port<S>(_: &S) -> io::Result<()> = unsupported();
    set_timer_slack_ns(_: u64) -> () = ();
    set_timestamps<S>(_: &S) -> io::Result<()> = unsupported();
    set_traffic_class<S>(_: &S, _: u32) -> io::Result<()> = unsupported();
    set_udp_gro<S>(_: &S, _: bool) -> io::Result<()> = unsupported();
    set_udp_segment<S>(_: &S, _: u16) -> io::Result<()> = unsupported();
    socket_drops<S>(_: &S) -> Option<u32> = None;
    stamp_sends<S>(_: &S, _: bool) -> io::Result<()> = unsupported();
    take_queued_errors<S>(_: &S, _: impl FnMut(QueuedError)) -> () = ();
    take_send_stamp<S>(_: &S) -> Option<u64> = None;
    take_socket_error<S>(_: &S) -> Option<SendError> = None;
    thread_cpu_ns() -> Option<u64> = None;
    wait_writable<S>(_: &S, _: u64) -> bool = true;
    xdp_abilities() -> XdpAbilities = XdpAbilities {
        in_kernel: Some(false),
        missing_capabilities: Vec::new(),
        lockable_bytes: None,
    };
}

pub mod device {
    use std::net::SocketAddr;

    use crate::sys::{Device, XdpSupport};

    inert! {
        addresses() -> Vec<(String, SocketAddr)> = Vec::new();
        facts(_: &str) -> Option<Device> = None;
        is_ethernet(_: &str) -> bool = false;
        xdp_support(_: &str) -> Option<XdpSupport> = None;
    }
}

/// Nanoseconds since the first call: std's monotonic clock has no absolute value.
#[inline]
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // One second more keeps a moment shortly before the first reading above zero.
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1_000_000_000
}

/// Nanoseconds of the system's calendar clock.
pub fn realtime_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// Sleeps until [`monotonic_ns`] has reached `at_ns`, as exactly as std does.
pub fn sleep_until_ns(at_ns: u64) {
    std::thread::sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())));
}

/// Sleeps at most a millisecond, after which the caller reads again.
pub fn wait_readable<S>(_of: &S, most_ns: u64) {
    std::thread::sleep(Duration::from_nanos(most_ns.min(1_000_000)));
}

/// Opens for appending; waits for the reader of a pipe.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::options().append(true).open(path)
}

/// Whether connect(2) on a non-blocking socket has begun: EINPROGRESS of Linux, the BSDs and macOS,
/// WouldBlock on Windows.
pub fn is_connecting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(115 | 36)) || error.kind() == io::ErrorKind::WouldBlock
}

/// Why a send failed, as far as std reports it.
pub fn send_error_of(error: &io::Error) -> SendError {
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

/// Sends to the peer of a connected socket.
#[inline]
pub fn send(socket: &UdpSocket, payload: &[u8]) -> io::Result<usize> {
    socket.send(payload)
}

/// Sends to this address.
#[inline]
pub fn send_to(socket: &UdpSocket, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
    socket.send_to(payload, to)
}

/// Receives one datagram; returns how many bytes of the buffer it fills, and its sender.
#[inline]
pub fn recv_from(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
    socket.recv_from(buffer).map(|(len, from)| (len, Some(from)))
}

#[derive(Debug)]
pub struct ThreadStall;

impl ThreadStall {
    inert! {
        begin(_: &str, _: u64) -> io::Result<Self> = unsupported();
        end(self) -> Option<u64> = None;
    }
}

#[derive(Debug)]
pub struct SendBatch;

impl SendBatch {
    inert! {
        new(_: usize, _: Option<SocketAddr>) -> Self = Self;
        with_departures(self) -> Self = self;
        set_departure(&mut self, _: usize, _: u64) -> () = ();
        send<'a, S>(&mut self, _: &S, _: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> =
            unsupported();
        send_one<S>(&mut self, _: &S, _: &[u8]) -> io::Result<usize> = unsupported();
    }
}

#[derive(Debug)]
pub struct RecvBatch;

impl RecvBatch {
    inert! {
        new(_: usize, _: usize, _: RecvMetadata) -> Self = Self;
        slots(&self) -> usize = 0;
        recv<S>(&mut self, _: &S) -> io::Result<usize> = unsupported();
        recv_one<S>(&mut self, _: &S) -> io::Result<()> = unsupported();
        restart(&mut self) -> () = ();
        omit_senders(&mut self) -> () = ();
        start_controls(&mut self) -> () = ();
        messages(&self) -> impl Iterator<Item = RecvMessage<'_>> = std::iter::empty();
        requests(&mut self) -> impl Iterator<Item = Request<'_>> = std::iter::empty();
        lone_request(&mut self) -> Option<Request<'_>> = None;
        sender(&self, _: usize) -> Option<SocketAddr> = None;
        bytes(&self, _: usize, _: usize) -> &[u8] = &[];
    }
}

#[derive(Debug)]
pub struct ReplyBatch;

impl ReplyBatch {
    inert! {
        new(_: usize) -> Self = Self;
        send<'a, S>(
            &mut self, _: &S, _: impl Iterator<Item = Reply<'a>>
        ) -> io::Result<(usize, usize)> = unsupported();
        send_one<S>(&mut self, _: &S, _: Reply<'_>) -> io::Result<()> = unsupported();
    }
}

#[derive(Debug)]
pub struct InstructionCounter;

impl InstructionCounter {
    inert! {
        of_this_thread() -> Option<Self> = None;
        with_kernel(&self) -> bool = false;
        read(&self) -> Option<u64> = None;
    }
}

#[derive(Debug)]
pub struct XdpFilter;

impl XdpFilter {
    inert! {
        attach(_: u32, _: XdpMode) -> Result<Self, XdpError> = Err(XdpError::Unsupported);
        mode(&self) -> XdpMode = XdpMode::Auto;
        set_port(&self, _: SocketAddr, _: PortRule) -> io::Result<()> = unsupported();
        set_socket<S>(&self, _: u32, _: S) -> io::Result<()> = unsupported();
        remove_socket(&self, _: u32) -> io::Result<()> = unsupported();
    }
}

#[derive(Debug, Clone)]
pub struct RingCounter;

impl RingCounter {
    inert! {
        drops(&self) -> Option<u64> = None;
    }
}
