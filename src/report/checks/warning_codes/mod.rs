//! The table of all warning codes: severity, size in a cell, and explanation.

mod reasons;
mod table;

use std::cmp::Reverse;

use crate::document::{Cell, Warning};
use crate::unit::sum_counts;

pub(crate) use reasons::*;
pub(crate) use table::*;

/// How much a warning affects the figures, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Figures are wrong, or measure something else than requested.
    Critical,
    /// Figures are distorted, or the limit was not what was to be measured.
    Major,
    /// Explains loss or latency, or adds noise.
    Minor,
    Info,
}

impl Severity {
    pub(crate) const fn word(self) -> &'static str {
        ["critical", "major", "minor", "info"][self as usize]
    }
}

/// The size of a warning in a cell. Sizes of one code compare by share, then by amount.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Size {
    /// The share of datagrams, requests or time that is affected, if that is known.
    share: Option<f64>,
    amount: f64,
}

/// Share up to which a major warning is a minor one. Arbitrary, as in the checks of losses.
const MINOR_SHARE: f64 = 0.001;

/// The share that stands for an unknown one in the order of warnings. Arbitrary: a loss above it is
/// more important than a warning about the host that may explain it.
const UNKNOWN_SHARE: f64 = 0.01;

/// A kind of warning, or a reason why a run is invalid.
pub(crate) struct Code {
    /// The code in the document: stable over time, lower case with underscores.
    pub name: &'static str,
    pub severity: Severity,
    /// What it means, in a line.
    pub title: &'static str,
    /// What causes it, what it does to the figures, and what to do.
    pub text: &'static str,
    /// Its size in a cell; `None` where the first number of the message is its size.
    size: fn(&Cell) -> Option<Size>,
}

impl Code {
    /// How much it affects the figures of this cell, and the share it affects.
    fn weight(&self, cell: Option<&Cell>) -> (Severity, f64) {
        let share = cell.and_then(self.size).and_then(|size| size.share);
        let is_small = share.is_some_and(|share| share <= MINOR_SHARE);
        let severity = match self.severity {
            Severity::Major if is_small => Severity::Minor,
            severity => severity,
        };
        (severity, share.unwrap_or(UNKNOWN_SHARE).min(1.0))
    }

    /// The warning with this message: what happened, its size and, after the last `; `, what to do.
    pub(crate) fn warning(&self, message: impl Into<String>) -> Warning {
        let (code, message) = (self.name.to_owned(), message.into());
        #[cfg(test)]
        assert!(
            message.rsplit_once("; ").is_some_and(|(_, advice)| !advice.trim().is_empty()),
            "{code} without advice: {message}"
        );
        #[cfg(test)]
        assert_eq!(ungrouped(&message), None, "{code}: a count without separators: {message}");
        Warning { code, message }
    }
}

/// Rows of the table; `by` is the size of the warning in a cell.
macro_rules! codes {
    (@size) => { |_| None };
    (@size $size:expr) => { $size };
    ($list:ident; $(
        $name:ident $code:literal $severity:ident $(by $size:expr,)? $title:literal, $text:literal;
    )*) => {
        $(
            pub(crate) static $name: super::Code = super::Code {
                name: $code,
                severity: super::Severity::$severity,
                title: $title,
                text: $text,
                size: codes!(@size $($size)?),
            };
        )*
        pub(crate) static $list: &[&super::Code] = &[$(&$name),*];
    };
}
use codes;

/// All codes of warnings, in the order of subjects.
pub(crate) fn all() -> impl Iterator<Item = &'static Code> {
    [RUN, DATAGRAMS, REQUESTS, HOST, COMPARISON].into_iter().flatten().copied()
}

#[cfg(test)]
pub(crate) fn of_cells() -> impl Iterator<Item = &'static Code> {
    [RUN, DATAGRAMS, REQUESTS].into_iter().flatten().copied()
}

/// The prefix of codes that are about the host of the sink.
pub(crate) const OF_SINK: &str = "sink_";

/// The code of this name, with or without the prefix of the sink's host.
pub(crate) fn find(name: &str) -> Option<&'static Code> {
    let name = name.strip_prefix(OF_SINK).unwrap_or(name);
    all().find(|code| code.name == name)
}

/// Rank of a warning, worst first: severity, affected share, place in the table. Unknown codes (of
/// later versions) rank behind major ones.
pub(crate) fn rank(warning: &Warning, cell: Option<&Cell>) -> (Severity, Reverse<u64>, usize) {
    let name = warning.code.strip_prefix(OF_SINK).unwrap_or(&warning.code);
    let found = all().enumerate().find(|(_, code)| code.name == name);
    found.map_or((Severity::Minor, Reverse(u64::MAX), 0), |(place, code)| {
        let (severity, share) = code.weight(cell);
        // In parts per billion, which can be ordered.
        (severity, Reverse((share * 1e9) as u64), place)
    })
}

/// Size of this warning in this cell. Comparable only between warnings of the same code.
pub(crate) fn size(warning: &Warning, cell: &Cell) -> Size {
    let known = find(&warning.code).and_then(|code| (code.size)(cell));
    known.unwrap_or_else(|| Size { share: None, amount: first_number(&warning.message) })
}

fn share(part: impl Into<Option<u64>>, whole: u64) -> Option<Size> {
    let amount = part.into().unwrap_or(0) as f64;
    Some(Size { share: Some(amount / whole.max(1) as f64), amount })
}

fn count(count: impl Into<Option<u64>>) -> Option<Size> {
    Some(Size { share: None, amount: count.into().unwrap_or(0) as f64 })
}

fn of_requests(cell: &Cell, part: u64) -> Option<Size> {
    share(part, cell.exchange.as_ref()?.requests)
}

fn of_errors(cell: &Cell) -> Option<Size> {
    let exchange = cell.exchange.as_ref()?;
    share(sum_counts(exchange.errors.values().copied()), exchange.matched)
}

/// The missed share of the schedule; at least the 1 % beyond p99 if lag is half of the p99 latency,
/// because a smaller lag hardly distorts a figure.
fn of_schedule(cell: &Cell) -> Option<Size> {
    let schedule = cell.schedule.as_ref()?;
    let missed = share(schedule.missed, schedule.scheduled)?.share;
    let lag = schedule.lag.p99_ns.unwrap_or(0);
    let latency = cell.latency.as_ref().and_then(|latency| latency.p99_ns);
    let is_large = lag > 0 && latency.is_none_or(|latency| lag.saturating_mul(2) >= latency);
    let beyond_p99 = if is_large { 0.01 } else { 0.0 };
    Some(Size { share: missed.map(|missed| missed.max(beyond_p99)), amount: lag as f64 })
}

fn of_stalls(cell: &Cell) -> Option<Size> {
    let rx = cell.stalls.rx.as_ref().map_or(0, |rx| rx.total_ns);
    count(cell.stalls.tx.total_ns.saturating_add(rx))
}

fn of_workers(cell: &Cell) -> Option<Size> {
    let workers = cell.workers.as_ref()?;
    share(workers.iter().copied().max(), sum_counts(workers.iter().copied()))
}

/// The number of sources that stand out.
pub(crate) fn standing_out(cell: &Cell) -> u64 {
    sum_counts(cell.sources.iter().filter(|one| one.stands_out).map(|one| one.sources))
}

/// The first number in a text, with or without separators; 0 where there is none.
fn first_number(text: &str) -> f64 {
    let from = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let rest = &text[from..];
    let to = rest.find(|c: char| !c.is_ascii_digit() && !".,".contains(c)).unwrap_or(rest.len());
    rest[..to].trim_end_matches('.').replace(',', "").parse().unwrap_or(0.0)
}

/// A count of four digits or more without separators, if the message has one. Sizes such as
/// `1472 B`, shares, ports, MTUs, limits of a cgroup, and values of flags are no counts.
#[cfg(test)]
pub(crate) fn ungrouped(message: &str) -> Option<&str> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let is_count = |at: &usize| {
        let before = |by: usize| at.checked_sub(by).map_or("", |at| words[at]);
        let is_value = before(1).starts_with("--") || ["MTU", "port"].contains(&before(1));
        let is_limit = [before(1), before(2)].contains(&"cpu.max");
        let is_size = words.get(at + 1).is_some_and(|next| next.trim_end_matches(';') == "B");
        let word = words[*at].trim_matches(|c: char| !c.is_alphanumeric());
        let is_number = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        is_number && !words[*at].contains('%') && !is_value && !is_limit && !is_size
    };
    (0..words.len()).find(is_count).map(|at| words[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::warnings::tests::clean_cell;
    use crate::report::fixture::{self, warning};

    #[test]
    fn the_first_number_of_a_text_is_read() {
        for (text, number) in [
            ("", 0.0),
            ("no number", 0.0),
            ("12 of 30", 12.0),
            ("lost 3.25 %.", 3.25),
            ("8.", 8.0),
            ("1,234,567 of 2,000,000", 1_234_567.0),
            ("7, then 8", 7.0),
        ] {
            assert_eq!(first_number(text), number, "{text}");
        }
    }

    #[test]
    fn counts_without_separators_are_found() {
        for text in ["1234 of 9", "of 123456;", "(12345, 6)", "send 1000× 2 ms"] {
            assert!(ungrouped(text).is_some(), "{text}");
        }
        for text in [
            "1,234 of 999 datagrams; see -e batch",
            "65507 B at MTU 1500; use --size 1472 or less",
            "::1:43210 and 192.0.2.1:4000; sysctl -w net.core.rmem_max=4194304",
            "cpu.max 150000 100000 stopped udperf",
        ] {
            assert_eq!(ungrouped(text), None, "{text}");
        }
    }

    #[test]
    fn fewer_datagrams_make_a_worse_short_run() {
        let of = |received| {
            let mut cell = clean_cell();
            cell.rx.as_mut().unwrap().datagrams = received;
            size(&warning("short_run", ""), &cell)
        };
        assert!(of(3) > of(900));
    }

    #[test]
    fn the_larger_affected_share_ranks_first() {
        let mut cell = fixture::cell("plain", 64, "50%", 100e3);
        let set = |cell: &mut Cell, missed, lag, latency, lost| {
            let schedule = cell.schedule.as_mut().unwrap();
            (schedule.scheduled, schedule.missed) = (50_000, missed);
            schedule.lag.p99_ns = Some(lag);
            cell.latency.as_mut().unwrap().p99_ns = Some(latency);
            (cell.ledger.sent, cell.ledger.lost_at.receive_buffer) = (50_000, Some(lost));
        };
        let of = |cell: &Cell, code: &str| rank(&warning(code, ""), Some(cell));
        // A lag that hardly shows in the latency; one that is most of it; missed slots.
        for ((missed, lag, latency, lost), is_schedule_first) in [
            ((0, 50_000, 2_000_000, 100), false),
            ((0, 50_000, 60_000, 100), true),
            ((0, 50_000, 60_000, 12_000), false),
            ((20_000, 0, 60_000, 12_000), true),
        ] {
            set(&mut cell, missed, lag, latency, lost);
            let (schedule, loss) = (of(&cell, "behind_schedule"), of(&cell, "receive_buffer_loss"));
            assert_eq!(schedule < loss, is_schedule_first, "{missed} {lag} {latency} {lost}");
            let is_small = latency > 1_000_000;
            assert_eq!(schedule.0, if is_small { Severity::Minor } else { Severity::Major });
        }
        // A little loss matters less than a stall; a bug of udperf never does.
        set(&mut cell, 0, 0, 60_000, 5);
        assert_eq!(of(&cell, "receive_buffer_loss").0, Severity::Minor);
        cell.ledger.unaccounted = Some(1);
        assert_eq!(of(&cell, "unaccounted").0, Severity::Critical);
    }

    #[test]
    fn codes_are_unique_and_explained() {
        let names: std::collections::BTreeSet<_> = all().map(|code| code.name).collect();
        assert_eq!(names.len(), all().count());
        for code in all() {
            assert!(code.title.chars().count() <= 64, "{}: {}", code.name, code.title);
            assert!(code.text.ends_with('.'), "{}: {}", code.name, code.text);
            assert!(code.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", code.name);
            assert!(!code.name.starts_with(OF_SINK), "{}", code.name);
        }
    }

    #[test]
    fn ranks_follow_severity_also_for_codes_of_the_sink() {
        let of = |code: &str| rank(&warning(code, ""), None);
        let order = ["broken_ledger", "generator_limit", "behind_schedule", "stalls", "not_pinned"];
        assert!(order.is_sorted_by(|a, b| of(a) < of(b)));
        assert!(of("generator_limit") < of("a_code_of_tomorrow"));
        assert!(of("a_code_of_tomorrow") < of("not_pinned"));
        assert_eq!(of("sink_busy_host"), of("busy_host"));
    }
}
