//! Matches the cells of two sides, and the steps of scenario files that they are of.

use crate::document::{Cell, Report};

/// The parts of an id: engine, payload, requested rate, direction.
type Key = [String; 4];

#[derive(Debug)]
pub(super) struct CellGroup<'a> {
    key: Key,
    /// The step of a scenario file that measured it.
    step: Option<&'a str>,
    pub(super) id: &'a str,
    /// Its first run, which has the host and the scenario.
    pub(super) report: &'a Report,
    pub(super) runs: Vec<&'a Cell>,
}

/// A cell of the base and the same of the new runs.
pub(super) type CellPair<'a> = (CellGroup<'a>, CellGroup<'a>);

impl CellGroup<'_> {
    /// Its id, behind the name of its step.
    pub(super) fn name(&self) -> String {
        named(self.step, self.id)
    }
}

/// Puts the name of a step before a text, as `steady: plain/64/max`.
pub(super) fn named(step: Option<&str>, id: &str) -> String {
    step.map_or_else(|| id.to_owned(), |step| format!("{step}: {id}"))
}

/// The runs of one step on both sides; without scenario files, all runs.
#[derive(Debug, Default)]
pub(super) struct StepPair<'a> {
    pub(super) step: Option<&'a str>,
    pub(super) base: Vec<&'a Report>,
    pub(super) new: Vec<&'a Report>,
}

impl StepPair<'_> {
    pub(super) const fn is_on_both(&self) -> bool {
        !self.base.is_empty() && !self.new.is_empty()
    }
}

/// The steps of both sides, in the order of the base, then those that only the new runs have.
pub(super) fn steps<'a>(base: &[StepRun<'a>], new: &[StepRun<'a>]) -> Vec<StepPair<'a>> {
    let mut found: Vec<StepPair<'a>> = Vec::new();
    let sides = base.iter().map(|run| (run, true)).chain(new.iter().map(|run| (run, false)));
    for (run, is_base) in sides {
        let at = found.iter().position(|one| one.step == run.step).unwrap_or_else(|| {
            found.push(StepPair { step: run.step, ..StepPair::default() });
            found.len() - 1
        });
        let side = if is_base { &mut found[at].base } else { &mut found[at].new };
        side.push(run.report);
    }
    found
}

/// A run, and the step of a scenario file that it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepRun<'a> {
    pub(crate) step: Option<&'a str>,
    pub(crate) report: &'a Report,
}

impl<'a> StepRun<'a> {
    /// Runs without a step.
    pub(crate) fn all(reports: impl IntoIterator<Item = &'a Report>) -> Vec<Self> {
        reports.into_iter().map(|report| Self { step: None, report }).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Paired<'a> {
    pub(super) both: Vec<CellPair<'a>>,
    pub(super) only_base: Vec<String>,
    pub(super) only_new: Vec<String>,
}

/// Matches the cells of each step.
pub(super) fn pair_steps<'a>(steps: &[StepPair<'a>]) -> Paired<'a> {
    let mut all = Paired::default();
    for StepPair { step, base, new } in steps {
        let Paired { both, only_base, only_new } = pair(*step, base, new);
        all.both.extend(both);
        all.only_base.extend(only_base);
        all.only_new.extend(only_new);
    }
    all
}

/// Matches cells by the parts of their ids. A part that is constant on each side but differs
/// between them, such as the engine, is what is compared, and is ignored.
fn pair<'a>(step: Option<&'a str>, base: &[&'a Report], new: &[&'a Report]) -> Paired<'a> {
    let of_step = |reports| {
        let groups = groups(reports).into_iter();
        groups.map(|group| CellGroup { step, ..group }).collect::<Vec<_>>()
    };
    let (base, mut new) = (of_step(base), of_step(new));
    let ignored: Vec<usize> = (0..4).filter(|&part| is_compared(part, &base, &new)).collect();
    let equal = |a: &Key, b: &Key| (0..4).all(|part| ignored.contains(&part) || a[part] == b[part]);
    let mut paired = Paired::default();
    for group in base {
        match new.iter().position(|other| equal(&group.key, &other.key)) {
            Some(at) => paired.both.push((group, new.remove(at))),
            None => paired.only_base.push(group.name()),
        }
    }
    paired.only_new = new.iter().map(CellGroup::name).collect();
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
    let cells = reports.iter().flat_map(|&report| {
        let cells = report.cells.iter().filter(|cell| !cell.calibration && !cell.cut_short);
        cells.map(move |cell| (cell.id.as_str(), (report, cell)))
    });
    let groups = group(cells).into_iter().filter_map(|(id, runs)| {
        let report = runs.first()?.0;
        let runs = runs.into_iter().map(|(_, cell)| cell).collect();
        Some(CellGroup { key: key(id), step: None, id, report, runs })
    });
    groups.collect()
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
            let found = pair(None, &base, &new);
            let both = found.both.iter().map(|(a, b)| format!("{}={}", a.id, b.id));
            let only_base = found.only_base.iter().map(|id| format!("-{id}"));
            let only_new = found.only_new.iter().map(|id| format!("+{id}"));
            let all: Vec<_> = both.chain(only_base).chain(only_new).collect();
            assert_eq!(all.join(", "), expected);
        }
    }
}
