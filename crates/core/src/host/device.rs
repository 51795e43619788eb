//! Finds the network device that datagrams pass, and its settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use crate::document::Device;
use crate::sys::{self, scope_of};

type Addresses = [(String, SocketAddr)];

/// A documentation address (RFC 5737 section 3), which follows the default route, and the discard
/// service (RFC 863). It gets no datagram.
const DEFAULT_ROUTE_TARGET: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9));

/// The device of datagrams from `bind` to `target` in the network namespace of the calling thread:
/// `dev` if given. `None` without a route, or if the device is unknown or ambiguous.
///
/// Sends no datagram: connect(2) selects a route and a local address, which belongs to the device.
pub fn device_towards(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<Device> {
    sys::device::facts(&name_towards(target, bind, dev)?)
}

/// The name of that device.
pub fn name_towards(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<String> {
    if let Some(dev) = dev {
        return Some(dev.to_owned());
    }
    let local = || local(bind, target).or_else(|| local(any(target), target));
    path(&sys::device::addresses(), target, local).map(str::to_owned)
}

/// The source address of datagrams from `bind` to `target` in this thread's network namespace;
/// `None` without a route. Sends no datagram.
pub fn source_towards(target: SocketAddr, bind: IpAddr) -> Option<IpAddr> {
    local(bind, target).map(|local| local.ip())
}

/// The device of the address that a receiver is bound to; `None` for the unspecified address.
pub fn device_at(bind: IpAddr, dev: Option<&str>) -> Option<Device> {
    sys::device::facts(&dev.map(str::to_owned).or_else(|| name_at(bind))?)
}

/// The name of the device that has this address.
pub fn name_at(bind: IpAddr) -> Option<String> {
    let addresses = sys::device::addresses();
    let bound = owner(&addresses, SocketAddr::new(bind, 0)).or_else(|| loopback(&addresses, bind));
    bound.map(str::to_owned)
}

/// Whether datagrams to this address stay in the network namespace of the calling thread: then the
/// local address of the route is the same, except for loopback addresses.
pub fn is_ours(target: SocketAddr) -> bool {
    let here = target.ip().is_loopback() || target.ip().is_unspecified();
    here || local(any(target), target).is_some_and(|local| local.ip() == target.ip())
}

/// The device of the default route.
pub fn default_device() -> Option<Device> {
    device_towards(DEFAULT_ROUTE_TARGET, any(DEFAULT_ROUTE_TARGET), None)
}

/// The device towards this target on a host with these addresses; `local` gives the local address.
fn path(
    addresses: &Addresses,
    target: SocketAddr,
    local: impl FnOnce() -> Option<SocketAddr>,
) -> Option<&str> {
    // Datagrams to addresses of this host pass the loopback device.
    let ours = addresses.iter().any(|(_, address)| address.ip() == target.ip());
    if ours || target.ip().is_loopback() || target.ip().is_unspecified() {
        return loopback(addresses, Ipv4Addr::LOCALHOST.into());
    }
    let found = owner(addresses, local()?)?;
    // An address on loopback may be used on any device.
    let on_loopback = loopback(addresses, Ipv4Addr::LOCALHOST.into()) == Some(found);
    (!on_loopback).then_some(found)
}

/// The loopback device, if this is one of its addresses.
fn loopback(addresses: &Addresses, ip: IpAddr) -> Option<&str> {
    let (device, _) = addresses.iter().find(|(_, address)| address.ip().is_loopback())?;
    ip.is_loopback().then_some(&**device)
}

fn owner(addresses: &Addresses, address: SocketAddr) -> Option<&str> {
    let scope = scope_of(&address);
    let has = |found: &SocketAddr| {
        found.ip() == address.ip() && (scope == 0 || [0, scope].contains(&scope_of(found)))
    };
    let mut owners = addresses.iter().filter(|(_, found)| has(found)).map(|(device, _)| &**device);
    let first = owners.next()?;
    owners.all(|other| other == first).then_some(first)
}

/// The path MTU from `bind` to the target in bytes, as the kernel knows it now; `None` without a
/// route, or if the system does not report it. Sends no datagram.
pub fn path_mtu(target: SocketAddr, bind: IpAddr, dev: Option<&str>) -> Option<u64> {
    sys::path_mtu(&connected(bind, target, dev)?, target.is_ipv6())
}

fn local(bind: IpAddr, target: SocketAddr) -> Option<SocketAddr> {
    connected(bind, target, None)?.local_addr().ok()
}

fn connected(bind: IpAddr, target: SocketAddr, dev: Option<&str>) -> Option<UdpSocket> {
    let bind = match (bind, target) {
        // A link-local address needs its scope.
        (IpAddr::V6(ip), SocketAddr::V6(to)) => SocketAddrV6::new(ip, 0, 0, to.scope_id()).into(),
        (ip, _) => SocketAddr::new(ip, 0),
    };
    let socket = UdpSocket::bind(bind).ok()?;
    // Required for broadcast addresses.
    socket.set_broadcast(true).ok()?;
    if let Some(dev) = dev {
        sys::bind_device(&socket, dev).ok()?;
    }
    socket.connect(target).ok()?;
    Some(socket)
}

fn any(target: SocketAddr) -> IpAddr {
    if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<(String, SocketAddr)> {
        let address = |(device, ip): (&str, &str)| (device.to_owned(), ip.parse().unwrap());
        let addresses = [
            ("lo", "127.0.0.1:0"),
            ("lo", "203.0.113.7:0"),
            ("eth0", "10.0.0.1:0"),
            ("eth1", "10.1.0.1:0"),
            ("eth0", "[fe80::1%2]:0"),
            ("eth1", "[fe80::1%3]:0"),
            ("eth2", "10.2.0.1:0"),
            ("eth3", "10.2.0.1:0"),
        ];
        addresses.map(address).to_vec()
    }

    #[test]
    fn finds_the_device_of_the_local_address() {
        for (target, local, device) in [
            ("10.0.0.2:1", "10.0.0.1:5", Some("eth0")),
            ("192.0.2.9:1", "10.1.0.1:5", Some("eth1")),
            ("[fe80::9%3]:1", "[fe80::1%3]:5", Some("eth1")),
            ("[fe80::9%2]:1", "[fe80::1%2]:5", Some("eth0")),
            // Own addresses.
            ("127.0.0.9:1", "127.0.0.1:5", Some("lo")),
            ("10.1.0.1:1", "10.1.0.1:5", Some("lo")),
            ("203.0.113.7:1", "203.0.113.7:5", Some("lo")),
            // On two devices; on loopback only; on no device.
            ("10.2.0.9:1", "10.2.0.1:5", None),
            ("192.0.2.9:1", "203.0.113.7:5", None),
            ("192.0.2.9:1", "10.9.9.9:5", None),
        ] {
            let local = || Some(local.parse().unwrap());
            assert_eq!(path(&host(), target.parse().unwrap(), local), device, "{target}");
        }
    }

    #[test]
    fn queries_the_routes_of_this_host() {
        assert!(["127.0.0.1:7788", "127.9.9.9:7788"].iter().all(|to| is_ours(to.parse().unwrap())));
        assert!(!is_ours("192.0.2.1:7788".parse().unwrap()), "no device has it");
        let (target, lo) = ("127.0.0.1:9".parse().unwrap(), Ipv4Addr::LOCALHOST.into());
        // A route has at most 65,535 (`IP_MAX_MTU`), the device one more.
        assert!(path_mtu(target, lo, None).is_none_or(|mtu| mtu >= 65_535));
        assert_eq!(path_mtu(target, lo, Some("no-such-dev")), None);
        assert_eq!(device_at(lo, Some("no-such-dev")), None);
        assert_eq!(device_at(Ipv4Addr::UNSPECIFIED.into(), None), None);
        if !sys::device::addresses().is_empty() {
            assert_eq!(device_at(lo, None).unwrap().name, "lo");
        }
    }
}
