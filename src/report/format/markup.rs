//! Text in HTML, SVG and XML.

/// Escapes what is markup, and replaces noncharacters (Unicode 23.7), which XML and HTML lack.
pub(super) fn escape(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => markup += "&amp;",
            '<' => markup += "&lt;",
            '>' => markup += "&gt;",
            '"' => markup += "&quot;",
            '\'' => markup += "&apos;",
            c if is_noncharacter(c) => markup.push('\u{fffd}'),
            c => markup.push(c),
        }
    }
    markup
}

fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noncharacters_are_replaced() {
        let text = "\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}\u{fdd0}\u{fdef}\u{fdcf}\u{fdf0}\u{fffd}é<";
        assert_eq!(escape(text), "\u{fffd}".repeat(6) + "\u{fdcf}\u{fdf0}\u{fffd}é&lt;");
    }
}
