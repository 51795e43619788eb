//! What queueing disciplines there are and what they dropped, asked of the kernel by rtnetlink(7).

use super::rtnetlink::{attributes, dump, text, u32_at};
use crate::sys::NetLink;

/// Bytes of `struct tcmsg`, and where its interface index and parent are;
/// `include/uapi/linux/rtnetlink.h`.
const HEADER_LEN: usize = 20;
const INDEX_AT: usize = 4;
const PARENT_AT: usize = 12;

/// The parent of a root queueing discipline: `TC_H_ROOT` of `include/uapi/linux/pkt_sched.h`.
const ROOT: u32 = u32::MAX;

/// `TCA_STATS_QUEUE`, and where its drops are; `include/uapi/linux/gen_stats.h`.
const STATS_QUEUE: u16 = 3;
const DROPS_AT: usize = 8;

/// Packets dropped by the root queueing disciplines of all devices, or `of` these, of this thread's
/// network namespace since they were created, each modulo 2³². A root includes its classes.
pub fn qdisc_drops(of: Option<&[NetLink]>) -> Option<u64> {
    let mut total = 0;
    each_root(|device, message| {
        if of.is_none_or(|of| of.iter().any(|link| link.index == device)) {
            total += drops(message);
        }
    })?;
    Some(total)
}

/// The root queueing discipline of a device of this thread's network namespace, e.g. `fq_codel`.
pub(super) fn root_qdisc(device: u32) -> Option<String> {
    let mut found = None;
    each_root(|index, message| {
        if index == device {
            found = value(message, libc::TCA_KIND).map(text);
        }
    })?;
    found
}

/// Shows device index and attributes of each root queueing discipline of this thread's network
/// namespace; `None` if the kernel does not report all of them.
fn each_root(mut show: impl FnMut(u32, &[u8])) -> Option<()> {
    dump(libc::RTM_GETQDISC, &[0; HEADER_LEN], |message| {
        if u32_at(message, PARENT_AT) == Some(ROOT)
            && let (Some(index), Some(rest)) =
                (u32_at(message, INDEX_AT), message.get(HEADER_LEN..))
        {
            show(index, rest);
        }
    })
}

/// The value of this attribute.
fn value(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// What a queueing discipline with these attributes dropped.
fn drops(bytes: &[u8]) -> u64 {
    let queue = value(bytes, libc::TCA_STATS2).and_then(|stats| value(stats, STATS_QUEUE));
    queue.and_then(|queue| u32_at(queue, DROPS_AT)).map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::super::rtnetlink::push_attribute;
    use super::*;

    #[test]
    fn drops_are_read_from_the_queue_of_the_statistics() {
        let queue: Vec<u8> = [1_u32, 2, 345, 4, 5].into_iter().flat_map(u32::to_ne_bytes).collect();
        let (mut stats, mut all) = (Vec::new(), Vec::new());
        push_attribute(&mut stats, 1, &[9; 12]);
        push_attribute(&mut stats, STATS_QUEUE, &queue);
        push_attribute(&mut all, libc::TCA_KIND, b"tbf\0");
        push_attribute(&mut all, libc::TCA_STATS2, &stats);
        assert_eq!((drops(&all), value(&all, libc::TCA_KIND).map(text)), (345, Some("tbf".into())));
        assert_eq!(drops(&all[..all.len() - 13]), 0, "cut off");
    }
}
