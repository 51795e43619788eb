//! Which network device datagrams pass, and what that is set to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use crate::measure::{DeviceFacts, IrqFacts};
use crate::sys::{self, Address};

/// An address that nobody has (TEST-NET-1, RFC 5737 section 3): the way there is the way to
/// anybody whom no other route is for.
const ANYBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), DISCARD));

/// The discard service (RFC 863): which port is asked for does not matter, nothing is sent.
const DISCARD: u16 = 9;

/// The device that datagrams from `bind` to `target` leave by, in the network namespace of the
/// calling thread: `dev`, where one is prescribed. `None` where there is no way, or the system does
/// not tell which one it is.
///
/// Sends nothing: the kernel chooses a way as soon as a socket is connected, and the address it
/// chooses with it is one of the device. Of an address that several devices have, none is said.
#[must_use]
pub fn device_towards(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<DeviceFacts> {
    named(&name_towards(target, bind, dev)?)
}

/// The name of that device.
pub(crate) fn name_towards(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<String> {
    if let Some(dev) = dev {
        return Some(dev.to_owned());
    }
    let addresses = sys::device::addresses();
    let way =
        way(&addresses, target, || local(bind, target).or_else(|| local(any(target), target)));
    way.map(str::to_owned)
}

/// The address that datagrams from `bind` to `target` leave from, in the network namespace of the
/// calling thread; `None` where there is no way. Sends nothing.
#[must_use]
pub fn source_towards(target: SocketAddr, bind: IpAddr) -> Option<IpAddr> {
    local(bind, target).map(|local| local.ip())
}

/// The device that has this address, which a receiver is bound to; `None` for any address, which
/// datagrams reach by any device.
#[must_use]
pub fn device_at(bind: IpAddr, dev: Option<&str>) -> Option<DeviceFacts> {
    match dev {
        Some(dev) => named(dev),
        None => named(&name_at(bind)?),
    }
}

/// The name of the device that has this address.
pub(crate) fn name_at(bind: IpAddr) -> Option<String> {
    let addresses = sys::device::addresses();
    let bound = owner(&addresses, SocketAddr::new(bind, 0)).or_else(|| loopback(&addresses, bind));
    bound.map(str::to_owned)
}

/// Whether what is sent to this address never leaves the network namespace of the calling thread:
/// then our own address on the way is the same one, but for those of loopback.
pub(crate) fn is_ours(target: SocketAddr) -> bool {
    let here = target.ip().is_loopback() || target.ip().is_unspecified();
    here || local(any(target), target).is_some_and(|local| local.ip() == target.ip())
}

/// The device of the default route.
#[must_use]
pub fn default_device() -> Option<DeviceFacts> {
    device_towards(ANYBODY, any(ANYBODY), None)
}

/// The name of the device on the way to this target, of a host with these addresses; `local` tells
/// the address on the way.
fn way(
    addresses: &[Address],
    target: SocketAddr,
    local: impl FnOnce() -> Option<SocketAddr>,
) -> Option<&str> {
    // What is sent to ourselves passes the loopback device, whichever device has the address.
    let ours = addresses.iter().any(|address| address.ip == target.ip());
    if ours || target.ip().is_loopback() || target.ip().is_unspecified() {
        return loopback(addresses, Ipv4Addr::LOCALHOST.into());
    }
    let found = owner(addresses, local()?)?;
    // An address may be kept on loopback and used on any device.
    let on_loopback = loopback(addresses, Ipv4Addr::LOCALHOST.into()) == Some(found);
    (!on_loopback).then_some(found)
}

/// The loopback device, where this is one of its addresses.
fn loopback(addresses: &[Address], ip: IpAddr) -> Option<&str> {
    let first = addresses.iter().find(|address| address.ip.is_loopback())?;
    ip.is_loopback().then_some(&*first.device)
}

/// The one device that has this address.
fn owner(addresses: &[Address], address: SocketAddr) -> Option<&str> {
    let scope = if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 };
    let has = |found: &&Address| {
        found.ip == address.ip() && (scope == 0 || found.scope == 0 || found.scope == scope)
    };
    let mut owners = addresses.iter().filter(has).map(|found| &*found.device);
    let first = owners.next()?;
    owners.all(|other| other == first).then_some(first)
}

/// The path MTU from `bind` to the target in bytes, as the kernel knows it now; `None` without a
/// route, or if the system does not report it. Sends no datagram.
#[must_use]
pub fn path_mtu(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<u64> {
    let socket = unconnected(bind, target)?;
    if let Some(dev) = dev {
        sys::bind_device(&socket, dev).ok()?;
    }
    socket.connect(target).ok()?;
    sys::path_mtu(&socket, target.is_ipv6())
}

/// Our address on the way from `bind` to the target.
fn local(bind: IpAddr, target: SocketAddr) -> Option<SocketAddr> {
    let socket = unconnected(bind, target)?;
    socket.connect(target).ok()?;
    socket.local_addr().ok()
}

/// A socket that may be connected to the target.
fn unconnected(bind: IpAddr, target: SocketAddr) -> Option<UdpSocket> {
    let bind = match (bind, target) {
        // A link-local address means nothing without its device.
        (IpAddr::V6(ip), SocketAddr::V6(to)) => SocketAddrV6::new(ip, 0, 0, to.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, 0),
    };
    let socket = UdpSocket::bind(bind).ok()?;
    // Without, the way to a broadcast address is refused.
    socket.set_broadcast(true).ok()?;
    Some(socket)
}

/// Any address of the target's family.
fn any(target: SocketAddr) -> IpAddr {
    if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// All that is told of this device; `None` where nothing is.
fn named(name: &str) -> Option<DeviceFacts> {
    use sys::device;
    let count = |queues: usize| queues as u64;
    let irq =
        |irq: sys::InterruptLine| IrqFacts { number: irq.number, name: irq.name, cpus: irq.cpus };
    let found = DeviceFacts {
        name: name.to_owned(),
        driver: device::driver(name),
        mtu: device::mtu(name),
        speed_mbit: device::speed_mbit(name),
        qdisc: device::qdisc(name),
        rx_queues: device::queues(name, "rx").map(count),
        tx_queues: device::queues(name, "tx").map(count),
        rps_cpus: device::queue_masks(name, "rx", "rps_cpus"),
        xps_cpus: device::queue_masks(name, "tx", "xps_cpus"),
        irqs: device::irqs(name).map(|irqs| irqs.into_iter().map(irq).collect()),
        offloads: device::offloads(name),
        rings: device::rings(name),
        coalescing: device::coalescing(name),
        channels: device::channels(name),
    };
    // One that has no MTU is no device.
    found.mtu.is_some().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<Address> {
        let address = |device: &str, ip: &str, scope| Address {
            device: device.into(),
            ip: ip.parse().unwrap(),
            scope,
        };
        vec![
            address("lo", "127.0.0.1", 0),
            address("lo", "203.0.113.7", 0),
            address("eth0", "10.0.0.1", 0),
            address("eth1", "10.1.0.1", 0),
            address("eth0", "fe80::1", 2),
            address("eth1", "fe80::1", 3),
            address("eth2", "10.2.0.1", 0),
            address("eth3", "10.2.0.1", 0),
        ]
    }

    /// The device towards a target, where the kernel chose this address of ours.
    fn towards(target: &str, local: &str) -> Option<String> {
        let local = || Some(local.parse().unwrap());
        way(&host(), target.parse().unwrap(), local).map(str::to_owned)
    }

    #[test]
    fn the_way_is_that_of_the_address_on_it() {
        let is = |name: &str| Some(name.to_owned());
        assert_eq!(towards("10.0.0.2:1", "10.0.0.1:5"), is("eth0"));
        assert_eq!(towards("192.0.2.9:1", "10.1.0.1:5"), is("eth1"));
        assert_eq!(towards("[fe80::9%3]:1", "[fe80::1%3]:5"), is("eth1"));
        assert_eq!(towards("[fe80::9%2]:1", "[fe80::1%2]:5"), is("eth0"));
    }

    #[test]
    fn what_is_sent_to_ourselves_passes_loopback() {
        let is = Some("lo".to_owned());
        assert_eq!(towards("127.0.0.9:1", "127.0.0.1:5"), is);
        assert_eq!(towards("10.1.0.1:1", "10.1.0.1:5"), is);
        assert_eq!(towards("203.0.113.7:1", "203.0.113.7:5"), is);
    }

    #[test]
    fn what_is_not_certain_is_not_said() {
        assert_eq!(towards("10.2.0.9:1", "10.2.0.1:5"), None, "two devices have it");
        assert_eq!(towards("192.0.2.9:1", "203.0.113.7:5"), None, "loopback leads nowhere");
        assert_eq!(towards("192.0.2.9:1", "10.9.9.9:5"), None, "nobody has it");
    }

    #[test]
    fn what_leaves_us_is_not_ours() {
        let ours = |target: &str| is_ours(target.parse().unwrap());
        assert!(ours("127.0.0.1:7788") && ours("127.9.9.9:7788"));
        assert!(!ours("192.0.2.1:7788"), "nobody has it");
    }

    #[test]
    fn the_path_to_ourselves_is_as_wide_as_loopback() {
        let target: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let mtu = path_mtu(target, Ipv4Addr::LOCALHOST.into(), None);
        // That of a route is 65,535 at most (`IP_MAX_MTU`), that of the device one more.
        assert!(mtu.is_none_or(|mtu| mtu >= 65_535), "{mtu:?}");
        assert_eq!(path_mtu(target, Ipv4Addr::LOCALHOST.into(), Some("no-such-dev")), None);
    }

    #[test]
    fn a_receiver_is_at_the_device_of_its_address() {
        if sys::device::addresses().is_empty() {
            return eprintln!("SKIPPED: this system does not tell its addresses");
        }
        let at = |ip: &str| device_at(ip.parse().unwrap(), None).map(|device| device.name);
        assert_eq!(at("127.0.0.1").as_deref(), Some("lo"));
        assert_eq!(at("0.0.0.0"), None);
        assert_eq!(device_at(Ipv4Addr::LOCALHOST.into(), Some("no-such-dev")), None);
    }
}
