//! Devices, queueing disciplines and neighbours of this thread's network namespace, as the kernel
//! reports them by rtnetlink(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::rtnetlink::{attribute, attributes, dump, get, push_attribute, text, u16_at, u32_at};
use super::{device_index, device_name};
use crate::sys::{NetLink, NextHop, scope_of};

/// Bytes of `struct ifinfomsg`, `tcmsg`, `rtmsg` (`include/uapi/linux/rtnetlink.h`), `ifaddrmsg`
/// (`if_addr.h`) and `ndmsg` (`neighbour.h`).
const LINK_LEN: usize = 16;
const QDISC_LEN: usize = 20;
const ROUTE_LEN: usize = 12;
const ADDRESS_LEN: usize = 8;
const NEIGHBOUR_LEN: usize = 12;

/// Offset of the interface index in all of them but `rtmsg`.
const INDEX_AT: usize = 4;

/// `IFA_ADDRESS` and `IFA_LOCAL` of `include/uapi/linux/if_addr.h`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// `RTA_VIA` of `include/uapi/linux/rtnetlink.h`; libc lacks it on some targets.
const RTA_VIA: u16 = 18;

/// `TCA_STATS_QUEUE`, and the offset of its drops; `include/uapi/linux/gen_stats.h`.
const STATS_QUEUE: u16 = 3;
const DROPS_AT: usize = 8;

/// Kinds of devices that are lowest or report the device below: `kind` of `struct rtnl_link_ops`.
/// A tunnel sends by any device.
const REPORT_DEVICE_BELOW: &[&str] = &[
    "bond", "bridge", "dummy", "ifb", "ipvlan", "ipoib", "macsec", "macvlan", "netkit", "team",
    "veth", "vlan", "vrf",
];

#[derive(Debug, Clone, Default)]
struct LinkInfo {
    link: NetLink,
    kind: Option<String>,
    /// The device below it (`IFLA_LINK`) in the same namespace; of a veth(4) its peer.
    below: Option<u32>,
    /// The device that it belongs to (`IFLA_MASTER`), such as a bond.
    master: Option<u32>,
}

/// This device and all devices below it; `None` if they are not all known.
pub fn device_stack(device: &str) -> Option<Vec<NetLink>> {
    let mut all = Vec::new();
    dump(libc::RTM_GETLINK, LINK_LEN, |header, rest| all.extend(parse_link(header, rest)))?;
    stack_of(&all, device)
}

fn parse_link(header: &[u8], rest: &[u8]) -> Option<LinkInfo> {
    let mut found = LinkInfo::default();
    let index = u32_at(header, INDEX_AT)?;
    let mut elsewhere = false;
    for (kind, value) in attributes(rest) {
        match kind {
            libc::IFLA_IFNAME => found.link = NetLink { index, name: text(value) },
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

/// Packets dropped by the root queueing disciplines of all devices, or `of` these, since they were
/// created, each modulo 2³². A root includes its classes.
pub fn qdisc_drops(of: Option<&[NetLink]>) -> Option<u64> {
    let mut total = 0;
    each_root(|device, rest| {
        if of.is_none_or(|of| of.iter().any(|link| link.index == device)) {
            total += drops(rest);
        }
    })?;
    Some(total)
}

pub(super) fn root_qdisc(device: u32) -> Option<String> {
    let mut found = None;
    each_root(|index, rest| {
        if index == device {
            found = attribute(rest, libc::TCA_KIND).map(text);
        }
    })?;
    found
}

/// Passes device index and attributes of each root queueing discipline to `show`; `None` if the
/// kernel does not report all of them.
fn each_root(mut show: impl FnMut(u32, &[u8])) -> Option<()> {
    /// `TC_H_ROOT` of `include/uapi/linux/pkt_sched.h`, and the offset of the parent in `tcmsg`.
    const ROOT: u32 = u32::MAX;
    const PARENT_AT: usize = 12;
    dump(libc::RTM_GETQDISC, QDISC_LEN, |header, rest| {
        if u32_at(header, PARENT_AT) == Some(ROOT)
            && let Some(index) = u32_at(header, INDEX_AT)
        {
            show(index, rest);
        }
    })
}

fn drops(rest: &[u8]) -> u64 {
    let queue = attribute(rest, libc::TCA_STATS2).and_then(|stats| attribute(stats, STATS_QUEUE));
    queue.and_then(|queue| u32_at(queue, DROPS_AT)).map_or(0, u64::from)
}

/// Whether address resolution (ARP, neighbour discovery) of the next hop towards this target is
/// unanswered (`INCOMPLETE`) or has failed (`FAILED`). `device`: the outgoing device, if known.
/// `None` if the kernel does not report the route.
pub fn neighbour_unresolved(target: SocketAddr, device: Option<&str>) -> Option<bool> {
    let state = neighbour_state(route_to(target, device)?)?;
    Some(state & (libc::NUD_INCOMPLETE | libc::NUD_FAILED) != 0)
}

/// The next hop of datagrams to this target. `device`: the outgoing device, if known. `None` if the
/// kernel does not report the route.
pub fn next_hop(target: SocketAddr, device: Option<&str>) -> Option<NextHop> {
    let (address, oif) = route_to(target, device)?;
    let state = neighbour_state((address, oif)).unwrap_or(libc::NUD_NONE);
    let found = NEIGHBOUR_STATES.iter().find(|(bit, _)| state & bit != 0);
    Some(NextHop { address, device: device_name(oif)?, state: found.map(|(_, name)| *name) })
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

/// The address of the next hop towards this target, and its interface index.
fn route_to(target: SocketAddr, device: Option<&str>) -> Option<(IpAddr, u32)> {
    let scope = scope_of(&target);
    let oif = device.and_then(|device| device_index(device).ok());
    route(target.ip(), oif.or_else(|| (scope != 0).then_some(scope)))
}

/// The bits of a neighbour's state; none if the kernel does not know it.
fn neighbour_state((hop, oif): (IpAddr, u32)) -> Option<u16> {
    /// Offset of the state in `ndmsg`.
    const STATE_AT: usize = 8;
    let mut found = libc::NUD_NONE;
    dump(libc::RTM_GETNEIGH, NEIGHBOUR_LEN, |header, rest| {
        let is_it = u32_at(header, INDEX_AT) == Some(oif)
            && attribute(rest, libc::NDA_DST).and_then(address) == Some(hop);
        found |= u16_at(header, STATE_AT).filter(|_| is_it).unwrap_or(libc::NUD_NONE);
    })?;
    Some(found)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into());
    v4().or_else(v6)
}

/// The next hop (without a gateway the address itself), and its interface index.
fn route(to: IpAddr, oif: Option<u32>) -> Option<(IpAddr, u32)> {
    /// Offset of the address in `struct rtvia`; `include/uapi/linux/rtnetlink.h`.
    const VIA_ADDRESS_AT: usize = 2;
    let (family, octets) = match to {
        IpAddr::V4(ip) => (libc::AF_INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6, ip.octets().to_vec()),
    };
    // Family, and the length of the destination in bits.
    let mut request = vec![u8::try_from(family).ok()?, u8::try_from(octets.len() * 8).ok()?];
    request.resize(ROUTE_LEN, 0);
    push_attribute(&mut request, libc::RTA_DST, &octets);
    if let Some(oif) = oif {
        push_attribute(&mut request, libc::RTA_OIF, &oif.to_ne_bytes());
    }
    let answer = get(libc::RTM_GETROUTE, &request)?;
    let (mut hop, mut device) = (to, oif);
    for (kind, value) in attributes(answer.get(ROUTE_LEN..)?) {
        match kind {
            libc::RTA_GATEWAY => hop = address(value)?,
            RTA_VIA => hop = address(value.get(VIA_ADDRESS_AT..)?)?,
            libc::RTA_OIF => device = u32_at(value, 0),
            _ => {}
        }
    }
    Some((hop, device?))
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

    #[test]
    fn reads_drops_from_the_queue_statistics() {
        let queue: Vec<u8> = [1_u32, 2, 345, 4, 5].into_iter().flat_map(u32::to_ne_bytes).collect();
        let (mut stats, mut all) = (Vec::new(), Vec::new());
        push_attribute(&mut stats, 1, &[9; 12]);
        push_attribute(&mut stats, STATS_QUEUE, &queue);
        push_attribute(&mut all, libc::TCA_STATS2, &stats);
        assert_eq!(drops(&all), 345);
        assert_eq!(drops(&all[..all.len() - 13]), 0, "truncated");
    }
}
