//! Escaping for HTML, SVG and XML.

pub(super) fn escape(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => markup += "&amp;",
            '<' => markup += "&lt;",
            '>' => markup += "&gt;",
            '"' => markup += "&quot;",
            '\'' => markup += "&apos;",
            c => markup.push(c),
        }
    }
    markup
}
