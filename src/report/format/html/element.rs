//! Elements of HTML.

use crate::report::format::markup::escape;

/// An element with this text; `tag` is its name with attributes.
pub(crate) fn element(tag: &'static str, text: &str) -> String {
    let name = tag.split(' ').next().unwrap_or(tag);
    format!("<{tag}>{}</{name}>\n", prose(text))
}

/// Text whose flags are not broken across lines. Browsers break lines after hyphens.
pub(super) fn prose(text: &str) -> String {
    let escaped = escape(text);
    let (mut out, mut rest) = (String::with_capacity(escaped.len()), escaped.as_str());
    while let Some(at) = rest.find("--") {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let (before, from) = rest.split_at(at);
        let (name, after) = from.split_at(from.find(|c| !is_of_name(c)).unwrap_or(from.len()));
        out += &format!("{before}<span class=\"flag\">{name}</span>");
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_in_one_piece() {
        for (text, expected) in [
            ("a-b", "a-b"),
            ("use --max-missed, <b>", "use {--max-missed}, &lt;b&gt;"),
            ("--json=x --rate", "{--json}=x {--rate}"),
            ("bench -- load", "bench {--} load"),
        ] {
            let expected = expected.replace('{', "<span class=\"flag\">").replace('}', "</span>");
            assert_eq!(prose(text), expected);
        }
    }
}
