//! Whether the link-layer address of the next hop is known, asked of the kernel by rtnetlink(7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::device_index;
use super::rtnetlink::{attributes, dump, get, push_attribute, u16_at, u32_at};

/// Bytes of `struct ndmsg`, and where its interface index and state are;
/// `include/uapi/linux/neighbour.h`.
const NEIGHBOUR_LEN: usize = 12;
const INDEX_AT: usize = 4;
const STATE_AT: usize = 8;

/// Bytes of `struct rtmsg`; `include/uapi/linux/rtnetlink.h`.
const ROUTE_LEN: usize = 12;

/// Where the address is in `struct rtvia`; as above.
const VIA_ADDRESS_AT: usize = 2;

/// Whether address resolution (ARP, neighbour discovery) of the next hop towards this target is
/// unanswered (`INCOMPLETE`) or has failed (`FAILED`) in this thread's network namespace. `device`:
/// the outgoing device, if known. `None` if the kernel does not report the route.
pub fn neighbour_unresolved(target: SocketAddr, device: Option<&str>) -> Option<bool> {
    let scope = if let SocketAddr::V6(v6) = target { v6.scope_id() } else { 0 };
    let oif = device
        .and_then(|device| device_index(device).ok())
        .or_else(|| (scope != 0).then_some(scope));
    let (hop, oif) = next_hop(target.ip(), oif)?;
    let mut unresolved = false;
    dump(libc::RTM_GETNEIGH, &[0; NEIGHBOUR_LEN], |message| {
        let state = u16_at(message, STATE_AT).unwrap_or(libc::NUD_NONE);
        unresolved |= state & (libc::NUD_INCOMPLETE | libc::NUD_FAILED) != 0
            && u32_at(message, INDEX_AT) == Some(oif)
            && destination(message) == Some(hop);
    })?;
    Some(unresolved)
}

/// The address of a neighbour.
fn destination(message: &[u8]) -> Option<IpAddr> {
    attributes(message.get(NEIGHBOUR_LEN..)?)
        .find_map(|(kind, value)| (kind == libc::NDA_DST).then(|| address(value))?)
}

/// An IP address by its length.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into());
    v4().or_else(v6)
}

/// The next hop (without a gateway the address itself), and its interface index.
fn next_hop(to: IpAddr, oif: Option<u32>) -> Option<(IpAddr, u32)> {
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
    let route = get(libc::RTM_GETROUTE, &request)?;
    let (mut hop, mut device) = (to, oif);
    for (kind, value) in attributes(route.get(ROUTE_LEN..)?) {
        match kind {
            libc::RTA_GATEWAY => hop = address(value)?,
            libc::RTA_VIA => hop = address(value.get(VIA_ADDRESS_AT..)?)?,
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
    fn loopback_has_no_neighbours() {
        let to = "127.0.0.1:9".parse().unwrap();
        match neighbour_unresolved(to, Some("lo")) {
            None => eprintln!("SKIPPED: rtnetlink tells no routes here"),
            known => assert_eq!(known, Some(false)),
        }
        let lo = device_index("lo").ok();
        assert!(next_hop("127.0.0.1".parse().unwrap(), None).is_none_or(|(_, on)| Some(on) == lo));
    }
}
