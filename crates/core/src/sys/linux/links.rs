//! The devices below a device.

use super::rtnetlink::{attributes, dump, text, u32_at};
use crate::sys::NetLink;

/// Bytes of `struct ifinfomsg`, and where its interface index is;
/// `include/uapi/linux/rtnetlink.h`.
const HEADER_LEN: usize = 16;
const INDEX_AT: usize = 4;

/// The kind of a veth(4).
const VETH: &str = "veth";

/// Kinds of devices that are lowest or report the device below: `kind` of `struct rtnl_link_ops`.
const REPORT_DEVICE_BELOW: &[&str] = &[
    "bond", "bridge", "dummy", "ifb", "ipvlan", "ipoib", "macsec", "macvlan", "netkit", "team",
    VETH, "vlan", "vrf",
];

/// A device as the kernel reports it.
#[derive(Debug, Clone, Default)]
struct LinkInfo {
    index: u32,
    name: String,
    /// Its kind; `None` for hardware.
    kind: Option<String>,
    /// The device below it (`IFLA_LINK`) in the same namespace; of a veth(4) its peer.
    below: Option<u32>,
    /// The device that it belongs to (`IFLA_MASTER`), such as a bond.
    master: Option<u32>,
}

/// This device and all devices below it in this thread's network namespace; `None` if they are not
/// all known.
pub fn stack(device: &str) -> Option<Vec<NetLink>> {
    let mut all = Vec::new();
    dump(libc::RTM_GETLINK, &[0; HEADER_LEN], |message| all.extend(parse_link(message)))?;
    stack_of(&all, device)
}

fn parse_link(message: &[u8]) -> Option<LinkInfo> {
    let mut known = LinkInfo { index: u32_at(message, INDEX_AT)?, ..LinkInfo::default() };
    let mut elsewhere = false;
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            libc::IFLA_IFNAME => known.name = text(value),
            libc::IFLA_LINK => known.below = u32_at(value, 0),
            libc::IFLA_MASTER => known.master = u32_at(value, 0),
            libc::IFLA_LINK_NETNSID => elsewhere = true,
            libc::IFLA_LINKINFO => {
                let mut about = attributes(value);
                let kind = about.find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                known.kind = kind.map(|(_, kind)| text(kind));
            }
            _ => {}
        }
    }
    // A number of another namespace is no device of this one.
    known.below = known.below.filter(|&on| !elsewhere && on != 0 && on != known.index);
    Some(known)
}

fn stack_of(all: &[LinkInfo], device: &str) -> Option<Vec<NetLink>> {
    let mut found: Vec<&LinkInfo> = vec![all.iter().find(|known| known.name == device)?];
    let mut next = 0;
    while let Some(&top) = found.get(next) {
        if !reports_device_below(top.kind.as_deref()) {
            return None;
        }
        let below = top.below.filter(|_| top.kind.as_deref() != Some(VETH));
        let is_below =
            |known: &&LinkInfo| known.master == Some(top.index) || below == Some(known.index);
        for known in all.iter().filter(is_below) {
            if !found.iter().any(|there| there.index == known.index) {
                found.push(known);
            }
        }
        next += 1;
    }
    let link = |known: &LinkInfo| NetLink { index: known.index, name: known.name.clone() };
    Some(found.into_iter().map(link).collect())
}

/// Whether a device of this kind reports the device below. A tunnel sends by any device.
fn reports_device_below(kind: Option<&str>) -> bool {
    kind.is_none_or(|kind| REPORT_DEVICE_BELOW.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[LinkInfo], device: &str) -> Option<Vec<String>> {
        Some(stack_of(all, device)?.into_iter().map(|link| link.name).collect())
    }

    #[test]
    fn devices_are_counted_with_those_below() {
        let known = |index, name: &str, kind: Option<&str>, below, master| LinkInfo {
            index,
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            below,
            master,
        };
        let all = [
            known(1, "lo", None, None, None),
            known(2, "eth0", None, None, Some(4)),
            known(3, "eth1", None, None, Some(4)),
            known(4, "bond0", Some("bond"), None, None),
            known(5, "bond0.7", Some("vlan"), Some(4), None),
            known(6, "v0", Some("veth"), Some(7), None),
            known(7, "v1", Some("veth"), Some(6), None),
            known(8, "wg0", Some("wireguard"), None, None),
            known(9, "br0", Some("bridge"), None, None),
            known(10, "tap0", Some("tun"), None, Some(9)),
        ];
        let is = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(&all, "lo"), is(&["lo"]));
        assert_eq!(names(&all, "eth1"), is(&["eth1"]));
        assert_eq!(names(&all, "bond0.7"), is(&["bond0.7", "bond0", "eth0", "eth1"]));
        assert_eq!(names(&all, "v0"), is(&["v0"]), "its peer is not below it");
        assert_eq!(names(&all, "wg0"), None, "a tunnel does not report the device below");
        assert_eq!(names(&all, "br0"), None, "nor does one with such a part");
        assert_eq!(names(&all, "none"), None);
    }

    #[test]
    fn loopback_is_alone() {
        let Some(lo) = stack("lo") else {
            return eprintln!("SKIPPED: rtnetlink tells no devices here");
        };
        let [lo] = lo.as_slice() else { panic!("{lo:?}") };
        assert_eq!((lo.index, &*lo.name), (super::super::device_index("lo").unwrap(), "lo"));
        assert_eq!(stack("no-such-dev"), None);
    }
}
