//! What threads of this process share: the two halves of a queue, and the receive program of a
//! device. Each closes with its last user. Assigns queues to workers (`--xdp-queue`).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::XdpOptions;
use super::frame::{HEADROOM, packet_len};
use super::registry::{DeviceKey, Registry, device_key, lock};
use crate::sys::{
    self, EthernetPath, PortRule, XdpFilter, XdpMode, XskOptions, XskRx, XskTx, setcap_command,
    xdp_abilities,
};

/// Slots of the sending half: eight batches, so that the device sends some while the next ones are
/// written. Measured flat out over a veth pair, ten interleaved runs of 64 bytes: 256 to 2,048
/// slots deliver 0.97 to 1.06 times as many, which is noise.
const TX_SLOTS: u32 = 512;

/// Frames of the receiving half, 16 MiB. Measured as above on a busy host, where a receiver stalls
/// for milliseconds: of 600,000 datagrams, 1,024 and 2,048 frames lose 46,000 in the median run,
/// 4,096 lose 7,000 to 22,000, and 8,192 none, at the same rate; more frames only take memory.
pub(super) const RX_FRAMES: u32 = 8_192;

/// Memory of a queue in bytes, with the shorter chunks of `sys/linux/xsk`. Payloads that need the
/// longer ones take up to twice as much.
pub const QUEUE_BYTES: u64 = 2_048 * (RX_FRAMES as u64 + TX_SLOTS as u64);

/// How long to wait for a queue that another session uses. Longer than a sink takes to end the
/// session of a killed client for a new one: `GRACE` of `remote/sink/liveness.rs`, and a tick.
const HANDOVER: Duration = Duration::from_secs(4);

/// How often to try. Arbitrary: much shorter than a tick of the sink.
const HANDOVER_POLL: Duration = Duration::from_millis(5);

static QUEUES: Registry<(DeviceKey, u32), Halves> = Registry::new();
static FILTERS: Registry<DeviceKey, DeviceFilter> = Registry::new();

/// The two halves of a queue; `None`: a worker has taken it.
#[derive(Debug)]
pub(super) struct Halves {
    tx: Mutex<Option<XskTx>>,
    rx: Mutex<Option<XskRx>>,
}

impl Halves {
    fn open(
        options: &XdpOptions,
        device: u32,
        queue: u32,
        payload: usize,
        copy: bool,
    ) -> io::Result<Arc<Self>> {
        let options = XskOptions {
            device,
            queue,
            tx_slots: options.tx_slots.unwrap_or(TX_SLOTS),
            rx_frames: options.rx_frames.unwrap_or(RX_FRAMES),
            slot_headroom: HEADROOM,
            payload: payload.max(options.longest_reply),
            copy,
            busy_poll: options.busy_poll,
        };
        QUEUES.get((device_key(device)?, queue), || {
            let opened = sys::open_xsk(&options).map_err(|error| refused(&options, &error));
            opened.map(|(tx, rx)| Self { tx: Mutex::new(Some(tx)), rx: Mutex::new(Some(rx)) })
        })
    }
}

fn refused(options: &XskOptions, error: &io::Error) -> io::Error {
    let device = sys::device_name(options.device).unwrap_or_default();
    let why = match error.raw_os_error() {
        Some(libc::EBUSY) => ": another program uses this queue; stop it, or choose another \
                              queue with --xdp-queue"
            .to_owned(),
        Some(libc::EINVAL) => ": there is no such queue; see `ethtool -l`".to_owned(),
        Some(libc::EPERM | libc::EACCES) => {
            format!(": not permitted; run {}", setcap_command("udperf"))
        }
        Some(libc::EAFNOSUPPORT) => ": this kernel has no AF_XDP".to_owned(),
        _ => String::new(),
    };
    io::Error::new(error.kind(), format!("queue {} of {device}: {error}{why}", options.queue))
}

fn taken(queue: u32) -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        format!(
            "another thread or session uses queue {queue}; use fewer threads, end the session, or \
             use other queues (--xdp-queue)"
        ),
    )
}

/// Takes a half of a queue. Waits for another session that is about to end.
fn take<T>(
    queue: u32,
    open: impl Fn() -> io::Result<Arc<Halves>>,
    half: fn(&Halves) -> &Mutex<Option<T>>,
) -> io::Result<(T, Arc<Halves>)> {
    let until = Instant::now() + HANDOVER;
    loop {
        let halves = open()?;
        let free = lock(half(&halves)).take();
        if let Some(half) = free {
            return Ok((half, halves));
        }
        // Not kept: the queue closes with its last user.
        drop(halves);
        if Instant::now() >= until {
            return Err(taken(queue));
        }
        std::thread::sleep(HANDOVER_POLL);
    }
}

/// The queues to use: those asked for, or all `count` of the device.
fn numbers(options: &XdpOptions, count: u32) -> Vec<u32> {
    if options.queues.is_empty() { (0..count).collect() } else { options.queues.clone() }
}

fn too_few(device: &str, options: &XdpOptions, count: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        format!(
            "{} threads need a queue each, and {device} has {count} to use; use fewer --threads, \
             or more queues (--xdp-queue; `ethtool -L {device} combined {0}`, or for a veth pair \
             `ip link add … numtxqueues {0} numrxqueues {0}`)",
            options.workers
        ),
    )
}

/// Takes the sending half of the queue that belongs to this worker.
pub(super) fn take_tx(
    options: &XdpOptions,
    path: &EthernetPath,
    payload: usize,
) -> io::Result<(XskTx, Arc<Halves>)> {
    let numbers = numbers(options, path.tx_queues);
    let device = &path.device;
    let queue = numbers.get(options.worker).copied();
    let queue = queue.ok_or_else(|| too_few(&device.name, options, numbers.len()))?;
    let copy = options.mode == XdpMode::Generic;
    take(queue, || Halves::open(options, device.index, queue, payload, copy), |both| &both.tx)
}

/// Takes the receiving half of a queue.
pub(super) fn take_rx(
    filter: &PortFilter,
    options: &XdpOptions,
    queue: u32,
    payload: usize,
) -> io::Result<(XskRx, Arc<Halves>)> {
    let copy = filter.mode() == XdpMode::Generic;
    take(queue, || Halves::open(options, filter.of.device, queue, payload, copy), |both| &both.rx)
}

/// The receive program of a device, and its receivers.
#[derive(Debug)]
struct DeviceFilter {
    program: XdpFilter,
    device: u32,
    name: String,
    receivers: Mutex<Receivers>,
}

/// The address, port and rule of each receiver of a device, in the order in which they came.
#[derive(Debug, Default)]
struct Receivers(Vec<(SocketAddr, PortRule)>);

impl Receivers {
    /// Adds a receiver; returns the entry of its port.
    fn add(&mut self, to: SocketAddr, rule: PortRule) -> (SocketAddr, PortRule) {
        self.0.push((to, rule));
        self.entry(to.port())
    }

    /// Removes a receiver; returns the entry that its port has then.
    fn remove(&mut self, to: SocketAddr) -> (SocketAddr, PortRule) {
        if let Some(at) = self.0.iter().rposition(|(other, _)| *other == to) {
            self.0.remove(at);
        }
        self.entry(to.port())
    }

    /// What the program has for a port: the address of its receivers, or all if these differ, and
    /// the rule of the latest receiver.
    fn entry(&self, port: u16) -> (SocketAddr, PortRule) {
        let all = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let mut of_port = self.0.iter().rev().filter(|(to, _)| to.port() == port);
        match of_port.next() {
            None => (all, PortRule::Pass),
            Some(&(to, rule)) if of_port.all(|(other, _)| *other == to) => (to, rule),
            Some(&(_, rule)) => (all, rule),
        }
    }
}

/// The addresses, ports and queues of one receiver in the receive program of its device, until it
/// is dropped.
#[derive(Debug)]
pub(super) struct PortFilter {
    of: Arc<DeviceFilter>,
    own: Vec<SocketAddr>,
    queues: Vec<u32>,
}

impl PortFilter {
    /// Attaches the program to the device that has this address, unless it is attached.
    pub(super) fn attach(local: SocketAddr, options: &XdpOptions) -> io::Result<Self> {
        let device = match &options.device {
            Some(device) => device.clone(),
            None => owner(local)?,
        };
        let index = sys::device_index(&device).map_err(|error| {
            io::Error::new(error.kind(), format!("no network device {device}; see `ip link`"))
        })?;
        if !sys::device::is_ethernet(&device) {
            return Err(io::Error::other(format!(
                "{device} is not an Ethernet device; use another engine, or another device (--dev)"
            )));
        }
        let key = device_key(index)?;
        let of = FILTERS.get(key, || {
            let program = XdpFilter::attach(index, options.mode)
                .map_err(|error| io::Error::other(format!("{device}: {error}")))?;
            let (name, receivers) = (device.clone(), Mutex::default());
            Ok(DeviceFilter { program, device: index, name, receivers })
        })?;
        Ok(Self { of, own: Vec::new(), queues: Vec::new() })
    }

    /// The device.
    pub(super) fn device(&self) -> io::Result<DeviceKey> {
        device_key(self.of.device)
    }

    /// Where the program runs.
    pub(super) fn mode(&self) -> XdpMode {
        self.of.program.mode()
    }

    /// The queues of this worker. Receivers take them in turn, so that each queue has one.
    pub(super) fn queues_of(&self, options: &XdpOptions) -> io::Result<Vec<u32>> {
        let facts = sys::device::facts(&self.of.name).unwrap_or_default();
        // In another network namespace, /sys lacks the device, and ethtool's channels do not.
        let channels = facts.channels.unwrap_or_default();
        let channels: u64 = ["rx", "combined"].iter().filter_map(|kind| channels.get(*kind)).sum();
        let count = Some(channels).filter(|&count| count > 0).or(facts.rx_queues).unwrap_or(1);
        let numbers = numbers(options, count as u32);
        let workers = options.workers.max(1);
        let own: Vec<_> = numbers.iter().copied().skip(options.worker).step_by(workers).collect();
        if own.is_empty() {
            return Err(too_few(&self.of.name, options, numbers.len()));
        }
        Ok(own)
    }

    /// Refuses payloads that arrive in fragments, which the program does not redirect.
    pub(super) fn check_size(&self, local: IpAddr, payload: usize) -> io::Result<()> {
        let facts = sys::device::facts(&self.of.name).unwrap_or_default();
        // A socket of every address may receive by IPv4, too.
        let is_ipv6 = local.to_canonical().is_ipv6() && !local.is_unspecified();
        let len = packet_len(is_ipv6, payload) as u64;
        match facts.mtu {
            Some(mtu) if len > mtu => Err(io::Error::other(format!(
                "packets of {len} bytes exceed the MTU of {} ({mtu}), and it cannot receive \
                 fragments; use a smaller --size",
                self.of.name
            ))),
            _ => Ok(()),
        }
    }

    /// Redirects what arrives by this queue to the socket.
    pub(super) fn add_socket(&mut self, queue: u32, socket: &impl AsFd) -> io::Result<()> {
        self.of.program.set_socket(queue, socket.as_fd())?;
        self.queues.push(queue);
        Ok(())
    }

    /// Redirects the datagrams to this address and port that `rule` selects.
    pub(super) fn set_port(&mut self, to: SocketAddr, rule: PortRule) -> io::Result<()> {
        let mut receivers = lock(&self.of.receivers);
        let (address, entry) = receivers.add(to, rule);
        self.of.program.set_port(address, entry).inspect_err(|_| _ = receivers.remove(to))?;
        self.own.push(to);
        Ok(())
    }
}

impl Drop for PortFilter {
    fn drop(&mut self) {
        for &own in &self.own {
            let mut receivers = lock(&self.of.receivers);
            let (address, entry) = receivers.remove(own);
            // The sockets close in any case.
            let _ = self.of.program.set_port(address, entry);
        }
        for &queue in &self.queues {
            let _ = self.of.program.remove_socket(queue);
        }
    }
}

/// The name of the device that has this address.
fn owner(local: SocketAddr) -> io::Result<String> {
    let all = sys::device::addresses();
    let found = all.into_iter().find(|(_, address)| address.ip() == local.ip());
    let (device, address) = found.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!(
                "no device has the address {}; use the address of a device, or name the device by \
                 --dev",
                local.ip()
            ),
        )
    })?;
    if address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!(
                "{} is on loopback, which has no Ethernet; use an address of another device, such \
                 as a veth pair (scripts/netns)",
                local.ip()
            ),
        ));
    }
    Ok(device)
}

/// Whether this process may use AF_XDP. Only opening it shows whether a device supports it.
pub(crate) fn probe() -> Result<String, String> {
    let abilities = xdp_abilities();
    if abilities.in_kernel == Some(false) {
        return Err("the kernel has no AF_XDP (CONFIG_XDP_SOCKETS)".to_owned());
    }
    if !abilities.missing_capabilities.is_empty() {
        return Err(format!(
            "the program lacks {}; run: {}",
            abilities.missing_capabilities.join(", "),
            setcap_command("udperf")
        ));
    }
    Ok("AF_XDP bypasses the socket layer, on Ethernet devices other than loopback".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_port_follows_its_receivers() {
        let at = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
        let rule = |lowest| PortRule::Tagged { shortest: 16, mask: 0xFFF0, lowest, highest: 99 };
        let (one, two, all) = (at("10.0.0.1", 7), at("10.0.0.2", 7), at("::", 7));
        let mut receivers = Receivers::default();
        assert_eq!(receivers.add(at("10.0.0.9", 8), rule(9)), (at("10.0.0.9", 8), rule(9)));
        assert_eq!(receivers.add(one, rule(1)), (one, rule(1)));
        assert_eq!(receivers.add(one, rule(1)), (one, rule(1)), "two queues of one session");
        assert_eq!(receivers.add(two, rule(2)), (all, rule(2)));
        assert_eq!(receivers.remove(two), (one, rule(1)), "one address again");
        assert_eq!(receivers.add(two, rule(2)), (all, rule(2)));
        assert_eq!(receivers.remove(one), (all, rule(2)), "the session has another queue");
        assert_eq!(receivers.remove(one), (two, rule(2)));
        assert_eq!(receivers.remove(two), (all, PortRule::Pass));
        assert_eq!(receivers.remove(two), (all, PortRule::Pass));
        assert_eq!(receivers.entry(8), (at("10.0.0.9", 8), rule(9)));
    }
}
