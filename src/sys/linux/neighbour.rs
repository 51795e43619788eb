//! Whether the link-layer address of the next hop is known, asked of the kernel by rtnetlink(7).

use std::net::{IpAddr, SocketAddr};

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::device_index;
use super::rtnetlink::{dump, get};

/// Whether address resolution (ARP, or IPv6 neighbour discovery) of the next hop towards this
/// target is unanswered (`INCOMPLETE`) or has failed (`FAILED`), in this thread's network
/// namespace: datagrams to it wait in a short queue of the kernel and are dropped. `device`: the
/// outgoing device, if known. `None` if the kernel does not report the route.
#[must_use]
pub fn neighbour_unresolved(target: SocketAddr, device: Option<&str>) -> Option<bool> {
    let scope = if let SocketAddr::V6(v6) = target { v6.scope_id() } else { 0 };
    let oif = device
        .and_then(|device| device_index(device).ok())
        .or_else(|| (scope != 0).then_some(scope));
    let (hop, oif) = next_hop(target.ip(), oif)?;
    let mut unresolved = false;
    dump(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), |told| {
        let RouteNetlinkMessage::NewNeighbour(known) = told else { return };
        if known.header.ifindex == oif && known.attributes.iter().any(|of| is_for(of, hop)) {
            let state = known.header.state;
            unresolved |= matches!(state, NeighbourState::Incomplete | NeighbourState::Failed);
        }
    })?;
    Some(unresolved)
}

/// Whether a neighbour has this address.
fn is_for(attribute: &NeighbourAttribute, hop: IpAddr) -> bool {
    match (attribute, hop) {
        (NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)), IpAddr::V4(hop)) => {
            *ip == hop
        }
        (NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)), IpAddr::V6(hop)) => {
            *ip == hop
        }
        _ => false,
    }
}

/// The next hop towards this address, and its interface index; the address itself without a
/// gateway.
fn next_hop(to: IpAddr, oif: Option<u32>) -> Option<(IpAddr, u32)> {
    let mut question = RouteMessage::default();
    (question.header.address_family, question.header.destination_prefix_length) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    question.attributes.push(RouteAttribute::Destination(to.into()));
    question.attributes.extend(oif.map(RouteAttribute::Oif));
    let RouteNetlinkMessage::NewRoute(route) = get(RouteNetlinkMessage::GetRoute(question))? else {
        return None;
    };
    let (mut hop, mut device) = (to, oif);
    for attribute in route.attributes {
        match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(ip))
            | RouteAttribute::Via(RouteVia::Inet(ip)) => hop = ip.into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(ip))
            | RouteAttribute::Via(RouteVia::Inet6(ip)) => hop = ip.into(),
            RouteAttribute::Oif(index) => device = Some(index),
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
