//! What queueing disciplines there are and what they dropped, asked of the kernel by rtnetlink(7).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcStats2};

use super::rtnetlink::dump;
use crate::sys::NetLink;

/// Packets dropped by the root queueing disciplines of this thread's network namespace since they
/// were made, each modulo 2³²; what a class drops, its root counts too. Of all devices, or `of`
/// these alone.
#[must_use]
pub fn qdisc_drops(of: Option<&[NetLink]>) -> Option<u64> {
    let has =
        |qdisc: &TcMessage, link: &NetLink| u32::try_from(qdisc.header.index) == Ok(link.index);
    let mut drops = 0;
    each(|qdisc| {
        if of.is_none_or(|of| of.iter().any(|link| has(qdisc, link))) {
            drops += root_drops(qdisc);
        }
    })?;
    Some(drops)
}

/// The root queueing discipline of a device of this thread's network namespace, e.g. `fq_codel`.
#[must_use]
pub(super) fn root_qdisc(device: u32) -> Option<String> {
    let mut found = None;
    each(|qdisc| {
        let here = u32::try_from(qdisc.header.index) == Ok(device);
        if here && qdisc.header.parent == TcHandle::ROOT {
            found = qdisc.attributes.iter().find_map(|attribute| match attribute {
                TcAttribute::Kind(kind) => Some(kind.clone()),
                _ => None,
            });
        }
    })?;
    found
}

/// Shows all queueing disciplines of this thread's network namespace; `None` where the kernel does
/// not tell them all.
fn each(mut show: impl FnMut(&TcMessage)) -> Option<()> {
    dump(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()), |told| {
        if let RouteNetlinkMessage::NewQueueDiscipline(qdisc) = told {
            show(&qdisc);
        }
    })
}

/// What it dropped, where it is the root of a device's way out.
fn root_drops(qdisc: &TcMessage) -> u64 {
    if qdisc.header.parent != TcHandle::ROOT {
        return 0;
    }
    let stats = qdisc.attributes.iter().filter_map(|attribute| match attribute {
        TcAttribute::Stats2(stats) => Some(stats),
        _ => None,
    });
    let drops = stats.flatten().filter_map(|stats| match stats {
        TcStats2::Queue(queue) => Some(u64::from(queue.drops)),
        _ => None,
    });
    drops.sum()
}
