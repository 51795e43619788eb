//! Which devices a datagram passes that passes this one.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};

use super::rtnetlink::dump;
use crate::sys::NetLink;

/// What the kernel says of a device.
#[derive(Debug, Clone, Default)]
struct Known {
    index: u32,
    name: String,
    /// What made it; `None` where that is a driver of hardware.
    kind: Option<InfoKind>,
    /// The one it sits on (`IFLA_LINK`), of the same namespace; of a veth(4) its peer.
    on: Option<u32>,
    /// The one that it is a part of (`IFLA_MASTER`), such as a bond.
    part_of: Option<u32>,
}

/// This device and all that it sits on or is made of, of this thread's network namespace: the
/// devices whose counters are about what passes it. `None` where they are not all known.
#[must_use]
pub fn stack(device: &str) -> Option<Vec<NetLink>> {
    let mut all = Vec::new();
    dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), |told| {
        if let RouteNetlinkMessage::NewLink(link) = told {
            all.push(known(link));
        }
    })?;
    stack_of(&all, device)
}

fn known(link: LinkMessage) -> Known {
    let mut known = Known { index: link.header.index, ..Known::default() };
    let mut elsewhere = false;
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => known.name = name,
            LinkAttribute::Link(on) => known.on = Some(on),
            LinkAttribute::Controller(of) => known.part_of = Some(of),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(about) => {
                known.kind = about.into_iter().find_map(|one| match one {
                    LinkInfo::Kind(kind) => Some(kind),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    // A number of another namespace is no device of this one.
    known.on = known.on.filter(|&on| !elsewhere && on != 0 && on != known.index);
    known
}

fn stack_of(all: &[Known], device: &str) -> Option<Vec<NetLink>> {
    let mut found: Vec<&Known> = vec![all.iter().find(|known| known.name == device)?];
    let mut next = 0;
    while let Some(&top) = found.get(next) {
        if !tells_what_is_below(top.kind.as_ref()) {
            return None;
        }
        let below = top.on.filter(|_| top.kind != Some(InfoKind::Veth));
        let is_below =
            |known: &&Known| known.part_of == Some(top.index) || below == Some(known.index);
        for known in all.iter().filter(is_below) {
            if !found.iter().any(|there| there.index == known.index) {
                found.push(known);
            }
        }
        next += 1;
    }
    let link = |known: &Known| NetLink { index: known.index, name: known.name.clone() };
    Some(found.into_iter().map(link).collect())
}

/// Whether a device of this kind is the last of its host, or says what it sits on. A tunnel sends
/// by whichever device leads to its other end.
fn tells_what_is_below(kind: Option<&InfoKind>) -> bool {
    use InfoKind::{
        Bond, Bridge, Dummy, Ifb, IpVlan, Ipoib, MacSec, MacVlan, Netkit, Team, Veth, Vlan, Vrf,
    };
    match kind {
        None => true,
        Some(Bond | Bridge | Dummy | Ifb | IpVlan | Ipoib | MacSec | MacVlan | Netkit) => true,
        Some(Team | Veth | Vlan | Vrf) => true,
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[Known], device: &str) -> Option<Vec<String>> {
        Some(stack_of(all, device)?.into_iter().map(|link| link.name).collect())
    }

    #[test]
    fn a_device_is_counted_with_what_it_is_made_of() {
        let known = |index, name: &str, kind, on, part_of| Known {
            index,
            name: name.to_owned(),
            kind,
            on,
            part_of,
        };
        let all = [
            known(1, "lo", None, None, None),
            known(2, "eth0", None, None, Some(4)),
            known(3, "eth1", None, None, Some(4)),
            known(4, "bond0", Some(InfoKind::Bond), None, None),
            known(5, "bond0.7", Some(InfoKind::Vlan), Some(4), None),
            known(6, "v0", Some(InfoKind::Veth), Some(7), None),
            known(7, "v1", Some(InfoKind::Veth), Some(6), None),
            known(8, "wg0", Some(InfoKind::Wireguard), None, None),
            known(9, "br0", Some(InfoKind::Bridge), None, None),
            known(10, "tap0", Some(InfoKind::Tun), None, Some(9)),
        ];
        let is = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(&all, "lo"), is(&["lo"]));
        assert_eq!(names(&all, "eth1"), is(&["eth1"]));
        assert_eq!(names(&all, "bond0.7"), is(&["bond0.7", "bond0", "eth0", "eth1"]));
        assert_eq!(names(&all, "v0"), is(&["v0"]), "its peer is not below it");
        assert_eq!(names(&all, "wg0"), None, "a tunnel does not say what it sits on");
        assert_eq!(names(&all, "br0"), None, "nor does one with such a part");
        assert_eq!(names(&all, "none"), None);
    }

    #[test]
    fn the_kernel_tells_of_loopback() {
        let Some(lo) = stack("lo") else {
            return eprintln!("SKIPPED: rtnetlink tells no devices here");
        };
        let [lo] = lo.as_slice() else { panic!("{lo:?}") };
        assert_eq!((lo.index, &*lo.name), (super::super::device_index("lo").unwrap(), "lo"));
        assert_eq!(stack("no-such-dev"), None);
    }
}
