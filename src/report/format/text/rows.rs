//! The rows of the table, and their figures: medians over trials.

use super::style::{INFINITE, UNKNOWN, distinct};
use crate::document::{Bounded, Cell, Latency, Report, Side, StallSum};
use crate::report::checks::metric::{is_infinite, loss};
use crate::report::checks::warnings::is_unsplit;
use crate::unit::{self, RateUnit, show_nanos, show_nanos_above};

pub(in crate::report::format) struct Row<'a> {
    /// The payload: `64`, or `imix`.
    pub(in crate::report::format) size: String,
    /// The engine, as in the cell's id: `plain`, `gso+batch`.
    pub(in crate::report::format) engine: &'a str,
    /// The requested rate; in a merged table `max`.
    pub(in crate::report::format) rate: &'a str,
    /// The direction, if both are measured: `forward` or `reverse`.
    pub(in crate::report::format) direction: Option<&'a str>,
    /// The cells of rate, loss and CPU time, one per trial.
    pub(in crate::report::format) speed: Vec<&'a Cell>,
    /// The cells of latency; other cells than `speed` in a merged table only.
    pub(in crate::report::format) timing: Vec<&'a Cell>,
}

pub(in crate::report::format) struct TableModel<'a> {
    /// By size, then engine, rate and direction.
    pub(in crate::report::format) rows: Vec<Row<'a>>,
    /// If every row joins `max` and one other rate: that rate as requested.
    pub(in crate::report::format) merged: Option<&'a str>,
    pub(super) has_trials: bool,
    pub(super) both_directions: bool,
    pub(super) send_only: bool,
    pub(in crate::report::format) has_requests: bool,
}

impl<'a> TableModel<'a> {
    /// Sorts the cells of a report into rows, without calibration.
    pub(in crate::report::format) fn of(report: &'a Report) -> Self {
        let cells: Vec<_> = measured(report).collect();
        let rates = distinct(cells.iter().map(|cell| cell.rate.as_str()));
        let directions = distinct(cells.iter().map(|cell| cell.direction.as_deref()));
        let (both_directions, send_only) = (directions.len() > 1, is_send_only(report));
        let has_requests = has_requests(report);
        let merged = match rates[..] {
            // Without latency there is nothing to join the other rate for.
            ["max", other] | [other, "max"] if !send_only && !has_requests => Some(other),
            _ => None,
        };
        let pairs = match merged {
            Some(other) => vec![("max", other)],
            None => rates.iter().map(|&rate| (rate, rate)).collect(),
        };
        let mut rows = Vec::new();
        for size in distinct(cells.iter().map(|cell| size(cell))) {
            for engine in distinct(cells.iter().map(|cell| engine(cell))) {
                for &(rate, other) in &pairs {
                    for &direction in &directions {
                        let at = |rate: &str| -> Vec<&Cell> {
                            let is_here = |cell: &&Cell| {
                                (cell.rate.as_str(), cell.direction.as_deref()) == (rate, direction)
                                    && self::engine(cell) == engine
                                    && self::size(cell) == size
                            };
                            cells.iter().copied().filter(is_here).collect()
                        };
                        let (speed, timing) = (at(rate), at(other));
                        if !(speed.is_empty() && timing.is_empty()) {
                            let direction = direction.filter(|_| both_directions);
                            let size = size.clone();
                            rows.push(Row { size, engine, rate, direction, speed, timing });
                        }
                    }
                }
            }
        }
        let has_trials = rows.iter().any(|row| row.speed.len() > 1 || row.timing.len() > 1);
        Self { rows, merged, has_trials, both_directions, send_only, has_requests }
    }

    pub(super) fn timing(&self) -> impl Iterator<Item = &'a Cell> {
        self.rows.iter().flat_map(|row| row.timing.iter().copied())
    }

    /// What its rates are of.
    pub(in crate::report::format) const fn outcome(&self) -> &'static str {
        match (self.send_only, self.has_requests) {
            (true, _) => "sent",
            (_, true) => "answered",
            _ => "delivered",
        }
    }

    /// Shows a rate with what it counts: `271 kpps`, `271k requests/s`.
    pub(in crate::report::format) const fn show_rate(&self) -> fn(f64) -> String {
        RateUnit::of(self.has_requests).show()
    }

    /// A short name of a row: its cells' id, without the rate where rows join two.
    pub(in crate::report::format) fn name(&self, row: &Row<'a>) -> String {
        let id = row.any().map_or("", |cell| cell.id.as_str());
        let id = id.strip_suffix("/reverse").unwrap_or(id);
        let name = match id.rsplit_once('/') {
            Some((name, _)) if self.merged.is_some() => name,
            _ => id,
        };
        row.direction.map_or_else(|| name.to_owned(), |direction| format!("{name} {direction}"))
    }
}

impl<'a> Row<'a> {
    pub(super) fn any(&self) -> Option<&'a Cell> {
        self.timing.first().or_else(|| self.speed.first()).copied()
    }

    /// Whether super-packets were never split.
    pub(in crate::report::format) fn is_unsplit(&self) -> bool {
        self.speed.iter().chain(&self.timing).any(|cell| is_unsplit(cell))
    }

    /// Datagrams delivered per second; sent, if arrivals are unknown.
    pub(in crate::report::format) fn pps(&self) -> Option<f64> {
        median(&self.speed, |cell| far_side(cell).pps)
    }

    /// The lowest and highest of that over the trials; `None` without several.
    pub(in crate::report::format) fn range(&self) -> Option<(f64, f64)> {
        let all = || self.speed.iter().filter_map(|cell| far_side(cell).pps);
        let range = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
        (all().count() > 1).then_some(range)
    }

    /// Half that range, as a share of the median.
    pub(in crate::report::format) fn spread(&self) -> Option<f64> {
        let (middle, (low, high)) = (self.pps().filter(|&pps| pps > 0.0)?, self.range()?);
        Some((high - low) / 2.0 / middle)
    }

    /// The highest loss of its cells, as a share.
    pub(in crate::report::format) fn worst_loss(&self) -> Option<f64> {
        let cells = self.speed.iter().chain(&self.timing);
        cells.filter_map(|cell| loss(cell)).reduce(f64::max)
    }

    pub(super) fn is_infinite(&self, quantile: f64) -> bool {
        let infinite =
            |cell: &Cell| is_infinite(cell, quantile).map(|yes| f64::from(u8::from(yes)));
        median(&self.timing, infinite).is_some_and(|share| share > 0.0)
    }

    /// A percentile or its limit; infinite if it is infinite in half of the trials or more.
    pub(in crate::report::format) fn percentile(&self, quantile: f64, of: BoundedFigure) -> Figure {
        if self.is_infinite(quantile) { Figure::Infinite } else { self.received(of) }
    }

    /// The median over trials of a figure of the received datagrams; an upper limit if some trials
    /// have only a limit.
    pub(super) fn received(&self, of: BoundedFigure) -> Figure {
        let figures = self.timing.iter().filter_map(|cell| {
            let latency = cell.latency.as_ref()?;
            let (ns, limit_ns) = of(latency);
            Some((ns, ns.or(limit_ns)?, latency.bound_ns))
        });
        let figures: Vec<_> = figures.collect();
        let by = |of: fn(&(Option<u64>, u64, u64)) -> u64| {
            unit::median(figures.iter().map(|figure| of(figure) as f64))
        };
        // A withheld figure may be 0; a known one may be longer by its bound.
        let least = by(|(ns, ..)| ns.unwrap_or(0));
        let most = by(|(_, most, _)| *most);
        let limit = by(|(ns, most, bound_ns)| ns.map_or(*most, |ns| ns.saturating_add(*bound_ns)));
        match (most, limit) {
            (Some(most), _) if least == Some(most) => Figure::Known(most.round() as u64),
            (_, Some(limit)) => Figure::Below(limit.ceil() as u64),
            _ => Figure::Unknown,
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        let mut latencies = self.timing.iter().filter_map(|cell| cell.latency.as_ref());
        latencies.any(|latency| latency.outside_stalls.is_some())
    }
}

pub(in crate::report::format) type BoundedFigure = fn(&Latency) -> Bounded;

pub(in crate::report::format) fn p50(latency: &Latency) -> Bounded {
    (latency.p50_ns, latency.limits().p50_ns)
}

pub(in crate::report::format) fn p99(latency: &Latency) -> Bounded {
    (latency.p99_ns, latency.limits().p99_ns)
}

/// A latency in ns, or its upper limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Known(u64),
    Below(u64),
    Infinite,
    Unknown,
}

impl Figure {
    pub(crate) fn of(bounded: Bounded) -> Self {
        match bounded {
            (Some(ns), _) => Self::Known(ns),
            (None, Some(limit_ns)) => Self::Below(limit_ns),
            (None, None) => Self::Unknown,
        }
    }

    /// `8.54 µs`, `<12.1 µs`, or a sign.
    pub(crate) fn show(self) -> String {
        match self {
            Self::Known(ns) => show_nanos(ns),
            Self::Below(ns) => format!("<{}", show_nanos_above(ns)),
            Self::Infinite => INFINITE.to_owned(),
            Self::Unknown => UNKNOWN.to_owned(),
        }
    }
}

/// All cells but those that only measured the rate of `max`.
pub(in crate::report::format) fn measured(report: &Report) -> impl Iterator<Item = &Cell> {
    report.cells.iter().filter(|cell| !cell.calibration)
}

pub(super) fn is_send_only(report: &Report) -> bool {
    !report.cells.is_empty() && report.cells.iter().all(|cell| cell.rx.is_none())
}

pub(super) fn has_requests(report: &Report) -> bool {
    report.cells.iter().any(|cell| cell.exchange.is_some())
}

/// The receiving side, or if unknown, the sending side.
pub(super) fn far_side(cell: &Cell) -> &Side {
    cell.rx.as_ref().unwrap_or(&cell.tx)
}

fn size(cell: &Cell) -> String {
    cell.size_mix.clone().unwrap_or_else(|| cell.size.to_string())
}

fn engine(cell: &Cell) -> &str {
    cell.id.split('/').next().unwrap_or_default()
}

pub(super) fn median_and_worst(
    cells: &[&Cell],
    of: fn(&Cell) -> Option<f64>,
) -> Option<(f64, f64)> {
    median(cells, of).zip(cells.iter().filter_map(|cell| of(cell)).reduce(f64::max))
}

pub(super) fn add_stalls<'a>(all: impl Iterator<Item = &'a StallSum>) -> StallSum {
    all.fold(StallSum::default(), |sum, one| StallSum {
        count: sum.count.saturating_add(one.count),
        total_ns: sum.total_ns.saturating_add(one.total_ns),
        max_ns: sum.max_ns.max(one.max_ns),
    })
}

pub(super) fn median(cells: &[&Cell], of: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
    unit::median(cells.iter().filter_map(|cell| of(cell)))
}
