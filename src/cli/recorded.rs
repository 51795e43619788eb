//! The times of a capture as a schedule. Faults in the times are reported, and a capture without
//! times is refused.

use super::error::CliError;
use crate::cli::scenario;
use crate::payload::{PayloadError, Requests};
use crate::plan::Limit;
use crate::unit::show_nanos;

/// The times of a capture, leaked so that all threads can read them; `None` without a capture.
pub(super) fn moments(requests: &Requests, from: &str) -> Result<Option<&'static [u64]>, CliError> {
    let Some(moments) = requests.recorded() else { return Ok(None) };
    let clock = requests.input().and_then(|input| input.clock).unwrap_or_default();
    if clock.mean_gap_ns.is_none() {
        let why = match moments.len() as u64 {
            1 => "it has a single packet",
            count if count == clock.untimed => "its packets have no times",
            _ => "all its packets have the same time",
        };
        let (from, source) = (from.to_owned(), PayloadError::NoPace { why });
        return Err(CliError::Requests { from, source });
    }
    Ok(Some(Box::leak(moments.into())))
}

/// Faults in the times of a capture, one line each; a gap is reported if it is longer than the run.
pub(super) fn notes(requests: &Requests, limit: Limit) -> Vec<String> {
    let Some((clock, moments)) =
        requests.input().and_then(|input| input.clock).zip(requests.recorded())
    else {
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
fn leap(moments: &[u64], limit: Limit) -> Option<String> {
    let (most, asked) = match limit {
        Limit::Time(time) => (time, moments.len()),
        Limit::Count(count) => (scenario::TIME, usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]).take(asked.saturating_sub(1));
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

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Nanos;

    #[test]
    fn leaps_longer_than_the_run_are_reported() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let moments = [0, 10, 20, 20 + HOUR_NS, 30 + HOUR_NS];
        let run = |limit| leap(&moments, limit);
        let said = run(Limit::Time(Nanos::from_millis(10_000))).unwrap();
        assert!(said.starts_with("after request 3, ") && said.contains("not sent"), "{said}");
        assert_eq!(run(Limit::Time(Nanos(HOUR_NS))), None);
        assert!(run(Limit::Count(5)).unwrap().contains("--time"));
        assert_eq!(run(Limit::Count(3)), None, "the leap is not reached");
        assert!(!run(Limit::Count(5)).unwrap().contains("leaps, the longest"), "one is enough");
    }

    #[test]
    fn all_leaps_are_counted_and_the_longest_is_named() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let gaps = [10, HOUR_NS, 10, 3 * HOUR_NS, 2 * HOUR_NS, 10];
        let moments: Vec<_> = std::iter::once(0)
            .chain(gaps.iter().scan(0, |at, gap| {
                *at += gap;
                Some(*at)
            }))
            .collect();
        let said = leap(&moments, Limit::Count(7)).unwrap();
        let part = "after request 2, the capture's clock leaps 3600 s ahead (3 leaps, the longest \
                    10800 s after request 4), and";
        assert!(said.starts_with(part), "{said}");
        let said = leap(&moments, Limit::Count(5)).unwrap();
        assert!(said.contains("(2 leaps, the longest 10800 s after request 4)"), "{said}");
        let said = leap(&moments, Limit::Time(Nanos(HOUR_NS))).unwrap();
        assert!(said.starts_with("after request 4, "), "{said}");
        assert!(said.contains("(2 leaps, the longest 10800 s after request 4)"), "{said}");
    }
}
