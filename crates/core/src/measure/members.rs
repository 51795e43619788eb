//! The results of several processes as one.

use super::{
    CellResult, DropReading, IntervalSeries, IpCounters, KernelDelta, RxResult, TxResult,
    UdpCounters, combine,
};
use crate::document::{DropLocation, KernelDrops, Ledger};
use crate::unit::Nanos;

/// Whether kernel counters of members are of different network namespaces, so that their sums count
/// nothing twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeparateCounters {
    /// Those of the senders.
    pub tx: bool,
    /// Those of the receivers.
    pub rx: bool,
    /// Whether all are also of different kernels: one has one count of full backlogs.
    pub kernels: bool,
}

/// The result of a cell that several processes measured together, each with other flows and with
/// the time from the start of the cell to its own start; `None` without any.
///
/// Counts and histograms are sums. Losses are those that each process attributed by the counters
/// of its own host; these counters are added up where they are `separate`.
pub fn merge_members(
    members: impl Iterator<Item = (CellResult, Nanos)>,
    separate: SeparateCounters,
) -> Option<CellResult> {
    let mut has_delays = false;
    let mut members = members.map(|(mut result, start)| {
        has_delays |= start > Nanos::ZERO;
        let ledger = result.ledger();
        for intervals in [&mut result.tx.intervals, &mut result.rx.intervals] {
            *intervals = std::mem::take(intervals).delayed(start);
        }
        result.tx.end += start;
        (result, ledger)
    });
    let (mut sum, mut ledger) = members.next()?;
    let mut kernels = [sum.tx.kernel, sum.rx.kernel];
    let mut drops = [&mut sum.tx.drop_readings, &mut sum.rx.drop_readings].map(std::mem::take);
    for (member, more) in members.by_ref() {
        for (sum, more) in kernels.iter_mut().zip([member.tx.kernel, member.rx.kernel]) {
            *sum = add_kernel(*sum, more, separate.kernels);
        }
        for (sum, more) in
            drops.iter_mut().zip([&member.tx.drop_readings, &member.rx.drop_readings])
        {
            add_readings(sum, more, separate.kernels);
        }
        sum.one_ended |= member.one_ended;
        sum.warmup.0 = sum.warmup.0.saturating_add(member.warmup.0);
        sum.warmup.1 = sum.warmup.1.saturating_add(member.warmup.1);
        sum.cut_short = sum.cut_short.or(member.cut_short);
        add_sender(&mut sum.tx, member.tx, separate.kernels);
        add_receiver(&mut sum.rx, member.rx, separate.kernels);
        add_ledger(&mut ledger, &more);
    }
    drop(members);
    let [tx, rx] = kernels;
    sum.tx.kernel = if separate.tx { tx } else { KernelDelta::default() };
    sum.rx.kernel = if separate.rx { rx } else { KernelDelta::default() };
    let [tx, rx] = drops;
    sum.tx.drop_readings = if separate.tx && !has_delays { tx } else { Vec::new() };
    sum.rx.drop_readings = if separate.rx && !has_delays { rx } else { Vec::new() };
    sum.breakdown = None;
    sum.members_ledger = Some(ledger);
    Some(sum)
}

/// The sum of two counts; `None` if one is unknown.
fn add_known(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

/// Drops at full backlogs: of one kernel, the longer reading has all of them.
fn add_backlogs(one: Option<u64>, other: Option<u64>, separate: bool) -> Option<u64> {
    if separate { add_known(one, other) } else { Some(one?.max(other?)) }
}

fn add_kernel(one: KernelDelta, other: KernelDelta, separate: bool) -> KernelDelta {
    let udp = |mut sum: UdpCounters, more: UdpCounters| {
        add_counts!(sum, more; in_datagrams, no_ports, out_datagrams, rcvbuf_errors,
            in_csum_errors, sndbuf_errors);
        sum
    };
    let ip = |mut sum: IpCounters, more: IpCounters| {
        add_counts!(sum, more; in_discards, reassembly, reassembly_no_room, out_discards,
            out_no_routes, frag_fails);
        sum
    };
    KernelDelta {
        sockets: add_known(one.sockets, other.sockets),
        rings: combine(one.rings, other.rings, u64::saturating_add),
        udp: one.udp.zip(other.udp).map(|(one, other)| udp(one, other)),
        ip: one.ip.zip(other.ip).map(|(one, other)| ip(one, other)),
        backlog: add_backlogs(one.backlog, other.backlog, separate),
        device: add_known(one.device, other.device),
        tx_device: add_known(one.tx_device, other.tx_device),
        device_sent: add_known(one.device_sent, other.device_sent),
        qdisc: add_known(one.qdisc, other.qdisc),
        neighbour_unresolved: combine(
            one.neighbour_unresolved,
            other.neighbour_unresolved,
            |one, other| one || other,
        ),
    }
}

/// Adds the readings at the ends of the same intervals; others are not known of all.
fn add_readings(sum: &mut Vec<DropReading>, more: &[DropReading], separate: bool) {
    sum.retain_mut(|(index, drops)| {
        let other = more.iter().find(|(at, _)| at == index).map(|(_, other)| other);
        if let Some(other) = other {
            *drops = KernelDrops {
                receive_buffer: add_known(drops.receive_buffer, other.receive_buffer),
                backlog: add_backlogs(drops.backlog, other.backlog, separate),
                device: add_known(drops.device, other.device),
                tx_device: add_known(drops.tx_device, other.tx_device),
                qdisc: add_known(drops.qdisc, other.qdisc),
                checksum: add_known(drops.checksum, other.checksum),
                no_port: add_known(drops.no_port, other.no_port),
                xdp_ring: add_known(drops.xdp_ring, other.xdp_ring),
            };
        }
        other.is_some()
    });
}

/// CPU time that hypervisors took: of one kernel, the longer reading has all of it.
fn add_stolen(one: Option<Nanos>, other: Option<Nanos>, separate: bool) -> Option<Nanos> {
    combine(one, other, |one, other| if separate { one + other } else { one.max(other) })
}

fn add_sender(sum: &mut TxResult, member: TxResult, separate: bool) {
    add_intervals(&mut sum.intervals, &member.intervals);
    sum.stolen = add_stolen(sum.stolen, member.stolen, separate);
    sum.merge(member);
}

fn add_receiver(sum: &mut RxResult, member: RxResult, separate: bool) {
    add_intervals(&mut sum.intervals, &member.intervals);
    sum.stolen = add_stolen(sum.stolen, member.stolen, separate);
    // The flows of one process are not those of another.
    let mut flows = std::mem::take(&mut sum.flows);
    flows.extend(&member.flows);
    sum.merge(RxResult { flows: Vec::new(), ..member });
    sum.flows = flows;
}

/// Intervals count from the common start, so those of one index are of one time.
fn add_intervals(sum: &mut IntervalSeries, member: &IntervalSeries) {
    if sum.scale().is_none() || member.scale() == sum.scale() {
        sum.merge(member);
    } else if member.scale().is_some() {
        *sum = IntervalSeries::default();
    }
}

fn add_ledger(sum: &mut Ledger, member: &Ledger) {
    add_counts!(sum, member; attempted, sent);
    let (refused, more) = (&mut sum.refused, &member.refused);
    add_counts!(refused, more; would_block, no_buffers, unreachable, too_big, other);
    macro_rules! add_all {
        ($($field:ident),+) => { $(sum.$field = add_known(sum.$field, member.$field);)+ };
    }
    add_all!(received, lost, unaccounted, arrived, duplicate, late, reordered, foreign, corrupt);
    sum.reorder_extent = combine(sum.reorder_extent, member.reorder_extent, u64::max);
    let mut lost_at = member.lost_at;
    for &location in DropLocation::ALL {
        let more = *lost_at.at_mut(location);
        let count = sum.lost_at.at_mut(location);
        // What one host does not count, another may; the rest is unaccounted there.
        *count = combine(*count, more, u64::saturating_add);
    }
    add_names(&mut sum.estimated, &member.estimated);
    add_names(&mut sum.shared, &member.shared);
}

fn add_names(sum: &mut Option<Vec<String>>, member: &Option<Vec<String>>) {
    let new = member.iter().flatten().filter(|name| !sum.iter().flatten().any(|one| one == *name));
    let new: Vec<_> = new.cloned().collect();
    if member.is_some() {
        sum.get_or_insert_default().extend(new);
    }
}
