//! The times of captures as the pace of a run.

use crate::cli::error::{CliError, CliResult};
use crate::cli::scenario::TIME;
use crate::document::CaptureClock;
use crate::payload::{PayloadError, Requests};
use crate::plan::Limit;
use crate::report::format::text::style::counted;
use crate::unit::show_nanos;

fn clock_of(requests: &Requests) -> Option<CaptureClock> {
    requests.input.as_ref()?.clock
}

/// The times of a capture, leaked so that all threads can read them; `None` without a capture.
pub(in crate::cli) fn recorded_times(
    requests: &Requests,
    from: &str,
) -> CliResult<Option<&'static [u64]>> {
    let Some(moments) = &requests.recorded else { return Ok(None) };
    let clock = clock_of(requests).unwrap_or_default();
    if clock.mean_gap_ns.is_none() {
        let why = match moments.len() as u64 {
            1 => "it has a single packet",
            count if count == clock.untimed => "its packets have no times",
            _ => "all its packets have the same time",
        };
        let (from, source) = (from.to_owned(), PayloadError::NoPace { why });
        return Err(CliError::Requests { from, source });
    }
    Ok(Some(Box::leak(moments[..].into())))
}

/// Faults in the times of a capture, one line each; a gap is reported if it is longer than the run.
pub(in crate::cli) fn recorded_notes(requests: &Requests, limit: Limit) -> Vec<String> {
    let Some((clock, moments)) = clock_of(requests).zip(requests.recorded.as_deref()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let gap = show_nanos(clock.mean_gap_ns.unwrap_or_default());
    if clock.steps_back > 0 {
        let most = show_nanos(clock.largest_step_back_ns);
        let times = counted(clock.steps_back, "time");
        notes.push(format!(
            "the capture's clock stepped back {times}, by {most} at most; packets after a step \
             follow at the mean gap of {gap}"
        ));
    }
    if clock.untimed > 0 {
        let packets = counted(clock.untimed, "packet");
        notes.push(format!("{packets} without a time: sent at the mean gap of {gap}"));
    }
    if clock.in_standstill > 0 {
        let packets = counted(clock.in_standstill, "packet");
        notes.push(format!(
            "the capture's clock stalled for {packets}; they are spread, not sent at once"
        ));
    }
    notes.extend(leap(moments, limit));
    notes
}

/// Reports gaps that are longer than the run, or than a default run if a count bounds it.
pub(super) fn leap(moments: &[u64], limit: Limit) -> Option<String> {
    let (most, requests) = match limit {
        Limit::Time(time) => (time, moments.len()),
        Limit::Count(count) => (TIME, usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]).take(requests.saturating_sub(1));
    let mut leaps = gaps.zip(1_u64..).filter(|(gap, _)| *gap > most.0);
    let first = leaps.next()?;
    let (count, (longest, at)) = leaps.fold((1, first), |(count, longest), leap| {
        (count + 1, if leap.0 > longest.0 { leap } else { longest })
    });
    let (gap, behind) = (show_nanos(first.0), first.1);
    let all = match count {
        1 => String::new(),
        _ => format!(" ({count} leaps, the longest {} after request {at})", show_nanos(longest)),
    };
    let most = show_nanos(most.0);
    Some(match limit {
        Limit::Time(_) => format!(
            "after request {behind}, the capture's clock leaps {gap} ahead{all}, longer than the \
             run of {most}: what follows is not sent; --pace even has no gaps"
        ),
        Limit::Count(_) => format!(
            "after request {behind}, the capture's clock leaps {gap} ahead{all}, and nothing is \
             sent meanwhile; --time bounds the run, --pace even has no gaps"
        ),
    })
}
