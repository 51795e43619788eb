//! Colour, width and wording: what all parts of the text share.

use anstyle::{AnsiColor, Effects};

use crate::unit::{Rate, show_bits, show_pps};

/// The output device of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour; if not, the text has no escape sequences.
    pub color: bool,
    /// Width in columns.
    pub width: usize,
    /// Whether to show all warnings, whole.
    pub verbose: bool,
}

/// A blank that does not break a line; printed as a plain blank, so that it pastes as one.
pub(crate) const GLUE: char = '\u{a0}';

/// The role of a piece of text, which sets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Title,
    /// Background information.
    Quiet,
    Good,
    Note,
    /// Worth attention.
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
        let paint = |line: String| self.paint(color, &line);
        lines.into_iter().map(paint).collect()
    }

    /// A number, with its unit in the background: the last word of `8.32 µs`.
    pub(crate) fn figure(self, text: &str) -> String {
        match text.rsplit_once(' ') {
            Some((number, unit)) => format!("{number} {}", self.paint(Color::Quiet, unit)),
            None => text.to_owned(),
        }
    }
}

/// Columns of the text on a terminal, without escape sequences.
pub(crate) fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(|part| part.chars().count()).sum()
}

/// Between two columns. Arbitrary: one blank would run figures and units together.
pub(crate) const GAP: usize = 2;

/// The widest column that `std::fmt` can fill up; a wider one panics.
pub(crate) const WIDEST: usize = u16::MAX as usize;

/// Rows as lines; columns are aligned to the right unless `is_left` holds for them.
pub(crate) fn align(rows: &[Vec<String>], is_left: impl Fn(usize) -> bool) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = columns(cell).max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if at == 0 { 0 } else { GAP };
            let blank = width - columns(cell);
            let (before, after) = if is_left(at) { (gap, blank) } else { (gap + blank, 0) };
            line.extend([&" ".repeat(before), cell.as_str(), &" ".repeat(after)]);
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The words in lines of at most `width`, all but the first indented.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = columns(word);
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        } else if !lines.is_empty() {
            used = indent;
        }
        line.push_str(word);
        used += length;
    }
    lines.push(line);
    let plain = |line: String| line.replace(GLUE, " ");
    lines.into_iter().map(plain).collect()
}

pub(crate) fn glue(text: &str) -> String {
    text.replace(' ', &GLUE.to_string())
}

/// Some things in a row, dots between them; lines break after a dot.
pub(crate) fn dotted(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| glue(item)).collect();
    items.join(&format!("{GLUE}· "))
}

/// A note under the table: a quiet label, and text beside it.
pub(crate) fn note(styler: Styler, label: &str, text: &str, width: usize) -> String {
    /// As wide as the longest label, and a gap.
    const LABEL: usize = 10;
    let mut lines = wrap(text, width.saturating_sub(LABEL), 0);
    for line in &mut lines {
        line.insert_str(0, &" ".repeat(LABEL));
    }
    let first = lines[0].split_off(LABEL);
    lines[0] = format!("{}{first}", styler.paint(Color::Quiet, &format!("{label:<LABEL$}")));
    lines.join("\n")
}

/// A count in full, digits in groups, so that ledgers add up.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count and its noun: `1 stream`, `4 streams`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
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
pub(crate) fn rate_asked(word: &str) -> String {
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

/// How many cells a note names before it only counts them; arbitrary, about two lines.
pub(super) const NAMED: usize = 4;

/// The first few in words, and how many more there are.
pub(super) fn named<T>(all: &[T], show: impl Fn(&T) -> String) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let first: Vec<_> = all.iter().take(NAMED).map(show).collect();
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!("; and {}", counted(more as u64, "more cell"))
    } else {
        String::new()
    };
    Some(first.join("; ") + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_only() {
        let text = format!("one two{GLUE}three four");
        assert_eq!(wrap(&text, 10, 2), ["one", "  two three", "  four"]);
        assert_eq!(wrap("", 10, 0), [""]);
        assert_eq!(wrap("immeasurable", 4, 0), ["immeasurable"]);
    }

    #[test]
    fn colour_has_no_width_and_can_be_omitted() {
        let styler = Styler { color: true };
        let painted = styler.figure("8.32 µs");
        assert_eq!(painted, "8.32 \u{1b}[2mµs\u{1b}[0m");
        assert_eq!(columns(&painted), 7);
        assert_eq!(Styler { color: false }.paint(Color::Bad, "x"), "x");
    }

    #[test]
    fn cells_are_aligned_without_their_colour() {
        let rows = [["a", "1"], ["bcd", "\u{1b}[2m22\u{1b}[0m"], ["", "333"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let expected = "a      1\nbcd   \u{1b}[2m22\u{1b}[0m\n     333";
        assert_eq!(align(&rows, |at| at == 0), expected);
        assert_eq!(align(&[vec!["x ".to_owned()], vec![]], |_| true), "x\n");
    }

    #[test]
    fn shares_have_the_digits_they_need() {
        let shown = [0.0, 2e-6, 1.23e-5, 1.23e-4, 0.00123, 0.0123, 0.123, 0.9999, 1.0];
        let expected =
            ["0%", "<0.001%", "0.0012%", "0.012%", "0.12%", "1.23%", "12.3%", ">99.9%", "100%"];
        assert_eq!(shown.map(percent), expected);
    }

    #[test]
    fn counts_add_up() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "cell"), "1 cell");
        assert_eq!(counted(2, "cell"), "2 cells");
    }

    #[test]
    fn requested_rates_are_shown_with_units() {
        let shown = ["max", "50%", "100k", "1Gbit", "ramp:1k..2k"].map(rate_asked);
        assert_eq!(shown, ["max", "50%", "100 kpps", "1.00 Gbit/s", "ramp:1k..2k"]);
    }
}
