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

#[derive(Debug, Default)]
pub(super) struct Paired<'a> {
    pub(super) both: Vec<(CellGroup<'a>, CellGroup<'a>)>,
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
    let mut groups: Vec<CellGroup<'a>> = Vec::new();
    let cells = reports.iter().flat_map(|report| &report.cells);
    for cell in cells.filter(|cell| !cell.calibration && !cell.cut_short) {
        match groups.iter_mut().find(|group| group.id == cell.id) {
            Some(group) => group.runs.push(cell),
            None => groups.push(CellGroup { key: key(&cell.id), id: &cell.id, runs: vec![cell] }),
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

    fn report(ids: &[&str]) -> Report {
        let mut report = fixture::default_run();
        let template = report.cells[0].clone();
        let cell = |id: &&str| Cell { id: (*id).to_owned(), ..template.clone() };
        report.cells = ids.iter().map(cell).collect();
        report
    }

    fn paired(base: &[&str], new: &[&str]) -> (Vec<(String, String)>, usize, usize) {
        let (base, new) = (report(base), report(new));
        let found = pair(&[&base], &[&new]);
        let both = found.both.iter().map(|(a, b)| (a.id.to_owned(), b.id.to_owned()));
        (both.collect(), found.only_base.len(), found.only_new.len())
    }

    fn same(ids: &[(&str, &str)]) -> Vec<(String, String)> {
        ids.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn cells_meet_by_their_ids() {
        let found = paired(&["plain/64/max", "plain/512/max"], &["plain/512/max", "batch/64/max"]);
        assert_eq!(found, (same(&[("plain/512/max", "plain/512/max")]), 1, 1));
    }

    #[test]
    fn what_each_has_one_of_is_what_is_compared() {
        let (base, new) = (["plain/64/max", "plain/64/50%"], ["batch/64/max", "batch/64/50%"]);
        let both = [(base[0], new[0]), (base[1], new[1])];
        assert_eq!(paired(&base, &new), (same(&both), 0, 0));
        let found = paired(&["plain/64/max"], &["plain/64/max/reverse"]);
        assert_eq!(found.0.len(), 1);
        // Two engines against one is ambiguous.
        let found = paired(&["plain/64/max", "batch/64/max"], &["offload/64/max"]);
        assert_eq!(found.0, []);
    }

    #[test]
    fn trials_are_runs_and_what_is_cut_short_is_none() {
        let mut base = report(&["plain/64/max"; 4]);
        base.cells[1].cut_short = true;
        base.cells[2].calibration = true;
        let found = pair(&[&base], &[&base]);
        assert_eq!(found.both[0].0.runs.len(), 2);
    }
}
