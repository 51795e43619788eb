//! Devices, routes and neighbours of this thread's network namespace, as the kernel
//! reports them by rtnetlink(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::rtnetlink::{attribute, attributes, dump, get, push_attribute, text, u16_at, u32_at};
use super::{device_index, device_name};
use crate::sys::{NetLink, NextHop, scope_of};

/// Bytes of `struct ifinfomsg`, `rtmsg` (`include/uapi/linux/rtnetlink.h`), `ifaddrmsg`
/// (`if_addr.h`) and `ndmsg` (`neighbour.h`).
const LINK_LEN: usize = 16;
const ROUTE_LEN: usize = 12;
const ADDRESS_LEN: usize = 8;
const NEIGHBOUR_LEN: usize = 12;

/// Offset of the interface index in all of them but `rtmsg`.
const INDEX_AT: usize = 4;

/// `IFA_ADDRESS` and `IFA_LOCAL` of `include/uapi/linux/if_addr.h`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// `IFLA_NUM_TX_QUEUES` and `IFLA_NUM_RX_QUEUES` of `include/uapi/linux/if_link.h`.
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;

/// `RTA_VIA` of `include/uapi/linux/rtnetlink.h`; libc lacks it on some targets.
const RTA_VIA: u16 = 18;

/// Kinds of devices that are lowest or report the device below: `kind` of `struct rtnl_link_ops`.
/// A tunnel sends by any device.
const REPORT_DEVICE_BELOW: &[&str] = &[
    "bond", "bridge", "dummy", "ifb", "ipvlan", "ipoib", "macsec", "macvlan", "netkit", "team",
    "veth", "vlan", "vrf",
];

/// Offset of the hardware type in `ifinfomsg`.
const HARDWARE_AT: usize = 2;

#[derive(Debug, Clone, Default)]
pub(super) struct LinkInfo {
    pub(super) link: NetLink,
    /// Its hardware type, such as `ARPHRD_ETHER`.
    pub(super) hardware: u16,
    /// Its MAC address, if it has one.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: u32,
    pub(super) rx_queues: u32,
    pub(super) tx_queues: u32,
    pub(super) kind: Option<String>,
    /// The device below it (`IFLA_LINK`) in the same namespace; of a veth(4) its peer.
    pub(super) below: Option<u32>,
    /// The device that it belongs to (`IFLA_MASTER`), such as a bond.
    pub(super) master: Option<u32>,
}

/// This device and all devices below it; `None` if they are not all known.
pub fn device_stack(device: &str) -> Option<Vec<NetLink>> {
    let mut all = Vec::new();
    dump(libc::RTM_GETLINK, LINK_LEN, |header, rest| all.extend(parse_link(header, rest)))?;
    stack_of(&all, device)
}

/// The device of this number.
pub(super) fn link(index: u32) -> Option<LinkInfo> {
    let mut request = vec![0; LINK_LEN];
    request[INDEX_AT..][..4].copy_from_slice(&index.to_ne_bytes());
    let answer = get(libc::RTM_GETLINK, &request)?;
    let (header, rest) = answer.split_at_checked(LINK_LEN)?;
    parse_link(header, rest)
}

fn parse_link(header: &[u8], rest: &[u8]) -> Option<LinkInfo> {
    let hardware = u16_at(header, HARDWARE_AT)?;
    let mut found = LinkInfo { hardware, ..LinkInfo::default() };
    let index = u32_at(header, INDEX_AT)?;
    let number = |value| u32_at(value, 0).unwrap_or_default();
    let mut elsewhere = false;
    for (kind, value) in attributes(rest) {
        match kind {
            libc::IFLA_IFNAME => found.link = NetLink { index, name: text(value) },
            libc::IFLA_ADDRESS => found.mac = value.try_into().ok(),
            libc::IFLA_MTU => found.mtu = number(value),
            IFLA_NUM_RX_QUEUES => found.rx_queues = number(value),
            IFLA_NUM_TX_QUEUES => found.tx_queues = number(value),
            libc::IFLA_LINK => found.below = u32_at(value, 0),
            libc::IFLA_MASTER => found.master = u32_at(value, 0),
            libc::IFLA_LINK_NETNSID => elsewhere = true,
            libc::IFLA_LINKINFO => found.kind = attribute(value, libc::IFLA_INFO_KIND).map(text),
            _ => {}
        }
    }
    // An index of another namespace is no device of this one.
    found.below = found.below.filter(|&below| !elsewhere && below != 0 && below != index);
    Some(found)
}

fn stack_of(all: &[LinkInfo], device: &str) -> Option<Vec<NetLink>> {
    let mut found: Vec<&LinkInfo> = vec![all.iter().find(|info| info.link.name == device)?];
    let mut next = 0;
    while let Some(&top) = found.get(next) {
        let kind = top.kind.as_deref();
        if kind.is_some_and(|kind| !REPORT_DEVICE_BELOW.contains(&kind)) {
            return None;
        }
        let (index, below) = (Some(top.link.index), top.below.filter(|_| kind != Some("veth")));
        for info in all {
            let is_below = info.master == index || below == Some(info.link.index);
            if is_below && !found.iter().any(|other| other.link.index == info.link.index) {
                found.push(info);
            }
        }
        next += 1;
    }
    Some(found.into_iter().map(|info| info.link.clone()).collect())
}

/// All devices with their addresses, IPv4 and IPv6.
pub fn addresses() -> Vec<(String, SocketAddr)> {
    let mut all = Vec::new();
    // An incomplete answer has the addresses so far.
    let _ = dump(libc::RTM_GETADDR, ADDRESS_LEN, |header, rest| {
        all.extend(parse_address(header, rest));
    });
    all
}

fn parse_address(header: &[u8], rest: &[u8]) -> Option<(String, SocketAddr)> {
    let index = u32_at(header, INDEX_AT)?;
    let ip = attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS));
    let addr = match address(ip?)? {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, 0, 0, index).into(),
        ip => SocketAddr::new(ip, 0),
    };
    Some((device_name(index)?, addr))
}

/// Whether address resolution (ARP, neighbour discovery) of the next hop towards this target is
/// unanswered (`INCOMPLETE`) or has failed (`FAILED`). `device`: the outgoing device, if known.
/// `None` if the kernel does not report the route.
pub fn neighbour_unresolved(target: SocketAddr, device: Option<&str>) -> Option<bool> {
    let route = route_to(target, device)?;
    let state = neighbour(route.hop, route.oif)?.state;
    Some(state & (libc::NUD_INCOMPLETE | libc::NUD_FAILED) != 0)
}

/// The next hop of datagrams to this target. `device`: the outgoing device, if known. `None` if the
/// kernel does not report the route.
pub fn next_hop(target: SocketAddr, device: Option<&str>) -> Option<NextHop> {
    let KernelRoute { hop, oif, .. } = route_to(target, device)?;
    let state = neighbour(hop, oif).map_or(libc::NUD_NONE, |found| found.state);
    let found = NEIGHBOUR_STATES.iter().find(|(bit, _)| state & bit != 0);
    let state = found.map(|(_, name)| *name);
    Some(NextHop { address: hop, device: device_name(oif)?, state })
}

/// States of a neighbour by the names that ip-neighbour(8) has for them.
const NEIGHBOUR_STATES: [(u16, &str); 8] = [
    (libc::NUD_INCOMPLETE, "incomplete"),
    (libc::NUD_REACHABLE, "reachable"),
    (libc::NUD_STALE, "stale"),
    (libc::NUD_DELAY, "delay"),
    (libc::NUD_PROBE, "probe"),
    (libc::NUD_FAILED, "failed"),
    (libc::NUD_NOARP, "noarp"),
    (libc::NUD_PERMANENT, "permanent"),
];

fn route_to(target: SocketAddr, device: Option<&str>) -> Option<KernelRoute> {
    let scope = scope_of(&target);
    let oif = device.and_then(|device| device_index(device).ok());
    route(target.ip(), None, oif.or_else(|| (scope != 0).then_some(scope)))
}

/// What the kernel knows of a neighbour.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Neighbour {
    /// Bits of its state, of `NUD_*`; 0 if the kernel does not know it.
    pub(super) state: u16,
    /// Its MAC address, if it has one.
    pub(super) mac: Option<[u8; 6]>,
}

/// The neighbour of this address on this device.
pub(super) fn neighbour(hop: IpAddr, oif: u32) -> Option<Neighbour> {
    /// Offset of the state in `ndmsg`.
    const STATE_AT: usize = 8;
    let mut found = Neighbour::default();
    dump(libc::RTM_GETNEIGH, NEIGHBOUR_LEN, |header, rest| {
        let is_it = u32_at(header, INDEX_AT) == Some(oif)
            && attribute(rest, libc::NDA_DST).and_then(address) == Some(hop);
        if is_it && let Some(state) = u16_at(header, STATE_AT) {
            let mac = attribute(rest, libc::NDA_LLADDR).and_then(|mac| mac.try_into().ok());
            found = Neighbour { state, mac };
        }
    })?;
    Some(found)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into());
    v4().or_else(v6)
}

/// A route of the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelRoute {
    /// The next hop: a gateway, or the destination itself.
    pub(super) hop: IpAddr,
    /// The number of the outgoing device.
    pub(super) oif: u32,
    /// The source address that it prefers.
    pub(super) source: Option<IpAddr>,
    /// Its kind, such as `RTN_UNICAST`.
    pub(super) kind: u8,
}

/// The route to this address, from this one and by this device if given.
pub(super) fn route(to: IpAddr, from: Option<IpAddr>, oif: Option<u32>) -> Option<KernelRoute> {
    /// Offset of the address in `struct rtvia`; `include/uapi/linux/rtnetlink.h`.
    const VIA_ADDRESS_AT: usize = 2;
    /// Offsets in `rtmsg` of the length of the source in bits, and of the kind.
    const SOURCE_BITS_AT: usize = 2;
    const KIND_AT: usize = 7;
    let (family, octets) = octets(to);
    let bits = |octets: &[u8]| u8::try_from(octets.len() * 8).ok();
    // Family, and the length of the destination in bits.
    let mut request = vec![family, bits(&octets)?];
    request.resize(ROUTE_LEN, 0);
    push_attribute(&mut request, libc::RTA_DST, &octets);
    if let Some((same, octets)) = from.filter(|from| !from.is_unspecified()).map(self::octets)
        && same == family
    {
        request[SOURCE_BITS_AT] = bits(&octets)?;
        push_attribute(&mut request, libc::RTA_SRC, &octets);
    }
    if let Some(oif) = oif {
        push_attribute(&mut request, libc::RTA_OIF, &oif.to_ne_bytes());
    }
    let answer = get(libc::RTM_GETROUTE, &request)?;
    let (mut hop, mut device, mut source) = (to, oif, from);
    for (kind, value) in attributes(answer.get(ROUTE_LEN..)?) {
        match kind {
            libc::RTA_GATEWAY => hop = address(value)?,
            RTA_VIA => hop = address(value.get(VIA_ADDRESS_AT..)?)?,
            libc::RTA_OIF => device = u32_at(value, 0),
            libc::RTA_PREFSRC if source.is_none() => source = address(value),
            _ => {}
        }
    }
    Some(KernelRoute { hop, oif: device?, source, kind: *answer.get(KIND_AT)? })
}

/// Family and bytes of an address.
pub(super) fn octets(of: IpAddr) -> (u8, Vec<u8>) {
    match of {
        IpAddr::V4(ip) => (libc::AF_INET as u8, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6 as u8, ip.octets().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_devices_below() {
        let info = |index, name: &str, kind: Option<&str>, below, master| LinkInfo {
            link: NetLink { index, name: name.to_owned() },
            kind: kind.map(str::to_owned),
            below,
            master,
            ..LinkInfo::default()
        };
        let all = [
            info(1, "lo", None, None, None),
            info(2, "eth0", None, None, Some(4)),
            info(3, "eth1", None, None, Some(4)),
            info(4, "bond0", Some("bond"), None, None),
            info(5, "bond0.7", Some("vlan"), Some(4), None),
            info(6, "v0", Some("veth"), Some(7), None),
            info(7, "v1", Some("veth"), Some(6), None),
            info(8, "wg0", Some("wireguard"), None, None),
            info(9, "br0", Some("bridge"), None, None),
            info(10, "tap0", Some("tun"), None, Some(9)),
        ];
        for (device, expected) in [
            ("lo", Some("lo")),
            ("eth1", Some("eth1")),
            ("bond0.7", Some("bond0.7 bond0 eth0 eth1")),
            // The peer of a veth is not below it.
            ("v0", Some("v0")),
            // A tunnel does not report the device below.
            ("wg0", None),
            ("br0", None),
            ("none", None),
        ] {
            let names = |all: Vec<NetLink>| all.into_iter().map(|link| link.name);
            let found = stack_of(&all, device).map(|all| names(all).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{device}");
        }
    }
}
