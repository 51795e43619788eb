//! Text from elsewhere, made safe to print.

/// Control characters that [`strip_control`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None: the text is part of a line.
    Nothing,
    /// Line breaks.
    Lines,
    /// Line breaks, and the colours of a terminal (SGR, ECMA-48 section 8.3.117).
    LinesAndColors,
}

/// Replaces control characters by blanks, so that foreign text cannot control the terminal.
pub fn strip_control(text: &str, keep: Keep) -> String {
    let is_stripped = |c: char| c.is_control() && (c != '\n' || keep == Keep::Nothing);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_stripped) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let color = (keep == Keep::LinesAndColors).then(|| color_len(rest)).flatten();
        let length = match color {
            Some(length) => {
                out.push_str(&rest[..length]);
                length
            }
            None => {
                out.push(' ');
                rest.chars().next().map_or(0, char::len_utf8)
            }
        };
        rest = &rest[length..];
    }
    out + rest
}

/// The length of the colour command that the text begins with.
fn color_len(text: &str) -> Option<usize> {
    let after = text.strip_prefix("\u{1b}[")?;
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    after[end..].starts_with('m').then(|| text.len() - after.len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_is_left_but_those_to_keep() {
        let text = "a\u{1b}]0;title\u{7}b\rc\u{9b}2Jd\te\n\u{1b}[31mµ\u{7f}";
        let plain = "a ]0;title b c 2Jd e";
        assert_eq!(strip_control(text, Keep::Nothing), format!("{plain}  [31mµ "));
        assert_eq!(strip_control(text, Keep::Lines), format!("{plain}\n [31mµ "));
        let colored = strip_control(text, Keep::LinesAndColors);
        assert_eq!(colored, format!("{plain}\n\u{1b}[31mµ "));
        // Commands that only begin as a colour does.
        let cut = "\u{1b}[2J\u{1b}[31mx\u{1b}[";
        assert_eq!(strip_control(cut, Keep::LinesAndColors), " [2J\u{1b}[31mx [");
    }
}
