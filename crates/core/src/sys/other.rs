//! The contract of [`super`] where nothing but the standard library is known: stubs.
//! `linux` documents each name.
#![allow(missing_docs)]

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Any type: nothing here looks into a socket.
pub use std::marker::Sized as Handle;

use super::{
    DeviceDrops, Instruction, IpSnmp, LocalAddr, NetLink, RecvMessage, RecvMetadata, Reply,
    Request, SendError, SwitchCounts, UdpSnmp, Unreachable, UnreachableErrno,
};

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Defines functions that ignore their arguments and return a fixed value.
macro_rules! inert {
    ($($(#[$attribute:meta])* $name:ident$(<$socket:ident>)?($($argument:ty),*) -> $result:ty =
        $value:expr;)*) => {$(
        $(#[$attribute])*
        pub fn $name$(<$socket>)?($(_: $argument),*) -> $result {
            $value
        }
    )*};
}

inert! {
    #[cfg(udperf_unix)]
    abstract_name(&std::os::unix::net::SocketAddr) -> Option<&[u8]> = None;
    affinity() -> Option<Vec<usize>> = None;
    attach_steering<S>(&S, &[Instruction]) -> io::Result<()> = unsupported();
    backlog_drops() -> Option<Vec<(u32, u32)>> = None;
    bind_device<S>(&S, &str) -> io::Result<()> = unsupported();
    boot_id() -> Option<String> = None;
    clock_identity() -> Option<String> = None;
    context_switches() -> Option<SwitchCounts> = None;
    device_drops(Option<&[NetLink]>) -> Option<DeviceDrops> = None;
    device_index(&str) -> io::Result<u32> = unsupported();
    device_name(u32) -> Option<String> = None;
    device_stack(&str) -> Option<Vec<NetLink>> = None;
    disable_recverr<S>(&S, bool) -> io::Result<()> = Ok(());
    drain_error_queue<S>(&S) -> (u64, Option<SendError>) = (0, None);
    enable_pktinfo<S>(&S, bool) -> io::Result<()> = unsupported();
    enter_netns(&Path) -> io::Result<()> = unsupported();
    forbid_fragments<S>(&S, bool) -> io::Result<()> = unsupported();
    forget_send_stamps<S>(&S) -> io::Result<()> = Ok(());
    ip_counters() -> Option<IpSnmp> = None;
    is_ignored(i32) -> bool = false;
    join_no_group<S>(&S, bool) -> () = ();
    neighbour_unresolved(SocketAddr, Option<&str>) -> Option<bool> = None;
    network_identity() -> Option<String> = None;
    parse_msg(&[u8], &[u8]) -> (Option<SocketAddr>, Option<LocalAddr>, Option<u64>) =
        (None, None, None);
    path_mtu<S>(&S, bool) -> Option<u64> = None;
    qdisc_drops(Option<&[NetLink]>) -> Option<u64> = None;
    raise_open_files() -> () = ();
    refuses_offload(SendError) -> bool = false;
    report_queue_drops<S>(&S, bool) -> io::Result<()> = Ok(());
    reports_queue_drops<S>(&S, bool) -> bool = false;
    reset_rx_options<S>(&S) -> io::Result<()> = Ok(());
    set_affinity(&[usize]) -> bool = false;
    set_reuse_port<S>(&S) -> io::Result<()> = unsupported();
    set_timer_slack_ns(u64) -> () = ();
    set_timestamps<S>(&S) -> io::Result<()> = unsupported();
    set_traffic_class<S>(&S, u32) -> io::Result<()> = unsupported();
    set_udp_gro<S>(&S) -> io::Result<()> = unsupported();
    set_udp_segment<S>(&S, u16) -> io::Result<()> = unsupported();
    socket_drops<S>(&S) -> Option<u32> = None;
    stamp_sends<S>(&S, bool) -> io::Result<()> = unsupported();
    stolen_ns() -> Option<u64> = None;
    take_socket_error<S>(&S) -> Option<SendError> = None;
    take_latest_error<S>(&S) -> Option<SendError> = None;
    take_queued_errors<S>(&S, impl FnMut(Option<SocketAddr>, SendError)) -> () = ();
    take_send_stamp<S>(&S) -> Option<u64> = None;
    thread_cpu_ns() -> Option<u64> = None;
    udp_counters() -> Option<UdpSnmp> = None;
    wait_writable<S>(&S, u64) -> bool = true;
}

pub mod device {
    use std::collections::BTreeMap;

    use crate::sys::{Address, InterruptLine};

    inert! {
        addresses() -> Vec<Address> = Vec::new();
        channels(&str) -> Option<BTreeMap<String, u64>> = None;
        coalescing(&str) -> Option<BTreeMap<String, u64>> = None;
        driver(&str) -> Option<String> = None;
        irqs(&str) -> Option<Vec<InterruptLine>> = None;
        mtu(&str) -> Option<u64> = None;
        offloads(&str) -> Option<BTreeMap<String, bool>> = None;
        qdisc(&str) -> Option<String> = None;
        queue_masks(&str, &str, &str) -> Option<Vec<String>> = None;
        queues(&str, &str) -> Option<usize> = None;
        rings(&str) -> Option<BTreeMap<String, u64>> = None;
        speed_mbit(&str) -> Option<u64> = None;
    }
}

pub mod host {
    use std::collections::BTreeMap;

    use crate::sys::{CgroupFiles, CgroupThrottling, CpuTime, LoadAverage};

    inert! {
        cgroup_limits() -> Option<CgroupFiles> = None;
        clocksource() -> Option<String> = None;
        container() -> Option<String> = None;
        cpu_model() -> Option<String> = None;
        cpu_throttling() -> Vec<CgroupThrottling> = Vec::new();
        cpu_time() -> Option<CpuTime> = None;
        governor(&[usize]) -> Option<String> = None;
        hostname() -> Option<String> = None;
        isolated_cpus() -> Option<Vec<usize>> = None;
        kernel() -> Option<String> = None;
        kernel_command_line() -> Option<String> = None;
        load() -> Option<LoadAverage> = None;
        max_dgram_qlen() -> Option<u64> = None;
        mitigations() -> Option<BTreeMap<String, String>> = None;
        netdev_max_backlog() -> Option<u64> = None;
        nohz_full_cpus() -> Option<Vec<usize>> = None;
        online_cpus() -> Option<usize> = None;
        rmem_max() -> Option<u64> = None;
        smt_active() -> Option<bool> = None;
        sysctls() -> BTreeMap<String, String> = BTreeMap::new();
        thread_siblings(&[usize]) -> Option<Vec<Vec<usize>>> = None;
        turbo() -> Option<bool> = None;
        virtualization() -> Option<String> = None;
        wmem_max() -> Option<u64> = None;
    }
}

/// Nanoseconds since the first call: std's monotonic clock tells no absolute time.
#[inline]
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // One second in hand keeps a moment shortly before the first reading above zero.
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

/// Sleeps for so long, but at most a millisecond, after which the caller looks again.
pub fn wait_readable<S>(_of: &S, most_ns: u64) {
    std::thread::sleep(Duration::from_nanos(most_ns.min(1_000_000)));
}

/// Opens for appending; waits for the reader of a pipe.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::options().append(true).open(path)
}

pub fn in_group_of_its_own(command: &mut Command) -> &mut Command {
    command
}

/// Does nothing: a process goes on without its parent.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    command
}

/// Whether connect(2) on a non-blocking socket has begun: EINPROGRESS of Linux, the BSDs and macOS,
/// WouldBlock on Windows.
pub fn is_connecting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(115 | 36)) || error.kind() == io::ErrorKind::WouldBlock
}

/// Why a send failed, as far as std tells.
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

#[derive(Debug)]
pub struct SendBatch;

impl SendBatch {
    pub fn new(_messages: usize, _to: Option<SocketAddr>) -> Self {
        Self
    }

    pub fn send<'a, S>(
        &mut self,
        _socket: &S,
        _payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        unsupported()
    }
}

#[derive(Debug)]
pub struct RecvBatch;

impl RecvBatch {
    pub fn new(_slots: usize, _slot_len: usize, _metadata: RecvMetadata) -> Self {
        Self
    }

    pub fn slots(&self) -> usize {
        0
    }

    pub fn recv<S>(&mut self, _socket: &S) -> io::Result<usize> {
        unsupported()
    }

    pub fn recv_one<S>(&mut self, _socket: &S) -> io::Result<()> {
        unsupported()
    }

    pub fn restart(&mut self) {}

    pub fn messages(&self) -> impl Iterator<Item = RecvMessage<'_>> {
        std::iter::empty()
    }

    pub fn requests(&mut self) -> impl Iterator<Item = Request<'_>> {
        std::iter::empty()
    }

    pub fn bytes(&self, _message: usize, _len: usize) -> &[u8] {
        &[]
    }
}

#[derive(Debug)]
pub struct ReplyBatch;

impl ReplyBatch {
    pub fn new(_messages: usize) -> Self {
        Self
    }

    pub fn send<'a, S>(
        &mut self,
        _socket: &S,
        _replies: impl Iterator<Item = Reply<'a>>,
    ) -> io::Result<(usize, usize)> {
        unsupported()
    }

    pub fn send_one<S>(&mut self, _socket: &S, _reply: Reply<'_>) -> io::Result<()> {
        unsupported()
    }
}

#[derive(Debug)]
pub struct InstructionCounter;

impl InstructionCounter {
    pub fn of_this_thread() -> Option<Self> {
        None
    }

    pub fn with_kernel(&self) -> bool {
        false
    }

    pub fn read(&self) -> Option<u64> {
        None
    }
}
