//! Flows of a cell beside each other.

use crate::document::{FlowCounts, FlowSpread, Flows};

/// How many of the worst flows are listed; the contract's figure.
const WORST: usize = 10;

/// Statistics of flows by datagrams sent and received; `None` for a single flow.
pub(super) fn flows(all: &[(u64, u64)]) -> Option<Flows> {
    if all.len() < 2 {
        return None;
    }
    let mut received: Vec<u64> = all.iter().map(|&(_, received)| received).collect();
    received.sort_unstable();
    let lost = |&(sent, received): &(u64, u64)| sent.saturating_sub(received);
    let share = |flow: &(u64, u64)| lost(flow) as f64 / flow.0 as f64;
    let sending = || all.iter().filter(|(sent, _)| *sent > 0);
    let mut losing: Vec<_> = all.iter().enumerate().filter(|(_, flow)| lost(flow) > 0).collect();
    // The sort is stable: of equals, the first come first.
    losing.sort_by(|(_, a), (_, b)| share(b).total_cmp(&share(a)));
    let worst = losing.into_iter().take(WORST);
    Some(Flows {
        count: all.len() as u64,
        received: FlowSpread {
            min: received[0],
            p50: received[(received.len() - 1) / 2],
            max: received[received.len() - 1],
        },
        loss_max: sending().map(share).reduce(f64::max),
        starved: sending().filter(|(_, received)| *received == 0).count() as u64,
        fairness: fairness(&received),
        worst: worst
            .map(|(flow, &(sent, received))| FlowCounts { flow: flow as u64, sent, received })
            .collect(),
    })
}

/// Jain's fairness index; `None` if nothing was received.
fn fairness(all: &[u64]) -> Option<f64> {
    let sum: f64 = all.iter().map(|&count| count as f64).sum();
    let squares: f64 = all.iter().map(|&count| (count as f64).powi(2)).sum();
    (squares > 0.0).then(|| (sum * sum / (all.len() as f64 * squares)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_worst_flows() {
        assert_eq!(flows(&[(9, 9)]), None);
        let even = flows(&[(5, 5), (5, 5), (5, 5)]).unwrap();
        assert_eq!((even.fairness, even.loss_max, even.starved), (Some(1.0), Some(0.0), 0));
        assert_eq!(even.worst, []);
        let one = flows(&[(8, 0), (8, 8), (0, 0), (8, 0)]).unwrap();
        assert_eq!((one.fairness, one.loss_max, one.starved), (Some(0.25), Some(1.0), 2));
        assert_eq!(one.received, FlowSpread { min: 0, p50: 0, max: 8 });
        let worst: Vec<_> = one.worst.iter().map(|flow| flow.flow).collect();
        assert_eq!(worst, [0, 3]);
        let many: Vec<_> = (0..12).map(|lost| (100, 100 - lost)).collect();
        let many = flows(&many).unwrap();
        assert_eq!((many.worst.len(), many.worst[0].flow, many.worst[9].flow), (10, 11, 2));
        assert_eq!(flows(&[(0, 0), (0, 0)]).unwrap().fairness, None);
    }
}
