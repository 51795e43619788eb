//! How Ethernet frames reach a destination: device, queues and MAC addresses, as the kernel
//! reports them by rtnetlink(7).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::network::{KernelRoute, LinkInfo, Neighbour, link, neighbour, octets, route};
use super::rtnetlink::{change, push_attribute};
use super::{device_index, ethtool, monotonic_ns};
use crate::sys::{EthernetPath, EthernetPathError, scope_of};

/// The address of all hosts on an Ethernet (IEEE 802.3).
const BROADCAST_MAC: [u8; 6] = [0xFF; 6];

/// How long address resolution may take: three requests, one a second (`mcast_solicit` and
/// `retrans_time_ms` of `Documentation/networking/ip-sysctl.rst`), and a second more.
const RESOLUTION_NS: u64 = 4_000_000_000;

/// How often its result is read. Arbitrary: short against a second.
const POLL: Duration = Duration::from_millis(2);

/// States of a neighbour whose MAC address is valid: `NUD_VALID` of
/// `include/net/neighbour.h`.
const VALID: u16 = libc::NUD_PERMANENT
    | libc::NUD_NOARP
    | libc::NUD_REACHABLE
    | libc::NUD_PROBE
    | libc::NUD_STALE
    | libc::NUD_DELAY;

/// How frames reach this destination from the calling thread's network namespace. `from` and
/// `device`: the source address and the device to use, if given. Asks the kernel to resolve the
/// address of the next hop, or to confirm it if it is old, and waits up to four seconds for it.
pub fn ethernet_path(
    to: SocketAddr,
    from: Option<IpAddr>,
    device: Option<&str>,
) -> Result<EthernetPath, EthernetPathError> {
    let ip = to.ip();
    let oif = device.map(|device| {
        let none = |_| EthernetPathError::NoDevice { device: device.to_owned() };
        device_index(device).map_err(none)
    });
    let scope = Some(scope_of(&to)).filter(|&scope| scope != 0);
    let oif = oif.transpose()?.or(scope);
    let route = route(ip, from, oif).ok_or(EthernetPathError::NoRoute { to: ip })?;
    let link = link(route.oif).ok_or(EthernetPathError::NoRoute { to: ip })?;
    if route.kind == libc::RTN_LOCAL {
        return Err(EthernetPathError::Loopback { to: ip });
    }
    let device = link.link.name.clone();
    let (libc::ARPHRD_ETHER, Some(source_mac)) = (link.hardware, link.mac) else {
        return Err(EthernetPathError::NotEthernet { to: ip, device });
    };
    if is_stacked_vlan(&link, link.below.and_then(super::network::link).as_ref()) {
        return Err(EthernetPathError::StackedVlans { device });
    }
    let (rx_queues, tx_queues) = queues(&link);
    Ok(EthernetPath {
        next_mac: next_mac(&route, &link)?,
        device: link.link,
        mtu: link.mtu,
        rx_queues,
        tx_queues,
        source_mac,
        source: route.source.or(from).ok_or(EthernetPathError::NoRoute { to: ip })?,
        next_hop: route.hop,
    })
}

fn is_stacked_vlan(device: &LinkInfo, below: Option<&LinkInfo>) -> bool {
    let is_vlan = |link: &LinkInfo| link.kind.as_deref() == Some("vlan");
    is_vlan(device) && below.is_some_and(is_vlan)
}

/// Receive and transmit queues in use; without ethtool's channels those that it has.
fn queues(link: &LinkInfo) -> (u32, u32) {
    let channels = ethtool::channels(&link.link.name).unwrap_or_default();
    let in_use = |kind| {
        let number = |kind: &str| channels.get(kind).copied().unwrap_or(0);
        u32::try_from(number(kind) + number("combined")).ok().filter(|&queues| queues != 0)
    };
    (in_use("rx").unwrap_or(link.rx_queues), in_use("tx").unwrap_or(link.tx_queues))
}

fn next_mac(route: &KernelRoute, link: &LinkInfo) -> Result<[u8; 6], EthernetPathError> {
    if route.kind == libc::RTN_BROADCAST {
        return Ok(BROADCAST_MAC);
    }
    if let Some(mac) = multicast_mac(route.hop) {
        return Ok(mac);
    }
    let settled = libc::NUD_PERMANENT | libc::NUD_NOARP | libc::NUD_REACHABLE;
    let known = neighbour(route.hop, route.oif).unwrap_or_default();
    if known.state & settled == 0 {
        // Without the capability CAP_NET_ADMIN, an address that is known is still used.
        resolve(route);
    }
    let until_ns = monotonic_ns() + RESOLUTION_NS;
    loop {
        let Neighbour { state, mac } = neighbour(route.hop, route.oif).unwrap_or_default();
        match mac.filter(|_| state & VALID != 0) {
            Some(mac) => return Ok(mac),
            None if state & libc::NUD_INCOMPLETE != 0 && monotonic_ns() < until_ns => {
                std::thread::sleep(POLL);
            }
            None => {
                let (next_hop, device) = (route.hop, link.link.name.clone());
                return Err(EthernetPathError::NoNeighbour { next_hop, device });
            }
        }
    }
}

/// The address that a multicast group has on Ethernet: RFC 1112 §6.4, RFC 2464 §7.
fn multicast_mac(group: IpAddr) -> Option<[u8; 6]> {
    match group {
        IpAddr::V4(ip) if ip.is_multicast() => {
            let [_, b, c, d] = ip.octets();
            Some([0x01, 0x00, 0x5E, b & 0x7F, c, d])
        }
        IpAddr::V6(ip) if ip.is_multicast() => {
            let [.., a, b, c, d] = ip.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        _ => None,
    }
}

/// Asks the kernel to resolve the address of the next hop, as if it had a datagram for it; whether
/// it may.
fn resolve(route: &KernelRoute) -> bool {
    let (family, octets) = octets(route.hop);
    // struct ndmsg: family, three bytes of padding, device, state, flags, type.
    let mut message = vec![family, 0, 0, 0];
    message.extend(route.oif.to_ne_bytes());
    message.extend(libc::NUD_NONE.to_ne_bytes());
    message.extend([libc::NTF_USE, 0]);
    push_attribute(&mut message, libc::NDA_DST, &octets);
    change(libc::RTM_NEWNEIGH, libc::NLM_F_CREATE, &message)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{in_new_netns, lacks_root, sh};
    use super::*;

    fn path(to: &str) -> Result<EthernetPath, EthernetPathError> {
        ethernet_path(SocketAddr::new(to.parse().unwrap(), 9), None, None)
    }

    /// The bytes of a device's MAC address.
    fn mac(device: &str) -> [u8; 6] {
        let text = ethtool::mac_address(device).unwrap();
        let bytes: Vec<u8> =
            text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.try_into().unwrap()
    }

    #[test]
    fn computes_addresses_of_groups() {
        for (group, mac) in [
            ("224.0.0.1", Some([0x01, 0x00, 0x5E, 0, 0, 1])),
            ("239.129.2.3", Some([0x01, 0x00, 0x5E, 0x01, 2, 3])),
            ("ff02::1:ff00:abcd", Some([0x33, 0x33, 0xFF, 0x00, 0xAB, 0xCD])),
            ("10.0.0.1", None),
            ("fe80::1", None),
        ] {
            assert_eq!(multicast_mac(group.parse().unwrap()), mac, "{group}");
        }
    }

    #[test]
    fn finds_device_queues_and_addresses() {
        if lacks_root() {
            return;
        }
        in_new_netns(|| {
            // No second namespace: v1 answers for addresses of v0's network as a proxy.
            sh("ip link add v0 numrxqueues 3 numtxqueues 2 type veth peer name v1
                echo 0 > /proc/sys/net/ipv6/conf/v0/accept_dad
                ip link set v0 mtu 1400; ip addr add 10.81.0.1/24 dev v0
                ip addr add fd81::1/64 dev v0 nodad; ip link set v0 up; ip link set v1 up
                ip neighbour add 10.81.0.2 lladdr 02:00:00:00:00:02 dev v0
                ip neighbour add fd81::2 lladdr 02:00:00:00:00:06 dev v0
                ip route add 10.82.0.0/16 via 10.81.0.2");
            let found = path("10.81.0.2").unwrap();
            assert_eq!((&*found.device.name, found.mtu), ("v0", 1_400));
            assert_eq!((found.rx_queues, found.tx_queues), (3, 2));
            assert_eq!((found.source_mac, found.next_mac), (mac("v0"), [2, 0, 0, 0, 0, 2]));
            assert_eq!(found.source, "10.81.0.1".parse::<IpAddr>().unwrap());
            let behind = path("10.82.9.9").unwrap();
            assert_eq!(behind, found, "the same gateway");
            let six = path("fd81::2").unwrap();
            assert_eq!(
                (six.next_mac, six.source),
                ([2, 0, 0, 0, 0, 6], "fd81::1".parse().unwrap())
            );
            assert_eq!(path("10.81.0.255").unwrap().next_mac, [0xFF; 6]);
            let group = SocketAddr::new("239.1.2.3".parse().unwrap(), 9);
            let group = ethernet_path(group, None, Some("v0")).unwrap();
            assert_eq!(group.next_mac, [0x01, 0x00, 0x5E, 1, 2, 3]);
        });
    }

    #[test]
    #[ignore = "long: scripts/check runs it"]
    fn resolves_the_next_hop() {
        if lacks_root() {
            return;
        }
        in_new_netns(|| {
            // The namespace of another process has the other end.
            let mut other = std::process::Command::new("unshare");
            let mut other = other.args(["-n", "sleep", "60"]).spawn().unwrap();
            let pid = other.id();
            let result = std::panic::catch_unwind(|| {
                let outside = sh("readlink /proc/thread-self/ns/net");
                while sh(&format!("readlink /proc/{pid}/ns/net")) == outside {}
                sh(&format!(
                    "ip link add v0 type veth peer name v1 netns {pid}
                     in_other() {{ nsenter -t {pid} -n \"$@\"; }}
                     in_other ip addr add 10.81.0.2/24 dev v1
                     in_other ip addr add fd81::2/64 dev v1 nodad
                     in_other ip link set v1 up
                     ip addr add 10.81.0.1/24 dev v0; ip addr add fd81::1/64 dev v0 nodad
                     ip link set v0 up"
                ));
                let expected = sh(&format!("nsenter -t {pid} -n cat /proc/net/dev"));
                assert!(expected.contains("v1"));
                for to in ["10.81.0.2", "fd81::2"] {
                    // While a new link settles, the kernel may lose its questions.
                    let found = (0..4).find_map(|_| path(to).ok());
                    let found = found.unwrap_or_else(|| path(to).unwrap());
                    let all = sh(&format!("nsenter -t {pid} -n ip -br link show v1"));
                    let mac: Vec<_> =
                        found.next_mac.iter().map(|byte| format!("{byte:02x}")).collect();
                    assert!(all.contains(&mac.join(":")), "{to}: {mac:?} in {all}");
                }
                let none = path("10.81.0.3").unwrap_err();
                assert!(matches!(none, EthernetPathError::NoNeighbour { .. }), "{none}");
                assert!(none.to_string().contains("10.81.0.3 on v0"), "{none}");
            });
            other.kill().unwrap();
            other.wait().unwrap();
            result.unwrap();
        });
    }

    #[test]
    fn says_why_frames_cannot_reach_a_destination() {
        if lacks_root() {
            return;
        }
        in_new_netns(|| {
            use EthernetPathError::*;
            sh("ip link set lo up; ip link add v0 type veth peer name v1
                ip addr add 10.81.0.1/24 dev v0; ip link set v0 up
                ip tuntap add mode tun name t0; ip addr add 10.83.0.1/24 dev t0
                ip link set t0 up");
            for to in ["127.0.0.1", "::1", "10.81.0.1"] {
                assert_eq!(path(to), Err(Loopback { to: to.parse().unwrap() }));
            }
            let to = "10.84.0.1".parse().unwrap();
            assert_eq!(path("10.84.0.1"), Err(NoRoute { to }));
            let to = "10.83.0.2".parse().unwrap();
            assert_eq!(path("10.83.0.2"), Err(NotEthernet { to, device: "t0".to_owned() }));
            let unknown = ethernet_path("10.81.0.2:9".parse().unwrap(), None, Some("v9"));
            assert_eq!(unknown, Err(NoDevice { device: "v9".to_owned() }));
        });
    }

    #[test]
    fn recognises_stacked_vlans() {
        let link = |kind: &str| LinkInfo { kind: Some(kind.to_owned()), ..LinkInfo::default() };
        let (vlan, veth) = (link("vlan"), link("veth"));
        assert!(is_stacked_vlan(&vlan, Some(&vlan)));
        assert!(!is_stacked_vlan(&vlan, Some(&veth)) && !is_stacked_vlan(&vlan, None));
        assert!(!is_stacked_vlan(&veth, Some(&vlan)));
    }
}
