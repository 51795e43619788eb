//! Requests to the kernel by rtnetlink(7): dumps, and requests with one answer. The latter also by
//! generic netlink (`Documentation/networking/generic_netlink.rst`).

use std::io::{Read, Write};

use socket2::{Domain, Protocol, Socket, Type};

// Of `include/uapi/linux/netlink.h`.
const ALIGN: usize = 4; // NLMSG_ALIGNTO, NLA_ALIGNTO: alignment of messages and attributes
const HEADER_LEN: usize = 16; // struct nlmsghdr
const ATTRIBUTE_LEN: usize = 4; // struct nlattr
const GENERIC_HEADER_LEN: usize = 4; // struct genlmsghdr of `include/uapi/linux/genetlink.h`
const TYPE_MASK: u16 = 0x3FFF; // NLA_TYPE_MASK: the bits of an attribute's type without flags

/// The type of an answer is that of its request less 2: `RTM_NEWLINK` is 16, `RTM_GETLINK` is 18;
/// `include/uapi/linux/rtnetlink.h`.
const ANSWER_BEFORE_REQUEST: u16 = 2;

/// Maximum bytes of one read: `netlink_recvmsg` of `net/netlink/af_netlink.c`.
const BUFFER_LEN: usize = 32_768;

/// Passes the fixed header of `fixed_len` bytes and the attributes of each answer to a `request`
/// such as `RTM_GETLINK` to `show`; `None` if the kernel does not report all of them.
pub(super) fn dump(
    request: u16,
    fixed_len: usize,
    mut show: impl FnMut(&[u8], &[u8]),
) -> Option<()> {
    let mut socket = send(request, libc::NLM_F_DUMP, &vec![0; fixed_len])?;
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let len = socket.read(&mut buffer).ok()?;
        for message in Messages(buffer.get(..len)?) {
            let (kind, body) = message?;
            if i32::from(kind) == libc::NLMSG_DONE {
                let failed = u32_at(body, 0).is_some_and(|error| error != 0);
                return (!failed).then_some(());
            }
            let (header, rest) = answer(request, kind, body)?.split_at_checked(fixed_len)?;
            show(header, rest);
        }
    }
}

/// The single answer to a request in this thread's network namespace; `None` if it is an error.
pub(super) fn get(request: u16, message: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; BUFFER_LEN];
    let len = send(request, 0, message)?.read(&mut buffer).ok()?;
    let (kind, body) = Messages(buffer.get(..len)?).next()??;
    answer(request, kind, body).map(<[u8]>::to_vec)
}

/// The attributes of the single answer to a command of a family of generic netlink; `None` if it is
/// an error.
pub(super) fn get_generic(family: u16, command: u8, attributes: &[u8]) -> Option<Vec<u8>> {
    // struct genlmsghdr: command, version, two bytes of padding.
    let message = [&[command, 1, 0, 0], attributes].concat();
    let mut buffer = vec![0; BUFFER_LEN];
    let len = send_by(libc::NETLINK_GENERIC, family, 0, &message)?.read(&mut buffer).ok()?;
    let (kind, body) = Messages(buffer.get(..len)?).next()??;
    let attributes = body.get(GENERIC_HEADER_LEN..)?;
    (kind == family).then(|| attributes.to_vec())
}

/// Whether the kernel accepts a request that changes something.
pub(super) fn change(request: u16, flags: i32, message: &[u8]) -> bool {
    let acknowledged = || {
        let mut buffer = vec![0; BUFFER_LEN];
        let mut socket = send(request, flags | libc::NLM_F_ACK, message)?;
        let len = socket.read(&mut buffer).ok()?;
        let (kind, body) = Messages(buffer.get(..len)?).next()??;
        // struct nlmsgerr begins with the error; 0 acknowledges.
        (i32::from(kind) == libc::NLMSG_ERROR).then_some(())?;
        u32_at(body, 0).filter(|error| *error == 0)
    };
    acknowledged().is_some()
}

fn answer(request: u16, kind: u16, body: &[u8]) -> Option<&[u8]> {
    (kind == request.checked_sub(ANSWER_BEFORE_REQUEST)?).then_some(body)
}

fn send(request: u16, flags: i32, message: &[u8]) -> Option<Socket> {
    send_by(libc::NETLINK_ROUTE, request, flags, message)
}

fn send_by(protocol: i32, request: u16, flags: i32, message: &[u8]) -> Option<Socket> {
    let protocol = Some(Protocol::from(protocol));
    let mut socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, protocol).ok()?;
    let flags = u16::try_from(libc::NLM_F_REQUEST | flags).ok()?;
    let mut bytes = u32::try_from(HEADER_LEN + message.len()).ok()?.to_ne_bytes().to_vec();
    bytes.extend(request.to_ne_bytes().into_iter().chain(flags.to_ne_bytes()));
    // Sequence number and port: one socket a request, so they are not needed.
    bytes.resize(HEADER_LEN, 0);
    bytes.extend(message);
    // A netlink socket without an address sends to the kernel.
    (socket.write(&bytes).ok()? == bytes.len()).then_some(socket)
}

/// The messages of a datagram: type and body; `None` for a truncated one, which is the last.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let message = || {
            let len = usize::try_from(u32_at(rest, 0)?).ok()?;
            Some((len, u16_at(rest, 4)?, rest.get(HEADER_LEN..len)?))
        };
        Some(message().map(|(len, kind, body)| {
            self.0 = rest.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
            (kind, body)
        }))
    }
}

pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let value = rest.get(ATTRIBUTE_LEN..len)?;
        let kind = u16_at(rest, 2)? & TYPE_MASK;
        rest = rest.get(len.next_multiple_of(ALIGN)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

pub(super) fn push_attribute(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(ATTRIBUTE_LEN + value.len()).unwrap_or(u16::MAX);
    to.extend(len.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()));
    to.extend(value);
    to.resize(to.len().next_multiple_of(ALIGN), 0);
}

/// A 16-bit number at this offset, in host byte order.
#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_before_a_truncated_one() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 3 | 0x8000, b"lo\0");
        push_attribute(&mut bytes, 5, &7_u32.to_ne_bytes());
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(3, &b"lo\0"[..]), (5, &7_u32.to_ne_bytes()[..])]);
        assert_eq!((text(all[0].1), u32_at(all[1].1, 0)), ("lo".to_owned(), Some(7)));
        for len in 0..bytes.len() {
            assert_eq!(attributes(&bytes[..len]).count(), usize::from(len >= 7), "{len}");
        }
        // Lengths that are shorter than their own header.
        for len in 0..4_u16 {
            let bytes = [len.to_ne_bytes(), [1, 0]].concat();
            assert_eq!(attributes(&bytes).count(), 0, "{len}");
        }
    }

    #[test]
    fn rejects_truncated_messages() {
        let mut bytes = vec![0; 18];
        bytes[..4].copy_from_slice(&18_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&16_u16.to_ne_bytes());
        bytes[16..].copy_from_slice(b"ab");
        assert_eq!(Messages(&bytes).collect::<Vec<_>>(), [Some((16, &b"ab"[..]))]);
        for len in 1..bytes.len() {
            assert_eq!(Messages(&bytes[..len]).collect::<Vec<_>>(), [None], "{len}");
        }
        bytes[..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(Messages(&bytes).collect::<Vec<_>>(), [None]);
        assert_eq!(answer(libc::RTM_GETLINK, libc::RTM_NEWLINK, b"x"), Some(&b"x"[..]));
        assert_eq!(answer(libc::RTM_GETLINK, libc::NLMSG_ERROR as u16, b"x"), None);
    }
}
