//! Colours, widths and wording that all parts of the text share.

use anstyle::{AnsiColor, Effects};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) use crate::unit::grouped;
use crate::unit::{Rate, show_bits, show_pps};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: bool,
    /// In columns.
    pub(crate) width: usize,
    /// Whether to show all warnings, with their full text.
    pub(crate) verbose: bool,
}

/// A blank that does not break a line; printed as a plain blank, so that it pastes as one.
pub(crate) const NBSP: char = '\u{a0}';

/// Stands for what is unknown.
pub(crate) const UNKNOWN: &str = "–";

/// Stands for a percentile that falls among lost or missed datagrams.
pub(super) const INFINITE: &str = "∞";

/// Marks a maximum that a stall may have made.
pub(super) const STALL_MARK: &str = "*";

/// Marks a rate delivered in super-packets that were never split.
pub(super) const UNSPLIT_MARK: &str = "†";

/// Loss above this share is shown as bad: from the contract's example `loss>0.1%`.
pub(super) const BAD_LOSS: f64 = 0.001;

/// The least width of the text. Arbitrary: about the table without its optional columns.
pub(super) const MIN_WIDTH: usize = 60;

/// The role of a piece of text, which sets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Title,
    Quiet,
    Good,
    Note,
    Warning,
    Bad,
    Accent,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Styler {
    pub(crate) color: bool,
}

impl Styler {
    pub(crate) fn paint(self, color: Color, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let style = match color {
            Color::Title => Effects::BOLD.into(),
            Color::Quiet => Effects::DIMMED.into(),
            Color::Good => AnsiColor::Green.on_default(),
            Color::Note => AnsiColor::Blue.on_default(),
            Color::Warning => AnsiColor::Yellow.on_default(),
            Color::Bad => AnsiColor::Red.on_default() | Effects::BOLD,
            Color::Accent => AnsiColor::Cyan.on_default(),
        };
        format!("{style}{text}{style:#}")
    }

    /// Each line in that color: a terminal would carry an open colour over the margin.
    pub(crate) fn paint_lines(self, color: Color, lines: Vec<String>) -> Vec<String> {
        lines.into_iter().map(|line| self.paint(color, &line)).collect()
    }

    pub(crate) fn paragraph(self, color: Color, text: &str, width: usize) -> String {
        self.paint_lines(color, wrap(text, width, 2)).join("\n")
    }

    /// A number, with its unit in the background: the last word of `8.32 µs`.
    pub(crate) fn figure(self, text: &str) -> String {
        match text.rsplit_once(' ') {
            Some((number, unit)) => format!("{number} {}", self.paint(Color::Quiet, unit)),
            None => text.to_owned(),
        }
    }
}

/// Columns of the text on a terminal, without escape sequences. East Asian characters and emoji
/// take two each.
pub(crate) fn display_width(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(UnicodeWidthStr::width).sum()
}

/// The start of a text without escape sequences, in at most this many columns.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let beyond = text.char_indices().find(is_beyond(most));
    beyond.map_or(text, |(at, _)| &text[..at])
}

/// The end of a text without escape sequences, in at most this many columns.
pub(crate) fn cut_start(text: &str, most: usize) -> &str {
    let beyond = text.char_indices().rev().find(is_beyond(most));
    beyond.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}

/// Whether characters, one after the other, take more than this many columns together.
fn is_beyond(most: usize) -> impl FnMut(&(usize, char)) -> bool {
    let mut used = 0;
    move |(_, c)| {
        used += c.width().unwrap_or(0);
        used > most
    }
}

/// Between two columns. Arbitrary: one blank would run figures and units together.
pub(crate) const GAP: usize = 2;

/// Rows as lines; columns are aligned to the right unless `is_left` holds for them.
pub(crate) fn align(rows: &[Vec<String>], is_left: impl Fn(usize) -> bool) -> String {
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| display_width(cell)).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let blank = " ".repeat(width - display_width(cell));
            let cell = cell.replace('\n', " ");
            if is_left(at) { format!("{cell}{blank}") } else { format!("{blank}{cell}") }
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Lays rows out as [`align`] does, but omits `optional` columns, the first of them first, until
/// the rest fits `width`. Returns the text, and the number of omitted columns.
pub(crate) fn align_within(
    rows: &[Vec<String>],
    is_left: impl Fn(usize) -> bool,
    optional: &[usize],
    width: usize,
) -> (String, usize) {
    let kept = |count: usize| -> Vec<usize> {
        let most = rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..most).filter(|at| !optional[..count].contains(at)).collect()
    };
    let without = |count| {
        let kept = kept(count);
        let row = |row: &Vec<String>| kept.iter().filter_map(|at| row.get(*at).cloned()).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        align(&rows, |at| kept.get(at).is_some_and(|at| is_left(*at)))
    };
    let fits = |text: &str| text.lines().all(|line| display_width(line) <= width);
    let mut found = (without(0), 0);
    while !fits(&found.0) && found.1 < optional.len() {
        found = (without(found.1 + 1), found.1 + 1);
    }
    found
}

/// The words in lines of at most `width`, all but the first indented.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // A line break of a name would end the paragraph.
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            None => lines.push(word.to_owned()),
            Some(line) if display_width(line) + 1 + display_width(word) <= width => {
                line.extend([" ", word]);
            }
            Some(_) => lines.push(" ".repeat(indent) + word),
        }
    }
    if lines.is_empty() {
        return vec![String::new()];
    }
    lines.into_iter().map(|line| line.replace(NBSP, " ")).collect()
}

/// Breaks only the lines that are longer than `width`, between words; each keeps its indent.
/// Commands between backticks stay whole, to be copied, and several blanks in a row as they are.
pub(crate) fn wrap_messages(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        if display_width(line) <= width {
            return line.to_owned();
        }
        let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len());
        let line = unbroken(line.trim_start_matches(' '));
        let lines = wrap(&line, width.saturating_sub(indent.len()), 2);
        lines.iter().map(|line| indent.clone() + line).collect::<Vec<_>>().join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text with commands, and blanks that follow each other, as parts of words.
fn unbroken(text: &str) -> String {
    let two = NBSP.to_string().repeat(2);
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.replace("  ", &two).replace(&format!("{NBSP} "), &two),
        _ => no_break(part),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// The text as one word that no line break divides.
pub(crate) fn no_break(text: &str) -> String {
    text.replace(' ', &NBSP.to_string())
}

/// The longest item that lines do not break. Arbitrary: it fits 80 columns behind a label.
const MAX_WORD: usize = 60;

/// Items in a row with dots between them; lines break only after a dot, and in long items.
pub(crate) fn dotted(items: &[String]) -> String {
    let word = |item: &String| match display_width(item) > MAX_WORD {
        true => item.clone(),
        false => no_break(item),
    };
    join_dotted(&items.iter().map(word).collect::<Vec<_>>())
}

/// The same for items that lines may break.
pub(super) fn join_dotted(items: &[String]) -> String {
    items.join(&format!("{NBSP}· "))
}

/// A note under the table: a quiet label, and text beside it.
pub(crate) fn note(styler: Styler, label: &str, text: &str, width: usize) -> String {
    /// As wide as the longest usual label, and a gap.
    const LABEL: usize = 10;
    let column = LABEL.max(display_width(label) + 1);
    let text = wrap(text, width.saturating_sub(column), 0).join(&format!("\n{:column$}", ""));
    styler.paint(Color::Quiet, &format!("{label:<column$}")) + &text
}

pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// `late 3`, as one word.
pub(super) fn item(name: &str, count: u64) -> String {
    no_break(&format!("{name} {}", grouped(count)))
}

/// An item for each count that is not 0.
pub(super) fn items<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<String> {
    let known = counts.into_iter().filter(|(_, count)| *count > 0);
    known.map(|(name, count)| item(name, count)).collect()
}

/// Named counts, each the sum over all of these; empty if there are none.
pub(super) fn add_up<const N: usize>(
    all: impl IntoIterator<Item = [(&'static str, u64); N]>,
) -> Vec<(&'static str, u64)> {
    let add = |mut sums: [(&'static str, u64); N], counts: [(&'static str, u64); N]| {
        for (sum, (_, count)) in sums.iter_mut().zip(counts) {
            sum.1 = sum.1.saturating_add(count);
        }
        sums
    };
    all.into_iter().reduce(add).map_or_else(Vec::new, Vec::from)
}

/// A share in percent: 0% and 100% only if it is exactly that.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p <= 0.0 => "0%".to_owned(),
        p if p >= 100.0 => "100%".to_owned(),
        p if p >= 99.95 => ">99.9%".to_owned(),
        p if p >= 9.995 => format!("{p:.1}%"),
        p if p >= 0.0995 => format!("{p:.2}%"),
        p if p >= 0.00995 => format!("{p:.3}%"),
        p if p >= 0.001 => format!("{p:.4}%"),
        _ => "<0.001%".to_owned(),
    }
}

/// A requested rate as text: `50%`, `100 kpps`, `1.00 Gbit/s`; words of other kinds as they are.
pub(super) fn requested_rate(word: &str) -> String {
    match word.parse() {
        Ok(Rate::Pps(rate)) => show_pps(rate.pps()),
        Ok(Rate::Bits(bits)) => show_bits(bits),
        Ok(Rate::Max | Rate::OfMax(_)) | Err(_) => word.to_owned(),
    }
}

/// Each value once, in the order of first appearance.
pub(crate) fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// How many items a note lists before it only counts them; arbitrary, about two lines.
pub(super) const LISTED: usize = 4;

/// `and 2 more cells`, if there are more items than a note lists.
pub(super) fn more(count: usize, what: &str) -> Option<String> {
    let more = count.checked_sub(LISTED).filter(|&more| more > 0)?;
    Some(format!("and {}", counted(more as u64, &format!("more {what}"))))
}

pub(super) fn first_few<T>(all: &[T], what: &str, show: impl Fn(&T) -> String) -> Option<String> {
    let first = all.iter().take(LISTED).map(show).chain(more(all.len(), what));
    (!all.is_empty()).then(|| first.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_between_words() {
        assert_eq!(wrap_messages("one two three\n  a  b", 9), "one two\n  three\n  a  b");
        assert_eq!(wrap_messages("one two", 7), "one two");
        assert_eq!(wrap_messages("  one two", 8), "  one\n    two");
        assert_eq!(wrap_messages("run `tc qdisc add` now", 9), "run\n  `tc qdisc add`\n  now");
        assert_eq!(wrap_messages("no 'a   b  c' here", 12), "no\n  'a   b  c'\n  here");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(
            [
                display_width("測定"),
                display_width("🚀"),
                display_width("µs"),
                display_width("e\u{301}")
            ],
            [4, 2, 2, 1]
        );
        assert_eq!(["測定", "a測", "é"].map(|text| cut(text, 2)), ["測", "a", "é"]);
        assert_eq!(["測定", "測a", "é"].map(|text| cut_start(text, 2)), ["定", "a", "é"]);
        assert_eq!((cut("測a", 0), cut_start("測a", 0)), ("", ""));
        assert_eq!(wrap("測定 測定", 9, 0), ["測定 測定"]);
        assert_eq!(wrap("測定 測定", 8, 0), ["測定", "測定"]);
        assert_eq!(wrap_messages("a 測定 b", 7), "a 測定\n  b");
        let rows = [["測定", "1"], ["host", "2"], ["🚀", "3"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows, |at| at == 0), "測定  1\nhost  2\n🚀    3");
    }

    #[test]
    fn lines_break_between_words_only() {
        let text = format!("one two{NBSP}three four");
        assert_eq!(wrap(&text, 10, 2), ["one", "  two three", "  four"]);
        assert_eq!(wrap("", 10, 0), [""]);
        assert_eq!(wrap("immeasurable", 4, 0), ["immeasurable"]);
        assert_eq!(wrap("of a\nb", 80, 0), ["of a b"]);
    }

    #[test]
    fn cells_are_aligned_without_their_colour() {
        let painted = Styler { color: true }.figure("22 µs");
        assert_eq!(painted, "22 \u{1b}[2mµs\u{1b}[0m");
        let rows = [["a", "1"], ["bcd", painted.as_str()], ["", "33333"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let expected = format!("a        1\nbcd  {painted}\n     33333");
        assert_eq!(align(&rows, |at| at == 0), expected);
        assert_eq!(align(&[vec!["x ".to_owned()], vec![]], |_| true), "x\n");
        assert_eq!(align(&[vec!["a\nb".to_owned()]], |_| true), "a b");
    }

    #[test]
    fn columns_are_omitted_until_the_rest_fits() {
        let rows = [["a", "bb", "ccc"], ["1", "22", "333"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let draw = |width| align_within(&rows, |at| at < 2, &[1, 0], width);
        assert_eq!(draw(10), ("a  bb  ccc\n1  22  333".to_owned(), 0));
        assert_eq!(draw(9), ("a  ccc\n1  333".to_owned(), 1));
        assert_eq!(draw(5), ("ccc\n333".to_owned(), 2));
        assert_eq!(draw(1), ("ccc\n333".to_owned(), 2), "what is not optional stays");
    }

    #[test]
    fn shares_have_the_digits_they_need() {
        let shown = [0.0, 2e-6, 1.23e-5, 1.23e-4, 0.00123, 0.0123, 0.123, 0.9999, 1.0];
        let expected =
            ["0%", "<0.001%", "0.0012%", "0.012%", "0.12%", "1.23%", "12.3%", ">99.9%", "100%"];
        assert_eq!(shown.map(percent), expected);
    }

    #[test]
    fn counts_and_rates_have_units() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|count| counted(count, "cell")), ["1 cell", "2 cells"]);
        let shown = ["max", "50%", "100k", "1Gbit", "ramp:1k..2k"].map(requested_rate);
        assert_eq!(shown, ["max", "50%", "100 kpps", "1.00 Gbit/s", "ramp:1k..2k"]);
    }
}
