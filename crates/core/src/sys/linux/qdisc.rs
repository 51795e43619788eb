//! Queueing disciplines of this thread's network namespace, as the kernel reports them by
//! rtnetlink(7).

use super::device_index;
use super::rtnetlink::{attribute, dump, text, u32_at};
use crate::sys::{NetLink, Qdisc};

/// Bytes of `struct tcmsg` (`include/uapi/linux/rtnetlink.h`), and the offset of its device.
const QDISC_LEN: usize = 20;
const INDEX_AT: usize = 4;

/// `TCA_STATS_QUEUE`, and the offset of its drops; `include/uapi/linux/gen_stats.h`.
const STATS_QUEUE: u16 = 3;
const DROPS_AT: usize = 8;

/// Packets dropped by the root queueing disciplines of all devices, or `of` these, since they were
/// created, each modulo 2³². A root includes its classes.
pub fn qdisc_drops(of: Option<&[NetLink]>) -> Option<u64> {
    let mut total = 0;
    each_root(|device, rest| {
        if of.is_none_or(|of| of.iter().any(|link| link.index == device)) {
            total += drops(rest);
        }
    })?;
    Some(total)
}

pub(super) fn root_qdisc(device: u32) -> Option<String> {
    let mut found = None;
    each_root(|index, rest| {
        if index == device {
            found = attribute(rest, libc::TCA_KIND).map(text);
        }
    })?;
    found
}

/// The queueing disciplines of this device, those of classes and queues included; `None` if the
/// kernel does not report them.
pub fn qdiscs(device: &str) -> Option<Vec<Qdisc>> {
    let index = device_index(device).ok()?;
    let mut found = Vec::new();
    dump(libc::RTM_GETQDISC, QDISC_LEN, |header, rest| {
        if u32_at(header, INDEX_AT) == Some(index) {
            found.extend(parse_qdisc(rest));
        }
    })?;
    Some(found)
}

fn parse_qdisc(rest: &[u8]) -> Option<Qdisc> {
    let kind = attribute(rest, libc::TCA_KIND).map(text)?;
    let options = attribute(rest, libc::TCA_OPTIONS).filter(|_| kind == "etf");
    Some(Qdisc { kind, etf_early_ns: options.and_then(etf_early_ns) })
}

/// How early an etf with these options releases packets; `None` in deadline mode and with another
/// clock than `CLOCK_TAI`. With offload, the device holds them until their time.
fn etf_early_ns(options: &[u8]) -> Option<u32> {
    /// `TCA_ETF_PARMS`, the offsets in `struct tc_etf_qopt`, `TC_ETF_DEADLINE_MODE_ON` and
    /// `TC_ETF_OFFLOAD_ON`; `include/uapi/linux/pkt_sched.h`.
    const ETF_PARMS: u16 = 1;
    const DELTA_AT: usize = 0;
    const CLOCK_AT: usize = 4;
    const FLAGS_AT: usize = 8;
    const DEADLINE: u32 = 1;
    const OFFLOAD: u32 = 2;
    let parms = attribute(options, ETF_PARMS)?;
    let is_tai = u32_at(parms, CLOCK_AT)? == libc::CLOCK_TAI as u32;
    let (delta, flags) = (u32_at(parms, DELTA_AT)?, u32_at(parms, FLAGS_AT)?);
    let early_ns = if flags & OFFLOAD == 0 { delta } else { 0 };
    (is_tai && flags & DEADLINE == 0).then_some(early_ns)
}

/// Passes device index and attributes of each root queueing discipline to `show`; `None` if the
/// kernel does not report all of them.
fn each_root(mut show: impl FnMut(u32, &[u8])) -> Option<()> {
    /// `TC_H_ROOT` of `include/uapi/linux/pkt_sched.h`, and the offset of the parent in `tcmsg`.
    const ROOT: u32 = u32::MAX;
    const PARENT_AT: usize = 12;
    dump(libc::RTM_GETQDISC, QDISC_LEN, |header, rest| {
        if u32_at(header, PARENT_AT) == Some(ROOT)
            && let Some(index) = u32_at(header, INDEX_AT)
        {
            show(index, rest);
        }
    })
}

fn drops(rest: &[u8]) -> u64 {
    let queue = attribute(rest, libc::TCA_STATS2).and_then(|stats| attribute(stats, STATS_QUEUE));
    queue.and_then(|queue| u32_at(queue, DROPS_AT)).map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::super::rtnetlink::push_attribute;
    use super::*;

    #[test]
    fn reads_drops_from_the_queue_statistics() {
        let queue: Vec<u8> = [1_u32, 2, 345, 4, 5].into_iter().flat_map(u32::to_ne_bytes).collect();
        let (mut stats, mut all) = (Vec::new(), Vec::new());
        push_attribute(&mut stats, 1, &[9; 12]);
        push_attribute(&mut stats, STATS_QUEUE, &queue);
        push_attribute(&mut all, libc::TCA_STATS2, &stats);
        assert_eq!(drops(&all), 345);
        assert_eq!(drops(&all[..all.len() - 13]), 0, "truncated");
    }

    #[test]
    fn reads_how_early_an_etf_is() {
        const TAI: u32 = libc::CLOCK_TAI as u32;
        for (kind, parms, expected) in [
            ("etf", [300_000, TAI, 0], Some(300_000)),
            ("etf", [300_000, TAI, 2], Some(0)),
            ("etf", [300_000, TAI, 1], None),
            ("etf", [300_000, 0, 0], None),
            ("fq", [300_000, TAI, 0], None),
        ] {
            let parms: Vec<u8> = parms.into_iter().flat_map(u32::to_ne_bytes).collect();
            let (mut options, mut all) = (Vec::new(), Vec::new());
            push_attribute(&mut options, 1, &parms);
            push_attribute(&mut all, libc::TCA_KIND, &[kind.as_bytes(), b"\0"].concat());
            push_attribute(&mut all, libc::TCA_OPTIONS, &options);
            let qdisc = parse_qdisc(&all).unwrap();
            assert_eq!((&*qdisc.kind, qdisc.etf_early_ns), (kind, expected));
        }
    }
}
