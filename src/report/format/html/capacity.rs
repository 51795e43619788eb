//! The steps of a capacity probe as points of latency against rate.

use super::{Chart, RateLimit, RatePoint, Tone, latency_by_rate};
use crate::document::{CapacityStep, Report};
use crate::report::format::text::Figure;
use crate::report::format::text::style::percent;
use crate::unit::show_requests;

/// A chart of all steps; none without a probe, or if nothing was answered.
pub(super) fn steps(report: &Report) -> Vec<Chart> {
    let Some(capacity) = &report.capacity else { return Vec::new() };
    let points: Vec<_> = capacity.steps.iter().filter_map(point).collect();
    let limit = capacity.requests_per_s.map(|rate| RateLimit {
        pps: (rate, capacity.failed_per_s.unwrap_or(rate).max(rate)),
        label: format!("capacity {}", show_requests(rate)),
    });
    let title = "closed loop, then open loop".to_owned();
    let words = (title, "p50 and p99 by answered rate".to_owned(), show_requests as _);
    latency_by_rate(words, &points, limit.as_ref()).into_iter().collect()
}

fn point(step: &CapacityStep) -> Option<RatePoint> {
    let known = |ns: Option<u64>| ns.map_or(Figure::Unknown, Figure::Known);
    let asked = match (step.outstanding, step.rate_per_s) {
        (Some(window), _) => format!("{window} in flight"),
        (None, rate) => format!("asked {}", show_requests(rate.unwrap_or(0.0))),
    };
    let lost = step.loss.filter(|share| *share > 0.0);
    let lost = lost.map_or_else(String::new, |share| format!(", no reply {}", percent(share)));
    Some(RatePoint {
        pps: step.answered_per_s?,
        p50: known(step.p50_ns),
        p99: known(step.p99_ns),
        note: asked + &lost,
        tone: if step.held { Tone::Plain } else { Tone::Bad },
        on_line: step.outstanding.is_none() && step.held,
    })
}
