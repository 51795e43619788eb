//! Requests to the kernel by rtnetlink(7): dumps, and requests with one answer.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// `NLMSG_ALIGNTO` of `include/uapi/linux/netlink.h`: messages begin at multiples of it.
const NLMSG_ALIGN: usize = 4;

/// Shows all that the kernel answers, of this thread's network namespace; `None` where it does not
/// tell it all.
pub(super) fn dump(
    question: RouteNetlinkMessage,
    mut show: impl FnMut(RouteNetlinkMessage),
) -> Option<()> {
    let socket = ask(question, NLM_F_DUMP)?;
    loop {
        let (bytes, _) = socket.recv_from_full().ok()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).ok()?;
            let len = (message.header.length as usize).next_multiple_of(NLMSG_ALIGN);
            match message.payload {
                NetlinkPayload::InnerMessage(told) => show(told),
                NetlinkPayload::Done(_) => return Some(()),
                _ => return None,
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// The single answer to a request in this thread's network namespace; `None` if it is an error.
pub(super) fn get(question: RouteNetlinkMessage) -> Option<RouteNetlinkMessage> {
    let (bytes, _) = ask(question, 0)?.recv_from_full().ok()?;
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).ok()?.payload {
        NetlinkPayload::InnerMessage(told) => Some(told),
        _ => None,
    }
}

/// Sends a request with these additional flags; the answer is read from the socket.
fn ask(question: RouteNetlinkMessage, flags: u16) -> Option<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE).ok()?;
    socket.bind_auto().ok()?;
    socket.connect(&SocketAddr::new(0, 0)).ok()?;
    let mut question = NetlinkMessage::from(question);
    question.header.flags = NLM_F_REQUEST | flags;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);
    socket.send(&bytes, 0).ok()?;
    Some(socket)
}
