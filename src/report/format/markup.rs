//! Text in HTML, SVG and XML.

/// Escapes markup of HTML and XML, and replaces noncharacters (Unicode 23.7), which both lack.
pub(super) fn escape(text: &str) -> String {
    let is_noncharacter =
        |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
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
