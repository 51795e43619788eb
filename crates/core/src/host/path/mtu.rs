//! Which sizes arrive: a search by what follows datagrams of different lengths.

use crate::document::PathMtu;

/// Sizes that are sent to a target whose silence means nothing. Arbitrary: each router on the way
/// that has a smaller MTU costs one.
const SIZES_TO_SILENT: usize = 6;

/// What followed a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It was answered, or its port was reported as closed: it arrived.
    Arrived,
    /// It was too big, and this many bytes would pass, if that is known.
    TooBig(Option<usize>),
    /// An error says that the target cannot be reached.
    Unreachable,
    /// Nothing, within the time.
    Silence,
    /// It was not sent, as the time is over.
    OutOfTime,
}

/// Finds the longest packet that arrives from `lowest`, which does, to `highest`, by a target that
/// answers. An ICMP error that reports an MTU saves most of the search. If the search
/// ends at a length without an answer, that is sent once more: the target may only have stalled.
pub(super) fn search(
    lowest: usize,
    highest: usize,
    ask: &mut impl FnMut(usize) -> Reaction,
) -> PathMtu {
    // The longest that arrived, and the shortest that does not.
    let (mut arrived, mut fails, mut vanish) = (lowest, highest + 1, None);
    let (mut next, mut is_confirmed) = (highest, false);
    loop {
        if arrived + 1 >= fails {
            if is_confirmed || vanish != Some(true) {
                break;
            }
            (is_confirmed, next) = (true, fails);
            if ask(next) == Reaction::Arrived {
                (arrived, fails, vanish, next) = (next, highest + 1, None, highest);
            }
            continue;
        }
        match ask(next) {
            Reaction::Arrived => arrived = next,
            Reaction::TooBig(reported) => {
                vanish = vanish.or(Some(false));
                let reported = reported.filter(|mtu| (arrived..next).contains(mtu));
                fails = reported.map_or(next, |mtu| mtu + 1);
                if let Some(reported) = reported.filter(|mtu| *mtu > arrived) {
                    next = reported;
                    continue;
                }
            }
            Reaction::Silence | Reaction::Unreachable => (fails, vanish) = (next, Some(true)),
            Reaction::OutOfTime => break,
        }
        next = arrived.midpoint(fails);
    }
    let is_exact = arrived + 1 >= fails;
    PathMtu {
        bytes: is_exact.then_some(arrived as u64),
        is_proved: is_exact.then_some(true),
        at_least: Some(arrived as u64),
        at_most: Some(fails as u64 - 1),
        vanish,
        fragments_arrive: None,
    }
}

/// Follows ICMP errors from `highest` down to the MTU that draws none, by a target whose silence
/// means nothing.
pub(super) fn follow(
    lowest: Option<usize>,
    highest: usize,
    ask: &mut impl FnMut(usize) -> Reaction,
) -> PathMtu {
    let (mut next, mut mtu) = (highest, PathMtu::default());
    mtu.at_least = lowest.map(|lowest| lowest as u64);
    for _ in 0..SIZES_TO_SILENT {
        match ask(next) {
            Reaction::Arrived => {
                (mtu.bytes, mtu.is_proved) = (Some(next as u64), Some(true));
                mtu.at_least = mtu.bytes;
                break;
            }
            Reaction::TooBig(reported) => {
                mtu.vanish = Some(false);
                let Some(reported) = reported.filter(|mtu| *mtu < next) else { break };
                next = reported;
            }
            Reaction::Silence if mtu.vanish.is_some() => {
                (mtu.bytes, mtu.is_proved) = (Some(next as u64), Some(false));
                break;
            }
            Reaction::Silence | Reaction::Unreachable | Reaction::OutOfTime => break,
        }
    }
    mtu.at_most = Some(next as u64);
    mtu
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for a path of this MTU, the datagrams it took, by routers that report or not.
    fn found(path: usize, highest: usize, reports: Option<usize>) -> (PathMtu, usize) {
        let mut asked = 0;
        let mut ask = |len| {
            asked += 1;
            match len {
                _ if len <= path => Reaction::Arrived,
                _ => reports.map_or(Reaction::Silence, |mtu| Reaction::TooBig(Some(mtu))),
            }
        };
        (search(92, highest, &mut ask), asked)
    }

    #[test]
    fn any_path_mtu_is_found_exactly() {
        for path in [92, 93, 576, 1_280, 1_399, 1_400, 1_499, 1_500] {
            let exact = |mtu: &PathMtu| {
                let path = Some(path as u64);
                assert_eq!((mtu.bytes, mtu.at_least, mtu.at_most), (path, path, path));
            };
            let (mtu, asked) = found(path, 1_500, None);
            exact(&mtu);
            assert_eq!(mtu.vanish, (path < 1_500).then_some(true));
            assert!(asked <= 13, "{path}: {asked}");
            let (mtu, asked) = found(path, 1_500, Some(path));
            exact(&mtu);
            assert_eq!(mtu.vanish, (path < 1_500).then_some(false));
            assert!(asked <= 2, "{path}: {asked}");
            // Routers that report too much, or no MTU. Less than the truth is what hosts use, too.
            for reported in [1_490, 0].into_iter().filter(|mtu| *mtu == 0 || *mtu >= path) {
                exact(&found(path, 1_500, Some(reported)).0);
            }
        }
    }

    #[test]
    fn a_target_that_stalled_once_is_no_limit() {
        for silent in 1..=3 {
            let mut asked = 0;
            let mtu = search(92, 1_500, &mut |_| {
                asked += 1;
                if asked <= silent { Reaction::Silence } else { Reaction::Arrived }
            });
            let expected = (Some(1_500), Some(true), None);
            assert_eq!((mtu.bytes, mtu.is_proved, mtu.vanish), expected, "{silent}");
        }
    }

    #[test]
    fn time_that_is_over_leaves_a_range() {
        let mut asked = 0;
        let mtu = search(92, 1_500, &mut |len| {
            asked += 1;
            match asked {
                1 => Reaction::Silence,
                2 if len == 796 => Reaction::Arrived,
                _ => Reaction::OutOfTime,
            }
        });
        assert_eq!((mtu.bytes, mtu.at_least, mtu.at_most), (None, Some(796), Some(1_499)));
    }

    #[test]
    fn a_silent_target_is_known_by_its_routers_only() {
        let routers = [1_400, 1_280];
        let mut ask = |len| match routers.iter().find(|mtu| len > **mtu) {
            Some(mtu) => Reaction::TooBig(Some(*mtu)),
            None => Reaction::Silence,
        };
        let mtu = follow(None, 1_500, &mut ask);
        assert_eq!(
            (mtu.bytes, mtu.is_proved, mtu.at_most),
            (Some(1_280), Some(false), Some(1_280))
        );
        let mtu = follow(None, 1_500, &mut |_| Reaction::Silence);
        assert_eq!((mtu.bytes, mtu.vanish, mtu.at_most), (None, None, Some(1_500)));
        // A closed port proves that a datagram arrived.
        let mtu = follow(Some(92), 1_500, &mut |_| Reaction::Arrived);
        assert_eq!((mtu.bytes, mtu.is_proved), (Some(1_500), Some(true)));
    }
}
