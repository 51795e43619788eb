//! Elements of HTML.

use crate::report::format::markup::escape;

/// An element with this text; `tag` is its name with attributes.
pub(crate) fn element(tag: &'static str, text: &str) -> String {
    let name = tag.split(' ').next().unwrap_or(tag);
    format!("<{tag}>{}</{name}>\n", escape(text))
}
