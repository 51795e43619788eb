//! The named figures of a cell: unit, place in the document, and which way is better.

use crate::document::{Cell, Latency, Schedule};
use crate::unit::{Nanos, Rate, RateUnit, did_you_mean, parse_count, sum_counts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// 0 to 1.
    Share,
    /// In ns.
    Time,
    Packets,
    /// Payload bits per second.
    Bits,
    Count,
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Cells with a rate; if there are none, all.
    Paced,
    /// Cells at `max`; if there are none, all.
    FlatOut,
    All,
}

#[derive(Debug)]
pub(crate) struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub cells: Cells,
    pub better: Better,
    /// Its value; `None` if unknown.
    pub of: fn(&Cell) -> Option<f64>,
    /// Its upper limit if it is a latency below the bound; `None` otherwise.
    pub at_most: fn(&Cell) -> Option<f64>,
}

impl Metric {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// Its value, or its upper limit if it is below the bound.
    pub(crate) fn read(&self, cell: &Cell) -> (Option<f64>, Option<f64>) {
        ((self.of)(cell), (self.at_most)(cell))
    }

    /// Whether only an upper limit of it is known in this cell.
    pub(crate) fn is_withheld(&self, cell: &Cell) -> bool {
        matches!(self.read(cell), (None, Some(_)))
    }

    /// Whether it describes this cell: at `max` latency is the queue, at a rate pps is that rate.
    pub(crate) fn suits(&self, cell: &Cell) -> bool {
        match self.cells {
            Cells::Paced => cell.pace.is_some() || cell.is_closed_loop(),
            Cells::FlatOut => cell.pace.is_none(),
            Cells::All => true,
        }
    }
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    cells: Cells,
    of: fn(&Cell) -> Option<f64>,
) -> Metric {
    Metric { name, kind, cells, better: Better::Lower, of, at_most: |_| None }
}

const fn rate(name: &'static str, kind: MetricKind, of: fn(&Cell) -> Option<f64>) -> Metric {
    Metric { better: Better::Higher, ..metric(name, kind, Cells::FlatOut, of) }
}

const fn time(name: &'static str, of: fn(&Cell) -> Option<f64>) -> Metric {
    metric(name, MetricKind::Time, Cells::Paced, of)
}

/// A latency; withheld if it is below the bound.
const fn withheld(
    name: &'static str,
    of: fn(&Cell) -> Option<f64>,
    at_most: fn(&Cell) -> Option<f64>,
) -> Metric {
    Metric { at_most, ..time(name, of) }
}

const fn count(name: &'static str, of: fn(&Cell) -> Option<f64>) -> Metric {
    metric(name, MetricKind::Count, Cells::All, of)
}

const fn cost(name: &'static str, of: fn(&Cell) -> Option<f64>) -> Metric {
    metric(name, MetricKind::Number, Cells::All, of)
}

/// All metrics, in the order of error messages. From the document's fields.
pub(crate) static METRICS: [Metric; 38] = [
    metric("loss", MetricKind::Share, Cells::All, loss),
    withheld("min", |c| latency(c, |l| l.min_ns), |c| latency(c, |l| l.limits().min_ns)),
    withheld("mean", |c| latency(c, |l| l.mean().0), |c| latency(c, |l| l.mean().1)),
    withheld("p50", |c| latency(c, |l| l.p50_ns), |c| latency(c, |l| l.limits().p50_ns)),
    withheld("p90", |c| latency(c, |l| l.p90_ns), |c| latency(c, |l| l.limits().p90_ns)),
    withheld("p99", |c| latency(c, |l| l.p99_ns), |c| latency(c, |l| l.limits().p99_ns)),
    withheld("p99.9", |c| latency(c, |l| l.p99_9_ns), |c| latency(c, |l| l.limits().p99_9_ns)),
    withheld("p99.99", |c| latency(c, |l| l.p99_99_ns), |c| latency(c, |l| l.limits().p99_99_ns)),
    withheld("max", |c| latency(c, |l| l.max().0), |c| latency(c, |l| l.max().1)),
    withheld(
        "p99_with_loss",
        |c| match p99_with_loss(c)? {
            WithLoss::Known(ns) => Some(ns as f64),
            WithLoss::Infinite => Some(f64::INFINITY),
            WithLoss::Below(_) => None,
        },
        |c| match p99_with_loss(c)? {
            WithLoss::Below(limit_ns) => Some(limit_ns as f64),
            WithLoss::Known(_) | WithLoss::Infinite => None,
        },
    ),
    time("jitter", |c| c.jitter_ns.map(|ns| ns as f64)),
    time("lag_p99", |c| schedule(c, |s| s.lag.p99_ns)),
    time("gap_p99", |c| schedule(c, |s| s.gap.p99_ns)),
    time("in_socket_p99", |c| c.in_socket.as_ref()?.p99_ns.map(|ns| ns as f64)),
    rate("rx_pps", MetricKind::Packets, |c| c.rx.as_ref()?.pps),
    rate("tx_pps", MetricKind::Packets, |c| c.tx.pps),
    rate("rx_bits", MetricKind::Bits, |c| c.rx.as_ref()?.bits_per_second),
    rate("tx_bits", MetricKind::Bits, |c| c.tx.bits_per_second),
    Metric { better: Better::Neither, ..count("sent", |c| Some(c.ledger.sent as f64)) },
    Metric { better: Better::Neither, ..count("received", |c| Some(c.ledger.received? as f64)) },
    count("lost", |c| Some(c.ledger.lost? as f64)),
    count("unaccounted", |c| Some(c.ledger.unaccounted? as f64)),
    count("refused", |c| {
        let r = &c.ledger.refused;
        let all = [r.would_block, r.no_buffers, r.unreachable, r.too_big, r.other];
        Some(sum_counts(all) as f64)
    }),
    count("duplicate", |c| Some(c.ledger.duplicate? as f64)),
    count("late", |c| Some(c.ledger.late? as f64)),
    count("reordered", |c| Some(c.ledger.reordered? as f64)),
    count("foreign", |c| Some(c.ledger.foreign? as f64)),
    count("corrupt", |c| Some(c.ledger.corrupt? as f64)),
    metric("no_reply", MetricKind::Share, Cells::All, |c| {
        let exchange = c.exchange.as_ref()?;
        (exchange.requests > 0).then(|| exchange.timeouts as f64 / exchange.requests as f64)
    }),
    count("timeouts", |c| Some(c.exchange.as_ref()?.timeouts as f64)),
    count("unmatched", |c| Some(c.exchange.as_ref()?.unmatched as f64)),
    count("errors", |c| Some(sum_counts(c.exchange.as_ref()?.errors.values().copied()) as f64)),
    // Only where there is a schedule can a slot be missed.
    metric("missed", MetricKind::Count, Cells::Paced, |c| schedule(c, |s| Some(s.missed))),
    count("stalls", |c| Some(c.stalls.tx.count.saturating_add(c.stalls.rx.as_ref()?.count) as f64)),
    cost("syscalls_per_datagram", |c| c.per_datagram.syscalls),
    cost("context_switches_per_datagram", |c| c.per_datagram.context_switches),
    cost("cpu_ns_per_datagram", |c| c.per_datagram.cpu_ns),
    cost("instructions_per_datagram", |c| c.per_datagram.instructions),
];

pub(crate) fn list() -> String {
    METRICS.each_ref().map(|metric| metric.name).join(", ")
}

/// `did you mean …? ` if a metric is like this word.
pub(crate) fn hint(word: &str) -> String {
    did_you_mean(word, METRICS.each_ref().map(|metric| metric.name))
}

/// What the rates of a cell count.
pub(crate) const fn rate_unit(cell: &Cell) -> RateUnit {
    RateUnit::of(cell.exchange.is_some())
}

/// The share of lost datagrams; `None` if no datagram was sent.
pub(crate) fn loss(cell: &Cell) -> Option<f64> {
    let lost = cell.ledger.lost.filter(|_| cell.ledger.sent > 0)?;
    Some(lost as f64 / cell.ledger.sent as f64)
}

/// The share of answers that are errors; `None` if nothing was answered.
pub(crate) fn error_share(cell: &Cell) -> Option<f64> {
    let exchange = cell.exchange.as_ref().filter(|exchange| exchange.matched > 0)?;
    Some(sum_counts(exchange.errors.values().copied()) as f64 / exchange.matched as f64)
}

fn latency(cell: &Cell, of: fn(&Latency) -> Option<u64>) -> Option<f64> {
    of(cell.latency.as_ref()?).map(|ns| ns as f64)
}

fn schedule(cell: &Cell, of: fn(&Schedule) -> Option<u64>) -> Option<f64> {
    of(cell.schedule.as_ref()?).map(|value| value as f64)
}

impl MetricKind {
    /// Reads a limit of this kind; `None` if it is invalid.
    pub(crate) fn read(self, value: &str) -> Option<f64> {
        let number: Option<f64> = value.parse().ok();
        let count = || parse_count(value).ok().map(|count| count as f64);
        match self {
            Self::Share => match value.strip_suffix('%') {
                Some(percent) => {
                    let percent: f64 = percent.trim().parse().ok()?;
                    // Divided by 100, 0.7 would be less than 0.007, which would then exceed it.
                    let share = || format!("{percent}e-2").parse().ok();
                    (0.0..=100.0).contains(&percent).then(share)?
                }
                // From 1 on it could as well be meant as a percentage.
                None => number.filter(|share| (0.0..1.0).contains(share)),
            },
            Self::Time if number.is_some() => None,
            Self::Time => value.parse().ok().map(|nanos: Nanos| nanos.0 as f64),
            // Zero is not a rate to send at, but it is a limit.
            Self::Packets | Self::Bits | Self::Count if number == Some(0.0) => Some(0.0),
            Self::Packets | Self::Bits => match (self, value.parse().ok()?) {
                (Self::Packets, Rate::Pps(rate)) => Some(rate.pps()),
                (Self::Bits, Rate::Bits(bits)) => Some(bits),
                _ => None,
            },
            Self::Count => count(),
            Self::Number => number.filter(|number| number.is_finite()).or_else(count),
        }
    }

    /// The form of such a limit, for errors.
    pub(crate) const fn takes(self) -> &'static str {
        match self {
            Self::Share => "a percentage such as 0.1%, or a share below 1 such as 0.001",
            Self::Time => "a duration with its unit, such as 200us or 1.5ms",
            Self::Packets => "datagrams or requests per second, such as 200k (K = 1000)",
            Self::Bits => "payload bits per second, such as 1Gbit (G = 1000³)",
            Self::Count => "a whole number, such as 0 or 10k (K = 1000)",
            Self::Number => "a number, such as 0, 1.5 or 10k (K = 1000)",
        }
    }

    /// The value with enough digits to distinguish it from a limit.
    pub(crate) fn show(self, value: f64, rates: RateUnit) -> String {
        if value.is_infinite() {
            return "infinite: it falls among lost datagrams".to_owned();
        }
        match self {
            Self::Share => format!("{}%", significant(value * 100.0)),
            Self::Time => match value {
                ns if ns < 1e3 => format!("{ns} ns"),
                ns if ns < 1e6 => format!("{} µs", ns / 1e3),
                ns if ns < 1e9 => format!("{} ms", ns / 1e6),
                ns => format!("{} s", ns / 1e9),
            },
            Self::Packets => format!("{} {}", significant(value), rates.word().trim_start()),
            Self::Bits => format!("{} bit/s", significant(value)),
            Self::Count => format!("{value}"),
            Self::Number => format!("{}", significant(value)),
        }
    }
}

/// A number with six significant digits, or all digits of its whole part.
fn significant(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let decimals = (5 - value.abs().log10().floor() as i32).max(0);
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

/// The 99th percentile of latency that counts lost datagrams as infinitely slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithLoss {
    Known(u64),
    /// It falls among lost datagrams.
    Infinite,
    /// It is below the bound; its upper limit in ns.
    Below(u64),
}

/// Distinguishes the two reasons of `null` in the document; latency is from the schedule.
pub(crate) fn p99_with_loss(cell: &Cell) -> Option<WithLoss> {
    let latency = cell.latency.as_ref()?;
    if let Some(ns) = latency.p99_with_loss_ns {
        return Some(WithLoss::Known(ns));
    }
    // It is at least p99: if p99 is above the bound, this is not withheld.
    if latency.p99_ns.is_some() || is_infinite(cell, 0.99) == Some(true) {
        return Some(WithLoss::Infinite);
    }
    Some(WithLoss::Below(latency.limits().p99_with_loss_ns?))
}

/// Whether the percentile falls among lost or missed datagrams; `None` without latency.
pub(crate) fn is_infinite(cell: &Cell, quantile: f64) -> Option<bool> {
    let received = cell.latency.as_ref()?.count;
    let missed = cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let never = cell.ledger.lost.unwrap_or(0).saturating_add(missed);
    Some((received.saturating_add(never) as f64 * quantile).ceil() > received as f64)
}

/// Marks a percentile of received datagrams that is infinite with loss; empty if it is not.
pub(crate) fn of_received(cell: &Cell, quantile: f64) -> &'static str {
    let is_infinite = is_infinite(cell, quantile) == Some(true);
    if is_infinite { " (of received; infinite with loss)" } else { "" }
}
