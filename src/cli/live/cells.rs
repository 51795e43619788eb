//! The view of a run that measures cells.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::model::{ListRow, Model, cpu};
use super::view::LiveView;
use crate::cli::args::{LiveArgs, OutputArgs};
use crate::cli::error::CliResult;
use crate::cli::progress::{
    intervals::{IntervalProgress, drops_note},
    time_left,
};
use crate::document::{Cell, Interval, KernelDrops};
use crate::plan::{Direction, Plan, Route};
use crate::report;
use crate::report::checks::metric::rate_unit;
use crate::report::format::text::style::{UNKNOWN, counted, grouped, percent};
use crate::run::Progress;
use crate::unit::{RateUnit, show_nanos, sum_counts};

pub(crate) struct CellsView<'a> {
    view: LiveView,
    plan: &'a Plan,
    intervals: IntervalProgress<'a>,
    /// The number of the cell, and when it began.
    cell: (usize, Instant),
}

impl<'a> CellsView<'a> {
    /// Opens it if it is wanted and there is a terminal.
    pub(crate) fn open(
        (args, output): (&LiveArgs, &OutputArgs),
        kind: &str,
        plan: &'a Plan,
        stop: &Arc<AtomicBool>,
    ) -> CliResult<Option<Self>> {
        if !args.live {
            return Ok(None);
        }
        let model = Model {
            is_both: plan.scenario.route == Route::Both,
            title: format!("udperf {kind} {}", plan.scenario.target).trim_end().to_owned(),
            state: "starts".to_owned(),
            unit: RateUnit::of(plan.scenario.asking.is_some()),
            titles: ["cells done", "rate", "lost", "loss", "p50", "p99", "most lost at"],
            ..Model::default()
        };
        let busy: Vec<_> = plan.tx_cores.iter().chain(&plan.rx_cores).flatten().copied().collect();
        let Some(view) = LiveView::open(model, output.color, &busy, stop)? else { return Ok(None) };
        let intervals = IntervalProgress::new(plan, false);
        Ok(Some(Self { view, plan, intervals, cell: (usize::MAX, Instant::now()) }))
    }

    /// Takes over what has changed.
    pub(crate) fn progress(&mut self, progress: Progress<'_>) {
        let Progress { done, of, id, live, .. } = progress;
        let is_new = self.cell.0 != done;
        if is_new {
            self.cell = (done, Instant::now());
            self.intervals.begin_cell();
        }
        let [forward, reverse] =
            live.map(|live| self.intervals.observe(done, live)).unwrap_or_default();
        let is_sent = self.plan.scenario.route.sends();
        let (new, back) = if is_sent { (forward, reverse) } else { (reverse, forward) };
        let drops = live.and_then(report::build::live_drops);
        let time = self.plan.scenario.limit.time();
        let time = time.map(|time| format!(" of {time}")).unwrap_or_default();
        let phase = match live {
            Some(live) => format!("{:.0} s{time}", live.elapsed().as_secs_f64().floor()),
            None => "not measuring".to_owned(),
        };
        let left = time_left(progress, self.cell.1).unwrap_or_default();
        let trial = self.plan.cells.get(done).map_or(0, |cell| cell.trial);
        let trial = trial_word(self.plan.scenario.trials, trial);
        self.view.update(|model| {
            if is_new {
                model.intervals.clear();
                model.reverse.clear();
            }
            model.intervals.extend(new);
            model.reverse.extend(back);
            model.state = format!("cell {}/{of} {id}{trial} · {phase}{left}", done + 1);
            model.facts = facts(&model.intervals, drops.as_ref());
            if model.is_both {
                let text = so_far(&model.reverse).join(" · ");
                model.facts.insert(1, ("received", text));
            }
        });
    }

    /// Shows the result of a cell, which has what its intervals did not know.
    pub(crate) fn measured(&mut self, cell: &Cell) {
        let is_back = self.plan.scenario.route == Route::Both
            && cell.direction.as_deref() == Some(Direction::Reverse.word());
        let trial = trial_word(self.plan.scenario.trials, cell.trial);
        let row = row(cell, &(trial + if is_back { " reverse" } else { "" }));
        self.view.update(|model| {
            let shown = if is_back { &mut model.reverse } else { &mut model.intervals };
            shown.clone_from(&cell.intervals);
            model.add_row(row);
        });
    }
}

fn trial_word(trials: u32, trial: u32) -> String {
    if trials > 1 { format!(" #{}", trial + 1) } else { String::new() }
}

/// The sum of a count over intervals, if it is known in all.
fn sum(intervals: &[Interval], of: fn(&Interval) -> Option<u64>) -> Option<u64> {
    intervals.iter().map(of).sum::<Option<u64>>().filter(|_| !intervals.is_empty())
}

fn known(name: &str, count: Option<u64>) -> String {
    format!("{name} {}", count.map_or_else(|| UNKNOWN.to_owned(), grouped))
}

/// Counts of these intervals: three always, and of the rest what there is.
fn so_far(intervals: &[Interval]) -> Vec<String> {
    let counts = [
        ("sent", sum(intervals, |one| Some(one.sent))),
        ("received", sum(intervals, |one| one.received)),
        ("lost", sum(intervals, |one| one.lost)),
        ("refused", sum(intervals, |one| one.refused)),
        ("duplicate", sum(intervals, |one| one.duplicate)),
        ("reordered", sum(intervals, |one| one.reordered)),
        ("late", sum(intervals, |one| one.late)),
    ];
    let (always, rest) = counts.split_at(3);
    let rest = rest.iter().filter(|(_, count)| count.is_some_and(|count| count > 0));
    always.iter().chain(rest).map(|one| known(one.0, one.1)).collect()
}

/// The results of the cell so far, in lines with labels.
fn facts(intervals: &[Interval], drops: Option<&KernelDrops>) -> Vec<(&'static str, String)> {
    let lost = sum(intervals, |one| one.lost);
    let stalls = sum_counts(intervals.iter().filter_map(|one| one.stalls));
    let stalled = sum_counts(intervals.iter().filter_map(|one| one.stalled_ns));
    let stalls = match stalls {
        _ if intervals.is_empty() => UNKNOWN.to_owned(),
        0 => "none".to_owned(),
        stalls => format!("{}, {} in all", counted(stalls, "stall"), show_nanos(stalled)),
    };
    let cpu = intervals.last().and_then(cpu).unwrap_or_else(|| UNKNOWN.to_owned());
    vec![
        ("so far", so_far(intervals).join(" · ")),
        ("drops", drops.map_or_else(|| UNKNOWN.to_owned(), |drops| places(drops, lost))),
        ("stalls", format!("{stalls} · CPU {cpu}")),
    ]
}

/// Where the kernel counted drops, and whether that is more than was lost.
fn places(drops: &KernelDrops, lost: Option<u64>) -> String {
    let all = [
        ("receive buffer", drops.receive_buffer),
        ("backlog", drops.backlog),
        ("device", drops.device),
        ("tx device", drops.tx_device),
        ("qdisc", drops.qdisc),
        ("checksum", drops.checksum),
        ("no port", drops.no_port),
        // Other engines have no ring.
        ("xdp ring", drops.xdp_ring.or(Some(0))),
    ];
    let is_shown = |(_, count): &&(&str, Option<u64>)| *count != Some(0);
    let shown: Vec<_> = all.iter().filter(is_shown).map(|one| known(one.0, one.1)).collect();
    if shown.is_empty() {
        return "none".to_owned();
    }
    shown.join(" · ") + drops_note(drops, lost)
}

/// A measured cell.
fn row(cell: &Cell, trial: &str) -> ListRow {
    let unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let (ledger, latency) = (&cell.ledger, cell.latency.as_ref());
    let loss = ledger.lost.filter(|_| ledger.sent > 0);
    let places = ledger.lost_at.places().into_iter().chain([("unaccounted", ledger.unaccounted)]);
    let most = places.filter_map(|(name, count)| Some((name, count.filter(|count| *count > 0)?)));
    let most = most.max_by_key(|(_, count)| *count).map(|(name, _)| name.replace('_', " "));
    [
        format!("{}{trial}", cell.id),
        unknown(cell.rx.as_ref().unwrap_or(&cell.tx).pps.map(rate_unit(cell).show_short())),
        unknown(ledger.lost.map(grouped)),
        unknown(loss.map(|lost| percent(lost as f64 / ledger.sent as f64))),
        unknown(latency.and_then(|latency| latency.p50_ns).map(show_nanos)),
        unknown(latency.and_then(|latency| latency.p99_ns).map(show_nanos)),
        if ledger.lost == Some(0) { String::new() } else { unknown(most) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_other_traffic_are_not_shown_as_losses() {
        let (some, none) = (Some(5), Some(0));
        let drops = KernelDrops {
            receive_buffer: none,
            backlog: some,
            device: some,
            qdisc: none,
            ..Default::default()
        };
        let drops = KernelDrops { tx_device: none, checksum: none, no_port: none, ..drops };
        for (lost, note) in
            [(Some(5), ""), (Some(4), " (of all traffic)"), (None, " (of all traffic)")]
        {
            assert_eq!(places(&drops, lost), format!("backlog 5 · device 5{note}"));
        }
    }

    #[test]
    fn what_is_not_known_is_not_0() {
        let text = |facts: Vec<(_, String)>| facts.into_iter().map(|(_, text)| text).collect();
        let nothing: Vec<String> = text(facts(&[], None));
        assert!(nothing.iter().all(|line| !line.contains('0')), "{nothing:?}");
        let alone = Interval { end_ns: 1_000, sent: 9, ..Interval::default() };
        let both = Interval { received: Some(7), lost: Some(2), stalls: Some(1), ..alone.clone() };
        let of_both: Vec<String> = text(facts(std::slice::from_ref(&both), None));
        assert_eq!(of_both[0], "sent 9 · received 7 · lost 2");
        assert!(of_both[2].starts_with("1 stall, "), "{of_both:?}");
        let mixed: Vec<String> = text(facts(&[both, alone], None));
        assert_eq!(mixed[0], "sent 18 · received – · lost –");
        assert_eq!(mixed[1], "–");
        let drops = KernelDrops { receive_buffer: Some(5), qdisc: Some(0), ..Default::default() };
        assert!(places(&drops, Some(5)).starts_with("receive buffer 5 · backlog – ·"));
        let none = Some(0);
        let drops = KernelDrops { receive_buffer: none, backlog: none, device: none, ..drops };
        let drops = KernelDrops { tx_device: none, checksum: none, no_port: none, ..drops };
        assert_eq!(places(&drops, None), "none");
    }
}
