//! What queueing disciplines there are and what they dropped, asked of the kernel by rtnetlink(7).

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcStats2};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Packets dropped by the root queueing disciplines of this thread's network namespace since they
/// were made, each modulo 2³²; what a class drops, its root counts too.
#[must_use]
pub fn qdisc_drops() -> Option<u64> {
    let mut drops = 0;
    each(|qdisc| drops += root_drops(qdisc))?;
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
    let socket = ask()?;
    loop {
        let (bytes, _) = socket.recv_from_full().ok()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).ok()?;
            let len = (message.header.length as usize).next_multiple_of(NLMSG_ALIGN);
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewQueueDiscipline(qdisc)) => {
                    show(&qdisc);
                }
                NetlinkPayload::Done(_) => return Some(()),
                _ => return None,
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// `NLMSG_ALIGNTO` of `include/uapi/linux/netlink.h`: messages begin at multiples of it.
const NLMSG_ALIGN: usize = 4;

/// Asks for all queueing disciplines; the socket holds the answer.
fn ask() -> Option<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE).ok()?;
    socket.bind_auto().ok()?;
    socket.connect(&SocketAddr::new(0, 0)).ok()?;
    let question = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
    let mut question = NetlinkMessage::from(question);
    question.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);
    socket.send(&bytes, 0).ok()?;
    Some(socket)
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
