//! Matches the cells of two sides.

use crate::document::{Cell, Report};

/// The parts of an id: engine, payload, requested rate, direction.
type Key = [String; 4];

#[derive(Debug)]
pub(super) struct CellGroup<'a> {
    key: Key,
    pub(super) id: &'a str,
    pub(super) runs: Vec<&'a Cell>,
}

/// A cell of the base and the same of the new runs.
pub(super) type CellPair<'a> = (CellGroup<'a>, CellGroup<'a>);

#[derive(Debug, Default)]
pub(super) struct Paired<'a> {
    pub(super) both: Vec<CellPair<'a>>,
    pub(super) only_base: Vec<&'a str>,
    pub(super) only_new: Vec<&'a str>,
}

/// Matches cells by the parts of their ids. A part that is constant on each side but differs
/// between them, such as the engine, is what is compared, and is ignored.
pub(super) fn pair<'a>(base: &[&'a Report], new: &[&'a Report]) -> Paired<'a> {
    let (base, mut new) = (groups(base), groups(new));
    let ignored: Vec<usize> = (0..4).filter(|&part| is_compared(part, &base, &new)).collect();
    let equal = |a: &Key, b: &Key| (0..4).all(|part| ignored.contains(&part) || a[part] == b[part]);
    let mut paired = Paired::default();
    for group in base {
        match new.iter().position(|other| equal(&group.key, &other.key)) {
            Some(at) => paired.both.push((group, new.remove(at))),
            None => paired.only_base.push(group.id),
        }
    }
    paired.only_new = new.iter().map(|group| group.id).collect();
    paired
}

fn is_compared(part: usize, base: &[CellGroup<'_>], new: &[CellGroup<'_>]) -> bool {
    let only = |groups: &[CellGroup<'_>]| {
        let first = groups.first()?.key[part].clone();
        groups.iter().all(|group| group.key[part] == first).then_some(first)
    };
    only(base).zip(only(new)).is_some_and(|(base, new)| base != new)
}

/// The runs of each cell, in order of first mention.
pub(super) fn groups<'a>(reports: &[&'a Report]) -> Vec<CellGroup<'a>> {
    let cells = reports.iter().flat_map(|report| &report.cells);
    let cells = cells.filter(|cell| !cell.calibration && !cell.cut_short);
    let groups = group(cells.map(|cell| (cell.id.as_str(), cell))).into_iter();
    groups.map(|(id, runs)| CellGroup { key: key(id), id, runs }).collect()
}

/// The values of each key, in order of first appearance.
pub(super) fn group<K: PartialEq, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

/// The parts of `gso+batch/64/50%/reverse`; missing ones are empty.
fn key(id: &str) -> Key {
    let mut parts = id.splitn(4, '/').map(str::to_owned);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn report(ids: &str) -> Report {
        let template = fixture::cell("plain", 64, "max", 1e3);
        let cell = |id: &str| Cell { id: id.to_owned(), ..template.clone() };
        fixture::report_of(ids.split(' ').map(cell).collect())
    }

    #[test]
    fn pairs_equal_cells_and_those_that_differ_in_one_constant_part() {
        for (base, new, expected) in [
            (
                "plain/64/max plain/512/max",
                "plain/512/max batch/64/max",
                "plain/512/max=plain/512/max, -plain/64/max, +batch/64/max",
            ),
            (
                "plain/64/max plain/64/50%",
                "batch/64/max batch/64/50%",
                "plain/64/max=batch/64/max, plain/64/50%=batch/64/50%",
            ),
            ("plain/64/max", "plain/64/max/reverse", "plain/64/max=plain/64/max/reverse"),
            // Two engines against one is ambiguous.
            ("gso/64/max gro/64/max", "uring/64/max", "-gso/64/max, -gro/64/max, +uring/64/max"),
        ] {
            let (base, new) = (report(base), report(new));
            let (base, new) = ([&base], [&new]);
            let found = pair(&base, &new);
            let both = found.both.iter().map(|(a, b)| format!("{}={}", a.id, b.id));
            let only_base = found.only_base.iter().map(|id| format!("-{id}"));
            let only_new = found.only_new.iter().map(|id| format!("+{id}"));
            let all: Vec<_> = both.chain(only_base).chain(only_new).collect();
            assert_eq!(all.join(", "), expected);
        }
    }
}
