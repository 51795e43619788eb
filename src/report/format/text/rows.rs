//! The rows of the table, and their figures: medians over trials.

use super::requests;
use super::style::distinct;
use crate::document::{Bounded, Cell, Latency, Report, Side, StallSum};
use crate::report::checks::validity::missed_share;
use crate::report::checks::warnings::is_uncut;
use crate::report::checks::with_loss::is_infinite;
use crate::unit::{self, show_nanos, show_nanos_above};

/// Sign for a percentile that falls among lost or missed datagrams.
pub(super) const INFINITE: &str = "∞";

#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The payload, as in the document.
    pub(super) size: String,
    /// The engine, as in the cell's id.
    pub(super) engine: &'a str,
    /// The requested rate; in a merged table `max`.
    pub(super) rate: &'a str,
    /// The direction, if both are measured: `forward` or `reverse`.
    pub(super) way: Option<&'a str>,
    /// The cells of rate, loss and CPU time, one per trial.
    pub(super) speed: Vec<&'a Cell>,
    /// The cells of latency; other cells than `speed` in a merged table only.
    pub(super) timing: Vec<&'a Cell>,
}

#[derive(Debug)]
pub(super) struct TableModel<'a> {
    /// Sizes down, engines within, rates within those.
    pub(super) rows: Vec<Row<'a>>,
    /// If every row joins `max` and one other rate: that rate as requested.
    pub(super) merged: Option<&'a str>,
    pub(super) trials: bool,
    pub(super) both: bool,
    pub(super) one_ended: bool,
    pub(super) asks: bool,
}

impl<'a> TableModel<'a> {
    /// Sorts the cells of a report into rows, without calibration.
    pub(super) fn of(report: &'a Report) -> Self {
        let cells: Vec<_> = report.cells.iter().filter(|cell| !cell.calibration).collect();
        let rates = distinct(cells.iter().map(|cell| cell.rate.as_str()));
        let ways = distinct(cells.iter().map(|cell| cell.direction.as_deref()));
        let (both, one_ended) = (ways.len() > 1, is_one_ended(report));
        let asks = requests::asks(report);
        let merged = match rates[..] {
            // Without latency there is nothing to join the other rate for.
            ["max", other] | [other, "max"] if !one_ended && !asks => Some(other),
            _ => None,
        };
        let lines: Vec<(&str, &str)> = match merged {
            Some(other) => vec![("max", other)],
            None => rates.iter().map(|&rate| (rate, rate)).collect(),
        };
        let mut rows = Vec::new();
        for size in distinct(cells.iter().map(|cell| size(cell))) {
            for engine in distinct(cells.iter().map(|cell| engine(cell))) {
                let at = |rate: &str, way: Option<&str>| -> Vec<&Cell> {
                    let fits = |cell: &&Cell| {
                        cell.rate == rate
                            && cell.direction.as_deref() == way
                            && self::engine(cell) == engine
                            && self::size(cell) == size
                    };
                    cells.iter().copied().filter(fits).collect()
                };
                let lines = lines.iter().flat_map(|line| ways.iter().map(move |&way| (line, way)));
                for (&(rate, other), way) in lines {
                    let (speed, timing) = (at(rate, way), at(other, way));
                    if !(speed.is_empty() && timing.is_empty()) {
                        let (size, way) = (size.clone(), way.filter(|_| both));
                        rows.push(Row { size, engine, rate, way, speed, timing });
                    }
                }
            }
        }
        let trials = rows.iter().any(|row| row.speed.len() > 1 || row.timing.len() > 1);
        Self { rows, merged, trials, both, one_ended, asks }
    }

    /// The highest comparable rate, which fills the bar.
    pub(super) fn highest_pps(&self) -> f64 {
        self.rows.iter().filter_map(|row| self.barred_pps(row)).fold(0.0, f64::max)
    }

    /// The rate that a row has a bar for.
    pub(super) fn barred_pps(&self, row: &Row<'_>) -> Option<f64> {
        let comparable = !row.uncut() || self.rows.iter().all(Row::uncut);
        row.pps().filter(|_| comparable)
    }

    /// A short name of a row: its cells' id, without the rate where rows join two.
    pub(super) fn name(&self, row: &Row<'a>) -> String {
        let cell = row.timing.first().or_else(|| row.speed.first());
        let id = cell.map_or("", |cell| cell.id.as_str());
        let id = id.strip_suffix("/reverse").unwrap_or(id);
        let name = match id.rsplit_once('/') {
            Some((name, _)) if self.merged.is_some() => name,
            _ => id,
        };
        match row.way {
            Some(way) => format!("{name} {way}"),
            None => name.to_owned(),
        }
    }
}

impl Row<'_> {
    pub(super) fn tx(&self) -> &str {
        self.any().map_or("", |cell| &cell.engine.tx)
    }

    pub(super) fn rx(&self) -> &str {
        self.any().map_or("", |cell| &cell.engine.rx)
    }

    fn any(&self) -> Option<&Cell> {
        self.speed.first().or_else(|| self.timing.first()).copied()
    }

    pub(super) fn asks(&self) -> bool {
        self.any().is_some_and(|cell| cell.exchange.is_some())
    }

    /// Whether super-packets were never segmented.
    pub(super) fn uncut(&self) -> bool {
        self.speed.iter().chain(&self.timing).any(|cell| is_uncut(cell))
    }

    /// Datagrams delivered per second; sent, if arrivals are unknown.
    pub(super) fn pps(&self) -> Option<f64> {
        median(&self.speed, |cell| far_side(cell).pps)
    }

    /// Half the range of that over the trials, as a share of the median.
    pub(super) fn spread(&self) -> Option<f64> {
        let all: Vec<f64> = self.speed.iter().filter_map(|cell| far_side(cell).pps).collect();
        let middle = self.pps().filter(|&pps| pps > 0.0 && all.len() > 1)?;
        let (low, high) = all
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &pps| (low.min(pps), high.max(pps)));
        Some((high - low) / 2.0 / middle)
    }

    pub(super) fn bits(&self) -> Option<f64> {
        median(&self.speed, |cell| far_side(cell).bits_per_second)
    }

    /// Median and largest loss over trials.
    pub(super) fn loss(&self) -> Option<(f64, f64)> {
        median_and_worst(&self.speed, loss)
    }

    /// The same of the cells with the latency figures.
    pub(super) fn timing_loss(&self) -> Option<(f64, f64)> {
        median_and_worst(&self.timing, loss)
    }

    /// The same of the missed schedule.
    pub(super) fn missed(&self) -> Option<(f64, f64)> {
        median_and_worst(&self.timing, missed_share)
    }

    pub(super) fn tx_cpu(&self) -> Option<f64> {
        median(&self.speed, |cell| cpu(cell.tx.cpu_ns, cell.elapsed_ns))
    }

    pub(super) fn rx_cpu(&self) -> Option<f64> {
        median(&self.speed, |cell| cpu(cell.rx.as_ref()?.cpu_ns, cell.elapsed_ns))
    }

    /// A percentile or its limit; infinite if it is infinite in half of the trials or more.
    pub(super) fn percentile(&self, quantile: f64, of: fn(&Latency) -> Bounded) -> Option<Figure> {
        if self.is_infinite(quantile) { Some(Figure::Infinite) } else { self.received(of) }
    }

    pub(super) fn is_infinite(&self, quantile: f64) -> bool {
        let infinite =
            |cell: &Cell| is_infinite(cell, quantile).map(|yes| f64::from(u8::from(yes)));
        median(&self.timing, infinite).is_some_and(|share| share > 0.0)
    }

    /// A percentile of the received datagrams, or its upper limit.
    pub(super) fn received(&self, of: fn(&Latency) -> Bounded) -> Option<Figure> {
        self.figure(|latency| Figure::of(of(latency)))
    }

    pub(super) fn max(&self) -> Option<Figure> {
        self.figure(|latency| Figure::of(latency.max()))
    }

    /// The median over trials; an upper limit if some trials have only a limit.
    fn figure(&self, of: impl Fn(&Latency) -> Option<Figure>) -> Option<Figure> {
        let by = |limit: fn(Figure, u64) -> f64| {
            median(&self.timing, |cell| {
                let latency = cell.latency.as_ref()?;
                Some(limit(of(latency)?, latency.bound_ns))
            })
        };
        let least = by(|figure, _| figure.ends().0)?;
        let most = by(|figure, _| figure.ends().1)?;
        Some(if least == most {
            Figure::Known(most.round() as u64)
        } else {
            Figure::Below(by(Figure::upper_limit)?.ceil() as u64)
        })
    }

    pub(super) fn stalled(&self) -> bool {
        self.timing.iter().any(|cell| {
            cell.latency.as_ref().is_some_and(|latency| latency.outside_stalls.is_some())
        })
    }

    pub(super) fn max_outside_stalls(&self) -> Option<Figure> {
        self.figure(|latency| Figure::of(latency.max_outside_stalls()))
    }
}

/// A latency in ns, or its upper limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Known(u64),
    Below(u64),
    Infinite,
}

impl Figure {
    /// `None` if neither the figure nor a limit is known.
    pub(super) fn of((ns, limit_ns): Bounded) -> Option<Self> {
        ns.map(Self::Known).or_else(|| limit_ns.map(Self::Below))
    }

    /// The interval that contains the true value: a withheld figure may be 0.
    fn ends(self) -> (f64, f64) {
        match self {
            Self::Known(ns) => (ns as f64, ns as f64),
            Self::Below(ns) => (0.0, ns as f64),
            Self::Infinite => (f64::INFINITY, f64::INFINITY),
        }
    }

    /// Upper limit of the true value, if figures are known within ± `bound_ns`.
    fn upper_limit(self, bound_ns: u64) -> f64 {
        match self {
            Self::Known(ns) => ns.saturating_add(bound_ns) as f64,
            figure => figure.ends().1,
        }
    }

    /// `8.54 µs`, `<12.1 µs`, or `∞`.
    pub(super) fn show(self) -> String {
        match self {
            Self::Known(ns) => show_nanos(ns),
            Self::Below(ns) => format!("<{}", show_nanos_above(ns)),
            Self::Infinite => INFINITE.to_owned(),
        }
    }
}

/// Whether arrivals are unknown.
pub(super) fn is_one_ended(report: &Report) -> bool {
    !report.cells.is_empty() && report.cells.iter().all(|cell| cell.rx.is_none())
}

/// The receiving side, or if unknown, the sending side.
fn far_side(cell: &Cell) -> &Side {
    cell.rx.as_ref().unwrap_or(&cell.tx)
}

/// The payload of a cell as shown: `64`, or `imix`.
fn size(cell: &Cell) -> String {
    cell.size_mix.clone().unwrap_or_else(|| cell.size.to_string())
}

/// The engine of a cell as in its id: `plain`, `gso+batch`.
fn engine(cell: &Cell) -> &str {
    cell.id.split('/').next().unwrap_or_default()
}

/// The loss; `None` if no datagram was sent.
pub(super) fn loss(cell: &Cell) -> Option<f64> {
    let ledger = &cell.ledger;
    let lost = ledger.lost.filter(|_| ledger.sent > 0)?;
    Some(lost as f64 / ledger.sent as f64)
}

fn median_and_worst(cells: &[&Cell], of: fn(&Cell) -> Option<f64>) -> Option<(f64, f64)> {
    median(cells, of).zip(cells.iter().filter_map(|cell| of(cell)).reduce(f64::max))
}

fn cpu(cpu_ns: Option<u64>, elapsed_ns: u64) -> Option<f64> {
    cpu_ns.filter(|_| elapsed_ns > 0).map(|cpu_ns| cpu_ns as f64 / elapsed_ns as f64)
}

/// Stalls of several cells and sides as one.
pub(super) fn add_stalls<'a>(all: impl Iterator<Item = &'a StallSum>) -> StallSum {
    all.fold(StallSum::default(), |sum, one| StallSum {
        count: sum.count.saturating_add(one.count),
        total_ns: sum.total_ns.saturating_add(one.total_ns),
        max_ns: sum.max_ns.max(one.max_ns),
    })
}

fn median(cells: &[&Cell], of: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
    unit::median(cells.iter().filter_map(|cell| of(cell)))
}
